"""What a message was made of: its raw source, and the page that shows its HTML."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.crypto import decrypt
from helpdesk.domain import handoff_texts
from helpdesk.domain.html import MAX_INLINE_BYTES, POLICY_VERSION, RASTER_TYPES, escape_text_as_html, page, sanitise
from helpdesk.domain.html_quotes import folded
from helpdesk.domain.rating_texts import language_for
from helpdesk.domain.values import Actor, RawState
from helpdesk.errors import NotFound
from helpdesk.models.agents import agents
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import attachments
from helpdesk.services import audit, blobs
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys

_MOST_PICTURES: Final = 50


async def raw(services: Services, session: AsyncSession, message: RowMapping, *, by: Actor, now: datetime) -> bytes:
    """The bytes as they came in; that they were read is audited. Raises `NotFound`, `CannotOpen` once erased.

    What hands a conversation over has none: told back by the vendor it holds the link, and whoever has that is believed
    to be the customer.
    """
    if handoff_texts.has_gap(message["text"]) or handoff_texts.has_gap(message["quoted"]):
        raise NotFound("this message has no source")
    # What was kept about it tells what became of it since.
    mine = raw_items.c.message_id == message["id"], raw_items.c.state != RawState.KEPT.value
    query = select(raw_items).where(*mine).order_by(raw_items.c.created_at).limit(1)
    item = (await session.execute(query)).mappings().one_or_none()
    if item is None or (item["body"] is None and item["blob_id"] is None):
        raise NotFound("this message has no source")
    if item["blob_id"] is not None:
        found = await blobs.get(services, session, item["blob_id"])
    else:
        keys = Keys(services.keyring)
        await keys.load(session, item["key_owner"])
        place = f"raw:{item['id']}"
        data_key = keys.unwrap(item["data_key"], owner=item["key_owner"], row=place)
        found = decrypt(data_key, item["body"], row=place)
    await audit.record(session, "message.source_read", subject="message", subject_id=message["id"], by=by, now=now)
    return found


async def html(services: Services, session: AsyncSession, message: RowMapping, *, by: Actor, accepted: str) -> str:
    """The whole document for the sandboxed frame; a message without HTML is shown as its text.

    What it quotes is folded, and named in the reader's language: his own in the console, else one that is `accepted`.
    """
    stored = message["html"]
    if stored is None:
        stored = escape_text_as_html(message["text"]).replace("\n", "<br>")
    elif message["html_policy"] < POLICY_VERSION:
        stored = sanitise(stored).html
    if message["quoted"]:
        own = None
        if by.session_id is not None:
            own = await session.scalar(select(agents.c.locale).where(agents.c.id == by.id))
        parts = {"quoted": message["quoted"], "own": message["new_text"], "signature": message["signature"]}
        stored = folded(stored, **parts, language=own or language_for(accepted, "en"))
    pictures: dict[str, tuple[str, bytes]] = {}
    if message["html"] and "cid:" in stored and message["attachment_count"]:
        pictures = await _pictures(services, session, message)
    return page(stored, pictures, lang=message["language"] or "en")


async def _pictures(services: Services, session: AsyncSession, message: RowMapping) -> dict[str, tuple[str, bytes]]:
    """Pictures by Content-ID, as many as one page may carry."""
    query = (
        select(attachments)
        .where(
            attachments.c.message_id == message["id"],
            attachments.c.content_id != "",
            attachments.c.content_type.in_(sorted(RASTER_TYPES)),
        )
        .order_by(attachments.c.id)
        .limit(_MOST_PICTURES)
    )
    found: dict[str, tuple[str, bytes]] = {}
    left = MAX_INLINE_BYTES
    for row in (await session.execute(query)).mappings().all():
        if row["size"] <= left:
            left -= row["size"]
            body = await blobs.get(services, session, row["blob_id"])
            found[row["content_id"].strip("<>")] = (row["content_type"], body)
    return found
