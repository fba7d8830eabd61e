"""When something is said at once, and what."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk.domain.acknowledgement import HELD, Case, Outcome, Promise, decide, mailbox, text

NOW = datetime(2026, 10, 5, 9, 0, tzinfo=UTC)
GOOD = Case(
    offered=True,
    silent=False,
    sender_verified=True,
    handle="mina@customer.test",
    own_handles=frozenset({"support@wallet.test"}),
    held_since=None,
    acknowledged_lately=False,
    inbox_room=1,
)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, Outcome.QUEUED),
        ({"sender_verified": None}, Outcome.QUEUED),
        ({"sender_verified": False}, Outcome.UNVERIFIED),
        ({"offered": False}, Outcome.NOT_OFFERED),
        ({"silent": True}, Outcome.SILENT),
        ({"handle": ""}, Outcome.NO_ADDRESS),
        ({"handle": "support@wallet.test"}, Outcome.OWN_ADDRESS),
        ({"handle": "support+anything@wallet.test"}, Outcome.OWN_ADDRESS),
        ({"handle": "support2@wallet.test"}, Outcome.QUEUED),
        ({"held_since": NOW - HELD + timedelta(seconds=1)}, Outcome.BOUNCED),
        ({"held_since": NOW - HELD}, Outcome.QUEUED),
        ({"acknowledged_lately": True}, Outcome.ADDRESS_CAP),
        ({"inbox_room": 0}, Outcome.INBOX_CAP),
        ({"inbox_room": -3}, Outcome.INBOX_CAP),
        ({"silent": True, "acknowledged_lately": True, "inbox_room": 0}, Outcome.SILENT),
    ],
)
def test_one_reason_against_it_is_enough(given: dict[str, Any], wanted: Outcome) -> None:
    assert decide(replace(GOOD, **given), now=NOW) is wanted


@pytest.mark.parametrize(
    ("handle", "wanted"),
    [
        ("mina@customer.test", "mina@customer.test"),
        ("mina+a+b@customer.test", "mina@customer.test"),
        ("+a@customer.test", "+a@customer.test"),
        ("no address", "no address"),
        ('"a+b@c"@customer.test', '"a@customer.test'),
    ],
)
def test_a_tag_is_no_part_of_the_mailbox(handle: str, wanted: str) -> None:
    assert mailbox(handle) == wanted


@pytest.mark.parametrize("language", ["en", "zh-CN", "zh-TW", "", "de"])
def test_it_says_number_time_and_address_and_asks_for_nothing(language: str) -> None:
    subject, body = text(language, number=4711, promise=Promise(timedelta(hours=24)), address="support@wallet.test")
    assert "#4711" in subject
    assert "#4711" in body
    assert "24" in body
    assert "support@wallet.test" in body
    assert not re.search(r"[{}]|https?:|\bNone\b", subject + body)


def test_it_warns_of_those_who_ask_for_secrets() -> None:
    words = {
        "en": ("recovery phrase", "private key", "password", "verification code", "genuine"),
        "zh-CN": ("助记词", "私钥", "密码", "验证码", "真正"),
        "zh-TW": ("助記詞", "私鑰", "密碼", "驗證碼", "真正"),
    }
    for language, wanted in words.items():
        _, body = text(language, number=1, promise=Promise(timedelta(hours=24)), address="a@b.test")
        assert all(word in body for word in wanted)


def test_a_hostile_address_is_no_template() -> None:
    _, body = text("en", number=1, promise=Promise(timedelta(hours=24)), address="{number.__class__}@b.test")
    assert "{number.__class__}@b.test" in body
