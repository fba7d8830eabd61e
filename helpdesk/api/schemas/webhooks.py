"""Webhooks and what they were told, as they are given and shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, SecretStr
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import Given, Line, Name, Shown, When

Url = Annotated[Line, Field(max_length=2000)]
Events = Annotated[list[Annotated[Line, Field(max_length=60)]], Field(min_length=1, max_length=60)]
Inboxes = Annotated[
    list[UUID],
    Field(max_length=100, description="Only what happens in conversations there; none: everything in the house"),
]
Secret = Annotated[SecretStr, Field(max_length=200)]


class WebhookShown(Shown):
    """`failing_since`: when it last stopped taking messages; null while it takes them.

    `disabled_reason`: `gone` (it answered 410) or `failing` (five days without a success) where we switched it off.
    """

    id: UUID
    name: str
    url: str
    events: list[str]
    inbox_ids: list[UUID]
    enabled: bool
    failing_since: datetime | None
    disabled_reason: str
    version: int
    created_at: datetime
    updated_at: datetime


class WebhookMade(WebhookShown):
    secret: str = Field(description="`whsec_…`, which signs what is sent. Keep it: it is shown this once")


class WebhookCreate(Given):
    """Messages follow Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`."""

    name: Name
    url: Url
    events: Events = Field(description="Names of events, or `*` for all of them")
    inbox_ids: Inboxes = Field(default_factory=list)
    secret: Secret | None = Field(None, description="`whsec_` and the base64 of 24 to 64 bytes; default: one is made")
    enabled: bool = True


class WebhookPatch(Given):
    """What waits to be sent goes to the new `url`. The secret is changed by `rotate`."""

    name: Name | None = None
    url: Url | None = None
    events: Events | None = None
    inbox_ids: Inboxes | None = None
    enabled: bool | None = None


class WebhookRotate(Given):
    secret: Secret | None = None
    overlap_hours: Annotated[
        int, Field(ge=0, le=168, description="For how long the one before it signs as well; 0 where it has leaked")
    ] = 24


class WebhookReplay(Given):
    """Events that happened at or after `since` and before `until`, at most 10,000 of them."""

    since: When
    until: When | None = Field(None, description="Default: now")
    types: Events | None = Field(None, description="Some of the webhook's `events`; default: all of them")


class WebhookDeliveryShown(Shown):
    """`error` is a class: `status` (see `last_status`), `gone`, `timeout`, `refused`, `tls`, `blocked`, …"""

    id: UUID
    event_id: UUID
    conversation_id: UUID | None
    position: int | None
    type: str
    status: Literal["queued", "sent", "failed"]
    attempts: int
    last_status: int | None
    error: str
    created_at: datetime
    next_attempt_at: datetime | None
    sent_at: datetime | None


def webhook(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in WebhookShown.model_fields} | {"inbox_ids": row["inbox_ids"] or []}


def delivery(row: RowMapping) -> dict[str, Any]:
    shown = {name: row[name] for name in WebhookDeliveryShown.model_fields}
    return shown | {"next_attempt_at": row["next_attempt_at"] if row["status"] == "queued" else None}
