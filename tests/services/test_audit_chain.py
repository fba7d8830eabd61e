"""The audit's chain over a real database: made by one at a time, and neither changed nor cut without being found."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import new_id
from helpdesk.domain.audit_chain import BEGINNING, Broken, Link
from helpdesk.domain.values import SYSTEM
from helpdesk.models.events import audit, audit_anchors
from helpdesk.services import audit as auditing
from helpdesk.services import audit_chain
from helpdesk.services.audit_chain import Anchor
from helpdesk.services.house import Services
from tests.conftest import ON_ONE_DATABASE

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
NEXT_DAY = NOON + timedelta(days=1)


async def happen(services: Services, count: int, *, now: datetime = NOON, **data: Any) -> None:
    async with services.database.transaction() as session:
        for number in range(count):
            given: Any = {"subject": "team", "subject_id": new_id(), "data": {"number": number, "half": 0.5, **data}}
            await auditing.record(session, "team.updated", **given, by=SYSTEM, now=now + timedelta(seconds=number))


async def chain(services: Services, *, now: datetime = NOON) -> tuple[int, Anchor | None]:
    async with services.database.transaction() as session:
        return await audit_chain.extend(session, now=now)


async def stored(services: Services) -> list[Any]:
    async with services.database.reading() as session:
        return list((await session.execute(select(audit).order_by(audit.c.position))).mappings().all())


async def by_force(services: Services, *statements: Any) -> None:
    """As somebody who owns the database: without its triggers."""
    async with services.database.engine.execution_options(write=True).begin() as connection:
        if services.database.is_postgresql:
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            for name in ("audit_is_kept", "audit_is_whole", "audit_anchors_is_kept", "audit_anchors_is_whole"):
                await connection.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            await connection.execute(statement)


async def test_entries_get_their_places_after_the_commit_and_in_the_order_of_their_ids(services: Services) -> None:
    await happen(services, 2, name="é 漢")
    assert [row["position"] for row in await stored(services)] == [None, None]
    assert await chain(services) == (2, None)
    assert await chain(services) == (0, None)
    await happen(services, 1)
    await chain(services)
    rows = await stored(services)
    assert [row["position"] for row in rows] == [1, 2, 3]
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert await audit_chain.verify(services.database) == Link(3, rows[2]["digest"])
    exported = [entry async for entry in audit_chain.entries(services.database)]
    assert [(one["position"], one["digest"]) for one in exported] == [(r["position"], r["digest"]) for r in rows]
    assert exported[0]["data"] == {"number": 0, "half": 0.5, "name": "é 漢"}


async def test_a_chain_longer_than_a_batch_is_made_and_walked_in_pages(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_chain, "BATCH", 3)
    await happen(services, 6)
    assert [(await chain(services, now=NEXT_DAY))[0] for _ in range(3)] == [3, 3, 0]
    assert [row["position"] for row in await stored(services)] == [1, 2, 3, 4, 5, 6]
    assert isinstance(await audit_chain.verify(services.database), Link)
    assert len([one async for one in audit_chain.entries(services.database)]) == 6


async def test_of_many_who_chain_at_once_each_entry_gets_one_place(services: Services) -> None:
    async def work() -> None:
        await happen(services, 3)
        await chain(services)

    await asyncio.gather(*(work() for _ in range(6)))
    while (await chain(services))[0]:
        pass
    assert [row["position"] for row in await stored(services)] == list(range(1, 19))
    assert isinstance(await audit_chain.verify(services.database), Link)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_whoever_comes_while_another_chains_does_nothing(services: Services) -> None:
    await happen(services, 1)
    async with services.database.transaction() as first:
        assert (await audit_chain.extend(first, now=NOON))[0] == 1
        assert await chain(services) == (0, None)
    assert await chain(services) == (0, None)
    assert [row["position"] for row in await stored(services)] == [1]


async def refused(session: AsyncSession, *statements: Any) -> None:
    for statement in statements:
        with pytest.raises(DBAPIError, match="kept as they are"):
            async with session.begin_nested():
                await session.execute(statement)


async def test_the_database_refuses_to_change_what_is_written_but_for_chaining_it(services: Services) -> None:
    await happen(services, 1)
    async with services.database.transaction() as session:
        place = {"position": 1, "digest": "00"}
        await refused(session, *(update(audit).values(v) for v in ({"data": {}}, {"position": 1})))
        await refused(session, update(audit).values(**place, actor_kind="agent"), delete(audit))
    await chain(services, now=NEXT_DAY)
    changes = {"action": "team.created"}, {"position": 7}, {"digest": "00"}, {"position": None, "digest": None}
    async with services.database.transaction() as session:
        await refused(session, *(update(audit).values(values) for values in changes), delete(audit))
        await refused(session, update(audit_anchors).values(digest="00"), delete(audit_anchors))
    assert isinstance(await audit_chain.verify(services.database), Link)


@pytest.mark.parametrize(
    ("statements", "broken"),
    [
        ([update(audit).where(audit.c.position == 2).values(actor_id=new_id())], Broken(2, "changed")),
        ([delete(audit).where(audit.c.position == 2)], Broken(2, "gap")),
        ([delete(audit).where(audit.c.position > 2)], Broken(3, "gap")),
        ([update(audit_anchors).values(digest="ab" * 32)], Broken(3, "anchor")),
    ],
    ids=["changed", "taken out", "cut off", "an anchor"],
)
async def test_what_is_done_by_force_is_found(services: Services, statements: Any, broken: Broken) -> None:
    await happen(services, 3)
    await chain(services, now=NEXT_DAY)
    await by_force(services, *statements)
    assert await audit_chain.verify(services.database) == broken


async def test_a_day_that_has_ended_gets_one_anchor_of_what_happened_until_then(services: Services) -> None:
    assert not await audit_chain.is_due(services.database, now=NOON)
    await happen(services, 2)
    await chain(services)
    assert not await audit_chain.is_due(services.database, now=NOON)
    await happen(services, 1, now=NEXT_DAY)
    assert await audit_chain.is_due(services.database, now=NEXT_DAY)
    count, anchor = await chain(services, now=NEXT_DAY)
    rows = await stored(services)
    assert (count, anchor) == (1, Anchor(NOON.date(), Link(2, rows[1]["digest"])))
    assert not await audit_chain.is_due(services.database, now=NEXT_DAY)
    assert await chain(services, now=NEXT_DAY) == (0, None)
    async with services.database.reading() as session:
        assert await audit_chain.anchor_of(session, NOON.date()) == Link(2, rows[1]["digest"])


@ON_ONE_DATABASE
async def test_an_anchor_kept_elsewhere_shows_what_the_database_does_not(services: Services) -> None:
    await happen(services, 3)
    _, anchor = await chain(services, now=NEXT_DAY)
    assert anchor is not None
    kept = anchor.link
    assert await audit_chain.verify(services.database, since=kept) == kept
    # Somebody who owns the database writes all of it anew, the anchors too.
    nothing = {"position": None, "digest": None}
    await by_force(services, update(audit).values(data={}, **nothing), delete(audit_anchors))
    await chain(services, now=NEXT_DAY)
    assert isinstance(await audit_chain.verify(services.database), Link)
    assert await audit_chain.verify(services.database, since=kept) == Broken(3, "anchor")
    assert await audit_chain.verify(services.database, since=Link(9, kept.digest)) == Broken(9, "gap")
    assert await audit_chain.verify(services.database, since=Link(1, BEGINNING.digest)) == Broken(1, "anchor")
