"""Rows as filing writes them: every column named once, so that sets of rows share one prepared statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from helpdesk.channels import Address
from helpdesk.db import new_id
from helpdesk.domain.admission import Admitted, AdmittedFile, here
from helpdesk.domain.matching import Placement
from helpdesk.domain.values import Actor, AuthorKind, MessageType, Priority, Status, Visibility
from helpdesk.statements import Row


def contact(contact_id: UUID, *, name: str, sealed: bytes, now: datetime) -> dict[str, Any]:
    return {
        "id": contact_id,
        "name": name,
        "language": "",
        "key": sealed,
        "custom_fields": {},
        "blocked": False,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }


def identity(contact_id: UUID, *, channel: str, handle: str, display: str, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "contact_id": contact_id,
        "channel": channel,
        "handle": handle.lower(),
        "display": display,
        "verified": False,
        "automatic_held_at": None,
        "created_at": now,
    }


def conversation(
    conversation_id: UUID,
    *,
    inbox: Row,
    contact_id: UUID,
    handle: str,
    subject: str,
    preview: str,
    language: str,
    quarantined: bool,
    activity: datetime,
    now: datetime,
) -> dict[str, Any]:
    """A new conversation without messages; its number is given when it is written."""
    return {
        "id": conversation_id,
        "number": 0,
        "subject": subject,
        "contact_id": contact_id,
        "contact_handle": handle,
        "channel": inbox["channel"],
        "inbox_id": inbox["id"],
        "status": Status.OPEN.value,
        "priority": int(Priority.NORMAL),
        "category": None,
        "assignee_id": None,
        "team_id": inbox["team_id"],
        "preview": preview,
        "last_message_direction": None,
        "message_count": 0,
        "seq": 0,
        "version": 1,
        "last_incoming_seq": 0,
        "last_agent_seq": 0,
        "created_at": now,
        "updated_at": now,
        "last_activity_at": activity,
        "waiting_since": None,
        "next_due_at": None,
        "due_soon_at": None,
        "sla_paused": False,
        "snoozed_until": None,
        "language": language,
        "quarantined": quarantined,
        "status_changed_at": now,
        "assigned_at": None,
        "spam": False,
        "custom_fields": {},
        "merged_into_id": None,
    }


def participant(draft: dict[str, Any], person: Address, contact_id: UUID, *, now: datetime) -> dict[str, Any]:
    return {
        "conversation_id": draft["id"],
        "channel": draft["channel"],
        "handle": person.handle.lower(),
        "name": person.name,
        "contact_id": contact_id,
        "added_by": None,
        "created_at": now,
        "removed_at": None,
    }


def message(message_id: UUID, **given: Any) -> dict[str, Any]:
    """A message with every column; `given` overrides the defaults. `conversation_id`, `seq`, `type`, `channel`,
    `inbox_id`, `author_kind` and `created_at` have none."""
    return {
        "id": message_id,
        "private": False,
        "visibility": Visibility.DIRECT.value,
        "author_id": None,
        "author_name": "",
        "subject": "",
        "text": "",
        "html": None,
        "html_policy": 0,
        "new_text": "",
        "signature": "",
        "quoted": "",
        "to": [],
        "cc": [],
        "reply_to": [],
        "external_id": "",
        "external_url": "",
        "in_reply_to": "",
        "content_digest": "",
        "auto_submitted": None,
        "sender_verified": None,
        "trust_reasons": [],
        "notes": [],
        "language": "",
        "backfilled": False,
        "attachment_count": 0,
        "delivery_status": None,
        "received_at": None,
        "sent_at": None,
        "thread": "",
        "part_of": None,
        "answers": False,
        "hidden": False,
        "edited_at": None,
        "deleted_at": None,
    } | given


def incoming(
    message_id: UUID,
    admitted: Admitted,
    *,
    conversation: dict[str, Any],
    inbox: Row,
    raw: Row,
    contact_id: UUID,
    placement: Placement,
    reasons: Sequence[str],
    now: datetime,
) -> dict[str, Any]:
    return message(
        message_id,
        conversation_id=conversation["id"],
        seq=conversation["seq"],
        type=MessageType.INCOMING.value,
        channel=inbox["channel"],
        inbox_id=inbox["id"],
        author_kind=AuthorKind.CONTACT.value,
        author_id=contact_id,
        created_at=now,
        private=placement.private,
        sender_verified=placement.verified,
        trust_reasons=list(dict.fromkeys(reasons)),
        backfilled=raw["backfilled"],
        received_at=raw["received_at"],
        **content(admitted),
    )


def content(admitted: Admitted) -> dict[str, Any]:
    """The columns that come from what was read, and nothing from where it was placed."""
    return {
        "author_name": admitted.sender.name or admitted.sender.handle,
        "subject": admitted.subject,
        "text": admitted.text,
        "html": admitted.html,
        "html_policy": admitted.html_policy,
        "new_text": admitted.new_text,
        "signature": admitted.signature,
        "quoted": admitted.quoted,
        "to": people(admitted.to),
        "cc": people(admitted.cc),
        "reply_to": people(admitted.reply_to),
        "external_id": admitted.external_id,
        "external_url": admitted.external_url,
        "in_reply_to": admitted.in_reply_to,
        "content_digest": admitted.content_digest,
        "auto_submitted": admitted.automatic.value if admitted.automatic else None,
        "notes": list(admitted.notes),
        "language": admitted.language,
        "attachment_count": len(here(admitted.files)),
        "visibility": admitted.visibility,
        "thread": admitted.thread,
    }


def unreadable(
    message_id: UUID, conversation: dict[str, Any], raw: Row, *, contact_id: UUID, reason: str
) -> dict[str, Any]:
    """The entry that stands for a message nobody could read; its raw source is kept."""
    return message(
        message_id,
        conversation_id=conversation["id"],
        seq=conversation["seq"],
        type=MessageType.INCOMING.value,
        channel=conversation["channel"],
        inbox_id=conversation["inbox_id"],
        author_kind=AuthorKind.CONTACT.value,
        author_id=contact_id,
        notes=["unreadable", reason],
        backfilled=raw["backfilled"],
        received_at=raw["received_at"],
    )


def people(addresses: Iterable[Address]) -> list[dict[str, str]]:
    return [{"handle": address.handle, "name": address.name} for address in addresses]


def attachment(
    message_id: UUID | None, file: AdmittedFile, *, blob_id: UUID, size: int, now: datetime
) -> dict[str, Any]:
    return {
        "id": new_id(),
        "message_id": message_id,
        "blob_id": blob_id,
        "filename": file.filename,
        "content_type": file.content_type,
        "size": size,
        "inline": file.inline,
        "content_id": file.content_id,
        "uploaded_by": None,
        "created_at": now,
    }


def audit_entry(
    action: str, *, by: Actor, subject: tuple[str, UUID | None], now: datetime, **data: Any
) -> dict[str, Any]:
    return {
        "id": new_id(),
        "occurred_at": now,
        "actor_kind": by.kind.value,
        "actor_id": by.id,
        "action": action,
        "subject_type": subject[0],
        "subject_id": subject[1],
        "data": data,
    }
