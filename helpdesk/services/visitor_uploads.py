"""Visitors' files: kept by the session until they are sent, and handed out with the messages that a visitor may see.

What a file is, its first bytes say: one that claims to be something else is kept as a stream of bytes, which no browser
shows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, select

from helpdesk.domain.values import Actor, AuthorKind
from helpdesk.errors import Invalid, NotFound, TooLarge
from helpdesk.live import SessionRefused, Upload, Visitor
from helpdesk.models.messages import attachments
from helpdesk.services import attachments as files
from helpdesk.services import blobs, visitor_log, visitor_sessions
from helpdesk.services.house import Services

MAX_WAITING: Final = 20
"""Uploads of a session that are not sent yet."""


async def store(
    services: Services, visitor: Visitor, *, filename: str, content_type: str, body: bytes, now: datetime
) -> Upload:
    """Keep a file until it is sent. Raises `Invalid` for an empty one, `TooLarge`, `TooMany`, `SessionRefused`."""
    if not body:
        raise Invalid.field("file", "it is empty")
    if len(body) > services.settings.max_upload_mb * 1024 * 1024:
        raise TooLarge(f"at most {services.settings.max_upload_mb} MB")
    if visitor.session_id not in await visitor_sessions.still(services.database, [visitor.session_id], now=now):
        raise SessionRefused
    by = Actor(AuthorKind.CONTACT, id=visitor.session_id)
    given = {"filename": filename, "content_type": content_type}
    row = await files.store(services, **given, body=body, most=MAX_WAITING, by=by, now=now)
    return Upload(row["id"], row["filename"], row["content_type"], row["size"])


async def read(services: Services, visitor: Visitor, attachment_id: UUID) -> tuple[Upload, bytes]:
    """A file of what he may see, or one that he has not sent yet. Raises `NotFound`."""
    row = await _find(services, visitor, attachment_id)
    async with services.database.reading() as session:
        body = await blobs.get(services, session, row["blob_id"])
    return Upload(row["id"], row["filename"], row["content_type"], row["size"]), body


async def _find(services: Services, visitor: Visitor, attachment_id: UUID) -> RowMapping:
    """What the visitor may see, the log knows."""
    async with services.database.reading() as session:
        found = await session.execute(select(attachments).where(attachments.c.id == attachment_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("there is no such file")
    if row["message_id"] is None:
        his = row["uploaded_by"] == visitor.session_id
    else:
        his = await visitor_log.shows(services.database, visitor, row["message_id"])
    if not his:
        raise NotFound("there is no such file")
    return row
