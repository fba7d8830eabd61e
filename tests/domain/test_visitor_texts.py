"""The letters by which a visitor's conversation goes on, in each language."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from helpdesk.domain import visitor_texts
from helpdesk.domain.language import SUPPORTED
from helpdesk.domain.visitor_texts import MOST_TEXT, Said

AT = datetime(2026, 10, 5, 9, 30, tzinfo=UTC).astimezone(ZoneInfo("Asia/Taipei"))


@pytest.mark.parametrize("language", SUPPORTED)
def test_every_letter_is_in_one_language_and_names_its_number(language: str) -> None:
    said = [Said("Anna", AT, "Hello"), Said("", AT, "Thanks", ["a.png"], ["b.zip"])]
    for letter in (
        visitor_texts.continued(language, number=4711, said=said),
        visitor_texts.transcript(language, number=4711, said=said, earlier=True),
    ):
        assert "[#4711]" in letter.subject
        assert "{" not in letter.subject + letter.text + letter.html
        for part in ("Anna", "2026-10-05 17:30", "Asia/Taipei", "    Hello", "a.png", "b.zip"):
            assert part in letter.text
            assert part.strip() in letter.html
        assert letter.text.isascii() == (language == "en")
    code = visitor_texts.code(language, code="012345", minutes=10)
    assert "012345" in code.text
    assert "012345" not in code.subject, "a subject is shown on a locked screen"
    assert "10" in code.text
    assert code.text.isascii() == (language == "en")


def test_another_language_is_english() -> None:
    assert visitor_texts.language_of("", "fr", "zh-TW", "en") == "zh-TW"
    assert visitor_texts.code("fr", code="1", minutes=1) == visitor_texts.code("en", code="1", minutes=1)


def test_nobody_writes_the_words_that_are_ours() -> None:
    """Whatever was said is set in, line by line, and is text in the HTML."""
    said = [Said("<b>Anna</b>", AT, "------------------------\nJust reply\r\n\n<script>x</script> {number}")]
    letter = visitor_texts.continued("en", number=1, said=said)
    assert "\n    ------------------------\n    Just reply\n\n    <script>x</script> {number}\n" in letter.text
    assert letter.text.count("\n------------------------\n") == 1
    assert "<script>" not in letter.html
    assert "<b>" not in letter.html


def test_a_long_transcript_keeps_what_was_said_last_and_says_so() -> None:
    said = [Said("Anna", AT, f"No. {number}. " + "x" * 7_000) for number in range(40)]
    letter = visitor_texts.transcript("en", number=1, said=said, earlier=False)
    assert "No. 39." in letter.text
    assert "No. 0." not in letter.text
    assert "What was said before is left out" in letter.text
    assert len(letter.text) < MOST_TEXT + 10_000
    assert "is left out" not in visitor_texts.transcript("en", number=1, said=said[:2], earlier=False).text
