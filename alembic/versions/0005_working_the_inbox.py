"""What working the inbox needs: two-step accounts, views, macros, drafts, presence, rules, a chained audit log."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

CONTENTS: Mapping[str, Sequence[str]] = {
    "account_links": ("error",),
    "agents": ("totp_secret", "skills"),
    "audit": ("digest",),
    "automation_rules": ("content",),
    "automation_runs": ("actions",),
    "automation_sweeps": ("reached",),
    "canned_responses": ("texts",),
    "contact_merges": ("moved",),
    "custom_fields": ("options",),
    "drafts": ("content",),
    "job_results": ("error", "detail"),
    "macros": ("actions",),
    "ratings": ("comment",),
    "sso_logins": ("verifier",),
    "sso_providers": ("secret", "domains"),
    "teams": ("routing",),
    "triage_categories": ("names", "words"),
    "triage_suggestions": ("reasons",),
    "views": ("filter",),
    "webhooks": ("disabled_reason", "inbox_ids"),
}
"""Columns that nothing is looked up by: see revision 0003."""

TABLES = (
    "audit_anchors",
    "automation_rules",
    "custom_fields",
    "followers",
    "sso_providers",
    "account_links",
    "canned_responses",
    "contact_merges",
    "job_results",
    "macros",
    "recovery_codes",
    "sso_logins",
    "views",
    "automation_runs",
    "automation_sweeps",
    "automatic_replies",
    "conversation_reads",
    "drafts",
    "presence",
    "ratings",
    "triage_categories",
    "triage_rules_off",
    "triage_suggestions",
    "mentions",
)
"""In the order in which they can be made."""


def upgrade() -> None:
    _tables()
    _columns()
    _append_only()
    _keep_categories()
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in CONTENTS.items():
            changes = ", ".join(f'ALTER COLUMN "{column}" SET STATISTICS 0' for column in columns)
            op.execute(f"ALTER TABLE {table} {changes}")


def downgrade() -> None:
    _changeable()
    for index, table in (
        ("ix_webhook_deliveries_order", "webhook_deliveries"),
        ("ix_webhook_deliveries_created", "webhook_deliveries"),
        ("ix_conversations_live", "conversations"),
        ("ix_conversations_snoozed", "conversations"),
        ("ix_conversations_unassigned", "conversations"),
        ("ix_conversations_load", "conversations"),
        ("ix_contacts_merged", "contacts"),
        ("ix_contacts_custom", "contacts"),
        ("ix_conversations_custom", "conversations"),
        ("uq_audit_position", "audit"),
        ("ix_audit_unchained", "audit"),
        ("ix_audit_occurred", "audit"),
        ("ix_audit_actor", "audit"),
        ("ix_audit_action", "audit"),
        ("ix_audit_subject_type", "audit"),
        ("ix_audit_subject", "audit"),
        ("uq_agents_external_subject", "agents"),
    ):
        op.drop_index(index, table)
    for table, columns in {
        "webhooks": ("inbox_ids", "disabled_reason"),
        "webhook_deliveries": ("position", "conversation_id"),
        "sessions": ("verified_at", "client", "method"),
        "conversations": ("taken_from_id", "assigned_at", "status_changed_at", "spam"),
        "inboxes": ("rating",),
        "team_members": ("last_assigned_at",),
        "teams": ("routing",),
        "contacts": ("merged_into_id",),
        "audit": ("digest", "position"),
        "agents": ("skills", "capacity", "external_subject", "totp_step", "totp_confirmed_at", "totp_secret"),
    }.items():
        for column in columns:
            op.drop_column(table, column)
    for table in reversed(TABLES):
        op.drop_table(table)
    op.create_index("ix_audit_subject", "audit", ["subject_type", "subject_id"])


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def _tables() -> None:
    op.create_table(
        "audit_anchors",
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_audit_anchors"),
    )
    op.create_table(
        "automation_rules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_automation_rules"),
        sa.UniqueConstraint("name", name="uq_automation_rules_name"),
    )
    op.create_table(
        "followers",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_followers"),
    )
    op.create_table(
        "custom_fields",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_custom_fields"),
        sa.UniqueConstraint("subject", "key", name="uq_custom_fields_subject_key"),
    )
    op.create_table(
        "sso_providers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("domains", JSON, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sso_providers"),
        sa.UniqueConstraint("name", name="uq_sso_providers_name"),
    )
    op.create_table(
        "account_links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_account_links_agent_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_account_links"),
        sa.UniqueConstraint("digest", name="uq_account_links_digest"),
    )
    op.create_index("ix_account_links_agent_id", "account_links", ["agent_id"])
    op.create_index("ix_account_links_expires_at", "account_links", ["expires_at"])
    op.create_index("ix_account_links_due", "account_links", ["next_attempt_at"], **_where("status = 'queued'"))
    op.create_table(
        "canned_responses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("shortcut", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("texts", JSON, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["agents.id"], name="fk_canned_responses_owner_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name="fk_canned_responses_team_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_canned_responses"),
    )
    op.create_index("ix_canned_responses_owner", "canned_responses", ["owner_id"])
    op.create_index("ix_canned_responses_shortcut", "canned_responses", ["shortcut"])
    op.create_index("ix_canned_responses_team", "canned_responses", ["team_id"])
    op.create_table(
        "contact_merges",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("into_id", sa.Uuid(), nullable=False),
        sa.Column("moved", JSON, nullable=False),
        sa.Column("merged_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name="fk_contact_merges_contact_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["into_id"], ["contacts.id"], name="fk_contact_merges_into_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_contact_merges"),
    )
    op.create_index("ix_contact_merges_contact_id", "contact_merges", ["contact_id"])
    op.create_index("ix_contact_merges_into_id", "contact_merges", ["into_id"])
    op.create_table(
        "job_results",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("changed", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_results_job_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "position", name="pk_job_results"),
    )
    op.create_table(
        "macros",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("actions", JSON, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["agents.id"], name="fk_macros_owner_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name="fk_macros_team_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_macros"),
    )
    op.create_index("ix_macros_owner", "macros", ["owner_id"])
    op.create_index("ix_macros_team", "macros", ["team_id"])
    op.create_table(
        "recovery_codes",
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_recovery_codes_agent_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent_id", "digest", name="pk_recovery_codes"),
    )
    op.create_table(
        "sso_logins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["sso_providers.id"], name="fk_sso_logins_provider_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sso_logins"),
        sa.UniqueConstraint("digest", name="uq_sso_logins_digest"),
    )
    op.create_index("ix_sso_logins_expires", "sso_logins", ["expires_at"])
    op.create_index("ix_sso_logins_provider_id", "sso_logins", ["provider_id"])
    op.create_table(
        "views",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("filter", JSON, nullable=False),
        sa.Column("sort", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["agents.id"], name="fk_views_owner_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name="fk_views_team_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_views"),
    )
    op.create_index("ix_views_owner", "views", ["owner_id"])
    op.create_index("ix_views_team", "views", ["team_id"])
    op.create_table(
        "automation_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("from_seq", sa.Integer(), nullable=False),
        sa.Column("to_seq", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("actions", JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_automation_runs_conversation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_automation_runs"),
        sa.UniqueConstraint("key", name="uq_automation_runs_key"),
    )
    op.create_index("ix_automation_runs_conversation", "automation_runs", ["conversation_id", "id"])
    op.create_index("ix_automation_runs_rule", "automation_runs", ["rule_id", "id"])
    op.create_table(
        "automation_sweeps",
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reached", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["automation_rules.id"], name="fk_automation_sweeps_rule_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("rule_id", name="pk_automation_sweeps"),
    )
    op.create_table(
        "automatic_replies",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("inbox_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_automatic_replies_conversation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("conversation_id", "rule_id", name="pk_automatic_replies"),
    )
    op.create_index("ix_automatic_replies_address", "automatic_replies", ["address", "created_at"])
    op.create_index("ix_automatic_replies_inbox", "automatic_replies", ["inbox_id", "created_at"])
    op.create_table(
        "conversation_reads",
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_conversation_reads_agent_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_conversation_reads_conversation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("agent_id", "conversation_id", name="pk_conversation_reads"),
    )
    op.create_index("ix_conversation_reads_conversation_id", "conversation_reads", ["conversation_id"])
    op.create_table(
        "drafts",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_drafts_agent_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_drafts_conversation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("conversation_id", "agent_id", name="pk_drafts"),
    )
    op.create_index("ix_drafts_agent_id", "drafts", ["agent_id"])
    op.create_table(
        "presence",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_presence_agent_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_presence_conversation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("conversation_id", "agent_id", name="pk_presence"),
    )
    op.create_index("ix_presence_agent_id", "presence", ["agent_id"])
    op.create_index("ix_presence_expires", "presence", ["expires_at"])
    op.create_table(
        "ratings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("inbox_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("score", sa.Integer(), nullable=True),
        sa.Column("comment", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_ratings_conversation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_ratings"),
        sa.UniqueConstraint("digest", name="uq_ratings_digest"),
        sa.UniqueConstraint("event_id", name="uq_ratings_event_id"),
    )
    op.create_index("ix_ratings_asked", "ratings", ["asked_at", "id"], **_where("asked_at IS NOT NULL"))
    op.create_index("ix_ratings_contact", "ratings", ["contact_id", "asked_at"], **_where("asked_at IS NOT NULL"))
    op.create_index("ix_ratings_conversation", "ratings", ["conversation_id", "id"])
    op.create_index("ix_ratings_due", "ratings", ["due_at"], **_where("state = 'planned'"))
    op.create_index("ix_ratings_message", "ratings", ["message_id"], **_where("message_id IS NOT NULL"))
    op.create_index("ix_ratings_rated", "ratings", ["rated_at", "id"], **_where("rated_at IS NOT NULL"))
    op.create_table(
        "triage_suggestions",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.String(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("reasons", JSON, nullable=False),
        sa.Column("rules_version", sa.Integer(), nullable=False),
        sa.Column("applied", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("corrected_by", sa.Uuid(), nullable=True),
        sa.Column("corrected_category", sa.String(), nullable=True),
        sa.Column("corrected_priority", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_triage_suggestions_conversation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("conversation_id", name="pk_triage_suggestions"),
    )
    op.create_index(
        "ix_triage_suggestions_corrected",
        "triage_suggestions",
        ["corrected_at", "conversation_id"],
        **_where("corrected_at IS NOT NULL"),
    )
    op.create_table(
        "triage_categories",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("names", JSON, nullable=False),
        sa.Column("words", JSON, nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=True),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_triage_categories"),
    )
    op.create_table(
        "triage_rules_off",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_triage_rules_off"),
    )
    op.create_table(
        "mentions",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_mentions_agent_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_mentions_conversation_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_mentions_message_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message_id", "agent_id", name="pk_mentions"),
    )
    op.create_index("ix_mentions_agent", "mentions", ["agent_id", "conversation_id"])
    op.create_index("ix_mentions_conversation_id", "mentions", ["conversation_id"])


def _columns() -> None:
    op.add_column("agents", sa.Column("totp_secret", sa.LargeBinary(), nullable=True))
    op.add_column("agents", sa.Column("totp_confirmed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("agents", sa.Column("totp_step", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("agents", sa.Column("external_subject", sa.String(), nullable=True))
    op.add_column("agents", sa.Column("capacity", sa.Integer(), nullable=True))
    op.add_column("agents", sa.Column("skills", JSON, nullable=True))
    op.create_index(
        "uq_agents_external_subject",
        "agents",
        ["external_subject"],
        unique=True,
        **_where("external_subject IS NOT NULL"),
    )
    op.add_column("audit", sa.Column("position", sa.BigInteger(), nullable=True))
    op.add_column("audit", sa.Column("digest", sa.String(), nullable=True))
    op.create_index("ix_audit_unchained", "audit", ["id"], **_where("position IS NULL"))
    op.create_index("uq_audit_position", "audit", ["position"], unique=True)
    op.drop_index("ix_audit_subject", "audit")
    op.create_index("ix_audit_subject", "audit", ["subject_id", "occurred_at", "id"])
    op.create_index("ix_audit_subject_type", "audit", ["subject_type", "occurred_at", "id"])
    op.create_index("ix_audit_action", "audit", ["action", "occurred_at", "id"])
    op.create_index("ix_audit_actor", "audit", ["actor_id", "occurred_at", "id"])
    op.create_index("ix_audit_occurred", "audit", ["occurred_at", "id"])
    op.add_column("contacts", sa.Column("merged_into_id", sa.Uuid(), nullable=True))
    op.create_index("ix_contacts_merged", "contacts", ["merged_into_id"], **_where("merged_into_id IS NOT NULL"))
    op.create_index("ix_contacts_custom", "contacts", ["id"], **_where("custom_fields <> '{}'"))
    op.create_index("ix_conversations_custom", "conversations", ["id"], **_where("custom_fields <> '{}'"))
    op.add_column("conversations", sa.Column("spam", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("conversations", sa.Column("status_changed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("conversations", sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("conversations", sa.Column("taken_from_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_conversations_live",
        "conversations",
        [
            *("status", "inbox_id", "team_id", "assignee_id", "priority", "category"),
            *("next_due_at", "due_soon_at", "sla_paused", "id"),
        ],
        **_where("status IN ('open', 'pending', 'snoozed') AND NOT spam"),
    )
    op.create_index(
        "ix_conversations_snoozed", "conversations", ["snoozed_until"], **_where("snoozed_until IS NOT NULL")
    )
    op.create_index(
        "ix_conversations_since_status", "conversations", ["status_changed_at", "id"], **_where("status <> 'open'")
    )
    op.create_index(
        "ix_conversations_since_assigned", "conversations", ["assigned_at", "id"], **_where("assigned_at IS NOT NULL")
    )
    op.create_index(
        "ix_conversations_unassigned",
        "conversations",
        ["team_id", "priority", "waiting_since"],
        **_where("assignee_id IS NULL AND status = 'open'"),
    )
    op.create_index(
        "ix_conversations_load",
        "conversations",
        ["assignee_id", "team_id"],
        **_where("assignee_id IS NOT NULL AND status = 'open'"),
    )
    op.add_column("inboxes", sa.Column("rating", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("sessions", sa.Column("method", sa.String(), nullable=False, server_default="password"))
    op.add_column("sessions", sa.Column("client", sa.String(), nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("team_members", sa.Column("last_assigned_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("teams", sa.Column("routing", JSON, nullable=True))
    op.add_column("webhook_deliveries", sa.Column("conversation_id", sa.Uuid(), nullable=True))
    op.add_column("webhook_deliveries", sa.Column("position", sa.BigInteger(), nullable=True))
    op.create_index("ix_webhook_deliveries_created", "webhook_deliveries", ["webhook_id", "created_at", "id"])
    op.create_index(
        "ix_webhook_deliveries_order",
        "webhook_deliveries",
        ["webhook_id", "conversation_id", "position"],
        **_where("status = 'queued' AND conversation_id IS NOT NULL"),
    )
    op.add_column("webhooks", sa.Column("disabled_reason", sa.String(), nullable=False, server_default=""))
    op.add_column("webhooks", sa.Column("inbox_ids", JSON, nullable=True))
    # Webhooks were told by the relay until now: what has a position is told already, or was never asked for. What was
    # there before search is walked through (revision 0006); events tell it of what comes from here on.
    for name in ("search", "webhooks"):
        op.execute(f"INSERT INTO followers SELECT '{name}', max(position) FROM events HAVING max(position) > 0")  # noqa: S608


_CATEGORIES = ("security", "transaction", "account", "technical", "complaint", "how-to", "feedback")


def _keep_categories() -> None:
    """Categories were any text until now: what is in use besides those that every house has becomes the house's own."""
    category, now = sa.column("category", sa.String()), datetime.now(UTC)
    query = sa.select(category).select_from(sa.table("conversations", category)).distinct()
    found = op.get_bind().scalars(query.where(category.not_in(_CATEGORIES))).all()
    rows = [{"key": one, "names": dict.fromkeys(("en", "zh-CN", "zh-TW"), one)} for one in found if one]
    given = {"words": [], "weight": 5, "priority": None, "archived": False, "version": 1}
    op.bulk_insert(
        sa.table(
            "triage_categories",
            sa.column("key", sa.String()),
            sa.column("names", JSON),
            sa.column("words", JSON),
            sa.column("weight", sa.Integer()),
            sa.column("priority", sa.Integer()),
            sa.column("archived", sa.Boolean()),
            sa.column("version", sa.Integer()),
            sa.column("created_at", sa.DateTime(timezone=True)),
            sa.column("updated_at", sa.DateTime(timezone=True)),
        ),
        [row | given | {"created_at": now, "updated_at": now} for row in rows],
    )


_AUDITED = ("id", "occurred_at", "actor_kind", "actor_id", "action", "subject_type", "subject_id", "data")

_ON_POSTGRESQL = """\
CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'audit' THEN
        IF OLD.position IS NULL AND OLD.digest IS NULL AND NEW.position IS NOT NULL AND NEW.digest IS NOT NULL
           AND to_jsonb(NEW) - 'position' - 'digest' = to_jsonb(OLD) - 'position' - 'digest' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'rows of % are kept as they are', TG_TABLE_NAME;
END $$
"""


def _append_only() -> None:
    """Nobody changes or removes what the audit says, in passing. Who owns the database can: the chain shows that."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_ON_POSTGRESQL)
        for table in ("audit", "audit_anchors"):
            op.execute(
                f"CREATE TRIGGER {table}_is_kept BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION audit_is_kept()"
            )
            op.execute(
                f"CREATE TRIGGER {table}_is_whole BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept()"
            )
        return
    chained = "OLD.position IS NULL AND OLD.digest IS NULL AND NEW.position IS NOT NULL AND NEW.digest IS NOT NULL"
    same = " AND ".join(f"NEW.{column} IS OLD.{column}" for column in _AUDITED)
    for name, when in (
        ("audit_is_kept", f"BEFORE UPDATE ON audit WHEN NOT ({chained} AND {same})"),
        ("audit_is_whole", "BEFORE DELETE ON audit"),
        ("audit_anchors_is_kept", "BEFORE UPDATE ON audit_anchors"),
        ("audit_anchors_is_whole", "BEFORE DELETE ON audit_anchors"),
    ):
        op.execute(
            f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, 'rows of the audit are kept as they are'); END"
        )


def _changeable() -> None:
    names = ("audit_is_kept", "audit_is_whole", "audit_anchors_is_kept", "audit_anchors_is_whole")
    if op.get_bind().dialect.name == "postgresql":
        for name in names:
            op.execute(f"DROP TRIGGER {name} ON {name.partition('_is_')[0]}")
        op.execute("DROP FUNCTION audit_is_kept()")
        return
    for name in names:
        op.execute(f"DROP TRIGGER {name}")
