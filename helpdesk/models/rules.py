"""What the house does by itself, and what customers say of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, prose, ref, table_of, words


class AutomationRule(Base, table=True):
    """When something happens, or some time after it, and a filter holds: actions. `content` is one version's."""

    __tablename__ = "automation_rules"

    id: UUID = key()
    name: str = Field(unique=True, sa_type=String)
    content: dict[str, Any] = json(dict)
    enabled: bool = True
    position: int = 0
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class AutomationRun(Base, table=True):
    """What a rule did, once for each `key`: the rule with the event, or with the time `since` that it counted from.

    `outcome` is `done`, `partly` (the house refused some of it) or `looped` (it would have gone in circles). Changes of
    the conversation after `from_seq`, up to `to_seq`, are its doing: what they cause in turn is one `depth` further.
    """

    __tablename__ = "automation_runs"
    __table_args__ = (
        Index("ix_automation_runs_rule", "rule_id", "id"),
        Index("ix_automation_runs_conversation", "conversation_id", "id"),
    )

    id: UUID = key()
    key: str = Field(unique=True, sa_type=String)
    rule_id: UUID = Field()
    rule_version: int = 0
    conversation_id: UUID = ref("conversations.id", ondelete="CASCADE")
    event_id: UUID | None = Field(default=None)
    since: datetime | None = at(nullable=True)
    depth: int = 0
    from_seq: int = 0
    to_seq: int = 0
    outcome: str = words("done")
    actions: list[Any] = json(list)
    created_at: datetime = at()


class AutomationSweep(Base, table=True):
    """How far a rule on elapsed time has come. `begun_at`: nothing that had lasted so long by then; None: everything.

    `reached` is for each calendar the time, in the conversations' column, and the id that it got to.
    """

    __tablename__ = "automation_sweeps"

    rule_id: UUID = Field(foreign_key="automation_rules.id", primary_key=True, ondelete="CASCADE")
    begun_at: datetime | None = at(nullable=True)
    reached: dict[str, Any] = json(dict)


class Rating(Base, table=True):
    """One resolution of a conversation in an inbox that asks for ratings, and what became of asking.

    `state` is `planned` until `due_at`, then `asked` or `dropped`, with the reason in `outcome`. Only a digest of the
    link is kept. `agent_id` and `team_id` are whose the conversation was when it was resolved; `score` is from 1 to 5.
    """

    __tablename__ = "ratings"
    __table_args__ = (
        Index("ix_ratings_due", "due_at", **only_where("state = 'planned'")),
        Index("ix_ratings_conversation", "conversation_id", "id"),
        Index("ix_ratings_contact", "contact_id", "asked_at", **only_where("asked_at IS NOT NULL")),
        Index("ix_ratings_message", "message_id", **only_where("message_id IS NOT NULL")),
        Index("ix_ratings_asked", "asked_at", "id", **only_where("asked_at IS NOT NULL")),
        Index("ix_ratings_rated", "rated_at", "id", **only_where("rated_at IS NOT NULL")),
    )

    id: UUID = key()
    event_id: UUID = Field(unique=True)
    digest: str = Field(unique=True, sa_type=String)
    conversation_id: UUID = ref("conversations.id", ondelete="CASCADE")
    contact_id: UUID = Field()
    message_id: UUID | None = Field(default=None)
    inbox_id: UUID = Field()
    channel: str = words()
    agent_id: UUID | None = Field(default=None)
    team_id: UUID | None = Field(default=None)
    state: str = words("planned")
    outcome: str = words()
    resolved_at: datetime = at()
    due_at: datetime = at()
    asked_at: datetime | None = at(nullable=True)
    expires_at: datetime | None = at(nullable=True)
    rated_at: datetime | None = at(nullable=True)
    score: int | None = Field(default=None, nullable=True)
    comment: str = prose()


automation_rules = table_of(AutomationRule)
automation_runs = table_of(AutomationRun)
automation_sweeps = table_of(AutomationSweep)
ratings = table_of(Rating)
