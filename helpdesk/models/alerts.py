"""Who has to know: alerts, whom they called, how that reached them, and who is on duty."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, String
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, prose, ref, table_of, words


class Alert(Base, table=True):
    """Something that a person has to acknowledge: `open → acknowledged | resolved`.

    `key` says what it is about, so that it is raised once. `level` is how far up it has called; `next_due_at` is when
    it calls the next one, empty when nobody needs to be called any more. `reach` is how it goes on to be answered:
    seconds per level, and who was named.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_due", "next_due_at", **only_where("next_due_at IS NOT NULL")),
        Index("ix_alerts_open", "raised_at", "id", **only_where("status = 'open'")),
        Index("ix_alerts_conversation", "conversation_id", "id"),
    )

    id: UUID = key()
    key: str = Field(unique=True, sa_type=String)
    kind: str = words()
    severity: str = words("warning")
    status: str = words("open")
    conversation_id: UUID | None = ref("conversations.id", nullable=True, ondelete="CASCADE")
    clock_kind: str = words()
    clock_cycle: int = 0
    team_id: UUID | None = ref("teams.id", nullable=True, ondelete="SET NULL")
    data: dict[str, Any] = json(dict)
    reach: dict[str, Any] = json(dict)
    level: int = 0
    version: int = 1
    raised_at: datetime = at()
    acknowledged_at: datetime | None = at(nullable=True)
    acknowledged_by: UUID | None = ref("agents.id", nullable=True, ondelete="SET NULL")
    resolved_at: datetime | None = at(nullable=True)
    next_due_at: datetime | None = at(nullable=True)


class AlertRecipient(Base, table=True):
    """Whom an alert called, at which level, and why him (`assignee`, `team`, `lead`, `supervisor`, ...)."""

    __tablename__ = "alert_recipients"

    alert_id: UUID = Field(foreign_key="alerts.id", primary_key=True, ondelete="CASCADE")
    agent_id: UUID = Field(foreign_key="agents.id", primary_key=True, ondelete="CASCADE", index=True)
    level: int = 0
    reason: str = words()
    created_at: datetime = at()


class AlertRoute(Base, table=True):
    """A chat room that alerts are posted to. `kind` is the tool's name; `secret` is its sealed address."""

    __tablename__ = "alert_routes"

    id: UUID = key()
    name: str = Field(unique=True, sa_type=String)
    kind: str = words()
    secret: bytes = Field(default=b"", sa_type=LargeBinary)
    severity: str = words("warning")
    team_id: UUID | None = ref("teams.id", nullable=True, ondelete="CASCADE")
    locale: str = words("en")
    enabled: bool = True
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class AlertNotice(Base, table=True):
    """One alert on its way to one agent's mailbox or one chat room: `queued → sent | failed | dropped`."""

    __tablename__ = "alert_notices"
    __table_args__ = (Index("ix_alert_notices_due", "next_attempt_at", **only_where("status = 'queued'")),)

    id: UUID = key()
    alert_id: UUID = ref("alerts.id", ondelete="CASCADE", index=True)
    level: int = 0
    agent_id: UUID | None = ref("agents.id", nullable=True, ondelete="CASCADE")
    route_id: UUID | None = ref("alert_routes.id", nullable=True, ondelete="CASCADE")
    status: str = words("queued")
    attempts: int = 0
    error: str = prose()
    created_at: datetime = at()
    next_attempt_at: datetime = at()
    sent_at: datetime | None = at(nullable=True)
    claimed_by: str = words()
    claimed_until: float = 0.0
    claim: int = 0


class DutySchedule(Base, table=True):
    """Who is on duty when, for a team or for everybody. The fallback one is called when there is nobody else."""

    __tablename__ = "duty_schedules"
    __table_args__ = (Index("uq_duty_schedules_fallback", "is_fallback", unique=True, **only_where("is_fallback")),)

    id: UUID = key()
    name: str = Field(unique=True, sa_type=String)
    team_id: UUID | None = ref("teams.id", nullable=True, index=True, ondelete="CASCADE")
    is_fallback: bool = False
    content: dict[str, Any] = json(dict)
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


alerts = table_of(Alert)
alert_recipients = table_of(AlertRecipient)
alert_routes = table_of(AlertRoute)
alert_notices = table_of(AlertNotice)
duty_schedules = table_of(DutySchedule)
