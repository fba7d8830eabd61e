"""Messages, their attachments, and how they leave."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Integer, LargeBinary, UniqueConstraint
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, prose, ref, table_of, words


class Message(Base, table=True):
    """One entry of a conversation; `private` makes it a note.

    `html` is sanitised (by `html_policy`). `new_text` is the text without quotes and signature. `content_digest` tells
    the same mail delivered twice from two mails that claim one id. `delivery_status` repeats the delivery's status, so
    that a list needs no join.

    `thread` is where on the channel it stands. A chain of posts is one answer: `part_of` is the first of them. With
    `answers` a bot's message ends the clocks that an agent's would. What was deleted there stays here.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("conversation_id", "seq", name="uq_messages_conversation_seq"),
        Index("ix_messages_external", "external_id", "inbox_id"),
        # For reports: see SlaClock.
        Index("ix_messages_created", "created_at", postgresql_using="brin"),
    )

    id: UUID = key()
    conversation_id: UUID = ref("conversations.id", ondelete="CASCADE")
    seq: int = 0
    type: str = words()
    private: bool = False
    channel: str = words()
    inbox_id: UUID = ref("inboxes.id")
    visibility: str = words("direct")
    author_kind: str = words()
    author_id: UUID | None = Field(default=None)
    author_name: str = prose()
    subject: str = prose()
    text: str = prose()
    html: str | None = prose(nullable=True)
    html_policy: int = Field(default=0, sa_type=Integer)
    new_text: str = prose()
    signature: str = prose()
    quoted: str = prose()
    to: list[dict[str, str]] = json(list)
    cc: list[dict[str, str]] = json(list)
    reply_to: list[dict[str, str]] = json(list)
    external_id: str = words()
    external_url: str = prose()
    in_reply_to: str = prose()
    content_digest: str = prose()
    auto_submitted: str | None = words(nullable=True)
    sender_verified: bool | None = Field(default=None, nullable=True)
    trust_reasons: list[str] = json(list)
    notes: list[str] = json(list)
    language: str = words()
    backfilled: bool = False
    attachment_count: int = 0
    delivery_status: str | None = words(nullable=True)
    received_at: datetime | None = at(nullable=True)
    created_at: datetime = at()
    sent_at: datetime | None = at(nullable=True)
    thread: str = prose()
    part_of: UUID | None = Field(default=None)
    answers: bool = False
    hidden: bool = False
    edited_at: datetime | None = at(nullable=True)
    deleted_at: datetime | None = at(nullable=True)


class Attachment(Base, table=True):
    """A file of a message; `message_id` is empty while an upload waits to be sent."""

    __tablename__ = "attachments"

    id: UUID = key()
    message_id: UUID | None = ref("messages.id", nullable=True, index=True, ondelete="CASCADE")
    blob_id: UUID = ref("blobs.id")
    filename: str = words()
    content_type: str = words()
    size: int = 0
    inline: bool = False
    content_id: str = words()
    uploaded_by: UUID | None = Field(default=None)
    created_at: datetime = at()


class Delivery(Base, table=True):
    """The way out of one message: `queued → sending → sent | failed`, or `uncertain` after the final byte.

    `body` is the frozen message, encrypted with `data_key`; it, `sender` and `recipients` are written once, before the
    first attempt. `final_at` is set just before the final byte: a worker that died without it can be repeated safely.
    It leaves once the one of `after_id` is sent. `delivered_at` and `read_at` are what the channel says of him.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(
            "ix_deliveries_due",
            "automatic",
            "next_attempt_at",
            **only_where("status IN ('queued', 'sending', 'uncertain')"),
        ),
    )

    message_id: UUID = Field(foreign_key="messages.id", primary_key=True, ondelete="CASCADE")
    inbox_id: UUID = ref("inboxes.id")
    status: str = words("queued")
    automatic: bool = False
    token: str = prose()
    to: list[dict[str, str]] = json(list)
    cc: list[dict[str, str]] = json(list)
    bcc: list[dict[str, str]] = json(list)
    external_id: str = words()
    sender: str = prose()
    recipients: list[str] = json(list)
    accepted: list[str] = json(list)
    refused: list[dict[str, Any]] = json(list)
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
    data_key: bytes = Field(default=b"", sa_type=LargeBinary)
    attempts: int = 0
    resends: int = 0
    error: str = prose()
    created_at: datetime = at()
    next_attempt_at: datetime = at()
    give_up_at: datetime = at()
    final_at: datetime | None = at(nullable=True)
    claimed_by: str = words()
    claimed_until: float = 0.0
    claim: int = 0
    copied: bool = False
    after_id: UUID | None = Field(default=None)
    delivered_at: datetime | None = at(nullable=True)
    read_at: datetime | None = at(nullable=True)


class Acknowledgement(Base, table=True):
    """What became of a new conversation's acknowledgement: `queued`, or why there is none."""

    __tablename__ = "acknowledgements"
    __table_args__ = (
        Index("ix_acknowledgements_handle", "handle", "created_at"),
        Index("ix_acknowledgements_inbox", "inbox_id", "created_at"),
    )

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    inbox_id: UUID = ref("inboxes.id")
    handle: str = words()
    outcome: str = words()
    message_id: UUID | None = Field(default=None)
    created_at: datetime = at()


class AutomaticReply(Base, table=True):
    """What a rule has said to a contact. `address` is a keyed digest of his: it is counted by, and says nothing."""

    __tablename__ = "automatic_replies"
    __table_args__ = (
        Index("ix_automatic_replies_address", "address", "created_at"),
        Index("ix_automatic_replies_inbox", "inbox_id", "created_at"),
    )

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    rule_id: UUID = Field(primary_key=True)
    message_id: UUID = Field()
    inbox_id: UUID = Field()
    address: str = words()
    created_at: datetime = at()


messages = table_of(Message)
attachments = table_of(Attachment)
deliveries = table_of(Delivery)
acknowledgements = table_of(Acknowledgement)
automatic_replies = table_of(AutomaticReply)
