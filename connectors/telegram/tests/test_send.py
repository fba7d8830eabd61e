"""What leaves, how it is refused, and that a message of which nobody knows is never said to have failed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.telegram.config import TelegramConfig
from connectors.telegram.connector import TelegramConnector
from connectors.telegram.tests import fake
from connectors.telegram.tests.fake import FakeBots
from connectors.telegram.tests.spec import Spec
from helpdesk.channels import (
    AccessRevoked,
    Address,
    ChannelError,
    House,
    Misconfigured,
    OutboundAttachment,
    OutboundMessage,
    PermanentFailure,
    RateLimited,
    Receipt,
    RecipientRefused,
    TargetGone,
    TemporaryFailure,
    Uncertain,
    Unreachable,
)
from helpdesk.db import new_id
from helpdesk.net import AllowList, Guard

MINA = str(fake.MINA["id"])
GROUP = str(fake.GROUP["id"])
PNG = OutboundAttachment("receipt.png", "image/png", b"\x89PNG\r\n")
LOG = OutboundAttachment("日志.txt", "text/plain", b"\x00log\xff")


@pytest.fixture
def bots() -> Any:
    with FakeBots() as made:
        yield made
        assert made.findings == []


@pytest.fixture
async def connector(bots: FakeBots) -> AsyncIterator[TelegramConnector]:
    made = connect(bots.origin)
    yield made
    await made.close()


def connect(api_url: str, **config: Any) -> TelegramConnector:
    async def none(*_: Any) -> dict[str, str]:
        return {}

    settings = TelegramConfig(bot_token=fake.TOKEN, username=fake.USERNAME, api_url=api_url, **config)
    guard = Guard(AllowList.parse(["127.0.0.0/8"]))
    return TelegramConnector(settings, House(guard, new_id(), "", none, none, "https://desk.test"))  # type: ignore[arg-type]


def reply(text: str = "We look into it.", **fields: Any) -> OutboundMessage:
    message_id = new_id()
    whole = {"to": (Address(MINA, "Mina"),), "in_reply_to": f"{MINA}:41", "thread": f"chat:{MINA}"} | fields
    return OutboundMessage(
        message_id, str(message_id), text=text, created_at=datetime(2026, 11, 2, tzinfo=UTC), **whole
    )


async def send(connector: TelegramConnector, message: OutboundMessage) -> Receipt:
    finals = 0

    async def at_final() -> None:
        nonlocal finals
        finals += 1

    try:
        return await connector.send(connector.compose(message), at_final=at_final)
    finally:
        assert finals >= 1


def in_group(**fields: Any) -> OutboundMessage:
    return reply(visibility="public", in_reply_to=f"{GROUP}:7", thread=f"chat:{GROUP}:3", **fields)


async def test_an_answer_goes_where_he_wrote(bots: FakeBots, connector: TelegramConnector) -> None:
    receipt = await send(connector, reply("<b>5 & 6</b>"))
    assert receipt.external_id.partition(":")[0] == MINA
    await send(connector, in_group())
    await send(connector, reply(in_reply_to=f"{GROUP}:7", thread=f"chat:{GROUP}"))
    await send(connector, reply(in_reply_to="", thread=f"chat:{MINA}:9"))
    private, public, direct, topic = bots.sent
    assert topic.fields["message_thread_id"] == 9
    answered = {"allow_sending_without_reply": True}
    assert private.fields == {
        "chat_id": int(MINA),
        "text": "<b>5 & 6</b>",
        "reply_parameters": {"message_id": 41, **answered},
    }
    assert public.fields == {
        "chat_id": int(GROUP),
        "message_thread_id": 3,
        "text": "We look into it.",
        "reply_parameters": {"message_id": 7, **answered},
    }
    assert direct.fields == {"chat_id": int(MINA), "text": "We look into it."}


async def test_words_and_files_leave_in_one_call(bots: FakeBots, connector: TelegramConnector) -> None:
    await send(connector, reply("Look", attachments=(PNG,)))
    await send(connector, reply("Look", attachments=(LOG,)))
    await send(connector, reply("Look", attachments=(PNG, PNG)))
    await send(connector, reply("", attachments=(PNG, LOG), in_reply_to=""))
    assert [(one.method, len(one.files)) for one in bots.sent] == [
        ("sendPhoto", 1),
        ("sendDocument", 1),
        ("sendMediaGroup", 2),
        ("sendMediaGroup", 2),
    ]
    assert [one.text for one in bots.sent[:2]] == ["Look", "Look"]
    assert bots.sent[1].files == {"file0": LOG.body}
    assert [one.get("caption") for one in bots.sent[2].fields["media"]] == ["Look", None]
    assert {one["type"] for one in bots.sent[3].fields["media"]} == {"document"}


async def test_a_picture_that_is_refused_as_one_goes_as_file(bots: FakeBots, connector: TelegramConnector) -> None:
    bots.fail("sendPhoto", 400, {"description": "Bad Request: PHOTO_INVALID_DIMENSIONS"})
    await send(connector, reply("Look", attachments=(PNG,)))
    assert [(one.method, one.text) for one in bots.sent] == [("sendDocument", "Look")]


async def test_a_long_text_with_files_takes_two_calls(bots: FakeBots, connector: TelegramConnector) -> None:
    await send(connector, reply("x" * 1025, attachments=(LOG,)))
    assert [one.method for one in bots.sent] == ["sendMessage", "sendDocument"]
    bots.fail("sendDocument", 429, {"parameters": {"retry_after": 3}})
    with pytest.raises(Uncertain):
        await send(connector, reply("x" * 1025, attachments=(LOG,)))


async def test_a_group_that_has_moved_is_followed_once(bots: FakeBots, connector: TelegramConnector) -> None:
    moved = {"description": "Bad Request: group chat was upgraded", "parameters": {"migrate_to_chat_id": -1009}}
    bots.fail("sendMessage", 400, moved)
    receipt = await send(connector, in_group())
    assert receipt.external_id.startswith("-1009:")
    assert receipt.thread == "chat:-1009"
    assert bots.sent[0].fields == {"chat_id": -1009, "text": "We look into it."}
    bots.fail("sendMessage", 400, moved, times=2)
    with pytest.raises(TargetGone):
        await send(connector, in_group())


REFUSALS: list[tuple[int, bytes | dict[str, Any], type[ChannelError], float | None]] = [
    (429, {"description": "Too Many Requests", "parameters": {"retry_after": 7}}, RateLimited, 7.0),
    (429, {"description": "Too Many Requests", "parameters": {"retry_after": 0}}, RateLimited, None),
    (429, {"description": None}, RateLimited, None),
    (429, b"<html>slow down</html>", RateLimited, None),
    (401, {"description": "Unauthorized"}, AccessRevoked, None),
    (404, {"description": "Not Found"}, AccessRevoked, None),
    (404, b"<html>nginx</html>", Misconfigured, None),
    (403, {"description": "Forbidden: bot was blocked by the user"}, RecipientRefused, None),
    (400, {"description": "Bad Request: chat not found"}, TargetGone, None),
    (400, {"description": "Bad Request: message is too long"}, PermanentFailure, None),
    (400, {}, PermanentFailure, None),
    (409, {"description": "Conflict: terminated by other getUpdates request"}, Misconfigured, None),
    (500, {"description": "Internal Server Error"}, Uncertain, None),
    (502, b"<html>Bad Gateway</html>", Uncertain, None),
    (200, b"", Uncertain, None),
    (200, b"[]", Uncertain, None),
    (200, b'{"ok": tr', Uncertain, None),
    (302, b"", Uncertain, None),
]


@pytest.mark.parametrize(("status", "body", "expected", "seconds"), REFUSALS)
async def test_each_refusal_is_what_it_is(
    bots: FakeBots, connector: TelegramConnector, status: int, body: Any, expected: Any, seconds: float | None
) -> None:
    bots.fail("sendMessage", status, body)
    with pytest.raises(expected) as refused:
        await send(connector, reply())
    assert type(refused.value) is expected
    assert getattr(refused.value, "retry_after", None) == seconds
    assert fake.TOKEN not in repr(refused.value)
    if not bots.revoked and expected is Uncertain:
        # The same answer to a question loses nothing.
        bots.fail("getMe", status, body)
        with pytest.raises(TemporaryFailure):
            await connector.profile()


async def test_what_was_taken_without_an_answer_is_uncertain(bots: FakeBots, connector: TelegramConnector) -> None:
    bots.accept_then_cut("sendMessage")
    with pytest.raises(Uncertain):
        await send(connector, reply())
    bots.accept_then_say("sendMessage", b'{"ok": true, "result": {"mess')
    with pytest.raises(Uncertain):
        await send(connector, reply())
    assert len(bots.sent) == 2
    # An answer with more in it than anybody knows is an answer.
    bots.accept_then_say("sendMessage", b'{"ok": true, "result": {"message_id": 5, "chat": 1, "from": []}, "new": 1}')
    assert (await send(connector, reply())).external_id == f"{MINA}:5"


async def test_what_never_left_is_tried_again(bots: FakeBots) -> None:
    connector = connect("http://127.0.0.1:9")
    with pytest.raises(Unreachable) as refused:
        await send(connector, reply())
    await connector.close()
    assert fake.TOKEN not in str(refused.value)


async def test_a_revoked_token_is_told(bots: FakeBots, connector: TelegramConnector) -> None:
    bots.revoked = True
    with pytest.raises(AccessRevoked):
        await send(connector, reply())
    assert [one.ok for one in await connector.check()] == [False]


def test_what_could_never_be_taken_is_not_frozen() -> None:
    connector = connect("")
    huge = OutboundAttachment("x", "x", b"0" * (50 * 1024 * 1024 + 1))
    for message in (
        reply("x" * 4097),
        reply("😀" * 2049),
        reply(" "),
        reply(to=(), in_reply_to=""),
        reply(attachments=(PNG,) * 11),
        reply(attachments=(huge,)),
        reply(visibility="public"),
    ):
        with pytest.raises(PermanentFailure):
            connector.compose(message)


def test_a_frozen_answer_is_the_same_bytes_each_time() -> None:
    connector, message = connect(""), reply(attachments=(LOG,))
    composed = connector.compose(message)
    assert composed == connector.compose(message)
    assert json.loads(composed.body)["token"] == message.client_token
    assert (composed.external_id, composed.recipients) == ("", (MINA,))


async def test_files_are_fetched_up_to_a_size(bots: FakeBots, connector: TelegramConnector) -> None:
    bots.files["photos/1.jpg"] = b"x" * 500
    assert await connector.fetch("photos/1.jpg", max_bytes=500) == b"x" * 500
    with pytest.raises(PermanentFailure):
        await connector.fetch("photos/1.jpg", max_bytes=499)
    with pytest.raises(PermanentFailure):
        await connector.fetch("photos/2.jpg", max_bytes=500)
    bots.fail("getFile", 400, {"description": "Bad Request: file is too big"})
    with pytest.raises(PermanentFailure):
        await connector.fetch("photos/1.jpg", max_bytes=500)


async def test_the_bot_says_who_it_is_and_what_is_wrong(bots: FakeBots, connector: TelegramConnector) -> None:
    profile = await connector.profile()
    assert (profile.id, profile.handle) == (str(fake.BOT_ID), fake.USERNAME)
    assert [(one.name, one.ok) for one in await connector.check()] == [
        ("token", True),
        ("username", True),
        ("poll", True),
    ]


def test_calls_are_held_against_their_description() -> None:
    spec = Spec.found()
    if spec is None:
        pytest.skip("the Bot API's description is not beside this checkout")
    assert spec.check_call("sendMessage", {"chat_id": True, "txt": "x"}, {}) != []
    assert spec.check_call("sendTelegram", {}, {}) != []
    assert spec.check_call("sendPhoto", {"chat_id": 1, "photo": "attach://a"}, {}) == [
        "sendPhoto: attach://a was not sent"
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"bot_token": "123"},
        {"username": "no spaces"},
        {"webhook_secret": "short"},
        {"receive": "webhook"},
        {"api_url": "http://bots.example.com"},
        {"api_url": "ftp://x"},
        {"surprise": 1},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TelegramConfig(**{"bot_token": fake.TOKEN, "username": "@bot", **wrong})


@pytest.mark.parametrize(
    ("receive", "secret", "base_url", "expected"),
    [
        ("auto", "s" * 16, "https://desk.test", True),
        ("auto", "s" * 16, "http://desk.test", False),
        ("auto", "", "https://desk.test", False),
        ("poll", "s" * 16, "https://desk.test", False),
        ("webhook", "s" * 16, "http://desk.test", True),
    ],
)
def test_the_way_in_is_chosen(receive: Any, secret: str, base_url: str, expected: bool) -> None:
    config = TelegramConfig(bot_token=fake.TOKEN, username="bot", webhook_secret=secret, receive=receive)
    assert config.by_webhook(base_url) is expected
