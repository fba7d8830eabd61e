"""Hashes of 64 bits, of which few bits differ where things are alike: signed, as both databases keep numbers."""

from __future__ import annotations

from typing import Final

BITS: Final = 64
_ALL: Final = (1 << BITS) - 1


def signed(value: int) -> int:
    """The bits of a number that is not negative."""
    return value - (1 << BITS) if value >> (BITS - 1) else value


def unsigned(value: int) -> int:
    """The same bits as a number that is not negative."""
    return value & _ALL


def differing_bits(one: int, other: int) -> int:
    """How many."""
    return unsigned(one ^ other).bit_count()
