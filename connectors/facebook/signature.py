"""Whether the vendor posted these bytes: a signature over exactly what came, made with the app's secret.

What was parsed and written again would be other bytes: the vendor escapes letters in its own way.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

HEADER: Final = "x-hub-signature-256"

_SIGNATURE: Final = re.compile(r"sha256=([0-9a-f]{64})", re.IGNORECASE)


def is_signed(body: bytes, given: str, secret: str) -> bool:
    """`given` is what the header says."""
    found = _SIGNATURE.fullmatch(given.strip())
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return found is not None and hmac.compare_digest(found[1].lower(), made)


def same(one: str, other: str) -> bool:
    """In a time that tells nothing of where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
