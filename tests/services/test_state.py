"""What metrics count: what is under way, and what ever broke without counting it anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import insert

from helpdesk.models.events import followers, undistributed
from helpdesk.models.sla import sla_clocks
from helpdesk.services import state
from helpdesk.services.house import Services
from tests import factories

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


async def broken(services: Services, conversation_id: UUID, *, at: datetime, cycle: int) -> None:
    row = {"conversation_id": conversation_id, "kind": "next_response", "cycle": cycle, "channel": "email"}
    row |= {"inbox_id": uuid4(), "policy_id": uuid4(), "started_at": at, "breached_at": at, "detected_at": at}
    async with services.database.transaction() as session:
        await session.execute(insert(sla_clocks).values(row))


async def counted(services: Services, *, now: datetime, before: state.Counts | None = None) -> state.Counts:
    async with services.database.reading() as session:
        return await state.count(session, now=now, before=before.breaches if before else None)


async def test_what_broke_is_counted_once_and_what_is_over_is_not(services: Services) -> None:
    desk = await factories.inbox(services)
    mine = await factories.conversation(services, inbox_id=desk, now=NOON - 5 * HOUR)
    for status in ("resolved", "pending"):
        await factories.conversation(services, inbox_id=desk, now=NOON - HOUR, status=status)
    for cycle, ago in enumerate((3 * HOUR, 61 * MINUTE, 59 * MINUTE), 1):
        await broken(services, mine, at=NOON - ago, cycle=cycle)
    await factories.rating(services, mine, rated_at=NOON - HOUR, score=4)
    await factories.rating(services, mine, rated_at=NOON - 8 * 24 * HOUR, score=4)
    await factories.rating(services, mine, state="planned", asked_at=None, expires_at=None)
    async with services.database.transaction() as session:
        await session.execute(insert(followers).values(name="search", position=0))
    found = await counted(services, now=NOON)
    assert dict(found.conversations) == {"open": 1, "pending": 1, "snoozed": 0}
    assert (found.waited, found.unasked, found.ratings["4"], found.ratings["1"]) == (5 * 3600.0, 1, 1, 0)
    assert found.behind["search"] == 0
    assert (found.breaches.many, found.breaches.settled) == (3, 2)
    # Two of them are known for good; a later one that tells of the hour between is not missed.
    await broken(services, mine, at=NOON - 30 * MINUTE, cycle=4)
    later = await counted(services, now=NOON + 2 * HOUR, before=found)
    assert (later.breaches.many, later.breaches.settled) == (4, 4)
    assert (await counted(services, now=NOON + 3 * HOUR, before=later)).breaches.many == 4


async def test_what_has_its_position_and_was_handed_on_to_nobody_counts_as_unrelayed(services: Services) -> None:
    async with services.database.transaction() as session:
        await session.execute(insert(undistributed).values(position=1))
        await session.execute(insert(followers).values(name="numbered", position=1))
    found = await counted(services, now=NOON)
    assert (found.unrelayed, dict(found.behind)) == (1, {})
