"""Who the host site says that a visitor is: a JWT (RFC 7519) that its own server has signed.

The inbox's settings choose the algorithm and the key, and the token's header has to agree: a token never chooses how it
is believed. `none` is on no list, and a public key is never used as a secret, since a key here has one algorithm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from connectors.chat.config import ChatConfig
from connectors.chat.forms import is_address
from helpdesk.live import Identity, IdentityRefused

LEEWAY_SECONDS: Final = 60
"""How far apart the clocks of the two sides may be."""

LONGEST_SECONDS: Final = 3600
MOST_CHARACTERS: Final = 4096
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LONGEST_TIME: Final = 2**40


def read(token: str, config: ChatConfig, inbox_id: UUID, *, now: datetime) -> Identity:
    """Raises `IdentityRefused`, with a fixed sentence for the developers of the host site."""
    if not config.vouched:
        raise IdentityRefused("this inbox takes no identities")
    claims = _verified(token, config)
    at = now.timestamp()
    if claims.get("aud") not in (str(inbox_id), [str(inbox_id)]):
        raise IdentityRefused("aud is not this inbox")
    expires = _time(claims, "exp")
    if expires is None:
        raise IdentityRefused("exp is needed")
    if expires <= at - LEEWAY_SECONDS:
        raise IdentityRefused("exp has passed")
    if expires > at + LONGEST_SECONDS + LEEWAY_SECONDS:
        raise IdentityRefused("exp is more than an hour ahead")
    for name in ("nbf", "iat"):
        begins = _time(claims, name)
        if begins is not None and begins > at + LEEWAY_SECONDS:
            raise IdentityRefused(f"{name} is in the future")
    email = _text(claims, "email", most=254)
    if email and not is_address(email):
        raise IdentityRefused("email is not an address")
    return Identity(
        subject=_text(claims, "sub", most=255, needed=True),
        proof=_text(claims, "jti", most=255, needed=True),
        expires_at=datetime.fromtimestamp(expires + LEEWAY_SECONDS, UTC),
        name=_text(claims, "name", most=200),
        email=email,
        language=language(_text(claims, "locale", most=35)),
    )


def _verified(token: str, config: ChatConfig) -> Mapping[str, Any]:
    """Claims with the right signature. joserfc is imported here, since it takes long and most visitors bring none."""
    from joserfc import jwk, jws
    from joserfc.errors import JoseError

    class Pinned(jws.JWSRegistry):
        """Knows these algorithms and no other, nor any warning: EdDSA goes by its old name and its new one."""

        def get_alg(self, name: str) -> Any:
            if name not in allowed:
                raise ValueError
            return self.algorithms[name]

    if len(token) > MOST_CHARACTERS or not _COMPACT.fullmatch(token):
        raise IdentityRefused("this is not a JWT")
    secret = config.identity_secret.get_secret_value()
    allowed = ("HS256",) if secret else ("EdDSA", "Ed25519")
    key: Any = jwk.OctKey.import_key(secret) if secret else jwk.OKPKey.import_key(config.identity_public_key)
    try:
        found = jws.deserialize_compact(token, key, registry=Pinned(strict_check_header=False))
    # Whatever a stranger's header makes the library trip over is a refusal as well.
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise IdentityRefused("the signature is not right") from None
    return _claims(found.payload)


def _claims(payload: bytes) -> Mapping[str, Any]:
    try:
        claims = orjson.loads(payload)
    except ValueError:
        raise IdentityRefused("the claims cannot be read") from None
    if not isinstance(claims, dict):
        raise IdentityRefused("the claims cannot be read")
    return claims


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LONGEST_TIME:
        raise IdentityRefused(f"{name} is not a time")
    return float(value)


def _text(claims: Mapping[str, Any], name: str, *, most: int, needed: bool = False) -> str:
    value = claims.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or len(value) > most or any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise IdentityRefused(f"{name} is not right")
    if needed and not value.strip():
        raise IdentityRefused(f"{name} is needed")
    return value.strip()


def language(tag: str) -> str:
    """One that we write in for a BCP 47 tag, or an empty text."""
    parts = tag.replace("_", "-").lower().split("-")
    if parts[0] == "en":
        return "en"
    if parts[0] == "zh":
        rest = set(parts[1:])
        return "zh-TW" if "hant" in rest or ("hans" not in rest and rest & {"tw", "hk", "mo"}) else "zh-CN"
    return ""
