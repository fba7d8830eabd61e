"""Asking how it went: who is asked, in which words, and until when an answer counts."""

from __future__ import annotations

import string
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk.domain import rating_texts
from helpdesk.domain.rating_texts import LANGUAGES, PAGES, language_for
from helpdesk.domain.ratings import SCORES, Case, Outcome, counts_until, decide

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

GOOD = Case(
    switched_on=True,
    offered=True,
    status="resolved",
    merged=False,
    spam=False,
    blocked=False,
    doubtful=False,
    handle="mina@customer.test",
    own_handles=frozenset({"support@wallet.test"}),
    held_since=None,
    wrote_at=NOON - 3 * HOUR,
    answered_at=NOON - 2 * HOUR,
    waiting=False,
    under_way=False,
    asked_lately=False,
    reply_window=None,
    resolved_at=NOON - HOUR,
)


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({}, "asked"),
        ({"status": "closed"}, "asked"),
        ({"status": "open"}, "reopened"),
        ({"status": "snoozed"}, "reopened"),
        ({"switched_on": False}, "switched_off"),
        ({"offered": False}, "not_offered"),
        ({"merged": True, "status": "closed"}, "merged"),
        ({"spam": True, "status": "closed"}, "spam"),
        ({"blocked": True}, "blocked"),
        ({"doubtful": True}, "unverified"),
        ({"handle": ""}, "no_address"),
        ({"handle": "support+x@wallet.test"}, "own_address"),
        ({"held_since": NOON - 6 * DAY}, "bounced"),
        ({"held_since": NOON - 8 * DAY}, "asked"),
        ({"wrote_at": None}, "automatic"),
        ({"answered_at": None}, "unanswered"),
        ({"answered_at": NOON - HOUR - 15 * DAY}, "forgotten"),
        ({"waiting": True}, "waiting"),
        ({"under_way": True}, "later"),
        ({"under_way": True, "resolved_at": NOON - 3 * DAY}, "waiting"),
        ({"asked_lately": True}, "asked_lately"),
        ({"reply_window": DAY}, "asked"),
        ({"reply_window": HOUR}, "window_closed"),
    ],
)
def test_there_are_many_reasons_against_asking_and_one_for_it(given: dict[str, Any], outcome: str) -> None:
    assert decide(replace(GOOD, **given), now=NOON) is Outcome(outcome)


def test_a_rating_counts_until_the_link_expires_or_two_weeks_after_closing() -> None:
    expires = NOON + 30 * DAY
    assert counts_until(expires_at=expires, status="resolved", changed_at=NOON) == expires
    assert counts_until(expires_at=expires, status="closed", changed_at=NOON) == NOON + 14 * DAY
    assert counts_until(expires_at=expires, status="closed", changed_at=NOON + 20 * DAY) == expires
    assert counts_until(expires_at=expires, status="closed", changed_at=None) == expires


@pytest.mark.parametrize("language", [*LANGUAGES, "fr", ""])
def test_a_letter_shows_where_the_link_is_and_not_the_link(language: str) -> None:
    letter = rating_texts.letter(language, number=4711, base_url="https://desk.test")
    assert "#4711" in letter.subject
    assert "\nhttps://desk.test/rate/…\n" in letter.text
    assert [f'href="https://desk.test/rate/…?score={score}"' in letter.html for score in SCORES] == [True] * 5
    assert not [name for _, name, _, _ in string.Formatter().parse(letter.text + letter.html) if name]
    sent = rating_texts.with_link(letter.text, "SECRET")
    assert "\nhttps://desk.test/rate/SECRET\n" in sent
    assert "…" not in sent


def test_every_page_has_words_in_every_language_and_the_same_places_in_them() -> None:
    assert tuple(PAGES) == LANGUAGES
    english = PAGES["en"]
    for language, words in PAGES.items():
        assert set(words.scores) == set(SCORES)
        for one in fields(words):
            if one.name == "scores":
                continue
            said = getattr(words, one.name)
            assert said, (language, one.name)
            assert _places(said) == _places(getattr(english, one.name)), (language, one.name)
            if language != "en" and one.name != "rated":
                assert said != getattr(english, one.name)


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize(
    ("accepted", "otherwise", "language"),
    [
        ("", "", "en"),
        ("", "zh-TW", "zh-TW"),
        ("", "fr", "en"),
        ("zh", "en", "zh-CN"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "", "zh-CN"),
        ("zh-TW,zh;q=0.9", "zh-CN", "zh-TW"),
        ("zh-HK", "", "zh-TW"),
        ("zh-Hant-MO", "", "zh-TW"),
        ("zh-Hans-HK", "", "zh-CN"),
        ("en-GB;q=0.5, zh-TW;q=0.7", "", "zh-TW"),
        ("fr, de;q=0.9", "zh-CN", "zh-CN"),
        ("fr, en;q=0.1", "zh-CN", "en"),
        ("en;q=0, zh-TW;q=0.001", "", "zh-TW"),
        ("en;q=x", "zh-CN", "zh-CN"),
        ("*", "zh-CN", "zh-CN"),
        ("a" * 100_000, "zh-TW", "zh-TW"),
    ],
)
def test_a_page_is_in_the_browsers_language_else_in_the_conversations(
    accepted: str, otherwise: str, language: str
) -> None:
    assert language_for(accepted, otherwise) == language
