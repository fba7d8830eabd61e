"""Whether texts say the same: fingerprints of which few bits differ where few words do (SimHash, Charikar 2002)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from helpdesk.domain.bits import BITS, differing_bits, signed, unsigned
from helpdesk.domain.search_folding import fold

BANDS: Final = 4
ALIKE: Final = BANDS - 1
"""So many bits of two that say the same may differ: then one of the bands is equal."""

_LEAST: Final = 40
_PIECE: Final = 4
_LINK: Final = re.compile(
    r"(?i)\b(?:https?://|www\.)\S+|\b[a-z0-9-]{2,63}\.(?:com|net|org|io|me|xyz|top|vip|app|live|site|online)\b\S*"
)
_MENTION: Final = re.compile(r"[@＠][\w.]{1,64}")
_WALLET: Final = re.compile(r"\b(?:0x[0-9a-fA-F]{40}|bc1[a-z0-9]{20,80}|[13T][1-9A-HJ-NP-Za-km-z]{25,40})\b")
_LURE: Final = re.compile(
    r"(?i)\b(?:give\s?away|air\s?drop|bonus|double|doubling|free|claim|reward|prize|winner|invest(?:ment)?|profit|recover(?:y|ed)?"
    r"|hacker|whats\s?app|telegram|dm\s+me|inbox\s+me|contact\s+(?:him|her|them))\b"
    r"|空投|领取|領取|赠送|贈送|免费|免費|奖励|獎勵|加群|返利|翻倍|私信|客服微信|追回"
)


def is_lure(text: str) -> bool:
    """Whether a text has what a scam needs: a way out of here, and mostly a reason to take it.

    A complaint is none, however many people make the same one: it leads nowhere.
    """
    if len(text) < _LEAST:
        return False
    ways = bool(_LINK.search(text)) + bool(_WALLET.search(text)) + (len(_MENTION.findall(text)) > 1)
    return ways > 1 or (ways == 1 and _LURE.search(text) is not None)


def fingerprint(text: str) -> int:
    """Of what is said, without whom it mentions, where its links lead exactly, numbers and signs; signed, 64 bits."""
    bare = _WALLET.sub(" ", _MENTION.sub(" ", _LINK.sub(" ", text)))
    letters = "".join(letter for letter in fold(bare) if letter.isalpha())
    sums = [0] * BITS
    pieces = {letters[start : start + _PIECE] for start in range(max(len(letters) - _PIECE + 1, 1))}
    for piece in pieces:
        digest = int.from_bytes(blake2b(piece.encode(), digest_size=8).digest(), "big")
        for bit in range(BITS):
            sums[bit] += 1 if digest >> bit & 1 else -1
    return signed(sum(1 << bit for bit, total in enumerate(sums) if total > 0))


def bands(value: int) -> Sequence[int]:
    """Its parts of 16 bits each: those of two that are alike have at least one in common."""
    return [unsigned(value) >> (16 * band) & 0xFFFF for band in range(BANDS)]


def are_alike(one: int, other: int) -> bool:
    """Of two fingerprints."""
    return differing_bits(one, other) <= ALIKE
