"""Words: English ones by their stems, Chinese ones out of a run of letters, and those that say nothing alone."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_EMPTY: Final = (
    "a an and are as at be been but by can could did do does for from had has have he her his how i if in into is it "
    "its me my of on or our s she so t that the their them then there they this to us was we were what when where "
    "which who why will with would you your please hi hello"
)
EMPTY: Final = frozenset(_EMPTY.split())
"""English words that a query is better asked without, as long as it has another."""

PARTICLES: Final = frozenset("的了吗呢吧啊呀嘛我你他您们是在有和与及或就都也还很请")
"""The same in Chinese: they stand in nearly every text, and people leave them out or put them in as they like."""

_IRREGULAR: Final = {
    form: verb
    for verb, forms in {
        "break": "broke broken",
        "bring": "brought",
        "buy": "bought",
        "choose": "chose chosen",
        "find": "found",
        "forget": "forgot forgotten",
        "freeze": "froze frozen",
        "get": "got gotten",
        "give": "gave given",
        "go": "went gone",
        "hold": "held",
        "keep": "kept",
        "leave": "left",
        "lose": "lost",
        "make": "made",
        "mean": "meant",
        "pay": "paid",
        "receive": "receipt receipts",
        "see": "saw seen",
        "sell": "sold",
        "send": "sent",
        "show": "shown",
        "spend": "spent",
        "steal": "stole stolen",
        "take": "took taken",
        "tell": "told",
        "think": "thought",
        "withdraw": "withdrew withdrawn",
        "write": "wrote written",
    }.items()
    for form in forms.split()
}


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """What the forms of an English word have in common; any other word as it is.

    Rules of spelling do not know that who withdrew made a withdrawal, so the verbs of the trade are listed.
    """
    if len(word) < 3 or not (word.isascii() and word.isalpha()):
        return word
    found = _stemmer()(_IRREGULAR.get(word, word))
    # verify, verified and verification: the last loses one letter more.
    return found[:-1] if found.endswith("ifi") else found


def segment(run: str) -> list[str]:
    """The words of a run of Han letters, which together are the run."""
    return _segmenter()(run)


@cache
def _stemmer() -> Callable[[str], str]:
    import snowballstemmer  # not before there is a word to be indexed or looked for

    made: Callable[[str], str] = snowballstemmer.stemmer("english").stemWord
    return made


@cache
def _segmenter() -> Callable[[str], list[str]]:
    import rjieba  # its dictionary takes a third of a second to read

    made: Callable[[str], list[str]] = rjieba.cut
    return made
