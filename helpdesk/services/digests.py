"""What is stored of what is known to its owner alone."""

from __future__ import annotations

from hashlib import sha256


def digest_of(secret: str) -> str:
    """What is stored of a token, a cookie, a link or a recovery code.

    They hold at least 80 random bits, so a plain hash cannot be guessed back.
    """
    return sha256(secret.encode(errors="surrogatepass")).hexdigest()
