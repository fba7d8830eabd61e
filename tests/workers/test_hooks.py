"""Webhooks against a real HTTP receiver that verifies nothing by our code: signed, repeated, given up, never twice."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import RowMapping, func, select, update

from helpdesk import clock
from helpdesk.db import new_id
from helpdesk.domain.events import ALL as PUBLIC
from helpdesk.domain.events import AlertAcknowledged, InboxRecovered
from helpdesk.domain.values import SYSTEM
from helpdesk.models.alerts import alert_recipients, alerts
from helpdesk.models.events import audit, events
from helpdesk.models.webhooks import webhook_deliveries, webhooks
from helpdesk.net import AllowList, Guard
from helpdesk.services import following
from helpdesk.services import webhook_deliveries as messages
from helpdesk.services import webhook_sending as sending
from helpdesk.services import webhooks as service
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.wiring import open_guard
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.peers.http_receiver import HttpReceiver, Request
from workers.crew import Crew
from workers.hooks import AT_ONCE, PER_WEBHOOK, Hooks

HOUR = timedelta(hours=1)


@pytest.fixture
async def receiver() -> AsyncIterator[HttpReceiver]:
    async with HttpReceiver() as opened:
        yield opened


@pytest.fixture
async def hooks(quick: Services) -> AsyncIterator[Hooks]:
    opened = Hooks(quick, open_guard(quick.settings), worker="hooks")
    yield opened
    await opened.close()


async def _webhook(services: Services, url: str, *asks_for: str, secret: str | None = None) -> tuple[UUID, str]:
    async with services.database.transaction() as session:
        return await service.create(
            services,
            session,
            name="Receiver",
            url=url,
            asks_for=asks_for or ["*"],
            secret=secret,
            by=SYSTEM,
            now=clock.now(),
        )


async def _queue(services: Services, webhook_id: UUID, *, count: int = 1) -> list[UUID]:
    made = [new_id() for _ in range(count)]
    async with services.database.transaction() as session:
        for number, event_id in enumerate(made):
            body = messages.body_of("sla.breached", clock.now(), {"number": number, "name": "米娜"})
            at = clock.now()
            await messages.queue(session, webhook_id, event_id=event_id, type="sla.breached", body=body, now=at)
    return made


async def _rows(services: Services) -> list[RowMapping]:
    async with services.database.reading() as session:
        found = await session.execute(select(webhook_deliveries).order_by(webhook_deliveries.c.id))
        return list(found.mappings().all())


async def _row(services: Services) -> RowMapping:
    (found,) = await _rows(services)
    return found


async def _hook(services: Services, webhook_id: UUID) -> RowMapping:
    async with services.database.reading() as session:
        return await service.get_webhook(session, webhook_id)


async def _change(services: Services, **values: Any) -> None:
    """As time or a death does."""
    async with services.database.transaction() as session:
        await session.execute(update(webhook_deliveries).values(values))


async def _send(hooks: Hooks) -> None:
    while await hooks.step():
        pass
    await hooks.idle()


async def _until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


def _verified(request: Request, secret: str) -> bool:
    """As a receiver does it that has read the specification and none of our code."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return expected in request.headers["webhook-signature"].split(" ")


async def test_a_message_is_signed_and_sent_once_as_it_was_stored(
    quick: Services, hooks: Hooks, receiver: HttpReceiver
) -> None:
    webhook_id, secret = await _webhook(quick, receiver.url("/hook?team=1"))
    (event_id,) = await _queue(quick, webhook_id)
    await _send(hooks)
    await _send(hooks)
    (request,) = receiver.requests
    row = await _row(quick)
    assert (request.method, request.target) == ("POST", "/hook?team=1")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == str(event_id)
    assert abs(int(request.headers["webhook-timestamp"]) - clock.now().timestamp()) < 10
    assert _verified(request, secret)
    assert request.body == row["body"].encode()
    assert (row["status"], row["attempts"], row["last_status"], row["error"]) == ("sent", 1, 204, "")
    assert row["sent_at"] is not None


async def test_a_rotated_secret_signs_beside_the_new_one_for_a_while(
    quick: Services, hooks: Hooks, receiver: HttpReceiver
) -> None:
    webhook_id, old = await _webhook(quick, receiver.url())
    given = "whsec_" + base64.b64encode(bytes(24)).decode()
    for secret, overlap in ((given, HOUR), (None, timedelta())):
        async with quick.database.transaction() as session:
            webhook = await service.get_webhook(session, webhook_id)
            new = await service.rotate(
                quick, session, webhook, secret=secret, overlap=overlap, by=SYSTEM, now=clock.now()
            )
        await _queue(quick, webhook_id)
        await _send(hooks)
        request = receiver.requests[-1]
        assert _verified(request, new)
        assert _verified(request, old) is bool(overlap)
        old = new
    webhook = await _hook(quick, webhook_id)
    assert service.signing_secrets(quick, webhook, now=clock.now() + 2 * HOUR) == [old]
    assert old.encode() not in webhook["secret"]


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
async def test_any_other_answer_is_tried_again_with_growing_pauses(
    quick: Services, hooks: Hooks, receiver: HttpReceiver, status: int
) -> None:
    webhook_id, secret = await _webhook(quick, receiver.url())
    await _queue(quick, webhook_id)
    receiver.answer(status, body=b"the receiver's own words", times=2)
    before = clock.now()
    await _send(hooks)
    row, webhook = await _row(quick), await _hook(quick, webhook_id)
    assert (row["status"], row["attempts"], row["last_status"], row["error"]) == ("queued", 1, status, "status")
    assert before < row["next_attempt_at"] < clock.now() + timedelta(seconds=10)
    since = webhook["failing_since"]
    assert since is not None
    for _ in range(2):
        await _change(quick, next_attempt_at=clock.now())
        await _send(hooks)
        if len(receiver.requests) == 2:
            assert (await _hook(quick, webhook_id))["failing_since"] == since, "the first failure is remembered"
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert all(_verified(request, secret) for request in receiver.requests)
    assert (await _row(quick))["status"] == "sent"
    webhook = await _hook(quick, webhook_id)
    assert (webhook["failing_since"], webhook["enabled"]) == (None, True)


async def test_pauses_double_up_to_four_hours() -> None:
    for attempt, most in ((1, 10), (2, 20), (5, 160), (12, 14400), (400, 14400)):
        waits = [sending.backoff(attempt).total_seconds() for _ in range(200)]
        assert 1 <= min(waits) < most / 2 < max(waits) <= most


async def test_a_redirect_is_not_followed(quick: Services, hooks: Hooks, receiver: HttpReceiver) -> None:
    async with HttpReceiver() as elsewhere:
        webhook_id, _ = await _webhook(quick, receiver.url())
        await _queue(quick, webhook_id)
        receiver.answer(307, {"Location": elsewhere.url()})
        await _send(hooks)
        assert (len(receiver.requests), len(elsewhere.requests)) == (1, 0)
        assert (await _row(quick))["last_status"] == 307


async def test_whoever_asks_us_to_wait_is_waited_for(quick: Services, hooks: Hooks, receiver: HttpReceiver) -> None:
    webhook_id, _ = await _webhook(quick, receiver.url())
    await _queue(quick, webhook_id)
    receiver.answer(503, {"Retry-After": "7200"})
    await _send(hooks)
    wait = (await _row(quick))["next_attempt_at"] - clock.now()
    assert timedelta(minutes=119) < wait <= timedelta(hours=2)


async def test_gone_switches_the_webhook_off_and_what_waits_stays_until_it_is_on_again(
    quick: Services, hooks: Hooks, receiver: HttpReceiver
) -> None:
    webhook_id, _ = await _webhook(quick, receiver.url())
    await _queue(quick, webhook_id)
    receiver.answer(410, times=1)
    await _send(hooks)
    row, webhook = await _row(quick), await _hook(quick, webhook_id)
    assert (row["status"], row["error"], row["last_status"]) == ("failed", "gone", 410)
    assert (webhook["enabled"], webhook["version"]) == (False, 2)
    await _queue(quick, webhook_id)
    await _send(hooks)
    assert len(receiver.requests) == 1
    async with quick.database.transaction() as session:
        webhook = await service.get_webhook(session, webhook_id, version=2)
        await service.edit(quick, session, webhook, enabled=True, by=SYSTEM, now=clock.now())
    await _send(hooks)
    assert [row["status"] for row in await _rows(quick)] == ["failed", "sent"]
    async with quick.database.reading() as session:
        told = (await session.execute(select(audit.c.action).order_by(audit.c.id))).scalars().all()
    assert told == ["webhook.created", "webhook.disabled", "webhook.updated"]


async def test_after_three_days_it_has_failed_and_can_be_sent_again(
    quick: Services, hooks: Hooks, receiver: HttpReceiver
) -> None:
    webhook_id, _ = await _webhook(quick, receiver.url())
    await _queue(quick, webhook_id)
    row = await _row(quick)
    assert row["give_up_at"] - row["created_at"] == timedelta(days=3)
    receiver.answer(500)
    await _change(quick, give_up_at=clock.now())
    await _send(hooks)
    assert (await _row(quick))["status"] == "failed"
    receiver.answer()
    async with quick.database.transaction() as session:
        webhook = await service.get_webhook(session, webhook_id)
        delivery = await messages.get_delivery(session, webhook_id, row["id"])
        await messages.replay(session, webhook, delivery, now=clock.now())
    await _send(hooks)
    assert (await _row(quick))["status"] == "sent"
    first, again = receiver.requests
    assert (first.headers["webhook-id"], first.body) == (again.headers["webhook-id"], again.body)


@pytest.mark.parametrize(
    ("how", "error"),
    [({"hang_up": True}, "protocol"), ({"slow": 5.0}, "timeout"), ({"status": 200, "stall": True}, "timeout")],
)
async def test_a_receiver_that_breaks_off_or_sleeps_is_tried_again(
    quick: Services, receiver: HttpReceiver, how: dict[str, Any], error: str
) -> None:
    hooks = Hooks(quick, open_guard(quick.settings), worker="hasty", seconds=0.5)
    webhook_id, _ = await _webhook(quick, receiver.url())
    await _queue(quick, webhook_id)
    receiver.answer(**how)
    await _send(hooks)
    row = await _row(quick)
    assert (row["status"], row["last_status"], row["error"]) == ("queued", None, error)
    await hooks.close()


async def test_a_long_answer_is_cut_and_still_an_answer(quick: Services, hooks: Hooks, receiver: HttpReceiver) -> None:
    webhook_id, _ = await _webhook(quick, receiver.url())
    await _queue(quick, webhook_id)
    receiver.answer(200, body=b"x" * 3_000_000)
    await _send(hooks)
    assert (await _row(quick))["status"] == "sent"


async def test_a_private_address_is_not_connected_to_without_the_operators_word(
    quick: Services, receiver: HttpReceiver
) -> None:
    webhook_id, _ = await _webhook(quick, receiver.url())
    await _queue(quick, webhook_id)
    hooks = Hooks(quick, Guard(AllowList()), worker="strict")
    await _send(hooks)
    row = await _row(quick)
    assert (row["status"], row["error"], receiver.connections) == ("queued", "blocked", 0)
    await hooks.close()


async def test_two_workers_never_send_one_message_twice(quick: Services, receiver: HttpReceiver) -> None:
    webhook_id, _ = await _webhook(quick, receiver.url())
    made = await _queue(quick, webhook_id, count=30)
    workers = [Hooks(quick, open_guard(quick.settings), worker=name) for name in ("one", "two")]

    async def work(hooks: Hooks) -> None:
        while any(row["status"] == "queued" for row in await _rows(quick)):
            await hooks.step()
            await hooks.idle()

    await asyncio.gather(*map(work, workers))
    assert sorted(request.headers["webhook-id"] for request in receiver.requests) == sorted(map(str, made))
    assert [row["attempts"] for row in await _rows(quick)] == [1] * 30
    for hooks in workers:
        await hooks.close()


async def test_whoever_was_overtaken_repeats_the_message_under_its_id_and_records_nothing(
    quick: Services, receiver: HttpReceiver
) -> None:
    webhook_id, _ = await _webhook(quick, receiver.url())
    (event_id,) = await _queue(quick, webhook_id)
    frozen, other = [Hooks(quick, open_guard(quick.settings), worker=name) for name in ("frozen", "other")]
    receiver.answer(500, slow=1.0, times=1)
    await frozen.step()
    await _until(lambda: receiver.requests)
    await other.step()
    assert len(receiver.requests) == 1, "while the claim stands it is nobody else's"
    await _change(quick, claimed_until=0.0)
    await _send(other)
    await frozen.idle()
    assert [request.headers["webhook-id"] for request in receiver.requests] == [str(event_id)] * 2
    row = await _row(quick)
    assert (row["status"], row["claim"], row["last_status"]) == ("sent", 2, 204)
    for hooks in (frozen, other):
        await hooks.close()


async def test_what_a_dead_worker_had_in_hand_is_taken_up_again(
    quick: Services, hooks: Hooks, receiver: HttpReceiver
) -> None:
    webhook_id, _ = await _webhook(quick, receiver.url())
    await _queue(quick, webhook_id)
    async with quick.database.transaction() as session:
        (claimed,) = await sending.claim(session, worker="dead", limit=5, lease_seconds=600, now=clock.now())
    assert await hooks.step() == 0
    async with quick.database.transaction() as session:
        await _claims_run_out(session)
        await sending.renew(session, [], worker="dead", lease_seconds=600)
        await sending.renew(session, [claimed.delivery["id"]], worker="another", lease_seconds=600)
        await sending.renew(session, [claimed.delivery["id"]], worker="dead", lease_seconds=600)
    assert (await _row(quick))["claimed_until"] > 1.0
    async with quick.database.transaction() as session:
        await sending.release(session, worker="dead")
    await _send(hooks)
    assert (await _row(quick))["status"] == "sent"


async def _claims_run_out(session: Any) -> None:
    await session.execute(update(webhook_deliveries).values(claimed_until=1.0))


async def test_slow_receivers_do_not_hold_up_the_others(quick: Services, hooks: Hooks) -> None:
    async with HttpReceiver() as slow, HttpReceiver() as good:
        slow.answer(slow=1.5)
        sleepy = [(await _webhook(quick, slow.url(f"/{number}")))[0] for number in range(AT_ONCE)]
        healthy, _ = await _webhook(quick, good.url())
        for webhook_id in sleepy[:3]:
            await _queue(quick, webhook_id, count=6)
        await _queue(quick, healthy, count=6)
        while len(good.requests) < 6:
            if not await hooks.step():
                await asyncio.sleep(0.01)
        assert slow.most <= 3 * PER_WEBHOOK
        assert len(slow.requests) < 18
        await hooks.idle()


async def test_receivers_that_are_away_leave_room_for_those_that_answer(quick: Services, hooks: Hooks) -> None:
    async with HttpReceiver() as dead, HttpReceiver() as good:
        dead.answer(503, slow=1.5)
        away = [(await _webhook(quick, dead.url(f"/{number}")))[0] for number in range(AT_ONCE)]
        async with quick.database.transaction() as session:
            await session.execute(update(webhooks).values(failing_since=clock.now()))
        for webhook_id in away:
            await _queue(quick, webhook_id, count=2)
        healthy, _ = await _webhook(quick, good.url())
        while await hooks.step():
            pass
        await _queue(quick, healthy)
        await hooks.step()
        await _until(lambda: good.requests)
        assert dead.most <= AT_ONCE // 2 + PER_WEBHOOK
        await hooks.idle()


# -- what is queued --


async def _tell(services: Services, *happened: Any) -> None:
    async with services.database.transaction() as session:
        await record(session, *happened, now=clock.now())


async def _relayed(services: Services) -> list[Any]:
    """As after the relay."""
    async with services.database.transaction() as session:
        found = (await session.execute(select(events).order_by(events.c.id))).mappings().all()
        last = await session.scalar(select(func.max(events.c.position))) or 0
        for number, event in enumerate((one for one in found if one["position"] is None), last + 1):
            await session.execute(update(events).where(events.c.id == event["id"]).values(position=number))
        return list((await session.execute(select(events).order_by(events.c.id))).mappings().all())


async def _follow(services: Services) -> int:
    return await following.follow(services.database, messages.FOLLOWER, partial(messages.tell, now=clock.now()))


async def test_each_webhook_is_told_once_of_what_it_asked_for(quick: Services) -> None:
    everything, _ = await _webhook(quick, "https://all.example.com/")
    some, _ = await _webhook(quick, "https://some.example.com/", "alert.acknowledged", "sla.met")
    off, _ = await _webhook(quick, "https://off.example.com/")
    async with quick.database.transaction() as session:
        webhook = await service.get_webhook(session, off)
        await service.edit(quick, session, webhook, enabled=False, by=SYSTEM, now=clock.now())
    alert_id, agent_id, inbox_id = new_id(), new_id(), new_id()
    await _tell(quick, AlertAcknowledged(alert_id=alert_id, agent_id=agent_id), InboxRecovered(inbox_id=inbox_id))
    happened = await _relayed(quick)
    assert [await _follow(quick) for _ in range(2)] == [2, 0]
    rows = await _rows(quick)
    assert sorted((row["webhook_id"], row["type"]) for row in rows) == sorted(
        [(everything, "alert.acknowledged"), (everything, "inbox.recovered"), (some, "alert.acknowledged")]
    )
    (row,) = [row for row in rows if row["webhook_id"] == some]
    occurred = happened[0]["occurred_at"].isoformat().replace("+00:00", "Z")
    assert (row["event_id"], row["position"], row["conversation_id"]) == (happened[0]["id"], 1, None)
    assert orjson.loads(row["body"]) == {
        "id": str(happened[0]["id"]),
        "position": 1,
        "type": "alert.acknowledged",
        "occurred_at": occurred,
        "timestamp": occurred,
        "data": {"alert_id": str(alert_id), "agent_id": str(agent_id)},
    }


async def test_a_webhook_hears_nothing_of_the_time_before_it_or_of_what_happened_while_it_was_off(
    quick: Services,
) -> None:
    await _tell(quick, InboxRecovered(inbox_id=new_id()))
    webhook_id, _ = await _webhook(quick, "https://all.example.com/")
    await _relayed(quick)
    assert (await _follow(quick), await _rows(quick)) == (1, [])
    for enabled in (False, True):
        async with quick.database.transaction() as session:
            webhook = await service.get_webhook(session, webhook_id)
            await service.edit(quick, session, webhook, enabled=enabled, by=SYSTEM, now=clock.now())
        await _tell(quick, InboxRecovered(inbox_id=new_id()))
        await _relayed(quick)
        assert await _follow(quick) == 1
    assert [row["position"] for row in await _rows(quick)] == [3]


@ON_ONE_DATABASE
async def test_every_public_event_is_told_of_whole(quick: Services) -> None:
    await _webhook(quick, "https://all.example.com/")
    rows = [
        {"id": new_id(), "type": name, "position": number, "occurred_at": clock.now(), "data": {"n": number}}
        for number, name in enumerate(PUBLIC, 1)
    ]
    async with quick.database.transaction() as session:
        for row in rows:
            await session.execute(events.insert().values(**row, conversation_id=new_id(), seq=0))
    await _follow(quick)
    told = [orjson.loads(row["body"]) for row in await _rows(quick)]
    assert [(one["type"], one["position"], one["seq"]) for one in told] == [(r["type"], r["position"], 0) for r in rows]
    assert all("conversation_id" in one for one in told)


async def _converse(services: Services, *conversations: UUID) -> None:
    """An event each, in this order."""
    for number, conversation_id in enumerate(conversations):
        row = {"id": new_id(), "type": "message.sent", "occurred_at": clock.now(), "data": {}}
        async with services.database.transaction() as session:
            await session.execute(events.insert().values(**row, conversation_id=conversation_id, seq=number))
    await _relayed(services)


async def test_one_conversation_is_told_in_order_and_holds_no_other_up(
    quick: Services, hooks: Hooks, receiver: HttpReceiver
) -> None:
    one, two = new_id(), new_id()
    await _webhook(quick, receiver.url("/a"))
    await _webhook(quick, receiver.url("/b"))
    await _converse(quick, one, one, two, one)
    receiver.answer(500, times=1)
    for _ in range(4):
        await _send(hooks)
    places = [(r.target, r.json()["position"]) for r in receiver.requests]
    held = places[0][0]
    assert places[0][1] == 1
    assert [at for at, number in places if at == held and number in (2, 4)] == [], "it waits for the first to end"
    assert (held, 3) in places
    other = [number for at, number in places if at != held]
    assert [number for number in other if number != 3] == [1, 2, 4]
    await _change(quick, next_attempt_at=clock.now())
    for _ in range(4):
        await _send(hooks)
    assert [r.json()["position"] for r in receiver.requests if r.target == held and r.json()["position"] != 3] == [
        1,
        1,
        2,
        4,
    ]


async def test_what_is_given_up_lets_the_next_one_go(quick: Services, hooks: Hooks, receiver: HttpReceiver) -> None:
    await _webhook(quick, receiver.url())
    conversation_id = new_id()
    await _converse(quick, conversation_id, conversation_id)
    receiver.answer(500, times=1)
    await _follow(quick)
    await _change(quick, give_up_at=clock.now())
    for _ in range(2):
        await _send(hooks)
    assert [row["status"] for row in await _rows(quick)] == ["failed", "sent"]


@pytest.mark.parametrize(("days", "enabled"), [(4, True), (6, False)])
async def test_five_days_without_a_success_switch_it_off_and_every_administrator_is_told_once(
    quick: Services, hooks: Hooks, receiver: HttpReceiver, days: int, enabled: bool
) -> None:
    boss = await factories.agent(quick, role="admin")
    webhook_id, _ = await _webhook(quick, receiver.url())
    async with quick.database.transaction() as session:
        await session.execute(update(webhooks).values(failing_since=clock.now() - timedelta(days=days)))
    await _queue(quick, webhook_id, count=2)
    receiver.answer(500)
    await _send(hooks)
    webhook = await _hook(quick, webhook_id)
    assert (webhook["enabled"], webhook["disabled_reason"]) == (enabled, "" if enabled else "failing")
    async with quick.database.reading() as session:
        told = (await session.execute(select(alerts.c.kind, alerts.c.data))).all()
        called = (await session.execute(select(alert_recipients.c.agent_id))).scalars().all()
        audited = await session.execute(select(audit.c.data).where(audit.c.action == "webhook.disabled"))
    if enabled:
        assert told == []
        return
    assert [tuple(one) for one in told] == [("webhook_disabled", {"webhook_id": str(webhook_id), "change": "failing"})]
    assert (called, audited.scalars().all()) == ([boss.id], [{"reason": "failing"}])
    async with quick.database.transaction() as session:
        await service.edit(quick, session, webhook, enabled=True, by=SYSTEM, now=clock.now())
    webhook = await _hook(quick, webhook_id)
    assert (webhook["enabled"], webhook["disabled_reason"], webhook["failing_since"]) == (True, "", None)


async def test_a_whole_crew_tells_a_webhook_at_once_what_happened(quick: Services, receiver: HttpReceiver) -> None:
    _, secret = await _webhook(quick, receiver.url(), "alert.acknowledged")
    settings = quick.settings.model_copy(update={"worker_loops": "relay,hooks", "tick_seconds": 60.0})
    crew = Crew(replace(quick, settings=settings), open_guard(settings), worker="crew", alone=True)
    quick.database.on_commit = lambda names: crew.ring(sorted(names))
    await crew.start()
    try:
        await _tell(quick, AlertAcknowledged(alert_id=new_id(), agent_id=new_id()), InboxRecovered(inbox_id=new_id()))
        await _until(lambda: receiver.requests)
    finally:
        await crew.stop()
    (request,) = receiver.requests
    assert _verified(request, secret)
    assert request.json()["type"] == "alert.acknowledged"
    assert (await _row(quick))["status"] == "sent"
