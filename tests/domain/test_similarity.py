"""What is a lure, and which of them say the same."""

from __future__ import annotations

import pytest

from helpdesk.domain.similarity import are_alike, bands, fingerprint, is_lure

LURE = (
    "🎉 Official GIVEAWAY by @wallet! We double every deposit of the first 500 holders. "
    "Claim your bonus now at https://wallet-bonus.top/claim?u=1 before it ends today!"
)


@pytest.mark.parametrize(
    "text",
    [
        LURE,
        "恭喜！官方空投活动开始，前500名用户可免费领取 200 USDT，立即访问 https://bonus.vip/lq 领取专属奖励！",
        "I lost 3 BTC and he recovered all of it, contact him on telegram: @crypto_helper_01 or @crypto_helper_02 now",
        "Send 0.1 ETH to 0x52908400098527886E0F7030069857D2E4169EE7 and we send back double, free bonus for everybody!",
    ],
)
def test_a_way_out_and_a_reason_to_take_it_make_a_lure(text: str) -> None:
    assert is_lure(text)


@pytest.mark.parametrize(
    "text",
    [
        "@wallet my withdrawal of 300 USDT has not arrived for three days, nobody answers, please help me",
        "我的提现三天没有到账，客服没有人回复，请尽快处理，账户里面有我全部的积蓄，我很着急",
        "@wallet where is my money? I sent it to 0x52908400098527886E0F7030069857D2E4169EE7 yesterday and see nothing",
        "See https://explorer.example.com/tx/123: confirmed since yesterday, and still not in my account",
        "free bonus",
        "",
    ],
)
def test_a_complaint_is_none_however_many_people_make_it(text: str) -> None:
    assert not is_lure(text)


@pytest.mark.parametrize(
    "other",
    [
        LURE.replace("@wallet", "@someone_else").replace("u=1", "u=77"),
        LURE.replace("500", "900").replace("🎉", "🚀🚀"),
        LURE.upper(),
        LURE.replace(" ", "  ").replace("!", "!!!"),
        "@mina @kai " + LURE,
    ],
)
def test_what_is_changed_to_look_different_says_the_same(other: str) -> None:
    assert are_alike(fingerprint(LURE), fingerprint(other))
    assert set(enumerate(bands(fingerprint(LURE)))) & set(enumerate(bands(fingerprint(other))))


def test_other_words_say_something_else() -> None:
    other = "Airdrop for early users of the new chain: connect at https://drop.example.com and claim your free reward"
    assert not are_alike(fingerprint(LURE), fingerprint(other))
    assert fingerprint("") == fingerprint("123 !!!")
    assert all(-(2**63) <= fingerprint(text) < 2**63 for text in (LURE, other, ""))
