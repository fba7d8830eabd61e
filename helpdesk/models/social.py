"""What public channels add to conversations: threads, posts, accounts, files to be fetched, and ways elsewhere."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlmodel import Field

from helpdesk.models.columns import Base, at, key, only_where, prose, ref, table_of, words


class Post(Base, table=True):
    """What comments hang under. `own`: our account wrote it."""

    __tablename__ = "posts"
    __table_args__ = (UniqueConstraint("inbox_id", "external_id", name="uq_posts_inbox_external"),)

    id: UUID = key()
    inbox_id: UUID = ref("inboxes.id", ondelete="CASCADE")
    external_id: str = words()
    url: str = prose()
    text: str = prose()
    own: bool = False
    created_at: datetime = at()


class ConversationThread(Base, table=True):
    """Where what one author says in one thread is filed. The row moves on to his next conversation there."""

    __tablename__ = "conversation_threads"
    __table_args__ = (
        Index("ix_conversation_threads_conversation", "conversation_id"),
        Index("ix_conversation_threads_post", "post_id", **only_where("post_id IS NOT NULL")),
    )

    inbox_id: UUID = Field(foreign_key="inboxes.id", primary_key=True, ondelete="CASCADE")
    handle: str = Field(primary_key=True)
    thread: str = Field(primary_key=True)
    conversation_id: UUID = ref("conversations.id", ondelete="CASCADE")
    post_id: UUID | None = ref("posts.id", nullable=True)
    created_at: datetime = at()


class SocialAccount(Base, table=True):
    """An account as its channel showed it last; `inbox_id` is set on our own.

    `avatar_hash` is a signed perceptual hash of 64 bits. Nobody has compared it with ours while `checked_at` is empty.
    """

    __tablename__ = "social_accounts"
    __table_args__ = (
        UniqueConstraint("channel", "external_id", name="uq_social_accounts_channel_external"),
        Index("ix_social_accounts_handle", "channel", "handle"),
        Index("ix_social_accounts_unchecked", "id", **only_where("checked_at IS NULL")),
    )

    id: UUID = key()
    channel: str = words()
    external_id: str = words()
    handle: str = words()
    name: str = prose()
    url: str = prose()
    avatar_url: str = prose()
    avatar_hash: int | None = Field(default=None, sa_type=BigInteger, nullable=True)
    followers: int | None = Field(default=None, sa_type=BigInteger, nullable=True)
    verified: str = words()
    vendor_created_at: datetime | None = at(nullable=True)
    inbox_id: UUID | None = ref("inboxes.id", nullable=True, ondelete="CASCADE")
    checked_at: datetime | None = at(nullable=True)
    created_at: datetime = at()
    updated_at: datetime = at()


class InboundMedium(Base, table=True):
    """A file of a message whose bytes are still with the vendor: `waiting → done | failed`."""

    __tablename__ = "inbound_media"
    __table_args__ = (
        Index("ix_inbound_media_due", "next_attempt_at", **only_where("state = 'waiting'")),
        Index("ix_inbound_media_message", "message_id"),
    )

    id: UUID = key()
    message_id: UUID = ref("messages.id", ondelete="CASCADE")
    inbox_id: UUID = ref("inboxes.id")
    source: str = prose()
    filename: str = words()
    content_type: str = words()
    state: str = words("waiting")
    attempts: int = 0
    error: str = prose()
    created_at: datetime = at()
    next_attempt_at: datetime = at()
    claimed_by: str = words()
    claimed_until: float = 0.0
    claim: int = 0


class PendingChange(Base, table=True):
    """What became of a message that has not come yet; it is applied when that is filed."""

    __tablename__ = "pending_changes"
    __table_args__ = (Index("ix_pending_changes_message", "inbox_id", "external_id"),)

    id: UUID = key()
    inbox_id: UUID = ref("inboxes.id", ondelete="CASCADE")
    external_id: str = words()
    kind: str = words()
    text: str = prose()
    happened_at: datetime = at()
    created_at: datetime = at()


class Handoff(Base, table=True):
    """A link by which a conversation goes on elsewhere, once: `open → used | void`.

    Only a digest of its secret is kept. `message_id` is the message that carries it, which only he reads.
    """

    __tablename__ = "handoffs"
    __table_args__ = (
        UniqueConstraint("digest", name="uq_handoffs_digest"),
        Index("ix_handoffs_conversation", "conversation_id"),
    )

    id: UUID = key()
    conversation_id: UUID = ref("conversations.id", ondelete="CASCADE")
    message_id: UUID | None = Field(default=None)
    by_inbox_id: UUID = ref("inboxes.id")
    to_inbox_id: UUID = ref("inboxes.id")
    digest: str = words()
    state: str = words("open")
    created_by: UUID | None = Field(default=None)
    created_at: datetime = at()
    expires_at: datetime = at()
    used_at: datetime | None = at(nullable=True)
    session_id: UUID | None = Field(default=None)


class Fingerprint(Base, table=True):
    """What a public message is like, whose `id` it has: `value` of 64 bits, in bands (`domain.similarity`), for days.

    `head_id` is the conversation of the first of them, once so many say the same that it is a flood.
    """

    __tablename__ = "fingerprints"
    __table_args__ = tuple(
        Index(f"ix_fingerprints_band{band}", "inbox_id", f"band{band}", "created_at") for band in range(4)
    )

    id: UUID = Field(foreign_key="messages.id", primary_key=True, ondelete="CASCADE")
    inbox_id: UUID
    conversation_id: UUID
    author_id: UUID
    value: int = Field(sa_type=BigInteger)
    band0: int
    band1: int
    band2: int
    band3: int
    head_id: UUID | None = Field(default=None)
    created_at: datetime = at()


posts = table_of(Post)
conversation_threads = table_of(ConversationThread)
social_accounts = table_of(SocialAccount)
inbound_media = table_of(InboundMedium)
pending_changes = table_of(PendingChange)
handoffs = table_of(Handoff)
fingerprints = table_of(Fingerprint)
