"""Texts kept ready: what may stand in them, what goes out in place of a variable, and in which language."""

from __future__ import annotations

import pytest

from helpdesk.domain import templates
from helpdesk.domain.contents import Wrong
from helpdesk.domain.soliciting import solicited


def test_variables_are_filled_in_and_what_has_no_value_is_left_out_and_named() -> None:
    text = "Dear {{contact.name}}, #{{ conversation.number }} of {{team.name}}"
    values = {"contact.name": "Mina Park", "conversation.number": "7"}
    assert templates.render(text, values) == ("Dear Mina Park, #7 of ", ["team.name"])


@pytest.mark.parametrize(
    "text",
    [
        "{{contact.email}}",
        "{{contact.name|upper}}",
        "{{7*7}}",
        "{{",
        "}} {{contact.name}}",
        "{{}}",
    ],
)
def test_there_are_no_other_variables_and_no_expressions(text: str) -> None:
    with pytest.raises(Wrong) as refused:
        templates.check(text, "texts.en")
    assert refused.value.field == "texts.en"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Mina\r\nBcc: x", "Mina Bcc: x"),
        ("<b>Mina</b>", "bMina/b"),
        ("Mi\u202ena\u200b", "Mina"),
        ("[click](x)", "click(x)"),
        ("J. R. Smith", "J. R. Smith"),
        ("张伟", "张伟"),
        ("https://evil.test", ""),
        ("evil.test", ""),
        ("ｅｖｉｌ．ｔｅｓｔ", ""),
        ("www.evil", ""),
        ("javascript:alert", ""),
        ("mina@evil.test", ""),
        ("army van defense carry jealous true garbage claim echo media make crunch", ""),
        ("的 一 是 在 不 了 有 和 人 这 中 大", ""),
        ("Where is my withdrawal, which I made on the day before yesterday?", None),
        ("x" * 200, "x" * 119 + "…"),
    ],
)
def test_a_value_is_words_in_one_line_or_nothing(value: str, shown: str | None) -> None:
    assert templates.plain(value) == (value if shown is None else shown)


@pytest.mark.parametrize(
    ("there", "wanted", "chosen"),
    [
        ({"en", "zh-CN", "zh-TW"}, "zh-TW", "zh-TW"),
        ({"en", "zh-CN"}, "zh-TW", "zh-CN"),
        ({"en", "zh-TW"}, "zh-HK", "zh-TW"),
        ({"en", "de"}, "de-AT", "de"),
        ({"en", "de"}, "fr", "en"),
        ({"en", "de"}, "", "en"),
        ({"de", "ko"}, "zh-CN", "de"),
    ],
)
def test_the_nearest_language_is_taken(there: set[str], wanted: str, chosen: str) -> None:
    assert templates.choose(dict.fromkeys(there, "x"), wanted)[0] == chosen


@pytest.mark.parametrize(
    "text",
    [
        "Please send us your recovery phrase so that we can check it.",
        "To verify you, reply with your private key!",
        "We need your seed phrase.",
        "请提供您的助记词以便核实。",
        "請將驗證碼發給我們。",
    ],
)
def test_a_text_that_asks_for_a_secret_is_found(text: str) -> None:
    assert solicited(text)


@pytest.mark.parametrize(
    "text",
    [
        "We never ask for your recovery phrase. Do not share it with anybody.",
        "Open the app and enter your recovery phrase there.",
        "Please send us the transaction hash.",
        "我们绝不会向您索要助记词，请勿将私钥发给任何人。",
        "请提供交易哈希。",
    ],
)
def test_a_text_that_warns_or_asks_for_something_else_is_not(text: str) -> None:
    assert solicited(text) is None
