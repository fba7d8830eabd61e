"""Triage: what texts of a wallet's customers suggest, why, and what they must not suggest."""

from __future__ import annotations

import time

import pytest

from helpdesk.domain import triage
from helpdesk.domain.triage_rules import ADVERTISING, CATEGORIES, RULES, Rule
from helpdesk.domain.values import Priority
from tests.domain.triage_texts import HELD_OUT, TUNED, Text

U, H, N = Priority.URGENT, Priority.HIGH, None

EXAMPLES: tuple[tuple[str, str | None, Priority | None], ...] = (
    ("My wallet was hacked last night and 2 ETH were sent to an address I do not know", "security", U),
    ("Someone took all my USDT, I never approved that transfer!", "security", U),
    ("my transfer is stolen?", "security", U),
    ("I typed my seed phrase into a site that looked like yours. What now?", "security", U),
    ("I got a phishing mail that pretends to come from your team", "security", H),
    ("我的钱包被盗了，里面的USDT全部被转走", "security", U),
    ("我的錢包被盜了，資產全部被轉走，請立刻幫我凍結", "security", U),
    ("刚才不小心把助记词发给了一个自称客服的人，怎么办", "security", U),
    ("有人冒充你們的客服加我的 Telegram，請問是真的嗎", "security", H),
    ("收到一封可疑的邮件，让我点链接验证钱包", "security", H),
    ("我的 wallet 好像 got hacked，請幫忙", "security", U),
    ("My withdrawal of 500 USDT has not arrived since yesterday", "transaction", H),
    ("Deposit is still pending after six hours, txid 0x8f", "transaction", H),
    ("I sent BTC to the wrong address, can you return it?", "transaction", H),
    ("Please send me the receipt of my last withdrawal and the deposit before", "transaction", N),
    ("钱包里的币不见了，不知道是不是被盗", "security", U),
    ("I lost my seed phrase, can I recover my wallet?", "account", H),
    ("Someone logged into my account and changed my email", "security", U),
    ("升級後餘額顯示為零", "transaction", H),
    ("Thank you, it works now", None, N),
    ("提现三个小时了还没到账，麻烦查一下", "transaction", H),
    ("提幣兩天了仍然沒有到帳，交易哈希如下", "transaction", H),
    ("充值的时候选错网络了，转错了能找回吗", "transaction", H),
    ("我昨天 withdraw 了 300 USDT，到現在還沒到", "transaction", H),
    ("Nothing was stolen, but my transfer is stuck", "transaction", H),
    ("没有被盗，只是转账一直卡住", "transaction", H),
    ("I cannot log in any more, it says the account is locked", "account", H),
    ("Please reset my password, I forgot it", "account", N),
    ("KYC: my passport was rejected twice", "account", N),
    ("账号登录不了，收不到验证码", "account", H),
    ("我想更換郵箱，實名認證也要重新做嗎", "account", N),
    ("The app crashes when I open the settings on Android 15", "technical", N),
    ("Your API returns error code 500 for every request", "technical", N),
    ("更新以后应用一直闪退，苹果手机", "technical", N),
    ("瀏覽器插件打不開，一直白屏", "technical", N),
    ("how do I keep my seed phrase safe", "how-to", N),
    ("How can I avoid being hacked?", "how-to", N),
    ("What if my phone is stolen? How do I prepare for that?", "how-to", N),
    ("How to add a custom token to the wallet?", "how-to", N),
    ("请问怎么备份助记词才安全？", "how-to", N),
    ("請問如何防止錢包被盜？", "how-to", N),
    ("如果手机被偷了，怎么才能恢复钱包？", "how-to", N),
    ("怎麼添加自定義代幣？有教程嗎", "how-to", N),
    ("Your fees are outrageous, this is a rip-off", "complaint", N),
    ("The worst support ever: nobody answers for a week", "complaint", N),
    ("Terrible service. My lawyer will contact you.", "complaint", H),
    ("手续费太贵了，我要投诉", "complaint", N),
    ("客服態度惡劣，我要投訴到消保會", "complaint", H),
    ("A suggestion: a dark theme would be nice", "feedback", N),
    ("Great app, I love the new home screen!", "feedback", N),
    ("建议增加深色模式，界面很好用", "feedback", N),
    ("希望可以支援更多鏈，整體做得很棒", "feedback", N),
    ("We offer SEO and backlinks to increase your traffic", None, N),
    ("Was your crypto stolen? Our recovery expert gets hacked wallets back", None, N),
    ("贵公司您好，我们提供推广服务和刷量，加微信了解", None, N),
    ("Hello", None, N),
    ("你好", None, N),
    ("", None, N),
)


def test_nine_of_ten_texts_are_read_as_people_read_them() -> None:
    read = [(text, triage.suggest("", text), category, rank) for text, category, rank in EXAMPLES]
    wrong = [(text, one.category, category) for text, one, category, _ in read if one.category != category]
    assert len(EXAMPLES) >= 50
    assert len(wrong) <= len(EXAMPLES) * 0.05, wrong
    misjudged = [(text, one.priority, rank) for text, one, _, rank in read if one.priority != rank]
    assert len(misjudged) <= len(EXAMPLES) * 0.05, misjudged


@pytest.mark.parametrize(
    ("text", "category", "priority"),
    [one for one in EXAMPLES if one[2] is U or one[1] == "how-to"],
)
def test_no_theft_is_missed_and_no_question_raises_an_alarm(
    text: str, category: str | None, priority: Priority | None
) -> None:
    found = triage.suggest("", text)
    assert (found.category, found.priority) == (category, priority)


@pytest.mark.parametrize(
    ("texts", "categories", "priorities", "urgent"), [(TUNED, 0.97, 0.97, 0.93), (HELD_OUT, 0.84, 0.9, 0.75)]
)
def test_texts_that_the_rules_were_not_made_of_are_mostly_read_as_people_read_them(
    texts: tuple[Text, ...], categories: float, priorities: float, urgent: float
) -> None:
    """Seen: 225 and 226 of the 229 that they were tuned on; 56 and 60 of the 64 that were held out."""
    read = [(triage.suggest("", text), category, rank) for text, category, rank in texts]
    assert sum(one.category == category for one, category, _ in read) >= len(read) * categories
    assert sum(one.priority == rank for one, _, rank in read) >= len(read) * priorities
    alarms = [one.priority is U for one, _, rank in read if rank is U]
    assert sum(alarms) >= len(alarms) * urgent
    assert not [one for one, _, rank in read if one.priority is U and rank is not U]


@pytest.mark.parametrize(
    "text",
    [
        "Someone on Telegram says he is your support and wants my recovery phrase",
        "A moderator on Discord asked me to pay a fee first to unlock my funds",
        "有人自称客服，私聊我，要助记词",
        "自稱官方客服的人要我先付保證金",
    ],
)
def test_whoever_says_that_he_is_us_and_asks_for_secrets_is_an_alarm_of_its_own(text: str) -> None:
    found = triage.suggest("", text)
    assert (found.category, found.priority) == ("security", U)
    assert "impostor" in [one.rule for one in found.reasons]


@pytest.mark.parametrize(
    "text",
    [
        "Your support asked me for the transaction hash, here it is",
        "I typed my 12 words to restore the wallet and it says invalid",
        "Where do I enter my recovery phrase on the new phone?",
        "客服让我提供交易哈希，如下",
        "怎么输入助记词恢复钱包",
        "The transfer took all day",
    ],
)
def test_what_only_sounds_like_it_raises_no_alarm(text: str) -> None:
    assert triage.suggest("", text).priority is not U


def test_a_suggestion_says_which_rules_spoke_and_what_they_found() -> None:
    found = triage.suggest("Urgent", "My wallet was hacked and the USDT is gone")
    assert [(one.rule, one.category, one.words) for one in found.reasons] == [
        ("theft", "security", ("hacked",)),
        ("moving money", "transaction", ("usdt",)),
    ]
    assert (found.language, found.version) == ("en", triage.VERSION)


def test_the_subject_counts_as_much_as_the_text() -> None:
    assert triage.suggest("提现没到账", "请帮忙").category == "transaction"


@pytest.mark.parametrize(("text", "language"), [("錢包打不開", "zh-TW"), ("钱包打不开", "zh-CN"), ("won't open", "en")])
def test_both_scripts_and_english_say_the_same(text: str, language: str) -> None:
    found = triage.suggest("", text)
    assert (found.category, found.language) == ("technical", language)


def test_an_english_word_is_found_whole_and_a_beginning_as_a_beginning() -> None:
    assert triage.suggest("", "The debugger of a hackedness").reasons == ()
    assert triage.suggest("", "withdrawals").reasons[0].words == ("withdraw*",)


def test_every_word_is_found_alone_and_at_the_end_and_the_first_come_first() -> None:
    words = dict.fromkeys([*(word for rule in RULES for word in (*rule.words, *sum(rule.also, ()))), "a", "ab", "钱"])
    for word in words:
        mine = Rule("mine", "account", 3, (word,))
        for text in (word.rstrip("*"), f"zz {word.rstrip('*')}"):
            assert triage.suggest("", text, by=[mine]).reasons[0].words == (word,), text
    mine = Rule("mine", "account", 3, ("gone", "钱", "ab", "coins"), also=(("wallet", "x"),))
    assert triage.suggest("", "Coins gone: 钱, ab. A wallet", by=[mine]).reasons[0].words == ("gone", "钱", "wallet")
    assert triage.suggest("", "Coins gone: 钱, ab", by=[mine]).reasons == ()


def test_a_word_is_found_however_its_apostrophes_and_blanks_were_typed() -> None:
    own = Rule("category card", "card", 5, ("card won\u2019t", "virtual  card"), None, deniable=False)
    for text in ("my card won't work", "my card won\u2019t work", "a virtual card"):
        assert triage.suggest("", text, by=[own]).category == "card", text


def test_a_denial_ends_with_its_clause() -> None:
    assert triage.suggest("", "It was not a mistake, my coins were stolen").priority is U
    assert triage.suggest("", "My coins were not stolen").priority is None
    assert triage.suggest("", "My coins weren\u2019t stolen").priority is None


@pytest.mark.parametrize(
    "part", ["not stolen ", "我的钱没有被盗", "stolen", "a", "如果", "how do i withdraw ", "\ufdfa"]
)
def test_a_long_text_costs_no_more_than_its_length(part: str) -> None:
    begun = time.process_time()
    triage.suggest(part * 5000, part * 50_000)
    assert time.process_time() - begun < 2


def test_the_rules_are_of_the_categories_that_there_are_and_have_names_of_their_own() -> None:
    assert {rule.category for rule in RULES} == {*CATEGORIES, ADVERTISING}
    assert len({rule.name for rule in RULES}) == len(RULES)
    for words in (words for rule in RULES for words in (rule.words, *rule.also)):
        assert len(set(words)) == len(words)
        assert all(word.strip("* ") and word == word.lower() for word in words)
