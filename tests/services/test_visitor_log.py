"""What a visitor reads: all that is his, in order and without a break, and nothing that is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Integer, delete, func, select, text, update

from helpdesk.db import insert_rows, new_id
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, Role
from helpdesk.live import Item, ItemKind, Log, Visitor
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import messages
from helpdesk.models.visitors import visitor_sessions, visits
from helpdesk.services import (
    attachments,
    contact_merging,
    feed,
    merging,
    replies,
    rows,
    splitting,
    visitor_log,
    visitor_news,
)
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Draft
from tests import factories
from tests.services.test_visitor_messages import LATER, NOW, begin, change, desk, say, visitor

__all__ = ["desk"]


async def read(services: Services, who: Visitor, *, at: UUID | None = None) -> Log:
    return await visitor_log.after(services.database, who, at or who.conversation_id, 0, limit=1000)


def shown(log: Log) -> list[Any]:
    """Texts of messages, states and names."""
    return [one.data.get("text") or one.data.get("state") or one.data["name"] for one in log.items]


async def reply(
    services: Services, conversation_id: UUID, text: str, *, by: factories.Someone | None = None, **given: Any
) -> UUID:
    actor = Actor(AuthorKind.AGENT, by.id, by.name, Role.ADMIN) if by else SYSTEM
    async with services.database.transaction() as session:
        found = await get_conversation(session, SYSTEM, conversation_id, lock=True)
        draft = Draft(text=text, **given)
        return (await replies.reply(services, session, found, draft, by=actor, now=LATER)).message["id"]


async def merge(services: Services, source: UUID, into: UUID, *, now: datetime = LATER) -> None:
    async with services.database.transaction() as session:
        found = await get_conversation(session, SYSTEM, source)
        how: dict[str, Any] = {"version": found["version"], "other_contact": True, "by": SYSTEM, "now": now}
        await merging.merge(services, session, source, into=into, **how)


async def unmerge(services: Services, source: UUID) -> None:
    async with services.database.transaction() as session:
        found = await get_conversation(session, SYSTEM, source)
        await merging.unmerge(services, session, source, version=found["version"], by=SYSTEM, now=LATER)


async def mailed(services: Services, conversation_id: UUID, text: str, to: str, *, status: str = "sent") -> None:
    """An answer by mail, as it is once its delivery has become that."""
    mail = await factories.inbox(services)
    async with services.database.transaction() as session:
        c = conversations.c
        moved = update(conversations).where(c.id == conversation_id).values(seq=c.seq + 1).returning(c.seq)
        given: dict[str, Any] = {"conversation_id": conversation_id, "seq": await session.scalar(moved)}
        given |= {"type": "outgoing", "channel": "email", "inbox_id": mail, "author_kind": "agent"}
        given |= {"author_name": "Anna", "text": text, "to": [{"handle": to, "name": ""}], "created_at": LATER}
        await insert_rows(session, messages, [rows.message(new_id(), **given, delivery_status=status)])


async def test_the_log_is_what_was_said_and_who_took_it_over(services: Services, desk: UUID) -> None:
    anna, token = await factories.agent(services, role="admin", name="Anna"), await begin(services, desk)
    said = await say(services, token, "Hello?", client_id="a")
    place = said.conversation_id
    await change(services, place, assignee_id=anna.id)
    await reply(services, place, "Do not tell him.", by=anna, private=True)
    answer = await reply(services, place, "We look into it.", by=anna)
    await change(services, place, status="pending")
    await change(services, place, priority=2, subject="Withdrawal")
    await change(services, place, status="resolved")
    await say(services, token, "Still not there.")
    await change(services, place, assignee_id=None)
    await change(services, place, status="closed")
    who = await visitor(services, token)
    log = await read(services, who, at=place)
    assert [(one.kind, one.data.get("state") or one.data.get("text") or one.data["name"]) for one in log.items] == [
        (ItemKind.MESSAGE, "Hello?"),
        (ItemKind.JOINED, "Anna"),
        (ItemKind.MESSAGE, "We look into it."),
        (ItemKind.STATE, "resolved"),
        (ItemKind.MESSAGE, "Still not there."),
        (ItemKind.STATE, "queued"),
        (ItemKind.STATE, "queued"),
        (ItemKind.STATE, "closed"),
    ]
    assert log.items[0].data == {
        "id": str(said.message_id),
        "client_id": "a",
        "author": {"kind": "visitor", "name": "Mina"},
        "text": "Hello?",
        "channel": "chat",
        "attachments": [],
        "created_at": "2026-11-02T10:00:00Z",
    }
    assert (log.items[2].data["id"], log.items[2].data["author"]) == (str(answer), {"kind": "agent", "name": "Anna"})
    assert (log.conversation_id, log.head_seq, log.more) == (place, log.items[-1].seq, False)


async def test_pages_go_on_where_the_last_one_ended_from_either_end(services: Services, desk: UUID) -> None:
    token = await begin(services, desk)
    for number in range(7):
        place = (await say(services, token, f"No. {number}")).conversation_id
        await reply(services, place, "A note.", private=True)
    who = await visitor(services, token)
    whole = list((await read(services, who)).items)
    head = whole[-1].seq
    for limit in (1, 2, 3, 7, 8):
        onwards: list[Item] = []
        back: list[Item] = []
        more = True
        while more:
            after = onwards[-1].seq if onwards else 0
            log = await visitor_log.after(services.database, who, place, after, limit=limit)
            onwards, more = [*onwards, *log.items], log.more
            assert (len(log.items) <= limit, log.head_seq) == (True, head)
        more = True
        while more:
            first = back[0].seq if back else None
            log = await visitor_log.before(services.database, who, place, first, limit=limit)
            back, more = [*log.items, *back], log.more
            assert (len(log.items) <= limit, log.head_seq) == (True, head)
        assert onwards == back == whole
    # From the middle of a hole, or beyond the end.
    log = await visitor_log.after(services.database, who, place, whole[2].seq + 1, limit=1)
    assert (log.items[0], log.items[0].prev_seq) == (whole[3], whole[2].seq)
    log = await visitor_log.after(services.database, who, place, head + 50, limit=1)
    assert (list(log.items), log.head_seq, log.more) == ([], head, False)


async def test_nobody_reads_what_is_anothers(services: Services, desk: UUID) -> None:
    place = (await say(services, await begin(services, desk))).conversation_id
    other, elsewhere = await begin(services, desk), await factories.inbox(services, channel="chat")
    await say(services, other)
    for token in (other, await begin(services, desk), await begin(services, elsewhere)):
        who = await visitor(services, token)
        assert await read(services, who, at=place) == Log(None, 0, (), more=False)
        assert await visitor_log.before(services.database, who, place, None, limit=5) == Log(None, 0, (), more=False)
        assert await read(services, who, at=new_id()) == Log(None, 0, (), more=False)
    assert await visitor_log.after(services.database, who, None, 0, limit=5) == Log(None, 0, (), more=False)


async def test_each_device_knows_its_own_client_ids(services: Services, desk: UUID) -> None:
    phone, laptop = [await begin(services, desk, user="mina-7") for _ in range(2)]
    for token in (phone, laptop):
        await say(services, token, client_id="a")
    for number, token in enumerate((phone, laptop)):
        log = await read(services, await visitor(services, token))
        assert [one.data.get("client_id") for one in log.items] == ["a" if n == number else None for n in range(2)]


async def test_mail_is_shown_to_whom_it_went_once_it_has_left(services: Services, desk: UUID) -> None:
    token = await begin(services, desk)
    place = (await say(services, token)).conversation_id
    for status in ("queued", "cancelled", "failed", "sent"):
        await mailed(services, place, status, "mina@customer.test", status=status)
    await mailed(services, place, "To somebody else.", "otto@customer.test")
    assert shown(await read(services, await visitor(services, token))) == ["Hello?"], "he has only named it, if that"
    async with services.database.transaction() as session:
        await session.execute(update(visitor_sessions).values(email="mina@customer.test"))
    assert shown(await read(services, await visitor(services, token))) == ["Hello?", "sent"]


async def test_a_merge_shows_nobody_what_the_other_wrote_or_was_written(services: Services, desk: UUID) -> None:
    anna = await factories.agent(services, role="admin", name="Anna")
    tokens = [await begin(services, desk) for _ in range(2)]
    mine, theirs = [(await say(services, one, f"By {n}")).conversation_id for n, one in enumerate(tokens)]
    await change(services, theirs, assignee_id=anna.id)
    await reply(services, theirs, "To 1 alone", by=anna)
    await reply(services, mine, "To 0 alone", by=anna)
    await merge(services, mine, theirs)
    for number, token in enumerate(tokens):
        await say(services, token, f"By {number} again", now=LATER)
    handles = [(await visitor(services, token)).handle for token in tokens]
    for number, handle in enumerate(handles):
        await reply(services, theirs, f"To {number} by name", by=anna, to=[{"handle": handle, "name": ""}])
    await reply(services, theirs, "Neither sees this.", private=True)
    await change(services, theirs, status="resolved", now=LATER)
    first, second = [await visitor(services, token) for token in tokens]
    log = await read(services, first)
    assert log.conversation_id == theirs
    assert shown(log) == ["By 0 again", "To 0 by name", "resolved"], "who had taken it before the merge is not his"
    assert shown(await read(services, second)) == [
        *("By 1", "Anna", "To 1 alone", "By 1 again", "To 1 by name", "resolved")
    ]
    assert log.items[0].prev_seq == 0
    # What he had read before is further up.
    whole = await visitor_log.before(services.database, first, theirs, None, limit=100)
    assert shown(whole) == ["By 0", "To 0 alone", "By 0 again", "To 0 by name", "resolved"]
    assert whole.items[1].seq < 0
    assert (whole.items[1].prev_seq, whole.items[2].prev_seq) == (whole.items[0].seq, 0)
    assert await visitor_log.before(services.database, first, mine, None, limit=100) == whole
    back: list[Item] = []
    more = True
    while more:
        page = await visitor_log.before(services.database, first, theirs, back[0].seq if back else None, limit=2)
        back, more = [*page.items, *back], page.more
        assert page.head_seq == whole.head_seq
    assert back == list(whole.items)
    await unmerge(services, mine)
    assert shown(await read(services, await visitor(services, tokens[0]))) == ["By 0", "To 0 alone", "closed", "queued"]
    assert (await read(services, first, at=theirs)).conversation_id is None


async def test_what_was_split_off_is_not_shown_any_more(services: Services, desk: UUID) -> None:
    token = await begin(services, desk)
    said = [await say(services, token, f"No. {number}") for number in range(3)]
    async with services.database.transaction() as session:
        how: dict[str, Any] = {"message_ids": [said[1].message_id], "version": 1, "by": SYSTEM, "now": LATER}
        target = await splitting.split(services, session, said[0].conversation_id, **how)
    who = await visitor(services, token)
    log = await read(services, who)
    assert shown(log) == ["No. 0", "No. 2"]
    assert [one.prev_seq for one in log.items] == [0, 1]
    assert (await read(services, who, at=target)).conversation_id is None


async def test_whom_an_agent_takes_him_for_has_a_log_of_his_own(services: Services, desk: UUID) -> None:
    """Two contacts are merged by an agent, and their conversations. Either visitor reads on what is his."""
    anna = await factories.agent(services, role="admin", name="Anna")
    tokens = [await begin(services, desk) for _ in range(2)]
    places = [(await say(services, one, f"By {n}")).conversation_id for n, one in enumerate(tokens)]
    people = [(await visitor(services, token)).contact_id for token in tokens]
    async with services.database.transaction() as session:
        await contact_merging.merge(session, people[0], into=people[1], version=1, by=SYSTEM, now=NOW)
    await merge(services, places[0], places[1])
    for number, token in enumerate(tokens):
        await say(services, token, f"By {number} again", now=LATER)
        await reply(services, places[1], f"To {number}", by=anna)
    logs = [await read(services, await visitor(services, token)) for token in tokens]
    assert [shown(log) for log in logs] == [["By 0 again", "To 0"], ["By 1", "By 1 again", "To 1"]]


async def test_what_others_were_told_stays_theirs_once_their_sessions_are_forgotten(
    services: Services, desk: UUID
) -> None:
    """Whom an agent takes him for was here long ago. Only the sessions told whose handle it was that was written to."""
    tokens = [await begin(services, desk) for _ in range(2)]
    places = [(await say(services, one, f"By {n}", now=LATER)).conversation_id for n, one in enumerate(tokens)]
    answer = await reply(services, places[1], "To 1 alone")
    first, second = [await visitor(services, token) for token in tokens]
    async with services.database.transaction() as session:
        await session.execute(delete(visitor_sessions).where(visitor_sessions.c.id == second.session_id))
        await contact_merging.merge(session, second.contact_id, into=first.contact_id, version=1, by=SYSTEM, now=LATER)
    await merge(services, places[0], places[1], now=LATER + timedelta(days=31))
    first = await visitor(services, tokens[0])
    assert first.conversation_id == places[1]
    whole = await visitor_log.before(services.database, first, places[1], None, limit=100)
    assert shown(whole) == ["By 0"]
    assert not await visitor_log.shows(services.database, first, answer)


async def test_files_are_his_with_the_message_wherever_that_is(services: Services, desk: UUID) -> None:
    tokens = [await begin(services, desk) for _ in range(2)]
    by = Actor(AuthorKind.CONTACT, id=(await visitor(services, tokens[0])).session_id)
    how: dict[str, Any] = {"filename": "proof.png", "content_type": "image/png", "body": b"\x89PNG\r\n\x1a\n"}
    upload = (await attachments.store(services, **how, by=by, now=NOW))["id"]
    said = await say(services, tokens[0], "", attachment_ids=[upload])
    other = await say(services, tokens[1])
    (item,) = (await read(services, await visitor(services, tokens[0]))).items
    (file,) = item.data["attachments"]
    assert file == {"id": str(upload), "filename": "proof.png", "content_type": "image/png", "size": 8}
    for merged in (False, True):
        if merged:
            await merge(services, said.conversation_id, other.conversation_id)
        people = [await visitor(services, token) for token in tokens]
        assert [await visitor_log.shows(services.database, one, said.message_id) for one in people] == [True, False]
        assert [await visitor_log.shows(services.database, one, other.message_id) for one in people] == [False, True]


async def test_a_rating_is_asked_for_where_it_was_resolved(services: Services, desk: UUID) -> None:
    token = await begin(services, desk)
    place = (await say(services, token)).conversation_id
    await change(services, place, status="resolved", now=LATER)
    async with services.database.transaction() as session:
        await session.execute(update(visits).values(rating_asked_at=LATER))
    log = await read(services, await visitor(services, token))
    assert log.items[-1].data == {"state": "resolved", "rating": True}


# -- whatever happens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_is_asked_for_each_message_is_planned_once(services: Services, desk: UUID) -> None:
    """A few times with its values, as PostgreSQL does to compare, and then no more."""
    database, token = services.database, await begin(services, desk)
    said = await say(services, token, "Hello?")
    who = await visitor(services, token)
    for _ in range(20):
        await visitor_log.after(database, who, said.conversation_id, said.seq, limit=500)
        await feed.audiences_of(database, [said.conversation_id])
        await visitor_news.sent(database, [said.message_id])
    looked = text(
        "SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE custom_plans + generic_plans >= 20"
    )
    plans = await database.fetch(
        database.prepared("plans", lambda: looked.columns(custom=Integer(), generic=Integer())), {}
    )
    assert sorted(map(tuple, plans)) == [(5, 15)] * 3


@dataclass
class Told:
    """What a visitor has to find, in any order, and what he must not: texts are each told once."""

    token: str
    place: UUID
    his: set[str] = field(default_factory=set)
    """In the conversation where he began."""


_STEPS = ("say", "say", "reply", "reply", "note", "assign", "resolve", "open", "mail", "merge", "unmerge")


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_the_chain_has_no_break_and_nothing_foreign(
    services: Services, desk: UUID, seed: int
) -> None:
    """Two visitors and two agents; each reads along from where he was, in pages of any size."""
    random, number = Random(seed), 0
    anna = await factories.agent(services, role="admin", name="Anna")
    people = []
    for n in range(2):
        token = await begin(services, desk, user=f"user-{n}" if seed % 2 else "")
        people.append(Told(token, (await say(services, token, f"{n}: first")).conversation_id, {f"{n}: first"}))
    merged = False
    for _ in range(24):
        number += 1
        step, mine = random.choice(_STEPS), random.randrange(2)
        one = people[mine]
        home = people[1].place if merged and mine == 0 else one.place
        text = f"{mine}: {number} {step}"
        now = NOW + timedelta(minutes=1 + number)
        match step:
            case "say":
                assert (await say(services, one.token, text, now=now)).conversation_id == home
                one.his.add(text)
            case "reply":
                who = await visitor(services, one.token)
                await reply(services, home, text, by=anna, to=[{"handle": who.handle, "name": ""}])
                one.his.add(text)
            case "note":
                await reply(services, home, text, by=anna, private=True)
            case "mail":
                await mailed(services, home, text, f"{mine}@customer.test")
            case "assign":
                await change(services, home, assignee_id=random.choice([anna.id, None]), now=now)
            case "resolve" | "open":
                await change(services, home, status="resolved" if step == "resolve" else "open", now=now)
            case "merge" if not merged:
                await merge(services, people[0].place, people[1].place)
                merged = True
            case "unmerge" if merged:
                await unmerge(services, people[0].place)
                merged = False
            case _:
                continue
        for told in people:
            await _check(services, told, random)


async def _check(services: Services, told: Told, random: Random) -> None:
    who = await visitor(services, told.token)
    database, place = services.database, who.conversation_id
    whole = await visitor_log.before(database, who, place, None, limit=1000)
    texts = [one.data["text"] for one in whole.items if one.kind is ItemKind.MESSAGE]
    assert len(texts) == len(set(texts))
    # What was written in the other's conversation while they were one stays there when they are two again.
    assert set(texts) <= told.his
    if place != told.place:
        assert set(texts) == told.his
    onwards = [one for one in whole.items if one.seq > 0]
    seqs = [one.seq for one in onwards]
    assert seqs == sorted(set(seqs))
    assert [one.prev_seq for one in onwards] == [0, *seqs][: len(seqs)]
    assert whole.head_seq == (seqs[-1] if seqs else 0)
    async with database.reading() as session:
        assert whole.head_seq <= (
            await session.scalar(select(func.max(conversations.c.seq)).where(conversations.c.id == place))
        )
    at, limit = random.choice([0, *seqs, *(seq + 1 for seq in seqs)]), random.choice([1, 2, 5, 100])
    page = await visitor_log.after(database, who, place, at, limit=limit)
    rest = [one for one in onwards if one.seq > at]
    assert list(page.items) == rest[:limit]
    assert (page.more, page.head_seq) == (len(rest) > limit, whole.head_seq)
