"""What a text that everybody reads may not say about somebody: addresses, numbers, hashes, his names.

The text is looked at as a reader sees it: without marks that are not shown, and full-width letters as plain ones. Every
pattern is linear in the text. What is found is told by its kind and its place, never by its words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final

from helpdesk.domain import search_folding, wallet_addresses

EMAIL: Final = "email"
PHONE: Final = "phone"
NAME: Final = "name"


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """`text[start:end]` is of this kind: `email`, `phone`, `address`, `transaction_hash` or `name`."""

    start: int
    end: int
    kind: str


def found_in(
    text: str, *, names: Collection[str] = (), handles: Collection[str] = (), allowed: Collection[str] = ()
) -> list[Found]:
    """All of it, in order. `names` are what he is called, each word of which tells; `handles` tell as a whole.

    `allowed` may be said although they look like it, or hold a name: our own addresses and handles, and `@handle` under
    which he is known where this is read.
    """
    seen = _Seen(text, _plain)
    shown = _without(seen.text, ["".join(map(_plain, one)) for one in allowed])
    # The hash in a link has no dot beside it that would make a number of it, so all look at the same text.
    spans = [(EMAIL, *span) for span in _emails(shown)]
    spans += wallet_addresses.places(shown)
    spans += [(PHONE, *span) for span in _phones(shown)]
    found = {Found(seen.places[start], seen.places[end - 1] + 1, kind) for kind, start, end in spans}
    folded = _Seen(text, _folded)
    said = _without(folded.text, ["".join(map(_folded, one)) for one in allowed])
    wanted = {part for name in names for part in _parts("".join(map(_folded, name)).strip())}
    wanted |= {part for one in handles if _tells(part := "".join(map(_folded, one)).partition("@")[0])}
    for start, end in _called(said, wanted):
        found.add(Found(folded.places[start], folded.places[end - 1] + 1, NAME))
    return _outermost(sorted(found, key=lambda one: (one.start, -one.end)))


def _outermost(found: Collection[Found]) -> list[Found]:
    """Without what lies inside of what is found already: the digits of an address are no telephone number."""
    kept: list[Found] = []
    for one in found:
        if not kept or one.end > kept[-1].end:
            kept.append(one)
    return kept


# -- how it is read ---------------------------------------------------------------------------------------------------


class _Seen:
    """A text with every letter read by itself; `places` tells where each comes from."""

    def __init__(self, text: str, read: Callable[[str], str]) -> None:
        letters = [(place, letter) for place, given in enumerate(text) for letter in read(given)]
        self.text = "".join(letter for _, letter in letters)
        self.places = [place for place, _ in letters]


def _plain(letter: str) -> str:
    if letter < "\x80":
        return letter
    kind = unicodedata.category(letter)
    if kind in ("Cf", "Me") or _UNSEEN.match(letter):
        return ""
    if kind == "Pd":
        return "-"
    if kind == "Nd":
        return str(unicodedata.digit(letter))
    return "." if letter in "\u3002\uff61" else unicodedata.normalize("NFKC", letter)


_UNSEEN: Final = re.compile(
    "[\u0300-\u036f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Accents that stand by themselves, and what is shown as nothing although it counts as a letter or as a mark."""


def _folded(letter: str) -> str:
    return search_folding.fold(_plain(letter))


def _without(text: str, allowed: Collection[str]) -> str:
    """The text with what may be said blotted out. A longer word that begins alike is not what was allowed."""
    for one in sorted(filter(None, allowed), key=len, reverse=True):
        pattern = rf"(?<!{_L})(?<![.+-]){re.escape(one)}(?!{_L}|-|\.{_L})"
        text = re.sub(pattern, lambda hit: "\x00" * len(hit[0]), text, flags=re.IGNORECASE)
    return text


# -- addresses and numbers --------------------------------------------------------------------------------------------

# Letters of scripts that are written without spaces end an address: 写信到mina@example.com谢谢.
_L: Final = r"[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
_LOCAL: Final = rf"(?:{_L}|[.%+'-]){{1,64}}"
_LABEL: Final = rf"(?:{_L}|-){{1,63}}"
_AT: Final = r"\s{0,2}[\[({<]\s{0,2}(?:at|@)\s{0,2}[\])}>]\s{0,2}"
_DOT: Final = r"\s{0,2}(?:\.|[\[({<]\s{0,2}(?:dot|\.)\s{0,2}[\])}>]|\sdot\s)\s{0,2}"
_EMAIL: Final = re.compile(
    rf"{_LOCAL}@{_LABEL}(?:\.{_LABEL}){{1,8}}"
    rf"|{_LOCAL}%40{_LABEL}(?:\.{_LABEL}){{1,8}}"
    rf"|{_LOCAL}\s{{0,2}}@\s{{1,2}}{_LABEL}(?:\.{_LABEL}){{1,8}}"
    rf"|{_LOCAL}{_AT}{_LABEL}(?:{_DOT}{_LABEL}){{1,4}}"
    rf"|{_LOCAL}\s{{1,2}}at\s{{1,2}}{_LABEL}(?:\s{{1,2}}dot\s{{1,2}}{_LABEL}){{1,4}}",
    re.IGNORECASE,
)

_NUMBER: Final = re.compile(
    r"(?<![A-Za-z0-9_$€£¥#])(?<![0-9][.,])\+?\(?[0-9](?:[0-9 ()./\u00b7-]){6,28}(?<=[0-9])(?![A-Za-z0-9_%])"
)
_AMOUNT: Final = re.compile(
    r"(?:0|[1-9][0-9]*)\.[0-9]+|[0-9]{1,3}(?:\.[0-9]{3}){2,}"
    r"|[0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-/.])[0-9]{1,2}\2[0-9]{4}"
    r"|[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
)
"""Sums, days, and addresses of machines."""

_PAGE: Final = re.compile(r"(https?://[^\s/?#]{1,253}/[^\s/?#]{1,200}/)([A-Za-z0-9/_.~%-]{1,500})", re.IGNORECASE)
"""Below the first part of a link's path numbers are those of pages. Where they are that part, they may call people."""

_NUMBERED: Final = re.compile(
    r"(?:\b(?:order|ticket|case|request)(?: ?(?:number|no|nr|id))?|[单單](?:号码|號碼|号|號|编号|編號)?)"
    r"[.:#]{0,2} {0,2}$",
    re.IGNORECASE,
)
_LONGEST_NUMBERED: Final = 24
"""Characters before a number that say whose it is."""


def _emails(text: str) -> Iterator[tuple[int, int]]:
    for hit in _EMAIL.finditer(text):
        yield hit.span()


def _phones(text: str) -> Iterator[tuple[int, int]]:
    text = _PAGE.sub(lambda hit: hit[1] + "\x00" * len(hit[2]), text)
    for hit in _NUMBER.finditer(text):
        for start, end in _without_amounts(hit):
            if _is_phone(text[start:end]) and not _is_of_order(text, start, end):
                yield start, end


def _is_of_order(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - _LONGEST_NUMBERED) : start]
    return re.fullmatch(r"[0-9-]+", text[start:end]) is not None and _NUMBERED.search(before) is not None


def _without_amounts(hit: re.Match[str]) -> Iterator[tuple[int, int]]:
    """What is left of a run of digits once sums and days are taken out. With a plus before it, all of it."""
    start = hit.start()
    if hit[0].startswith("+"):
        yield hit.span()
        return
    for word in re.finditer(r"[^ ]+", hit[0]):
        if _AMOUNT.fullmatch(word[0].strip("()/-")):
            yield start, hit.start() + word.start()
            start = hit.start() + word.end()
    yield start, hit.end()


def _is_phone(said: str) -> bool:
    """Eight digits or more in groups or behind a plus, ten without: fewer are a sum or a block's number."""
    digits = sum(letter in "0123456789" for letter in said)
    grouped = not said.strip().isdigit()
    if said.startswith("+") and _AMOUNT.fullmatch(said[1:]):
        return False
    return (8 if grouped else 10) <= digits <= 15


# -- names ------------------------------------------------------------------------------------------------------------

_EVERYDAY: Final = frozenset(
    re.findall(
        r"\w+",
        """about account admin again and any application are ask been binance bitcoin blockchain btc chain coin coins
        contact crypto customer dear defi direct directly ethereum exchange finance for from fund funds good hello
        help holder home hope info king long mail may message messages money moon more need new news nft not now
        office official our page please private read real reply rich see sent service sol solana sorry support
        team thank thanks that the there this today token trader trading tron trust usdt user wallet was we web
        will win with write written yes you young your
        客服 用户 钱包 支持 帮助 官方 比特币 你好 谢谢 先生 女士""",
    )
)
"""Alone they name nobody: whoever calls himself Crypto King could be told nothing of crypto otherwise."""
_DENSE: Final = r"\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_MOST_WORDS: Final = 4
"""Whoever calls himself by a whole sentence is named by all of it only."""


def _called(folded: str, wanted: Collection[str]) -> Iterator[tuple[int, int]]:
    # Syllables may be written in pieces.
    for one in sorted({*wanted, *(unicodedata.normalize("NFD", one) for one in wanted)}):
        bounds = ("", "") if re.fullmatch(rf"[{_DENSE}]+", one) else (rf"(?<![^\W{_DENSE}])", rf"(?![^\W{_DENSE}])")
        for hit in re.finditer(bounds[0] + re.escape(one) + bounds[1], folded):
            yield hit.span()


def _parts(name: str) -> Iterator[str]:
    """The name, and each word of it, where they are long enough to name him. An address names by what is before @."""
    local, at, _ = name.partition("@")
    if at and local:
        yield from (one for one in (local.strip(),) if _tells(one))
        return
    words = [word for word in re.split(r"[\W_]+", name) if word]
    if len(words) > 1 and not all(word in _EVERYDAY for word in words):
        yield name
    if len(words) <= _MOST_WORDS:
        for word in words:
            yield from (one for one in (word, _given(word)) if _tells(one))


def _given(word: str) -> str:
    """Chinese names begin with the family's; without it he is named as well."""
    return word[1:] if re.fullmatch(r"[\u3400-\u9fff]{3}", word) else ""


def _tells(word: str) -> bool:
    if word in _EVERYDAY:
        return False
    letters = sum(letter.isalnum() for letter in word)
    if word.isdigit():
        return letters > 4
    return letters >= (2 if re.search(rf"[{_DENSE}]", word) else 3)
