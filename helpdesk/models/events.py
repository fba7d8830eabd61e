"""The outbox, the work that is left of it, what was asked twice, and who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, String, UniqueConstraint
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, prose, table_of, words


class Event(Base, table=True):
    """A fact, written in the transaction that made it true.

    Positions are dense and become visible in their order: whoever gives some has the follower `numbered` locked until
    they are committed. The relay does, and whoever finds it free as he writes.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("position", name="uq_events_position"),
        Index(
            "ix_events_unrelayed",
            "id",
            **only_where("position IS NULL"),
        ),
        Index("ix_events_conversation", "conversation_id", "id"),
        Index(
            "ix_events_shown",
            *("conversation_id", "seq"),
            **only_where("type IN ('conversation.assigned', 'conversation.status_changed')"),
        ),
        Index("ix_events_status", "occurred_at", **only_where("type = 'conversation.status_changed'")),
    )

    id: UUID = key()
    position: int | None = Field(default=None, nullable=True, sa_type=BigInteger)
    type: str = words()
    occurred_at: datetime = at()
    conversation_id: UUID | None = Field(default=None)
    seq: int | None = Field(default=None)
    data: dict[str, Any] = json(dict)


class Follower(Base, table=True):
    """How far somebody has followed the events, by its name. Whoever moves on has it locked."""

    __tablename__ = "followers"

    name: str = Field(primary_key=True, sa_type=String)
    position: int = Field(default=0, sa_type=BigInteger)


class Undistributed(Base, table=True):
    """An event whose position its writer gave it: the stream has it by then, and the relay hands it on (`relay`)."""

    __tablename__ = "undistributed"

    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})


class PendingWork(Base, table=True):
    """A subscriber that failed for one event, to be tried again; a row with `given_up` waits for a person."""

    __tablename__ = "pending_work"
    __table_args__ = (Index("ix_pending_work_due", "given_up", "next_attempt_at"),)

    event_id: UUID = Field(foreign_key="events.id", primary_key=True, ondelete="CASCADE")
    subscriber: str = Field(primary_key=True, sa_type=String)
    attempts: int = 0
    next_attempt_at: datetime = at()
    error: str = words()
    given_up: bool = False


class IdempotencyKey(Base, table=True):
    """The answer to a request that may come again, for 24 hours per actor and route."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created", "created_at"),)

    actor: str = Field(primary_key=True, sa_type=String)
    route: str = Field(primary_key=True, sa_type=String)
    key: str = Field(primary_key=True, sa_type=String)
    request_digest: str = words()
    status: int | None = Field(default=None)
    response: dict[str, Any] | None = json(nullable=True)
    created_at: datetime = at()


class AuditEntry(Base, table=True):
    """Who did what to what. Appended, never changed; it names fields and ids, never bodies or secrets.

    `position` and `digest` chain it, after the commit: each digest covers the row and the digest before it.
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_subject", "subject_id", "occurred_at", "id"),
        Index("ix_audit_subject_type", "subject_type", "occurred_at", "id"),
        Index("ix_audit_action", "action", "occurred_at", "id"),
        Index("ix_audit_actor", "actor_id", "occurred_at", "id"),
        Index("ix_audit_occurred", "occurred_at", "id"),
        Index("ix_audit_unchained", "id", **only_where("position IS NULL")),
        Index("uq_audit_position", "position", unique=True),
    )

    id: UUID = key()
    occurred_at: datetime = at()
    actor_kind: str = words()
    actor_id: UUID | None = Field(default=None)
    action: str = words()
    subject_type: str = words()
    subject_id: UUID | None = Field(default=None)
    data: dict[str, Any] = json(dict)
    position: int | None = Field(default=None, nullable=True, sa_type=BigInteger)
    digest: str | None = prose(nullable=True)


class AuditAnchor(Base, table=True):
    """Where the chain stood at the end of a day (UTC): kept elsewhere too, it shows that nothing before was changed."""

    __tablename__ = "audit_anchors"

    day: str = Field(primary_key=True, sa_type=String)
    position: int = Field(sa_type=BigInteger)
    digest: str = words()
    created_at: datetime = at()


events = table_of(Event)
followers = table_of(Follower)
undistributed = table_of(Undistributed)
pending_work = table_of(PendingWork)
idempotency_keys = table_of(IdempotencyKey)
audit = table_of(AuditEntry)
audit_anchors = table_of(AuditAnchor)
