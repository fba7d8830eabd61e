"""Alerts on their way: letters by a real SMTP server or as files, posts by real HTTP, one for all that is due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import RowMapping, select, update
from structlog.testing import capture_logs

from helpdesk import clock
from helpdesk.domain.actions import Alert
from helpdesk.domain.alert_texts import LANGUAGES
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.models.agents import agents
from helpdesk.models.alerts import alert_notices, alert_routes
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.services import alerts as service
from helpdesk.services import notices
from helpdesk.services.alerts import Subject
from helpdesk.services.house import Services
from helpdesk.wiring import open_guard
from tests import factories
from tests.factories import Someone
from tests.house import read
from tests.peers.http_receiver import HttpReceiver
from tests.peers.smtp_sink import SmtpSink
from workers.connections import Connections
from workers.notify import Notifier

SECRETS = ("Withdrawal", "Where is my", "mina", "Mina", "customer.test")
"""What a customer wrote or is."""


@pytest.fixture
async def receiver() -> AsyncIterator[HttpReceiver]:
    async with HttpReceiver() as opened:
        yield opened


async def _notifier(services: Services, worker: str) -> AsyncIterator[Notifier]:
    connections = Connections(services, guard := open_guard(services.settings))
    opened = Notifier(services, guard, connections, worker=worker)
    yield opened
    await opened.close()
    await connections.close()


@pytest.fixture
async def notifier(quick: Services) -> AsyncIterator[Notifier]:
    async for opened in _notifier(quick, "notify"):
        yield opened


@pytest.fixture
async def other(quick: Services) -> AsyncIterator[Notifier]:
    async for opened in _notifier(quick, "other"):
        yield opened


async def _agent(services: Services, **values: Any) -> Someone:
    someone = await factories.agent(services)
    if values:
        async with services.database.transaction() as session:
            await session.execute(update(agents).where(agents.c.id == someone.id).values(values))
    return someone


async def _conversation(services: Services, desk: UUID) -> UUID:
    return await factories.conversation(services, inbox_id=desk)


async def _alert(
    services: Services, *people: UUID, about: UUID | None = None, severity: str = "critical", **data: Any
) -> UUID:
    call = Alert(who=(), agent_ids=people, severity=severity, acknowledge=timedelta(minutes=15))
    now = clock.now()
    times = {"due_at": (now - timedelta(hours=2, minutes=5)).isoformat()}
    async with services.database.transaction() as session:
        found = await session.execute(select(conversations).where(conversations.c.id == about))
        subject = Subject(f"test:{clock.now().isoformat()}:{len(people)}", "sla_breach", "first_response", 1)
        made = await service.call(
            services, session, subject, [call], found.mappings().one_or_none(), data=times | data, now=now
        )
    assert made is not None
    return made


async def _room(services: Services, receiver: HttpReceiver, kind: str = "slack", **address: str) -> UUID:
    given = {"url": "https://hooks.slack.com/services/T0/B0/hush", "api_url": receiver.url("").rstrip("/")} | address
    return await factories.alert_route(services, kind=kind, **given)


async def _rows(services: Services) -> Sequence[RowMapping]:
    async with services.database.reading() as session:
        found = await session.execute(select(alert_notices).order_by(alert_notices.c.id))
        return found.mappings().all()


async def _change(services: Services, table: Any = alert_notices, **values: Any) -> None:
    """As time or a death does."""
    async with services.database.transaction() as session:
        await session.execute(update(table).values(values))


def _files(services: Services) -> list[EmailMessage]:
    found = sorted((services.settings.data / "outgoing").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    return [read(path.read_bytes()) for path in found]


def _text(letter: EmailMessage) -> str:
    part = letter.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_letter_comes_in_the_agents_language_and_is_marked_as_automatic(
    quick: Services, notifier: Notifier, sink: SmtpSink, language: str
) -> None:
    anna = await _agent(quick, locale=language, name="安娜")
    desk = await factories.inbox(quick, reply_address="desk+{token}@helpdesk.test", smtp_url=sink.url())
    await _alert(quick, anna.id, about=await _conversation(quick, desk))
    assert await notifier.step() == 1
    assert await notifier.step() == 0
    (sent,) = sink.messages
    letter = read(sent.body)
    urgent = {"en": "[Urgent]", "zh-CN": "[紧急]", "zh-TW": "[緊急]"}[language]
    assert str(letter["Subject"]).startswith(urgent)
    assert (sent.sender, sent.recipients) == ("", (anna.email,)), "nobody is told when it bounces"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Reply-To"] is None
    assert "+" not in str(letter["From"])
    text = _text(letter)
    assert {"en": "overdue by 2 h 5 min", "zh-CN": "已超时 2 小时 5 分钟", "zh-TW": "已逾時 2 小時 5 分鐘"}[
        language
    ] in text.replace("\n", " ")
    whole = str(letter["Subject"]) + text + sent.body.decode("utf-8", "replace")
    assert not [secret for secret in SECRETS if secret in whole]
    (row,) = await _rows(quick)
    assert (row["status"], row["attempts"], row["error"]) == ("sent", 1, "")
    assert row["sent_at"] is not None


async def test_without_a_server_letters_are_files(quick: Services, notifier: Notifier) -> None:
    anna = await _agent(quick)
    desk = await factories.inbox(quick)
    await _alert(quick, anna.id, about=await _conversation(quick, desk))
    await notifier.step()
    (letter,) = _files(quick)
    assert anna.email in str(letter["To"])
    assert (await _rows(quick))[0]["status"] == "sent"


async def test_what_is_due_to_one_agent_leaves_as_one_letter_and_what_is_anothers_does_not(
    quick: Services, notifier: Notifier, sink: SmtpSink
) -> None:
    anna, bert = await _agent(quick), await _agent(quick)
    desk = await factories.inbox(quick, smtp_url=sink.url())
    for _ in range(3):
        await _alert(quick, anna.id, about=await _conversation(quick, desk))
    await _alert(quick, bert.id, about=await _conversation(quick, desk))
    assert [await notifier.step() for _ in range(3)] == [1, 1, 0]
    assert [sent.recipients for sent in sink.messages] == [(anna.email,), (bert.email,)]
    letter = read(sink.messages[0].body)
    assert str(letter["Subject"]) == "[Urgent] 3 alerts need attention"
    assert _text(letter).count("- #") == 3
    assert {row["status"] for row in await _rows(quick)} == {"sent"}


async def test_two_workers_send_one_letter(
    quick: Services, notifier: Notifier, other: Notifier, sink: SmtpSink
) -> None:
    anna = await _agent(quick)
    desk = await factories.inbox(quick, smtp_url=sink.url())
    for _ in range(4):
        await _alert(quick, anna.id, about=await _conversation(quick, desk))
    counts = await asyncio.gather(notifier.step(), other.step())
    assert sorted(counts) == [0, 1]
    assert len(sink.messages) == 1


async def test_a_room_is_told_in_one_post_without_a_word_of_the_customer(
    quick: Services, notifier: Notifier, receiver: HttpReceiver
) -> None:
    receiver.answer(200, body=b"ok")
    desk = await factories.inbox(quick)
    await _room(quick, receiver)
    boss = await factories.agent(quick, role="admin")
    for _ in range(2):
        await _alert(quick, boss.id, about=await _conversation(quick, desk))
    with capture_logs() as logs:
        while await notifier.step():
            pass
    (request,) = receiver.requests
    assert request.target == "/services/T0/B0/hush"
    text = request.json()["text"]
    assert text.startswith("[Urgent] 2 alerts need attention\n- #")
    assert not [secret for secret in SECRETS if secret in request.body.decode()]
    assert "hush" not in str(logs)
    assert {row["status"] for row in await _rows(quick)} == {"sent"}


async def test_a_room_hears_of_what_is_loud_enough_and_of_its_team(
    quick: Services, notifier: Notifier, receiver: HttpReceiver
) -> None:
    receiver.answer(200, body=b"ok")
    desk, anna, team = await factories.inbox(quick), await _agent(quick), await factories.team(quick)
    await _room(quick, receiver)
    mine = await _conversation(quick, desk)
    await _alert(quick, anna.id, about=mine, severity="info")
    assert [row["route_id"] for row in await _rows(quick)] == [None]
    await _change(quick, alert_routes, team_id=team)
    await _alert(quick, anna.id, about=mine)
    assert [row["route_id"] for row in await _rows(quick)] == [None, None]
    await _change(quick, conversations, team_id=team)
    await _alert(quick, anna.id, about=mine)
    assert len([row for row in await _rows(quick) if row["route_id"]]) == 1


async def test_a_failure_is_tried_again_with_growing_pauses_and_given_up_after_a_day(
    quick: Services, notifier: Notifier, receiver: HttpReceiver
) -> None:
    receiver.answer(503)
    desk, anna = await factories.inbox(quick), await _agent(quick)
    await _room(quick, receiver)
    await _alert(quick, anna.id, about=await _conversation(quick, desk))
    await _change(quick, status="dropped")
    async with quick.database.transaction() as session:
        await session.execute(
            update(alert_notices).where(alert_notices.c.route_id.is_not(None)).values(status="queued")
        )
    pauses = []
    for _ in range(notices.LEAST_ATTEMPTS):
        before = clock.now()
        assert await notifier.step() == 1
        (row,) = [one for one in await _rows(quick) if one["route_id"]]
        assert (row["status"], row["claimed_until"]) == ("queued", 0.0)
        pauses.append((row["next_attempt_at"] - before).total_seconds())
        await _change(quick, next_attempt_at=before)
    for attempt, pause in enumerate(pauses):
        ceiling = min(30 * 2**attempt, 1800)
        assert ceiling / 2 - 1 < pause < ceiling + 5
    assert row["error"] not in ("", "internal")
    await _change(quick, created_at=clock.now() - notices.GIVE_UP_AFTER - timedelta(minutes=1))
    await notifier.step()
    (row,) = [one for one in await _rows(quick) if one["route_id"]]
    assert row["status"] == "failed"
    assert await notifier.step() == 0


async def test_what_is_a_day_old_and_was_hardly_tried_is_tried_again(
    quick: Services, notifier: Notifier, sink: SmtpSink
) -> None:
    anna = await _agent(quick)
    desk = await factories.inbox(quick, smtp_url=sink.url())
    await _alert(quick, anna.id, about=await _conversation(quick, desk))
    await _change(quick, created_at=clock.now() - timedelta(days=2))
    await _alert(quick, anna.id, about=await _conversation(quick, desk))
    sink.reply("connect", "421 4.3.0 later", times=1)
    await notifier.step()
    assert [row["status"] for row in await _rows(quick)] == ["queued", "queued"]
    await _change(quick, next_attempt_at=clock.now(), attempts=notices.LEAST_ATTEMPTS)
    sink.reply("connect", "421 4.3.0 later", times=1)
    await notifier.step()
    assert [row["status"] for row in await _rows(quick)] == ["failed", "queued"], "each by its own age"
    await _change(quick, next_attempt_at=clock.now())
    await notifier.step()
    assert [row["status"] for row in await _rows(quick)] == ["failed", "sent"]


async def test_what_can_never_be_posted_is_given_up_at_once(
    quick: Services, notifier: Notifier, receiver: HttpReceiver
) -> None:
    receiver.answer(404, body=b"no_service")
    desk = await factories.inbox(quick)
    await _room(quick, receiver)
    await _alert(quick, about=await _conversation(quick, desk))
    await notifier.step()
    assert [row["status"] for row in await _rows(quick)] == ["failed"]


async def test_another_inbox_sends_what_the_first_cannot(quick: Services, notifier: Notifier, sink: SmtpSink) -> None:
    anna = await _agent(quick)
    async with SmtpSink() as broken:
        broken.reply("mail", "530 5.7.0 who are you?")
        desk = await factories.inbox(quick, smtp_url=broken.url())
        await factories.inbox(quick, smtp_url=sink.url())
        await _alert(quick, anna.id, about=await _conversation(quick, desk))
        await notifier.step()
    assert [sent.recipients for sent in sink.messages] == [(anna.email,)]
    assert (await _rows(quick))[0]["status"] == "sent"


async def test_without_any_inbox_the_letter_waits_for_one(quick: Services, notifier: Notifier) -> None:
    anna = await _agent(quick)
    desk = await factories.inbox(quick)
    await _alert(quick, anna.id, about=await _conversation(quick, desk))
    await _change(quick, inboxes, state="paused")
    await notifier.step()
    (row,) = await _rows(quick)
    assert (row["status"], row["error"]) == ("queued", "no_inbox")


async def test_nobody_who_has_left_is_written_to(quick: Services, notifier: Notifier, sink: SmtpSink) -> None:
    anna = await _agent(quick)
    desk = await factories.inbox(quick, smtp_url=sink.url())
    await _alert(quick, anna.id, about=await _conversation(quick, desk))
    await _change(quick, agents, active=False)
    await notifier.step()
    assert sink.messages == []
    assert [(row["status"], row["error"]) for row in await _rows(quick)] == [("failed", "left")]


async def test_nothing_leaves_with_a_transaction_open(quick: Services, notifier: Notifier, sink: SmtpSink) -> None:
    """The sink keeps the sender waiting; meanwhile everything else goes on, also on SQLite with its one writer."""
    anna = await _agent(quick)
    desk = await factories.inbox(quick, smtp_url=sink.url())
    about = await _conversation(quick, desk)
    alert_id = await _alert(quick, anna.id, about=about)
    sink.wait("data", 30, times=1)
    sending = asyncio.create_task(notifier.step())
    async with asyncio.timeout(10):
        while not any(line.startswith("RCPT") for line in sink.commands):
            await asyncio.sleep(0.01)
        async with quick.database.transaction() as session:
            held = await session.execute(select(alert_notices).with_for_update(nowait=True))
            assert [row["alert_id"] for row in held.mappings()] == [alert_id]
    assert len(notifier.held) == 1, "its lease is renewed"
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_what_a_worker_had_claimed_when_it_died_is_sent_by_another(
    quick: Services, notifier: Notifier, other: Notifier, sink: SmtpSink
) -> None:
    anna = await _agent(quick)
    desk = await factories.inbox(quick, smtp_url=sink.url())
    await _alert(quick, anna.id, about=await _conversation(quick, desk))
    async with quick.database.transaction() as session:
        lost = await notices.claim(session, worker="notify", lease_seconds=3600, now=clock.now())
    assert lost is not None
    assert await other.step() == 0, "it may live"
    async with quick.database.transaction() as session:
        await notices.release(session, worker="notify")
    assert await other.step() == 1
    assert len(sink.messages) == 1
    with capture_logs() as logs:
        await notifier._record(notices.failed, lost, error="late", permanent=True)
    assert [entry["event"] for entry in logs] == ["notice.taken_over"]
    (row,) = await _rows(quick)
    assert (row["status"], row["attempts"], row["error"]) == ("sent", 2, "")


async def test_what_was_acknowledged_before_it_left_is_dropped(
    quick: Services, notifier: Notifier, sink: SmtpSink
) -> None:
    anna = await _agent(quick)
    desk = await factories.inbox(quick, smtp_url=sink.url())
    alert_id = await _alert(quick, anna.id, about=await _conversation(quick, desk))
    actor = Actor(AuthorKind.AGENT, id=anna.id, name=anna.name, role=Role.AGENT)
    async with quick.database.transaction() as session:
        row = await service.get_alert(session, actor, alert_id, lock=True)
        await service.acknowledge(session, row, by=actor, now=clock.now())
    assert await notifier.step() == 0
    assert sink.messages == []
    assert [row["status"] for row in await _rows(quick)] == ["dropped"]


async def test_what_is_acknowledged_while_it_is_being_sent_is_not_tried_again(
    quick: Services, notifier: Notifier, sink: SmtpSink
) -> None:
    anna = await _agent(quick)
    desk = await factories.inbox(quick, smtp_url=sink.url())
    alert_id = await _alert(quick, anna.id, about=await _conversation(quick, desk))
    async with quick.database.transaction() as session:
        bundle = await notices.claim(session, worker="notify", lease_seconds=60, now=clock.now())
        assert bundle is not None
        await notices.drop(session, [alert_id])
        await notices.failed(session, bundle, error="temporary", permanent=False, now=clock.now())
    assert [row["status"] for row in await _rows(quick)] == ["dropped"]
    await _change(quick, next_attempt_at=clock.now())
    assert await notifier.step() == 0


async def test_a_server_that_took_the_letter_and_never_said_so_gets_it_twice_under_one_id(
    quick: Services, notifier: Notifier, sink: SmtpSink
) -> None:
    anna = await _agent(quick)
    desk = await factories.inbox(quick, smtp_url=sink.url())
    await _alert(quick, anna.id, about=await _conversation(quick, desk))
    sink.drop("dot", times=1)
    await notifier.step()
    assert (await _rows(quick))[0]["error"] == "uncertain"
    await _change(quick, next_attempt_at=clock.now())
    await notifier.step()
    first, second = (read(sent.body)["Message-ID"] for sent in sink.messages)
    assert first == second
    await _change(quick, status="queued", next_attempt_at=clock.now())
    await _alert(quick, anna.id, about=await _conversation(quick, desk))
    await notifier.step()
    assert read(sink.messages[-1].body)["Message-ID"] not in (first, second), "this one says more"


async def test_logs_know_no_address_and_no_name(quick: Services, notifier: Notifier, sink: SmtpSink) -> None:
    anna = await _agent(quick, name="Anna Secret")
    desk = await factories.inbox(quick, smtp_url=sink.url())
    await _alert(quick, anna.id, about=await _conversation(quick, desk))
    with capture_logs() as logs:
        for reply in ("550 5.1.1 unknown <anna@secret.test>", "451 4.3.0 anna@secret.test is busy"):
            sink.reply("rcpt", reply, times=1)
            await _change(quick, status="queued", next_attempt_at=clock.now())
            await notifier.step()
    said = str(logs)
    assert "notice.failed" in said
    assert not [word for word in ("Anna", anna.email, "secret.test", *SECRETS) if word in said]
