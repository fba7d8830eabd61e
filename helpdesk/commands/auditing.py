"""`helpdesk audit`: whether the chain is whole, and all of it to keep elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

import orjson

from helpdesk.commands.opened import opened
from helpdesk.config import Settings
from helpdesk.domain.audit_chain import Broken, Link
from helpdesk.errors import Invalid
from helpdesk.services import audit_chain

_REASONS = {
    "gap": "an entry is missing",
    "changed": "the entry is not what it was, or not where it was",
    "anchor": "it is not what the anchor says",
}


async def verify(settings: Settings, *, day: str | None, digest: str | None) -> tuple[str, bool]:
    """The line to print, and whether all is whole. Raises `Invalid`, and `NotFound` for a day without an anchor."""
    async with opened(settings) as services:
        since = None
        if day is not None and digest is not None:
            wanted = _read_day(day), _read_digest(digest)
            async with services.database.reading() as session:
                since = Link((await audit_chain.anchor_of(session, wanted[0])).position, wanted[1])
        found = await audit_chain.verify(services.database, since=since)
    if isinstance(found, Broken):
        return f"broken at position {found.position}: {_REASONS[found.reason]}", False
    if found.position == 0:
        return "nothing is chained yet", True
    first = 1 if since is None else since.position
    return f"whole from position {first} to {found.position}; its digest is {found.digest}", True


async def export(settings: Settings, *, tell: Callable[[str], object]) -> None:
    """One JSON object a line: what `domain.audit_chain` says is covered, and `digest`."""
    async with opened(settings) as services:
        async for entry in audit_chain.entries(services.database):
            tell(orjson.dumps(entry).decode())


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid.field("from", "give a day as YYYY-MM-DD") from None


def _read_digest(text: str) -> str:
    digest = text.strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise Invalid.field("anchor", "give the digest as it was logged: 64 hexadecimal digits")
    return digest
