"""Contacts and how they are reached."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, UniqueConstraint
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, prose, ref, table_of, words


class Contact(Base, table=True):
    """Someone who writes to us. `key` is his own key, sealed by the master key: without it his raw mail is noise."""

    __tablename__ = "contacts"
    __table_args__ = (Index("ix_contacts_created", "created_at", "id"),)

    id: UUID = key()
    name: str = words()
    language: str = words()
    key: bytes = Field(sa_type=LargeBinary)
    custom_fields: dict[str, Any] = json(dict)
    blocked: bool = False
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class ContactIdentity(Base, table=True):
    """A handle on a channel. `handle` is compared in lower case; `automatic_held_at` stops automatic mail to it."""

    __tablename__ = "contact_identities"
    __table_args__ = (UniqueConstraint("channel", "handle", name="uq_contact_identities_channel_handle"),)

    id: UUID = key()
    contact_id: UUID = ref("contacts.id", index=True, ondelete="CASCADE")
    channel: str = words()
    handle: str = words()
    display: str = prose()
    verified: bool = False
    automatic_held_at: datetime | None = at(nullable=True)
    created_at: datetime = at()


contacts = table_of(Contact)
contact_identities = table_of(ContactIdentity)
