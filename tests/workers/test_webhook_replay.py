"""Webhooks of some inboxes, and told again what happened: the same messages, in order, within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import RowMapping, delete, select, update

from helpdesk import clock
from helpdesk.db import new_id
from helpdesk.domain.values import SYSTEM
from helpdesk.models.events import audit, events
from helpdesk.models.jobs import jobs
from helpdesk.models.webhooks import webhook_deliveries
from helpdesk.services import following, webhook_replay, webhooks
from helpdesk.services import webhook_deliveries as messages
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from workers.jobs import Jobs

URL = "/api/v1/webhooks"


@pytest.fixture
async def boss(services: Services) -> factories.Someone:
    return await factories.agent(services, role="admin")


async def _happen(
    services: Services, *what: tuple[str, UUID | None], positions: Sequence[int] = (), at: Sequence[datetime] = ()
) -> list[UUID]:
    """Relayed events, at one place after the other unless `positions` are given."""
    rows: list[dict[str, Any]] = [
        {
            "id": new_id(),
            "type": name,
            "position": positions[n] if positions else n + 1,
            "occurred_at": at[n] if at else clock.now(),
            "conversation_id": conversation_id,
            "seq": n,
            "data": {},
        }
        for n, (name, conversation_id) in enumerate(what)
    ]
    async with services.database.transaction() as session:
        await session.execute(events.delete())
        await session.execute(events.insert(), rows)
    return [row["id"] for row in rows]


async def _queued(services: Services, webhook_id: UUID) -> list[RowMapping]:
    async with services.database.reading() as session:
        mine = select(webhook_deliveries).where(webhook_deliveries.c.webhook_id == webhook_id)
        found = (await session.execute(mine.order_by(webhook_deliveries.c.position))).mappings().all()
    return [row for row in found if row["status"] == "queued"]


async def _work(services: Services) -> None:
    worker = Jobs(services, worker="one")
    while await worker.step():
        pass


def _hours_ago(hours: float) -> str:
    return (clock.now() - timedelta(hours=hours)).isoformat()


async def test_what_was_told_is_told_again_as_the_same_messages_in_order(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_replay, "BATCH", 2)
    webhook_id = await factories.webhook(services, asks_for=["message.sent", "sla.met"])
    other = await factories.webhook(services)
    talk = new_id()
    names = ["message.sent", "sla.met", "message.received", "message.sent", "message.sent"]
    made = await _happen(services, *((name, talk) for name in names))
    await following.follow(services.database, messages.FOLLOWER, _tell)
    d = webhook_deliveries.c
    async with services.database.transaction() as session:
        # Of four: one was taken, one has failed, one waits, and one the webhook never heard of.
        for event_id, status in ((made[0], "sent"), (made[1], "failed")):
            mine = update(webhook_deliveries).where(d.webhook_id == webhook_id, d.event_id == event_id)
            await session.execute(mine.values(status=status, attempts=7, give_up_at=clock.now() - timedelta(days=9)))
        await session.execute(delete(webhook_deliveries).where(d.event_id == made[4]))
        await session.execute(update(webhook_deliveries).where(d.webhook_id == other).values(status="sent"))
    answer = await client.post(f"{URL}/{webhook_id}/replay", headers=boss.headers, json={"since": _hours_ago(1)})
    assert (answer.status_code, answer.headers["location"]) == (202, f"/api/v1/jobs/{answer.json()['job_id']}")
    await _work(services)
    job = (await client.get(answer.headers["location"], headers=boss.headers)).json()
    assert [job[name] for name in ("kind", "state", "total", "done", "changed")] == ["webhook_replay", "done", 4, 4, 3]
    rows = await _queued(services, webhook_id)
    assert [row["event_id"] for row in rows] == [made[0], made[1], made[3], made[4]]
    assert [row["attempts"] for row in rows] == [0, 0, 0, 0]
    assert all(row["give_up_at"] > clock.now() for row in rows)
    assert await _queued(services, other) == []
    async with services.database.reading() as session:
        data = await session.scalar(select(audit.c.data).where(audit.c.action == "webhook.replayed"))
    assert data is not None
    assert (data["events"], data["types"]) == (4, ["message.sent", "sla.met"])


async def _tell(session: Any, happened: Any) -> None:
    await messages.tell(session, happened, now=clock.now())


async def test_a_webhook_of_some_inboxes_hears_of_nothing_else(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    desk, other = await factories.inbox(services), await factories.inbox(services)
    given = {"name": "Desk", "url": "https://desk.example.com/", "events": ["*"]}
    refused = await client.post(URL, headers=boss.headers, json=given | {"inbox_ids": [str(desk), str(uuid4())]})
    assert [error["field"] for error in refused.json()["errors"]] == ["inbox_ids.1"]
    narrow = (await client.post(URL, headers=boss.headers, json=given | {"inbox_ids": [str(desk)]})).json()
    broad = (await client.post(URL, headers=boss.headers, json=given)).json()
    assert (narrow["inbox_ids"], broad["inbox_ids"]) == ([str(desk)], [])
    mine = await factories.conversation(services, inbox_id=desk)
    foreign = await factories.conversation(services, inbox_id=other)
    happened = [("message.received", one) for one in (mine, foreign, None, mine)]
    made = await _happen(services, *happened)
    await following.follow(services.database, messages.FOLLOWER, _tell)
    assert [row["event_id"] for row in await _queued(services, UUID(narrow["id"]))] == [made[0], made[3]]
    assert [row["event_id"] for row in await _queued(services, UUID(broad["id"]))] == made
    async with services.database.transaction() as session:
        await session.execute(update(webhook_deliveries).values(status="sent"))
    await client.post(f"{URL}/{narrow['id']}/replay", headers=boss.headers, json={"since": _hours_ago(1)})
    await _work(services)
    assert [row["event_id"] for row in await _queued(services, UUID(narrow["id"]))] == [made[0], made[3]]
    headers = boss.headers | {"If-Match": '"1"'}
    opened = await client.patch(f"{URL}/{narrow['id']}", headers=headers, json={"inbox_ids": []})
    assert opened.json()["inbox_ids"] == []


async def test_who_asks_for_less_meanwhile_is_not_told_the_rest(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    desk, other = await factories.inbox(services), await factories.inbox(services)
    webhook_id = await factories.webhook(services)
    talks = [await factories.conversation(services, inbox_id=one) for one in (desk, other)]
    names = ("message.received", "message.sent")
    made = await _happen(services, *((name, talk) for name in names for talk in talks))
    await client.post(f"{URL}/{webhook_id}/replay", headers=boss.headers, json={"since": _hours_ago(1)})
    less = {"inbox_ids": [str(desk)], "events": ["message.sent"]}
    narrowed = await client.patch(f"{URL}/{webhook_id}", headers=boss.headers | {"If-Match": '"1"'}, json=less)
    assert narrowed.status_code == 200
    await _work(services)
    assert [row["event_id"] for row in await _queued(services, webhook_id)] == [made[2]]


@ON_ONE_DATABASE
async def test_there_are_bounds_to_what_is_told_again(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook_id = await factories.webhook(services, asks_for=["sla.met"])
    url = f"{URL}/{webhook_id}/replay"

    async def refused(**given: Any) -> tuple[int, str]:
        answer = await client.post(url, headers=boss.headers, json=given)
        problem = answer.json()
        named = problem["errors"][0]["field"] if problem.get("errors") else problem["type"].rpartition(":")[2]
        return answer.status_code, named

    assert await refused(since=_hours_ago(-1)) == (422, "since")
    assert await refused(since=_hours_ago(1), until=_hours_ago(2)) == (422, "since")
    assert await refused(since=_hours_ago(1), types=["message.sent"]) == (422, "types")
    assert await refused(since=_hours_ago(1), types=["*"]) == (422, "types")
    assert await refused(since=_hours_ago(1), types=["sla.broken"]) == (422, "types")
    assert await refused() == (422, "since")
    await _happen(services, *[("sla.met", None)] * 3)
    monkeypatch.setattr(webhook_replay, "MOST", 2)
    assert await refused(since=_hours_ago(1)) == (422, "since")
    monkeypatch.setattr(webhook_replay, "MOST_LOOKED_AT", 2)
    assert await refused(since=_hours_ago(1), types=["sla.met"]) == (422, "since")
    async with services.database.transaction() as session:
        await session.execute(delete(events).where(events.c.position == 1))
    assert await refused(since=_hours_ago(1)) == (409, "events_gone")
    patched = await client.patch(
        f"{URL}/{webhook_id}", headers=boss.headers | {"If-Match": '"1"'}, json={"enabled": False}
    )
    assert patched.status_code == 200
    assert await refused(since=_hours_ago(1)) == (409, "webhook_disabled")


@ON_ONE_DATABASE
async def test_the_time_is_found_although_events_lie_out_of_order_and_with_gaps(services: Services) -> None:
    now = clock.now()
    start = now - timedelta(hours=40)
    # Every half an hour one, each third of them committed nine minutes late, and with places left out.
    at = [start + timedelta(minutes=30 * n - (9 if n % 3 == 0 else 0)) for n in range(60)]
    positions = [1 + n * 3 + n % 2 for n in range(60)]
    await _happen(services, *[("sla.met", None)] * 60, positions=positions, at=at)
    webhook_id = await factories.webhook(services)
    for since, until in [(at[n], at[m]) for n in range(0, 60, 7) for m in range(n + 1, 60, 11)]:
        async with services.database.reading() as session:
            webhook = await webhooks.get_webhook(session, webhook_id)
            job_id = await webhook_replay.start(session, webhook, since=since, until=until, by=SYSTEM, now=now)
            total = await session.scalar(select(jobs.c.total).where(jobs.c.id == job_id))
        assert total == sum(since <= one < until for one in at)
