"""Reply tokens: what makes a mail that comes back find its conversation.

22 bytes, one of key id, five of conversation number, sixteen of HMAC-SHA256 over both and the recipient; written as 36
characters of lower-case base32, since mail servers fold the case of what stands before the @. A token routes. It never
says who the sender is.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from hashlib import sha256

LENGTH = 36
_BYTES = 22
_MAC = 16


@dataclass(frozen=True, slots=True)
class Token:
    """A well-formed token, not yet verified."""

    key_id: int
    number: int
    mac: bytes


def issue(key: bytes, *, key_id: int, number: int, recipient: str) -> str:
    """The token for one recipient of one conversation. The same arguments give the same token."""
    head = bytes([key_id]) + number.to_bytes(5, "big")
    return base64.b32encode(head + _mac(key, head, recipient)).decode().rstrip("=").lower()


def read(text: str) -> Token | None:
    """Parse a token; None unless it is spelt exactly as `issue` spells it (apart from case)."""
    folded = text.lower()
    if len(folded) != LENGTH:
        return None
    try:
        raw = base64.b32decode(folded.upper() + "====")
    except ValueError:
        return None
    # Four bits of the last character carry nothing: without this, sixteen spellings would be one token.
    if len(raw) != _BYTES or base64.b32encode(raw).decode().rstrip("=").lower() != folded:
        return None
    return Token(raw[0], int.from_bytes(raw[1:6], "big"), raw[6:])


def verify(key: bytes, token: Token, *, recipient: str) -> bool:
    """Whether `token` was issued under `key` to `recipient`, in constant time."""
    head = bytes([token.key_id]) + token.number.to_bytes(5, "big")
    return hmac.compare_digest(_mac(key, head, recipient), token.mac)


def _mac(key: bytes, head: bytes, recipient: str) -> bytes:
    return hmac.new(key, head + recipient.strip().lower().encode(), sha256).digest()[:_MAC]
