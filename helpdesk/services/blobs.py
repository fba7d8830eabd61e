"""Blobs: encrypted, named by owner and content, written before the row that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.crypto import decrypt, encrypt, new_key
from helpdesk.db import insert_ignoring, new_id
from helpdesk.errors import NotFound
from helpdesk.models.inboxes import blobs
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys


def name_of(services: Services, *, owner: str, body: bytes) -> str:
    """The same bytes of the same owner have the same name; of another owner, another one, since keys differ."""
    return services.keyring.digest("blob", f"{owner}:{sha256(body).hexdigest()}")


async def put(
    services: Services, session: AsyncSession, keys: Keys, bodies: Sequence[bytes], *, owner: str, now: datetime
) -> list[UUID]:
    """Store bodies and their rows, one id per body in order. What the owner already holds is not written again.

    The files are durable before the caller commits; a roll-back leaves files that `sweep_orphans` finds.
    """
    names = [name_of(services, owner=owner, body=body) for body in bodies]
    known = await _find(session, names)
    for name, body in dict(zip(names, bodies, strict=True)).items():
        if name in known:
            continue
        data_key = new_key()
        await services.blobs.put(name, encrypt(data_key, body, row=f"blob:{name}"))
        await session.execute(
            insert_ignoring(session, blobs, on=["name"]).values(
                id=new_id(),
                name=name,
                size=len(body),
                data_key=keys.wrap(data_key, owner=owner, row=f"blob:{name}"),
                key_owner=owner,
                created_at=now,
            )
        )
    known = await _find(session, names)
    return [known[name] for name in names]


async def _find(session: AsyncSession, names: Sequence[str]) -> dict[str, UUID]:
    if not names:
        return {}
    found = await session.execute(select(blobs.c.name, blobs.c.id).where(blobs.c.name.in_(set(names))))
    return {name: identifier for name, identifier in found}


async def get(services: Services, session: AsyncSession, blob_id: UUID) -> bytes:
    """The plain bytes. Raises `NotFound`, or `CannotOpen` when the owner was erased."""
    row: Mapping[str, Any] | None = (
        (await session.execute(select(blobs).where(blobs.c.id == blob_id))).mappings().one_or_none()
    )
    if row is None:
        raise NotFound("the file is gone")
    keys = Keys(services.keyring)
    await keys.load(session, row["key_owner"])
    place = f"blob:{row['name']}"
    data_key = keys.unwrap(row["data_key"], owner=row["key_owner"], row=place)
    return decrypt(data_key, await services.blobs.get(row["name"]), row=place)
