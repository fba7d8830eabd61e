"""The next message in an open conversation: written in one statement, to the same rows as what is filed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from helpdesk.db import new_id
from helpdesk.domain.values import SYSTEM
from helpdesk.live import Said, Visitor
from helpdesk.models.columns import Base
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.sla import sla_clocks, sla_policies
from helpdesk.models.visitors import visitor_sessions
from helpdesk.services import spam, visitor_filing
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from helpdesk.services.promises import Book, Promises
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.services.test_live_replies import anna, answer
from tests.services.test_visitor_messages import (
    LATER,
    NOW,
    begin,
    change,
    desk,
    elsewhere,
    row,
    rows,
    say,
    visitor,
)

__all__ = ["desk", "elsewhere"]

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""For what happens at the same moment: on SQLite nobody else writes then."""
AGAIN = LATER + timedelta(minutes=1)
PROMISES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "everything": {
        "clock": "business",
        "targets": {"first_response": 3600, "next_response": 1800, "resolution": 86_400},
        "next_response_from_creation": True,
        "warnings": [{"fraction": 0.5}],
    },
    "an end": {"targets": {"resolution": 7200}},
}


async def no_filing(*_: Any, **__: Any) -> Any:
    raise AssertionError("this is no matter for filing")


Rows = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


async def everything(services: Services) -> Rows:
    """All rows of all tables, by what identifies them."""
    found = {}
    for table in Base.metadata.sorted_tables:
        keys = [column.name for column in table.primary_key]
        found[table.name] = {tuple(one[name] for name in keys): one for one in await rows(services, table)}
    return found


def told(before: Rows, after: Rows, who: Visitor, said: Said) -> dict[str, list[str]]:
    """What a message added and changed, table by table, with names in the place of ids that are this visitor's own."""
    names = {str(said.message_id): "message", str(who.session_id): "session", who.handle: "handle"}
    names |= {str(who.conversation_id): "conversation", str(who.contact_id): "contact"}
    seen: dict[str, list[str]] = {}
    for table, found in after.items():
        for key, new in found.items():
            old = before[table].get(key, {})
            different = {name: value for name, value in new.items() if name not in old or old[name] != value}
            different.pop("content_digest", None)  # of the handle as well
            if table == "events":
                different.pop("id", None)
            if different:
                words = repr((key if old else (), sorted(different.items())))
                for value, name in names.items():
                    words = words.replace(value, name)
                seen.setdefault(table, []).append(words)
    return {table: sorted(several) for table, several in seen.items()}


@pytest.mark.parametrize("promised", PROMISES)
async def test_what_is_written_at_once_is_what_is_filed(
    services: Services, desk: UUID, monkeypatch: pytest.MonkeyPatch, promised: str
) -> None:
    """Two visitors to whom the same happens, of whom one does not know that he is in a conversation."""
    await promise(services, promised)
    agent, pair = await anna(services), []
    for number in range(2):
        token = await begin(services, desk, user=f"mina-{number}" if promised == "everything" else "")
        await say(services, token, "123", client_id="first")
        pair.append(await visitor(services, token))
    clocks = 0
    for turn in range(3):
        for who in pair if turn < 2 else ():
            assert who.conversation_id is not None
            await answer(services, who.conversation_id, agent)
        given: dict[str, Any] = {"client_id": f"turn-{turn}", "now": AGAIN + timedelta(minutes=turn)}
        given["text"] = "我的提现没有到账" if turn else "456"
        at_once, filed = pair[0], replace(pair[1], conversation_id=None)
        before = await everything(services)
        with monkeypatch.context() as patch:
            patch.setattr(visitor_filing, "file", no_filing)
            said = await say(services, at_once, **given)
        between = await everything(services)
        seen = told(before, between, at_once, said)
        said = await say(services, filed, **given)
        assert seen == told(between, await everything(services), pair[1], said)
        assert {"messages", "visitor_messages", "conversations", "events"} <= set(seen)
        clocks += len(seen.get("sla_clocks", ()))
    assert clocks == (2 if "next_response" in PROMISES[promised].get("targets", ()) else 0)


async def promise(services: Services, promised: str) -> None:
    """This, and nothing else."""
    async with services.database.transaction() as session:
        none = {"enabled": False, "version": sla_policies.c.version + 1}
        await session.execute(update(sla_policies).values(none))
    if PROMISES[promised]:
        await factories.policy(services, **PROMISES[promised])


async def no_longer(services: Services, who: Visitor, how: str) -> None:
    """Something about the message becomes special."""
    there = conversations.c.id == who.conversation_id
    assert who.conversation_id is not None
    async with services.database.transaction() as session:
        match how:
            case "blocked":
                await session.execute(update(contacts).values(blocked=True))
            case "quarantined":
                await session.execute(update(conversations).where(there).values(quarantined=True))
            case "spam":
                found = await get_conversation(session, SYSTEM, who.conversation_id, lock=True)
                await spam.mark(services, session, found, by=SYSTEM, now=LATER)
            case "ended":
                await session.execute(update(visitor_sessions).values(ended_at=LATER))
            case "paused":
                await session.execute(update(inboxes).values(state="paused"))
            case "urgent":
                await session.execute(update(conversations).where(there).values(priority=3, version=2))
    if how in ("resolved", "closed", "pending"):
        await change(services, who.conversation_id, status=how, now=LATER)


@ON_ONE_DATABASE
@pytest.mark.parametrize("how", ["blocked", "quarantined", "spam", "ended", "paused", "resolved", "closed", "pending"])
async def test_what_is_special_is_filed(
    services: Services, desk: UUID, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    who = await visitor(services, (await answered(services, desk)))
    await no_longer(services, who, how)
    monkeypatch.setattr(visitor_filing, "file", no_filing)
    with pytest.raises(AssertionError, match="no matter for filing"):
        await say(services, who, now=AGAIN)


async def answered(services: Services, desk: UUID) -> str:
    """A visitor who was answered and promised the next answer; his token."""
    await promise(services, "everything")
    token = await begin(services, desk)
    said = await say(services, token)
    await answer(services, said.conversation_id, await anna(services))
    return token


class Meanwhile(Promises):
    """Promises, between the asking for which and the writing something happens once."""

    def __init__(self, happens: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._happens: Callable[[], Awaitable[None]] | None = happens

    async def book(self, session: Any) -> Book:
        found = await super().book(session)
        if self._happens is not None:
            happens, self._happens = self._happens, None
            await happens()
        return found


@ON_POSTGRESQL
@pytest.mark.parametrize("fresh", [True, False], ids=["at hand", "to be read"])
@pytest.mark.parametrize("how", ["resolved", "closed", "spam", "urgent"])
async def test_what_becomes_special_at_the_same_moment_is_filed_as_it_is_by_then(
    services: Services, elsewhere: Services, desk: UUID, how: str, fresh: bool
) -> None:
    who = await visitor(services, await answered(services, desk))
    promises = Meanwhile(lambda: no_longer(elsewhere, who, how))
    if fresh:
        async with services.database.reading() as session:
            await Promises.book(promises, session)
    racing = replace(services, promises=promises)
    said = await say(racing, who, now=AGAIN)
    after = await row(services, conversations, conversations.c.id == who.conversation_id)
    opened = await row(services, conversations, conversations.c.id == said.conversation_id)
    received = await row(services, events, events.c.data["message_id"].as_string() == str(said.message_id))
    live = await rows(services, sla_clocks, sla_clocks.c.ended_at.is_(None))
    assert (said.conversation_id == who.conversation_id) == (how != "closed")
    assert after["status"] == {"closed": "closed", "spam": "resolved"}.get(how, "open")
    assert received["data"]["silent"] == (how == "spam")
    assert opened["waiting_since"] == (None if how == "spam" else AGAIN)
    assert {one["state"] for one in live if one["kind"] != "resolution"} == {"running"} if how != "spam" else not live
    assert len(await rows(services, messages, messages.c.text == "Hello?")) == 2


@ON_POSTGRESQL
async def test_what_is_said_twice_at_one_moment_after_an_answer_is_there_once(
    services: Services, elsewhere: Services, desk: UUID
) -> None:
    """The other one is through between the look and the writing."""
    token = await answered(services, desk)
    who, client_id = await visitor(services, token), str(new_id())

    async def other() -> None:
        await say(elsewhere, who, client_id=client_id, now=AGAIN)

    again = await say(replace(services, promises=Meanwhile(other)), who, client_id=client_id, now=AGAIN)
    assert again.repeated
    assert len(await rows(services, messages)) == 3
    found = await rows(services, sla_clocks, sla_clocks.c.kind == "next_response", sla_clocks.c.ended_at.is_(None))
    assert [(one["cycle"], one["started_at"]) for one in found] == [(2, AGAIN)]


@ON_ONE_DATABASE
async def test_a_conversation_in_which_nothing_has_happened_for_long_is_not_gone_on_with(
    services: Services, desk: UUID
) -> None:
    """Also for whoever was connected all the time."""
    who = await visitor(services, await answered(services, desk))
    said = await say(services, who, now=NOW + timedelta(days=15))
    assert said.conversation_id != who.conversation_id
