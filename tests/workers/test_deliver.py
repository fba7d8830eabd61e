"""What becomes of a message on its way out, against a real SMTP peer that refuses, drops and delays."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.channels import LeaseLost
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.messages import deliveries, messages
from helpdesk.services import deliveries as service
from tests import factories
from tests.house import House
from tests.peers.smtp_sink import SmtpSink

MINA = "mina@customer.test"


@pytest.fixture
async def reply(house: House, sink: SmtpSink) -> UUID:
    """An agent's answer that is due."""
    desk = await house.inbox(smtp_url=sink.url())
    conversation_id = await factories.conversation(house.services, inbox_id=desk.id, handle=MINA)
    return await house.reply(conversation_id, "It is on its way.")


async def _delivery(house: House, message_id: UUID) -> Any:
    return await house.row(deliveries, deliveries.c.message_id == message_id)


async def _shown(house: House, message_id: UUID) -> str:
    return str((await house.row(messages, messages.c.id == message_id))["delivery_status"])


async def _told(house: House) -> list[str]:
    rows = await house.rows(events, events.c.type.in_(["message.sent", "message.failed", "message.uncertain"]))
    for row in rows:
        assert row["seq"] == (await house.row(messages, messages.c.id == UUID(row["data"]["message_id"])))["seq"]
    return [row["type"] for row in rows]


async def _due_now(house: House) -> None:
    """As waiting does."""
    async with house.services.database.transaction() as session:
        await session.execute(update(deliveries).values(next_attempt_at=clock.now()))


async def _claim(house: House) -> Any:
    """What a worker has in hand that is about to die."""
    async with house.services.database.transaction() as session:
        (claimed,) = await service.claim(session, worker="dies", limit=1, lease_seconds=60, now=clock.now())
    return claimed


async def _dead(house: House) -> None:
    async with house.services.database.transaction() as session:
        await session.execute(update(deliveries).values(claimed_until=0.0))


async def test_a_reply_is_sent_once_and_ends_the_wait(house: House, sink: SmtpSink, reply: UUID) -> None:
    await house.deliver()
    assert await house.deliver() == 0
    (sent,) = sink.messages
    assert sent.recipients == (MINA,)
    row = await _delivery(house, reply)
    assert (row["status"], row["attempts"], row["accepted"]) == ("sent", 1, [MINA])
    assert await _shown(house, reply) == "sent"
    assert await _told(house) == ["message.sent"]
    assert (await house.row(conversations))["waiting_since"] is None


@pytest.mark.parametrize("stage", ["connect", "mail", "rcpt", "data", "dot"])
async def test_a_refusal_for_the_moment_is_tried_again_later(
    house: House, sink: SmtpSink, reply: UUID, stage: str
) -> None:
    sink.reply(stage, "451 4.3.0 later", times=1)
    before = clock.now()
    await house.deliver()
    row = await _delivery(house, reply)
    assert row["status"] == "queued"
    assert row["error"]
    assert timedelta(seconds=14) < row["next_attempt_at"] - before < timedelta(seconds=35)
    assert await house.deliver() == 0, "not before it is due"
    await _due_now(house)
    await house.deliver()
    assert len(sink.messages) == 1
    assert (await _delivery(house, reply))["status"] == "sent"
    assert await _told(house) == ["message.sent"]


async def test_waits_grow_and_come_to_an_end(house: House, sink: SmtpSink, reply: UUID) -> None:
    sink.reply("mail", "451 4.3.0 later")
    waits = []
    for _ in range(4):
        await _due_now(house)
        await house.deliver()
        waits.append((await _delivery(house, reply))["next_attempt_at"] - clock.now())
    assert waits[-1] > timedelta(seconds=100) > waits[0]
    async with house.services.database.transaction() as session:
        await session.execute(update(deliveries).values(give_up_at=clock.now(), next_attempt_at=clock.now()))
    await house.deliver()
    assert (await _delivery(house, reply))["status"] == "failed"
    assert await _told(house) == ["message.failed"]


async def test_a_final_refusal_fails_and_the_customer_waits_on(house: House, sink: SmtpSink, reply: UUID) -> None:
    async with house.services.database.transaction() as session:
        await session.execute(update(conversations).values(status="resolved", waiting_since=None, next_due_at=None))
    sink.reply("rcpt", "550 5.1.1 no such user")
    await house.deliver()
    row = await _delivery(house, reply)
    assert (row["status"], row["error"]) == ("failed", "recipient_refused")
    assert await _shown(house, reply) == "failed"
    assert await _told(house) == ["message.failed"]
    conversation = await house.row(conversations)
    assert conversation["status"] == "open"
    assert conversation["waiting_since"] is not None
    assert sink.messages == []


async def test_a_server_that_is_not_there_is_a_temporary_failure(house: House, unused_tcp_port: int) -> None:
    desk = await house.inbox(smtp_url=f"smtp://127.0.0.1:{unused_tcp_port}")
    conversation_id = await factories.conversation(house.services, inbox_id=desk.id, handle=MINA)
    reply = await house.reply(conversation_id)
    await house.deliver()
    row = await _delivery(house, reply)
    assert (row["status"], row["error"]) == ("queued", "unreachable")


async def test_a_recipient_who_was_taken_is_never_written_to_again(house: House, sink: SmtpSink) -> None:
    desk = await house.inbox(smtp_url=sink.url())
    conversation_id = await factories.conversation(house.services, inbox_id=desk.id, handle=MINA)
    copy = {"handle": "boss@customer.test", "name": ""}
    reply = await house.reply(conversation_id, cc=[copy])
    sink.reply("rcpt", "450 4.2.1 full", match="boss@", times=1)
    await house.deliver()
    row = await _delivery(house, reply)
    assert (row["status"], row["error"], row["accepted"]) == ("queued", "some_deferred", [MINA])
    await _due_now(house)
    await house.deliver()
    assert [one.recipients for one in sink.messages] == [(MINA,), ("boss@customer.test",)]
    assert (await _delivery(house, reply))["status"] == "sent"


async def test_a_connection_that_dies_after_the_final_byte_is_resent_once_as_the_same_bytes(
    house: House, sink: SmtpSink, reply: UUID
) -> None:
    sink.drop("dot", times=1)
    await house.deliver()
    assert (await _delivery(house, reply))["status"] == "uncertain"
    assert await _shown(house, reply) == "uncertain"
    await house.deliver()
    row = await _delivery(house, reply)
    assert (row["status"], row["resends"]) == ("sent", 1)
    first, second = sink.messages
    assert first.body == second.body
    assert await _told(house) == ["message.uncertain", "message.sent"]


async def test_a_second_doubt_rests_until_a_person_decides(house: House, sink: SmtpSink, reply: UUID) -> None:
    sink.drop("dot")
    for _ in range(6):
        await house.deliver()
    row = await _delivery(house, reply)
    assert (row["status"], row["resends"]) == ("uncertain", service.MAX_RESENDS)
    assert row["next_attempt_at"] > clock.now() + timedelta(days=365)
    assert len(sink.messages) == 1 + service.MAX_RESENDS
    assert await _told(house) == ["message.uncertain"]


async def test_what_lies_in_its_file_already_is_found_and_not_written_again(house: House) -> None:
    desk = await house.inbox()
    conversation_id = await factories.conversation(house.services, inbox_id=desk.id, handle=MINA)
    reply = await house.reply(conversation_id)
    await house.deliver()
    async with house.services.database.transaction() as session:
        await session.execute(update(deliveries).values(status="uncertain", error="uncertain"))
    await _due_now(house)
    await house.deliver()
    row = await _delivery(house, reply)
    assert (row["status"], row["resends"]) == ("sent", 0)
    assert len(house.outgoing()) == 1


async def test_a_worker_that_died_before_the_final_mark_is_followed_by_one_that_sends(
    house: House, sink: SmtpSink, reply: UUID
) -> None:
    claimed = await _claim(house)
    assert await house.deliver() == 0, "while the claim stands it is nobody else's"
    async with house.services.database.transaction() as session:
        await service.start(session, claimed)
    await _dead(house)
    await house.deliver()
    assert len(sink.messages) == 1
    assert await _told(house) == ["message.sent"]


async def test_a_worker_that_died_after_the_final_mark_leaves_a_doubt(
    house: House, sink: SmtpSink, reply: UUID
) -> None:
    claimed = await _claim(house)
    async with house.services.database.transaction() as session:
        await service.start(session, claimed)
        await service.at_final(session, claimed, now=clock.now())
    await _dead(house)
    await house.deliver()
    assert (await _delivery(house, reply))["status"] == "uncertain"
    assert sink.messages == []
    await house.deliver()
    assert (await _delivery(house, reply))["status"] == "sent"
    assert len(sink.messages) == 1


async def test_a_worker_that_was_overtaken_may_not_send_the_final_byte(house: House, reply: UUID) -> None:
    claimed = await _claim(house)
    await _dead(house)
    await house.deliver()
    with pytest.raises(LeaseLost):
        async with house.services.database.transaction() as session:
            await service.at_final(session, claimed, now=clock.now())


async def test_only_what_is_in_hand_is_renewed(house: House, reply: UUID) -> None:
    await _claim(house)
    async with house.services.database.transaction() as session:
        await session.execute(update(deliveries).values(claimed_until=1.0))
        await service.renew(session, [], worker="dies", lease_seconds=60)
        assert (await session.execute(select(deliveries.c.claimed_until))).scalar_one() == 1.0
        await service.renew(session, [reply], worker="dies", lease_seconds=60)
        assert (await session.execute(select(deliveries.c.claimed_until))).scalar_one() > 1.0


async def _conversations(house: House, sink: SmtpSink, count: int) -> list[UUID]:
    desk = await house.inbox(smtp_url=sink.url())
    return [
        await factories.conversation(house.services, inbox_id=desk.id, handle=f"person{number}@customer.test")
        for number in range(count)
    ]


def _texts(sink: SmtpSink) -> list[str]:
    parsed = [message_from_bytes(sent.body, policy=default) for sent in sink.messages]
    return [str(part.get_content()).splitlines()[0] for mail in parsed if (part := mail.get_body(("plain",)))]


async def test_answers_of_one_conversation_leave_in_the_order_in_which_they_were_written(
    house: House, sink: SmtpSink
) -> None:
    (conversation_id,) = await _conversations(house, sink, 1)
    written = [f"Answer {number}" for number in range(4)]
    for text in written:
        await house.reply(conversation_id, text)
    async with house.services.database.transaction() as session:
        (first,) = await service.claim(session, worker="other", limit=8, lease_seconds=60, now=clock.now())
        assert await service.claim(session, worker="other", limit=8, lease_seconds=60, now=clock.now()) == []
    await _dead(house)
    while await house.deliver():
        pass
    assert _texts(sink) == written
    assert first["message_id"] == (await house.row(messages, messages.c.text == written[0]))["id"]


async def test_an_answer_waits_neither_for_other_conversations_nor_for_one_that_is_put_off(
    house: House, sink: SmtpSink
) -> None:
    one, other = await _conversations(house, sink, 2)
    put_off = await house.reply(one, "Put off")
    async with house.services.database.transaction() as session:
        far = clock.now() + timedelta(minutes=10)
        await session.execute(update(deliveries).where(deliveries.c.message_id == put_off).values(next_attempt_at=far))
    await house.reply(one, "Later")
    await house.reply(other, "Elsewhere")
    while await house.deliver():
        pass
    assert sorted(_texts(sink)) == ["Elsewhere", "Later"]
