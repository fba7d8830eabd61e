"""Letters about accounts: the same in three languages; and what is told of a browser."""

from __future__ import annotations

import string

import pytest

from helpdesk.domain import account_texts, clients
from helpdesk.domain.account_texts import LANGUAGES, Purpose


@pytest.mark.parametrize("language", [*LANGUAGES, "fr"])
@pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if purpose is not Purpose.FIRST_RUN])
def test_a_letter_holds_its_link_and_how_long_it_is_good(purpose: Purpose, language: str) -> None:
    subject, text = account_texts.compose(purpose, link="https://desk.test/#x=y", minutes=180, language=language)
    assert subject
    assert "\nhttps://desk.test/#x=y\n" in text
    assert ("180" if purpose is Purpose.PASSWORD_RESET else "3 ") in text
    assert not any(name for _, name, _, _ in string.Formatter().parse(text) if name)


def test_a_language_that_is_none_of_ours_is_english() -> None:
    english = account_texts.compose(Purpose.INVITATION, link="l", minutes=60, language="en")
    assert account_texts.compose(Purpose.INVITATION, link="l", minutes=60, language="de") == english


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Windows"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130 Safari/537.36 Edg/130",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1 (KHTML, like Gecko) Safari/605.1",
            "Safari on macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1 CriOS/130 Safari/604.1",
            "Chrome on iOS",
        ),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5.0", "curl"),
        ("", "Unknown"),
        ("<script>alert(1)</script>" * 10_000, "Unknown"),
    ],
)
def test_a_browser_is_told_by_words_of_ours(said: str, shown: str) -> None:
    assert clients.describe(said) == shown
