"""What conversations are about: seven categories that every house has, and those that it adds, with their words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from helpdesk.domain.contents import Wrong, names, under
from helpdesk.domain.language import SUPPORTED
from helpdesk.domain.search_folding import fold
from helpdesk.domain.triage_rules import ADVERTISING, CATEGORIES, Rule
from helpdesk.domain.values import Priority

NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "security": {"en": "Security", "zh-CN": "安全", "zh-TW": "安全"},
    "transaction": {"en": "Transaction", "zh-CN": "交易", "zh-TW": "交易"},
    "account": {"en": "Account", "zh-CN": "账户", "zh-TW": "帳戶"},
    "technical": {"en": "Technical problem", "zh-CN": "技术问题", "zh-TW": "技術問題"},
    "complaint": {"en": "Complaint", "zh-CN": "投诉", "zh-TW": "投訴"},
    "how-to": {"en": "How to", "zh-CN": "使用咨询", "zh-TW": "使用諮詢"},
    "feedback": {"en": "Feedback", "zh-CN": "建议反馈", "zh-TW": "建議回饋"},
}
"""Of those that every house has."""

MOST_WORDS, LONGEST_WORD, LONGEST_NAME = 200, 60, 60
LEAST_WEIGHT, MOST_WEIGHT = 1, 10

_KEY: Final = re.compile(r"[a-z][a-z0-9-]{1,39}")
_LONE: Final = re.compile(r"[\x00-\x7f]")
# Blanks and punctuation, in ASCII and in Chinese. Not emoji, which say something.
_MARKS: Final = re.compile(r"[\x00-/:-@\[-`{-\x7f\u2000-\u206f\u3000-\u3004\u3008-\u3020]*")


def check_key(key: str) -> None:
    """Raise `Wrong` unless a category can be added under this."""
    if not _KEY.fullmatch(key):
        raise Wrong("key", "use a-z, 0-9 and -, at most 40, the first of them a letter")
    if key in CATEGORIES or key == ADVERTISING:
        raise Wrong("key", "every house has this one already")


def check_names(given: Mapping[str, str]) -> None:
    """Raise `Wrong` unless there is a name in each language that people here read."""
    if set(given) != set(SUPPORTED):
        raise Wrong("names", f"give a name in each of {', '.join(SUPPORTED)}")
    for language, name in given.items():
        if not name.strip() or len(name) > LONGEST_NAME:
            raise Wrong(under("names", language), f"use 1 to {LONGEST_NAME} characters")


def check_words(given: Sequence[str]) -> None:
    """Raise `Wrong` for a word that would be found everywhere, or nowhere. A `*` at its end stands for any ending."""
    for number, word in enumerate(names(given, "words", longest=LONGEST_WORD, most=MOST_WORDS)):
        plain = fold(word).strip().removesuffix("*").strip()
        if _MARKS.fullmatch(plain) or "*" in plain or _LONE.fullmatch(plain):
            raise Wrong(under("words", number), "use two letters at least, and * only at the end")


def rule_of(row: Mapping[str, Any]) -> Rule:
    """The rule that a category's words are."""
    priority = None if row["priority"] is None else Priority(row["priority"])
    words = tuple(fold(word).strip() for word in row["words"])
    return Rule(f"category {row['key']}", row["key"], row["weight"], words, priority, deniable=False)
