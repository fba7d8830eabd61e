"""Inboxes, tags, channels and contacts, as they are given and shown.

What an agent is shown of a setting is less than a supervisor is shown: two models, never one with holes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import CustomFields, Given, Handle, Ids, Language, Line, Name, Shown
from helpdesk.domain.values import Actor

# -- tags --


class TagShown(Shown):
    id: UUID
    name: str
    version: int
    created_at: datetime


class TagGiven(Given):
    name: Annotated[Line, Field(min_length=1, max_length=60)]


def tag(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "name", "version", "created_at")}


# -- inboxes and channels --


class InboxName(Shown):
    """What an agent is shown of an inbox that he may work in."""

    id: UUID
    channel: str
    name: str
    handle: str
    state: Literal["active", "paused"]
    team_id: UUID | None


class InboxShown(InboxName):
    """`settings` are the public ones; `secrets` names those that are stored, never what they are."""

    settings: dict[str, Any]
    secrets: list[str]
    business_hours_id: UUID | None
    sla_policy_id: UUID | None
    rating: Literal["on", "off"] = Field(description="Whether contacts are asked how it went, once it is resolved")
    integration_replies_count: Literal["on", "off"] = Field(
        description="Whether what a bot answers ends clocks as an agent's answer does"
    )
    continued_by_id: UUID | None = Field(
        description="By which inbox goes on what a visitor of a live channel does not read in time; "
        "null: by the oldest active one that carries letters"
    )
    member_ids: list[UUID]
    last_success_at: datetime | None
    failing_since: datetime | None
    error_kind: str
    error_detail: str = Field(description="What to do about it, where the channel knows")
    version: int
    created_at: datetime
    updated_at: datetime


class InboxCreate(Given):
    """`settings` are the channel's, as `GET /channels` describes them."""

    channel: Annotated[Line, Field(max_length=40)]
    name: Name
    settings: Annotated[dict[str, Any], Field(max_length=100)] = Field(default_factory=dict)
    state: Literal["active", "paused"] = "active"
    team_id: UUID | None = None
    business_hours_id: UUID | None = None
    sla_policy_id: UUID | None = None
    rating: Literal["on", "off"] = "off"
    integration_replies_count: Literal["on", "off"] = "off"
    continued_by_id: UUID | None = None
    member_ids: Ids = Field(default_factory=list)


class InboxPatch(Given):
    """Settings that are not named stay as they are. A changed host needs its secrets again."""

    name: Name | None = None
    state: Literal["active", "paused"] | None = None
    settings: Annotated[dict[str, Any], Field(max_length=100)] | None = None
    team_id: UUID | None = None
    business_hours_id: UUID | None = None
    sla_policy_id: UUID | None = None
    rating: Literal["on", "off"] | None = None
    integration_replies_count: Literal["on", "off"] | None = None
    continued_by_id: UUID | None = None
    member_ids: Ids | None = None


class InboxTrial(Given):
    """Settings that are not saved, as for `POST /inboxes`."""

    channel: Annotated[Line, Field(max_length=40)]
    settings: Annotated[dict[str, Any], Field(max_length=100)] = Field(default_factory=dict)
    inbox_id: UUID | None = Field(
        None, description="What is left out is as this inbox has it. Another host needs its secrets again"
    )


class InboxCheck(Given):
    send: bool = Field(False, description="Also send a mail to the inbox itself and see it arrive")


class CheckShown(Shown):
    name: str
    ok: bool
    detail: str


class Checked(Shown):
    ok: bool
    checks: list[CheckShown]


class Reprocess(Given):
    message_id: UUID | None = Field(None, description="Only the entry of this message; default: all that failed")


class Reprocessed(Shown):
    count: int


class ConsentBegun(Shown):
    url: str = Field(description="Where the browser goes, within ten minutes")
    redirect_uri: str = Field(description="The way back, which the provider has to know")


def inbox(row: RowMapping, secrets: Sequence[str], member_ids: Sequence[UUID], actor: Actor) -> dict[str, Any]:
    names = ("id", "channel", "name", "handle", "state", "team_id")
    if not actor.sees_all:
        return {name: row[name] for name in names}
    more = ("business_hours_id", "sla_policy_id", "continued_by_id", "last_success_at", "failing_since", "version")
    return {
        **{name: row[name] for name in (*names, *more, "created_at", "updated_at")},
        "rating": "on" if row["rating"] else "off",
        "integration_replies_count": "on" if row["integration_replies_count"] else "off",
        "settings": row["config"],
        "secrets": sorted(secrets),
        "member_ids": list(member_ids),
        "error_kind": row["error_kind"] or "",
        "error_detail": row["error_detail"] or "",
    }


class CapabilitiesShown(Shown):
    html: bool
    subject: bool
    attachments: bool
    cc: bool
    tokens: bool
    acknowledge: bool
    public_replies: bool
    direct_replies: bool
    read_receipts: bool
    typing: bool
    deferrable: bool
    letters: bool
    live: bool = Field(description="Whether its visitors read the conversation itself, as it is written")
    chains: bool = Field(description="Whether a long public answer may go as several posts")
    hide: bool = Field(description="Whether others' posts below ours can be hidden")
    looks_up: bool = Field(description="Whether a message of which it is uncertain that it left can be found again")
    max_length: int | None
    reply_window: float | None = Field(description="Seconds from his last direct message in which to answer directly")
    private_reply_window: float | None = Field(
        description="Seconds from a public message in which its author can be written to directly, once; null: any time"
    )


class ChannelShown(Shown):
    name: str
    title: str
    config_schema: dict[str, Any] = Field(description="JSON schema of an inbox's `settings`")
    secrets: list[str] = Field(description="The settings that are write-only")
    capabilities: CapabilitiesShown


# -- contacts --


class IdentityGiven(Given):
    channel: Annotated[Line, Field(max_length=40)]
    handle: Handle


class IdentityShown(Shown):
    id: UUID
    channel: str
    handle: str
    display: str
    verified: bool
    created_at: datetime


class ContactShown(Shown):
    id: UUID
    name: str
    language: str
    blocked: bool
    custom_fields: dict[str, Any]
    identities: list[IdentityShown]
    merged_into_id: UUID | None = Field(description="Who he turned out to be")
    version: int
    created_at: datetime
    updated_at: datetime


class ContactCreate(Given):
    name: Line = ""
    language: Language = ""
    custom_fields: CustomFields = Field(default_factory=dict)
    identities: Annotated[list[IdentityGiven], Field(min_length=1, max_length=20)]


class ContactMergeGiven(Given):
    into: UUID


class ContactPatch(Given):
    name: Line | None = None
    language: Language | None = None
    blocked: bool | None = None
    custom_fields: CustomFields | None = None


def contact(row: RowMapping, identities: Sequence[RowMapping]) -> dict[str, Any]:
    names = ("id", "name", "language", "blocked", "custom_fields", "merged_into_id")
    each = ("id", "channel", "handle", "display", "verified", "created_at")
    return {
        **{name: row[name] for name in (*names, "version", "created_at", "updated_at")},
        "identities": [{name: identity[name] for name in each} for identity in identities],
    }
