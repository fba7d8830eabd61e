"""Conversations as they are asked for and shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas import ratings
from helpdesk.api.schemas.ratings import RatingSummary
from helpdesk.api.schemas.shared import CustomFields, Given, Handle, Line, Reference, Shown, Text, When
from helpdesk.domain.filters import sla_state
from helpdesk.domain.values import Priority

StatusWord = Literal["open", "pending", "snoozed", "resolved", "closed"]
PriorityWord = Literal["low", "normal", "high", "urgent"]
Tag = Annotated[Line, Field(min_length=1, max_length=60)]


class ContactSummary(Shown):
    id: UUID
    name: str
    handle: str
    channel: str


class ConversationNamed(Shown):
    id: UUID
    number: int
    subject: str


class ConversationItem(Shown):
    """`channel`, `inbox_id` and the contact's `handle` are where the contact wrote last."""

    id: UUID
    number: int
    subject: str
    channel: str
    inbox_id: UUID
    status: StatusWord
    priority: PriorityWord
    category: str | None
    contact: ContactSummary
    assignee: Reference | None
    team: Reference | None
    tags: list[str]
    preview: str
    last_message_direction: Literal["incoming", "outgoing"] | None
    message_count: int
    seq: int
    version: int
    created_at: datetime
    last_activity_at: datetime
    waiting_since: datetime | None
    next_due_at: datetime | None
    due_soon_at: datetime | None = Field(description="From when on that is soon")
    due_kind: Literal["first_response", "next_response", "resolution"] | None = Field(
        description="What is due then: the kind of that clock"
    )
    sla_state: Literal["ok", "due_soon", "breached", "paused", "none"]
    snoozed_until: datetime | None
    unread: bool = Field(description="The contact wrote more than you have read")
    language: str
    quarantined: bool


class ParticipantShown(Shown):
    channel: str
    handle: str
    name: str
    contact_id: UUID | None
    added_by: UUID | None
    created_at: datetime


class Related(Shown):
    id: UUID
    number: int
    subject: str
    status: StatusWord
    kind: Literal["may_belong_to", "follows", "same_message", "merged", "split"]


class ReplyChannel(Shown):
    inbox_id: UUID
    channel: str
    handle: str
    reply_until: datetime | None = Field(description="Until when he can be answered directly; null where at any time")
    visibilities: list[Literal["public", "direct"]] = Field(
        description="How visible an answer can be now, the default first; empty where he cannot be answered"
    )


class ContactPresence(Shown):
    """The visitor of a live channel, at this moment."""

    online: bool = Field(description="He has the chat open, or left it less than a minute ago")
    typing: bool
    read_seq: int = Field(description="He has read every message with a `seq` up to this one, yours among them")
    last_seen_at: datetime | None
    mailed: bool = Field(
        description="What he does not read goes to him by mail. Otherwise he has proved no address, and can only be "
        "answered when he comes back"
    )


class ProfileShown(Shown):
    """The contact's account on the channel where he wrote last, as everybody sees it there."""

    handle: str = Field(description="His name there, which he may change")
    name: str
    url: str
    followers: int | None
    verified: str = Field(description="The channel's word for it, empty where it says none")
    created_at: datetime | None
    resembles_ours: bool = Field(description="As it looks now, it was found to be easily taken for an account of ours")


class PostShown(Shown):
    """What his words hang under."""

    external_id: str
    url: str
    text: str
    own: bool = Field(description="We wrote it")


class ConversationDetail(ConversationItem):
    participants: list[ParticipantShown]
    watchers: list[Reference]
    merged_into_id: UUID | None = Field(description="Where it goes on, if it was merged into another one")
    spam: bool = Field(description="What comes in opens nothing and calls nobody")
    custom_fields: dict[str, Any]
    related: list[Related]
    reply_channels: list[ReplyChannel]
    rating: RatingSummary | None = Field(description="Null where the contact was not asked for one")
    contact_presence: ContactPresence | None = Field(
        description="Null where the contact reads nothing here: his messages came by other channels"
    )
    profile: ProfileShown | None = Field(description="Null where the channel shows none")
    post: PostShown | None = Field(description="Null where he wrote under none")


class ContactGiven(Given):
    name: Line = ""
    handle: Handle


class ConversationCreate(Given):
    inbox_id: UUID
    contact: ContactGiven
    subject: Line = ""
    text: Annotated[Text, Field(min_length=1, max_length=100_000)]
    status: StatusWord | None = None


class ConversationPatch(Given):
    """Only what is sent is changed. `snoozed` needs `snoozed_until`; null takes assignee, team or category away."""

    status: StatusWord | None = None
    priority: PriorityWord | None = None
    category: Annotated[Line, Field(max_length=60)] | None = None
    assignee_id: UUID | None = None
    team_id: UUID | None = None
    subject: Line | None = None
    tags: Annotated[list[Tag], Field(max_length=30)] | None = None
    custom_fields: CustomFields | None = None
    snoozed_until: When | None = None


class ParticipantGiven(Given):
    handle: Handle
    name: Line = ""
    channel: Annotated[Line, Field(max_length=40)] | None = Field(None, description="Default: the conversation's")


class WatcherGiven(Given):
    agent_id: UUID | None = Field(None, description="Default: you")


class MergeGiven(Given):
    into: UUID
    other_contact: bool = Field(
        False, description="That what one contact wrote may stand in another contact's conversation"
    )


class SplitGiven(Given):
    message_ids: Annotated[list[UUID], Field(min_length=1, max_length=200)]


class TransferGiven(Given):
    """To a team, an agent, or both. A team alone: nobody has it any more, and it waits in the team's queue."""

    team_id: UUID | None = Field(None, description="Default: the conversation's team stays")
    assignee_id: UUID | None = Field(None, description="Somebody who may answer in the conversation's inbox")
    note: Annotated[Text, Field(max_length=10_000)] = Field(
        "", description="For colleagues: what has to be known. Never shown to the contact"
    )


class SpamGiven(Given):
    block_contact: bool = Field(False, description="That whatever the contact writes from now on is spam, too")


class EventShown(Shown):
    id: UUID
    position: int | None
    type: str
    occurred_at: datetime
    conversation_id: UUID | None
    seq: int | None
    data: dict[str, Any]


_PRIORITY = {rank.value: rank.word for rank in Priority}


def items(rows: Iterable[Sequence[Any]], now: datetime) -> list[dict[str, Any]]:
    """List rows (`services.listing.COLUMNS`) as items. Unpacked by hand: this runs for every row of every list."""
    found = []
    for (
        identifier,
        number,
        subject,
        channel,
        inbox_id,
        status,
        priority,
        category,
        preview,
        direction,
        message_count,
        seq,
        version,
        created_at,
        last_activity_at,
        waiting_since,
        next_due_at,
        due_soon_at,
        sla_paused,
        snoozed_until,
        language,
        quarantined,
        last_incoming_seq,
        contact_id,
        contact_handle,
        assignee_id,
        team_id,
        contact_name,
        assignee_name,
        team_name,
        tags,
        due_kind,
        read_seq,
    ) in rows:
        found.append(
            {
                "id": identifier,
                "number": number,
                "subject": subject,
                "channel": channel,
                "inbox_id": inbox_id,
                "status": status,
                "priority": _PRIORITY[priority],
                "category": category,
                "contact": {"id": contact_id, "name": contact_name, "handle": contact_handle, "channel": channel},
                "assignee": None if assignee_id is None else {"id": assignee_id, "name": assignee_name},
                "team": None if team_id is None else {"id": team_id, "name": team_name},
                "tags": sorted(tags) if tags else (),
                "preview": preview,
                "last_message_direction": direction,
                "message_count": message_count,
                "seq": seq,
                "version": version,
                "created_at": created_at,
                "last_activity_at": last_activity_at,
                "waiting_since": waiting_since,
                "next_due_at": next_due_at,
                "due_soon_at": due_soon_at,
                "due_kind": due_kind,
                "sla_state": (
                    "none"
                    if next_due_at is None and not sla_paused
                    else sla_state(due=next_due_at, soon=due_soon_at, paused=sla_paused, now=now).value
                ),
                "snoozed_until": snoozed_until,
                "unread": last_incoming_seq > (read_seq or 0),
                "language": language,
                "quarantined": quarantined,
            }
        )
    return found


def detail(
    row: Sequence[Any],
    *,
    participants: Sequence[RowMapping],
    watchers: Sequence[RowMapping],
    merged_into_id: UUID | None,
    spam: bool,
    custom_fields: Mapping[str, Any],
    related: Sequence[RowMapping],
    reply_channels: Sequence[Mapping[str, Any]],
    rating: RowMapping | None,
    contact_presence: Mapping[str, Any] | None,
    profile: Mapping[str, Any] | None,
    post: Mapping[str, Any] | None,
    now: datetime,
) -> dict[str, Any]:
    """The single conversation."""
    return {
        **items([row], now)[0],
        "participants": [
            {name: p[name] for name in ("channel", "handle", "name", "contact_id", "added_by", "created_at")}
            for p in participants
        ],
        "watchers": [dict(w) for w in watchers],
        "merged_into_id": merged_into_id,
        "spam": spam,
        "custom_fields": dict(custom_fields),
        "related": [dict(r) for r in related],
        "reply_channels": [dict(r) for r in reply_channels],
        "rating": ratings.summary(rating),
        "contact_presence": contact_presence and dict(contact_presence),
        "profile": profile and dict(profile),
        "post": post and dict(post),
    }


def event(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "position", "type", "occurred_at", "conversation_id", "seq", "data")}
