"""Texts kept ready: a fixed list of variables, no expressions, and values that cannot be more than words.

What a contact calls himself goes out under our name. So a value loses its line breaks and markup, and one that could
be taken for a link, or that is a list of words such as a recovery phrase, is not used at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from helpdesk.domain.contents import Wrong
from helpdesk.domain.language import SUPPORTED
from helpdesk.domain.soliciting import solicited

VARIABLES: Final = (
    "contact.name",
    "contact.first_name",
    "agent.name",
    "agent.first_name",
    "conversation.number",
    "conversation.subject",
    "inbox.name",
    "team.name",
)

LONGEST_VALUE: Final = 120
_PHRASE: Final = re.compile(
    r"(?i)(?:\b[a-z]{3,8}\b[\s,;]+){11}[a-z]{3,8}\b|(?:[\u4e00-\u9fff][\s,;]+){11}[\u4e00-\u9fff]"
)
"""Twelve short words in a row, as wallets choose them, or twelve lone characters."""
_VARIABLE: Final = re.compile(r"\{\{\s*([^{}]{0,80}?)\s*\}\}")
_BRACES: Final = re.compile(r"\{\{|\}\}")
_LAST: Final = "en"
_MARKUP: Final = re.compile(r"[<>`\[\]{}|\\]")
_LINK: Final = re.compile(
    r"(?i)[a-z][a-z0-9+.-]{1,20}:(?=\S)|\bwww\d{0,3}\.|@|[^\s.]{2,}[.\u3002\uff0e\uff61][^\W\d_]{2,}"
)


def check(text: str, place: str) -> None:
    """Raise `Wrong` for a variable that there is not, for braces left open, and for what asks for secrets."""
    for found in _VARIABLE.finditer(text):
        if found[1] not in VARIABLES:
            raise Wrong(place, f"there is no variable {found[1]!r}; use {', '.join(VARIABLES)}")
    if _BRACES.search(_VARIABLE.sub("", text)):
        raise Wrong(place, "a variable is written {{contact.name}}; two braces are for nothing else")
    if secret := solicited(text):
        raise Wrong(place, f"this asks for something that nobody may be asked for: {secret}")


def used(text: str) -> list[str]:
    """The variables in a text, each once."""
    return list(dict.fromkeys(found[1] for found in _VARIABLE.finditer(text)))


def render(text: str, values: Mapping[str, str]) -> tuple[str, list[str]]:
    """The text with its variables filled in, and the names of those that have no value and are left out."""
    ready = {name: plain(values.get(name, "")) for name in used(text)}
    return _VARIABLE.sub(lambda found: ready[found[1]], text), [name for name, value in ready.items() if not value]


def plain(value: str) -> str:
    """A value as words in one line; empty for one that must not go out."""
    text = unicodedata.normalize("NFKC", value[: 4 * LONGEST_VALUE])
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " if c in "\t\r\n" else "" for c in text)
    line = " ".join(_MARKUP.sub("", kept).split())
    if len(line) > LONGEST_VALUE:
        line = line[: LONGEST_VALUE - 1].rstrip() + "…"
    return "" if _LINK.search(line) or _PHRASE.search(line) else line


def first_name(name: str) -> str:
    """What comes first in a name; a name in Chinese characters is one."""
    return name.split()[0] if name.split() else ""


def languages(wanted: str) -> list[str]:
    """What to try for somebody who reads `wanted`, the best first: the language, its relatives, English."""
    base = wanted.partition("-")[0]
    related = [one for one in SUPPORTED if one.partition("-")[0] == base]
    return list(dict.fromkeys(one for one in (wanted, base, *related, _LAST) if one))


def choose(texts: Mapping[str, str], wanted: str) -> tuple[str, str]:
    """The language and the text for somebody who reads `wanted`. `texts` holds at least one."""
    language = next((one for one in languages(wanted) if one in texts), min(texts))
    return language, texts[language]
