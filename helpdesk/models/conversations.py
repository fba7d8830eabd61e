"""Conversations and what hangs on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Index, Integer, String
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, prose, ref, table_of, words


class Conversation(Base, table=True):
    """One contact's matter, over any number of channels.

    `seq` counts its messages and events, `version` the changes of its own state. `channel`, `inbox_id` and
    `contact_handle` are where the contact wrote last. `waiting_since` is the `received_at` of the oldest message that
    nobody has answered. `next_due_at`, `due_soon_at` and `sla_paused` cache what its live clocks say: the earliest due
    time, the time from which that counts as soon, and that all of them pause. `merged_into_id` is where a merged one
    went, never another merged one. `priority` is 0 low, 1 normal, 2 high, 3 urgent. `spam` takes it out of lists and
    counts that do not ask for it. `taken_from_id` is who had it until somebody took it from him by hand, while nobody
    has it: routing gives it to anybody but him.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        Index("ix_conversations_activity", "last_activity_at", "id"),
        Index("ix_conversations_status_activity", "status", "last_activity_at", "id"),
        Index("ix_conversations_inbox_activity", "inbox_id", "last_activity_at", "id"),
        Index("ix_conversations_assignee_activity", "assignee_id", "last_activity_at", "id"),
        Index("ix_conversations_team_activity", "team_id", "last_activity_at", "id"),
        Index("ix_conversations_contact_activity", "contact_id", "last_activity_at", "id"),
        Index("ix_conversations_created", "created_at", "id"),
        Index("ix_conversations_priority", "priority", "id"),
        Index("ix_conversations_due", "next_due_at", "id", **only_where("next_due_at IS NOT NULL")),
        Index("ix_conversations_waiting", "waiting_since", "id", **only_where("waiting_since IS NOT NULL")),
        Index("ix_conversations_since_status", "status_changed_at", "id", **only_where("status <> 'open'")),
        Index("ix_conversations_since_assigned", "assigned_at", "id", **only_where("assigned_at IS NOT NULL")),
        Index("ix_conversations_paused", "last_activity_at", "id", **only_where("sla_paused")),
        Index("ix_conversations_merged", "merged_into_id", **only_where("merged_into_id IS NOT NULL")),
        Index(
            "ix_conversations_unassigned",
            *("team_id", "priority", "waiting_since"),
            **only_where("assignee_id IS NULL AND status = 'open'"),
        ),
        Index(
            "ix_conversations_load",
            *("assignee_id", "team_id"),
            **only_where("assignee_id IS NOT NULL AND status = 'open'"),
        ),
        Index("ix_conversations_custom", "id", **only_where("custom_fields <> '{}'")),
        Index(
            "ix_conversations_live",
            *("status", "inbox_id", "team_id", "assignee_id", "priority", "category"),
            *("next_due_at", "due_soon_at", "sla_paused", "id"),
            **only_where("status IN ('open', 'pending', 'snoozed') AND NOT spam"),
        ),
        Index("ix_conversations_snoozed", "snoozed_until", **only_where("snoozed_until IS NOT NULL")),
    )

    id: UUID = key()
    number: int = Field(unique=True)
    subject: str = words()
    contact_id: UUID = ref("contacts.id")
    contact_handle: str = words()
    channel: str = words()
    inbox_id: UUID = ref("inboxes.id")
    status: str = words("open")
    priority: int = Field(default=1, sa_type=Integer)
    category: str | None = words(nullable=True)
    assignee_id: UUID | None = ref("agents.id", nullable=True)
    team_id: UUID | None = ref("teams.id", nullable=True)
    preview: str = prose()
    last_message_direction: str | None = words(nullable=True)
    message_count: int = 0
    seq: int = 0
    version: int = 1
    last_incoming_seq: int = 0
    last_agent_seq: int = 0
    created_at: datetime = at()
    updated_at: datetime = at()
    last_activity_at: datetime = at()
    waiting_since: datetime | None = at(nullable=True)
    next_due_at: datetime | None = at(nullable=True)
    due_soon_at: datetime | None = at(nullable=True)
    sla_paused: bool = Field(default=False, sa_type=Boolean)
    snoozed_until: datetime | None = at(nullable=True)
    language: str = words()
    quarantined: bool = Field(default=False, sa_type=Boolean)
    spam: bool = Field(default=False, sa_type=Boolean)
    status_changed_at: datetime | None = at(nullable=True)
    assigned_at: datetime | None = at(nullable=True)
    taken_from_id: UUID | None = Field(default=None)
    custom_fields: dict[str, Any] = json(dict)
    merged_into_id: UUID | None = Field(default=None)


class ConversationInbox(Base, table=True):
    """Every inbox that a conversation has touched: access to any of them shows it whole."""

    __tablename__ = "conversation_inboxes"

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    inbox_id: UUID = Field(foreign_key="inboxes.id", primary_key=True, index=True)


class ConversationTag(Base, table=True):
    __tablename__ = "conversation_tags"

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    tag: str = Field(primary_key=True, sa_type=String, index=True)


class ConversationWatcher(Base, table=True):
    """Agents who want to know what becomes of it, whether or not it is theirs."""

    __tablename__ = "conversation_watchers"

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    agent_id: UUID = Field(foreign_key="agents.id", primary_key=True, ondelete="CASCADE", index=True)
    added_by: UUID | None = Field(default=None)
    created_at: datetime = at()


class ConversationRead(Base, table=True):
    """How far an agent has read: every message up to `seq`. Without a row he has read nothing."""

    __tablename__ = "conversation_reads"

    agent_id: UUID = Field(foreign_key="agents.id", primary_key=True, ondelete="CASCADE")
    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE", index=True)
    seq: int = 0
    updated_at: datetime = at()


class Draft(Base, table=True):
    """What an agent has begun to write in a conversation. `content` is what a new message can be given."""

    __tablename__ = "drafts"

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    agent_id: UUID = Field(foreign_key="agents.id", primary_key=True, ondelete="CASCADE", index=True)
    content: dict[str, Any] = json(dict)
    version: int = 1
    updated_at: datetime = at()


class Mention(Base, table=True):
    """A colleague whom a note names. `read_at` is when he had read that far."""

    __tablename__ = "mentions"
    __table_args__ = (Index("ix_mentions_agent", "agent_id", "conversation_id"),)

    message_id: UUID = Field(foreign_key="messages.id", primary_key=True, ondelete="CASCADE")
    agent_id: UUID = Field(foreign_key="agents.id", primary_key=True, ondelete="CASCADE")
    conversation_id: UUID = ref("conversations.id", index=True, ondelete="CASCADE")
    created_at: datetime = at()
    read_at: datetime | None = at(nullable=True)


class Presence(Base, table=True):
    """Who looks at a conversation, or writes in it, until `expires_at`: `state` is `viewing`, `typing` or `noting`."""

    __tablename__ = "presence"
    __table_args__ = (Index("ix_presence_expires", "expires_at"),)

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    agent_id: UUID = Field(foreign_key="agents.id", primary_key=True, ondelete="CASCADE", index=True)
    state: str = words("viewing")
    since: datetime = at()
    expires_at: datetime = at()


class ConversationLink(Base, table=True):
    """`may_belong_to`, `follows` (an older, closed one), `same_message` (it came into both inboxes), `merged`, `split`.

    One that was merged is linked to each that it is in by now: to where it went, and to where that went later.
    """

    __tablename__ = "conversation_links"

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    related_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE", index=True)
    kind: str = Field(primary_key=True, sa_type=String)
    created_at: datetime = at()


class Participant(Base, table=True):
    """Someone who takes part: the contact, and whom an agent added or wrote to. Never an inbound Cc by itself."""

    __tablename__ = "participants"

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    channel: str = Field(primary_key=True, sa_type=String)
    handle: str = Field(primary_key=True, sa_type=String)
    name: str = prose()
    contact_id: UUID | None = ref("contacts.id", nullable=True)
    added_by: UUID | None = Field(default=None)
    created_at: datetime = at()
    removed_at: datetime | None = at(nullable=True)


class Tag(Base, table=True):
    __tablename__ = "tags"

    id: UUID = key()
    name: str = Field(unique=True, sa_type=String)
    version: int = 1
    created_at: datetime = at()


class Counter(Base, table=True):
    """Numbers that are counted where there are no sequences."""

    __tablename__ = "counters"

    name: str = Field(primary_key=True, sa_type=String)
    value: int = 0


conversations = table_of(Conversation)
conversation_inboxes = table_of(ConversationInbox)
conversation_tags = table_of(ConversationTag)
conversation_watchers = table_of(ConversationWatcher)
conversation_reads = table_of(ConversationRead)
drafts = table_of(Draft)
mentions = table_of(Mention)
presence = table_of(Presence)
conversation_links = table_of(ConversationLink)
participants = table_of(Participant)
tags = table_of(Tag)
counters = table_of(Counter)
