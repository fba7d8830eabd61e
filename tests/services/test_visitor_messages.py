"""What visitors say: once, in order, and filed as everything else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, select, update

from helpdesk import clock
from helpdesk.db import Database, new_id
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind
from helpdesk.errors import Conflict, Invalid, NotFound
from helpdesk.hosting import VisitorHost
from helpdesk.live import Feedback, Identity, Said, SessionRefused, Visitor
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversation_links, conversation_tags, conversations, participants
from helpdesk.models.events import events
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import acknowledgements, messages
from helpdesk.models.messages import attachments as attachment_rows
from helpdesk.models.rules import automation_runs
from helpdesk.models.search import search_rows
from helpdesk.models.sla import sla_clocks
from helpdesk.models.visitors import visits
from helpdesk.services import (
    attachments,
    contact_merging,
    lookups,
    merging,
    placing,
    visitor_messages,
    visitor_sessions,
)
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from helpdesk.services.promises import Promises
from helpdesk.services.visitor_filing import SaidMeanwhile
from tests import factories
from tests.house import House
from tests.searching import indexed
from workers.automate import run_rules
from workers.triage import sort_new

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
async def desk(services: Services) -> UUID:
    return await factories.inbox(services, channel="chat")


@pytest.fixture
async def elsewhere(services: Services, database_url: str) -> AsyncIterator[Services]:
    """The house as another process has it."""
    opened = Database(database_url)
    yield replace(services, database=opened, promises=Promises())
    await opened.close()


async def begin(services: Services, inbox_id: UUID, *, user: str = "", now: datetime = NOW) -> str:
    """A session; answers its token. With a `user`, the host site vouches for him."""
    identity = Identity(user, str(new_id()), now + timedelta(hours=1)) if user else None
    given: dict[str, Any] = {"identity": identity, "name": "Mina", "email": "", "language": "", "fields": {}}
    async with services.database.transaction() as session:
        return (await visitor_sessions.begin(services, session, inbox_id, **given, now=now)).token


async def visitor(services: Services, token: str, *, now: datetime = NOW) -> Visitor:
    return await visitor_sessions.find(services.database, token, now=now)


async def say(services: Services, who: str | Visitor, text: str = "Hello?", **given: Any) -> Said:
    """As the house has it said: once more where the same is said at the same moment."""
    how: dict[str, Any] = {"client_id": str(new_id()), "now": NOW, **given}
    who = await visitor(services, who, now=how["now"]) if isinstance(who, str) else who
    for _ in range(2):
        try:
            async with services.database.transaction() as session:
                return await visitor_messages.say(services, session, who, text=text, **how)
        except SaidMeanwhile:
            continue
    raise AssertionError("it was said meanwhile, and is not there")


async def rows(services: Services, table: Table, *where: Any) -> list[dict[str, Any]]:
    """In the order of their keys, which begin with the time."""
    query = select(table).where(*where).order_by(*table.primary_key)
    async with services.database.reading() as session:
        return [dict(row) for row in (await session.execute(query)).mappings()]


async def row(services: Services, table: Table, *where: Any) -> dict[str, Any]:
    (found,) = await rows(services, table, *where)
    return found


async def change(services: Services, conversation_id: UUID, *, now: datetime = NOW, **wanted: Any) -> None:
    async with services.database.transaction() as session:
        found = await get_conversation(session, SYSTEM, conversation_id, lock=True)
        await conversation_verbs.change(services, session, found, wanted, by=SYSTEM, now=now)


async def test_the_first_message_opens_a_conversation_as_a_mail_does(services: Services, desk: UUID) -> None:
    await factories.policy(services)
    token = await begin(services, desk)
    said = await say(services, token, "  My withdrawal is gone.\u202e\x00 Where is it? ")
    opened = await row(services, conversations)
    assert (said.conversation_id, said.seq, said.repeated) == (opened["id"], 1, False)
    assert (opened["status"], opened["message_count"], opened["last_incoming_seq"]) == ("open", 1, 1)
    assert (opened["preview"], opened["language"]) == ("My withdrawal is gone. Where is it?", "en")
    assert (opened["waiting_since"], opened["last_message_direction"]) == (NOW, "incoming")
    assert {one["kind"] for one in await rows(services, sla_clocks)} == {"first_response"}
    who = await visitor(services, token)
    assert (who.conversation_id, who.contact_id) == (opened["id"], opened["contact_id"])
    assert (await row(services, participants))["handle"] == opened["contact_handle"] == who.handle
    assert (await row(services, visits))["contact_id"] == who.contact_id
    told = {one["type"]: one for one in await rows(services, events, events.c.conversation_id == opened["id"])}
    assert set(told) == {"conversation.created", "message.received"}
    data = told["message.received"]["data"]
    assert (data["first"], data["silent"], data["message_id"]) == (True, False, str(said.message_id))
    written = await row(services, messages)
    assert (written["text"], written["author_name"]) == ("My withdrawal is gone. Where is it?", "Mina")
    assert written["sender_verified"] is None


async def test_the_short_way_writes_what_the_long_way_writes(services: Services, desk: UUID) -> None:
    await factories.policy(services)
    for token in (await begin(services, desk), await begin(services, desk, user="mina-7")):
        await say(services, token, "123")
        who = await visitor(services, token)
        here = messages.c.conversation_id == who.conversation_id
        before = await row(services, conversations, conversations.c.id == who.conversation_id)
        clocks = await rows(services, sla_clocks)
        seen = []
        # Who does not know yet that he is in a conversation has his message filed, which then joins that one.
        for one, text in ((who, "你好，请问"), (replace(who, conversation_id=None), "我的提现没有到账")):
            said = await say(services, one, text, now=LATER)
            written = await row(services, messages, messages.c.id == said.message_id)
            told = await row(services, events, events.c.seq == said.seq, events.c.conversation_id == before["id"])
            after = await row(services, conversations, conversations.c.id == before["id"])
            assert (after["seq"], after["last_incoming_seq"]) == (said.seq, said.seq)
            assert (after["preview"], after["language"]) == (text, "zh-CN")
            assert told["data"].pop("message_id") == str(said.message_id)
            different = {"id", "seq", "text", "new_text", "content_digest", "preview"}
            different |= {"message_count", "last_incoming_seq"}
            seen.append([{k: v for k, v in d.items() if k not in different} for d in (written, told, after)])
        assert seen[0] == seen[1]
        assert await rows(services, sla_clocks) == clocks
        assert [one["seq"] for one in await rows(services, messages, here)] == [1, 2, 3]


async def test_what_is_said_again_is_there_once(services: Services, desk: UUID) -> None:
    token = await begin(services, desk)
    first = await say(services, token, client_id="a")
    assert await say(services, token, client_id="a", now=LATER) == replace(first, repeated=True)
    second = await say(services, token, client_id="b")
    await change(services, first.conversation_id, status="resolved")
    assert await say(services, token, "Something else.", client_id="b") == replace(second, repeated=True)
    other = await begin(services, desk)
    assert not (await say(services, other, client_id="a")).repeated, "the ids of another session are its own"
    assert (await row(services, conversations, conversations.c.id == first.conversation_id))["status"] == "resolved"
    assert len(await rows(services, messages)) == 3


@pytest.mark.parametrize("begun", [False, True])
async def test_what_is_said_twice_at_one_moment_is_there_once(
    services: Services, elsewhere: Services, desk: UUID, begun: bool
) -> None:
    for _ in range(5):
        token = await begin(services, desk)
        if begun:
            await say(services, token)
        found = await asyncio.gather(*(say(one, token, client_id="a") for one in (services, elsewhere) * 2))
        assert [one.repeated for one in found].count(False) == 1
        assert len({(one.message_id, one.conversation_id, one.seq) for one in found}) == 1
        written = await rows(services, messages, messages.c.conversation_id == found[0].conversation_id)
        assert [one["seq"] for one in written] == list(range(1, 2 + begun))


async def test_two_devices_that_begin_at_one_moment_begin_one_conversation(
    services: Services, elsewhere: Services, desk: UUID
) -> None:
    tokens = [await begin(services, desk, user="mina-7") for _ in range(3)]
    found = await asyncio.gather(*(say(one, tokens[n]) for n, one in enumerate((services, elsewhere, services))))
    assert len({one.conversation_id for one in found}) == 1
    assert sorted(one.seq for one in found) == [1, 2, 3]


@pytest.mark.parametrize("status", ["pending", "resolved", "snoozed"])
async def test_a_message_opens_again_what_was_put_away(services: Services, desk: UUID, status: str) -> None:
    await factories.policy(services)
    token = await begin(services, desk)
    said = await say(services, token)
    until = {"snoozed_until": NOW + timedelta(days=1)} if status == "snoozed" else {}
    await change(services, said.conversation_id, status=status, **until)
    again = await say(services, token, now=LATER)
    opened = await row(services, conversations)
    assert (again.conversation_id, opened["status"], opened["snoozed_until"]) == (opened["id"], "open", None)
    assert (opened["waiting_since"], opened["next_due_at"] is None) == (NOW, False), "nobody has answered yet"
    told = await rows(services, events, events.c.type == "conversation.status_changed")
    assert [one["data"]["by"] for one in told][-1] == "contact"
    assert again.seq == opened["seq"] - 1


@pytest.mark.parametrize("how", ["closed", "old"])
async def test_what_is_over_is_followed_by_another_conversation(services: Services, desk: UUID, how: str) -> None:
    token = await begin(services, desk)
    said, now = await say(services, token), LATER
    if how == "closed":
        await change(services, said.conversation_id, status="closed")
    else:
        now = NOW + timedelta(days=14, seconds=1)
    again = await say(services, token, now=now)
    assert again.conversation_id != said.conversation_id
    link = await row(services, conversation_links)
    assert (link["conversation_id"], link["related_id"]) == (again.conversation_id, said.conversation_id)
    assert link["kind"] == "follows"
    assert len(await rows(services, visits)) == 2


async def test_whoever_is_blocked_notices_nothing(services: Services, desk: UUID) -> None:
    token = await begin(services, desk)
    said = await say(services, token)
    async with services.database.transaction() as session:
        await session.execute(update(contacts).values(blocked=True))
    again = [await say(services, token, now=LATER) for _ in range(2)]
    assert {one.conversation_id for one in again} == {said.conversation_id}
    shunned = await row(services, conversations)
    assert (shunned["spam"], shunned["status"], shunned["message_count"]) == (True, "resolved", 3)
    told = await rows(services, events, events.c.type == "message.received")
    assert sorted(one["data"]["silent"] for one in told) == [False, True, True]


async def test_what_is_said_in_a_merged_conversation_goes_where_that_went(services: Services, desk: UUID) -> None:
    token = await begin(services, desk)
    said = await say(services, token)
    mail = await factories.conversation(services, inbox_id=await factories.inbox(services))
    async with services.database.transaction() as session:
        how: dict[str, Any] = {"version": 1, "other_contact": True, "by": SYSTEM, "now": LATER}
        await merging.merge(services, session, said.conversation_id, into=mail, **how)
    here = await visitor(services, token, now=LATER)
    before = replace(here, conversation_id=said.conversation_id)
    assert here.conversation_id == mail
    assert [(await say(services, one, now=LATER)).conversation_id for one in (here, before)] == [mail, mail]
    target = await row(services, conversations, conversations.c.id == mail)
    assert (target["channel"], target["contact_handle"] == here.handle) == ("email", False), "it is another contact's"
    assert (await row(services, visits, visits.c.conversation_id == mail))["contact_id"] == here.contact_id
    async with services.database.transaction() as session:
        await merging.unmerge(services, session, said.conversation_id, version=2, by=SYSTEM, now=LATER)
    assert (await visitor(services, token, now=LATER)).conversation_id == said.conversation_id
    assert [one["conversation_id"] for one in await rows(services, visits)] == [said.conversation_id]


async def test_an_agent_who_merges_contacts_keeps_nobody_from_going_on(services: Services, desk: UUID) -> None:
    token, other = await begin(services, desk), await factories.contact(services)
    said = await say(services, token)
    who = await visitor(services, token)
    async with services.database.transaction() as session:
        await contact_merging.merge(session, who.contact_id, into=other, version=1, by=SYSTEM, now=NOW)
    again = await say(services, token, now=LATER)
    assert (again.conversation_id, again.seq) == (said.conversation_id, 2)
    assert (await row(services, messages, messages.c.seq == 2))["author_id"] == other
    assert (await visitor(services, token)).contact_id == who.contact_id


async def test_a_text_is_neither_empty_nor_too_long(services: Services, desk: UUID) -> None:
    token = await begin(services, desk)
    for text, slug in (("", "text_empty"), (" \n\u202e\x07 ", "text_empty"), ("x" * 8001, "text_too_long")):
        with pytest.raises(Invalid) as refused:
            await say(services, token, text)
        assert (refused.value.problem, refused.value.errors[0].field) == (slug, "text")
    await say(services, token, "e\u0301" * 4000)
    assert (await row(services, messages))["text"] == "\u00e9" * 4000


async def test_files_go_with_a_message_once(services: Services, desk: UUID) -> None:
    tokens = [await begin(services, desk) for _ in range(2)]
    uploads = []
    for token in tokens:
        by = Actor(AuthorKind.CONTACT, id=(await visitor(services, token)).session_id)
        how: dict[str, Any] = {"filename": "proof.png", "content_type": "image/png", "body": b"\x89PNG\r\n\x1a\n"}
        uploads.append((await attachments.store(services, **how, by=by, now=NOW))["id"])
    mine, foreign = uploads
    with pytest.raises(NotFound):
        await say(services, tokens[0], attachment_ids=[mine, foreign])
    assert await rows(services, conversations) == []
    said = await say(services, tokens[0], "", attachment_ids=[mine, mine], client_id="a")
    assert (await row(services, messages))["attachment_count"] == 1
    assert (await row(services, attachment_rows, attachment_rows.c.id == mine))["message_id"] == said.message_id
    assert (await say(services, tokens[0], "", attachment_ids=[mine], client_id="a")).repeated
    with pytest.raises(NotFound):
        await say(services, tokens[0], "", attachment_ids=[mine])


async def test_feedback_is_a_matter_of_its_own(services: Services, desk: UUID) -> None:
    token, category = await begin(services, desk), await factories.category(services)
    given = Feedback(category=category, app_version="5.2.1", device="Pixel 9")
    first = await say(services, token, "It is slow.", feedback=given)
    assert (await visitor(services, token)).conversation_id == first.conversation_id, "an answer to it can be read"
    chat = await begin(services, desk)
    said = await say(services, chat)
    second = await say(services, chat, "So nice!", feedback=Feedback(category="unheard of"))
    assert second.conversation_id != said.conversation_id
    assert (await visitor(services, chat)).conversation_id == said.conversation_id
    tags = await rows(services, conversation_tags)
    assert {(one["conversation_id"], one["tag"]) for one in tags} == {
        (one.conversation_id, "feedback") for one in (first, second)
    }
    found = {one["id"]: one["category"] for one in await rows(services, conversations)}
    assert (found[first.conversation_id], found[second.conversation_id]) == (category, None)
    note = await row(services, messages, messages.c.private)
    assert (note["conversation_id"], note["text"]) == (first.conversation_id, "App version: 5.2.1\nDevice: Pixel 9")


async def test_who_begins_too_much_is_kept_together(
    services: Services, desk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (placing, lookups):
        monkeypatch.setattr(module, "FLOOD", 2)
    token = await begin(services, desk)
    for _ in range(4):
        said = await say(services, token, feedback=Feedback())
    found = {one["id"]: one["quarantined"] for one in await rows(services, conversations)}
    assert sorted(found.values()) == [False, False, True]
    assert found[said.conversation_id]


async def test_nothing_is_said_where_nobody_listens(services: Services, desk: UUID) -> None:
    token = await begin(services, desk)
    who = await visitor(services, token)
    async with services.database.transaction() as session:
        await session.execute(update(inboxes).values(state="paused"))
    with pytest.raises(Conflict) as refused:
        await say(services, who)
    assert refused.value.problem == "conversation_unavailable"
    async with services.database.transaction() as session:
        await session.execute(update(inboxes).values(state="active"))
    await say(services, who)
    there = await visitor(services, token)
    async with services.database.transaction() as session:
        await visitor_sessions.log_out(session, who, now=NOW)
    for one in (who, there):
        with pytest.raises(SessionRefused):
            await say(services, one)
    assert len(await rows(services, messages)) == 1


async def test_the_house_says_again_what_was_said_meanwhile(services: Services, desk: UUID) -> None:
    """As the routes call it."""
    host = VisitorHost(services, visitors=None, channel=services.channel("chat"))  # type: ignore[arg-type]
    opened = await host.open(desk, identity=None, name="", email="", language="", fields={})
    given: dict[str, Any] = {"client_id": "a", "text": "Hello?", "attachment_ids": ()}
    found = await asyncio.gather(*(host.say(opened.visitor, **given) for _ in range(4)))
    assert len({one.message_id for one in found}) == 1
    assert (await host.log_after(await host.visitor(opened.token), 0, limit=10)).head_seq == 1


async def test_all_that_follows_a_mail_follows_what_a_visitor_says(services: Services, desk: UUID) -> None:
    """Subscribers and followers are told by its event: triage, rules, the search."""
    rule = await factories.automation_rule(services, condition={"field": "channel", "op": "eq", "value": "chat"})
    sorting = replace(services, settings=services.settings.model_copy(update={"triage": "apply"}))
    while await sort_new(sorting) or await run_rules(services):
        pass
    token = await begin(services, desk, now=clock.now())
    for text in ("Hello?", "My wallet was hacked and everything is gone"):
        said = await say(services, token, text, now=clock.now())
    async with House(services) as house:
        await house.drain()
        assert len(await house.rows(acknowledgements)) == 1
    while await sort_new(sorting) or await run_rules(services):
        pass
    await indexed(services)
    assert {one["tag"] for one in await rows(services, conversation_tags)} == {"seen"}
    runs = await rows(services, automation_runs, automation_runs.c.rule_id == rule)
    assert len(runs) == 2, "once for each message"
    assert (await row(services, conversations))["priority"] == 3
    assert [one["message_id"] for one in await rows(services, search_rows, search_rows.c.message_id == said.message_id)]
