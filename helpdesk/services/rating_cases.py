"""What decides whether a contact is asked for a rating: read for a batch at once, a query for each kind of fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, case, func, literal, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among
from helpdesk.domain.acknowledgement import mailbox
from helpdesk.domain.ratings import Case, Outcome, decide
from helpdesk.domain.values import DeliveryStatus, InboxStatus, MessageType
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.rules import ratings
from helpdesk.services import visitor_mail, waits
from helpdesk.services.house import Services
from helpdesk.statements import Row

_C: Final = conversations.c
_M: Final = messages.c
_R: Final = ratings.c


async def decide_all(
    services: Services, session: AsyncSession, rating_ids: Sequence[UUID], *, now: datetime
) -> list[tuple[Row, Outcome]]:
    """Each with the facts about its conversation. Who is asked by one of them is not asked by the next."""
    facts = await _by_letter(services, session, await _facts(session, rating_ids))
    said = await _said(session, [row["conversation_id"] for row in facts])
    since = now - timedelta(days=services.settings.rating_every_days)
    lately = await _asked_since(session, [row["contact_id"] for row in facts], since)
    own = await _own_handles(session, [row["contact_handle"] for row in facts])
    found: list[tuple[Row, Outcome]] = []
    for row in facts:
        messages_of = said.get(row["conversation_id"], {})
        descriptor = services.channels.get(row["channel"])
        outcome = decide(
            Case(
                switched_on=row["switched_on"],
                offered=descriptor is not None and descriptor.capabilities.acknowledge,
                status=row["status"],
                merged=row["merged_into_id"] is not None,
                spam=row["spam"],
                blocked=row["blocked"],
                doubtful=row["quarantined"] or (bool(messages_of.get("unverified")) and not row["proved"]),
                handle=row["contact_handle"],
                own_handles=own,
                held_since=row["automatic_held_at"],
                wrote_at=messages_of.get("wrote_at"),
                answered_at=messages_of.get("answered_at"),
                waiting=row["waiting_since"] is not None,
                under_way=bool(messages_of.get("under_way")),
                asked_lately=row["contact_id"] in lately,
                reply_window=descriptor.capabilities.reply_window if descriptor else None,
                resolved_at=row["resolved_at"],
            ),
            now=now,
        )
        if outcome is Outcome.ASKED:
            lately.add(row["contact_id"])
        found.append((row, outcome))
    return found


async def _facts(session: AsyncSession, rating_ids: Sequence[UUID]) -> Sequence[Row]:
    """Everything about the conversations that decides, a row for each rating."""
    c, i = _C, inboxes.c
    identity = contact_identities.c
    query = (
        select(
            *(_R[name].label(name) for name in ("id", "conversation_id", "resolved_at", "due_at")),
            *(c[name] for name in ("number", "seq", "message_count", "contact_id", "contact_handle", "language")),
            *(c[name] for name in ("status", "channel", "inbox_id", "quarantined", "spam", "waiting_since")),
            c.merged_into_id,
            contacts.c.blocked,
            and_(i.rating, i.deleted_at.is_(None), i.state == InboxStatus.ACTIVE.value).label("switched_on"),
            identity.automatic_held_at,
            literal(False).label("proved"),
        )
        .join(conversations, c.id == _R.conversation_id)
        .join(inboxes, i.id == c.inbox_id)
        .join(contacts, contacts.c.id == c.contact_id)
        .outerjoin(contact_identities, and_(identity.channel == c.channel, identity.handle == c.contact_handle))
        .where(among(_R.id, list(rating_ids), "uuid"))
        .order_by(_R.due_at, _R.id)
    )
    return (await session.execute(query)).mappings().all() if rating_ids else []


async def _by_letter(services: Services, session: AsyncSession, facts: Sequence[Row]) -> Sequence[Row]:
    """Who has left a chat is asked by a letter, where one can reach him: at an address that he has proved."""
    live = services.live_channels()
    chats = [row for row in facts if row["channel"] in live]
    if not chats:
        return facts
    reached = await visitor_mail.reached(services, session, [row["contact_id"] for row in chats])
    through = await visitor_mail.inboxes_for(services, session, [row["inbox_id"] for row in chats])
    k = contact_identities.c
    held = select(k.handle, k.automatic_held_at).where(
        among(k.handle, [one.handle for one in reached.values()], "text")
    )
    held_since = {row.handle: row.automatic_held_at for row in await session.execute(held) if row.automatic_held_at}
    found: list[Row] = []
    for row in facts:
        to, inbox = reached.get(row["contact_id"]), through.get(row["inbox_id"])
        if row not in chats or to is None or inbox is None:
            found.append(row)
            continue
        place = {"channel": inbox["channel"], "inbox_id": inbox["id"], "contact_handle": to.handle, "proved": True}
        found.append({**row, **place, "automatic_held_at": held_since.get(to.handle)})
    return found


_UNDER_WAY: Final = (DeliveryStatus.QUEUED.value, DeliveryStatus.SENDING.value, DeliveryStatus.UNCERTAIN.value)


async def _said(session: AsyncSession, conversation_ids: Sequence[UUID]) -> Mapping[UUID, Row]:
    """Of each conversation: when a person last wrote, when one was last answered, and what stands against asking."""
    incoming = _M.type == MessageType.INCOMING.value

    def latest(*conditions: Any) -> Any:
        when = func.coalesce(_M.sent_at, _M.received_at, _M.created_at, type_=_M.created_at.type)
        return func.max(case((and_(*conditions), when)), type_=_M.created_at.type)

    def any_of(*conditions: Any) -> Any:
        return func.max(case((and_(*conditions), 1), else_=0))

    query = select(
        _M.conversation_id,
        latest(incoming, not_(_M.private), _M.auto_submitted.is_(None)).label("wrote_at"),
        latest(*waits.ANSWERING).label("answered_at"),
        any_of(incoming, _M.sender_verified.is_(False)).label("unverified"),
        any_of(_M.delivery_status.in_(_UNDER_WAY)).label("under_way"),
    ).where(among(_M.conversation_id, list(conversation_ids), "uuid"))
    found = await session.execute(query.group_by(_M.conversation_id))
    return {row["conversation_id"]: row for row in found.mappings()} if conversation_ids else {}


async def _asked_since(session: AsyncSession, contact_ids: Sequence[UUID], since: datetime) -> set[UUID]:
    """Which of these contacts were asked, also while they were known as somebody else."""
    whose = func.coalesce(contacts.c.merged_into_id, contacts.c.id, type_=contacts.c.id.type)
    wanted = list(set(contact_ids))
    query = (
        select(whose)
        .join(ratings, and_(_R.contact_id == contacts.c.id, _R.asked_at > since))
        .where(or_(among(contacts.c.id, wanted, "uuid"), among(contacts.c.merged_into_id, wanted, "uuid")))
    )
    return set((await session.execute(query.distinct())).scalars()) if wanted else set()


async def _own_handles(session: AsyncSession, handles: Sequence[str]) -> frozenset[str]:
    wanted = {*handles, *map(mailbox, handles)}
    query = select(inboxes.c.handle).where(among(inboxes.c.handle, sorted(wanted), "text"))
    return frozenset((await session.execute(query.where(inboxes.c.deleted_at.is_(None)))).scalars())
