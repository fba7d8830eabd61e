"""What the routes of a live channel are handed: its inboxes, and one transaction for each call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from helpdesk import clock, hosting
from helpdesk.db import new_id
from helpdesk.errors import NotFound
from helpdesk.hosting import VisitorHost
from helpdesk.live import Identity, Opened, Said
from helpdesk.models.inboxes import inboxes
from helpdesk.services.house import Services
from helpdesk.services.visiting import VisitorHub
from tests import factories


@pytest.fixture
async def host(services: Services) -> AsyncIterator[VisitorHost]:
    visitors = VisitorHub(services)
    yield VisitorHost(services, visitors, services.channel("chat"))
    await visitors.close()


async def opened(host: VisitorHost, inbox_id: UUID, *, subject: str = "") -> Opened:
    until = clock.now() + timedelta(hours=1)
    known = Identity(subject, str(new_id()), until) if subject else None
    return await host.open(inbox_id, identity=known, name="Mina", email="", language="en", fields={})


async def test_visitors_find_the_active_inboxes_of_their_channel(
    services: Services, host: VisitorHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "_FRESH", 0.0)
    never = await factories.hours(services, weekly=[[]] * 6 + [[["00:00", "00:01"]]])
    desk = await factories.inbox(services, channel="chat", identity_secret="x" * 32, business_hours_id=never)
    paused, broken = [await factories.inbox(services, channel="chat", identity_secret="y" * 32) for _ in range(2)]
    mail = await factories.inbox(services)
    key = await factories.category(services)
    async with services.database.transaction() as session:
        await session.execute(update(inboxes).where(inboxes.c.id == paused).values(state="paused"))
        await session.execute(update(inboxes).where(inboxes.c.id == broken).values(secrets=b"\1" + bytes(40)))
    (found,) = await host.inboxes()
    assert (found.inbox_id, found.attended, found.continued) == (desk, False, True)
    assert {"security", key} <= set(found.categories)
    assert found.hours.next_open_at is not None
    for other in (paused, broken, mail, new_id()):
        with pytest.raises(NotFound):
            await host.inbox(other)


async def test_what_is_known_of_the_inboxes_is_read_once_in_two_seconds(
    services: Services, host: VisitorHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await factories.inbox(services, channel="chat")
    first = await asyncio.gather(*(host.inbox(desk) for _ in range(20)))
    assert len({id(one) for one in first}) == 1
    monkeypatch.setattr(host, "_fresh_until", 0.0)
    assert await host.inbox(desk) is not first[0]


async def test_a_visitor_who_comes_back_is_told_how_far_his_log_goes(services: Services, host: VisitorHost) -> None:
    desk = await factories.inbox(services, channel="chat")
    phone = await opened(host, desk, subject="mina-7")
    assert phone.head_seq == 0
    said = [await say(host, phone, "once") for _ in range(2)]
    assert [one.repeated for one in said] == [False, True]
    assert said[0].message_id == said[1].message_id
    visitor = await host.visitor(phone.token)
    laptop = await opened(host, desk, subject="mina-7")
    log = await host.log_after(laptop.visitor, 0, limit=50)
    assert laptop.visitor.conversation_id == visitor.conversation_id == log.conversation_id
    assert laptop.head_seq == log.head_seq == said[0].seq


async def test_what_is_said_twice_at_once_is_said_once(services: Services, host: VisitorHost) -> None:
    stranger = await opened(host, await factories.inbox(services, channel="chat"))
    said = await asyncio.gather(*(say(host, stranger, "twice") for _ in range(4)))
    assert len({one.message_id for one in said}) == 1
    assert sorted(one.repeated for one in said) == [False, True, True, True]


async def say(host: VisitorHost, who: Opened, client_id: str) -> Said:
    visitor = await host.visitor(who.token)
    return await host.say(visitor, client_id=client_id, text="Where is it?", attachment_ids=())
