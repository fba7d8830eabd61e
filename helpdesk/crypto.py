"""Keys and sealing: AES-256-GCM with the row as associated data.

The master keys come from `HELPDESK_SECRET_KEY` and never touch the database. They wrap one key per inbox and one per
contact; these wrap a data key per raw item and blob. Filing re-wraps a data key from the inbox's to the contact's, so
that destroying one contact's key erases everything that he sent.
"""

from __future__ import annotations

import hmac
import secrets
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from helpdesk.config import parse_secret_key
from helpdesk.errors import HelpdeskError

_NONCE = 12
KEY_BYTES = 32


class CannotOpen(HelpdeskError):
    """The key is gone (erased, or not in `HELPDESK_SECRET_KEY`), or the bytes were changed."""

    slug, status, title = "cannot_open", 410, "This was erased, or its key is not here"


class Keyring:
    """The master keys of an installation, the current one first."""

    def __init__(self, secret_key: str) -> None:
        self._keys = parse_secret_key(secret_key)
        self.current = next(iter(self._keys))
        self.subkey = lru_cache(maxsize=64)(self._subkey)

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(self._keys)

    def _subkey(self, purpose: str, key_id: int | None = None) -> bytes:
        """A key of its own for each purpose (HKDF-SHA256, RFC 5869). Raises `CannotOpen` for an id that is not here."""
        master = self._keys.get(self.current if key_id is None else key_id)
        if master is None:
            raise CannotOpen
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"helpdesk/{purpose}".encode()).derive(master)

    def seal(self, plain: bytes, *, row: str) -> bytes:
        """Encrypt under the current master key: one byte of key id, then nonce and ciphertext."""
        return bytes([self.current]) + encrypt(self.subkey("wrap", None), plain, row=row)

    def open(self, sealed: bytes, *, row: str) -> bytes:
        """Undo `seal`, whichever of the keys it was done with."""
        return decrypt(self.subkey("wrap", sealed[0]), sealed[1:], row=row)

    def digest(self, purpose: str, text: str) -> str:
        """A keyed digest, for values that are looked up but must not be guessed offline."""
        return hmac.new(self.subkey(purpose, min(self._keys)), text.encode(), sha256).hexdigest()


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def encrypt(key: bytes, plain: bytes, *, row: str) -> bytes:
    """`row` names the place (`inbox:ID:secrets`): a ciphertext copied to another row does not open."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, row.encode())


def decrypt(key: bytes, sealed: bytes, *, row: str) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], row.encode())
    except (InvalidTag, ValueError):
        raise CannotOpen from None
