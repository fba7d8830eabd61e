"""A reply becomes a mail: frozen bytes, a fixed Message-ID, an envelope. Pure, and the same for the same input."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from email.utils import format_datetime

from connectors.email import outgoing_headers as headers
from connectors.email.config import EmailConfig
from connectors.email.outgoing_headers import BadAddress, Header
from connectors.email.outgoing_parts import Part, attachment_part, is_content_id, multipart, text_part
from connectors.email.outgoing_texts import html_body, text_body
from helpdesk.channels import (
    Address,
    Composed,
    OutboundMessage,
    PermanentFailure,
    RecipientRefused,
    Refusal,
)

REFERENCES = 20
_REPLY_PREFIX = re.compile(
    r"(?:(?:re|aw|sv|vs|antw|odp|回复|回覆|答复|答覆|返信)\s*(?:\[\d{1,3}\])?\s*[:：]\s*)+", re.IGNORECASE
)


def compose(config: EmailConfig, message: OutboundMessage) -> Composed:
    """Freeze a message.

    Raises RecipientRefused naming the recipients that are no addresses, and PermanentFailure when there is none at
    all or when the built headers would not be read back as they are meant.
    """
    to, cc, bcc = _checked(message)
    domain = headers.addr_spec(config.address).rpartition("@")[2]
    nonce = _nonce(message)
    local = f"{message.token}.{nonce}" if message.token else nonce
    external_id = f"{local}@{domain}"
    content = _content(config, message)
    lines = [
        ("Date", format_datetime(message.created_at.replace(microsecond=0))),
        *_people(config, message, to, cc),
        *_subject(message),
        *_thread(message, external_id),
        *_automatic(message),
        ("MIME-Version", "1.0"),
        *content.headers,
    ]
    recipients = tuple(dict.fromkeys(person.handle for person in (*to, *cc, *bcc)))
    return Composed(
        external_id=external_id,
        body=Part(tuple(lines), content.body).encode(),
        sender="" if message.automatic else headers.addr_spec(config.address),
        recipients=recipients,
        automatic=message.automatic,
    )


def _checked(message: OutboundMessage) -> tuple[list[Address], list[Address], list[Address]]:
    """To, Cc and Bcc with each address brought to its written form, everyone once."""
    bad: list[Refusal] = []
    seen: set[str] = set()

    def good(people: Sequence[Address]) -> list[Address]:
        found = []
        for person in people:
            try:
                handle = headers.addr_spec(person.handle)
            except BadAddress:
                bad.append(Refusal(person.handle, permanent=True, code="553 5.1.3"))
                continue
            if handle.lower() not in seen:
                seen.add(handle.lower())
                found.append(replace(person, handle=handle))
        return found

    groups = good(message.to), good(message.cc), good(message.bcc)
    if bad:
        raise RecipientRefused("A recipient is not an address that mail can be sent to", refusals=bad)
    if not seen:
        raise PermanentFailure("The message has no recipient")
    return groups


def _nonce(message: OutboundMessage) -> str:
    seed = f"message-id {message.client_token} {message.message_id}".encode()
    return base64.b32encode(hashlib.sha256(seed).digest()[:15]).decode().lower()


def _people(
    config: EmailConfig, message: OutboundMessage, to: Sequence[Address], cc: Sequence[Address]
) -> list[Header]:
    own = Address(headers.addr_spec(config.address), config.display_name or message.author)
    groups = [("From", [own])]
    if config.reply_address and message.token:
        reply_to = headers.addr_spec(config.reply_address.replace("{token}", message.token))
        groups.append(("Reply-To", [Address(reply_to, config.display_name)]))
    groups += [(name, list(people)) for name, people in (("To", to), ("Cc", cc)) if people]
    lines = []
    for name, people in groups:
        line = headers.addresses(name, people)
        headers.verify_addresses(line, people)
        lines.append(line)
    if not to and not cc:
        # RFC 5322 lets a mail go without To; filters do not. An empty group tells nothing about who got it.
        lines.append(("To", "undisclosed-recipients:;"))
    return lines


def _subject(message: OutboundMessage) -> list[Header]:
    subject = headers.one_line(message.subject, headers.SUBJECT_LENGTH)
    if message.in_reply_to and not message.automatic:
        prefix = _REPLY_PREFIX.match(subject)
        subject = f"Re: {subject[prefix.end() :] if prefix else subject}".rstrip()
    return [headers.text("Subject", subject)] if subject else []


def _thread(message: OutboundMessage, external_id: str) -> list[Header]:
    lines = [("Message-ID", f"<{external_id}>")]
    parent = headers.message_id(message.in_reply_to)
    found = [headers.message_id(one) for one in message.references]
    ids = [one for one in dict.fromkeys(found) if one and one != parent] + ([parent] if parent else [])
    if len(ids) > REFERENCES:
        # The first is the root that threading goes by; what lies far back between is what RFC 5322 lets one drop.
        ids = [ids[0], *ids[1 - REFERENCES :]]
    if parent:
        lines.append(("In-Reply-To", parent))
    if ids:
        lines.append(("References", headers.fold("References", ids)))
    return lines


def _automatic(message: OutboundMessage) -> list[Header]:
    if not message.automatic:
        return []
    # RFC 3834 section 5; the other two are what Exchange and older systems look at.
    return [
        ("Auto-Submitted", "auto-replied" if message.in_reply_to else "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("Precedence", "auto_reply"),
    ]


def _content(config: EmailConfig, message: OutboundMessage) -> Part:
    seed = f"{message.client_token} {message.message_id}"
    signature = "" if message.automatic else config.signature
    quote = None if message.automatic else message.quote
    shown = [a for a in message.attachments if a.inline and message.html is not None and is_content_id(a.content_id)]
    text = text_body(message.text, signature=signature, quote=quote, language=message.language)
    page = html_body(message.text, message.html, signature=signature, quote=quote, language=message.language)
    rich = multipart(
        "related",
        [text_part("html", page), *(attachment_part(a, related=True) for a in shown)],
        seed=seed,
        type="text/html",
    )
    both = multipart("alternative", [text_part("plain", text, ("format", "flowed")), rich], seed=seed)
    files = [attachment_part(a, related=False) for a in message.attachments if a not in shown]
    return multipart("mixed", [both, *files], seed=seed)
