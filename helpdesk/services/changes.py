"""What became of messages after they were said: edited, deleted, hidden there, delivered, read.

It may come before the message itself; then it waits (`pending_changes`) and is applied when that is filed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import ChangeKind
from helpdesk.db import new_id
from helpdesk.dialects import among
from helpdesk.domain.admission import AdmittedChange, line, preview
from helpdesk.domain.values import SYSTEM, MessageType, RawState
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversations
from helpdesk.models.events import audit
from helpdesk.models.messages import messages
from helpdesk.models.social import pending_changes
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services import ending, naming, receipts, rows
from helpdesk.services.keys import Keys
from helpdesk.statements import Row
from helpdesk.writes import Insert, Update, write

Change = tuple[Row, AdmittedChange]
"""A claimed raw item and what it tells."""

EARLY: Final = "early"
"""Why a raw item was kept: what it is about had not come yet."""

_RECEIPTS: Final = frozenset({ChangeKind.DELIVERED, ChangeKind.READ})
_OF_NO_MESSAGE: Final = _RECEIPTS | {ChangeKind.NAMED, ChangeKind.NOTHING}
_M: Final = messages.c
_P: Final = pending_changes.c


@dataclass(frozen=True, slots=True)
class _Told:
    """One change of one message, with the time at which it happened as far as the vendor says."""

    external_id: str
    kind: ChangeKind
    text: str
    at: datetime


async def apply(session: AsyncSession, keys: Keys, inbox: Row, changed: Sequence[Change], *, now: datetime) -> None:
    """Apply what these raw items tell, in the order in which it happened. Raises `ClaimLost`.

    The items are kept for whoever wants to see them, each under the key of the contact whose words it may hold.
    """
    told = {
        raw["id"]: _Told(one.external_id, one.kind, one.text, min(one.at or raw["received_at"], now))
        for raw, one in changed
        if one.kind not in _OF_NO_MESSAGE
    }
    seen = [
        receipts.Seen(one.handle, one.thread, min(one.at or raw["received_at"], now), one.kind is ChangeKind.READ)
        for raw, one in changed
        if one.kind in _RECEIPTS
    ]
    marks = await receipts.mark(session, inbox["id"], seen) if seen else {}
    targets = await _change(session, inbox["id"], list(told.values()), marks, now=now)
    names = {one.handle.lower(): line(one.text)[: naming.LONGEST] for _, one in changed if one.kind is ChangeKind.NAMED}
    await naming.name(session, inbox["channel"], names, now=now)
    early = [_pending(one, inbox["id"], now=now) for one in told.values() if one.external_id not in targets]
    await write(session, Insert(pending_changes, early))
    people = await _people(session, inbox["channel"], {one.handle.lower() for _, one in changed} - {""})
    ends = []
    for raw, one in changed:
        target = targets.get(one.external_id) if raw["id"] in told else None
        contact_id = target["contact_id"] if target else people.get(one.handle.lower())
        why = one.why if target or raw["id"] not in told else EARLY
        ends.append(ending.End(raw, RawState.KEPT, why, target["id"] if target else None, contact_id))
    await ending.settle(session, keys, ends)


def _pending(told: _Told, inbox_id: UUID, *, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "inbox_id": inbox_id,
        "external_id": told.external_id,
        "kind": told.kind.value,
        "text": told.text,
        "happened_at": told.at,
        "created_at": now,
    }


async def catch_up(session: AsyncSession, inbox_id: UUID, external_ids: Collection[str], *, now: datetime) -> int:
    """Apply what was told of these messages before they came. Answers how much that was."""
    waiting = select(pending_changes).where(_P.inbox_id == inbox_id, among(_P.external_id, list(external_ids), "text"))
    return await _caught(session, inbox_id, (await session.execute(waiting)).mappings().all(), now=now)


async def sweep(session: AsyncSession, *, now: datetime) -> int:
    """The same for whatever was told at the very moment when its message was filed: neither saw the other."""
    there = select(pending_changes).join(messages, (_M.external_id == _P.external_id) & (_M.inbox_id == _P.inbox_id))
    found = (await session.execute(there.distinct().limit(500))).mappings().all()
    for inbox_id in sorted({one["inbox_id"] for one in found}):
        await _caught(session, inbox_id, [one for one in found if one["inbox_id"] == inbox_id], now=now)
    return len(found)


async def _caught(session: AsyncSession, inbox_id: UUID, found: Sequence[Row], *, now: datetime) -> int:
    if not found:
        return 0
    told = [_Told(one["external_id"], ChangeKind(one["kind"]), one["text"], one["happened_at"]) for one in found]
    targets = await _change(session, inbox_id, told, {}, now=now)
    done = [one["id"] for one in found if one["external_id"] in targets]
    await session.execute(delete(pending_changes).where(among(_P.id, done, "uuid")))
    return len(done)


async def _change(
    session: AsyncSession,
    inbox_id: UUID,
    told: Sequence[_Told],
    marks: dict[UUID, dict[str, list[str]]],
    *,
    now: datetime,
) -> dict[str, dict[str, Any]]:
    """Change the messages, and tell of it together with the `marks` that were made so far.

    Answers those that are there by their external ids.
    """
    targets = await _targets(session, inbox_id, {one.external_id for one in told})
    edited: list[dict[str, Any]] = []
    for one in sorted(told, key=lambda one: one.at):
        target = targets.get(one.external_id)
        if target is None or not (what := _applied(target, one)):
            continue
        names = marks.setdefault(target["conversation_id"], {}).setdefault(str(target["id"]), [])
        names.extend(name for name in what if name not in names)
        if one.kind is ChangeKind.EDITED:
            edited.append(target)
    changed = {message_id for of in marks.values() for message_id in of}
    written = [{name: one[name] for name in _WRITTEN} for one in targets.values() if str(one["id"]) in changed]
    subject = {one["id"]: one["conversation_id"] for one in edited}
    noted = [
        rows.audit_entry(
            "message.edited", by=SYSTEM, subject=("conversation", place), now=now, message_id=str(message_id)
        )
        for message_id, place in subject.items()
    ]
    await write(session, Update(messages, written), Insert(audit, noted))
    await _tell(session, marks, edited, now=now)
    return targets


_WRITTEN: Final = ("id", "text", "new_text", "html", "signature", "quoted", "edited_at", "deleted_at", "hidden")


def _applied(message: dict[str, Any], told: _Told) -> tuple[str, ...]:
    """Change the draft of the message; answers which of its fields that are. An older edit changes nothing."""
    match told.kind:
        case ChangeKind.EDITED:
            if message["deleted_at"] is not None or (message["edited_at"] or told.at) > told.at:
                return ()
            message |= {"text": told.text, "new_text": told.text, "html": None, "signature": "", "quoted": ""}
            message["edited_at"] = told.at
            return "text", "edited_at"
        case ChangeKind.DELETED if message["deleted_at"] is None:
            message["deleted_at"] = told.at
            return ("deleted_at",)
        case ChangeKind.HIDDEN | ChangeKind.SHOWN if message["hidden"] != (told.kind is ChangeKind.HIDDEN):
            message["hidden"] = not message["hidden"]
            return ("hidden",)
    return ()


async def _targets(session: AsyncSession, inbox_id: UUID, external_ids: set[str]) -> dict[str, dict[str, Any]]:
    """The messages of these ids, locked, with the contact of their conversation. Of several the newest."""
    wanted = external_ids - {""}
    if not wanted:
        return {}
    found = await session.execute(
        select(messages, conversations.c.contact_id)
        .join(conversations, conversations.c.id == _M.conversation_id)
        .where(_M.inbox_id == inbox_id, among(_M.external_id, list(wanted), "text"))
        .order_by(_M.id)
        .with_for_update(of=messages, key_share=True)
    )
    targets = {}
    for row in found.mappings():
        theirs = row["author_id"] if row["type"] == MessageType.INCOMING else None
        targets[row["external_id"]] = {**row, "contact_id": theirs or row["contact_id"]}
    return targets


async def _tell(
    session: AsyncSession,
    marks: Mapping[UUID, Mapping[str, list[str]]],
    edited: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
) -> None:
    """One event per conversation. What stands in lists is the message's new text where it is the last one."""
    if not marks:
        return
    locked = select(conversations).where(among(conversations.c.id, list(marks), "uuid")).order_by(conversations.c.id)
    found = (await session.execute(locked.with_for_update(key_share=True))).mappings().all()
    last = {(one["conversation_id"], one["seq"]): one for one in edited if one["type"] == MessageType.INCOMING}
    previews = []
    for conversation in found:
        await conversation_verbs.note(
            session, conversation, {"messages": marks[conversation["id"]]}, by=SYSTEM, now=now, versioned=False
        )
        message = last.get((conversation["id"], conversation["last_incoming_seq"]))
        if message and conversation["last_message_direction"] == MessageType.INCOMING.value:
            previews.append({"id": conversation["id"], "preview": preview(message["text"])})
    await write(session, Update(conversations, previews))


async def _people(session: AsyncSession, channel: str, handles: set[str]) -> dict[str, UUID]:
    if not handles:
        return {}
    i = contact_identities.c
    found = await session.execute(
        select(i.handle, i.contact_id).where(i.channel == channel, among(i.handle, list(handles), "text"))
    )
    return {row[0]: row[1] for row in found}
