"""Visitors of live channels: their sessions, what proves who they are, and how a visit goes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, Index, LargeBinary, String
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, prose, ref, table_of, words


class VisitorSession(Base, table=True):
    """Someone at the website or in the app, for as long as he comes back: `expires_at` slides.

    `digest` is of his token, which nobody has but he. `handle` is the contact's on the channel. `subject` is the host
    site's own id of him, `email` an address that he proved or that the host site vouches for; `claimed_email` and
    `fields`, the answers to the form before the first message, are only what he said. A session that ended keeps its
    row, with `ended_at`, for as long as its messages' client ids count.

    The digest is unique where it counts, and only there: with an index of all rows, whoever replaces a token would wait
    for everybody who refers to the session, and a message that is just being said does.
    """

    __tablename__ = "visitor_sessions"
    __table_args__ = (
        Index("ix_visitor_sessions_handle", "inbox_id", "handle"),
        Index("uq_visitor_sessions_digest", "digest", unique=True, **only_where("ended_at IS NULL")),
    )

    id: UUID = key()
    inbox_id: UUID = ref("inboxes.id")
    contact_id: UUID = ref("contacts.id", index=True)
    digest: str = words()
    handle: str = words()
    subject: str = words()
    email: str = words()
    claimed_email: str = words()
    fields: dict[str, str] = json(dict)
    language: str = words()
    created_at: datetime = at()
    last_seen_at: datetime = at()
    expires_at: datetime = at()
    ended_at: datetime | None = at(nullable=True)


class VisitorMessage(Base, table=True):
    """What a session said under which of its own ids: saying it again is a no-op."""

    __tablename__ = "visitor_messages"

    session_id: UUID = Field(foreign_key="visitor_sessions.id", primary_key=True, ondelete="CASCADE")
    client_id: str = Field(primary_key=True, sa_type=String)
    message_id: UUID = ref("messages.id", index=True, ondelete="CASCADE")


class VisitorProof(Base, table=True):
    """A statement of a host site (`jti`) that was used, by its digest: it is good for one session."""

    __tablename__ = "visitor_proofs"
    __table_args__ = (Index("ix_visitor_proofs_expires", "expires_at"),)

    inbox_id: UUID = Field(foreign_key="inboxes.id", primary_key=True, ondelete="CASCADE")
    digest: str = Field(primary_key=True, sa_type=String)
    expires_at: datetime = at()


class VisitorCode(Base, table=True):
    """A code that was mailed to an address, to prove that it is the visitor's. The newest of a session counts.

    `digest` is keyed. `sealed` is the code, for the worker that writes the letter; it is forgotten with `sent_at`.
    """

    __tablename__ = "visitor_codes"
    __table_args__ = (
        Index("ix_visitor_codes_session", "session_id", "created_at"),
        Index("ix_visitor_codes_email", "email", "created_at"),
        Index("ix_visitor_codes_due", "created_at", **only_where("sent_at IS NULL")),
    )

    id: UUID = key()
    session_id: UUID = ref("visitor_sessions.id", ondelete="CASCADE")
    email: str = words()
    digest: str = prose()
    sealed: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)
    attempts: int = 0
    send_attempts: int = 0
    next_attempt_at: datetime = at()
    created_at: datetime = at()
    expires_at: datetime = at()
    sent_at: datetime | None = at(nullable=True)
    used_at: datetime | None = at(nullable=True)


class Visit(Base, table=True):
    """How a conversation of a live channel goes, beside the conversation itself.

    `feedback` is what a form in the app began: a chat goes on in it only where there is no other. `read_seq` is how
    far its contact has read. He is there until `online_until`, and writes until `typing_until`;
    both run out by themselves. `mail_due_at` is when what he has not read goes on by e-mail, and `mailed_seq` how far
    it did. `queued_at` is since when he waits in a queue for an agent, `joined_at` when the first one took it,
    `abandoned_at` when he left before that. `waited_seconds` is how long he waited in all, `missed` that nobody came.
    `responded_at` is when somebody first wrote to him, `ended_at` when it was last resolved.
    """

    __tablename__ = "visits"
    __table_args__ = (
        Index("ix_visits_mail_due", "mail_due_at", **only_where("mail_due_at IS NOT NULL")),
        Index("ix_visits_queued", "queued_at", "conversation_id", **only_where("queued_at IS NOT NULL")),
        Index("ix_visits_online", "online_until", **only_where("online_until IS NOT NULL")),
        Index("ix_visits_created", "created_at"),
    )

    conversation_id: UUID = Field(foreign_key="conversations.id", primary_key=True, ondelete="CASCADE")
    contact_id: UUID = ref("contacts.id", index=True)
    inbox_id: UUID = ref("inboxes.id")
    feedback: bool = Field(default=False, sa_type=Boolean)
    read_seq: int = 0
    online_until: datetime | None = at(nullable=True)
    typing_until: datetime | None = at(nullable=True)
    last_seen_at: datetime | None = at(nullable=True)
    mail_due_at: datetime | None = at(nullable=True)
    mailed_seq: int = 0
    queued_at: datetime | None = at(nullable=True)
    joined_at: datetime | None = at(nullable=True)
    abandoned_at: datetime | None = at(nullable=True)
    missed: bool = Field(default=False, sa_type=Boolean)
    waited_seconds: int = 0
    responded_at: datetime | None = at(nullable=True)
    ended_at: datetime | None = at(nullable=True)
    rating_asked_at: datetime | None = at(nullable=True)
    created_at: datetime = at()


visitor_sessions = table_of(VisitorSession)
visitor_messages = table_of(VisitorMessage)
visitor_proofs = table_of(VisitorProof)
visitor_codes = table_of(VisitorCode)
visits = table_of(Visit)
