"""Blobs: encrypted, written before the row that names them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.crypto import decrypt, encrypt, new_key
from helpdesk.db import insert_ignoring, new_id
from helpdesk.errors import NotFound
from helpdesk.models.inboxes import blobs
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys


def digest_of(services: Services, *, owner: str, body: bytes) -> str:
    """The address of these bytes of this owner. Keyed: a stolen database must not tell who holds a known file."""
    return services.keyring.digest("blob", f"{owner}:{sha256(body).hexdigest()}")


async def put(
    services: Services, session: AsyncSession, keys: Keys, bodies: Sequence[bytes], *, owner: str, now: datetime
) -> list[UUID]:
    """Store bodies and their rows, one id per body in order. What the owner already holds is not written again.

    The files are durable before the caller commits; after a roll-back `sweep_orphans` finds them.
    """
    wanted = [digest_of(services, owner=owner, body=body) for body in bodies]
    known = await _find(session, wanted)
    for digest, body in dict(zip(wanted, bodies, strict=True)).items():
        if digest in known:
            continue
        identifier, data_key, name = new_id(), new_key(), uuid4().hex
        await services.blobs.put(name, encrypt(data_key, body, row=f"blob:{name}"))
        await session.execute(
            insert_ignoring(session, blobs, on=["digest"]).values(
                id=identifier,
                digest=digest,
                name=name,
                size=len(body),
                data_key=keys.wrap(data_key, owner=owner, row=f"blob:{name}"),
                key_owner=owner,
                created_at=now,
            )
        )
    # Read back rather than remembered: another writer may have been first, and then his row is the one that counts.
    known = await _find(session, wanted)
    return [known[digest] for digest in wanted]


async def _find(session: AsyncSession, digests: Sequence[str]) -> dict[str, UUID]:
    if not digests:
        return {}
    found = await session.execute(select(blobs.c.digest, blobs.c.id).where(blobs.c.digest.in_(set(digests))))
    return dict(found.tuples().all())


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
