"""What a text weighs: as the vendor's published configuration has it, and never less."""

from __future__ import annotations

import time

import pytest

from connectors.x.text import measure

LINK = 23
WEIGHTS = {
    "": 0,
    "hello": 5,
    "café": 4,
    "cafe\u0301": 4,  # composed before it is counted
    "Привет": 6,
    "สวัสดี": 6,
    "你好": 4,
    "こんにちは": 10,
    "안녕": 4,
    "“quoted” – and… so": 18 + 1,
    "😀": 2,
    "👍🏽": 2,
    "👨‍👩‍👧‍👦": 2,
    "🇨🇳🇩🇪": 4,
    "1️⃣": 2,
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿": 2,
    "❤️": 2,
    "https://example.com": LINK,
    "https://example.com/a/very/long/path?with=a&query=too#and-more-of-it-than-anybody-needs": LINK,
    "see example.com now": 4 + LINK + 4,
    "see example.com.": 4 + LINK + 1,
    "(https://example.com/a)": 1 + LINK + 1,
    "看https://example.com/a，谢谢": 2 + LINK + 6,
    "看example.com吧": 2 + LINK + 2,
    "a@example.com": 13,
    "@desk 3.5 i.e. 10.000": 21,
    "\n": 1,
}


@pytest.mark.parametrize("text", WEIGHTS)
def test_weights(text: str) -> None:
    assert measure(text, "public", {}).used == WEIGHTS[text]


def test_limits_are_the_accounts_and_messages_are_counted_in_characters() -> None:
    assert measure("", "public", {}).limit == 280
    assert measure("", "public", {"post_length": 25000}).limit == 25_000
    assert measure("", "public", {}).unit == "weighted"
    direct = measure("你好", "direct", {})
    assert (direct.used, direct.limit, direct.unit) == (2, 10_000, "characters")


@pytest.mark.parametrize("part", ["a.", "a-", "http://", "a.b/", "1️⃣", "👨‍", "🇨", "@a.com", "é", "\u200d", "#"])
def test_no_text_takes_long(part: str) -> None:
    begun = time.monotonic()
    assert measure(part * 20_000, "public", {}).used > 0
    assert time.monotonic() - begun < 2
