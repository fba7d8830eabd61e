"""SLA clocks, calendars, policies, ladders, alerts, duty, webhooks and jobs, with the promises of a new house."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

CONTENTS: Mapping[str, Sequence[str]] = {
    "agents": ("quiet_hours",),
    "alert_notices": ("error",),
    "alert_routes": ("secret",),
    "alerts": ("data", "reach"),
    "business_hours": ("content",),
    "duty_schedules": ("content",),
    "escalation_rules": ("content",),
    "escalations": ("steps",),
    "jobs": ("arguments", "cursor", "error"),
    "setting_versions": ("content",),
    "sla_clocks": ("spans", "trouble"),
    "sla_policies": ("content",),
    "webhook_deliveries": ("body", "error"),
    "webhooks": ("secret", "events"),
}
"""Columns that nothing is looked up by: see revision 0003."""


def _id(number: int) -> UUID:
    """The ids of what every installation begins with are the same everywhere."""
    return UUID(int=(0x0199_0000_0000_7000_8000 << 48) + number)


HOURS, SECURITY, COMPLAINT, MAIL, CHAT, SOCIAL, SOON, OVERDUE = map(_id, range(1, 9))

DAY, HOUR, MINUTE = 86_400, 3_600, 60

# The State Council's notices for 2025 and 2026, as chinesecalendar 1.11 has them: first day, days, name.
HOLIDAYS: Sequence[tuple[str, int, str]] = (
    ("2025-01-01", 1, "New Year's Day 元旦"),
    ("2025-01-28", 8, "Spring Festival 春节"),
    ("2025-04-04", 3, "Tomb-sweeping Day 清明"),
    ("2025-05-01", 5, "Labour Day 劳动节"),
    ("2025-05-31", 3, "Dragon Boat Festival 端午"),
    ("2025-10-01", 5, "National Day 国庆节"),
    ("2025-10-06", 1, "Mid-autumn Festival 中秋"),
    ("2025-10-07", 2, "National Day 国庆节"),
    ("2026-01-01", 3, "New Year's Day 元旦"),
    ("2026-02-15", 9, "Spring Festival 春节"),
    ("2026-04-04", 3, "Tomb-sweeping Day 清明"),
    ("2026-05-01", 5, "Labour Day 劳动节"),
    ("2026-06-19", 3, "Dragon Boat Festival 端午"),
    ("2026-09-25", 3, "Mid-autumn Festival 中秋"),
    ("2026-10-01", 7, "National Day 国庆节"),
)
MAKE_UP_DAYS: Sequence[tuple[str, str]] = (
    ("2025-01-26", "Spring Festival 春节"),
    ("2025-02-08", "Spring Festival 春节"),
    ("2025-04-27", "Labour Day 劳动节"),
    ("2025-09-28", "National Day 国庆节"),
    ("2025-10-11", "National Day 国庆节"),
    ("2026-01-04", "New Year's Day 元旦"),
    ("2026-02-14", "Spring Festival 春节"),
    ("2026-02-28", "Spring Festival 春节"),
    ("2026-05-09", "Labour Day 劳动节"),
    ("2026-09-20", "National Day 国庆节"),
    ("2026-10-10", "National Day 国庆节"),
)


def upgrade() -> None:
    _tables()
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in CONTENTS.items():
            changes = ", ".join(f'ALTER COLUMN "{column}" SET STATISTICS 0' for column in columns)
            op.execute(f"ALTER TABLE {table} {changes}")
    _promises()
    _clocks()


def downgrade() -> None:
    for table in (
        "alert_notices",
        "alert_recipients",
        "alert_routes",
        "alerts",
        "duty_schedules",
        "webhook_deliveries",
        "webhooks",
        "jobs",
        "escalations",
        "sla_clocks",
        "setting_versions",
        "escalation_rules",
        "sla_policies",
        "business_hours",
        "conversation_watchers",
    ):
        op.drop_table(table)
    op.drop_index("ix_conversations_merged", "conversations")
    op.drop_index("ix_conversations_paused", "conversations")
    for table, columns in {
        "agents": ("duty", "duty_until", "quiet_hours"),
        "conversations": ("due_soon_at", "sla_paused", "merged_into_id"),
        "team_members": ("role",),
    }.items():
        for column in columns:
            op.drop_column(table, column)


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def _tables() -> None:
    op.create_table(
        "business_hours",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_business_hours"),
    )
    op.create_index("uq_business_hours_default", "business_hours", ["is_default"], unique=True, **_where("is_default"))
    op.create_table(
        "escalation_rules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_escalation_rules"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("arguments", JSON, nullable=False),
        sa.Column("cursor", JSON, nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.String(), nullable=False),
        sa.Column("claimed_until", sa.Float(), nullable=False),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_due", "jobs", ["created_at"], unique=False, **_where("state IN ('queued', 'running')"))
    op.create_table(
        "setting_versions",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("subject_type", sa.String(), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "version", name="pk_setting_versions"),
    )
    op.create_table(
        "sla_policies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sla_policies"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("events", JSON, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_table(
        "alert_routes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("locale", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name="fk_alert_routes_team_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_routes"),
        sa.UniqueConstraint("name", name="uq_alert_routes_name"),
    )
    op.create_table(
        "duty_schedules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("is_fallback", sa.Boolean(), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name="fk_duty_schedules_team_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_duty_schedules"),
        sa.UniqueConstraint("name", name="uq_duty_schedules_name"),
    )
    op.create_index("ix_duty_schedules_team_id", "duty_schedules", ["team_id"], unique=False)
    op.create_index(
        "uq_duty_schedules_fallback", "duty_schedules", ["is_fallback"], unique=True, **_where("is_fallback")
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("give_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.String(), nullable=False),
        sa.Column("claimed_until", sa.Float(), nullable=False),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name="fk_webhook_deliveries_webhook_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["next_attempt_at"],
        unique=False,
        **_where("status = 'queued'"),
    )
    op.create_index("uq_webhook_deliveries_event", "webhook_deliveries", ["webhook_id", "event_id"], unique=True)
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("clock_kind", sa.String(), nullable=False),
        sa.Column("clock_cycle", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("data", JSON, nullable=False),
        sa.Column("reach", JSON, nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Uuid(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"], ["agents.id"], name="fk_alerts_acknowledged_by", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_alerts_conversation_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name="fk_alerts_team_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.UniqueConstraint("key", name="uq_alerts_key"),
    )
    op.create_index("ix_alerts_conversation", "alerts", ["conversation_id", "id"], unique=False)
    op.create_index("ix_alerts_due", "alerts", ["next_due_at"], unique=False, **_where("next_due_at IS NOT NULL"))
    op.create_index("ix_alerts_open", "alerts", ["raised_at", "id"], unique=False, **_where("status = 'open'"))
    op.create_table(
        "conversation_watchers",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name="fk_conversation_watchers_agent_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_conversation_watchers_conversation_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "agent_id", name="pk_conversation_watchers"),
    )
    op.create_index("ix_conversation_watchers_agent_id", "conversation_watchers", ["agent_id"], unique=False)
    op.create_table(
        "escalations",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("business_hours_id", sa.Uuid(), nullable=True),
        sa.Column("business_hours_version", sa.Integer(), nullable=False),
        sa.Column("anchor_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("next_step", sa.Integer(), nullable=False),
        sa.Column("steps", JSON, nullable=False),
        sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_escalations_conversation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("conversation_id", "kind", "cycle", "rule_id", name="pk_escalations"),
    )
    op.create_index(
        "ix_escalations_due", "escalations", ["next_due_at"], unique=False, **_where("next_due_at IS NOT NULL")
    )
    op.create_table(
        "sla_clocks",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("inbox_id", sa.Uuid(), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("business_hours_id", sa.Uuid(), nullable=True),
        sa.Column("business_hours_version", sa.Integer(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("start_seq", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("spans", JSON, nullable=False),
        sa.Column("warned", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.Column("breached_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.String(), nullable=False),
        sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_sla_clocks_conversation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("conversation_id", "kind", "cycle", name="pk_sla_clocks"),
    )
    op.create_index(
        "ix_sla_clocks_due", "sla_clocks", ["next_due_at"], unique=False, **_where("next_due_at IS NOT NULL")
    )
    op.create_index(
        "ix_sla_clocks_hours",
        "sla_clocks",
        ["business_hours_id", "conversation_id"],
        unique=False,
        **_where("business_hours_id IS NOT NULL AND state IN ('running', 'paused', 'stopped')"),
    )
    op.create_index(
        "ix_sla_clocks_policy",
        "sla_clocks",
        ["policy_id", "conversation_id"],
        unique=False,
        **_where("state IN ('running', 'paused', 'stopped')"),
    )
    op.create_table(
        "alert_notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("route_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.String(), nullable=False),
        sa.Column("claimed_until", sa.Float(), nullable=False),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_alert_notices_agent_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_alert_notices_alert_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["route_id"], ["alert_routes.id"], name="fk_alert_notices_route_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_alert_notices"),
    )
    op.create_index("ix_alert_notices_alert_id", "alert_notices", ["alert_id"], unique=False)
    op.create_index(
        "ix_alert_notices_due", "alert_notices", ["next_attempt_at"], unique=False, **_where("status = 'queued'")
    )
    op.create_table(
        "alert_recipients",
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_alert_recipients_agent_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_alert_recipients_alert_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("alert_id", "agent_id", name="pk_alert_recipients"),
    )
    op.create_index("ix_alert_recipients_agent_id", "alert_recipients", ["agent_id"], unique=False)
    op.add_column("agents", sa.Column("duty", sa.String(), nullable=False, server_default="auto"))
    op.add_column("agents", sa.Column("duty_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("agents", sa.Column("quiet_hours", JSON, nullable=True))
    op.add_column("conversations", sa.Column("due_soon_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("conversations", sa.Column("sla_paused", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("conversations", sa.Column("merged_into_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_conversations_merged",
        "conversations",
        ["merged_into_id"],
        unique=False,
        **_where("merged_into_id IS NOT NULL"),
    )
    op.create_index(
        "ix_conversations_paused", "conversations", ["last_activity_at", "id"], unique=False, **_where("sla_paused")
    )
    op.add_column("team_members", sa.Column("role", sa.String(), nullable=False, server_default="member"))


def _promises() -> None:
    """A calendar, the policies and the ladders that a new house begins with. All of it can be changed."""
    _insert("business_hours", HOURS, "China, Monday to Friday", _hours(), is_default=True)
    calm: dict[str, Any] = {"clock": "calendar"}
    busy: dict[str, Any] = {"clock": "business"}
    _policy(SECURITY, 10, "Security", calm, first=HOUR, following=HOUR, categories=["security"])
    _policy(COMPLAINT, 20, "Complaint", calm, first=DAY, following=DAY, final=15 * DAY, categories=["complaint"])
    _policy(MAIL, 100, "E-mail", calm, first=DAY, following=DAY, channels=["email"])
    _policy(CHAT, 110, "Chat", busy, first=2 * MINUTE, following=5 * MINUTE, channels=["chat"])
    social = ["x", "facebook", "instagram", "telegram"]
    _policy(SOCIAL, 120, "Social networks", busy, first=4 * HOUR, following=4 * HOUR, channels=social)
    soon = {"do": "alert", "who": ["assignee"], "severity": "info", "acknowledge_seconds": None}
    late = {"do": "alert", "who": ["assignee", "lead"], "severity": "critical", "acknowledge_seconds": 15 * MINUTE}
    worse = {"do": "alert", "who": ["supervisors"], "severity": "critical", "acknowledge_seconds": 30 * MINUTE}
    raised = {"do": "priority", "to": "high"}
    _rule(SOON, "Answer due soon", "warning", (0, [soon]))
    _rule(OVERDUE, "Answer overdue", "breach", (0, [late]), (HOUR, [raised, worse]))


def _policy(
    policy_id: UUID,
    position: int,
    name: str,
    clock: dict[str, Any],
    *,
    first: int,
    following: int,
    final: int | None = None,
    channels: Sequence[str] = (),
    categories: Sequence[str] = (),
) -> None:
    targets = {"first_response": first, "next_response": following} | ({"resolution": final} if final else {})
    content = clock | {
        "business_hours_id": None,
        "inbox_ids": [],
        "channels": list(channels),
        "priorities": [],
        "categories": list(categories),
        "targets": targets,
        "warnings": [{"fraction": 0.75}],
        "pauses": ["resolution"],
        "pause_states": ["pending"],
        "next_response_from_creation": False,
    }
    _insert("sla_policies", policy_id, name, content, position=position, enabled=True)


def _rule(rule_id: UUID, name: str, anchor: str, *steps: tuple[int, list[dict[str, Any]]]) -> None:
    content = {
        "anchor": anchor,
        "clocks": [],
        "channels": [],
        "priorities": [],
        "categories": [],
        "policy_ids": [],
        "steps": [{"after": after, "time": "calendar", "actions": actions} for after, actions in steps],
    }
    _insert("escalation_rules", rule_id, name, content, enabled=True)


def _hours() -> dict[str, Any]:
    open_, shut = [["08:00", "20:00"]], []  # type: ignore[var-annotated]
    holidays = [
        {"date": (date.fromisoformat(first) + timedelta(days=day)).isoformat(), "name": name}
        for first, days, name in HOLIDAYS
        for day in range(days)
    ]
    return {
        "zone": "Asia/Shanghai",
        "weekly": [open_, open_, open_, open_, open_, shut, shut],
        "holidays": holidays,
        "holiday_years": [2025, 2026],
        "overrides": [{"date": day, "hours": open_, "name": name} for day, name in MAKE_UP_DAYS],
        "breaks": [],
    }


def _insert(table: str, row_id: UUID, name: str, content: dict[str, Any], **more: Any) -> None:
    now = datetime.now(UTC)
    if op.get_bind().dialect.name == "sqlite":
        now = now.replace(tzinfo=None)
    row = {"id": row_id, "name": name, "content": content, "version": 1, "created_at": now, "updated_at": now, **more}
    version = {"subject_id": row_id, "version": 1, "subject_type": table, "content": content, "created_at": now}
    for target, values in ((table, row), ("setting_versions", version)):
        columns = [sa.column(column, _type(column)) for column in values]
        op.bulk_insert(sa.table(target, *columns), [values])


def _type(column: str) -> sa.types.TypeEngine[Any]:
    if column in ("id", "subject_id"):
        return sa.Uuid()
    if column == "content":
        return JSON
    if column.endswith("_at"):
        return sa.DateTime(timezone=True)
    if column.startswith("is_") or column == "enabled":
        return sa.Boolean()
    return sa.Integer() if column in ("version", "position") else sa.String()


def _clocks() -> None:
    """Whoever waits already was promised an answer by mail within a day: his clock goes on."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    policy = f"'{MAIL}'::uuid" if postgresql else f"'{MAIL.hex}'"
    nothing = "'[]'::jsonb" if postgresql else "'[]'"
    op.execute(
        f"""
        INSERT INTO sla_clocks (conversation_id, kind, cycle, channel, inbox_id, policy_id, policy_version,
            business_hours_version, target, state, start_seq, started_at, due_at, spans, warned, trouble, next_due_at)
        SELECT id, CASE WHEN last_agent_seq = 0 THEN 'first_response' ELSE 'next_response' END, 1, channel, inbox_id,
            {policy}, 1, 0, {DAY}, 'running', 0, waiting_since, next_due_at, {nothing}, 1, '', next_due_at
        FROM conversations
        WHERE waiting_since IS NOT NULL AND next_due_at IS NOT NULL AND status NOT IN ('resolved', 'closed')
        """  # noqa: S608 - our own words
    )
    op.execute("UPDATE conversations SET due_soon_at = next_due_at WHERE next_due_at IS NOT NULL")
    over = "status IN ('resolved', 'closed')"
    op.execute(f"UPDATE conversations SET next_due_at = NULL, due_soon_at = NULL, waiting_since = NULL WHERE {over}")  # noqa: S608
