"""Inboxes, what came into them, and who reads them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Index, LargeBinary, String, UniqueConstraint
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, prose, ref, table_of, words


class Inbox(Base, table=True):
    """One configured instance of a channel.

    `config` is public; `secrets` is sealed JSON. `key` is the inbox's own key, sealed by the master key. `handle` is
    the inbox's own address on its channel, in lower case, and unique there among the inboxes that are not deleted.
    `rating`: whoever wrote is asked for one when his conversation is resolved. `continued_by_id` is the inbox by which
    goes on what a visitor of a live channel did not read in time. `integration_replies_count`: what a bot answers ends
    clocks as an agent's answer does.
    """

    __tablename__ = "inboxes"
    __table_args__ = (
        Index(
            "uq_inboxes_channel_handle",
            "channel",
            "handle",
            unique=True,
            **only_where("deleted_at IS NULL AND handle <> ''"),
        ),
    )

    id: UUID = key()
    channel: str = words()
    name: str = words()
    handle: str = words()
    config: dict[str, Any] = json(dict)
    secrets: bytes = Field(default=b"", sa_type=LargeBinary)
    key: bytes = Field(sa_type=LargeBinary)
    state: str = words("active")
    team_id: UUID | None = ref("teams.id", nullable=True)
    business_hours_id: UUID | None = Field(default=None)
    sla_policy_id: UUID | None = Field(default=None)
    continued_by_id: UUID | None = Field(default=None)
    rating: bool = Field(default=False, sa_type=Boolean)
    integration_replies_count: bool = Field(default=False, sa_type=Boolean)
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()
    deleted_at: datetime | None = at(nullable=True)


class InboxMember(Base, table=True):
    """Who may work in an inbox that is not open to everybody (docs/decisions/0004)."""

    __tablename__ = "inbox_members"

    inbox_id: UUID = Field(foreign_key="inboxes.id", primary_key=True, ondelete="CASCADE")
    agent_id: UUID = Field(foreign_key="agents.id", primary_key=True, ondelete="CASCADE", index=True)


class InboxState(Base, table=True):
    """What receiving changes all the time, apart from the settings so that the two never collide."""

    __tablename__ = "inbox_states"

    inbox_id: UUID = Field(foreign_key="inboxes.id", primary_key=True, ondelete="CASCADE")
    cursor: dict[str, Any] = json(dict)
    last_success_at: datetime | None = at(nullable=True)
    failing_since: datetime | None = at(nullable=True)
    failing_reported_at: datetime | None = at(nullable=True)
    error_kind: str = words()
    error_detail: str = words()


class RawItem(Base, table=True):
    """What came in, byte for byte, encrypted. The row outlives its bytes as a tombstone, so that nothing comes twice.

    `state`: received → filed | duplicate | own | failed. `body` is in the row up to 256 kB, else `blob_id` names it.
    `data_key` is wrapped by the key of `key_owner` (`inbox:ID`, after filing `contact:ID`).
    """

    __tablename__ = "raw_items"
    __table_args__ = (
        UniqueConstraint("inbox_id", "position", name="uq_raw_items_inbox_position"),
        Index("ix_raw_items_inbox_digest", "inbox_id", "digest"),
        Index(
            "ix_raw_items_due",
            "next_attempt_at",
            **only_where("state = 'received'"),
        ),
    )

    id: UUID = key()
    inbox_id: UUID = ref("inboxes.id")
    position: str = words()
    digest: str = words()
    size: int = 0
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
    blob_id: UUID | None = ref("blobs.id", nullable=True)
    data_key: bytes = Field(default=b"", sa_type=LargeBinary)
    key_owner: str = words()
    hints: dict[str, Any] = json(dict)
    backfilled: bool = False
    received_at: datetime = at()
    created_at: datetime = at()
    state: str = words("received")
    error: str = prose()
    attempts: int = 0
    next_attempt_at: datetime = at()
    claimed_by: str = words()
    claimed_until: float = 0.0
    claim: int = 0
    message_id: UUID | None = Field(default=None, index=True)


class Blob(Base, table=True):
    """An encrypted object in the blob store. `digest` addresses owner and content; `name` is a random storage id."""

    __tablename__ = "blobs"

    id: UUID = key()
    digest: str = Field(unique=True, sa_type=String)
    name: str = words()
    size: int = 0
    data_key: bytes = Field(sa_type=LargeBinary)
    key_owner: str = words()
    created_at: datetime = at()


class Lease(Base, table=True):
    """Who does what only one may do. `fence` grows with each new owner; `expires_at` is the database's own time."""

    __tablename__ = "leases"

    name: str = Field(primary_key=True, sa_type=String)
    owner: str = words()
    fence: int = 0
    expires_at: float = 0.0


inboxes = table_of(Inbox)
inbox_members = table_of(InboxMember)
inbox_states = table_of(InboxState)
raw_items = table_of(RawItem)
blobs = table_of(Blob)
leases = table_of(Lease)
