"""What our own account wrote comes back: mostly by our own hand, sometimes as the only proof, and now and then not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from helpdesk import clock
from helpdesk.models.events import events
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import deliveries, messages
from helpdesk.models.social import inbound_media
from helpdesk.services import echoes
from tests import factories
from tests.house import Desk, House
from tests.social.vendor import WALL, State


@pytest.fixture(autouse=True)
def wall() -> Iterator[State]:
    WALL.__init__()  # type: ignore[misc]
    yield WALL
    WALL.__init__()  # type: ignore[misc]


def said(external_id: str = "1", **given: Any) -> bytes:
    about = {"external_id": external_id, "sender": {"handle": "17", "name": "Mina"}, "text": "Where is my money?"}
    return json.dumps(about | {"thread": "dm:17"} | given).encode()


def echo(external_id: str, text: str = "We are looking into it.", **given: Any) -> bytes:
    about = {"external_id": external_id, "sender": {"handle": "1", "name": "Us"}, "text": text, "written_by_us": True}
    return json.dumps(about | {"thread": "dm:17", "recipient": {"handle": "17"}} | given).encode()


async def answered(house: House, desk: Desk) -> Any:
    """Our answer to Mina, of which nobody said whether it was taken; `WALL` has it as wall-1."""
    await house.receive(desk, said())
    WALL.cut_after_accepting = True
    message_id = await house.reply((await house.conversations())[0]["id"])
    await house.drain()
    assert (await house.row(deliveries))["status"] == "uncertain"
    return message_id


async def states(house: House) -> list[tuple[str, str]]:
    return [(row["state"], row["error"]) for row in await house.rows(raw_items)][1:]


async def test_what_this_house_sent_is_recognised_by_its_id(house: House, desk: Desk) -> None:
    await house.receive(desk, said())
    message_id = await house.reply((await house.conversations())[0]["id"])
    await house.drain()
    await house.receive(desk, echo("wall-1"), echo("wall-1", recipient=None))
    assert await states(house) == [("own", "own_message")] * 2
    assert {row["message_id"] for row in await house.rows(raw_items)} >= {message_id}
    assert len(await house.rows(messages)) == 2


async def test_an_echo_settles_what_nobody_confirmed(house: House, desk: Desk) -> None:
    message_id = await answered(house, desk)
    before = len(WALL.sent)
    await house.receive(desk, echo("wall-1", client_token=str(message_id), external_url="https://wall.test/wall-1"))
    delivery, message = await house.row(deliveries), await house.row(messages, messages.c.id == message_id)
    assert (delivery["status"], message["delivery_status"]) == ("sent", "sent")
    assert (message["external_id"], message["external_url"]) == ("wall-1", "https://wall.test/wall-1")
    assert len(await house.rows(events, events.c.type == "message.sent")) == 1
    assert (await house.conversations())[0]["waiting_since"] is None
    await house.drain()
    assert len(WALL.sent) == before


async def test_an_echo_waits_while_its_answer_is_being_sent(house: House, desk: Desk) -> None:
    message_id = await answered(house, desk)
    async with house.services.database.transaction() as session:
        await session.execute(update(deliveries).values(claimed_until=9e9, claimed_by="another"))
    await house.receive(desk, echo("wall-1", client_token=str(message_id)))
    assert await states(house) == [("received", "")]
    assert (await house.rows(raw_items))[1]["attempts"] == 0
    assert (await house.row(deliveries))["status"] == "uncertain"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_echo_is_recognised_whose_answer_is_recorded_at_the_same_moment(
    house: House, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await answered(house, desk)
    WALL.cut_after_accepting = False
    own = echoes._own

    async def slowly(*about: Any) -> Any:
        found = await own(*about)
        await house.deliver()  # the sender records what it has just found
        return found

    monkeypatch.setattr(echoes, "_own", slowly)
    async with house.services.database.transaction() as session:
        await session.execute(update(deliveries).values(next_attempt_at=clock.now()))
    await house.receive(desk, echo("wall-1"))
    assert (await house.row(deliveries))["status"] == "sent"
    monkeypatch.undo()
    async with house.services.database.transaction() as session:
        await session.execute(update(raw_items).values(next_attempt_at=clock.now()))
    await house.drain()
    assert await states(house) == [("own", "own_message")]
    assert len(await house.rows(messages)) == 2


async def test_an_echo_without_our_token_waits_for_what_may_be_it(house: House, desk: Desk) -> None:
    await answered(house, desk)
    await house.receive(desk, echo("wall-1"))
    assert await states(house) == [("received", "")]
    async with house.services.database.transaction() as session:
        later = {"created_at": clock.now() - timedelta(minutes=4), "next_attempt_at": clock.now()}
        await session.execute(update(raw_items).values(later))
    await house.drain()
    assert await states(house) == [("own", "sent_elsewhere")]


async def test_what_was_written_elsewhere_is_shown_and_ends_no_clock(house: House, desk: Desk) -> None:
    await house.receive(desk, said())
    await house.receive(desk, echo("71", "Call us"), echo("71", "Call us", recipient=None))
    (conversation,) = await house.conversations()
    _, ours = await house.messages()
    assert (ours["type"], ours["author_kind"], ours["text"]) == ("outgoing", "system", "Call us")
    assert (ours["notes"], ours["delivery_status"]) == (["sent_elsewhere"], "sent")
    assert (conversation["preview"], conversation["message_count"]) == ("Call us", 2)
    assert conversation["waiting_since"] is not None
    assert len(await house.rows(messages)) == 2


async def test_a_comment_of_ours_is_filed_with_what_it_answers(house: House, desk: Desk) -> None:
    await house.receive(desk, said("5", thread="post:9", visibility="public"))
    file = {"filename": "a.png", "content_type": "image/png", "source": "comment:72"}
    await house.receive(
        desk, echo("72", thread="post:9", recipient=None, in_reply_to="5", visibility="public", attachments=[file])
    )
    assert [one["external_id"] for one in await house.messages()] == ["5", "72"]
    assert len(await house.rows(inbound_media)) == 1


async def test_what_we_wrote_to_a_stranger_elsewhere_begins_nothing(house: House, desk: Desk) -> None:
    await house.receive(desk, said())
    await house.receive(desk, echo("80", thread="dm:99", recipient={"handle": "99"}))
    assert await states(house) == [("kept", "sent_elsewhere")]
    assert len(await house.rows(messages)) == 1


async def test_another_inboxes_token_settles_nothing(house: House, desk: Desk) -> None:
    message_id = await answered(house, desk)
    other = Desk(await factories.inbox(house.services, channel="wall", name="them"), "them")
    await house.receive(other, echo("wall-1", client_token=str(message_id)))
    assert (await house.row(deliveries))["status"] == "uncertain"
    assert await states(house) == [("kept", "sent_elsewhere")]
