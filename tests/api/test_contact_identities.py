"""Identities that somebody types: added, refused, taken away, and never believed for being typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.domain.values import SYSTEM
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversations
from helpdesk.models.events import audit, events
from helpdesk.services import contact_merging, visitor_identities, visitor_messages, visitor_sessions
from helpdesk.services.house import Services
from tests import factories
from tests.house import House, mail

Client = httpx.AsyncClient
URL = "/api/v1/contacts"


async def ask(
    client: Client, boss: factories.Someone, method: str, contact: UUID, body: Any = None, identity: Any = ""
) -> httpx.Response:
    version = (await client.get(f"{URL}/{contact}", headers=boss.headers)).json()["version"]
    headers = {**boss.headers, "If-Match": f'"{version}"'}
    at = f"{URL}/{contact}/identities" + (f"/{identity}" if identity else "")
    return await client.request(method, at, headers=headers, json=body)


async def add(client: Client, boss: factories.Someone, contact: UUID, handle: str, **more: Any) -> httpx.Response:
    return await ask(client, boss, "POST", contact, {"channel": "email", "handle": handle, **more})


def handles(answer: httpx.Response) -> dict[str, bool]:
    return {one["handle"]: one["verified"] for one in answer.json()["identities"]}


def slug(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def test_mail_from_an_identity_that_was_typed_is_his_until_it_is_taken_away(
    client: Client, services: Services
) -> None:
    boss = await factories.agent(services, role="supervisor")
    async with House(services) as house:
        desk = await house.inbox()
        await house.receive(desk, mail("Mina <mina@work.test>", "Hello?", dmarc="pass"))
        (first,) = await house.rows(contact_identities)
        mina = first["contact_id"]
        added = await add(client, boss, mina, " Mina@Home.Test ")
        assert handles(added) == {"mina@work.test": False, "mina@home.test": False}
        assert handles(await add(client, boss, mina, "mina@home.test")) == handles(added)
        await house.receive(desk, mail("Mina <mina@home.test>", "Me again.", dmarc="pass"))
        assert {row["contact_id"] for row in await house.rows(conversations)} == {mina}
        home = next(one["id"] for one in added.json()["identities"] if one["handle"] == "mina@home.test")
        taken = await ask(client, boss, "DELETE", mina, identity=home)
        assert handles(taken) == {"mina@work.test": False}
        assert {row["contact_id"] for row in await house.rows(conversations)} == {mina}
        assert len(await house.incoming()) == 2
        await house.receive(desk, mail("Mina <mina@home.test>", "And again.", dmarc="pass"))
        assert len({row["contact_id"] for row in await house.rows(conversations)}) == 2
        told = [row["data"]["fields"] for row in await house.rows(events, events.c.type == "contact.updated")]
        assert told.count(["identities"]) == 2
        noted = await house.rows(audit, audit.c.action.like("contact.identity%"))
        assert [(row["action"], row["data"]) for row in noted] == [
            ("contact.identity_added", {"identity_id": home, "channel": "email"}),
            ("contact.identity_removed", {"identity_id": home, "channel": "email"}),
        ]


async def test_what_cannot_be_his_is_refused_with_what_to_do(client: Client, services: Services) -> None:
    boss = await factories.agent(services, role="supervisor")
    desk = await factories.inbox(services)
    one = await factories.contact(services, handle="one@customer.test")
    other = await factories.contact(services, handle="other@customer.test")
    taken = await add(client, boss, one, "other@customer.test")
    assert slug(taken) == (409, "handle_taken")
    assert taken.json()["contact_id"] == str(other)
    async with services.database.reading() as session:
        ours = await session.scalar(select(contact_identities.c.id).where(contact_identities.c.contact_id == one))
    for given in (
        {"handle": "no address"},
        {"handle": "a@b@c.test"},
        {"handle": "x", "channel": "nowhere"},
        {"handle": "visitor-1", "channel": "chat"},
        {"handle": await own_address(client, services, desk)},
    ):
        assert slug(await add(client, boss, one, **{"handle": "", **given})) == (422, "invalid"), given
    assert slug(await ask(client, boss, "DELETE", one, identity=ours)) == (409, "last_identity")
    assert slug(await ask(client, boss, "DELETE", other, identity=ours)) == (404, "not_found")
    assert slug(await ask(client, boss, "DELETE", one, identity=uuid4())) == (404, "not_found")
    async with services.database.transaction() as session:
        await contact_merging.merge(session, other, into=one, version=None, by=SYSTEM, now=clock.now())
    assert slug(await add(client, boss, other, "third@customer.test")) == (409, "contact_merged")
    stale = {**boss.headers, "If-Match": '"1"'}
    body = {"channel": "email", "handle": "third@customer.test"}
    assert slug(await client.post(f"{URL}/{one}/identities", headers=stale, json=body)) == (412, "stale_version")


async def own_address(client: Client, services: Services, desk: UUID) -> str:
    boss = await factories.agent(services, role="admin")
    shown: Mapping[str, Any] = (await client.get(f"/api/v1/inboxes/{desk}", headers=boss.headers)).json()
    return str(shown["handle"])


async def test_an_identity_that_was_typed_is_no_proof_of_its_contact(services: Services, client: Client) -> None:
    """Whoever shows that it is his is not taken for the one that it was typed for, who has spoken by another."""
    boss, desk = await factories.agent(services, role="supervisor"), await factories.inbox(services)
    await factories.conversation(services, inbox_id=desk, handle="mallory@customer.test")
    async with services.database.reading() as session:
        mallory = await session.scalar(select(contact_identities.c.contact_id))
    assert mallory is not None
    await add(client, boss, mallory, "victim@customer.test")
    known = await factories.contact(services, handle="known@customer.test")
    visitor = await factories.contact(services, handle="somebody@customer.test")
    async with services.database.transaction() as session:
        for handle, owner in (("victim@customer.test", visitor), ("known@customer.test", known)):
            given = await visitor_identities.give(session, visitor, channel="email", handle=handle, now=clock.now())
            assert given == owner
        held = select(contact_identities.c.handle).where(contact_identities.c.contact_id == mallory)
        assert list(await session.scalars(held)) == ["mallory@customer.test"]


async def test_what_knows_him_where_he_is_answered_cannot_be_taken_away(client: Client, services: Services) -> None:
    boss, desk = await factories.agent(services, role="supervisor"), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk, handle="poster")
    async with services.database.transaction() as session:
        row = (await session.execute(select(contact_identities))).mappings().one()
        await session.execute(update(contact_identities).values(channel="telegram"))
        await session.execute(update(conversations).where(conversations.c.id == identifier).values(channel="telegram"))
    await add(client, boss, row["contact_id"], "poster@customer.test")
    refused = await ask(client, boss, "DELETE", row["contact_id"], identity=row["id"])
    assert slug(refused) == (409, "identity_in_use")


async def test_a_visitor_whose_browser_is_known_by_it_is_heard_on(client: Client, services: Services) -> None:
    """Nobody could type it again, and what he writes next would be refused."""
    boss, desk = await factories.agent(services, role="supervisor"), await factories.inbox(services, channel="chat")
    form: dict[str, Any] = {"identity": None, "name": "", "email": "", "language": "", "fields": {}}
    async with services.database.transaction() as session:
        visitor = (await visitor_sessions.begin(services, session, desk, **form, now=clock.now())).visitor
        ours = await session.scalar(select(contact_identities.c.id))
    await add(client, boss, visitor.contact_id, "visitor@customer.test")
    refused = await ask(client, boss, "DELETE", visitor.contact_id, identity=ours)
    assert slug(refused) == (409, "identity_in_use")
    async with services.database.transaction() as session:
        said = await visitor_messages.say(services, session, visitor, client_id="1", text="Hello?", now=clock.now())
    assert said.seq == 1
