"""Signatures of outgoing webhooks, by Standard Webhooks 1.0 (symmetric, `v1`).

What is signed is `id.timestamp.body`, so the id must hold no full stop. The timestamp is the attempt's and not the
event's: a receiver refuses old ones, and a repeat must not look like a replay.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

PREFIX: Final = "whsec_"
FEWEST_BYTES: Final = 24
MOST_BYTES: Final = 64


def encode_secret(key: bytes) -> str:
    """The key as it is shown to whoever sets up the receiver."""
    return PREFIX + base64.b64encode(key).decode()


def decode_secret(secret: str) -> bytes:
    """The key of `whsec_<base64>`. Raises ValueError, whose text may be shown, for anything that is no such secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else b""
    except (binascii.Error, ValueError):
        key = b""
    if not FEWEST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(f"use whsec_ and the base64 of {FEWEST_BYTES} to {MOST_BYTES} random bytes")
    return key


def signature(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(decode_secret(secret), signed, sha256).digest()).decode()


def headers(secrets: Sequence[str], *, message_id: str, body: bytes, now: datetime) -> Mapping[str, str]:
    """The three headers of one attempt. Several secrets, one signature each: the old one is valid for a while."""
    timestamp = int(now.timestamp())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            signature(secret, message_id=message_id, timestamp=timestamp, body=body) for secret in secrets
        ),
    }
