"""Visitors' files: what they are kept as, how many may wait, and who may read them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from helpdesk import clock
from helpdesk.db import new_id
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.errors import Invalid, NotFound, TooLarge, TooMany
from helpdesk.live import SessionRefused, Upload, Visitor
from helpdesk.services import attachments, replies, visitor_messages, visitor_sessions, visitor_uploads
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Draft
from tests import factories
from tests.conftest import ON_ONE_DATABASE

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
AGENT = Actor(AuthorKind.AGENT, name="Anna", role=Role.ADMIN)


async def visitor(services: Services, inbox_id: UUID) -> tuple[str, Visitor]:
    given: dict[str, Any] = {"identity": None, "name": "", "email": "", "language": "en", "fields": {}}
    async with services.database.transaction() as session:
        opened = await visitor_sessions.begin(services, session, inbox_id, **given, now=clock.now())
    return opened.token, opened.visitor


async def upload(services: Services, who: Visitor, body: bytes = PNG, **given: Any) -> Upload:
    given = {"filename": "screen.png", "content_type": "image/png"} | given
    return await visitor_uploads.store(services, who, **given, body=body, now=clock.now())


async def say(services: Services, token: str, *files: UUID) -> Visitor:
    who = await visitor_sessions.find(services.database, token, now=clock.now())
    how: dict[str, Any] = {"client_id": str(new_id()), "text": "See here.", "attachment_ids": files}
    async with services.database.transaction() as session:
        await visitor_messages.say(services, session, who, **how, now=clock.now())
    return await visitor_sessions.find(services.database, token, now=clock.now())


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("name", "claimed", "body", "kept"),
    [
        ("screen.png", "image/png", PNG, "image/png"),
        ("screen.png", "image/png", b"<script>alert(1)</script>", "application/octet-stream"),
        ("screen.png", "image/png", b"MZ\x90\x00", "application/octet-stream"),
        ("page.html", "text/html", b"<h1>Hello</h1>", "application/octet-stream"),
        ("logo.svg", "image/svg+xml", b"<svg onload='x()'/>", "application/octet-stream"),
        ("report.pdf", "application/pdf", PNG, "image/png"),
        ("log.txt", "application/x-msdownload", b"12:00 started", "text/plain"),
        ("run.sh", "text/plain", b"#!/bin/sh", "application/octet-stream"),
    ],
)
async def test_a_file_is_what_its_bytes_say(
    services: Services, name: str, claimed: str, body: bytes, kept: str
) -> None:
    _, who = await visitor(services, await factories.inbox(services, channel="chat"))
    found = await upload(services, who, body, filename=name, content_type=claimed)
    assert (found.content_type, found.size) == (kept, len(body))


@ON_ONE_DATABASE
async def test_empty_files_large_ones_and_too_many_are_refused(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    _, who = await visitor(services, desk)
    with pytest.raises(Invalid):
        await upload(services, who, b"")
    with pytest.raises(TooLarge):
        await upload(services, who, bytes(1024 * 1024 + 1))
    for _ in range(visitor_uploads.MAX_WAITING):
        await upload(services, who)
    with pytest.raises(TooMany):
        await upload(services, who)
    _, other = await visitor(services, desk)
    await upload(services, other)
    async with services.database.transaction() as session:
        await visitor_sessions.log_out(session, other, now=clock.now())
    with pytest.raises(SessionRefused):
        await upload(services, other)


async def test_a_file_is_read_by_whoever_may_see_its_message(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    (token, who), (other_token, other) = await visitor(services, desk), await visitor(services, desk)
    mine, waiting = await upload(services, who), await upload(services, who, PNG + b"2")
    assert await visitor_uploads.read(services, who, mine.id) == (mine, PNG)
    who, other = await say(services, token, mine.id), await say(services, other_token)
    assert await visitor_uploads.read(services, who, mine.id) == (mine, PNG)
    answer, note = [await answered(services, who, private=private) for private in (False, True)]
    found, body = await visitor_uploads.read(services, who, answer)
    assert (found.filename, body) == ("guide.png", PNG + b"answer")
    for reader, hidden in ((who, note), (other, mine.id), (other, waiting.id), (other, answer), (who, new_id())):
        with pytest.raises(NotFound):
            await visitor_uploads.read(services, reader, hidden)


async def answered(services: Services, who: Visitor, *, private: bool) -> UUID:
    """A file of an agent, in an answer or in a note."""
    file = {"filename": "guide.png", "content_type": "image/png", "body": PNG + (b"note" if private else b"answer")}
    row = await attachments.store(services, **file, by=AGENT, now=clock.now())
    draft = Draft(text="Look here.", private=private, attachment_ids=[row["id"]])
    assert who.conversation_id is not None
    async with services.database.transaction() as session:
        conversation = await get_conversation(session, AGENT, who.conversation_id, lock=True)
        await replies.reply(services, session, conversation, draft, by=AGENT, now=clock.now() + timedelta(seconds=1))
    found: UUID = row["id"]
    return found
