"""A client that is cut off again and again ends with what the database has, however the transactions committed."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.domain.events import MessageCreated
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.services.events import record
from helpdesk.services.house import Services
from tests import factories
from tests.live import Listening, Served
from workers.relaying import Relaying

EVENTS, CUTS, WRITERS, EACH = 5000, 200, 8, 25


class Undone(Exception):
    """A transaction that does not commit."""


async def _write(
    services: Services, where: Sequence[UUID], inbox_id: UUID, relaying: Relaying, dice: random.Random
) -> None:
    """One transaction: locks a conversation as all that changes one does, tells, dawdles, and mostly commits."""
    conversation_id = dice.choice(where)
    mine = update(conversations).where(conversations.c.id == conversation_id)
    async with relaying.alongside() if dice.random() < 0.1 else nullcontext() as telling:  # noqa: SIM117
        async with services.database.transaction() as session, telling(session) if telling else nullcontext():
            last = await session.scalar(mine.values(seq=conversations.c.seq + EACH).returning(conversations.c.seq))
            happened = [_event(conversation_id, inbox_id, last - back) for back in reversed(range(EACH))]
            await record(session, *happened, now=clock.now())
            await asyncio.sleep(dice.random() * 0.03)
            if dice.random() < 0.1:
                raise Undone


def _event(conversation_id: UUID, inbox_id: UUID, seq: int) -> MessageCreated:
    return MessageCreated(
        conversation_id=conversation_id, seq=seq, message_id=inbox_id, inbox_id=inbox_id, private=False, by="test"
    )


async def _happen(services: Services, inbox_id: UUID, relays: Sequence[Relaying], dice: random.Random) -> None:
    """All events, from many hands at once, while the relay's lease goes from one to another."""
    where = [await factories.conversation(services, inbox_id=inbox_id, messages=0) for _ in range(12)]
    written = 0

    async def hand() -> None:
        nonlocal written
        while written < EVENTS:
            written += EACH
            try:
                await _write(services, where, inbox_id, dice.choice(relays), dice)
            except Undone:
                written -= EACH

    async def relay() -> None:
        while not at_work.done() or await _unnumbered(services):
            for relaying in relays:
                await relaying.step()
            if dice.random() < 0.02:
                await dice.choice(relays).close()
            await asyncio.sleep(0.002)

    at_work = asyncio.gather(*(hand() for _ in range(WRITERS)))
    await relay()
    await at_work


async def _unnumbered(services: Services) -> bool:
    async with services.database.reading() as session:
        return (await session.scalar(select(events.c.id).where(events.c.position.is_(None)).limit(1))) is not None


async def _listen(
    served: Served, token: str, happening: asyncio.Task[None], dice: random.Random
) -> tuple[list[Any], int]:
    """What one client gets that goes away at a random byte, and comes back with the last id that it has."""
    got: list[Any] = []
    last_id, cuts = "0", 0
    while not happening.done() or cuts < CUTS or len(got) < EVENTS:
        left = dice.randint(1, 12_000) if cuts < CUTS else 10**9
        async with Listening(served.port, token, last_id=last_id) as client:
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    while left > 0 and len(got) + len(client.events) < EVENTS:
                        left -= await client.read(min(left, 65536))
        cuts += 1
        got += client.events
        last_id = client.parser.last_id
        assert not (happening.done() and happening.exception()), happening
    return got, cuts


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_client_cut_off_200_times_ends_with_the_list_of_the_database(services: Services) -> None:
    dice = random.Random(7)
    desk = await factories.inbox(services)
    anna = await factories.agent(services)
    relays = [Relaying(services, worker=name) for name in ("one", "two")]
    async with Served(services) as served:
        happening = asyncio.create_task(_happen(services, desk, relays, dice))
        got, cuts = await _listen(served, anna.token, happening, dice)
        await happening
    for relaying in relays:
        await relaying.close()
    async with services.database.reading() as session:
        query = select(events.c.id, events.c.position, events.c.type).order_by(events.c.position)
        found = (await session.execute(query)).all()
    assert cuts >= CUTS
    assert [position for _, position, _ in found] == list(range(1, len(found) + 1))
    hers = [(str(event_id), position) for event_id, position, type_ in found if type_ == MessageCreated.type]
    assert len(hers) == EVENTS
    assert [(event["id"], event["position"]) for event in got] == hers
    by_conversation = defaultdict(list)
    for event in got:
        by_conversation[event["conversation_id"]].append(event["seq"])
    assert all(seqs == sorted(set(seqs)) for seqs in by_conversation.values()), "in order per conversation"
