"""The relay: positions after the commit, dense and in order; a subscriber that fails is kept, and holds nobody up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.db import insert_rows, new_id
from helpdesk.domain.events import InboxFailing
from helpdesk.models.conversations import tags
from helpdesk.models.events import events, followers, pending_work, undistributed
from helpdesk.services import leases, relay
from helpdesk.services.events import record, row
from helpdesk.services.house import Services
from workers.relaying import LEASE, Relaying


async def _happen(services: Services, *kinds: str) -> None:
    async with services.database.transaction() as session:
        await record(session, *(InboxFailing(inbox_id=new_id(), kind=kind) for kind in kinds), now=clock.now())


async def _positions(services: Services) -> list[tuple[str, int | None]]:
    async with services.database.reading() as session:
        found = await session.execute(select(events.c.data, events.c.position).order_by(events.c.position))
        return [(row[0]["kind"], row[1]) for row in found]


async def _pending(services: Services) -> list[Any]:
    async with services.database.reading() as session:
        return list((await session.execute(select(pending_work))).mappings().all())


class Noting:
    """A subscriber that writes what it is told into a table, and then fails at what it was told to."""

    __name__ = "noting"

    def __init__(self, *fails_at: str) -> None:
        self.fails_at = set(fails_at)

    async def __call__(self, services: Services, session: AsyncSession, happened: Sequence[Any], *, now: Any) -> None:
        for event in happened:
            kind = event["data"]["kind"]
            await session.execute(insert(tags).values(name=kind, created_at=now))
            if kind in self.fails_at:
                raise ValueError("on purpose")

    @staticmethod
    async def noted(services: Services) -> set[str]:
        async with services.database.reading() as session:
            return set((await session.execute(select(tags.c.name))).scalars())


async def _relay(services: Services, subscriber: Noting) -> None:
    async with services.database.transaction() as session:
        fence = await relay.acquire(session, LEASE, owner="test", seconds=60)
        assert fence is not None
        subscriptions = {InboxFailing.type: (subscriber,)}
        how: dict[str, Any] = {"lease": LEASE, "fence": fence, "careful": True, "now": clock.now()}
        await relay.relay(services, session, subscriptions, **how)


async def test_a_relay_whose_lease_went_to_another_positions_nothing(quick: Services) -> None:
    await _happen(quick, "a")
    for owner in ("first", "first"):
        async with quick.database.transaction() as session:
            fence = await relay.acquire(session, LEASE, owner=owner, seconds=60)
    assert fence == 2
    for late, positions in ((1, [("a", None)]), (2, [("a", 1)])):
        async with quick.database.transaction() as session:
            await relay.relay(quick, session, {}, lease=LEASE, fence=late, careful=False, now=clock.now())
        assert await _positions(quick) == positions


async def test_positions_follow_the_order_of_events_without_a_gap(quick: Services) -> None:
    relaying = Relaying(quick, worker="one")
    await _happen(quick, "a", "b")
    await relaying.step()
    await _happen(quick, "c")
    await relaying.step()
    assert await _positions(quick) == [("a", 1), ("b", 2), ("c", 3)]
    await relaying.close()


async def test_only_one_relay_works_and_the_next_one_follows(quick: Services) -> None:
    first, second = Relaying(quick, worker="first"), Relaying(quick, worker="second")
    await _happen(quick, "a")
    await first.step()
    await _happen(quick, "b")
    assert await second.step() == 0
    assert await _positions(quick) in ([("a", 1), ("b", None)], [("b", None), ("a", 1)])
    await first.close()
    await second.step()
    assert await _positions(quick) == [("a", 1), ("b", 2)]
    await second.close()


async def _tell_alongside(services: Services, relaying: Relaying, *kinds: str) -> None:
    async with relaying.alongside() as telling:
        assert telling is not None
        async with services.database.transaction() as session, telling(session):
            for kind in kinds:
                await record(session, InboxFailing(inbox_id=new_id(), kind=kind), now=clock.now())


@pytest.fixture
async def relaying(quick: Services) -> AsyncIterator[Relaying]:
    """One that has the lease already."""
    made = Relaying(quick, worker="one")
    await made.step()
    yield made
    await made.close()


async def test_what_is_told_alongside_has_its_positions_at_the_commit(quick: Services, relaying: Relaying) -> None:
    await _happen(quick, "a")
    await relaying.step()
    await _tell_alongside(quick, relaying, "b", "c")
    await _tell_alongside(quick, relaying, *"defghi")
    assert await _positions(quick) == [(kind, place) for place, kind in enumerate("abcdefghi", 1)]


class Telling:
    """A subscriber that tells of something itself, the first time."""

    __name__ = "telling"

    async def __call__(self, services: Services, session: AsyncSession, happened: Sequence[Any], *, now: Any) -> None:
        if happened[0]["data"]["kind"] == "first":
            await record(session, InboxFailing(inbox_id=new_id(), kind="second"), now=now)


async def test_what_a_subscriber_tells_is_relayed_in_the_same_step(quick: Services) -> None:
    await _happen(quick, "first")
    async with quick.database.transaction() as session:
        fence = await relay.acquire(session, LEASE, owner="test", seconds=60)
        assert fence is not None
        how: dict[str, Any] = {"lease": LEASE, "fence": fence, "careful": False, "now": clock.now()}
        happened = await relay.relay(quick, session, {InboxFailing.type: (Telling(),)}, **how)
    assert [event["data"]["kind"] for event in happened] == ["first", "second"]
    assert await _positions(quick) == [("first", 1), ("second", 2)]


async def test_what_waited_before_comes_before_what_is_told_alongside(quick: Services, relaying: Relaying) -> None:
    await _happen(quick, "a")
    await _tell_alongside(quick, relaying, "b")
    assert await _positions(quick) == [("a", 1), ("b", 2)]


async def test_a_relay_that_was_overtaken_gives_no_positions_alongside(quick: Services, relaying: Relaying) -> None:
    async with quick.database.transaction() as session:
        assert await leases.acquire(session, LEASE, owner="one", seconds=60) == 2
    await _tell_alongside(quick, relaying, "a")
    assert await _positions(quick) == [("a", None)]


async def test_positions_of_a_transaction_that_failed_are_given_again(quick: Services, relaying: Relaying) -> None:
    async def fail() -> None:
        async with relaying.alongside() as telling:
            assert telling is not None
            async with quick.database.transaction() as session, telling(session):
                await record(session, InboxFailing(inbox_id=new_id(), kind="lost"), now=clock.now())
                raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        await fail()
    await _tell_alongside(quick, relaying, "a")
    assert await _positions(quick) == [("a", 1)]


async def test_a_subscriber_that_fails_at_one_event_is_kept_and_does_the_others(quick: Services) -> None:
    await _happen(quick, "a", "b", "c")
    subscriber = Noting("b")
    await _relay(quick, subscriber)
    assert await Noting.noted(quick) == {"a", "c"}, "and what it wrote before it failed is gone"
    (kept,) = await _pending(quick)
    assert (kept["subscriber"], kept["attempts"], kept["given_up"]) == ("noting", 1, False)
    assert [position for _, position in await _positions(quick)] == [1, 2, 3]


@pytest.mark.parametrize("mended", [True, False])
async def test_what_failed_is_tried_again_when_it_is_due(quick: Services, mended: bool) -> None:
    await _happen(quick, "b")
    subscriber = Noting("b")
    await _relay(quick, subscriber)
    if mended:
        subscriber.fails_at.clear()
    for later, tried in ((timedelta(), 0), (timedelta(seconds=10), 1)):
        async with quick.database.transaction() as session:
            subscriptions = {InboxFailing.type: (subscriber,)}
            assert await relay.retry(quick, session, subscriptions, now=clock.now() + later) == tried
    if mended:
        assert await Noting.noted(quick) == {"b"}
        assert await _pending(quick) == []
    else:
        (kept,) = await _pending(quick)
        assert kept["attempts"] == 2
        assert kept["next_attempt_at"] > clock.now() + timedelta(seconds=20)


async def test_what_fails_for_ever_is_left_for_a_person(quick: Services) -> None:
    await _happen(quick, "b")
    subscriber = Noting("b")
    await _relay(quick, subscriber)
    for _ in range(relay.GIVE_UP_AFTER):
        async with quick.database.transaction() as session:
            at = clock.now() + timedelta(days=1)
            await relay.retry(quick, session, {InboxFailing.type: (subscriber,)}, now=at)
            await session.execute(pending_work.update().values(next_attempt_at=clock.now()))
    (kept,) = await _pending(quick)
    assert kept["given_up"]
    assert kept["attempts"] == relay.GIVE_UP_AFTER


async def test_a_relay_that_takes_over_from_an_older_release_goes_on_from_what_that_has_left(
    quick: Services, relaying: Relaying
) -> None:
    await _happen(quick, "a")
    async with quick.database.transaction() as session:
        # It knew nothing of who counts.
        await session.execute(update(events).values(position=7))
        await session.execute(update(followers).values(position=0))
    await relaying.close()
    successor = Relaying(quick, worker="successor")
    await _happen(quick, "b")
    await successor.step()
    assert await _positions(quick) == [("a", 7), ("b", 8)]
    await successor.close()


async def test_what_is_new_is_handed_on_after_all_that_had_its_position_before(quick: Services) -> None:
    """More than one batch of it may have gathered while nobody relayed."""
    told: list[int] = []

    async def telling(_: Services, __: AsyncSession, happened: Sequence[Any], *, now: Any) -> None:
        told.extend(event["position"] for event in happened)

    async with quick.database.transaction() as session:
        fence = await relay.acquire(session, LEASE, owner="test", seconds=60)
        assert fence is not None
        ahead = [row(InboxFailing(inbox_id=new_id(), kind="a"), now=clock.now()) for _ in range(relay.BATCH + 1)]
        ahead = [one | {"position": place} for place, one in enumerate(ahead, 1)]
        await insert_rows(session, events, ahead)
        await insert_rows(session, undistributed, [{"position": one["position"]} for one in ahead])
        await session.execute(update(followers).values(position=len(ahead)))
    await _happen(quick, "b")
    how: dict[str, Any] = {"lease": LEASE, "fence": fence, "careful": False, "now": clock.now()}
    for _ in range(3):
        async with quick.database.transaction() as session:
            await relay.relay(quick, session, {InboxFailing.type: (telling,)}, **how)
    assert told == [*range(1, relay.BATCH + 3)]
