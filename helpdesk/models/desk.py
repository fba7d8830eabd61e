"""What makes an inbox quick to work in: views, texts kept ready, several actions at once, fields of one's own."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, UniqueConstraint
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, ref, table_of, words


class View(Base, table=True):
    """A kept question to the list of conversations: its `owner_id`'s, or shared with a team, or with everybody."""

    __tablename__ = "views"
    __table_args__ = (Index("ix_views_owner", "owner_id"), Index("ix_views_team", "team_id"))

    id: UUID = key()
    name: str = words()
    owner_id: UUID | None = ref("agents.id", nullable=True, ondelete="CASCADE")
    team_id: UUID | None = ref("teams.id", nullable=True, ondelete="CASCADE")
    filter: dict[str, Any] = json(dict)
    sort: str = words("-last_activity_at")
    position: int = 0
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class CannedResponse(Base, table=True):
    """A text kept ready, found by its `shortcut`. `texts` holds it by language, with variables of a fixed list."""

    __tablename__ = "canned_responses"
    __table_args__ = (
        Index("ix_canned_responses_shortcut", "shortcut"),
        Index("ix_canned_responses_owner", "owner_id"),
        Index("ix_canned_responses_team", "team_id"),
    )

    id: UUID = key()
    shortcut: str = words()
    title: str = words()
    owner_id: UUID | None = ref("agents.id", nullable=True, ondelete="CASCADE")
    team_id: UUID | None = ref("teams.id", nullable=True, ondelete="CASCADE")
    texts: dict[str, str] = json(dict)
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class Macro(Base, table=True):
    """Several actions at once (`domain.actions`)."""

    __tablename__ = "macros"
    __table_args__ = (Index("ix_macros_owner", "owner_id"), Index("ix_macros_team", "team_id"))

    id: UUID = key()
    name: str = words()
    description: str = words()
    owner_id: UUID | None = ref("agents.id", nullable=True, ondelete="CASCADE")
    team_id: UUID | None = ref("teams.id", nullable=True, ondelete="CASCADE")
    actions: list[Any] = json(list)
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class CustomField(Base, table=True):
    """What may be kept under a key in the `custom_fields` of a `conversation` or a `contact`, and of which type."""

    __tablename__ = "custom_fields"
    __table_args__ = (UniqueConstraint("subject", "key", name="uq_custom_fields_subject_key"),)

    id: UUID = key()
    subject: str = words()
    key: str = words()
    title: str = words()
    type: str = words("text")
    options: list[str] = json(list)
    position: int = 0
    archived: bool = False
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class TriageCategory(Base, table=True):
    """What conversations can be about in this house, besides what every house has. `words` suggest it, with `weight`.

    An archived one is suggested and given no more; what has it keeps it.
    """

    __tablename__ = "triage_categories"

    key: str = Field(primary_key=True, sa_type=String)
    names: dict[str, str] = json(dict)
    words: list[str] = json(list)
    weight: int = 5
    priority: int | None = Field(default=None, nullable=True)
    archived: bool = False
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class TriageRuleOff(Base, table=True):
    """A rule of triage that every house has, and this one does not want."""

    __tablename__ = "triage_rules_off"

    name: str = Field(primary_key=True, sa_type=String)
    created_by: UUID | None = Field(default=None)
    created_at: datetime = at()


class TriageSuggestion(Base, table=True):
    """What the text of a conversation suggests, and why: `reasons` are the rules that spoke and the words they found.

    `applied` says that it was taken over when the message came. `corrected_at` is when an agent said what it really is:
    `corrected_category` and `corrected_priority`, each only if he said so.
    """

    __tablename__ = "triage_suggestions"
    __table_args__ = (
        Index(
            "ix_triage_suggestions_corrected",
            *("corrected_at", "conversation_id"),
            **only_where("corrected_at IS NOT NULL"),
        ),
    )

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    message_id: UUID = Field()
    category: str | None = words(nullable=True)
    priority: int | None = Field(default=None, nullable=True)
    language: str = words()
    reasons: list[Any] = json(list)
    rules_version: int = 0
    applied: bool = False
    created_at: datetime = at()
    corrected_at: datetime | None = at(nullable=True)
    corrected_by: UUID | None = Field(default=None)
    corrected_category: str | None = words(nullable=True)
    corrected_priority: int | None = Field(default=None, nullable=True)


views = table_of(View)
canned_responses = table_of(CannedResponse)
macros = table_of(Macro)
custom_fields = table_of(CustomField)
triage_categories = table_of(TriageCategory)
triage_rules_off = table_of(TriageRuleOff)
triage_suggestions = table_of(TriageSuggestion)
