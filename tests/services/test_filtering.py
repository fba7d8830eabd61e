"""What each condition of a filter tree finds, in both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from helpdesk.channels import Profile
from helpdesk.db import insert_rows, new_id
from helpdesk.domain.filter_tree import parse
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, Role
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversation_reads, conversation_watchers, conversations, drafts, mentions
from helpdesk.models.messages import messages
from helpdesk.models.social import conversation_threads, posts
from helpdesk.services import filtering, replies, social_accounts
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Draft
from tests import factories

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def leaf(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


class Desk:
    """Four conversations, told apart by their numbers, and an agent who asks about them."""

    anna: Actor
    inbox: UUID
    other: UUID
    team: UUID
    ids: dict[int, UUID]
    contact: UUID
    at: dict[int, datetime]

    def __init__(self, services: Services) -> None:
        self.services = services

    async def build(self) -> None:
        services = self.services
        anna = await factories.agent(services, role="supervisor")
        self.anna = Actor(AuthorKind.AGENT, id=anna.id, name="Anna", role=Role.SUPERVISOR)
        self.inbox, self.other = [await factories.inbox(services) for _ in range(2)]
        self.team = await factories.team(services)
        rows: list[dict[str, Any]] = [
            {"inbox_id": self.inbox, "assignee_id": anna.id, "tag": ["vip", "new"], "priority": 3, "messages": 2}
            | {"category": "fees", "snoozed_until": NOW + HOUR, "status": "snoozed", "status_changed_at": NOW - HOUR}
            | {"custom_fields": {"plan": "pro", "seats": 5, "paid": True, "since": "2026-01-05"}},
            {"inbox_id": self.other, "team_id": self.team, "tag": ["new"], "subject": "100% lost_in transit"}
            | {"next_due_at": NOW - HOUR, "assigned_at": NOW, "custom_fields": {"plan": "Professional", "seats": "5"}},
            {"inbox_id": self.inbox, "status": "resolved", "spam": True, "next_due_at": None, "sla_paused": True}
            | {"language": "zh-Hans", "waiting_since": None, "custom_fields": {"plan": None, "seats": 12.5}},
            {"inbox_id": self.inbox, "quarantined": True, "next_due_at": NOW + HOUR, "due_soon_at": NOW - HOUR},
        ]
        at = [NOW - hours * HOUR for hours in (4, 3, 2, 1)]
        made = [await factories.conversation(services, now=one, **row) for one, row in zip(at, rows, strict=True)]
        self.ids, self.at = dict(enumerate(made, 1)), dict(enumerate(at, 1))
        await self._surround()

    async def _surround(self) -> None:
        """What other tables say of them: the first is answered, the second is watched, the third's contact blocked."""
        async with self.services.database.transaction() as session:
            found = await get_conversation(session, SYSTEM, self.ids[1], lock=True)
            self.contact = found["contact_id"]
            draft = Draft(text="We are looking into it.")
            await replies.reply(self.services, session, found, draft, by=self.anna, now=NOW)
            found = await get_conversation(session, SYSTEM, self.ids[2], lock=True)
            note = Draft(text="Look.", private=True)
            stored = await replies.reply(self.services, session, found, note, by=SYSTEM, now=NOW)
            message_id = stored.message["id"]
            row: dict[str, Any] = {"conversation_id": self.ids[2], "agent_id": self.anna.id}
            await insert_rows(
                session, mentions, [{"message_id": message_id, "created_at": NOW, "read_at": None, **row}]
            )
            await insert_rows(session, conversation_watchers, [{"added_by": None, "created_at": NOW, **row}])
            await insert_rows(session, drafts, [{"content": {"text": "So"}, "version": 1, "updated_at": NOW, **row}])
            read = {"agent_id": self.anna.id, "updated_at": NOW}
            for number, seq in ((1, 1), (4, 1)):
                where = {"conversation_id": self.ids[number], "seq": seq}
                await self._read(session, {**read, **where})
            hers = select(conversations.c.contact_id).where(conversations.c.id == self.ids[3])
            blocked = update(contacts).where(contacts.c.id == hers.scalar_subquery()).values(blocked=True)
            await session.execute(blocked)

        await self._in_public(self.ids[2])
        await factories.rating(self.services, self.ids[3], score=5, rated_at=NOW)
        await factories.rating(self.services, self.ids[2])

    async def _in_public(self, conversation_id: UUID) -> None:
        """He wrote under a post, too, from an account that many follow."""
        async with self.services.database.transaction() as session:
            found = await get_conversation(session, SYSTEM, conversation_id)
            seen = Profile(found["contact_handle"], "mina", followers=1200, verified="blue")
            await social_accounts.upsert(session, found["channel"], [(seen, NOW)], now=NOW)
            post = {"id": new_id(), "inbox_id": self.other, "external_id": "9", "created_at": NOW}
            await insert_rows(session, posts, [post | {"url": "", "text": "", "own": False}])
            thread = {"inbox_id": self.other, "handle": found["contact_handle"], "thread": "post:9", "created_at": NOW}
            thread |= {"conversation_id": conversation_id, "post_id": post["id"]}
            await insert_rows(session, conversation_threads, [thread])
            said = update(messages).where(messages.c.conversation_id == conversation_id)
            await session.execute(said.values(visibility="public"))

    async def _read(self, session: Any, row: dict[str, Any]) -> None:
        r = conversation_reads.c
        mine = (r.agent_id == row["agent_id"]) & (r.conversation_id == row["conversation_id"])
        await session.execute(conversation_reads.delete().where(mine))
        await insert_rows(session, conversation_reads, [row])

    async def finds(self, content: Any, *, actor: Actor | None = None) -> list[int]:
        """Numbers of those that the condition holds for, in a query that joins what a list joins."""
        condition = filtering.condition(parse(content), actor=actor or self.anna, now=NOW)
        query = select(conversations.c.number).join(contacts, contacts.c.id == conversations.c.contact_id)
        async with self.services.database.reading() as session:
            return sorted((await session.execute(query.where(condition))).scalars())


@pytest.fixture
async def desk(services: Services) -> Desk:
    found = Desk(services)
    await found.build()
    return found


async def test_each_condition_finds_what_it_says_and_its_opposite_the_rest(desk: Desk) -> None:
    anna, z = str(desk.anna.id), "2026-11-02T08:30:00Z"
    urgent = leaf("priority", "eq", "urgent")
    expected: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [1, 2, 3, 4]),
        (leaf("status", "eq", "open"), [2, 4]),
        (leaf("status", "not_in", ["open", "snoozed"]), [3]),
        (leaf("channel", "eq", "email"), [1, 2, 3, 4]),
        (leaf("channel", "ne", "email"), []),
        (leaf("language", "eq", "zh-Hans"), [3]),
        (leaf("inbox_id", "eq", str(desk.inbox)), [1, 3, 4]),
        (leaf("inbox_id", "not_in", [str(desk.inbox)]), [2]),
        (leaf("assignee_id", "eq", "me"), [1]),
        (leaf("assignee_id", "eq", anna), [1]),
        (leaf("assignee_id", "eq", None), [2, 3, 4]),
        (leaf("assignee_id", "in", [None, "me"]), [1, 2, 3, 4]),
        (leaf("assignee_id", "ne", "me"), [2, 3, 4]),
        (leaf("assignee_id", "missing", False), [1]),
        (leaf("team_id", "in", [str(desk.team), anna]), [2]),
        (leaf("team_id", "missing", True), [1, 3, 4]),
        (leaf("contact_id", "eq", str(desk.contact)), [1]),
        (leaf("contact_blocked", "eq", True), [3]),
        (leaf("contact_blocked", "eq", False), [1, 2, 4]),
        (urgent, [1]),
        (leaf("priority", "in", ["urgent", "normal"]), [1, 2, 3, 4]),
        (leaf("category", "eq", "fees"), [1]),
        (leaf("category", "ne", "fees"), [2, 3, 4]),
        (leaf("category", "missing", True), [2, 3, 4]),
        (leaf("tag", "eq", "new"), [1, 2]),
        (leaf("tag", "in", ["vip", "other"]), [1]),
        (leaf("tag", "ne", "vip"), [2, 3, 4]),
        (leaf("tag", "missing", True), [3, 4]),
        (leaf("subject", "contains", "% LOST_"), [2]),
        (leaf("subject", "contains", "x_y"), []),
        (leaf("subject", "eq", "Withdrawal"), [1, 3, 4]),
        (leaf("subject", "contains_any", ["lost", "withd"]), [1, 2, 3, 4]),
        (leaf("number", "in", [1, 4]), [1, 4]),
        (leaf("number", "gte", 3), [3, 4]),
        (leaf("number", "ne", 3), [1, 2, 4]),
        (leaf("message_count", "gt", 2), [1]),
        (leaf("message_count", "lt", 2), [3, 4]),
        (leaf("created_at", "before", z), [1, 2, 3]),
        (leaf("created_at", "after", {"ago": 5400}), [4]),
        (leaf("updated_at", "after", {"ago": 0}), [1, 2]),
        (leaf("last_activity_at", "before", {"ago": 3600}), [3]),
        (leaf("waiting_since", "before", {"ago": 10_800}), [1]),
        (leaf("waiting_since", "missing", True), [3]),
        (leaf("snoozed_until", "before", {"in": 7200}), [1]),
        (leaf("snoozed_until", "after", {"in": 7200}), []),
        (leaf("status_changed_at", "before", {"ago": 7200}), [2]),
        (leaf("assigned_at", "missing", False), [2]),
        (leaf("next_due_at", "before", {"in": 3601}), [2, 4]),
        (leaf("sla", "eq", "breached"), [2]),
        (leaf("sla", "in", ["due_soon", "paused"]), [3, 4]),
        (leaf("sla", "eq", "ok"), [1]),
        (leaf("sla", "eq", "none"), []),
        (leaf("unread", "eq", True), [1, 2, 3]),
        (leaf("mentioned", "eq", "me"), [2]),
        (leaf("watched", "eq", "me"), [2]),
        (leaf("watched", "ne", "me"), [1, 3, 4]),
        (leaf("drafted", "eq", "me"), [2]),
        (leaf("spam", "eq", True), [3]),
        (leaf("quarantined", "eq", True), [4]),
        (leaf("merged", "eq", True), []),
        (leaf("first_response", "missing", True), [2, 3, 4]),
        (leaf("rating", "gte", 4), [3]),
        (leaf("rating", "in", [1, 2]), []),
        (leaf("rating", "ne", 5), [1, 2, 4]),
        (leaf("rating", "missing", True), [1, 2, 4]),
        (leaf("visibility", "eq", "direct"), [1, 3, 4]),
        (leaf("visibility", "eq", "public"), [2]),
        (leaf("followers", "gte", 2_000_000_000), []),
        (leaf("followers", "gt", 100), [2]),
        (leaf("followers", "ne", 1200), [1, 3, 4]),
        (leaf("followers", "missing", False), [2]),
        (leaf("verified", "eq", "blue"), [2]),
        (leaf("verified", "missing", True), [1, 3, 4]),
        (leaf("post_id", "in", ["9", "10"]), [2]),
        (leaf("post_id", "eq", "1"), []),
        (leaf("post_id", "missing", True), [1, 3, 4]),
        (leaf("custom_fields.plan", "eq", "pro"), [1]),
        (leaf("custom_fields.plan", "in", ["pro", "Professional"]), [1, 2]),
        (leaf("custom_fields.plan", "ne", "pro"), [2, 3, 4]),
        (leaf("custom_fields.plan", "contains", "PRO"), [1, 2]),
        (leaf("custom_fields.plan", "missing", True), [3, 4]),
        (leaf("custom_fields.seats", "eq", 5), [1]),
        (leaf("custom_fields.seats", "eq", "5"), [2]),
        (leaf("custom_fields.seats", "gt", 5), [3]),
        (leaf("custom_fields.seats", "lte", 12.5), [1, 3]),
        (leaf("custom_fields.paid", "eq", True), [1]),
        (leaf("custom_fields.paid", "eq", False), []),
        (leaf("custom_fields.since", "lt", "2026-02-01"), [1]),
        (leaf("custom_fields.it's here? :x", "eq", "a"), []),
        ({"all": [leaf("inbox_id", "eq", str(desk.inbox)), {"any": [urgent, leaf("spam", "eq", True)]}]}, [1, 3]),
    ]  # fmt: skip
    everything = {1, 2, 3, 4}
    for content, numbers in expected:
        assert await desk.finds(content) == numbers, content
        assert set(await desk.finds({"not": content or {"all": [leaf("number", "gte", 1)]}})) == everything - set(
            numbers
        ), content


async def test_whoever_is_nobody_has_nothing_of_his_own(desk: Desk) -> None:
    for content in (
        leaf("assignee_id", "eq", "me"),
        leaf("mentioned", "eq", "me"),
        leaf("watched", "eq", "me"),
        leaf("drafted", "eq", "me"),
        leaf("unread", "eq", True),
    ):
        assert await desk.finds(content, actor=SYSTEM) == []


async def test_conditions_on_a_message_are_asked_of_that_message(desk: Desk) -> None:
    async with desk.services.database.transaction() as session:
        mine = messages.c.conversation_id == desk.ids[4]
        values = {"new_text": "My SEED phrase", "text": "My SEED phrase\n> seen", "sender_verified": False}
        await session.execute(update(messages).where(mine).values(**values, attachment_count=1))

    async def holds(field: str, op: str, value: Any) -> bool:
        tree = parse({"all": [leaf("number", "eq", 4), leaf(field, op, value)]}, messages=True)
        with pytest.raises(ValueError, match="message_condition"):
            filtering.condition(tree, actor=desk.anna, now=NOW)
        asked = filtering.message_condition(tree, actor=desk.anna, now=NOW)
        query = select(messages.c.id).join(conversations, conversations.c.id == messages.c.conversation_id)
        async with desk.services.database.reading() as session:
            return bool((await session.execute(query.where(asked))).all())

    assert await holds("message.text", "contains", "seed")
    assert not await holds("message.text", "contains", "seen")
    assert await holds("message.text", "contains_any", ["key", "phrase"])
    assert await holds("message.subject", "eq", "Withdrawal")
    assert await holds("message.inbox_id", "in", [str(desk.inbox)])
    assert await holds("message.channel", "eq", "email")
    assert await holds("message.author_kind", "eq", "contact")
    assert await holds("message.private", "eq", False)
    assert await holds("message.has_attachments", "eq", True)
    assert await holds("message.sender_verified", "eq", False)
    assert not await holds("message.sender_verified", "missing", True)
    assert not await holds("message.language", "eq", "de")
