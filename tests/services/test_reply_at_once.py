"""An answer without a lock: the same rows as under one, and nothing where something else happened meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from json import loads
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text, update

from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, StillRunning
from helpdesk.live import Said
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events, idempotency_keys, undistributed
from helpdesk.models.messages import messages
from helpdesk.models.sla import sla_clocks
from helpdesk.models.visitors import visits
from helpdesk.services import continuing, feed, idempotency, replies, reply_at_once, unsent
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from helpdesk.services.idempotency import Answer, Request
from helpdesk.services.promises import Promises
from helpdesk.services.reply_writing import Draft, Stored
from tests import factories
from tests.services.test_live_replies import anna
from tests.services.test_visitor_messages import LATER, begin, change, desk, elsewhere, row, rows, say, visitor
from tests.services.test_visitor_next import ON_POSTGRESQL, PROMISES, everything, promise, told
from workers.relaying import Relaying

__all__ = ["desk", "elsewhere"]

TEXT = "We look into it."
_WAITING = text("SELECT true FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
pytestmark = ON_POSTGRESQL


async def at_once(
    services: Services, place: UUID, by: Actor, *, key: str = "k", now: Any = LATER, **given: Any
) -> Stored | None:
    request = Request.of(by, f"POST {place}", key, b"")
    async with services.database.transaction() as session:

        def keep(stored: Stored) -> Any:
            return idempotency.kept(request, Answer(201, {"text": stored.message["text"]}), now=now)

        draft = Draft(**{"text": TEXT, **given})
        return await reply_at_once.reply(services, session, place, draft, request, keep, by=by, now=now)


async def locked(services: Services, place: UUID, by: Actor, *, key: str = "k", now: Any = LATER) -> Stored:
    request = Request.of(by, f"POST {place}", key, b"")
    async with services.database.transaction() as session:
        assert await idempotency.find_answer(session, request, now=now) is None
        found = await get_conversation(session, by, place, lock=True)
        stored = await replies.reply(services, session, found, Draft(text=TEXT), by=by, now=now)
        await idempotency.keep(session, request, Answer(201, {"text": stored.message["text"]}), now=now)
    return stored


@pytest.mark.parametrize("promised", PROMISES)
async def test_what_is_written_at_once_is_what_is_written_under_a_lock(
    services: Services, desk: UUID, promised: str
) -> None:
    await promise(services, promised)
    agent, pair = await anna(services), []
    for _ in range(2):
        token = await begin(services, desk)
        await say(services, token, client_id="first")
        pair.append((token, await visitor(services, token)))
    for turn in range(2):
        now = LATER + timedelta(minutes=2 * turn)
        seen = []
        ways: list[Any] = [at_once, locked]
        for (_, who), way in zip(pair, ways, strict=True):
            assert who.conversation_id is not None
            before = await everything(services)
            stored = await way(services, who.conversation_id, agent, key=f"k{turn}", now=now)
            assert stored is not None
            said = Said(stored.message["id"], who.conversation_id, stored.message["seq"], now, repeated=False)
            seen.append(told(before, await everything(services), who, said))
        assert seen[0] == seen[1]
        assert {"messages", "events", "conversations", "conversation_reads", "idempotency_keys"} <= set(seen[0])
        assert ("sla_clocks" in seen[0]) == ("first_response" in PROMISES[promised].get("targets", ()))
        for number, (token, _) in enumerate(pair):
            await say(services, token, f"and {turn}", client_id=f"{number}-{turn}", now=now + timedelta(minutes=1))


async def asked(services: Services, desk: UUID) -> UUID:
    """A conversation of somebody who was promised an answer."""
    await promise(services, "everything")
    return (await say(services, await begin(services, desk))).conversation_id


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[object]]) -> None:
    """This happens once, between the look and the writing."""
    checked, waiting = replies.checked, [happens]

    async def then(*given: Any, **named: Any) -> Any:
        found = await checked(*given, **named)
        if waiting:
            await waiting.pop()()
        return found

    monkeypatch.setattr(replies, "checked", then)


@pytest.mark.parametrize("fresh", [True, False], ids=["at hand", "to be read"])
async def test_where_the_visitor_writes_at_the_same_moment_nothing_is_written_and_it_is_tried_under_the_lock(
    services: Services, elsewhere: Services, desk: UUID, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    await promise(services, "everything")
    token = await begin(services, desk)
    place, agent = (await say(services, token)).conversation_id, await anna(services)
    racing = services if fresh else replace(services, promises=Promises())
    meanwhile(monkeypatch, lambda: say(elsewhere, token, "And?", client_id="and", now=LATER))
    assert await at_once(racing, place, agent) is None
    assert [one["text"] for one in await rows(services, messages)].count(TEXT) == 0
    assert not await rows(services, idempotency_keys)
    assert (await locked(services, place, agent)).message["seq"] == 3


async def test_a_session_whose_answer_was_not_written_goes_on_in_a_transaction(
    services: Services, elsewhere: Services, desk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done after it is committed, or rolled back, as one."""
    place, agent = await asked(services, desk), await anna(services)
    meanwhile(monkeypatch, lambda: change(elsewhere, place, priority=3, now=LATER))
    request = Request.of(agent, "POST", "k", b"")
    how: dict[str, Any] = {"by": agent, "now": LATER}

    def keep(_: Stored) -> Any:
        return idempotency.kept(request, Answer(201, {}), now=LATER)

    async def fail() -> None:
        async with services.database.transaction() as session:
            assert not await reply_at_once.reply(services, session, place, Draft(text=TEXT), request, keep, **how)
            found = await get_conversation(session, agent, place, lock=True)
            await replies.reply(services, session, found, Draft(text=TEXT), **how)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert [one["text"] for one in await rows(services, messages)].count(TEXT) == 0


async def test_a_clock_that_the_sweep_moves_at_the_same_moment_is_not_written_over(
    services: Services, elsewhere: Services, desk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, agent = await asked(services, desk), await anna(services)

    async def sweep() -> None:
        async with elsewhere.database.transaction() as session:
            await session.execute(update(sla_clocks).values(warned=1))

    meanwhile(monkeypatch, sweep)
    assert await at_once(services, place, agent) is None
    await locked(services, place, agent)
    assert {one["warned"] for one in await rows(services, sla_clocks)} == {1}


async def test_an_answer_that_waits_for_the_end_of_the_last_one_s_time_has_a_time_of_its_own(
    services: Services, elsewhere: Services, desk: UUID
) -> None:
    """He has read the one before: nothing is mailed, and nobody looks again until he is told something new."""
    place, agent, then = await asked(services, desk), await anna(services), LATER + timedelta(hours=1)
    assert await at_once(services, place, agent)
    async with services.database.transaction() as session:
        await session.execute(update(visits).values(read_seq=2, online_until=None))
    async with elsewhere.database.transaction() as session:
        assert await continuing.go_on(elsewhere, session, now=then) == 1
        answering = asyncio.ensure_future(at_once(services, place, agent, key="next", now=then))
        while not await session.scalar(_WAITING):
            assert not answering.done()
    assert await answering or await locked(services, place, agent, key="next", now=then)
    assert (await row(services, visits))["mail_due_at"] == then + timedelta(minutes=10)


async def test_the_same_key_at_the_same_moment_is_answered_once(
    services: Services, elsewhere: Services, desk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, agent = await asked(services, desk), await anna(services)
    meanwhile(monkeypatch, lambda: at_once(elsewhere, place, agent))
    assert await at_once(services, place, agent) is None
    assert await at_once(services, place, agent) is None
    assert [one["text"] for one in await rows(services, messages)].count(TEXT) == 1
    assert len(await rows(services, events, events.c.type == "message.created")) == 1
    assert len(await rows(services, idempotency_keys)) == 1


async def test_what_somebody_is_at_under_the_same_key_is_still_running(
    services: Services, elsewhere: Services, desk: UUID
) -> None:
    place, agent = await asked(services, desk), await anna(services)
    async with elsewhere.database.transaction() as session:
        await idempotency.find_answer(session, Request.of(agent, f"POST {place}", "k", b""), now=LATER)
        with pytest.raises(StillRunning):
            await at_once(services, place, agent)


async def test_what_is_more_than_a_text_is_left_to_the_lock(services: Services, desk: UUID) -> None:
    place, agent = await asked(services, desk), await anna(services)
    for given in ({"mentions": [agent.id]}, {"status": "resolved"}, {"attachment_ids": [uuid4()]}, {"inbox_id": desk}):
        assert await at_once(services, place, agent, **given) is None
    assert agent.id is not None
    async with services.database.transaction() as session:
        begun: dict[str, Any] = {"content": {"text": "We", "private": False}, "version": None, "now": LATER}
        await unsent.keep(session, place, agent_id=agent.id, **begun)
    assert await at_once(services, place, agent) is None
    assert await at_once(services, place, agent, private=True) is not None
    assert await at_once(services, uuid4(), agent) is None


async def test_what_may_not_be_answered_is_refused_as_ever(services: Services, desk: UUID) -> None:
    place, agent = await asked(services, desk), await anna(services)
    with pytest.raises(Conflict, match="not seen"):
        await at_once(services, place, agent, seen_seq=0)
    await change(services, place, status="closed", now=LATER)
    with pytest.raises(Conflict, match="closed"):
        await at_once(services, place, agent)
    stranger = await factories.agent(services, role="agent")
    hidden = Actor(agent.kind, stranger.id, stranger.name)
    assert await at_once(services, place, hidden) is None
    assert not [one for one in await rows(services, messages) if one["text"] == TEXT]
    assert (await row(services, conversations))["last_agent_seq"] == 0


async def test_events_that_are_written_at_once_have_their_positions_and_are_handed_on_once(
    services: Services, desk: UUID
) -> None:
    """Who listens in this process is handed what he would read, and what follows from it the relay does afterwards."""
    place, agent = await asked(services, desk), await anna(services)
    relaying, handed = Relaying(services, worker="one"), list[Any]()
    while await relaying.step():
        pass
    since = await feed.newest(services.database)
    services.database.on_handed = handed.extend
    assert await at_once(services, place, agent, key="a")
    (told,) = [one for one in handed if isinstance(one, feed.Fresh)]
    read = await feed.read(services.database, after=since, to=since + 10)
    assert [one.type for one in read] == ["message.created", "message.sent", "sla.met", "sla.met"]
    # PostgreSQL keeps JSON with its keys in an order of its own.
    known = [
        [(one.position, one.type, loads(one.body), one.audience) for one in several] for several in (told.told(), read)
    ]
    assert known[0] == known[1]
    assert (told.first, told.last) == (since + 1, since + 4)
    assert len(await rows(services, undistributed)) == 4
    (visit,) = await rows(services, visits)
    assert visit["responded_at"] is None
    while await relaying.step():
        pass
    (visit,) = await rows(services, visits)
    assert visit["responded_at"] == LATER, "the visit follows the answer by a subscriber"
    assert await rows(services, undistributed) == []
    assert await feed.newest(services.database) == since + 4
    await relaying.close()


async def test_nothing_is_numbered_at_once_while_something_earlier_of_the_conversation_waits(
    services: Services, desk: UUID
) -> None:
    place, agent = await asked(services, desk), await anna(services)
    relaying = Relaying(services, worker="one")
    while await relaying.step():
        pass
    await locked(services, place, agent, key="a")
    assert await at_once(services, place, agent, key="b", now=LATER + timedelta(minutes=1))
    waiting = [one for one in await rows(services, events) if one["position"] is None]
    assert [one["seq"] for one in waiting if one["type"] == "message.created"] == [2, 3]
    assert await rows(services, undistributed) == []
    while await relaying.step():
        pass
    found = sorted(await rows(services, events), key=lambda one: one["position"])
    assert [one["seq"] for one in found if one["type"] == "message.created"] == [2, 3]
    await relaying.close()
