"""The one place that every channel's text passes before it is stored, indexed, logged or published.

`admit` makes an `InboundMessage` fit for that: controls and sizes are dealt with, HTML is sanitised, files get
the names and types that they are shown with, the language is told. It is pure and runs where parsing runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from helpdesk.channels import (
    Address,
    Authentication,
    Automatic,
    Bounce,
    ChangeKind,
    InboundChange,
    InboundMessage,
    Post,
    Profile,
)
from helpdesk.domain import html, language
from helpdesk.domain.filenames import display_name
from helpdesk.domain.handoff_texts import without_link
from helpdesk.domain.media_types import safe_type

MAX_TEXT = 200_000
MAX_LINE = 500
MAX_LIST = 100
PREVIEW = 160

# Controls except tab and newline, the separators that some readers break lines at, and bidi overrides and isolates.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_UNWANTED_ASCII = dict.fromkeys(code for code in range(128) if _UNWANTED.match(chr(code)))
_SPACES = re.compile(r"\s+")
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class AdmittedFile:
    """An attachment with its display name and the type that it may be served as."""

    filename: str
    content_type: str
    body: bytes
    inline: bool
    content_id: str
    source: str

    @property
    def is_elsewhere(self) -> bool:
        """Its bytes are still with the vendor, to be fetched once the message is filed."""
        return bool(self.source) and not self.body


def here(files: Iterable[AdmittedFile]) -> tuple[AdmittedFile, ...]:
    """Those whose bytes have come with their message."""
    return tuple(file for file in files if not file.is_elsewhere)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A message as it may be stored."""

    external_id: str
    sender: Address
    subject: str
    text: str
    new_text: str
    signature: str
    quoted: str
    html: str | None
    html_policy: int
    preview: str
    language: str
    content_digest: str
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    tokens: tuple[tuple[str, str], ...]
    in_reply_to: str
    files: tuple[AdmittedFile, ...]
    automatic: Automatic | None
    bounce: Bounce | None
    authentication: Authentication
    suspect: tuple[str, ...]
    notes: tuple[str, ...]
    external_url: str
    visibility: str
    thread: str
    post: Post | None
    profile: Profile | None
    written_by_us: bool
    client_token: str
    recipient: Address | None


@dataclass(frozen=True, slots=True)
class AdmittedChange:
    """What became of a message, as it may be stored."""

    kind: ChangeKind
    external_id: str
    thread: str
    handle: str
    text: str
    at: datetime | None
    why: str


def admit(message: InboundMessage) -> Admitted:
    """Clean a parsed message. Idempotent in effect: what it gives, it would leave alone."""
    sender = _address(message.sender)
    text, cut = _body(message.text)
    new_text, _ = _body(message.new_text)
    if message.written_by_us:  # it may hold a link that is nobody's here
        text, new_text = without_link(text), without_link(new_text)
    shown = html.sanitise(message.html) if message.html else None
    files = tuple(
        AdmittedFile(
            filename=(name := display_name(file.filename, content_type=file.content_type)),
            content_type=safe_type(file.content_type, name, file.body[:4096]),
            body=file.body,
            inline=file.inline,
            content_id=line(file.content_id),
            source=line(file.source),
        )
        for file in message.attachments
    )
    subject = line(message.subject)
    notes = list(message.notes)
    if cut or (shown is not None and shown.truncated):
        notes.append("truncated")
    return Admitted(
        external_id=line(message.external_id),
        sender=sender,
        subject=subject,
        text=text,
        new_text=new_text,
        signature=_body(message.signature)[0],
        quoted=without_link(_body(message.quoted)[0]),
        html=shown.html if shown else None,
        html_policy=shown.policy_version if shown else 0,
        preview=preview(new_text or text),
        language=language.detect(new_text, text, subject),
        content_digest=_digest(message, files),
        to=_addresses(message.to),
        cc=_addresses(message.cc),
        reply_to=_addresses(message.reply_to),
        tokens=message.tokens[:50],
        in_reply_to=line(message.in_reply_to),
        files=files,
        automatic=message.automatic,
        bounce=message.bounce,
        authentication=message.authentication,
        suspect=message.suspect,
        notes=tuple(dict.fromkeys(notes)),
        external_url=line(message.external_url),
        visibility=message.visibility,
        thread=line(message.thread),
        post=_post(message.post) if message.post else None,
        profile=_profile(message.profile) if message.profile else None,
        written_by_us=message.written_by_us,
        client_token=line(message.client_token),
        recipient=_address(message.recipient) if message.recipient else None,
    )


def admit_change(change: InboundChange) -> AdmittedChange:
    """Clean what a parser says has become of a message."""
    return AdmittedChange(
        kind=change.kind,
        external_id=line(change.external_id),
        thread=line(change.thread),
        handle=line(change.handle),
        text=without_link(_body(change.text)[0]),
        at=change.at,
        why=line(change.why),
    )


def line(value: str) -> str:
    """One line of at most `MAX_LINE` characters, without controls."""
    return _SPACES.sub(" ", _clean(value[: MAX_LINE * 4])).strip()[:MAX_LINE]


def preview(text: str) -> str:
    """The beginning of a text on one line, for lists."""
    return _SPACES.sub(" ", text[: PREVIEW * 4]).strip()[:PREVIEW]


def _clean(value: str) -> str:
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    if value.isascii():  # most of it, in a quarter of the time
        return value.translate(_UNWANTED_ASCII)
    return _LONE_SURROGATES.sub("\ufffd", _UNWANTED.sub("", value))


def _body(value: str) -> tuple[str, bool]:
    return _clean(value[: MAX_TEXT + 1])[:MAX_TEXT], len(value) > MAX_TEXT


def _address(address: Address) -> Address:
    # Handles are compared in lower case, and the Kelvin sign is the one foreign letter whose lower case is a plain one.
    return Address(line(address.handle).replace("\u212a", "\ufffd"), line(address.name)[:120])


def _post(post: Post) -> Post:
    return Post(line(post.external_id), line(post.url), _body(post.text)[0], post.own)


def _profile(profile: Profile) -> Profile:
    return Profile(
        id=line(profile.id),
        handle=line(profile.handle),
        name=line(profile.name)[:120],
        url=line(profile.url),
        followers=profile.followers,
        verified=line(profile.verified).lower(),
        avatar_url=line(profile.avatar_url),
        created_at=profile.created_at,
    )


def _addresses(given: Iterable[Address]) -> tuple[Address, ...]:
    return tuple(_address(address) for address in list(given)[:MAX_LIST])


def _digest(message: InboundMessage, files: Iterable[AdmittedFile]) -> str:
    """What makes two deliveries the same message, whatever lines the servers on the way have added."""
    whole = sha256()
    for part in (message.sender.handle.lower(), message.subject, message.text):
        whole.update(part.encode("utf-8", "replace") + b"\0")
    for file in files:
        whole.update(sha256(file.body).digest())
    return whole.hexdigest()
