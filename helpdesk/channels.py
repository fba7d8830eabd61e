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
    │   ├── RateLimited         too fast
    │   └── BudgetSpent         what was paid for is used up until `retry_after`
    ├── PermanentFailure        the other side will never take this message
    │   ├── RecipientRefused    … for each of the recipients in `refusals`
    │   ├── WindowClosed        the other side takes no answer so long after the question
    │   └── TargetGone          what is answered was deleted
    ├── AuthenticationFailed    password, token or grant refused: nothing helps but a person
    │   └── AccessRevoked       … since the token or the app was taken away
    ├── Misconfigured           a mailbox that is not there, a setting the other side cannot serve
    │   ├── PermissionMissing   `detail` names the permission
    │   └── PlanChanged         the plan no longer offers this call
    └── Uncertain               the connection died after the final byte: it may have been taken

The `detail` of each is ours, one sentence that says what to do, and never the other side's text.
"""

from __future__ import annotations

import base64
import hashlib
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
    urgent: ClassVar[bool] = False
    """Only a person can end it: `inbox.failing` is told with the first one, not after some minutes."""


class TemporaryFailure(ChannelError):
    kind = "temporary"

    def __init__(self, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unreachable(TemporaryFailure):
    kind = "unreachable"


class RateLimited(TemporaryFailure):
    kind = "rate_limited"


class BudgetSpent(TemporaryFailure):
    kind = "budget"


class PermanentFailure(ChannelError):
    kind = "refused"


class RecipientRefused(PermanentFailure):
    kind = "recipient_refused"

    def __init__(self, detail: str, *, refusals: Sequence[Refusal]) -> None:
        super().__init__(detail)
        self.refusals = tuple(refusals)


class WindowClosed(PermanentFailure):
    kind = "window_closed"


class TargetGone(PermanentFailure):
    kind = "target_gone"


class AuthenticationFailed(ChannelError):
    kind = "authentication"
    urgent = True


class AccessRevoked(AuthenticationFailed):
    kind = "revoked"


class Misconfigured(ChannelError):
    kind = "misconfigured"


class PermissionMissing(Misconfigured):
    kind = "permission"
    urgent = True


class PlanChanged(Misconfigured):
    kind = "plan"
    urgent = True


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
class Profile:
    """An account as the vendor shows it to everybody.

    `id` never changes, `handle` may. `verified` is the vendor's word, in lower case.
    """

    id: str
    handle: str
    name: str = ""
    url: str = ""
    followers: int | None = None
    verified: str = ""
    avatar_url: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """What comments hang under. `own`: our account wrote it."""

    external_id: str
    url: str = ""
    text: str = ""
    own: bool = False


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
    """A part that is not the text. `content_type` is what the sender claims; the core decides what it is served as.

    `source` is what `FetchesMedia.fetch` understands, where the bytes are not here yet and `body` is empty.
    """

    filename: str
    content_type: str
    body: bytes
    inline: bool = False
    content_id: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A message as its channel understands it; the one place in intake makes it fit to be stored.

    `tokens` are strings that may hold one of our reply tokens, the best first, `(source, token)` with source `address`
    or `message_id`. `external_id` is the channel's id, or a digest where it gave none. `suspect` names what is wrong
    with the sender lines (`several_from`, `group_from`, ...): such a message is quarantined and joins nothing.
    `html` is raw; the core sanitises it. `new_text` is the text without quotes and signature.

    One author in one `thread` is one conversation (`dm:ID`, `post:ROOT`, `chat:ID`); where it is empty tokens decide,
    as for mail. `written_by_us` makes it an echo: our account wrote it, through this house or by other hands, to
    `recipient`; `client_token` is then what `OutboundMessage.client_token` was, where the vendor gives it back.
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
    thread: str = ""
    post: Post | None = None
    profile: Profile | None = None
    written_by_us: bool = False
    client_token: str = ""
    recipient: Address | None = None


class ChangeKind(StrEnum):
    """`NAMED` tells what the person at `handle` is called, which is `text`, where messages do not.

    `NOTHING` is kept as raw source and shown nowhere: a reaction, a kind that we do not know.
    """

    EDITED = "edited"
    DELETED = "deleted"
    HIDDEN = "hidden"
    SHOWN = "shown"
    DELIVERED = "delivered"
    READ = "read"
    NAMED = "named"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class InboundChange:
    """What happened to messages that were there before, instead of a new one.

    `external_id` names the message; `DELIVERED` and `READ` have none but `thread` and `at`: all of ours there up to
    that time. `why` is a stable word for `NOTHING` (`unknown_kind`, `reaction`). It may come before the message itself.
    """

    kind: ChangeKind
    external_id: str = ""
    thread: str = ""
    handle: str = ""
    text: str = ""
    at: datetime | None = None
    why: str = ""


Inbound = InboundMessage | InboundChange
"""What `parse` gives."""


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
    one that is answered. `thread` is the one it belongs to, and `post` the external id of what that hangs under.
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
    thread: str = ""
    post: str = ""


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
    """The channel took the message (for `accepted`, at least). `external_id` may differ from the composed one.

    `thread` is where his answer to this will come in, if that is another one: it is this conversation from now on.
    """

    external_id: str
    sent_at: datetime
    accepted: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    external_url: str = ""
    thread: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `inbox check`: what was tried, whether it worked, and what to do when it did not."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Length:
    """What a text weighs on the channel, and what it may weigh.

    `unit` is for the person who writes: `characters`, `weighted`, `utf-16` or `bytes`.
    """

    used: int
    limit: int
    unit: str = "characters"


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
    chains: bool = False
    """Whether a long public answer may go as several posts, each of which answers the one before."""
    hide: bool = False
    """Whether others' posts below ours can be hidden: `Moderates`."""
    looks_up: bool = True
    """False: an uncertain message can never be found again, so it is not sent again by itself; a person decides."""
    max_length: int | None = None
    """Of a public text, where the channel has no `measure`."""
    reply_window: timedelta | None = None
    """How long after his last direct message he can be answered directly."""
    private_reply_window: timedelta | None = None
    """So long after a public message its author can be written to directly, once for each. None: at any time."""


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
    channel: str = ""
    own: str = ""
    """The inbox's own handle."""
    active: bool = True


class ServiceHost(Protocol):
    """What the house hands to a channel-wide service (the SMTP door): it serves all inboxes of the channel."""

    guard: Guard
    settings: Mapping[str, Any]

    async def inboxes_by(self, key: str, value: str) -> Sequence[InboxView]:
        """Inboxes of this channel, paused ones too, whose public config has `value` (in lower case) at `key`."""

    async def accept(self, inbox_id: UUID, batch: Sequence[RawInbound]) -> int:
        """As `Host.accept`; there is no cursor, since the other side keeps what was not confirmed."""


class WebhookHost(Protocol):
    """What the house hands to the routes of a channel without visitors.

    What `accept` has taken is committed; nobody may answer 2xx before.
    """

    base_url: str

    async def inbox(self, inbox_id: UUID) -> InboxView:
        """With secrets, as it was two seconds ago at most, paused ones too. Raises `NotFound`."""

    async def inboxes(self) -> Sequence[InboxView]:
        """All inboxes of the folder's channels, likewise."""

    async def accept(self, inbox_id: UUID, batch: Sequence[RawInbound]) -> int:
        """As `ServiceHost.accept`."""

    async def unknown_account(self, inbox_id: UUID, account: str) -> None:
        """Something came for an account that no inbox has: an alert, once for each account."""


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
        """Look an uncertain message up at the other side; None: it is not there and is sent again.

        None also where it cannot be looked for and a second one does no harm, since both bear the same id.

        Raises `Uncertain` when that cannot be told, another `ChannelError` when it could not be asked now.
        """


@runtime_checkable
class FilesSent(Protocol):
    async def file_sent(self, message: Composed) -> None:
        """Keep a copy where the mailbox's owner expects it (an IMAP Sent mailbox). Best effort, idempotent."""


@runtime_checkable
class Checks(Protocol):
    async def check(self, *, send: bool = False) -> Sequence[Check]:
        """Try everything that the configuration promises; never raises."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A browser that asks for a grant (RFC 6749 section 4.1): what it is known by, and what it proves later."""

    redirect_uri: str
    state: str
    verifier: str

    @property
    def challenge(self) -> str:
        """The verifier as the provider is told of it beforehand (RFC 7636, S256)."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


@runtime_checkable
class AuthorizesInBrowser(Protocol):
    def consent_url(self, asked: Consent) -> str:
        """Where the browser goes. Raises `Misconfigured` where the inbox needs no consent, or none can be asked for."""

    async def redeem(self, code: str, asked: Consent) -> Mapping[str, str]:
        """What the browser brought back, for the secrets to store. Raises a `ChannelError`."""


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
class Moderates(Protocol):
    async def hide(self, external_id: str, *, hidden: bool) -> None:
        """Hide somebody's post from the others, or show it again. Idempotent. Raises a `ChannelError`."""


@runtime_checkable
class FetchesMedia(Protocol):
    async def fetch(self, source: str, *, max_bytes: int) -> bytes:
        """The bytes behind `InboundAttachment.source`. Raises a `ChannelError`, a permanent one when they are gone."""


@runtime_checkable
class KnowsItself(Protocol):
    async def profile(self) -> Profile:
        """Our own account, for comparing others with it."""


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
    base_url: str = ""
    """Where the house is reached from outside, for webhooks that are registered there."""


@dataclass(frozen=True, slots=True)
class Channel:
    """The descriptor of one folder. The strings are `module:name`, imported on first use.

    `config` is a pydantic model; fields of type `SecretStr` are stored encrypted and are write-only.
    `connector(config, house)` builds a `Connector`; `parse(raw, public_config)` makes an `Inbound`, on channels
    that accept raw items; `service(host)` is a context manager that serves the channel as a whole in each worker;
    `routes(host)` gives an `APIRouter`, mounted under `/channels/{name}`, and `pages(host)` one at the root.
    `address_key` names the config field that is the inbox's own handle.

    The routes of a live channel are handed a `LiveHost`, those of any other a `WebhookHost`. A folder with several
    channels exposes `CHANNELS` and names a `family`: all are served under `/channels/{family}`, by the first one's
    routes. `measure(text, visibility, config)` tells a text's `Length`: pure, and it imports nothing of the vendor's.
    On live channels `handoff(opened, *, inbox_id, language, title, text, style)` gives a page and its headers, which
    hand a visitor's browser the session that was opened for him; None where he may have one there already.
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
    measure: str = ""
    family: str = ""
    handoff: str = ""

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

    def load_webhooks(self) -> Callable[[WebhookHost], APIRouter]:
        found: Callable[[WebhookHost], APIRouter] = load(self.routes)
        return found

    def load_handoff(self) -> Callable[..., tuple[str, Mapping[str, str]]]:
        found: Callable[..., tuple[str, Mapping[str, str]]] = load(self.handoff)
        return found

    def load_measure(self) -> Callable[[str, str, Mapping[str, Any]], Length]:
        found: Callable[[str, str, Mapping[str, Any]], Length] = load(self.measure)
        return found

    def load_pages(self) -> Callable[[LiveHost], APIRouter]:
        found: Callable[[LiveHost], APIRouter] = load(self.pages)
        return found


def load(path: str) -> Any:
    """Import `module:name`."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
