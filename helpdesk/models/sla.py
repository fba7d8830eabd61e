"""What was promised, by which calendar, and every clock that ran for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, prose, table_of, words


class BusinessHours(Base, table=True):
    """A calendar: `content` is its hours, holidays, overrides and breaks (`services.business_hours`).

    `version` counts changes; each is kept in `setting_versions`. The default one is for whatever names none.
    """

    __tablename__ = "business_hours"
    __table_args__ = (Index("uq_business_hours_default", "is_default", unique=True, **only_where("is_default")),)

    id: UUID = key()
    name: str = words()
    is_default: bool = False
    content: dict[str, Any] = json(dict)
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()
    deleted_at: datetime | None = at(nullable=True)


class SlaPolicy(Base, table=True):
    """What is promised to whom: `content` has conditions, targets and options. The lowest `position` is asked first."""

    __tablename__ = "sla_policies"

    id: UUID = key()
    name: str = words()
    position: int = 0
    enabled: bool = True
    content: dict[str, Any] = json(dict)
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()
    deleted_at: datetime | None = at(nullable=True)


class EscalationRule(Base, table=True):
    """A ladder: `content` has its anchor, its conditions and its steps."""

    __tablename__ = "escalation_rules"

    id: UUID = key()
    name: str = words()
    enabled: bool = True
    content: dict[str, Any] = json(dict)
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()
    deleted_at: datetime | None = at(nullable=True)


class SettingVersion(Base, table=True):
    """What a calendar, a policy or a rule said in one of its versions. Never changed: clocks that run refer to it."""

    __tablename__ = "setting_versions"

    subject_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    subject_type: str = words()
    content: dict[str, Any] = json(dict)
    created_by: UUID | None = Field(default=None)
    created_at: datetime = at()


class SlaClock(Base, table=True):
    """One cycle of one promise, kept for ever (`domain.clocks.Clock`).

    `target` is in seconds. `business_hours_id` is empty where all time counts. `start_seq` is the message that began to
    wait, `ended_by` the one that answered it. `spans` are `[from, to, why]`, times that do not count; `warned` is how
    many of the policy's thresholds have passed. `next_due_at` is when something falls due next, a warning or the
    breach; it is empty while nothing can. `trouble` says why a clock cannot be scheduled, or not be trusted.
    """

    __tablename__ = "sla_clocks"
    __table_args__ = (
        # Reports ask by time. Rows lie in that order: on PostgreSQL a summary of their places costs filing nothing.
        Index("ix_sla_clocks_started", "started_at", postgresql_using="brin"),
        Index("ix_sla_clocks_due", "next_due_at", **only_where("next_due_at IS NOT NULL")),
        Index("ix_sla_clocks_detected", "detected_at", **only_where("detected_at IS NOT NULL")),
        Index(
            "ix_sla_clocks_policy",
            "policy_id",
            "conversation_id",
            **only_where("state IN ('running', 'paused', 'stopped')"),
        ),
        Index(
            "ix_sla_clocks_hours",
            "business_hours_id",
            "conversation_id",
            **only_where("business_hours_id IS NOT NULL AND state IN ('running', 'paused', 'stopped')"),
        ),
    )

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    kind: str = Field(primary_key=True, sa_type=String)
    cycle: int = Field(primary_key=True)
    channel: str = words()
    inbox_id: UUID = Field()
    policy_id: UUID = Field()
    policy_version: int = 0
    business_hours_id: UUID | None = Field(default=None)
    business_hours_version: int = 0
    target: int = 0
    state: str = words("running")
    start_seq: int = 0
    started_at: datetime = at()
    due_at: datetime | None = at(nullable=True)
    spans: list[Any] = json(list)
    warned: int = 0
    changed_at: datetime | None = at(nullable=True)
    ended_at: datetime | None = at(nullable=True)
    ended_by: UUID | None = Field(default=None)
    breached_at: datetime | None = at(nullable=True)
    detected_at: datetime | None = at(nullable=True)
    trouble: str = prose()
    next_due_at: datetime | None = at(nullable=True)


class Escalation(Base, table=True):
    """A ladder being climbed, for a clock's cycle or, with the kind `conversation`, for the conversation itself.

    `steps` are those done, `{step, due_at, done_at}`. `next_step` runs at `next_due_at`, empty when it is over.
    """

    __tablename__ = "escalations"
    __table_args__ = (Index("ix_escalations_due", "next_due_at", **only_where("next_due_at IS NOT NULL")),)

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    kind: str = Field(primary_key=True, sa_type=String)
    cycle: int = Field(primary_key=True)
    rule_id: UUID = Field(primary_key=True)
    rule_version: int = 0
    business_hours_id: UUID | None = Field(default=None)
    business_hours_version: int = 0
    anchor_at: datetime = at()
    state: str = words("running")
    next_step: int = 0
    steps: list[Any] = json(list)
    next_due_at: datetime | None = at(nullable=True)
    created_at: datetime = at()


business_hours = table_of(BusinessHours)
sla_policies = table_of(SlaPolicy)
escalation_rules = table_of(EscalationRule)
setting_versions = table_of(SettingVersion)
sla_clocks = table_of(SlaClock)
escalations = table_of(Escalation)
