"""The note of what a form has asked: names that people read, in each of our languages, and all that was answered."""

from __future__ import annotations

import pytest

from connectors.chat.config import FIELDS
from helpdesk.domain.visitor_notes import note


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("en", "Account: mina7\nWallet address: 0xabc\nApp version: 5.2.1\ncolour: blue: dark"),
        ("zh-CN", "账号：mina7\n钱包地址：0xabc\n应用版本：5.2.1\ncolour：blue: dark"),
        ("zh-TW", "帳號：mina7\n錢包地址：0xabc\n應用程式版本：5.2.1\ncolour：blue: dark"),
        ("fr", "Account: mina7\nWallet address: 0xabc\nApp version: 5.2.1\ncolour: blue: dark"),
        ("", "Account: mina7\nWallet address: 0xabc\nApp version: 5.2.1\ncolour: blue: dark"),
    ],
)
def test_every_answer_stands_under_its_name(language: str, shown: str) -> None:
    answers = {
        "colour": "blue: dark",
        "app_version": "5.2.1",
        "wallet_address": "0xabc",
        "device": "",
        "account": "mina7",
    }
    assert note(answers, language=language) == shown


def test_nothing_is_noted_where_nothing_was_answered() -> None:
    assert note({}, language="en") == note({"device": ""}, language="zh-TW") == ""


@pytest.mark.parametrize("language", ["en", "zh-CN", "zh-TW"])
def test_no_field_of_a_form_stands_there_under_its_name_of_the_protocol(language: str) -> None:
    """A name and a category have places of their own, and an address is only claimed."""
    for field in (*FIELDS, "claimed_email", "app_version", "device"):
        if field not in ("name", "email"):
            assert field not in note({field: "x"}, language=language)
