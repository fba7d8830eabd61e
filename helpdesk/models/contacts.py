"""Contacts and how they are reached."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, UniqueConstraint
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, prose, ref, table_of, words


class Contact(Base, table=True):
    """Someone who writes to us. `key` is his own key, sealed by the master key: without it his raw mail is noise.

    `merged_into_id` is whom he turned out to be, never another merged one.
    """

    __tablename__ = "contacts"
    __table_args__ = (
        Index("ix_contacts_created", "created_at", "id"),
        Index("ix_contacts_custom", "id", **only_where("custom_fields <> '{}'")),
        Index("ix_contacts_merged", "merged_into_id", **only_where("merged_into_id IS NOT NULL")),
    )

    id: UUID = key()
    name: str = words()
    language: str = words()
    key: bytes = Field(sa_type=LargeBinary)
    custom_fields: dict[str, Any] = json(dict)
    blocked: bool = False
    merged_into_id: UUID | None = Field(default=None)
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class ContactMerge(Base, table=True):
    """Two contacts who were one. `moved` holds the identities and conversations that went over: it can be undone."""

    __tablename__ = "contact_merges"

    id: UUID = key()
    contact_id: UUID = ref("contacts.id", index=True, ondelete="CASCADE")
    into_id: UUID = ref("contacts.id", index=True, ondelete="CASCADE")
    moved: dict[str, Any] = json(dict)
    merged_by: UUID | None = Field(default=None)
    created_at: datetime = at()
    undone_at: datetime | None = at(nullable=True)


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
contact_merges = table_of(ContactMerge)
contact_identities = table_of(ContactIdentity)
