"""What becomes of messages after they were said: edited, deleted, hidden, and told of before they came."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk.domain.values import SYSTEM
from helpdesk.models.contacts import contacts
from helpdesk.models.events import audit, events
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import messages
from helpdesk.models.search import search_rows
from helpdesk.models.social import pending_changes
from helpdesk.services import changes, search_indexing, sources
from tests import factories
from tests.house import Desk, House
from workers.search import Searching

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def said(external_id: str = "1", text: str = "My money is gone", **given: Any) -> bytes:
    about = {"external_id": external_id, "sender": {"handle": "17", "name": "Mina"}, "text": text}
    return json.dumps(about | {"thread": "post:9", "visibility": "public"} | given).encode()


def became(kind: str, external_id: str = "1", *, after: int = 0, **given: Any) -> bytes:
    at = (AT + timedelta(minutes=after)).isoformat()
    return json.dumps({"kind": kind, "external_id": external_id, "at": at} | given).encode()


async def test_an_edited_message_says_what_it_says_now(house: House, desk: Desk) -> None:
    await house.receive(desk, said())
    await house.receive(desk, became("edited", text="My money is back"))
    message = await house.row(messages, messages.c.type == "incoming")
    assert (message["text"], message["new_text"], message["edited_at"]) == (*["My money is back"] * 2, AT)
    assert (await house.conversations())[0]["preview"] == "My money is back"
    (told,) = await house.rows(events, events.c.type == "conversation.updated")
    assert told["data"]["changes"] == {"messages": {str(message["id"]): ["text", "edited_at"]}}
    assert (await house.row(audit, audit.c.action == "message.edited"))["data"] == {"message_id": str(message["id"])}


async def test_an_older_edit_changes_nothing(house: House, desk: Desk) -> None:
    await house.receive(desk, said())
    await house.receive(desk, became("edited", text="Third", after=2), became("edited", text="Second", after=1))
    await house.receive(desk, became("edited", text="First"))
    message = await house.row(messages, messages.c.type == "incoming")
    assert (message["text"], message["edited_at"]) == ("Third", AT + timedelta(minutes=2))


async def test_what_was_deleted_or_hidden_there_stays_for_agents(house: House, desk: Desk) -> None:
    await house.receive(desk, said())
    await house.receive(desk, became("hidden"), became("shown", after=1), became("hidden", after=2))
    await house.receive(desk, became("deleted", after=3), became("edited", after=4, text="Nothing"))
    message = await house.row(messages, messages.c.type == "incoming")
    assert (message["text"], message["hidden"]) == ("My money is gone", True)
    assert message["deleted_at"] == AT + timedelta(minutes=3)


@pytest.mark.parametrize("together", [True, False])
async def test_what_is_told_before_the_message_comes_waits_for_it(house: House, desk: Desk, together: bool) -> None:
    early = [became("deleted", after=2), became("edited", after=1, text="Edited")]
    if together:
        await house.receive(desk, *early, said())
    else:
        await house.receive(desk, *early)
        assert len(await house.rows(pending_changes)) == 2
        await house.receive(desk, said())
    message = await house.row(messages, messages.c.type == "incoming")
    assert (message["text"], message["deleted_at"]) == ("Edited", AT + timedelta(minutes=2))
    assert await house.rows(pending_changes) == []


async def test_what_crossed_with_its_message_is_found_later(house: House, desk: Desk) -> None:
    await house.receive(desk, became("deleted"))
    (waiting,) = await house.rows(pending_changes)
    await house.receive(desk, said())
    async with house.services.database.transaction() as session:
        await session.execute(pending_changes.insert().values(dict(waiting) | {"kind": "hidden"}))
    async with house.services.database.transaction() as session:
        assert await changes.sweep(session, now=AT) == 1
        assert await changes.sweep(session, now=AT) == 0
    assert (await house.row(messages, messages.c.type == "incoming"))["hidden"]


async def test_the_source_of_an_edited_message_is_what_was_said_first(house: House, desk: Desk) -> None:
    await house.receive(desk, became("edited", text="My money is back"), said())
    (message,) = await house.incoming()
    async with house.services.database.transaction() as session:
        found = await sources.raw(house.services, session, message, by=SYSTEM, now=AT)
    assert (found, message["text"]) == (said(), "My money is back")


async def test_a_search_looks_into_what_it_says_now(house: House, desk: Desk) -> None:
    searching = Searching(house.services, worker="house")
    found = []
    for told in (said(), became("edited", text="Thank you")):
        await house.receive(desk, told)
        while await searching.step():
            pass
        found.append((await house.row(search_rows, search_rows.c.message_id.is_not(None)))["tokens"])
    await searching.close()
    assert "money" in str(found[0])
    assert "money" not in str(found[1])
    assert "thank" in str(found[1])


async def test_a_search_takes_a_split_for_no_edit(house: House, desk: Desk) -> None:
    await house.receive(desk, said())
    place = (await house.conversations())[0]["id"]
    split = {"changes": {"split": [None, str(place)], "messages": [3, 2]}, "by": "agent"}
    async with house.services.database.reading() as session:
        event = {"type": "conversation.updated", "conversation_id": place, "data": split}
        assert (await search_indexing.FOLLOWER.read(session, [event])).entries == []


async def test_a_change_is_of_its_own_inbox_only(house: House, desk: Desk) -> None:
    other = Desk(await factories.inbox(house.services, channel="wall", name="them"), "them")
    await house.receive(desk, said())
    await house.receive(other, became("deleted"))
    assert (await house.row(messages, messages.c.type == "incoming"))["deleted_at"] is None


async def test_the_bytes_of_a_change_are_erased_with_the_contact(house: House, desk: Desk) -> None:
    await house.receive(desk, said())
    await house.receive(desk, became("edited", text="New"), became("nothing", handle="17", why="reaction"))
    await house.receive(desk, became("nothing", why="unknown_kind"))
    owner = f"contact:{(await house.row(contacts))['id']}"
    kept = await house.rows(raw_items, raw_items.c.state == "kept")
    assert [(one["key_owner"] == owner, one["error"]) for one in kept] == [
        *[(True, ""), (True, "reaction")],
        (False, "unknown_kind"),
    ]


async def test_who_was_known_by_a_handle_alone_is_named_later(house: House, desk: Desk) -> None:
    await house.receive(desk, said(sender={"handle": "17"}), said("2", sender={"handle": "18", "name": "Olaf"}))
    named = [json.dumps({"kind": "named", "handle": who, "text": "Mina\nMeier"}).encode() for who in ("17", "18", "19")]
    await house.receive(desk, *named)
    await house.receive(desk, json.dumps({"kind": "named", "handle": "17", "text": "Somebody else"}).encode())
    assert sorted(row["name"] for row in await house.rows(contacts)) == ["Mina Meier", "Olaf"]
    (told,) = await house.rows(events, events.c.type == "contact.updated")
    assert told["data"]["fields"] == ["name"]
