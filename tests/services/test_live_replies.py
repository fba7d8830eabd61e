"""What is answered on a live channel: read where it is written, and what agents see of whoever reads it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest

from helpdesk import clock
from helpdesk.domain.actions import Reply
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, Role
from helpdesk.errors import Conflict, Invalid
from helpdesk.live import Visitor
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.messages import deliveries, messages
from helpdesk.models.sla import sla_clocks
from helpdesk.models.visitors import visits as visit_rows
from helpdesk.services import automatic_replies, describing, merging, redelivery, replies, starting, visits
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Draft
from tests import factories
from tests.services.test_visitor_messages import LATER, NOW, begin, change, desk, row, rows, say, visitor

__all__ = ["desk"]

ANNA = "Anna"


async def answer(services: Services, conversation_id: UUID, by: Actor, **given: Any) -> UUID:
    draft = Draft(**{"text": "We look into it.", **given})
    async with services.database.transaction() as session:
        found = await get_conversation(session, SYSTEM, conversation_id, lock=True)
        return (await replies.reply(services, session, found, draft, by=by, now=LATER)).message["id"]


async def anna(services: Services) -> Actor:
    found = await factories.agent(services, role="admin", name=ANNA)
    return Actor(AuthorKind.AGENT, found.id, found.name, Role.ADMIN)


async def test_an_answer_is_delivered_by_being_there(services: Services, desk: UUID) -> None:
    await factories.policy(services)
    who = await anna(services)
    said = await say(services, await begin(services, desk))
    rung: list[frozenset[str]] = []
    services.database.on_commit = rung.append
    message_id = await answer(services, said.conversation_id, who)
    assert f"live:{said.conversation_id}" in rung[0]
    written = await row(services, messages, messages.c.id == message_id)
    assert (written["delivery_status"], written["sent_at"], written["seq"]) == ("sent", LATER, 2)
    assert await rows(services, deliveries) == []
    told = await rows(services, events, events.c.type.in_(["message.created", "message.sent"]))
    assert [(one["data"]["message_id"], one["seq"]) for one in told] == [(str(message_id), 2)] * 2
    (clock_row,) = await rows(services, sla_clocks)
    assert (clock_row["state"], clock_row["ended_by"]) == ("met", message_id)
    assert (await row(services, conversations))["waiting_since"] is None
    assert (await row(services, visit_rows))["mail_due_at"] == LATER + timedelta(minutes=10)
    # He waits for the next answer from when he asks again.
    await say(services, await begin(services, desk))
    await answer(services, said.conversation_id, who, status="resolved")
    assert (await row(services, conversations, conversations.c.id == said.conversation_id))["status"] == "resolved"


async def test_what_a_rule_says_is_read_there_and_answers_no_promise(services: Services, desk: UUID) -> None:
    await factories.policy(services)
    said = await say(services, await begin(services, desk))
    async with services.database.transaction() as session:
        found = await get_conversation(session, SYSTEM, said.conversation_id, lock=True)
        action = Reply(text="We are closed.")
        message_id = await automatic_replies.reply(
            services,
            session,
            found,
            action,
            rule_id=desk,
            by=replace(SYSTEM, kind=AuthorKind.BOT, name="Rules"),
            now=LATER,
        )
    written = await row(services, messages, messages.c.id == message_id)
    assert (written["delivery_status"], written["auto_submitted"]) == ("sent", "auto-replied")
    assert [one["state"] for one in await rows(services, sla_clocks)] == ["running"]
    assert (await row(services, visit_rows))["mail_due_at"] is None


async def test_what_the_channel_cannot_do_is_refused(services: Services, desk: UUID) -> None:
    who, said = await anna(services), await say(services, await begin(services, desk))
    place = said.conversation_id
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("undo_seconds", {"undo_seconds": 10}),
        ("html", {"html": "<b>Bold</b>"}),
        ("text", {"text": "x" * 8001}),
        ("cc", {"cc": [{"handle": "otto@customer.test", "name": ""}]}),
        ("to", {"to": [{"handle": "visitor-unknown", "name": ""}]}),
    ]
    for name, given in wrong:
        with pytest.raises(Invalid) as refused:
            await answer(services, place, who, **given)
        assert refused.value.errors[0].field == name
    mail = await factories.conversation(services, inbox_id=await factories.inbox(services))
    with pytest.raises(Invalid, match="no address on this channel"):
        await answer(services, mail, who, inbox_id=desk)
    message_id = await answer(services, place, who)
    written: Any = await row(services, messages, messages.c.id == message_id)
    async with services.database.transaction() as session:
        for verb in (partial(redelivery.cancel, services), redelivery.retry):
            with pytest.raises(Conflict) as late:
                await verb(session, written, by=who, now=LATER)
            assert late.value.problem == "delivery_state"
    await change(services, place, status="closed")
    with pytest.raises(Conflict):
        await answer(services, place, who)


async def test_agents_see_whether_he_is_there_writes_and_has_read(
    client: httpx.AsyncClient, services: Services
) -> None:
    desk, boss, now = (
        await factories.inbox(services, channel="chat"),
        await factories.agent(services, role="admin"),
        clock.now(),
    )
    token = await begin(services, desk, now=now)
    said = await say(services, token, now=now)
    url = f"/api/v1/conversations/{said.conversation_id}"

    async def shown() -> dict[str, Any]:
        found: dict[str, Any] = (await client.get(url, headers=boss.headers)).json()["contact_presence"]
        return {name: found[name] for name in ("online", "typing", "read_seq")}

    assert await shown() == {"online": True, "typing": False, "read_seq": 0}, "he has only just said something"
    headers = {**boss.headers, "Idempotency-Key": "a"}
    answered = (await client.post(f"{url}/messages", json={"text": "We look into it."}, headers=headers)).json()
    assert answered["seq"] == 2
    times = dict.fromkeys(("next_attempt_at", "delivered_at", "read_at"))
    assert answered["delivery"] == {"status": "sent", "attempts": 0, "error": "", **times}
    who = await visitor(services, token, now=now)
    async with services.database.transaction() as session:
        await visits.online(session, [said.conversation_id], until=now + timedelta(minutes=5), now=now)
        await visits.typing(session, who, until=now + timedelta(minutes=5), now=now)
        await visits.read(session, who, 2, now=now)
    assert await shown() == {"online": True, "typing": True, "read_seq": 2}
    async with services.database.transaction() as session:
        await visits.read(session, who, 1, now=now)
        await visits.typing(session, who, until=None, now=now)
        await visits.online(session, [said.conversation_id], until=now - timedelta(seconds=1), now=now)
    assert await shown() == {"online": False, "typing": False, "read_seq": 2}
    mail = await factories.conversation(services, inbox_id=await factories.inbox(services))
    assert (await client.get(f"/api/v1/conversations/{mail}", headers=boss.headers)).json()["contact_presence"] is None


async def test_nobody_has_read_beyond_the_end(services: Services, desk: UUID) -> None:
    token = await begin(services, desk)
    await say(services, token)
    who = await visitor(services, token)
    rung: list[frozenset[str]] = []
    services.database.on_commit = rung.append
    for seq in (2**31 - 1, 1, 2**31 - 1):
        async with services.database.transaction() as session:
            await visits.read(session, who, seq, now=NOW)
    assert (await row(services, visit_rows))["read_seq"] == 1
    assert rung == [frozenset({"presence"})], "told once"
    nowhere = Visitor(who.session_id, who.inbox_id, who.contact_id, who.handle, False, "", "", None)
    async with services.database.transaction() as session:
        await visits.read(session, nowhere, 1, now=NOW)
        await visits.typing(session, nowhere, until=LATER, now=NOW)


async def test_nobody_has_read_for_whom_an_agent_takes_him_for(services: Services, desk: UUID) -> None:
    """What the other one was answered would not go on by e-mail."""
    tokens = [await begin(services, desk) for _ in range(2)]
    mine, theirs = [(await say(services, token)).conversation_id for token in tokens]
    async with services.database.transaction() as session:
        how: dict[str, Any] = {"version": 1, "other_contact": True, "by": SYSTEM, "now": NOW}
        await merging.merge(services, session, mine, into=theirs, **how)
    who = await visitor(services, tokens[0])
    assert who.conversation_id == theirs
    async with services.database.transaction() as session:
        await visits.read(session, who, 1, now=NOW)
    assert (await row(services, visit_rows, visit_rows.c.conversation_id == theirs))["read_seq"] == 0


async def test_a_chat_is_answered_only_where_its_visitor_reads(services: Services, desk: UUID) -> None:
    """Through another site's chat it would count as sent, and nobody would ever read it."""
    who, other = await anna(services), await factories.inbox(services, channel="chat")
    said = await say(services, await begin(services, desk))
    with pytest.raises(Invalid) as refused:
        await answer(services, said.conversation_id, who, inbox_id=other)
    assert refused.value.errors[0].field == "inbox_id"
    async with services.database.reading() as session:
        assert await visits.read_through(session, said.conversation_id) == {desk}
        assert await visits.read_through(session, desk) == frozenset()
        found = await describing.describe(services, session, SYSTEM, said.conversation_id, now=NOW)
    assert [one["inbox_id"] for one in found.reply_channels] == [desk]


async def test_nobody_begins_a_chat_with_somebody_who_is_not_there(services: Services, desk: UUID) -> None:
    about: dict[str, Any] = {"handle": "visitor-1", "name": "", "subject": "", "text": "Hello!", "status": None}
    async with services.database.transaction() as session:
        with pytest.raises(Invalid) as refused:
            await starting.start(services, session, inbox_id=desk, **about, by=SYSTEM, now=NOW)
    assert refused.value.errors[0].field == "inbox_id"
