"""The port: everything that the core and a channel know of each other.

A channel is one folder in `connectors/`. Its package exposes `CHANNEL`, a `Channel` descriptor, which is cheap to
import; what it points at (`"package.module:name"`) is imported when it is first needed.

A mail, a post, a chat line comes in twice over. First as `RawInbound`: bytes with a position, which `Host.accept`
stores together with the advanced cursor in one commit. Then the channel's `parse` makes an `InboundMessage` of those
bytes, in a process of its own with limits, as often as anyone likes: it is a pure function of the bytes and the
inbox's public configuration.

Errors that a connector raises:

    ChannelError
    ├── TemporaryFailure        try again later, after `retry_after` seconds if the other side said so
    │   ├── Unreachable         no connection, time-out, TLS failure
    │   └── RateLimited         too fast
    ├── PermanentFailure        the other side will never take this message
    │   └── RecipientRefused    … for each of the recipients in `refusals`
    ├── AuthenticationFailed    password, token or grant refused: nothing helps but a person
    ├── Misconfigured           a mailbox that is not there, a setting the other side cannot serve
    └── Uncertain               the connection died after the final byte: it may have been taken
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable
from uuid import UUID

from helpdesk.errors import HelpdeskError

if TYPE_CHECKING:
    from fastapi import APIRouter
    from pydantic import BaseModel

    from helpdesk.live import LiveHost
    from helpdesk.net import Guard


class ChannelError(HelpdeskError):
    """The root of what a connector raises. `kind` is a stable word for logs, `doctor` and `inbox check`."""

    kind: ClassVar[str] = "channel"


class TemporaryFailure(ChannelError):
    kind = "temporary"

    def __init__(self, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unreachable(TemporaryFailure):
    kind = "unreachable"


class RateLimited(TemporaryFailure):
    kind = "rate_limited"


class PermanentFailure(ChannelError):
    kind = "refused"


class RecipientRefused(PermanentFailure):
    kind = "recipient_refused"

    def __init__(self, detail: str, *, refusals: Sequence[Refusal]) -> None:
        super().__init__(detail)
        self.refusals = tuple(refusals)


class AuthenticationFailed(ChannelError):
    kind = "authentication"


class Misconfigured(ChannelError):
    kind = "misconfigured"


class Uncertain(ChannelError):
    kind = "uncertain"


class Unreadable(ChannelError):
    """Raised by `parse`. The raw bytes stay, and the entry says `detail` to the agent."""

    kind = "unreadable"


@dataclass(frozen=True, slots=True)
class Address:
    """Someone on a channel. `handle` identifies (a mail address, its domain in lower case), `name` is shown."""

    handle: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class RawInbound:
    """What came in, before anybody looked into it.

    `position` is unique in the inbox for ever (mail by IMAP: `mailbox;uidvalidity;uid`), so that receiving it again is
    a no-op. `hints` is small JSON that the transport knows and the bytes do not say (envelope sender and recipients,
    whether the peer's Authentication-Results are believed). `backfilled` items are filed without an acknowledgement,
    rule, alert or clock; with the hint `over`, what they begin is resolved from the start.
    """

    position: str
    body: bytes
    received_at: datetime
    hints: Mapping[str, Any] = field(default_factory=dict)
    backfilled: bool = False


class Automatic(StrEnum):
    """Why a message is not a person speaking to us. Each is stored and shown; none is ever acknowledged."""

    AUTO_REPLY = "auto_reply"
    BULK = "bulk"
    LIST = "list"
    BOUNCE = "bounce"
    DELIVERY_NOTICE = "delivery_notice"
    FEEDBACK = "feedback"
    NO_REPLY = "no_reply"


class Authentication(StrEnum):
    """A trusted verdict on the sender, or none."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """One recipient of a bounce. `status` is the enhanced code of RFC 3463 (`5.1.1`) or empty; `reason` one line."""

    address: str
    permanent: bool
    status: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Bounce:
    """A failed or delayed delivery, told by a mail. `original_ids` are Message-IDs found in the returned part."""

    recipients: tuple[FailedRecipient, ...]
    original_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InboundAttachment:
    """A part that is not the text. `content_type` is what the sender claims; the core decides what it is served as."""

    filename: str
    content_type: str
    body: bytes
    inline: bool = False
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A message as its channel understands it; the one place in intake makes it fit to be stored.

    `tokens` are strings that may hold one of our reply tokens, the best first, `(source, token)` with source `address`
    or `message_id`. `external_id` is the channel's id, or a digest where it gave none. `suspect` names what is wrong
    with the sender lines (`several_from`, `group_from`, ...): such a message is quarantined and joins nothing.
    `html` is raw; the core sanitises it. `new_text` is the text without quotes and signature.
    """

    external_id: str
    sender: Address
    text: str
    new_text: str
    subject: str = ""
    html: str | None = None
    signature: str = ""
    quoted: str = ""
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    tokens: tuple[tuple[str, str], ...] = ()
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    attachments: tuple[InboundAttachment, ...] = ()
    automatic: Automatic | None = None
    bounce: Bounce | None = None
    authentication: Authentication = Authentication.NONE
    suspect: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    external_url: str = ""
    visibility: str = "direct"


@dataclass(frozen=True, slots=True)
class OutboundAttachment:
    filename: str
    content_type: str
    body: bytes
    inline: bool = False
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """The message that is answered, for channels that quote history."""

    author: str
    text: str
    html: str | None
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """What an agent or the house wants said. `token` is the reply token, empty where the channel carries none.

    `client_token` is fixed for the life of the message: vendors that know idempotency get it. `automatic` is set on
    acknowledgements and the like (RFC 3834); `references` are external ids, the oldest first, and `in_reply_to` the
    one that is answered.
    """

    message_id: UUID
    client_token: str
    to: tuple[Address, ...]
    text: str
    created_at: datetime
    html: str | None = None
    subject: str = ""
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    author: str = ""
    token: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    attachments: tuple[OutboundAttachment, ...] = ()
    quote: Quote | None = None
    automatic: bool = False
    language: str = "en"
    visibility: str = "direct"


@dataclass(frozen=True, slots=True)
class Composed:
    """A message frozen: exactly these bytes, to exactly these recipients, under this id, however often it is tried.

    `accepted` are recipients that an earlier attempt already delivered to; they are never sent to again.
    """

    external_id: str
    body: bytes
    sender: str
    recipients: tuple[str, ...]
    accepted: tuple[str, ...] = ()
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient that was refused: `code` as the protocol gave it (`550 5.1.1`), never free text from outside."""

    recipient: str
    permanent: bool
    code: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The channel took the message (for `accepted`, at least). `external_id` may differ from the composed one."""

    external_id: str
    sent_at: datetime
    accepted: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    external_url: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `inbox check`: what was tried, whether it worked, and what to do when it did not."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel can do; the core asks this and never for a channel's name."""

    html: bool = False
    subject: bool = False
    attachments: bool = False
    cc: bool = False
    tokens: bool = False
    acknowledge: bool = False
    public_replies: bool = False
    direct_replies: bool = True
    read_receipts: bool = False
    typing: bool = False
    deferrable: bool = False
    letters: bool = False
    """Whether it can carry a letter to any address: alerts reach agents by it."""
    live: bool = False
    """Whether its readers read the conversation itself (`helpdesk.live`): what is written is delivered by that."""
    max_length: int | None = None
    reply_window: timedelta | None = None


class Host(Protocol):
    """What the house hands to a running connector. Every method may raise `LeaseLost`: stop then, at once."""

    inbox_id: UUID
    guard: Guard

    async def accept(self, batch: Sequence[RawInbound], *, cursor: Mapping[str, Any] | None = None) -> int:
        """Store the raw items and the advanced cursor in one commit; answer how many were new. Idempotent."""

    async def cursor(self) -> Mapping[str, Any]:
        """The cursor of the last commit, `{}` for a new inbox."""

    async def known(self, prefix: str) -> frozenset[str]:
        """Positions that start with `prefix`, for reconciliation and for rescans."""

    async def digests(self, digests: Sequence[str]) -> frozenset[str]:
        """Which of these SHA-256 hex digests of raw bytes this inbox already holds (a rescan after a new epoch)."""

    async def save_secrets(self, changed: Mapping[str, str]) -> None:
        """Store rotated secrets (a refresh token) before they are used."""

    async def succeeded(self) -> None:
        """The other side was reached and there is nothing more to fetch: the inbox is well."""

    async def failed(self, error: ChannelError) -> None:
        """An attempt failed; the connector goes on trying with backoff, the house decides when to raise the alarm."""


class LeaseLost(HelpdeskError):
    """Another worker has taken the inbox over."""

    slug, status, title = "lease_lost", 409, "Another worker reads this inbox now"


@dataclass(frozen=True, slots=True)
class InboxView:
    """An inbox as a channel-wide service sees it."""

    inbox_id: UUID
    config: BaseModel


class ServiceHost(Protocol):
    """What the house hands to a channel-wide service (the SMTP door): it serves all inboxes of the channel."""

    guard: Guard
    settings: Mapping[str, Any]

    async def inboxes_by(self, key: str, value: str) -> Sequence[InboxView]:
        """Inboxes of this channel, paused ones too, whose public config has `value` (in lower case) at `key`."""

    async def accept(self, inbox_id: UUID, batch: Sequence[RawInbound]) -> int:
        """As `Host.accept`; there is no cursor, since the other side keeps what was not confirmed."""


class Connector(Protocol):
    """The two methods that every channel has. One instance serves one inbox."""

    async def run(self, host: Host) -> None:
        """Receive until cancelled. Connection trouble is retried inside, with backoff, and told to `host.failed`."""

    async def send(self, message: OutboundMessage | Composed, *, at_final: Callable[[], Awaitable[None]]) -> Receipt:
        """Send one message. Raises a `ChannelError`.

        `at_final` is awaited right before the bytes after which the other side may have taken the message: a mail's
        final dot, a request to a vendor. It commits that fact. When it raises, nothing more may be sent; once
        it returned, any failure that is not an answer of the other side is `Uncertain`.
        """


@runtime_checkable
class Composer(Protocol):
    def compose(self, message: OutboundMessage) -> Composed:
        """Freeze a message. Pure; it may raise `PermanentFailure`."""


@runtime_checkable
class FindsSent(Protocol):
    async def find_sent(self, message: Composed) -> Receipt | None:
        """Look an uncertain message up at the other side; None when it cannot be found or looked for."""


@runtime_checkable
class FilesSent(Protocol):
    async def file_sent(self, message: Composed) -> None:
        """Keep a copy where the mailbox's owner expects it (an IMAP Sent mailbox). Best effort, idempotent."""


@runtime_checkable
class Checks(Protocol):
    async def check(self, *, send: bool = False) -> Sequence[Check]:
        """Try everything that the configuration promises; never raises."""


@runtime_checkable
class Authorizes(Protocol):
    async def authorize(self, tell: Callable[[str], None]) -> Mapping[str, str]:
        """Fetch the first grant, telling the person what to do; returns the secrets to store."""


@runtime_checkable
class Backfills(Protocol):
    async def backfill(
        self, host: Host, *, since: datetime | None, dry_run: bool, tell: Callable[[int, int], None]
    ) -> int:
        """Accept older messages as `backfilled`; answers how many there are. `tell(done, total)` shows progress."""


@runtime_checkable
class Closes(Protocol):
    async def close(self) -> None:
        """Let go of pooled connections."""


@dataclass(frozen=True, slots=True)
class House:
    """What a connector is built with, besides its configuration: the guard, and where files may be written.

    `stored_secrets` reads the inbox's secrets as they are now: another process may have rotated one since.
    """

    guard: Guard
    inbox_id: UUID
    outgoing: str
    save_secrets: Callable[[Mapping[str, str]], Awaitable[None]]
    stored_secrets: Callable[[], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class Channel:
    """The descriptor of one folder. The strings are `module:name`, imported on first use.

    `config` is a pydantic model; fields of type `SecretStr` are stored encrypted and are write-only.
    `connector(config, house)` builds a `Connector`; `parse(raw, public_config)` makes an `InboundMessage`, on channels
    that accept raw items; `service(host)` is a context manager that serves the channel as a whole in each worker;
    `routes(host)` gives an `APIRouter`, mounted under `/channels/{name}`, and `pages(host)` one at the root.
    `address_key` names the config field that is the inbox's own handle.
    """

    name: str
    title: str
    capabilities: Capabilities
    config: str
    connector: str
    parse: str = ""
    address_key: str = ""
    service: str = ""
    routes: str = ""
    pages: str = ""

    def load_config(self) -> type[BaseModel]:
        found: type[BaseModel] = load(self.config)
        return found

    def load_connector(self) -> Callable[[BaseModel, House], Connector]:
        found: Callable[[BaseModel, House], Connector] = load(self.connector)
        return found

    def load_service(self) -> Callable[[ServiceHost], AbstractAsyncContextManager[object]]:
        found: Callable[[ServiceHost], AbstractAsyncContextManager[object]] = load(self.service)
        return found

    def load_routes(self) -> Callable[[LiveHost], APIRouter]:
        found: Callable[[LiveHost], APIRouter] = load(self.routes)
        return found

    def load_pages(self) -> Callable[[LiveHost], APIRouter]:
        found: Callable[[LiveHost], APIRouter] = load(self.pages)
        return found


def load(path: str) -> Any:
    """Import `module:name`."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
