"""The other half of the port: channels on which people are there, and read along while somebody writes.

A mail is taken in and answered later. A visitor of a live channel (the website's chat, an app) has a session, says
things that are in the conversation at once, and reads the conversation itself: what is written there is delivered by
that. The database is the log, and connections only carry it. Every item has the conversation's `seq`; what a visitor
may not see (notes) leaves holes, so that each item also names the one before it that he may see.

A channel with `Capabilities.live` gets a `LiveHost` for its `routes`. Refusals are `HelpdeskError`s with fixed slugs;
no text of an exception reaches a visitor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel

from helpdesk.errors import HelpdeskError


class SessionRefused(HelpdeskError):
    """No session has this token: it was never given out, is spent, or was revoked."""

    slug, status, title = "session_refused", 401, "Begin a new session"


class IdentityRefused(HelpdeskError):
    """What the host site says of a visitor is not believed: wrong signature, audience or time, or used before."""

    slug, status, title = "identity_refused", 403, "The identity was refused"


class ProofRefused(HelpdeskError):
    """A code that was sent by mail is wrong, spent or too old."""

    slug, status, title = "proof_refused", 403, "The code was refused"


@dataclass(frozen=True, slots=True)
class Hours:
    """Whether the inbox is open, and when that changes next."""

    open: bool
    next_open_at: datetime | None
    next_close_at: datetime | None


@dataclass(frozen=True, slots=True)
class LiveInbox:
    """An active inbox. `config` holds its secrets as well.

    `attended`: it is open, and somebody who may answer in it is there. `continued`: what stays unread can go on by
    e-mail. `categories` are what triage knows, by name, each with its title in en, zh-CN and zh-TW.
    """

    inbox_id: UUID
    name: str
    config: BaseModel
    hours: Hours
    attended: bool
    continued: bool
    categories: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the host site says that a visitor is: its own id of him, and what it vouches for.

    `proof` names this one statement (a JWT's `jti`), which is good for one session, until `expires_at`.
    """

    subject: str
    proof: str
    expires_at: datetime
    name: str = ""
    email: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A session. `handle` is the contact's handle on the channel; `identified` by the host site or a code by mail.

    `email` is an address that he has proved, or that the host site vouches for, else empty. `conversation_id` is the
    one that his next message would join, None where that would open one. `digest` is of the token by which he came.

    `contact_id` is who he has shown himself to be. An agent who merges that contact into another one, which points
    there from then on, gives the visitor nothing to read that he has not shown to be his.
    """

    session_id: UUID
    inbox_id: UUID
    contact_id: UUID
    handle: str
    identified: bool
    email: str
    language: str
    conversation_id: UUID | None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was just begun. `token` is told once. `head_seq` is the last seq of what he may see."""

    token: str
    visitor: Visitor
    head_seq: int
    expires_at: datetime


class ItemKind(StrEnum):
    """What a log is made of."""

    MESSAGE = "message.new"
    STATE = "conversation.state"
    JOINED = "agent.joined"


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of what a visitor may see. `prev_seq` is the seq of the entry before it that he may see, 0 for none.

    `data` is JSON. Of a message: `{id, client_id?, author: {kind, name}, text, channel, attachments, created_at}` with
    author kind `visitor`, `agent`, `bot` or `system`, `client_id` only on what this session said, and each attachment
    `{id, filename, content_type, size}`. Of a state: `{state: queued|assigned|resolved|closed, rating}`, the last one
    saying whether a rating is asked for. Of a joining: `{name}`.
    """

    kind: ItemKind
    seq: int
    prev_seq: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Log:
    """Entries in order of seq. `more`: there are further ones in the direction that was asked for.

    `conversation_id` is None while there is no conversation; it is another one than the visitor had where that was
    merged, and seqs are then its own.
    """

    conversation_id: UUID | None
    head_seq: int
    items: Sequence[Item]
    more: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A message as it was stored. `repeated`: it had been said before under this client id, and this is that one."""

    message_id: UUID
    conversation_id: UUID
    seq: int
    created_at: datetime
    repeated: bool


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a form in the app sends with a message: it opens a conversation of its own, tagged `feedback`."""

    category: str = ""
    app_version: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it is kept: `content_type` is what it will be served as, whatever was claimed."""

    id: UUID
    filename: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Passing:
    """Something that is only true for a moment, has no seq, and may be lost: `typing`, `presence` or `queue`.

    `typing {name, ttl}`, seconds; `presence {attended}`; `queue {position, eta}`: the place in the queue from 1 on,
    and seconds, or None where there is no honest guess.
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Ended(StrEnum):
    """Why a subscription gives no more."""

    TOKEN = "token"  # noqa: S105 - why, not a token
    SLOW = "slow"
    REPLACED = "replaced"
    CLOSING = "closing"
    """The server stops: come back at once, to another one."""


@dataclass(frozen=True, slots=True)
class Anew:
    """The conversation is another one by now (merged, or a new one was begun), or the gap is too long: `resync`."""

    conversation_id: UUID | None
    head_seq: int


Heard = Item | Passing | Anew


class Subscription(Protocol):
    """What happens from one seq on, in order, each item once. One reader."""

    ended: Ended | None

    async def take(self) -> Sequence[Heard]:
        """Waits for the next, and answers all that wait. Empty once it has ended; `ended` then says why.

        Cancelling it loses nothing: the next call answers what this one would have.
        """


class LiveHost(Protocol):
    """What the house hands to the routes of a live channel. Each call is one transaction of its own.

    A `Visitor` is good for the request that looked his token up. Whoever keeps one (a connection) hears within seconds
    that the session has ended, or has another token by now: `Ended.TOKEN`.
    """

    base_url: str
    max_upload_bytes: int
    most_connected: int
    """So many subscriptions there may be in this process."""
    demo: bool
    """Whether a page may show the channel to whoever asks."""

    async def inboxes(self) -> Sequence[LiveInbox]:
        """The active ones of the channel, the oldest first. Cached for seconds."""

    async def inbox(self, inbox_id: UUID) -> LiveInbox:
        """Raises `NotFound`, also for one that is paused or of another channel. Cached for seconds."""

    async def open(
        self,
        inbox_id: UUID,
        *,
        identity: Identity | None,
        name: str,
        email: str,
        language: str,
        fields: Mapping[str, str],
    ) -> Opened:
        """Begin a session. A claimed `email` is noted for the agent and proves nothing; `fields` are the form's.

        Raises `IdentityRefused` for a proof that was used before.
        """

    async def visitor(self, token: str) -> Visitor:
        """Whose token this is. His session lasts from now on. Raises `SessionRefused`."""

    async def identify(self, visitor: Visitor, identity: Identity) -> Opened:
        """An anonymous visitor says who he is: his contact is merged, his token replaced. Raises `IdentityRefused`."""

    async def log_out(self, visitor: Visitor) -> None:
        """End the session, and all that is open under it."""

    async def say(
        self,
        visitor: Visitor,
        *,
        client_id: str,
        text: str,
        attachment_ids: Sequence[UUID],
        feedback: Feedback | None = None,
    ) -> Said:
        """Store a message, once per client id of the session. Raises `Invalid`, `NotFound` for an upload, `TooMany`."""

    async def log_after(self, visitor: Visitor, seq: int, *, limit: int) -> Log:
        """What he may see after this seq, the oldest first."""

    async def log_before(self, visitor: Visitor, seq: int | None, *, limit: int) -> Log:
        """The last entries before this seq (None: of all), still the oldest first.

        Below zero is what he said before a merge, and in the conversation that he had before this one.
        """

    async def read(self, visitor: Visitor, seq: int) -> None:
        """He has read up to here. Never goes back."""

    async def typing(self, visitor: Visitor, *, ttl: float) -> None:
        """He writes, for so many seconds; 0: no longer."""

    async def upload(self, visitor: Visitor, *, filename: str, content_type: str, body: bytes) -> Upload:
        """Keep a file until it is sent. Raises `Invalid` for a type that is not taken, `TooLarge`, `TooMany`."""

    async def file(self, visitor: Visitor, attachment_id: UUID) -> tuple[Upload, bytes]:
        """A file of what he may see, or his own upload. Raises `NotFound`."""

    def subscribe(
        self, visitor: Visitor, *, after: int, conversation_id: UUID | None
    ) -> AbstractAsyncContextManager[Subscription]:
        """Everything after this seq of that conversation, from the log first and then as it happens.

        One too many of a visitor's ends his first. Entering raises `Unavailable` where the process has as many as it
        serves. Being there is what counts as being online.
        """

    async def claim_email(self, visitor: Visitor, email: str) -> None:
        """Send a code to this address. Says nothing of whether we know it. Raises `Invalid`, `TooMany`."""

    async def prove_email(self, visitor: Visitor, code: str) -> Opened:
        """The code that was sent: the address is his, his history with it. The token is replaced.

        Raises `ProofRefused`.
        """

    async def rate(self, visitor: Visitor, *, score: int, comment: str) -> None:
        """Rate the conversation, which is resolved. Raises `Conflict` while it is not, or where nobody asks."""

    async def send_transcript(self, visitor: Visitor) -> None:
        """Mail him what he may see of the conversation. Raises `Conflict` without a proved address, `TooMany`."""

    async def leave(self, visitor: Visitor) -> None:
        """He ends the chat: it is resolved, and his next message opens it again."""
