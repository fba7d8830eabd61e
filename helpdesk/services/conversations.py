"""What agents do with a conversation: assign, set its state, tag, say who takes part.

The caller holds the conversation's row lock (`access.get_conversation(..., lock=True)`). Each change is an event with a
`seq` of its own; however many fields change at once, `version` rises by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, insert_rows, ring
from helpdesk.domain.events import (
    ConversationAssigned,
    ConversationStatusChanged,
    ConversationUpdated,
    DomainEvent,
)
from helpdesk.domain.values import Actor, Status
from helpdesk.errors import Conflict, Invalid, NotFound, Stale
from helpdesk.models.agents import agents, teams
from helpdesk.models.conversations import conversation_tags, conversations, participants
from helpdesk.services import asking_visitors, categories, custom_fields, sla
from helpdesk.services import tags as tag_names
from helpdesk.services.events import record
from helpdesk.services.house import Services

Conversation = Mapping[str, Any] | RowMapping

MAX_PARTICIPANTS: Final = 50
_PLAIN: Final = ("priority", "category", "subject", "custom_fields")


def word_for(by: Actor) -> str:
    """Who did it, as events say it."""
    return f"{by.kind.value}:{by.id}" if by.id else by.kind.value


def check_version(conversation: Conversation, expected: int) -> None:
    """Raises `Stale` when the row has moved on; call it under the row lock."""
    if conversation["version"] != expected:
        raise Stale(extra={"version": conversation["version"]})


async def change(
    services: Services,
    session: AsyncSession,
    conversation: Conversation,
    wanted: Mapping[str, Any],
    *,
    by: Actor,
    now: datetime,
    reason: str | None = None,
) -> Conversation:
    """Set any of `status priority category assignee_id team_id subject tags custom_fields snoozed_until`.

    Only what differs counts: without a difference nothing is written and `version` stays. Answers the row as it is now.
    `reason` is why routing assigns it or takes it back; a conversation that anybody else takes from an agent is not
    routed to him again.
    """
    values = {**_status(conversation, wanted, now), **await _assignment(session, conversation, wanted, now)}
    if "assignee_id" in values:
        taken = values["assignee_id"] is None and reason is None
        values["taken_from_id"] = conversation["assignee_id"] if taken else None
    values |= {
        name: value
        for name, value in (await _plain(session, conversation, wanted)).items()
        if name in _PLAIN and value != conversation[name]
    }
    tags = await _tags(session, conversation, wanted)
    if not values and tags is None:
        return conversation
    happened = _events(conversation, values, tags, word_for(by), reason)
    values |= await sla.changed(services, session, conversation, values, now=now)
    values |= {"version": conversation["version"] + 1, "seq": conversation["seq"] + len(happened), "updated_at": now}
    await session.execute(update(conversations).where(conversations.c.id == conversation["id"]).values(values))
    if tags is not None:
        await _write_tags(session, conversation["id"], tags[1], now=now)
    await _record(session, conversation, happened, now=now)
    after = {**conversation, **values}
    live = conversation["channel"] in services.live_channels()
    if live and values.get("status") == Status.RESOLVED and not conversation["spam"]:
        await asking_visitors.ask(session, conversation["id"], now=now)
    if (after["assignee_id"] is None and after["team_id"] is not None and after["status"] == Status.OPEN) or (
        live and _made_room(conversation, after)
    ):
        ring(session, "routing")
    return after


def _made_room(before: Conversation, after: Conversation) -> bool:
    """Whether somebody has one less in hand: where people wait and look on, the next is his at once."""
    had = before["assignee_id"] if before["status"] == Status.OPEN else None
    return had is not None and (after["status"] != Status.OPEN or after["assignee_id"] != had)


def _status(conversation: Conversation, wanted: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Status and snooze go together: `snoozed_until` is there exactly while the status is `snoozed`."""
    until = wanted.get("snoozed_until")
    given = wanted.get("status")
    if until is not None and given not in (None, Status.SNOOZED):
        raise Invalid.field("snoozed_until", "is only for the status snoozed")
    status = Status(given or (Status.SNOOZED if until is not None else conversation["status"]))
    until = until if "snoozed_until" in wanted else conversation["snoozed_until"]
    if status is not Status.SNOOZED:
        until = None
    elif until is None or (until <= now and until != conversation["snoozed_until"]):
        raise Invalid.field("snoozed_until", "give a time in the future")
    values: dict[str, Any] = {}
    if status.value != conversation["status"]:
        if conversation["merged_into_id"] is not None:
            raise Conflict("it went into another conversation", slug="conversation_merged")
        if conversation["status"] == Status.CLOSED:
            raise Conflict("a closed conversation stays closed", slug="conversation_closed")
        if conversation["spam"] and status is not Status.CLOSED:
            raise Conflict("it is spam; say first that it is none", slug="conversation_spam")
        values |= {"status": status.value, "status_changed_at": now}
    if until != conversation["snoozed_until"]:
        values["snoozed_until"] = until
    return values


async def _assignment(
    session: AsyncSession, conversation: Conversation, wanted: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: wanted[name]
        for name in ("assignee_id", "team_id")
        if name in wanted and wanted[name] != conversation[name]
    }
    assignee, team = values.get("assignee_id"), values.get("team_id")
    if assignee is not None and not await session.scalar(select(agents.c.active).where(agents.c.id == assignee)):
        raise NotFound("there is no such active agent")
    # Held, so that nobody removes it before this is done.
    its = select(teams.c.id).where(teams.c.id == team).with_for_update(read=True, key_share=True)
    if team is not None and await session.scalar(its) is None:
        raise NotFound("there is no such team")
    if "assignee_id" in values:
        values["assigned_at"] = now if assignee is not None else None
    return values


async def _plain(session: AsyncSession, conversation: Conversation, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Custom fields are merged, null takes one away; the others are replaced."""
    values = {name: value for name, value in wanted.items() if name in _PLAIN}
    for name in ("priority", "subject"):
        if name in values and values[name] is None:
            raise Invalid.field(name, "cannot be taken away")
    if values.get("category", conversation["category"]) != conversation["category"]:
        await categories.check(session, [("category", values["category"])], new=True)
    if "custom_fields" in values:
        before, given = conversation["custom_fields"], values["custom_fields"]
        values["custom_fields"] = await custom_fields.merged(session, "conversation", before, given)
    return values


async def _tags(
    session: AsyncSession, conversation: Conversation, wanted: Mapping[str, Any]
) -> tuple[list[str], list[str]] | None:
    """The tags before and after, or None when they stay."""
    if "tags" not in wanted:
        return None
    query = select(conversation_tags.c.tag).where(conversation_tags.c.conversation_id == conversation["id"])
    before, after = sorted((await session.execute(query)).scalars()), sorted(set(wanted["tags"] or ()))
    return (before, after) if before != after else None


async def _write_tags(session: AsyncSession, conversation_id: UUID, after: Sequence[str], *, now: datetime) -> None:
    await tag_names.ensure(session, after, now=now)
    await session.execute(delete(conversation_tags).where(conversation_tags.c.conversation_id == conversation_id))
    await insert_rows(session, conversation_tags, [{"conversation_id": conversation_id, "tag": t} for t in after])


def _events(
    conversation: Conversation,
    values: Mapping[str, Any],
    tags: tuple[list[str], list[str]] | None,
    by: str,
    reason: str | None,
) -> list[Callable[[int], DomainEvent]]:
    """What happened, each waiting for its `seq`."""
    found: list[Callable[[int], DomainEvent]] = []
    identifier = conversation["id"]
    if "assignee_id" in values or "team_id" in values:
        people = {name: values.get(name, conversation[name]) for name in ("assignee_id", "team_id")}
        people |= {"assignee_before": conversation["assignee_id"], "team_before": conversation["team_id"]}
        people |= {"reason": reason}
        found.append(lambda seq: ConversationAssigned(conversation_id=identifier, seq=seq, by=by, **people))
    if "status" in values:
        before, after = conversation["status"], values["status"]
        found.append(
            lambda seq: ConversationStatusChanged(
                conversation_id=identifier, seq=seq, before=before, after=after, by=by
            )
        )
    changes: dict[str, Any] = {name: [conversation[name], values[name]] for name in _PLAIN if name in values}
    if "custom_fields" in changes:  # names only: what an agent writes there may be personal
        before, after = conversation["custom_fields"], values["custom_fields"]
        changes["custom_fields"] = sorted(k for k in {*before, *after} if before.get(k) != after.get(k))
    if "snoozed_until" in values:
        pair = (conversation["snoozed_until"], values["snoozed_until"])
        changes["snoozed_until"] = [time and time.isoformat() for time in pair]
    if tags is not None:
        changes["tags"] = [tags[0], tags[1]]
    if changes:
        found.append(lambda seq: ConversationUpdated(conversation_id=identifier, seq=seq, changes=changes, by=by))
    return found


async def _record(
    session: AsyncSession,
    conversation: Conversation,
    happened: Sequence[Callable[[int], DomainEvent]],
    *,
    now: datetime,
) -> None:
    start = conversation["seq"] + 1
    await record(session, *(make(seq) for seq, make in enumerate(happened, start)), now=now)


async def note(
    session: AsyncSession,
    conversation: Conversation,
    changes: Mapping[str, Any],
    *,
    by: Actor,
    now: datetime,
    versioned: bool = True,
) -> Conversation:
    """Record a change that is kept in other tables; `versioned` when it is part of the conversation's own state."""
    values = {"seq": conversation["seq"] + 1, "updated_at": now, "version": conversation["version"] + int(versioned)}
    await session.execute(update(conversations).where(conversations.c.id == conversation["id"]).values(values))
    event = ConversationUpdated(conversation_id=conversation["id"], seq=values["seq"], changes=changes, by=word_for(by))
    await record(session, event, now=now)
    return {**conversation, **values}


async def add_participants(
    session: AsyncSession,
    conversation: Conversation,
    people: Sequence[tuple[str, str, str]],
    *,
    by: Actor,
    now: datetime,
) -> int:
    """Let `(channel, handle, name)` take part from here on; answers how many did not before.

    Somebody who was taken out comes back. Raises `Invalid` when there would be too many.
    """
    present = await _present(session, conversation["id"])
    new = [person for person in people if (person[0], person[1]) not in present]
    if not new:
        return 0
    if len(present) + len(new) > MAX_PARTICIPANTS:
        raise Invalid.field("handle", f"at most {MAX_PARTICIPANTS} take part in a conversation")
    key = ["conversation_id", "channel", "handle"]
    for channel, handle, name in new:
        row = {"conversation_id": conversation["id"], "channel": channel, "handle": handle, "name": name}
        row |= {"contact_id": None, "added_by": by.id, "created_at": now, "removed_at": None}
        again = {"removed_at": None, "added_by": by.id, "created_at": now}
        statement = insert_ignoring(session, participants, on=key).values(row)
        if (await session.execute(statement.returning(participants.c.handle))).first() is None:
            await session.execute(_participant(update(participants), conversation["id"], channel, handle).values(again))
    return len(new)


async def remove_participant(
    session: AsyncSession, conversation: Conversation, *, channel: str, handle: str, by: Actor, now: datetime
) -> Conversation:
    """He sees nothing that follows. Raises `NotFound` for one who takes no part."""
    present = await _present(session, conversation["id"])
    if (channel, handle) not in present:
        raise NotFound("nobody takes part under this handle")
    gone = _participant(update(participants), conversation["id"], channel, handle)
    await session.execute(gone.values(removed_at=now))
    return await note(session, conversation, {"participants": [len(present), len(present) - 1]}, by=by, now=now)


async def add_participant(
    session: AsyncSession, conversation: Conversation, *, channel: str, handle: str, name: str, by: Actor, now: datetime
) -> Conversation:
    """Idempotent: somebody who takes part already changes nothing."""
    before = len(await _present(session, conversation["id"]))
    added = await add_participants(session, conversation, [(channel, handle, name)], by=by, now=now)
    if not added:
        return conversation
    return await note(session, conversation, {"participants": [before, before + added]}, by=by, now=now)


def _participant(statement: Any, conversation_id: UUID, channel: str, handle: str) -> Any:
    return statement.where(
        participants.c.conversation_id == conversation_id,
        participants.c.channel == channel,
        participants.c.handle == handle,
    )


async def _present(session: AsyncSession, conversation_id: UUID) -> set[tuple[str, str]]:
    found = await session.execute(
        select(participants.c.channel, participants.c.handle).where(
            participants.c.conversation_id == conversation_id, participants.c.removed_at.is_(None)
        )
    )
    return {(channel, handle) for channel, handle in found}
