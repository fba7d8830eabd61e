"""What a text suggests to a wallet's desk: a category, a priority, and why. Readable rules, no model.

Pure and the same every time. Words are looked for where the text has their first characters; each is looked for once
at most, so it takes time in proportion to the text, which is cut at `MOST` anyway.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from helpdesk.domain import language
from helpdesk.domain.search_folding import fold
from helpdesk.domain.triage_rules import ADVERTISING, CATEGORIES, RULES, VERSION, Rule
from helpdesk.domain.values import Priority

MOST: Final = 20_000
"""Characters that are looked at: whoever writes more has said by then what it is about."""

ENOUGH: Final = 3
"""The score from which a category is suggested: one telling word, or two that only hint."""

_BEFORE: Final = 40
_SHOWN: Final = 5
_EACH: Final = 2
"""Words that are shown of each group, where a rule has several."""
_KEY: Final = 3
"""So many first characters of a word say whether it is worth looking for: most of some 2200 words are not."""
_APOSTROPHES: Final = str.maketrans("\u2018\u2019\u02bc`", "''''")
_BLANKS: Final = re.compile(r"\s+")
_CLAUSE: Final = re.compile(r"[.!?;:,\u3002\uff01\uff1f\uff1b\uff0c\u3001]|\bbut\b|但是?|可是")
_DENIED: Final = re.compile(
    r"(?:\b(?:not|never|nothing|nobody|none|no|isn't|wasn't|weren't|hasn't|haven't|aren't|don't|didn't)"
    r"(?: [a-z']+){0,3} ?"
    r"|(?:没有|没|并非|(?<!是)不是|未曾|从未|从没|并未|不会|不算)[\u3400-\u9fff]{0,2})$"
)
_SUPPOSED: Final = re.compile(
    r"(?:\b(?:what if|what happens if|in case|even if|avoid\w*|prevent\w*|protect\w*|against)"
    r"(?: [a-z']+){0,4} ?"
    r"|(?:如果|万一|假如|要是|防止|避免|预防|以防|防范|以免|防)[\u3400-\u9fffa-z ]{0,8})$"
)
_LETTER: Final = re.compile(r"[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that spoke, and the words that it found."""

    rule: str
    category: str
    weight: int
    priority: Priority | None
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`category` and `priority` are None where the text does not say enough. `language` is empty for no language."""

    category: str | None
    priority: Priority | None
    language: str
    reasons: tuple[Reason, ...]
    version: int = VERSION


def suggest(subject: str, text: str, *, by: Sequence[Rule] = RULES) -> Suggestion:
    """Read a message by these rules. Subject and text count alike."""
    folded = _folded(f"{subject[:1000]}\n{text[:MOST]}")
    reasons = tuple(_reasons(folded, tuple(by)))
    scores = Counter[str]()
    for reason in reasons:
        scores[reason.category] += reason.weight
    spoken = language.detect(text, subject)
    best = max(_ordered(scores), key=lambda category: scores[category])
    if scores[ADVERTISING] > scores[best]:
        return Suggestion(None, None, spoken, reasons)
    ranks = [reason.priority for reason in reasons if reason.priority is not None]
    category = best if scores[best] >= ENOUGH else None
    return Suggestion(category, max(ranks, default=None), spoken, reasons)


def _folded(text: str) -> str:
    return _BLANKS.sub(" ", fold(text.translate(_APOSTROPHES)))


def _ordered(scores: Mapping[str, int]) -> Sequence[str]:
    """Of two with the same score the earlier is taken: security, then what the house has added, which says more."""
    first, *others = CATEGORIES
    return first, *(name for name in scores if name not in (*CATEGORIES, ADVERTISING)), *others


def _reasons(folded: str, rules: tuple[Rule, ...]) -> Iterator[Reason]:
    words = _read(rules)
    longest = {folded[at : at + _KEY] for at in range(len(folded))}
    keys = {key[:size] for key in longest for size in range(_KEY + 1)}
    found: dict[int, list[list[str]]] = {}
    # In the order of the rules, and within each as its words are written.
    for number, group, _, shown, word in sorted(one for key in words.keys() & keys for one in words[key]):
        rule = rules[number]
        if _says(folded, word, deniable=rule.deniable):
            said = found.setdefault(number, [[] for _ in (rule.words, *rule.also)])
            said[group].append(shown)
    for number, said in found.items():
        if all(said):
            rule = rules[number]
            shown_of_all = tuple(word for each in said for word in each[: _SHOWN if len(said) == 1 else _EACH])
            yield Reason(rule.name, rule.category, rule.weight, rule.priority, shown_of_all)


_Word = tuple[int, int, int, str, str]
"""The rule, the group of its words and the place in that, each by number; as it is written, and as it is looked for."""


@lru_cache(maxsize=8)
def _read(rules: tuple[Rule, ...]) -> Mapping[str, Sequence[_Word]]:
    """The words by what they begin with."""
    found: dict[str, list[_Word]] = {}
    for number, rule in enumerate(rules):
        for group, words in enumerate((rule.words, *rule.also)):
            for place, word in enumerate(words):
                folded = _folded(word)
                found.setdefault(folded.removesuffix("*")[:_KEY], []).append((number, group, place, word, folded))
    return found


def _says(folded: str, word: str, *, deniable: bool) -> bool:
    plain = word.removesuffix("*")
    start = folded.find(plain)
    while start >= 0:
        end = start + len(plain)
        if _stands(folded, start, end, whole=plain == word) and not (deniable and _unmeant(folded, start)):
            return True
        start = folded.find(plain, end)
    return False


def _stands(folded: str, start: int, end: int, *, whole: bool) -> bool:
    """Whether it is a word of its own; Chinese has nothing between words."""
    before, after = folded[start - 1 : start], folded[end : end + 1]
    if _LETTER.match(folded[start]) and _LETTER.match(before):
        return False
    return not (whole and _LETTER.match(folded[end - 1]) and _LETTER.match(after))


def _unmeant(folded: str, start: int) -> bool:
    """Whether the same clause denies or supposes it just before."""
    clause = _CLAUSE.split(folded[max(0, start - _BEFORE) : start])[-1]
    return bool(_DENIED.search(clause) or _SUPPOSED.search(clause))


__all__ = ["ENOUGH", "MOST", "RULES", "VERSION", "Reason", "Rule", "Suggestion", "suggest"]
