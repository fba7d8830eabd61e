"""How much one account looks like another, to somebody who is in a hurry."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from helpdesk.domain.search_folding import fold

ALIKE: Final = 0.9
"""Names that are so much alike are taken for one another."""
NEARLY: Final = 0.75
"""Names that are if the picture is the same as well."""
SAME_PICTURE: Final = 6
"""So many of the 64 bits of a picture's hash may differ."""
_SHORTEST: Final = 4

# Letters of other scripts, digits and signs that stand for a Latin letter: the ones that names are forged with, by the
# looks of them in common typefaces. `fold` has taken accents, full widths and capitals away before.
_LOOKS_LIKE: Final = str.maketrans(
    {
        **dict(zip("013457896@$!|¡", "oieastbgbaslll", strict=True)),
        **dict(zip("абвгдезикмнопрстухьяіјѕԁԛѡҽһ", "abbrdeznkmhonpctyxbrijsdqweh", strict=True)),
        **dict(zip("αβγδεικνορτυωχ", "abydeikvoptuwx", strict=True)),
        **dict(zip("ɑɡɩʟսո", "agilun", strict=True)),
    }
)
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_ADDED: Final = re.compile(
    "official|support|help(?:desk|center|centre)?|service|team|care|assist(?:ance)?|admin|global|客服|官方|支持|支援|服务|中心"
)
"""What forgers add to a name that they have taken."""


@dataclass(frozen=True, slots=True)
class Names:
    """What an account is called: by its handle, and as it shows itself."""

    handle: str
    name: str = ""

    @property
    def skeletons(self) -> frozenset[str]:
        """What is left of them when all that the eye passes over is taken away. None is shorter than a word."""
        return frozenset(bone for bone in map(skeleton, (self.handle, self.name)) if len(bone) >= _least(bone))


def _least(bone: str) -> int:
    """A word of ideographs is shorter than one of letters."""
    return _SHORTEST if bone.isascii() else 2


def skeleton(name: str) -> str:
    """A name without what can be changed about it unseen: case, accents, look-alikes, separators, words of office."""
    plain = _ADDED.sub("", fold(name))
    bare = "".join(letter for letter in plain.translate(_LOOKS_LIKE) if letter.isalnum())
    bare = _ADDED.sub("", bare)
    for pair, one in _PAIRS:
        bare = bare.replace(pair, one)
    # One of the two stands for both: `I` and `l` are the same line in most typefaces.
    return bare.replace("i", "l")


def resemblance(other: Names, ours: Iterable[Names]) -> float:
    """From 0, nothing in common with any of ours, to 1, the same as one. A common beginning counts for more."""
    from rapidfuzz.distance import JaroWinkler  # where it is used: nobody's start has to wait for it

    theirs = other.skeletons
    pairs = ((one, mine) for names in ours for mine in names.skeletons for one in theirs)
    return max((JaroWinkler.similarity(one, mine) for one, mine in pairs), default=0.0)


def is_forged(score: float, distance: int | None) -> bool:
    """Whether somebody may be taken in: by the names alone, or by names and picture together."""
    return score >= ALIKE or (score >= NEARLY and distance is not None and distance <= SAME_PICTURE)
