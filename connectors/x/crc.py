"""Who vouches for whom at the webhook: a challenge is answered, and a body is believed, by the app's own secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

_CHALLENGE = re.compile(r"[A-Za-z0-9_+/=.-]{1,256}")


def answer(secret: str, challenge: str) -> str | None:
    """What proves that the secret is here; None where the challenge is none.

    Challenges and bodies are signed with one secret in one way, and anybody may ask: whoever could have any text
    answered could sign any body. So nothing is answered that could stand for a body, which begins with a brace.
    """
    return signature(secret, challenge.encode()) if _CHALLENGE.fullmatch(challenge) else None


def signature(secret: str, body: bytes) -> str:
    """As the header `x-twitter-webhooks-signature` has it. An empty secret signs nothing: callers refuse it before."""
    return "sha256=" + base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def signed(secret: str, body: bytes, header: str) -> bool:
    return hmac.compare_digest(signature(secret, body).encode(), header.encode("utf-8", "surrogateescape"))
