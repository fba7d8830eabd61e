"""One conversation in full, and its messages, as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import RowMapping, Select, case, not_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among
from helpdesk.domain.values import Actor, InboxStatus
from helpdesk.errors import NotFound
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversation_links, conversations, participants
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import deliveries, messages
from helpdesk.services import (
    attachments,
    listing,
    ratings,
    reply_places,
    social_accounts,
    visitor_mail,
    visits,
    watchers,
)
from helpdesk.services import deliveries as delivery_verbs
from helpdesk.services.access import may_use, scoped
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Stored
from helpdesk.statements import Row

_MANY: Final = 100


@dataclass(frozen=True, slots=True)
class Description:
    """`row` is a list row (`listing.COLUMNS`); the rest is what only the single conversation shows."""

    row: Sequence[Any]
    version: int
    custom_fields: dict[str, Any]
    participants: Sequence[RowMapping]
    related: Sequence[RowMapping]
    reply_channels: Sequence[dict[str, Any]]
    watchers: Sequence[RowMapping]
    merged_into_id: UUID | None
    spam: bool
    rating: RowMapping | None
    contact_presence: Mapping[str, Any] | None
    profile: Mapping[str, Any] | None
    post: Mapping[str, Any] | None


async def describe(
    services: Services,
    session: AsyncSession,
    actor: Actor,
    conversation_id: UUID,
    *,
    changed: bool = False,
    now: datetime,
) -> Description:
    """Raises `NotFound`. `changed`: the actor has just changed it, and is shown it even if he gave it away by that."""
    query: Select[Any] = listing.SELECT.add_columns(
        conversations.c.custom_fields, conversations.c.merged_into_id, conversations.c.spam
    ).where(conversations.c.id == conversation_id)
    row = (await session.execute(query if changed else scoped(query, actor), {listing.READER: actor.id})).one_or_none()
    if row is None:
        raise NotFound("there is no such conversation")
    named = dict(zip(listing.COLUMNS, row, strict=False))
    people = await session.execute(
        select(participants)
        .where(participants.c.conversation_id == conversation_id, participants.c.removed_at.is_(None))
        .order_by(participants.c.created_at, participants.c.handle)
    )
    return Description(
        row[:-3],
        named["version"],
        row[-3],
        people.mappings().all(),
        await _related(session, actor, conversation_id),
        await _reply_channels(services, session, actor, named, now=now),
        await watchers.list_watchers(session, conversation_id),
        row[-2],
        row[-1],
        await ratings.latest_of(session, conversation_id),
        await _contact_presence(services, session, conversation_id, now=now),
        **await _known_there(services, session, named),
    )


async def _known_there(services: Services, session: AsyncSession, conversation: Row) -> Mapping[str, Any]:
    """His account, and what his words hang under: mail and visitors have neither."""
    channel = services.channels.get(conversation["channel"])
    if channel is None or channel.capabilities.tokens or channel.capabilities.live:
        return {"profile": None, "post": None}
    return await social_accounts.shown(session, conversation)


async def _contact_presence(
    services: Services, session: AsyncSession, conversation_id: UUID, *, now: datetime
) -> Mapping[str, Any] | None:
    found = await visits.contact_presence(session, conversation_id, now=now)
    return found and {**found, "mailed": await visitor_mail.reaches(services, session, conversation_id)}


async def _related(session: AsyncSession, actor: Actor, conversation_id: UUID) -> list[RowMapping]:
    """Linked conversations, from either end, that the actor may see."""
    c, link = conversations.c, conversation_links.c
    found: list[RowMapping] = []
    for mine, other in ((link.conversation_id, link.related_id), (link.related_id, link.conversation_id)):
        query = (
            select(c.id, c.number, c.subject, c.status, link.kind)
            .select_from(conversation_links.join(conversations, c.id == other))
            .where(mine == conversation_id)
            .order_by(link.created_at)
            .limit(_MANY)
        )
        found += (await session.execute(scoped(query, actor))).mappings().all()
    return found


async def _reply_channels(
    services: Services, session: AsyncSession, actor: Actor, conversation: dict[str, Any], *, now: datetime
) -> list[dict[str, Any]]:
    """Where the contact can be answered: each inbox that the actor may use, with the contact's newest handle there.

    The one where the contact wrote last comes first. What is said on a live channel is read only where he came in.
    """
    identities = await session.execute(
        select(contact_identities.c.channel, contact_identities.c.handle)
        .where(contact_identities.c.contact_id == conversation["contact_id"])
        .order_by(contact_identities.c.created_at)
    )
    handles = {row[0]: row[1] for row in identities}
    if conversation["contact_handle"]:
        handles[conversation["channel"]] = conversation["contact_handle"]
    open_inboxes = await session.execute(
        select(inboxes.c.id, inboxes.c.channel)
        .where(inboxes.c.channel.in_(handles), inboxes.c.deleted_at.is_(None))
        .where(inboxes.c.state == InboxStatus.ACTIVE.value)
        .order_by(inboxes.c.created_at)
    )
    usable = [(i, channel) for i, channel in open_inboxes if may_use(actor, i) and channel in services.channels]
    live = {channel for _, channel in usable if services.channels[channel].capabilities.live}
    if live:
        read = await visits.read_through(session, conversation["id"])
        usable = [(i, channel) for i, channel in usable if channel not in live or i in read]
    usable.sort(key=lambda one: one[0] != conversation["inbox_id"])
    can = {channel: services.channels[channel].capabilities for _, channel in usable}
    asked = [inbox_id for inbox_id, channel in usable if reply_places.matters(can[channel])]
    heard = await reply_places.said(session, conversation["id"], asked) if asked else {}
    return [
        {
            "inbox_id": inbox_id,
            "channel": channel,
            "handle": handles[channel],
            **reply_places.shown(can[channel], heard.get(inbox_id, ()), now=now),
        }
        for inbox_id, channel in usable
    ]


@dataclass(frozen=True, slots=True)
class Thread:
    """Messages in order, with their files."""

    messages: Sequence[Row]
    files: dict[UUID, list[RowMapping]]


_DELIVERY: Final = (
    deliveries.c.status.label("d_status"),
    deliveries.c.attempts.label("d_attempts"),
    deliveries.c.error.label("d_error"),
    case((not_(delivery_verbs.RESTING), deliveries.c.next_attempt_at)).label("d_next_attempt_at"),
    deliveries.c.delivered_at.label("d_delivered_at"),
    deliveries.c.read_at.label("d_read_at"),
)


async def list_messages(
    session: AsyncSession,
    conversation_id: UUID,
    *,
    after: int | None = None,
    before: int | None = None,
    order: Literal["asc", "desc"] = "asc",
    limit: int,
) -> Thread:
    """Messages by `seq`, both bounds excluded. The caller has made sure that the conversation may be seen."""
    m = messages.c
    query = _MESSAGES.where(m.conversation_id == conversation_id)
    if after is not None:
        query = query.where(m.seq > after)
    if before is not None:
        query = query.where(m.seq < before)
    return await _thread(session, query.order_by(m.seq.asc() if order == "asc" else m.seq.desc()).limit(limit))


async def messages_of(
    session: AsyncSession, conversation_ids: Sequence[UUID], *, after: tuple[UUID, int] | None, limit: int
) -> Thread:
    """Of several conversations, which the caller may show: by conversation, then by `seq`, behind the pair `after`."""
    place = (messages.c.conversation_id, messages.c.seq)
    query = _MESSAGES.where(among(messages.c.conversation_id, conversation_ids, "uuid")).order_by(*place).limit(limit)
    return await _thread(session, query if after is None else query.where(tuple_(*place) > tuple_(*after)))


async def some_messages(session: AsyncSession, message_ids: Sequence[UUID]) -> Thread:
    """These messages, by `seq`."""
    return await _thread(session, _MESSAGES.where(messages.c.id.in_(message_ids)).order_by(messages.c.seq))


async def just_stored(session: AsyncSession, stored: Stored) -> Thread:
    """A message that was written in this transaction: asked for again only where it has files."""
    if stored.message["attachment_count"]:
        return await some_messages(session, [stored.message["id"]])
    return without_files(stored)


def without_files(stored: Stored) -> Thread:
    """A message as it is written, which has no files."""
    delivery = stored.delivery or {}
    told = {column.name: delivery.get(column.name.removeprefix("d_")) for column in _DELIVERY}
    return Thread([{**stored.message, **told}], {})


_MESSAGES: Final = select(messages, *_DELIVERY).outerjoin(deliveries, deliveries.c.message_id == messages.c.id)


async def _thread(session: AsyncSession, query: Select[Any]) -> Thread:
    rows = (await session.execute(query)).mappings().all()
    return Thread(rows, await attachments.of_messages(session, [r["id"] for r in rows if r["attachment_count"]]))
