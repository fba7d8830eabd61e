"""Answering, noting, and what becomes of it."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, update

from helpdesk import clock
from helpdesk.channels import Capabilities
from helpdesk.domain import tokens
from helpdesk.domain.html import PAGE_CSP
from helpdesk.models.agents import agents
from helpdesk.models.conversations import conversations
from helpdesk.models.events import audit, events, idempotency_keys
from helpdesk.models.messages import attachments, deliveries, messages
from helpdesk.services.house import Services
from tests import factories

Client = httpx.AsyncClient


def can(services: Services, **changed: Any) -> None:
    """Let the e-mail channel be another one: the core asks for capabilities and never for names."""
    channels: Any = services.channels
    email = channels["email"]
    channels["email"] = replace(email, capabilities=replace(email.capabilities, **changed))


async def write(
    client: Client, someone: factories.Someone, conversation: UUID, body: Mapping[str, Any], key: str = ""
) -> httpx.Response:
    headers = {**someone.headers, "Idempotency-Key": key or uuid4().hex}
    return await client.post(f"/api/v1/conversations/{conversation}/messages", headers=headers, json=dict(body))


async def row(services: Services, table: Any, *where: Any) -> Any:
    async with services.database.reading() as session:
        return (await session.execute(select(table).where(*where))).mappings().one()


async def test_a_reply_is_queued_for_the_contact_with_a_token_of_its_own(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services, name="Anna"), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk, handle="mina@customer.test")
    text = "Dear Mina,\r\n\ttwo  spaces — and \u202eodd\u202c signs stay. "
    answer = await write(client, anna, identifier, {"text": text, "seen_seq": 1})
    assert answer.status_code == 201
    shown = answer.json()
    assert (shown["seq"], shown["type"], shown["text"]) == (2, "outgoing", text)
    assert (await client.get(f"/api/v1/messages/{shown['id']}", headers=anna.headers)).json() == shown
    assert shown["author"] == {"kind": "agent", "id": str(anna.id), "name": "Anna"}
    assert shown["to"] == [{"handle": "mina@customer.test", "name": "Mina"}]
    assert shown["delivery"]["status"] == "queued"
    assert shown["in_reply_to"].endswith("@customer.test>")
    sent = await row(services, deliveries, deliveries.c.message_id == UUID(shown["id"]))
    token = tokens.read(sent["token"])
    assert token is not None
    key = services.keyring.subkey("token", token.key_id)
    assert tokens.verify(key, token, recipient="mina@customer.test")
    after = await row(services, conversations, conversations.c.id == identifier)
    assert (after["seq"], after["last_agent_seq"], after["message_count"], after["version"]) == (2, 2, 2, 1)
    assert after["last_message_direction"] == "outgoing"
    assert after["waiting_since"] is not None
    assert after["next_due_at"] is not None
    event = await row(services, events, events.c.type == "message.created")
    assert (event["seq"], event["data"]["message_id"]) == (2, shown["id"])
    listed = (await client.get("/api/v1/conversations", headers=anna.headers)).json()["items"][0]
    assert listed["unread"] is False


async def test_a_reply_may_set_the_status_and_otherwise_leaves_it(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk, status="pending")
    await write(client, anna, identifier, {"text": "First"})
    assert (await row(services, conversations, conversations.c.id == identifier))["status"] == "pending"
    await write(client, anna, identifier, {"text": "Done", "status": "resolved"})
    after = await row(services, conversations, conversations.c.id == identifier)
    assert (after["status"], after["seq"], after["version"]) == ("resolved", 4, 2)


async def test_a_note_is_sent_to_nobody(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    answer = await write(client, anna, identifier, {"text": "He called.", "private": True})
    assert answer.status_code == 201
    assert answer.json()["delivery"] is None
    async with services.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(deliveries)) == 0
    after = await row(services, conversations, conversations.c.id == identifier)
    assert (after["last_agent_seq"], after["preview"]) == (2, "Where is my withdrawal?")
    refused = await write(client, anna, identifier, {"text": "x", "private": True, "cc": ["a@b.test"]})
    assert refused.status_code == 422


async def test_the_same_key_and_body_write_one_message_whatever_happened_since(
    client: Client, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    body = {"text": "Hello", "seen_seq": 1}
    first = await write(client, anna, identifier, body, "k1")
    await factories.incoming(services, identifier)
    again = await write(client, anna, identifier, {"seen_seq": 1, "text": "Hello", "private": False}, "k1")
    assert (again.status_code, again.json()) == (201, first.json())
    other = await write(client, anna, identifier, {"text": "Other"}, "k1")
    assert (other.status_code, other.json()["type"]) == (422, "urn:helpdesk:problem:idempotency_key_reused")
    bert = await factories.agent(services)
    assert (await write(client, bert, identifier, {"text": "Mine"}, "k1")).status_code == 201
    second = await factories.conversation(services, inbox_id=desk)
    assert (await write(client, anna, second, {"text": "Elsewhere"}, "k1")).status_code == 201


async def test_a_key_is_forgotten_after_a_day(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    first = await write(client, anna, identifier, {"text": "Hello"}, "k1")
    async with services.database.transaction() as session:
        await session.execute(update(idempotency_keys).values(created_at=clock.now() - timedelta(hours=24, minutes=1)))
    again = await write(client, anna, identifier, {"text": "Hello"}, "k1")
    assert again.json()["id"] != first.json()["id"]


async def test_a_failed_request_keeps_nothing_under_its_key(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    assert (await write(client, anna, identifier, {"text": " "}, "k1")).status_code == 422
    assert (await write(client, anna, identifier, {"text": "Now"}, "k1")).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, None])
async def test_a_message_needs_a_key(key: str | None, client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    headers = anna.headers if key is None else {**anna.headers, "Idempotency-Key": key}
    answer = await client.post(f"/api/v1/conversations/{identifier}/messages", headers=headers, json={"text": "x"})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:helpdesk:problem:idempotency_key_required")


async def test_two_identical_requests_at_once_create_one_message(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    answers = await asyncio.gather(*(write(client, anna, identifier, {"text": "Once"}, "k1") for _ in range(6)))
    created = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    running = [answer.json()["type"] for answer in answers if answer.status_code != 201]
    assert len(set(created)) == 1
    assert set(running) <= {"urn:helpdesk:problem:idempotency_running"}
    async with services.database.reading() as session:
        assert await session.scalar(select(func.count()).where(messages.c.type == "outgoing")) == 1
    assert (await write(client, anna, identifier, {"text": "Once"}, "k1")).json()["id"] == created[0]


async def test_a_request_that_is_still_running_is_told_apart(client: Client, services: Services) -> None:
    if not services.database.is_postgresql:
        pytest.skip("on SQLite a writer waits for the other, and finds its answer")
    from helpdesk.db import lock_name

    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    name = f"idempotency:agent:{anna.id}:POST /conversations/{identifier}/messages:k1"
    async with services.database.transaction() as session:
        await lock_name(session, name)
        answer = await write(client, anna, identifier, {"text": "Once"}, "k1")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:helpdesk:problem:idempotency_running")


async def test_two_agents_who_answer_at_once_get_two_places(client: Client, services: Services) -> None:
    anna, bert, desk = (
        await factories.agent(services),
        await factories.agent(services),
        await factories.inbox(services),
    )
    identifier = await factories.conversation(services, inbox_id=desk)
    answers = await asyncio.gather(
        *(write(client, one, identifier, {"text": "Hello"}) for one in (anna, bert, anna, bert))
    )
    assert sorted(answer.json()["seq"] for answer in answers) == [2, 3, 4, 5]


async def test_a_reply_to_less_than_everything_is_refused_with_what_came_in(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    await factories.incoming(services, identifier, text="Never mind, found it!")
    answer = await write(client, anna, identifier, {"text": "Where?", "seen_seq": 1})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:helpdesk:problem:conversation_moved")
    assert [message["text"] for message in answer.json()["messages"]] == ["Never mind, found it!"]
    ben = await factories.agent(services)
    await write(client, ben, identifier, {"text": "A note", "private": True})
    await write(client, ben, identifier, {"text": "Glad to hear."})
    again = (await write(client, anna, identifier, {"text": "Where?", "seen_seq": 1})).json()["messages"]
    assert [(one["seq"], one["private"], one["text"]) for one in again] == [
        (2, False, "Never mind, found it!"),
        (3, True, "A note"),
        (4, False, "Glad to hear."),
    ], "with what a colleague has written meanwhile"
    answered = await write(client, anna, identifier, {"text": "Good.", "seen_seq": 2})
    assert answered.status_code == 409, "a colleague has answered"
    assert [one["text"] for one in answered.json()["messages"]] == ["A note", "Glad to hear."]
    await write(client, ben, identifier, {"text": "Another note", "private": True})
    assert (await write(client, anna, identifier, {"text": "Good.", "seen_seq": 4})).status_code == 201
    own = await write(client, anna, identifier, {"text": "And bye.", "seen_seq": 5})
    assert own.status_code == 201, "neither a note nor what one wrote oneself is news"


@pytest.mark.parametrize(
    ("capability", "body", "field"),
    [
        ({"html": False}, {"text": "x", "html": "<p>x</p>"}, "html"),
        ({"cc": False}, {"text": "x", "cc": ["a@b.test"]}, "cc"),
        ({"cc": False}, {"text": "x", "to": ["a@b.test", "c@d.test"]}, "to"),
        ({"cc": False}, {"text": "x", "to": ["stranger@b.test"]}, "to"),
        ({"attachments": False}, {"text": "x", "attachment_ids": [str(uuid4())]}, "attachment_ids"),
        ({"max_length": 3}, {"text": "four"}, "text"),
        ({}, {"text": "x", "visibility": "public"}, "visibility"),
        ({"deferrable": False}, {"text": "x", "undo_seconds": 5}, "undo_seconds"),
        ({}, {"text": "", "html": " "}, "text"),
        ({}, {"text": "nul \u0000"}, "text"),
        ({}, {"text": "x", "author_kind": "system"}, "author_kind"),
        ({}, {"text": "x", "to": ["a@b.test\r\nBcc: c@d.test"]}, "to.0.handle"),
    ],
)
async def test_what_a_channel_cannot_do_is_422_and_named(
    capability: dict[str, Any], body: dict[str, Any], field: str, client: Client, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    assert isinstance(services.channels["email"].capabilities, Capabilities)
    before = services.channels["email"]
    can(services, **capability)
    try:
        answer = await write(client, anna, identifier, body)
    finally:
        channels: Any = services.channels
        channels["email"] = before
    assert answer.status_code == 422, answer.text
    assert field in [error["field"] for error in answer.json()["errors"]]


async def test_html_is_sanitised_and_gives_a_missing_text(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    html = "<p>Hello <b>Mina</b></p><script>alert(1)</script><p onclick=x>Bye</p>"
    shown = (await write(client, anna, identifier, {"html": html})).json()
    assert shown["html"] == "<p>Hello <b>Mina</b></p><p>Bye</p>"
    assert shown["text"] == "Hello Mina\nBye"


async def test_who_is_named_in_to_or_cc_becomes_a_participant(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk, handle="mina@customer.test")
    body = {"text": "x", "cc": [{"handle": "Boss@Customer.test", "name": "Boss"}, "mina@customer.test"]}
    shown = (await write(client, anna, identifier, body)).json()
    assert shown["cc"] == [{"handle": "boss@customer.test", "name": "Boss"}]
    detail = (await client.get(f"/api/v1/conversations/{identifier}", headers=anna.headers)).json()
    assert {p["handle"] for p in detail["participants"]} == {"mina@customer.test", "boss@customer.test"}


async def test_answering_needs_access_to_the_inbox(client: Client, services: Services) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    his = await factories.inbox(services, members=[bert.id])
    assigned = await factories.conversation(services, inbox_id=his, assignee_id=anna.id)
    assert (await write(client, anna, assigned, {"text": "x"})).status_code == 403
    assert (await write(client, anna, assigned, {"text": "x", "inbox_id": str(his)})).status_code == 404
    assert (await write(client, anna, assigned, {"text": "x", "private": True})).status_code == 201
    open_desk = await factories.inbox(services)
    assert (await write(client, anna, assigned, {"text": "x", "inbox_id": str(open_desk)})).status_code == 201


async def test_a_closed_conversation_takes_notes_only(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk, status="closed")
    answer = await write(client, anna, identifier, {"text": "x"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:helpdesk:problem:conversation_closed")
    assert (await write(client, anna, identifier, {"text": "x", "private": True})).status_code == 201


async def test_a_reply_window_closes(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    now = clock.now()
    identifier = await factories.conversation(services, inbox_id=desk, now=now - timedelta(hours=25))
    before = services.channels["email"]
    can(services, reply_window=timedelta(hours=24))
    try:
        answer = await write(client, anna, identifier, {"text": "x"})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:helpdesk:problem:reply_window_closed")
        await factories.incoming(services, identifier)
        assert (await write(client, anna, identifier, {"text": "x"})).status_code == 201
        shown = (await client.get(f"/api/v1/conversations/{identifier}", headers=anna.headers)).json()
        assert shown["reply_channels"][0]["reply_until"] > now.isoformat()
    finally:
        channels: Any = services.channels
        channels["email"] = before


async def test_a_deferred_reply_is_taken_back_in_time_and_not_later(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    deferred = (await write(client, anna, identifier, {"text": "x", "undo_seconds": 60})).json()
    gone = await client.post(f"/api/v1/messages/{deferred['id']}/cancel", headers=anna.headers)
    assert gone.json()["delivery"]["status"] == "cancelled"
    at_once = (await write(client, anna, identifier, {"text": "x"})).json()
    late = await client.post(f"/api/v1/messages/{at_once['id']}/cancel", headers=anna.headers)
    assert (late.status_code, late.json()["type"]) == (409, "urn:helpdesk:problem:delivery_state")


async def test_what_is_taken_back_is_a_draft_again_and_the_status_as_it_was(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    boss = await factories.agent(services, role="supervisor")
    identifier = await factories.conversation(services, inbox_id=desk)
    url = f"/api/v1/conversations/{identifier}"
    sleeps = {"status": "snoozed", "snoozed_until": (clock.now() + timedelta(hours=3)).isoformat()}
    headers = {**anna.headers, "If-Match": '"1"'}
    before = (await client.patch(url, headers=headers, json=sleeps)).json()
    file = {"file": ("proof.txt", b"x", "text/plain")}
    upload = (await client.post("/api/v1/attachments", headers=anna.headers, files=file)).json()
    body = {"text": "Look.", "html": "<p>Look.</p>", "status": "resolved", "undo_seconds": 60}
    body |= {"attachment_ids": [upload["id"]], "cc": [{"handle": "two@customer.test", "name": "Two"}]}

    async def taken_back(by: factories.Someone, *, meanwhile: Any = None) -> dict[str, Any]:
        sent = await write(client, anna, identifier, body)
        assert sent.status_code == 201, sent.text
        for method, path, head, given in meanwhile or ():
            assert (await client.request(method, url + path, headers=anna.headers | head, json=given)).is_success
        gone = await client.post(f"/api/v1/messages/{sent.json()['id']}/cancel", headers=by.headers)
        assert gone.json()["delivery"]["status"] == "cancelled"
        return dict(gone.json())

    assert (await taken_back(boss))["attachments"] == []
    draft = (await client.get(f"{url}/draft", headers=anna.headers)).json()
    content = dict(draft["content"])
    assert (content.pop("inbox_id"), content.pop("visibility")) == (str(desk), "direct")
    assert content == {name: value for name, value in body.items() if name != "undo_seconds"}
    assert draft["attachments"] == [upload]
    listed = (await client.get("/api/v1/drafts", headers=anna.headers)).json()["items"]
    assert listed[0]["attachments"] == [upload]
    assert (await client.get(f"{url}/draft", headers=boss.headers)).status_code == 404
    now = (await client.get(url, headers=anna.headers)).json()
    assert (now["status"], now["snoozed_until"]) == ("snoozed", before["snoozed_until"])
    body = {**draft["content"], "undo_seconds": 60}
    newer = ("PUT", "/draft", {"If-None-Match": "*"}, {"text": "Another."})
    again = ("PATCH", "", {"If-Match": f'"{now["version"] + 1}"'}, {"status": "pending"})
    kept = await taken_back(anna, meanwhile=[newer, again])
    assert kept["attachments"] == [upload], "a newer draft stays as it is, and so does the message"
    assert (await client.get(f"{url}/draft", headers=anna.headers)).json()["content"] == {"text": "Another."}
    assert (await client.get(url, headers=anna.headers)).json()["status"] == "pending"


async def test_only_a_failed_message_is_sent_again(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    message = (await write(client, anna, identifier, {"text": "x"})).json()
    url = f"/api/v1/messages/{message['id']}/retry"
    assert (await client.post(url, headers=anna.headers)).status_code == 409
    async with services.database.transaction() as session:
        failed = {"status": "failed", "error": "refused", "attempts": 4}
        await session.execute(update(deliveries).values(failed))
        await session.execute(
            update(messages).where(messages.c.id == UUID(message["id"])).values(delivery_status="failed")
        )
    again = (await client.post(url, headers=anna.headers)).json()
    assert (again["delivery"]["status"], again["delivery"]["attempts"], again["delivery"]["error"]) == ("queued", 0, "")


async def test_messages_are_listed_by_seq_in_either_order(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk, messages=5)
    url = f"/api/v1/conversations/{identifier}/messages"

    async def seqs(query: str) -> tuple[list[int], str | None]:
        page = (await client.get(f"{url}?{query}", headers=anna.headers)).json()
        return [item["seq"] for item in page["items"]], page["next_cursor"]

    assert (await seqs(""))[0] == [1, 2, 3, 4, 5]
    assert (await seqs("order=desc&after_seq=1&before_seq=5"))[0] == [4, 3, 2]
    first, cursor = await seqs("order=desc&limit=2")
    second, cursor_two = await seqs(f"order=desc&limit=2&cursor={cursor}")
    third, end = await seqs(f"order=desc&limit=2&cursor={cursor_two}")
    assert (first, second, third, end) == ([5, 4], [3, 2], [1], None)
    forward, onward = await seqs("limit=3")
    assert (forward, (await seqs(f"limit=3&cursor={onward}"))[0]) == ([1, 2, 3], [4, 5])


async def test_the_source_is_given_as_a_download_and_that_is_recorded(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    source = b"Subject: <script>\r\n\r\n\xff\x00"
    message_id = await factories.incoming(services, identifier, raw=source)
    answer = await client.get(f"/api/v1/messages/{message_id}/raw", headers=anna.headers)
    assert answer.content == source
    assert answer.headers["content-type"] == "message/rfc822"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    entry = await row(services, audit, audit.c.action == "message.source_read")
    assert (entry["subject_id"], entry["actor_id"]) == (message_id, anna.id)
    other = await factories.incoming(services, identifier)
    assert (await client.get(f"/api/v1/messages/{other}/raw", headers=anna.headers)).status_code == 404


async def test_the_page_of_a_message_has_its_own_policy_and_its_pictures_in_it(
    client: Client, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    picture = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    files = {"file": ("a.png", picture, "image/png")}
    upload = (await client.post("/api/v1/attachments", headers=anna.headers, files=files)).json()
    message_id = await factories.incoming(
        services, identifier, html='<p>See <img src="cid:one@x" alt="it"></p>', attachment_count=1
    )
    async with services.database.transaction() as session:
        mine = update(attachments).where(attachments.c.id == UUID(upload["id"]))
        await session.execute(mine.values(message_id=message_id, content_id="one@x", inline=True))
    answer = await client.get(f"/api/v1/messages/{message_id}/html", headers=anna.headers)
    assert answer.headers["content-security-policy"] == PAGE_CSP
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f"data:image/png;base64,{base64.b64encode(picture).decode()}" in answer.text
    plain = await factories.incoming(services, identifier, text="1 < 2")
    assert "1 &lt; 2" in (await client.get(f"/api/v1/messages/{plain}/html", headers=anna.headers)).text


async def test_what_a_mail_quotes_is_folded_in_the_readers_language(client: Client, services: Services) -> None:
    ann = await factories.agent(services, password=True)
    identifier = await factories.conversation(services, inbox_id=await factories.inbox(services))
    parts = {"new_text": "Thanks.", "quoted": "> Try again."}
    html = "<p>Thanks.</p><blockquote><p>Try again.</p></blockquote>"
    mail = await factories.incoming(services, identifier, html=html)
    plain = await factories.incoming(services, identifier, text="Thanks.\n\n> Try\n> again.")
    async with services.database.transaction() as session:
        await session.execute(update(messages).values(**parts))

    async def read(message: UUID, language: str, headers: Mapping[str, str] | None = None) -> str:
        given = {**(headers or {}), "Accept-Language": language}
        return (await client.get(f"/api/v1/messages/{message}/html", headers=given)).text

    for message in (mail, plain):
        text = await read(message, "zh-Hant, en;q=0.5", ann.headers)
        shown, _, rest = text.partition("<details>")
        assert "Thanks." in shown
        assert re.search(r"<summary [^>]*>引用內容</summary>.*Try.*again", rest)
    assert ">Quoted text</summary>" in await read(mail, "", ann.headers)
    await client.post("/api/v1/auth/login", json={"email": ann.email, "password": factories.PASSWORD})
    async with services.database.transaction() as session:
        await session.execute(update(agents).where(agents.c.id == ann.id).values(locale="zh-CN"))
    assert ">引用内容</summary>" in await read(mail, "en")


async def test_a_bots_token_writes_as_a_bot(client: Client, services: Services) -> None:
    robot, desk = await factories.agent(services, kind="bot"), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    assert (await write(client, robot, identifier, {"text": "Beep"})).json()["author"]["kind"] == "bot"
