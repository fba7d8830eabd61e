"""What a visitor did not read in time goes on by e-mail, once, to an address that he has proved; and missed chats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from helpdesk import clock
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, Role
from helpdesk.live import Item, ItemKind
from helpdesk.models.conversations import conversations, participants
from helpdesk.models.events import events
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import acknowledgements, deliveries, messages
from helpdesk.models.sla import sla_clocks
from helpdesk.models.visitors import visits
from helpdesk.services import attachments, contact_merging, continuing, merging, replies
from helpdesk.services import conversations as verbs
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Draft
from helpdesk.services.visiting import VisitorHub
from helpdesk.services.visits import CONTINUED_WITHIN
from tests import factories
from tests.continued import MINA, Chat, words
from tests.house import Desk, House, mail
from tests.peers.smtp_sink import SmtpSink

LATER = timedelta(minutes=10)


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


@pytest.fixture
async def desk(house: House) -> Desk:
    return await house.inbox()


async def go_on(house: House, *, after: timedelta = LATER) -> int:
    async with house.services.database.transaction() as session:
        return await continuing.go_on(house.services, session, now=clock.now() + after)


async def mailed(house: House, *, after: timedelta = LATER) -> list[EmailMessage]:
    """What leaves when it is that late."""
    await go_on(house, after=after)
    async with house.services.database.transaction() as session:
        await session.execute(update(deliveries).values(next_attempt_at=clock.now()))
    await house.drain()
    return house.outgoing()


async def test_what_was_not_read_in_time_goes_in_one_letter_and_its_answer_comes_back(house: House, desk: Desk) -> None:
    chat = await Chat.begin(house)
    await chat.answer("We have found it.")
    await chat.answer("It arrives <today>.")
    await chat.answer("Only for us.", private=True)
    assert await mailed(house, after=LATER - timedelta(seconds=30)) == []
    (letter,) = await mailed(house)
    assert (str(letter["To"]), letter["From"].addresses[0].addr_spec) == (MINA, desk.address)
    number = (await chat.row())["number"]
    assert letter["Subject"] == f"New answers in your chat [#{number}]"
    text = words(letter)
    assert text.index("    We have found it.") < text.index("    It arrives <today>.")
    assert text.count("Anna, 2") == 2
    assert "&lt;today&gt;" in words(letter, "html")
    assert "Only for us" not in letter.as_string()
    assert "Where is my withdrawal" not in letter.as_string(), "he knows what he wrote"
    # It is shown for what it is, counts as nobody's answer, and is not sent again.
    (stored,) = [row for row in await house.messages(chat.id) if row["auto_submitted"]]
    assert (stored["author_kind"], stored["channel"], stored["delivery_status"]) == ("system", "email", "sent")
    assert (await chat.visit())["mail_due_at"] is None
    assert await mailed(house, after=LATER * 9) == []
    # His answer comes into the same conversation, as his, and the next answer goes by mail.
    reply_to = letter["Reply-To"].addresses[0].addr_spec
    await house.receive(desk, mail(MINA, "Thank you!", dmarc="pass", to=reply_to), recipients=[reply_to])
    (only,) = await house.conversations()
    answer = (await house.incoming(chat.id))[-1]
    assert (answer["new_text"].strip(), answer["author_id"], answer["private"]) == (
        "Thank you!",
        chat.contact_id,
        False,
    )
    assert (only["channel"], only["inbox_id"], only["contact_handle"]) == ("email", desk.id, MINA)
    await house.reply(chat.id, "You are welcome.")
    await house.drain()
    (mailed_answer,) = house.outgoing()
    assert str(mailed_answer["To"]) == MINA
    # And in the chat he finds all of it, but not the letter, which repeats what stands there.
    shown = [item.data for item in (await chat.log()).items if item.kind is ItemKind.MESSAGE]
    assert [one["text"].strip() for one in shown] == [
        "Where is my withdrawal?",
        "We have found it.",
        "It arrives <today>.",
        "Thank you!",
        "You are welcome.",
    ]
    assert [one["channel"] for one in shown] == ["chat", "chat", "chat", "email", "email"]


async def test_the_next_letter_continues_the_thread_of_the_last_one(house: House, desk: Desk) -> None:
    chat = await Chat.begin(house)
    await chat.answer("First.")
    (first,) = await mailed(house)
    await chat.answer("Second.")
    (second,) = await mailed(house)
    assert second["References"] == first["Message-ID"]
    assert "Second." in words(second)
    assert "First." not in words(second)
    assert desk.address == second["From"].addresses[0].addr_spec


async def test_what_he_answers_by_mail_is_told_at_once_to_whoever_reads_along(house: House, desk: Desk) -> None:
    chat = await Chat.begin(house)
    await chat.answer()
    (letter,) = await mailed(house)
    head = (await chat.log()).head_seq
    hub = VisitorHub(house.services, rung=True)
    house.services.database.on_commit = lambda names: hub.ring(sorted(names))
    async with hub.subscribe(chat.visitor, after=head, conversation_id=chat.id) as seat:
        reply_to = letter["Reply-To"].addresses[0].addr_spec
        await house.receive(desk, mail(MINA, "Thank you!", dmarc="pass", to=reply_to), recipients=[reply_to])
        heard: list[Item] = []
        async with asyncio.timeout(5):
            while not heard:
                heard += [one for one in await seat.take() if isinstance(one, Item)]
    await hub.close()
    (item,) = heard
    assert (item.data["text"].strip(), item.data["channel"], item.prev_seq) == ("Thank you!", "email", head)


@pytest.mark.parametrize("why", ["claimed", "read", "online", "spam", "taken out", "no inbox"])
async def test_no_letter_goes_to_whoever(house: House, why: str) -> None:
    """Each reason by itself; only who is there is waited for."""
    desk = await house.inbox()
    chat = await Chat.begin(house, proved=why != "claimed")
    await chat.answer()
    now = clock.now()
    async with house.services.database.transaction() as session:
        if why == "read":
            await session.execute(update(visits).values(read_seq=(await chat.row())["seq"]))
        elif why == "online":
            await session.execute(update(visits).values(online_until=now + LATER + timedelta(seconds=30)))
        elif why == "spam":
            await session.execute(update(conversations).values(spam=True))
        elif why == "taken out":
            row = {"conversation_id": chat.id, "channel": "email", "handle": MINA, "name": "", "created_at": now}
            await session.execute(insert(participants).values(**row, removed_at=now))
        elif why == "no inbox":
            await session.execute(update(inboxes).where(inboxes.c.id == desk.id).values(deleted_at=now))
    assert await mailed(house) == []
    due = (await chat.visit())["mail_due_at"]
    if why != "online":
        assert due is None
        return
    assert due == now + LATER + timedelta(seconds=30) + continuing.AWAY
    assert await mailed(house, after=LATER * 2) == []
    assert len(await mailed(house, after=LATER * 2 + timedelta(seconds=31))) == 1


async def test_two_workers_write_one_letter_for_each_conversation(house: House, desk: Desk) -> None:
    chats = [await Chat.begin(house, address=f"c{number}@customer.test") for number in range(5)]
    for chat in chats:
        await chat.answer()
    await asyncio.gather(*(go_on(house) for _ in range(3)))
    await go_on(house)
    letters = await mailed(house)
    assert sorted(str(one["To"]) for one in letters) == [f"c{number}@customer.test" for number in range(5)]


async def test_a_worker_that_dies_over_it_leaves_it_to_the_next(house: House, desk: Desk) -> None:
    chat = await Chat.begin(house)
    await chat.answer()

    async def dies() -> None:
        async with house.services.database.transaction() as session:
            assert await continuing.go_on(house.services, session, now=clock.now() + LATER) == 1
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await dies()
    assert (await chat.visit())["mail_due_at"] is not None
    assert len(await mailed(house)) == 1


async def test_files_go_along_as_far_as_there_is_room(
    house: House, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuing, "MAX_FILES", 100)
    chat = await Chat.begin(house)
    anna = Actor(AuthorKind.AGENT, (await factories.agent(house.services)).id, "Anna", Role.ADMIN)
    stored = []
    for name, size in (("small.txt", 60), ("large.txt", 60), ("tiny.txt", 40)):
        file: dict[str, Any] = {"filename": name, "content_type": "text/plain", "body": b"x" * size}
        stored.append(await attachments.store(house.services, **file, by=anna, now=clock.now()))
    async with house.services.database.transaction() as session:
        row = await get_conversation(session, anna, chat.id, lock=True)
        draft = Draft(text="Here.", attachment_ids=[one["id"] for one in stored])
        await replies.reply(house.services, session, row, draft, by=anna, now=clock.now())
    (letter,) = await mailed(house)
    assert [part.get_filename() for part in letter.iter_attachments()] == ["small.txt", "tiny.txt"]
    assert "[File, to be found in the chat: large.txt]" in words(letter)


async def test_it_is_written_in_his_language_and_by_the_inbox_that_is_named(house: House, desk: Desk) -> None:
    other = await house.inbox("taipei@wallet.test")
    chat = await Chat.begin(house, continued_by=other, language="zh-TW")
    await chat.answer("已找到。")
    (letter,) = await mailed(house)
    assert letter["From"].addresses[0].addr_spec == other.address
    assert letter["Subject"].startswith("您的線上諮詢有新回覆")


async def test_whatever_agents_merge_meanwhile_he_gets_what_he_was_told(house: House, desk: Desk) -> None:
    """His contact into another one, and his conversation into another one."""
    chat = await Chat.begin(house)
    await chat.answer()
    await house.receive(desk, mail("other@customer.test", dmarc="pass"))
    (other,) = [row for row in await house.conversations() if row["id"] != chat.id]
    boss = await factories.agent(house.services, role="admin")
    by = Actor(AuthorKind.AGENT, boss.id, "Anna", Role.ADMIN)
    async with house.services.database.transaction() as session:
        into = {"into": other["contact_id"], "version": None}
        await contact_merging.merge(session, chat.contact_id, **into, by=by, now=clock.now())
        version = (await get_conversation(session, by, chat.id))["version"]
        await merging.merge(house.services, session, chat.id, into=other["id"], version=version, by=by, now=clock.now())
    house.outgoing()
    (letter,) = [one for one in await mailed(house) if "New answers" in one["Subject"]]
    assert str(letter["To"]) == MINA
    assert "We have found it." in words(letter)


async def test_what_cannot_be_mailed_brings_the_conversation_up_again(house: House) -> None:
    async with SmtpSink() as sink:
        await house.inbox(smtp_url=sink.url())
        chat = await Chat.begin(house)
        await chat.answer()
        async with house.services.database.transaction() as session:
            row = await get_conversation(session, SYSTEM, chat.id, lock=True)
            await verbs.change(house.services, session, row, {"status": "resolved"}, by=SYSTEM, now=clock.now())
        sink.reply("rcpt", "550 5.1.1 nobody here")
        await mailed(house)
        assert sink.messages == []
    assert (await chat.row())["status"] == "open"
    assert [row["type"] for row in await house.rows(events, events.c.type == "message.failed")] == ["message.failed"]


# -- missed chats -----------------------------------------------------------------------------------------------------


async def by_mail(house: House, chat: Chat, *, now: datetime | None = None) -> bool:
    async with house.services.database.transaction() as session:
        row = await get_conversation(session, SYSTEM, chat.id, lock=True)
        return await continuing.by_mail(house.services, session, row, now=now or clock.now())


async def clocks(house: House) -> Sequence[Any]:
    return await house.rows(sla_clocks)


async def test_a_missed_chat_goes_on_as_if_it_had_come_by_mail(house: House) -> None:
    await factories.policy(house.services, channels=["chat"], position=1, targets={"first_response": 60})
    hours = await factories.policy(house.services, channels=["email"], position=2, targets={"first_response": 7200})
    desk = await house.inbox()
    wrote = clock.now() - timedelta(seconds=30)
    chat = await Chat.begin(house, now=wrote)
    (before,) = await clocks(house)
    assert (before["target"], before["started_at"]) == (60, wrote)
    assert await by_mail(house, chat)
    (after,) = await clocks(house)
    assert (after["policy_id"], after["target"], after["started_at"]) == (hours, 7200, wrote)
    assert (after["channel"], after["inbox_id"], after["due_at"]) == ("email", desk.id, wrote + timedelta(hours=2))
    row = await chat.row()
    assert (row["channel"], row["inbox_id"], row["contact_handle"]) == ("email", desk.id, MINA)
    assert (row["next_due_at"], row["waiting_since"]) == (after["due_at"], wrote)
    told = [one["data"]["changes"] for one in await house.rows(events, events.c.type == "conversation.updated")]
    assert {"channel": ["chat", "email"], "inbox_id": [str(chat.inbox_id), str(desk.id)]} in told
    # He is told as whoever writes a mail, and answered by mail; his mail comes back into it.
    await house.drain()
    (letter,) = house.outgoing()
    assert (str(letter["To"]), letter["Auto-Submitted"]) == (MINA, "auto-generated")
    assert letter["Subject"] == f"We have received your message [#{row['number']}]"
    assert "within 2 hours" in words(letter)
    assert [one["outcome"] for one in await house.rows(acknowledgements)] == ["queued"]
    await house.reply(chat.id, "Now we are here.")
    await house.drain()
    (answer,) = house.outgoing()
    assert str(answer["To"]) == MINA
    (ended,) = await clocks(house)
    assert ended["ended_at"] is not None
    reply_to = answer["Reply-To"].addresses[0].addr_spec
    await house.receive(desk, mail(MINA, "Good.", dmarc="pass", to=reply_to), recipients=[reply_to])
    assert len(await house.incoming(chat.id)) == 2


async def test_a_missed_chat_stays_where_it_is_without_a_proved_address(house: House, desk: Desk) -> None:
    chat = await Chat.begin(house, proved=False)
    before = await chat.row()
    assert not await by_mail(house, chat)
    assert dict(await chat.row()) == dict(before)
    async with house.services.database.reading() as session:
        assert (await session.execute(select(messages.c.id).where(messages.c.type == "outgoing"))).first() is None
    assert desk.address


async def test_whoever_proves_an_address_after_his_chat_was_missed_is_answered_there(house: House, desk: Desk) -> None:
    chat = await Chat.begin(house, proved=False)
    assert not await by_mail(house, chat)
    await chat.set(missed=True)
    await chat.prove()
    assert await go_on(house, after=timedelta(0)) == 1
    row = await chat.row()
    assert (row["channel"], row["inbox_id"], row["contact_handle"]) == ("email", desk.id, MINA)
    assert await go_on(house, after=LATER) == 0


async def test_whoever_proves_an_address_is_mailed_what_he_has_not_read(house: House, desk: Desk) -> None:
    chat = await Chat.begin(house, proved=False)
    await chat.answer("We have found it.")
    await chat.answer("Only for us.", private=True)
    assert await mailed(house) == []
    await chat.set(online_until=(await chat.visit())["last_seen_at"])
    await chat.prove()
    (letter,) = await mailed(house, after=timedelta(0))
    assert (str(letter["To"]), letter["From"].addresses[0].addr_spec) == (MINA, desk.address)
    assert "    We have found it." in words(letter)
    assert "Only for us" not in letter.as_string()
    assert await mailed(house) == []


@pytest.mark.parametrize("why", ["read", "mailed", "old", "there"])
async def test_whoever_proves_an_address_is_not_mailed(house: House, desk: Desk, why: str) -> None:
    """What he has read or got, what is of long ago, and what he may still read where he is."""
    chat = await Chat.begin(house, proved=False)
    await chat.answer()
    assert await mailed(house) == []
    until, seq = (await chat.visit())["last_seen_at"], (await chat.row())["seq"]
    await chat.set(online_until=clock.now() + LATER if why == "there" else until)
    if why in ("read", "mailed"):
        await chat.set(**{f"{why}_seq": seq})
    elif why == "old":
        async with house.services.database.transaction() as session:
            written = update(messages).where(messages.c.conversation_id == chat.id)
            await session.execute(written.values(created_at=clock.now() - CONTINUED_WITHIN - LATER))
    await chat.prove()
    due = (await chat.visit())["mail_due_at"]
    assert (due is None) is (why != "there")
    assert await mailed(house, after=timedelta(0)) == []
    assert len(await mailed(house, after=LATER * 3)) == (why == "there")
    assert desk.address


async def test_whoever_proves_an_address_is_mailed_nothing_that_was_said_to_another(house: House, desk: Desk) -> None:
    """An agent takes the two for one, and has merged what they said; one of them then proves who he is."""
    await house.receive(desk, mail(MINA, dmarc="pass"))
    mina = await Chat.begin(house, proved=False)
    otto = await Chat.begin(house, address="otto@customer.test", proved=False, inbox_id=mina.inbox_id)
    await otto.answer("To Otto alone")
    await mina.answer("To Mina alone")
    async with house.services.database.transaction() as session:
        how: dict[str, Any] = {"version": None, "by": SYSTEM, "now": clock.now()}
        await contact_merging.merge(session, otto.contact_id, into=mina.contact_id, **how)
        how["version"] = (await get_conversation(session, SYSTEM, otto.id))["version"]
        await merging.merge(house.services, session, otto.id, into=mina.id, **how)
    for one in (otto, mina):
        await mina.answer(f"By name, to {one.visitor.handle}", to=[{"handle": one.visitor.handle, "name": ""}])
    await house.drain()
    assert [one for one in await mailed(house) if "New answers" in one["Subject"]] == []
    for one in (otto, mina):
        await one.set(online_until=(await one.visit())["last_seen_at"])
    for one, other, name in ((mina, otto, "Mina"), (otto, mina, "Otto")):
        await one.prove()
        letters = [found for found in await mailed(house, after=timedelta(0)) if "New answers" in found["Subject"]]
        said = "".join(map(words, letters))
        assert f"To {name} alone" in said
        assert said.count(" alone") == 1
        assert other.visitor.handle not in said
        assert {str(found["To"]) for found in letters} == {MINA if one is mina else "otto@customer.test"}
