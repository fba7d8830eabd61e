"""Addresses that somebody types: one plain mailbox, or refused. Nothing is repaired.

What is left of a hostile address after cleaning is somebody's address. What is taken here, the e-mail channel can write
to (`tests/domain/test_mail_addresses.py` holds the two together), and finds again when mail comes from there.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import idna

LONGEST: Final = 254
"""RFC 5321 section 4.5.3.1.3, without the brackets."""

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-\u0080-\U0010ffff]+")
_DOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+")


def handle_of(typed: str) -> str | None:
    """The address as handles are compared (lower case, its domain readable), or None where it is no address."""
    text = typed.strip()
    local, at, domain = text.rpartition("@")
    if not at or len(text) > LONGEST or len(local.encode("utf-8", "replace")) > 64:
        return None
    if not _LOCAL.fullmatch(local) or any(unicodedata.category(one)[0] in "CZ" for one in local):
        return None
    try:
        ascii_domain = idna.encode(domain, uts46=True).decode("ascii") if not domain.isascii() else domain.lower()
        readable = idna.decode(ascii_domain) if "xn--" in ascii_domain else ascii_domain
    except idna.IDNAError:
        return None
    return f"{local}@{readable}".lower() if _DOMAIN.fullmatch(ascii_domain) else None
