"""Where an answer belongs on a channel that has more than one place for it: below what he wrote, or with him alone.

Both are asked of the channel's capabilities. A direct answer may be welcome only for a while after he wrote directly;
where he wrote in public only, one may be sent for each of those messages, for another while.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Capabilities
from helpdesk.dialects import among
from helpdesk.domain.values import DeliveryStatus, MessageType, Visibility
from helpdesk.errors import Conflict, Invalid, NotFound
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import messages

Identity = tuple[str, str]
"""A channel and a handle on it."""

_M: Final = messages.c
_K: Final = contacts.c
_LOOKED_AT: Final = 100
"""Of what he wrote, the newest. Whoever wrote more in public since he last wrote directly is answered in public."""
_NEVER_SENT: Final = (DeliveryStatus.FAILED.value, DeliveryStatus.CANCELLED.value)


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the contact's. `used`: it was answered directly, or is about to be. A deleted one is not `there`."""

    external_id: str
    visibility: str
    at: datetime
    there: bool
    used: bool


@dataclass(frozen=True, slots=True)
class Place:
    """How visible an answer is, and the external id of what it answers, empty for nothing."""

    visibility: str
    answered: str


def matters(can: Capabilities) -> bool:
    """Whether there is anything to decide: elsewhere every answer is direct, at any time."""
    return can.public_replies or can.reply_window is not None


async def said(
    session: AsyncSession, conversation_id: UUID, inbox_ids: Collection[UUID], *, by: Identity | None = None
) -> dict[UUID, list[Said]]:
    """What the contact wrote in the conversation through each of these inboxes, the newest first.

    Or somebody else there, `by` his handle: where matters of several people were merged, an answer to what another one
    wrote would reach that one, whoever it was meant for.
    """
    at = func.coalesce(_M.received_at, _M.created_at, type_=_M.created_at.type)
    here = _M.conversation_id == conversation_id, among(_M.inbox_id, list(inbox_ids), "uuid"), _M.private.is_(False)
    query = (
        select(_M.inbox_id, _M.external_id, _M.visibility, at.label("at"), _M.deleted_at)
        .join(contacts, _K.id == _M.author_id)
        .where(*here, _M.type == MessageType.INCOMING.value)
        .where(func.coalesce(_K.merged_into_id, _K.id) == _whose(conversation_id, by))
        .order_by(_M.seq.desc())
        .limit(_LOOKED_AT)
    )
    heard = (await session.execute(query)).mappings().all()
    public = {row["external_id"] for row in heard if row["visibility"] == Visibility.PUBLIC} - {""}
    used: set[tuple[UUID, str]] = set()
    if public:
        answers = select(_M.inbox_id, _M.in_reply_to).where(*here, _M.type == MessageType.OUTGOING.value)
        answers = answers.where(_M.visibility == Visibility.DIRECT.value, _M.delivery_status.not_in(_NEVER_SENT))
        answered = await session.execute(answers.where(among(_M.in_reply_to, sorted(public), "text")))
        used = {(row.inbox_id, row.in_reply_to) for row in answered}
    found: dict[UUID, list[Said]] = {inbox_id: [] for inbox_id in inbox_ids}
    for row in heard:
        own = row["external_id"]
        one = Said(own, row["visibility"], row["at"], row["deleted_at"] is None, (row["inbox_id"], own) in used)
        found[row["inbox_id"]].append(one)
    return found


def _whose(conversation_id: UUID, by: Identity | None) -> ScalarSelect[UUID]:
    c, i = conversations.c, contact_identities.c
    if by is None:
        return select(c.contact_id).where(c.id == conversation_id).scalar_subquery()
    channel, handle = by
    return select(i.contact_id).where(i.channel == channel, i.handle == handle.lower()).scalar_subquery()


def choose(can: Capabilities, heard: Sequence[Said], wanted: str | None, *, named: str, now: datetime) -> Place:
    """Where an answer goes: as visible as is `wanted`, else as what it answers, which is his latest unless `named`.

    Raises `Invalid` for what the channel cannot do, `NotFound` where he wrote nothing of that name, `Conflict`
    (`reply_window_closed`, `private_reply_used`).
    """
    answered = [one for one in heard if one.external_id == named] if named else heard
    if named and not answered:
        raise NotFound("the contact wrote no such message here")
    visibility = wanted or _default(can, answered)
    if not (can.public_replies if visibility == Visibility.PUBLIC else can.direct_replies):
        raise Invalid.field("visibility", f"this channel has no {visibility} replies")
    if visibility == Visibility.DIRECT:
        return Place(visibility, _directly(can, heard, answered, now=now))
    below = _newest(answered, Visibility.PUBLIC)
    if below is None:
        raise Invalid.field("visibility", "he wrote nothing in public here that could be answered there")
    return Place(visibility, below.external_id)


def shown(can: Capabilities, heard: Sequence[Said], *, now: datetime) -> dict[str, Any]:
    """`reply_until` and `visibilities` for those who are about to answer. The default comes first."""
    if not matters(can):
        return {"reply_until": None, "visibilities": [Visibility.DIRECT.value]}
    ends = _ends(can, heard, heard)
    open_ = {
        Visibility.PUBLIC.value: can.public_replies and _newest(heard, Visibility.PUBLIC) is not None,
        Visibility.DIRECT.value: can.direct_replies and (_any_time(can, heard) or _open(ends, now) is not None),
    }
    default = _default(can, heard)
    possible = sorted((name for name, possible in open_.items() if possible), key=lambda name: name != default)
    times = [end for end, _ in ends if end is not None]
    until = max(times) if can.reply_window is not None and times and len(times) == len(ends) else None
    return {"reply_until": until, "visibilities": possible}


def _default(can: Capabilities, heard: Sequence[Said]) -> str:
    if heard and (can.public_replies if heard[0].visibility == Visibility.PUBLIC else can.direct_replies):
        return heard[0].visibility
    return (Visibility.DIRECT if can.direct_replies else Visibility.PUBLIC).value


def _directly(can: Capabilities, heard: Sequence[Said], answered: Sequence[Said], *, now: datetime) -> str:
    """The external id of what a direct answer answers."""
    if _any_time(can, heard):
        return answered[0].external_id if answered else ""
    found = _open(_ends(can, heard, answered), now)
    if found is not None:
        return found.external_id
    if any(one.used and _is_open(_end(one, can.private_reply_window), now) for one in answered):
        detail = "he was written to directly once already; more may follow when he has answered that"
        raise Conflict(detail, slug="private_reply_used")
    raise Conflict("the channel takes answers only for a while after a message", slug="reply_window_closed")


def _any_time(can: Capabilities, heard: Sequence[Said]) -> bool:
    """Whether no window is ever closed. Some channels wait for him to write directly before that is so."""
    if can.reply_window is not None:
        return False
    return can.private_reply_window is None or _newest(heard, Visibility.DIRECT, deleted=True) is not None


End = datetime | None
"""None: never."""


def _ends(can: Capabilities, heard: Sequence[Said], answered: Sequence[Said]) -> list[tuple[End, Said]]:
    """Until when he can be answered directly, and as the answer to what."""
    direct = _newest(heard, Visibility.DIRECT, deleted=True)
    public = _newest([one for one in answered if not one.used], Visibility.PUBLIC) if can.public_replies else None
    found = [] if direct is None else [(_end(direct, can.reply_window), direct)]
    return found if public is None else [*found, (_end(public, can.private_reply_window), public)]


def _newest(heard: Sequence[Said], visibility: str, *, deleted: bool = False) -> Said | None:
    return next((one for one in heard if one.visibility == visibility and (one.there or deleted)), None)


def _end(one: Said, window: timedelta | None) -> End:
    return None if window is None else one.at + window


def _open(ends: Sequence[tuple[End, Said]], now: datetime) -> Said | None:
    return next((one for end, one in ends if _is_open(end, now)), None)


def _is_open(end: End, now: datetime) -> bool:
    return end is None or end >= now
