"""Blobs: encrypted files that are durable before the row that names them is committed.

Storing has two halves, so that no transaction is open while a disk works: `stage` writes the encrypted bytes under a
random name, `adopt` makes rows of them. What is staged and never adopted is an orphan, and swept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.crypto import decrypt, encrypt, new_key
from helpdesk.db import new_id
from helpdesk.dialects import among
from helpdesk.errors import NotFound
from helpdesk.models.inboxes import blobs
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.statements import Statement
from helpdesk.writes import Insert, write

_LARGE = 512 * 1024


@dataclass(frozen=True, slots=True)
class Staged:
    """Bytes that are stored and belong to nobody yet. `content` is the SHA-256 of the plain bytes."""

    name: str
    size: int
    content: str
    data_key: bytes


async def stage(services: Services, bodies: Sequence[bytes]) -> list[Staged]:
    """Encrypt and store each body under a name and a key of its own."""

    async def one(body: bytes) -> Staged:
        name, data_key = uuid4().hex, new_key()
        # Half a gigabyte a second is fast, and fifty megabytes of it would still stall everybody else.
        work = asyncio.to_thread(_sealed, data_key, body, name) if len(body) > _LARGE else None
        sealed, content = await work if work else _sealed(data_key, body, name)
        await services.blobs.put(name, sealed)
        return Staged(name, len(body), content, data_key)

    return list(await asyncio.gather(*map(one, bodies)))


def _sealed(data_key: bytes, body: bytes, name: str) -> tuple[bytes, str]:
    return encrypt(data_key, body, row=f"blob:{name}"), sha256(body).hexdigest()


async def adopt(
    services: Services, session: AsyncSession, keys: Keys, owned: Sequence[tuple[str, Staged]], *, now: datetime
) -> list[UUID]:
    """Rows for staged bodies, each with its owner; one id for each, in order. What an owner holds is not held twice."""
    rows, wanted = made(services, keys, owned, now=now)
    (written,) = await write(session, Insert(blobs, list(rows.values()), unless=("digest",)))
    if written < len(rows):
        # Another writer was first somewhere, and then his row is the one that counts.
        found = await held(session, list(rows))
        return [found[digest] for digest in wanted]
    return [rows[digest]["id"] for digest in wanted]


_HELD = Statement(lambda: select(blobs.c.digest, blobs.c.id).where(among(blobs.c.digest, "digests", "text")))


async def held(session: AsyncSession, digests: Sequence[str]) -> dict[str, UUID]:
    """Which of these digests, of `made`, have a row already. Nobody is kept from adding others meanwhile."""
    return {row["digest"]: row["id"] for row in await _HELD.rows(session, begin=False, digests=list(digests))}


def made(
    services: Services, keys: Keys, owned: Sequence[tuple[str, Staged]], *, now: datetime
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The rows as they would be if nobody held any of it, by digest, and the digest of each body in order."""
    wanted = [services.keyring.digest("blob", f"{owner}:{blob.content}") for owner, blob in owned]
    rows: dict[str, dict[str, Any]] = {
        digest: {
            "id": new_id(),
            "digest": digest,
            "name": blob.name,
            "size": blob.size,
            "data_key": keys.wrap(blob.data_key, owner=owner, row=f"blob:{blob.name}"),
            "key_owner": owner,
            "created_at": now,
        }
        for digest, (owner, blob) in dict(zip(wanted, owned, strict=True)).items()
    }
    return rows, wanted


async def hand_over(session: AsyncSession, keys: Keys, to: Mapping[UUID, str]) -> None:
    """Re-wrap blobs' data keys for new owners, whose keys are open in `keys` as are the old owners'."""
    if not to:
        return
    for row in (await session.execute(select(blobs).where(blobs.c.id.in_(to)))).mappings().all():
        owner, place = to[row["id"]], f"blob:{row['name']}"
        wrapped = keys.rewrap(row["data_key"], owner=row["key_owner"], to=owner, row=place)
        await session.execute(update(blobs).where(blobs.c.id == row["id"]).values(data_key=wrapped, key_owner=owner))


async def sweep_orphans(services: Services, *, older_than: timedelta) -> int:
    """Delete stored bodies that no row names: what a rolled back or killed worker left. Answers how many."""
    swept = 0
    async for names in services.blobs.names(older_than=older_than):
        if not names:
            continue
        async with services.database.reading() as session:
            held = set((await session.execute(select(blobs.c.name).where(blobs.c.name.in_(names)))).scalars())
        for name in set(names) - held:
            await services.blobs.delete(name)
            swept += 1
    return swept


async def get(services: Services, session: AsyncSession, blob_id: UUID) -> bytes:
    """The plain bytes. Raises `NotFound`, or `CannotOpen` when the owner was erased."""
    row = (await session.execute(select(blobs).where(blobs.c.id == blob_id))).mappings().one_or_none()
    if row is None:
        raise NotFound("the file is gone")
    keys = Keys(services.keyring)
    await keys.load(session, row["key_owner"])
    place = f"blob:{row['name']}"
    data_key = keys.unwrap(row["data_key"], owner=row["key_owner"], row=place)
    return decrypt(data_key, await services.blobs.get(row["name"]), row=place)
