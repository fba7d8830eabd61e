"""Visitors' sessions: whose token it is, for how long, and who its visitor has shown himself to be."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import RowMapping, Table, select, update

from helpdesk import clock
from helpdesk.db import new_id
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind
from helpdesk.errors import NotFound
from helpdesk.live import Identity, IdentityRefused, Opened, SessionRefused, Visitor
from helpdesk.models.contacts import contact_identities, contact_merges, contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.visitors import visitor_sessions
from helpdesk.services import contact_merging, visitor_identities, visitor_messages, visitor_sessions as sessions
from helpdesk.services.digests import digest_of
from helpdesk.services.house import Services
from tests import factories

NOW = datetime(2026, 11, 23, 9, tzinfo=clock.now().tzinfo)


def mina(proof: str = "", **given: Any) -> Identity:
    """What the host site says of her."""
    given = {"subject": "mina-7", "expires_at": NOW + timedelta(hours=1)} | given
    return Identity(proof=proof or str(new_id()), **given)


async def begin(services: Services, inbox_id: UUID, *, at: datetime = NOW, **given: Any) -> Opened:
    given = {"identity": None, "name": "", "email": "", "language": "en", "fields": {}} | given
    async with services.database.transaction() as session:
        return await sessions.begin(services, session, inbox_id, **given, now=at)


async def identify(services: Services, visitor: Visitor, identity: Identity, *, at: datetime = NOW) -> Opened:
    async with services.database.transaction() as session:
        return await sessions.identify(services, session, visitor, identity, now=at)


async def say(services: Services, opened: Opened, text: str = "Where is my withdrawal?", *, at: datetime = NOW) -> UUID:
    visitor = await sessions.find(services.database, opened.token, now=at)
    async with services.database.transaction() as session:
        said = await visitor_messages.say(
            services, session, visitor, client_id=str(new_id()), text=text, attachment_ids=(), now=at
        )
    return said.conversation_id


async def rows(services: Services, table: Table, *where: Any) -> list[RowMapping]:
    async with services.database.reading() as session:
        return list((await session.execute(select(table).where(*where))).mappings())


async def test_a_stranger_is_a_contact_of_his_own_and_what_he_claims_stays_a_claim(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    fields = {"account": "mina\u202e7", "wallet_address": "0xabc", "empty": " "}
    given = {"name": "Mina\n", "email": "mina@customer.test", "language": "zh-TW", "fields": fields}
    opened = await begin(services, desk, **given)
    (row,), (contact,), (identity,) = [
        await rows(services, t) for t in (visitor_sessions, contacts, contact_identities)
    ]
    assert opened.visitor == await sessions.find(services.database, opened.token, now=NOW)
    assert (opened.visitor.identified, opened.visitor.email, opened.visitor.conversation_id) == (False, "", None)
    assert (row["digest"], row["claimed_email"], row["email"]) == (digest_of(opened.token), given["email"], "")
    assert row["fields"] == {"account": "mina7", "wallet_address": "0xabc", "claimed_email": given["email"]}
    assert (contact["name"], contact["language"], contact["id"]) == ("Mina", "zh-TW", opened.visitor.contact_id)
    assert (identity["channel"], identity["handle"], identity["verified"]) == ("chat", opened.visitor.handle, False)
    assert opened.visitor.handle.startswith("visitor-")
    assert len(opened.token) >= 43
    assert opened.token not in str(row)


async def test_a_conversation_that_he_began_is_the_one_that_his_next_message_joins(services: Services) -> None:
    desk, other = await factories.inbox(services, channel="chat"), await factories.inbox(services, channel="chat")
    opened, stranger = await begin(services, desk), await begin(services, other)
    begun = await say(services, opened)
    assert (await sessions.find(services.database, opened.token, now=NOW)).conversation_id == begun
    assert (await sessions.find(services.database, stranger.token, now=NOW)).conversation_id is None
    later = NOW + timedelta(days=15)
    assert (await sessions.find(services.database, opened.token, now=later)).conversation_id is None


async def test_what_the_form_asked_is_noted_for_the_agents_once_and_its_category_given(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    fields = {"category": "account", "wallet_address": "0xabc"}
    opened = await begin(services, desk, email="mina@customer.test", fields=fields)
    begun = await say(services, opened)
    await say(services, opened, "Hello?", at=NOW + timedelta(minutes=1))
    said = await rows(services, messages, messages.c.conversation_id == begun)
    assert [one["text"] for one in said if one["private"]] == [
        "claimed_email: mina@customer.test\nwallet_address: 0xabc"
    ]
    (conversation,) = await rows(services, conversations)
    assert conversation["category"] == "account"
    assert [one["new_text"] for one in said if not one["private"]] == ["Where is my withdrawal?", "Hello?"]
