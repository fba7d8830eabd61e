"""Keys of inboxes and contacts, and the data keys that they wrap.

A `key_owner` is `inbox:ID` or `contact:ID`, or `upload:KEY:ID` for a file that waits to be sent and belongs to nobody
yet (its key is derived from master key KEY). Opening something therefore needs its owner's row; `Keys` remembers
the ones that it has opened for as long as one piece of work lasts.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.crypto import CannotOpen, Keyring, decrypt, encrypt, new_key
from helpdesk.models.contacts import contacts
from helpdesk.models.inboxes import inboxes


class Keys:
    """Owner keys, opened on demand."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._open: dict[str, bytes] = {}

    def fork(self) -> Keys:
        """For a piece of work that knows what this one has opened so far, and leaves nothing behind."""
        other = Keys(self._keyring)
        other._open.update(self._open)
        return other

    def create(self, owner: str) -> bytes:
        """A new owner key, sealed for its row."""
        self._open[owner] = plain = new_key()
        return self._keyring.seal(plain, row=owner)

    def add(self, owner: str, sealed: bytes) -> None:
        """Make an owner's sealed key known, when its row was read anyway."""
        if owner not in self._open:
            self._open[owner] = self._keyring.open(sealed, row=owner)

    async def load(self, session: AsyncSession, owner: str) -> None:
        """Fetch the owner's key. Raises `CannotOpen` when the owner, or his key, is gone."""
        if owner in self._open:
            return
        kind, _, identifier = owner.partition(":")
        if kind == "upload":
            self._open[owner] = self._keyring.subkey(owner, int(identifier.partition(":")[0]))
            return
        table = contacts if kind == "contact" else inboxes
        sealed = await session.scalar(select(table.c.key).where(table.c.id == UUID(identifier)))
        if not sealed:
            raise CannotOpen
        self.add(owner, sealed)

    def wrap(self, data_key: bytes, *, owner: str, row: str) -> bytes:
        return encrypt(self._open[owner], data_key, row=row)

    def unwrap(self, wrapped: bytes, *, owner: str, row: str) -> bytes:
        return decrypt(self._open[owner], wrapped, row=row)

    def rewrap(self, wrapped: bytes, *, owner: str, to: str, row: str) -> bytes:
        """Hand a data key over from one owner to another."""
        return self.wrap(self.unwrap(wrapped, owner=owner, row=row), owner=to, row=row)
