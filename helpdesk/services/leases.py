"""Leases: what only one worker may do at a time. Times are the database's own, so clocks of workers do not matter."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Float, Integer, String, bindparam, cast, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import LeaseLost
from helpdesk.db import is_postgresql
from helpdesk.dialects import among, epoch
from helpdesk.models.inboxes import leases
from helpdesk.statements import Statement
from helpdesk.writes import Holding

_MINE = leases.c.name == bindparam("lease", type_=String()), leases.c.fence == bindparam("held", type_=Integer())

_WITH_FENCE = leases.c.name + " " + cast(leases.c.fence, String())

_RENEW = Statement(
    lambda: (
        update(leases)
        .where(among(leases.c.name, "names", "text"), among(_WITH_FENCE, "held", "text"))
        .values(expires_at=epoch() + bindparam("seconds", type_=Float()))
        .returning(leases.c.name)
    )
)

_CHECK = Statement(lambda: select(leases.c.name).where(*_MINE).with_for_update(read=True))


async def acquire(session: AsyncSession, name: str, *, owner: str, seconds: float) -> int | None:
    """Take a lease that is free or expired; answers its fence, or None while someone else holds it.

    Taking one's own lease again gives a new fence: what an earlier life of this owner still does is fenced off.
    """
    until = epoch() + seconds
    maker = postgresql.insert if is_postgresql(session) else sqlite.insert
    statement = maker(leases).values(name=name, owner=owner, fence=1, expires_at=until)
    statement = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"owner": owner, "fence": leases.c.fence + 1, "expires_at": until},
        where=or_(leases.c.expires_at < epoch(), leases.c.owner == owner),
    )
    fence: int | None = (await session.execute(statement.returning(leases.c.fence))).scalar_one_or_none()
    return fence


async def renew(session: AsyncSession, held: Mapping[str, int], *, seconds: float) -> dict[str, int]:
    """Keep leases, given by name with their fences. Nothing else may be done in the session.

    Answers those of them that went to others.
    """
    fences = [f"{name} {fence}" for name, fence in held.items()]
    kept = await _RENEW.rows(session, begin=False, names=list(held), held=fences, seconds=seconds)
    return {name: held[name] for name in held.keys() - {row["name"] for row in kept}}


async def check(session: AsyncSession, name: str, *, fence: int) -> None:
    """Raise `LeaseLost` unless the fence is current; it stays so until the transaction ends."""
    if not await _CHECK.rows(session, lease=name, held=fence):
        raise LeaseLost


def holding(name: str, *, fence: int) -> Holding:
    """The same as a condition of `write`."""
    return Holding(leases, {"name": name, "fence": fence})


async def release(session: AsyncSession, name: str, *, fence: int) -> None:
    """Give a lease back, at a clean end; the row stays for its fence."""
    await session.execute(update(leases).where(leases.c.name == name, leases.c.fence == fence).values(expires_at=0.0))


async def forget_owner(session: AsyncSession, owner: str) -> None:
    """Free everything that `owner` held, when it is known to be dead."""
    await session.execute(update(leases).where(leases.c.owner == owner).values(expires_at=0.0))
