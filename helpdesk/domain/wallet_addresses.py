"""Whether a word is the address of a wallet, or of a transaction, on one of the ledgers in use.

Where a form has a checksum it is reckoned, since words of the same shape are common (tokens, file names). Where it has
none, its length and its alphabet have to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

ADDRESS: Final = "address"
HASH: Final = "transaction_hash"

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RIPPLE: Final = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_KNOWN: Final = ("bc1", "tb1", "ltc1", "addr1", "stake1")
"""Their shape says enough: with a letter mistyped it is still his."""

_WORD: Final = re.compile(r"[A-Za-z0-9_-]{24,}|0[xX][0-9a-fA-F]+")
_HEX: Final = re.compile(r"(?:0[xX])?([0-9a-fA-F]+)")
_NAME: Final = re.compile(r"(?i)(?<![a-z0-9.-])[a-z0-9][a-z0-9-]{2,62}\.eth(?![a-z0-9-])")


def places(text: str) -> Iterator[tuple[str, int, int]]:
    """What it is, and from where to where it stands in the text."""
    for word in _WORD.finditer(text):
        for part in re.finditer(r"[^_-]+", word[0]) if _kind(word[0]) == "" else [word]:
            kind = _kind(part[0])
            if kind:
                start = word.start() + (part.start() if part is not word else 0)
                yield kind, start, start + len(part[0])
    for name in _NAME.finditer(text):
        yield ADDRESS, name.start(), name.end()


def _kind(word: str) -> str:
    """What the word is, empty where it is nothing of the kind."""
    digits = _HEX.fullmatch(word)
    if digits is not None and len(digits[1]) in (40, 64) and (len(digits[1]) == 64 or word[:2] in ("0x", "0X")):
        return HASH if len(digits[1]) == 64 else ADDRESS
    if _is_bech32(word) or re.fullmatch(r"(?:EQ|UQ|kQ|0Q)[A-Za-z0-9_-]{46}", word):
        return ADDRESS
    if re.fullmatch(r"[qp][02-9ac-hj-np-z]{41}", word) or re.fullmatch(r"[48][1-9A-HJ-NP-Za-km-z]{94}", word):
        return ADDRESS
    if not 24 <= len(word) <= 96 or not word.isalnum():
        return ""
    plain = _decoded(word, _BASE58)
    if len(plain) == 64 and len(word) >= 86:
        return HASH
    if (len(plain) == 32 and len(word) >= 43) or _is_checked(plain):
        return ADDRESS
    return ADDRESS if word[0] == "r" and _is_checked(_decoded(word, _RIPPLE)) else ""


def _decoded(word: str, alphabet: str) -> bytes:
    """The bytes that base 58 stands for, none where a letter is not of the alphabet."""
    value = 0
    for letter in word:
        digit = alphabet.find(letter)
        if digit < 0:
            return b""
        value = value * 58 + digit
    zeros = len(word) - len(word.lstrip(alphabet[0]))
    return b"\0" * zeros + value.to_bytes((value.bit_length() + 7) // 8, "big")


def _is_checked(found: bytes) -> bool:
    """Base58Check: a version, twenty bytes or more, and the first four of what they digest to, twice."""
    return len(found) >= 25 and sha256(sha256(found[:-4]).digest()).digest()[:4] == found[-4:]


def _is_bech32(word: str) -> bool:
    if word not in (word.lower(), word.upper()):
        return False
    word = word.lower()
    prefix, one, data = word.rpartition("1")
    if not one or not prefix.isalpha() or len(data) < 20 or any(letter not in _BECH32 for letter in data):
        return False
    if word.startswith(_KNOWN):
        return True
    values = [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix), *map(_BECH32.index, data)]
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check in (1, 0x2BC830A3)
