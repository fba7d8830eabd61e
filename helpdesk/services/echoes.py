"""What our own account wrote, as the vendor tells it back: mostly what left through this house, now and then not.

An echo may be faster than the answer to what was sent, and where that never comes it is the best proof there is: an
answer whose end nobody knows is settled by it instead of being looked up, or sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, exists, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Receipt
from helpdesk.db import new_id, ring
from helpdesk.dialects import among, epoch
from helpdesk.domain.admission import Admitted
from helpdesk.domain.events import MessageCreated
from helpdesk.domain.values import SYSTEM, AuthorKind, DeliveryStatus, MessageType, RawState, Status
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import deliveries as delivery_rows
from helpdesk.models.messages import messages
from helpdesk.models.social import conversation_threads, inbound_media
from helpdesk.services import deliveries, ending, events, media, rows
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.statements import Row
from helpdesk.writes import Insert, Update, write

Echo = tuple[Row, Admitted]
"""A claimed raw item and what it holds."""

ELSEWHERE: Final = "sent_elsewhere"
"""The note of what somebody wrote in our name, but not here."""

_AGAIN: Final = timedelta(seconds=20)
_PATIENCE: Final = timedelta(minutes=3)
"""For how long an echo may wait to be recognised: until then the answer that it repeats has ended, one way or other."""

_M: Final = messages.c
_D: Final = delivery_rows.c
_T: Final = conversation_threads.c
_UNSURE: Final = (DeliveryStatus.SENDING.value, DeliveryStatus.UNCERTAIN.value)
_OPEN: Final = (DeliveryStatus.QUEUED.value, *_UNSURE)


async def settle(
    services: Services, session: AsyncSession, keys: Keys, inbox: Row, echoed: Sequence[Echo], *, now: datetime
) -> int:
    """Recognise each, or file it as sent elsewhere. Answers how many messages came of it. Raises `ClaimLost`."""
    # Asked first: whatever is recorded as sent in between is then found by its id.
    unsure = await _unsure(session, inbox["id"])
    own = await _own(session, inbox["id"], [one for _, one in echoed])
    mine, strange = [], []
    for raw, one in echoed:
        message = own.get(one.external_id) or own.get(one.client_token)
        if message is None:
            strange.append((raw, one))
        else:
            mine.append((raw, one, message))
    ends = await _recognise(services, session, mine, now=now)
    left = []
    for raw, one in strange:
        if unsure and now - raw["created_at"] < _PATIENCE:
            await ending.postpone(session, raw, until=now + _AGAIN)
        else:
            left.append((raw, one))
    homes = await _homes(session, inbox["id"], [one for _, one in left])
    written = [(raw, one, homes[_key(one)]) for raw, one in left if _key(one) in homes]
    ends += await _write_down(session, inbox, written, now=now)
    ends += [ending.End(raw, RawState.KEPT, ELSEWHERE) for raw, one in left if _key(one) not in homes]
    await ending.settle(session, keys, ends)
    return len(written)


async def _own(session: AsyncSession, inbox_id: UUID, echoed: Sequence[Admitted]) -> dict[str, Row]:
    """Our messages by what names them in the echoes: the vendor's id, or our own that he gives back."""
    tokens = {token for one in echoed if (token := _uuid(one.client_token))}
    theirs = {one.external_id for one in echoed} - {""}
    found = await session.execute(
        select(_M.id, _M.external_id, _M.conversation_id, conversations.c.contact_id)
        .join(conversations, conversations.c.id == _M.conversation_id)
        .where(
            _M.inbox_id == inbox_id,
            _M.type == MessageType.OUTGOING.value,
            or_(among(_M.external_id, list(theirs), "text"), among(_M.id, list(tokens), "uuid")),
        )
    )
    own: dict[str, Row] = {}
    for row in found.mappings():
        own[str(row["id"])] = row
        if row["external_id"]:
            own[row["external_id"]] = row
    return own


def _uuid(token: str) -> UUID | None:
    try:
        return UUID(token)
    except ValueError:
        return None


async def _recognise(
    services: Services, session: AsyncSession, mine: Sequence[tuple[Row, Admitted, Row]], *, now: datetime
) -> list[ending.End]:
    """End the answers whose end is not known yet, each by its echo; one that is being sent right now is waited for."""
    unended = await _unended(session, [message["id"] for *_, message in mine])
    ends = []
    for raw, one, message in mine:
        delivery = unended.get(message["id"])
        if delivery is None:
            ends.append(ending.End(raw, RawState.OWN, "own_message", message["id"], message["contact_id"]))
        elif delivery["claimed"]:
            await ending.postpone(session, raw, until=now + _AGAIN)
        else:
            accepted = tuple(delivery["recipients"])
            receipt = Receipt(one.external_id, min(raw["received_at"], now), accepted, external_url=one.external_url)
            # Under a fence of its own: who had it in hand before learns that it is done.
            mine_now = update(delivery_rows).where(_D.message_id == message["id"]).values(claim=_D.claim + 1)
            taken = (await session.execute(mine_now.returning(*delivery_rows.c))).mappings().one()
            await deliveries.sent(services, session, taken, receipt=receipt, now=now)
            ends.append(ending.End(raw, RawState.OWN, "own_message", message["id"], message["contact_id"]))
            unended.pop(message["id"])
    return ends


async def _unended(session: AsyncSession, message_ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """Their deliveries that are open, locked but for those in hand: `claimed`."""
    if not message_ids:
        return {}
    query = select(delivery_rows, (_D.claimed_until >= epoch()).label("claimed")).where(
        among(_D.message_id, list(message_ids), "uuid"), _D.status.in_(_OPEN)
    )
    seen = (await session.execute(query)).mappings().all()
    if not seen:
        return {}
    free = query.where(_D.claimed_until < epoch()).order_by(_D.message_id)
    locked = await session.execute(free.with_for_update(key_share=True, skip_locked=True))
    held = {row["message_id"]: dict(row) for row in locked.mappings()}
    return {row["message_id"]: held.get(row["message_id"], {**row, "claimed": True}) for row in seen}


async def _unsure(session: AsyncSession, inbox_id: UUID) -> bool:
    """Whether something of the inbox may have been taken without our knowing its id yet."""
    return bool(
        await session.scalar(
            select(exists().where(_D.inbox_id == inbox_id, _D.status.in_(_UNSURE), _D.final_at.is_not(None)))
        )
    )


# -- what was sent elsewhere ------------------------------------------------------------------------------------------

_Key = tuple[str, str, str]


def _key(echo: Admitted) -> _Key:
    handle = echo.recipient.handle.lower() if echo.recipient else ""
    return echo.in_reply_to, handle, echo.thread


async def _homes(session: AsyncSession, inbox_id: UUID, echoed: Sequence[Admitted]) -> dict[_Key, dict[str, Any]]:
    """The conversations that they belong to, locked: of what they answer, or else of whom they are for in the thread.

    What is written to somebody who has not written to us begins no conversation: nobody waits there.
    """
    if not echoed:
        return {}
    keys = {_key(one) for one in echoed}
    answered = dict(
        (
            await session.execute(
                select(_M.external_id, _M.conversation_id)
                .where(_M.inbox_id == inbox_id, among(_M.external_id, [key[0] for key in keys if key[0]], "text"))
                .order_by(_M.id)
            )
        ).all()
    )
    threads = [(handle, thread) for _, handle, thread in keys if handle and thread]
    found = await session.execute(
        select(_T.handle, _T.thread, _T.conversation_id).where(
            _T.inbox_id == inbox_id, tuple_(_T.handle, _T.thread).in_(threads)
        )
    )
    threaded = {(handle, thread): place for handle, thread, place in found}
    places = {
        key: place for key in keys if (place := answered.get(key[0]) or threaded.get((key[1], key[2]))) is not None
    }
    homes = await _locked(session, set(places.values()))
    return {key: homes[place] for key, place in places.items() if place in homes}


async def _locked(session: AsyncSession, wanted: set[UUID]) -> dict[UUID, dict[str, Any]]:
    """Those that are not closed, and what others of them were merged into, by the ids that were asked for."""
    c = conversations.c
    into = func.coalesce(c.merged_into_id, c.id)
    pointers = dict((await session.execute(select(c.id, into).where(among(c.id, list(wanted), "uuid")))).all())
    found = await session.execute(
        select(conversations)
        .where(and_(among(c.id, list(set(pointers.values())), "uuid"), c.status != Status.CLOSED.value))
        .order_by(c.id)
        .with_for_update(key_share=True)
    )
    there = {row["id"]: dict(row) for row in found.mappings()}
    return {one: there[home] for one, home in pointers.items() if home in there}


async def _write_down(
    session: AsyncSession,
    inbox: Row,
    written: Sequence[tuple[Row, Admitted, dict[str, Any]]],
    *,
    now: datetime,
) -> list[ending.End]:
    """Messages of ours that nobody here wrote. They end no clock: whether they answer anything, a person has to say."""
    made, waiting, happened, ends = [], [], [], []
    touched: dict[UUID, dict[str, Any]] = {}
    for raw, one, conversation in written:
        conversation["seq"] += 1
        conversation["message_count"] += 1
        conversation |= {"preview": one.preview, "last_message_direction": MessageType.OUTGOING.value}
        conversation |= {"updated_at": now, "last_activity_at": now}
        touched[conversation["id"]] = conversation
        message = _message(raw, one, conversation, inbox, now=now)
        made.append(message)
        waiting += [_medium(message, file, inbox, now=now) for file in one.files if file.is_elsewhere]
        happened.append(
            MessageCreated(
                conversation_id=conversation["id"],
                seq=conversation["seq"],
                message_id=message["id"],
                inbox_id=inbox["id"],
                private=False,
                by=SYSTEM.kind.value,
            )
        )
        ends.append(ending.End(raw, RawState.OWN, ELSEWHERE, message["id"], conversation["contact_id"]))
    if made:
        counted = [{name: one[name] for name in _COUNTED} for one in touched.values()]
        await write(session, Insert(messages, made), Insert(inbound_media, waiting), Update(conversations, counted))
        await events.record(session, *happened, now=now)
        if waiting:
            ring(session, "media")
    return ends


_COUNTED: Final = ("id", "seq", "message_count", "preview", "last_message_direction", "updated_at", "last_activity_at")


def _message(raw: Row, echo: Admitted, conversation: Row, inbox: Row, *, now: datetime) -> dict[str, Any]:
    people = [{"handle": echo.recipient.handle, "name": echo.recipient.name}] if echo.recipient else []
    said: Mapping[str, Any] = rows.content(echo) | {
        "to": people,
        "notes": [*echo.notes, ELSEWHERE],
        "attachment_count": 0,
    }
    return rows.message(
        new_id(),
        conversation_id=conversation["id"],
        seq=conversation["seq"],
        type=MessageType.OUTGOING.value,
        channel=inbox["channel"],
        inbox_id=inbox["id"],
        author_kind=AuthorKind.SYSTEM.value,
        created_at=now,
        backfilled=raw["backfilled"],
        delivery_status=DeliveryStatus.SENT.value,
        sent_at=min(raw["received_at"], now),
        **said,
    )


def _medium(message: Row, file: Any, inbox: Row, *, now: datetime) -> dict[str, Any]:
    how = {"source": file.source, "filename": file.filename, "content_type": file.content_type}
    return media.waiting(message["id"], inbox["id"], **how, now=now)
