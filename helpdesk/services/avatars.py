"""What a picture looks like in 64 bits, so that small changes to it change few of them."""

from __future__ import annotations

from io import BytesIO

from PIL import Image


def difference_hash(body: bytes) -> int:
    """Whether each of 8 × 8 spots is brighter than the one to its right, as a signed number of 64 bits.

    Raises `OSError` for what is no picture. Decoding a stranger's file belongs into a process of its own.
    """
    with Image.open(BytesIO(body)) as picture:
        small = picture.convert("L").resize((9, 8)).tobytes()
    bits = (small[9 * row + column] > small[9 * row + column + 1] for row in range(8) for column in range(8))
    unsigned = int("".join("1" if bit else "0" for bit in bits), 2)
    return unsigned - (1 << 64) if unsigned >> 63 else unsigned
