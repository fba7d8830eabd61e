"""What a picture looks like in 64 bits, so that small changes to it change few of them."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from helpdesk.domain.bits import signed

MOST_BYTES: Final = 1024 * 1024
_MOST_PIXELS: Final = 4096 * 4096
_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF")
"""What is shown beside a name anywhere. Pillow knows forty more, and starts Ghostscript to read one of them."""


class NoPicture(Exception):
    """The bytes are none, or one that is larger than any that is shown beside a name."""


def difference_hash(body: bytes) -> int:
    """Whether each of 8 × 8 spots is brighter than the one to its right, as a signed number of 64 bits.

    Raises `NoPicture`. Decoding a stranger's file belongs into a process of its own.
    """
    from PIL import Image  # where it is used: nobody else's start has to wait for it

    try:
        with Image.open(BytesIO(body), formats=_FORMATS) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise NoPicture
            small = picture.convert("L").resize((9, 8)).tobytes()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise NoPicture from None
    bits = (small[9 * row + column] > small[9 * row + column + 1] for row in range(8) for column in range(8))
    return signed(int("".join("1" if bit else "0" for bit in bits), 2))
