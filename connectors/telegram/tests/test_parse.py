"""What an update says, and whether it was said to us."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.telegram import updates
from connectors.telegram.parse import parse
from connectors.telegram.tests import fake
from connectors.telegram.text import cut, measure
from helpdesk.channels import ChangeKind, Inbound, InboundChange, InboundMessage, Profile, Unreadable

NOW = datetime(2026, 11, 2, tzinfo=UTC)
BOTS = fake.FakeBots()
"""Never started: it only makes updates, which it holds against their description."""


def read(update: Any) -> Inbound:
    raw = updates.raw(updates.encoded(update), bot_id=str(fake.BOT_ID), username=fake.USERNAME, now=NOW)
    found = parse(raw, {"username": fake.USERNAME})
    assert BOTS.findings == []
    return found


def said(text: str = "", **fields: Any) -> InboundMessage:
    found = read(BOTS.say(text, **fields))
    assert isinstance(found, InboundMessage)
    return found


def why(update: Any) -> str:
    found = read(update)
    assert isinstance(found, InboundChange)
    assert found.kind is ChangeKind.NOTHING
    return found.why


def entity(kind: str, text: str, part: str, **fields: Any) -> dict[str, Any]:
    before = text[: text.index(part)].encode("utf-16-le")
    return {"type": kind, "offset": len(before) // 2, "length": len(part.encode("utf-16-le")) // 2, **fields}


def test_a_private_chat_is_between_him_and_us() -> None:
    update = BOTS.say("Where is my withdrawal?")
    found = read(update)
    assert isinstance(found, InboundMessage)
    mina = str(fake.MINA["id"])
    assert (found.sender.handle, found.sender.name) == (mina, "Mina Ito")
    assert (found.visibility, found.thread, found.text) == ("direct", f"chat:{mina}", "Where is my withdrawal?")
    assert found.external_id == f"{mina}:{update['message']['message_id']}"
    assert found.profile == Profile(mina, "mina", "Mina Ito", url="https://t.me/mina")
    assert found.external_url == ""


def test_who_has_no_name_goes_by_his_user_name() -> None:
    assert said("Hi", **{"from": fake.MINA | {"first_name": "", "last_name": ""}}).sender.name == "@mina"


@pytest.mark.parametrize(
    ("text", "part", "kind", "fields"),
    [
        ("@Wallet_Desk_Bot help", "@Wallet_Desk_Bot", "mention", {}),
        ("👩‍👩‍👧 look, @wallet_desk_bot", "@wallet_desk_bot", "mention", {}),
        ("/status@wallet_desk_bot", "/status@wallet_desk_bot", "bot_command", {}),
        ("Wallet desk, hello", "Wallet desk", "text_mention", {"user": fake.BOT}),
    ],
)
def test_in_a_group_it_is_for_us_when_it_names_us(text: str, part: str, kind: str, fields: Any) -> None:
    found = said(text, chat=fake.GROUP, entities=[entity(kind, text, part, **fields)])
    assert (found.visibility, found.thread) == ("public", f"chat:{fake.GROUP['id']}")
    assert found.external_url == f"https://t.me/wallets/{found.external_id.rpartition(':')[2]}"


def test_in_a_group_an_answer_to_us_is_for_us() -> None:
    ours = {"message_id": 7, "date": fake.DATE, "from": fake.BOT, "chat": fake.GROUP, "text": "Hello"}
    found = said("Still waiting", chat=fake.GROUP, reply_to_message=ours)
    assert found.in_reply_to == f"{fake.GROUP['id']}:7"


def test_a_topic_is_a_thread_of_its_own() -> None:
    opened = {"name": "Help", "icon_color": 7322096}
    first = {"message_id": 3, "date": fake.DATE, "chat": fake.GROUP, "forum_topic_created": opened}
    text = "@wallet_desk_bot hi"
    found = said(
        text,
        chat=fake.GROUP,
        is_topic_message=True,
        message_thread_id=3,
        reply_to_message=first,
        entities=[entity("mention", text, "@wallet_desk_bot")],
    )
    assert (found.thread, found.in_reply_to) == (f"chat:{fake.GROUP['id']}:3", "")


@pytest.mark.parametrize(
    ("word", "text", "fields"),
    [
        ("not_for_us", "Good morning", {}),
        ("not_for_us", "ask @wallet_desk_bot_2", {"entities": [{"type": "mention", "offset": 4, "length": 18}]}),
        ("not_for_us", "/help", {"entities": [{"type": "bot_command", "offset": 0, "length": 5}]}),
        ("not_for_us", "short", {"entities": [{"type": "mention", "offset": 90, "length": 5}]}),
        ("not_a_person", "Hi", {"sender_chat": fake.GROUP}),
        ("bot", "Hi", {"from": fake.BOT}),
        ("service", "", {"new_chat_title": "Wallets 2"}),
        ("service", "", {"migrate_to_chat_id": -100}),
    ],
)
def test_what_others_say_in_a_group_is_not_ours(word: str, text: str, fields: Any) -> None:
    assert why(BOTS.say(text, chat=fake.GROUP, **fields)) == word


def test_kinds_that_we_do_not_know_are_kept_and_shown_nowhere() -> None:
    member = {"status": "kicked", "user": fake.BOT, "until_date": 0}
    was = {"status": "member", "user": fake.BOT}
    changed = {"chat": fake.private(fake.MINA), "from": fake.MINA, "date": fake.DATE}
    update = BOTS.tell(my_chat_member=changed | {"old_chat_member": was, "new_chat_member": member})
    assert why(update) == "membership"
    assert why({"update_id": 1, "telepathy": {"from": fake.MINA}}) == "unknown_kind"
    assert why(BOTS.say("/start")) == "started"


def test_an_edit_names_what_it_changes() -> None:
    message = {"message_id": 41, "date": fake.DATE, "chat": fake.private(fake.MINA), "from": fake.MINA}
    found = read(BOTS.tell(edited_message=message | {"text": "Paid twice", "edit_date": fake.DATE + 60}))
    mina = str(fake.MINA["id"])
    at = datetime.fromtimestamp(fake.DATE + 60, UTC)
    assert found == InboundChange(ChangeKind.EDITED, f"{mina}:41", f"chat:{mina}", mina, "Paid twice", at)
    in_group = message | {"chat": fake.GROUP, "text": "Good evening", "edit_date": fake.DATE + 60}
    assert why(BOTS.tell(edited_message=in_group)) == "not_for_us"
    place = {"latitude": 1.5, "longitude": 2.5, "live_period": 60}
    assert why(BOTS.tell(edited_message=message | {"location": place, "edit_date": fake.DATE + 61})) == "location"


def test_files_are_named_to_be_fetched() -> None:
    sizes = [
        {"file_id": name, "file_unique_id": name, "width": side, "height": side}
        for name, side in (("small", 90), ("large", 800), ("medium", 320))
    ]
    found = said("", photo=sizes, caption="My receipt", media_group_id="9")
    (photo,) = found.attachments
    assert (found.text, photo.source, photo.filename, photo.body) == ("My receipt", "large", "photo.jpg", b"")
    assert found.notes == ("album",)
    document = {"file_id": "d", "file_unique_id": "d", "file_name": "log.txt", "mime_type": "text/plain"}
    found = said("", document=document | {"file_size": 30 << 20})
    assert [(file.filename, file.content_type, file.source) for file in found.attachments] == [
        ("log.txt", "text/plain", "d")
    ]
    assert found.notes == ("file_too_large",)
    moving = {"file_id": "a", "file_unique_id": "a", "width": 1, "height": 1, "duration": 1}
    found = said("", animation=moving, document=document)
    assert [file.source for file in found.attachments] == ["a"]


def test_what_is_neither_text_nor_file_is_told_in_a_line() -> None:
    location = {"latitude": 35.5, "longitude": 139.5}
    venue = {"location": location, "title": "Bank", "address": "Ginza 1"}
    assert said(venue=venue, location=location).text == "[venue: Bank, Ginza 1]\n[location: 35.5, 139.5]"
    assert said(story={"chat": fake.GROUP, "id": 1}).text == "[story]"


def test_where_words_lead_is_shown() -> None:
    text = "See this page"
    found = said(text, entities=[entity("text_link", text, "this page", url="https://scam.test/x")])
    assert found.text == "See this page\nhttps://scam.test/x"


def test_ids_come_as_numbers_and_as_strings() -> None:
    update = BOTS.say("Hi")
    message = update["message"] | {"message_id": "41", "from": fake.MINA | {"id": str(2**53 + 1)}}
    found = read({"update_id": 1, "message": message})
    assert isinstance(found, InboundMessage)
    assert (found.sender.handle, found.external_id.rpartition(":")[2]) == (str(2**53 + 1), "41")


@pytest.mark.parametrize("value", [1.5, True, None, "x", {}, [1]])
@pytest.mark.parametrize("place", ["message_id", "from", "chat"])
def test_an_id_that_is_none_is_refused(place: str, value: Any) -> None:
    message = BOTS.say("Hi")["message"]
    message |= {place: message[place] | {"id": value}} if place != "message_id" else {place: value}
    with pytest.raises(Unreadable):
        read({"update_id": 1, "message": message})


def test_no_odd_message_does_worse_than_being_refused() -> None:
    """Every field of every kind replaced by something that it is not."""
    whole = BOTS.say("@wallet_desk_bot", chat=fake.GROUP, entities=[{"type": "mention", "offset": 0, "length": 16}])
    odd: list[Any] = [None, 0, -1, 1e300, "x", [], {}, [None], {"id": {}}, True]
    for name in [*whole["message"], "photo", "document", "caption_entities", "reply_to_message", "quote", "venue"]:
        for value in odd:
            for kind in ("message", "edited_message"):
                body = json.dumps({"update_id": 1, kind: whole["message"] | {name: value}}).encode()
                raw = updates.raw(body, bot_id="1", username="wallet_desk_bot", now=NOW)
                try:
                    assert isinstance(parse(raw, {}), InboundMessage | InboundChange)
                except Unreadable:
                    pass


def test_a_position_is_the_same_whichever_way_it_came() -> None:
    update = BOTS.say("Hi")
    polled = updates.raw(updates.encoded(update), bot_id="7", username="", now=NOW)
    pushed = updates.raw(json.dumps(update, indent=1).encode(), bot_id="7", username="", now=NOW)
    assert polled.position == pushed.position == f"u;7;{update['update_id']}"
    assert polled.received_at == datetime.fromtimestamp(fake.DATE, UTC)
    odd = [updates.raw(body, bot_id="7", username="", now=NOW) for body in (b"{", b"[" * 99_999, b'{"update_id":true}')]
    assert len({raw.position for raw in odd}) == 3
    assert all(raw.position.startswith("e;") and raw.received_at == NOW for raw in odd)


def test_lengths_are_counted_as_the_app_counts_them() -> None:
    assert [measure(text, "direct", {}).used for text in ("", "abc", "😀", "漢字")] == [0, 3, 2, 2]
    assert cut("😀 @mina!", 3, 5) == "@mina"
