"""A queued message as its channel gets it: text, people, thread, quote and files, from the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Address, OutboundAttachment, OutboundMessage, Quote
from helpdesk.domain import handoff_texts, rating_texts
from helpdesk.domain.values import MessageType
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import attachments, messages
from helpdesk.models.social import conversation_threads, posts
from helpdesk.services import blobs, handoffs, rating_requests
from helpdesk.services.house import Services

REFERENCES = 20


async def load(services: Services, session: AsyncSession, delivery: RowMapping) -> OutboundMessage:
    """Everything that the message needs to be composed. Reads files, so call it outside a writing transaction."""
    message = (await session.execute(select(messages).where(messages.c.id == delivery["message_id"]))).mappings().one()
    conversation = (
        (
            await session.execute(
                select(
                    conversations.c.subject,
                    conversations.c.contact_id,
                    conversations.c.contact_handle,
                    conversations.c.language,
                ).where(conversations.c.id == message["conversation_id"])
            )
        )
        .mappings()
        .one()
    )
    thread = await _thread(session, message)
    answered = next((one for one in reversed(thread) if one["type"] == MessageType.INCOMING), None)
    said = next((one for one in reversed(thread) if one["author_id"] == conversation["contact_id"]), None)
    recipients = {one["handle"].lower() for one in (*delivery["to"], *delivery["cc"], *delivery["bcc"])}
    text, html = await _words(services, session, message)
    in_reply_to, place, post = await _place(services, session, message, delivery)
    # RFC 3834 section 5: what answers nothing says so, although it stands in the thread.
    generated = message["auto_submitted"] == "auto-generated"
    return OutboundMessage(
        message_id=message["id"],
        client_token=str(message["id"]),
        to=_people(delivery["to"]),
        cc=_people(delivery["cc"]),
        bcc=_people(delivery["bcc"]),
        text=text,
        html=html,
        subject=message["subject"] or conversation["subject"],
        author=message["author_name"],
        created_at=message["created_at"],
        token=delivery["token"],
        in_reply_to=in_reply_to or (answered["external_id"] if answered and not generated else ""),
        references=tuple(one["external_id"] for one in thread if _may_know(one, recipients))[-REFERENCES:],
        attachments=await _files(services, session, message),
        quote=_quote(said, delivery, recipients, handle=conversation["contact_handle"]),
        automatic=delivery["automatic"],
        language=message["language"] or conversation["language"] or "en",
        visibility=message["visibility"],
        thread=place,
        post=post,
    )


async def _place(
    services: Services, session: AsyncSession, message: RowMapping, delivery: RowMapping
) -> tuple[str, str, str]:
    """What it answers, in which thread of the channel that is, and under which post.

    A later part of a long answer answers the part before, and stands where the first one does.
    """
    answered = message["in_reply_to"]
    if services.channel(message["channel"]).capabilities.tokens or not answered:
        return answered, "", ""
    m, t = messages.c, conversation_threads.c
    mine = (t.conversation_id == m.conversation_id) & (t.inbox_id == m.inbox_id) & (t.thread == m.thread)
    query = (
        select(m.thread, posts.c.external_id)
        .select_from(messages.outerjoin(conversation_threads, mine).outerjoin(posts, posts.c.id == t.post_id))
        .where(m.external_id == answered, m.inbox_id == message["inbox_id"])
        .where(m.type == MessageType.INCOMING.value, m.conversation_id == message["conversation_id"])
        .order_by(m.seq.desc(), t.post_id)
        .limit(1)
    )
    thread, post = (await session.execute(query)).one_or_none() or ("", "")
    if message["part_of"] is not None:
        answered = await session.scalar(select(m.external_id).where(m.id == delivery["after_id"])) or answered
    return answered, thread, post or ""


async def _words(services: Services, session: AsyncSession, message: RowMapping) -> tuple[str, str | None]:
    """Text and HTML; where they ask for a rating or lead to a chat, with the link that is not stored."""
    text, html = message["text"], message["html"]
    if handoff_texts.has_gap(text):
        secret = await handoffs.link_of(services, session, message["id"])
        return (text if secret is None else handoff_texts.with_link(text, secret)), html
    if message["auto_submitted"] == "auto-generated":
        link = await rating_requests.link_of(services, session, message["id"])
        if link is not None:
            return rating_texts.with_link(text, link), html and rating_texts.with_link(html, link)
    return text, html


async def _thread(session: AsyncSession, message: RowMapping) -> Sequence[RowMapping]:
    """What stands before the message in its conversation and channel, and can be referred to, the oldest first."""
    columns = [
        "id",
        "type",
        "author_id",
        "to",
        "cc",
        "external_id",
        "seq",
        "author_name",
        "text",
        "new_text",
        "html",
        "received_at",
        "created_at",
        "auto_submitted",
    ]
    found = await session.execute(
        select(*(messages.c[name] for name in columns))
        .where(
            messages.c.conversation_id == message["conversation_id"],
            messages.c.channel == message["channel"],
            messages.c.seq < message["seq"],
            messages.c.private.is_(False),
        )
        .order_by(messages.c.seq.desc())
        .limit(REFERENCES * 2)
    )
    return list(reversed(found.mappings().all()))


def _people(given: Sequence[Mapping[str, str]]) -> tuple[Address, ...]:
    return tuple(Address(one["handle"], one.get("name", "")) for one in given)


def _may_know(one: RowMapping, recipients: set[str]) -> bool:
    """Our own ids hold the token of whom they were for, so only those who have them already may read them."""
    if one["type"] != MessageType.OUTGOING:
        return bool(one["external_id"])
    return bool(one["external_id"]) and recipients <= {who["handle"].lower() for who in (*one["to"], *one["cc"])}


def _quote(said: RowMapping | None, delivery: RowMapping, recipients: set[str], *, handle: str) -> Quote | None:
    """The contact's own last words, for himself alone: others of the conversation neither quote nor are quoted."""
    if said is None or delivery["automatic"] or recipients != {handle.lower()}:
        return None
    return Quote(
        author=said["author_name"],
        text=said["new_text"] or said["text"],
        html=None,
        sent_at=said["received_at"] or said["created_at"],
    )


async def _files(services: Services, session: AsyncSession, message: RowMapping) -> tuple[OutboundAttachment, ...]:
    if not message["attachment_count"]:
        return ()
    found = await session.execute(
        select(attachments).where(attachments.c.message_id == message["id"]).order_by(attachments.c.id)
    )
    return tuple(
        [
            OutboundAttachment(
                filename=row["filename"],
                content_type=row["content_type"],
                body=await blobs.get(services, session, row["blob_id"]),
                inline=row["inline"],
                content_id=row["content_id"],
            )
            for row in found.mappings().all()
        ]
    )
