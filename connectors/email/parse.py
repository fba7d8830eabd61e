"""`parse`: the bytes of a mail become an `InboundMessage`. Pure, and run in a process of its own under a time limit.

What a sender can claim is kept apart from what is known: the sender is the one `From` address and nothing else (a
different `Reply-To` or `Sender` is a note, not an identity), the verdict on it comes from our own server's field alone,
tokens are handed on unverified, and our own control fields (`X-Helpdesk-*`) are not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from connectors.email import authentication, automatic, body, bounces, headers, mime, quotes
from connectors.email.addresses import Mailbox, addresses, handle
from connectors.email.forwards import unwrap_forward, unwrap_forward_html
from connectors.email.headers import Headers
from helpdesk.channels import Address, Authentication, Automatic, Bounce, InboundMessage, RawInbound, Unreadable

if TYPE_CHECKING:
    from connectors.email.notifications import Notification

MAX_TOKENS = 50
MAX_ID = 900
MAX_SUBJECT = 2_000

_SHAPE = "([a-z0-9]{36})"
_NOTIFIED = {
    "bounce": Automatic.BOUNCE,
    "complaint": Automatic.FEEDBACK,
    "delivery": Automatic.DELIVERY_NOTICE,
}
_OWN_ID = re.compile(r"([a-z2-7]{36})\.[a-z2-7]{8,40}@", re.IGNORECASE)


def parse(raw: RawInbound, config: Mapping[str, Any]) -> InboundMessage:
    """Read a mail.

    `config` is the public part of `EmailConfig`; `raw.hints` may hold `mail_from` (empty for the null sender),
    `recipients`, `trusted_peer`, and from IMAP `truncated` and `unfetchable`. Raises Unreadable for what is no mail;
    beyond a limit it delivers what could be read, with the note `truncated`.
    """
    if not raw.body.strip():
        raise Unreadable(
            "The mail server could not hand this mail out."
            if raw.hints.get("unfetchable")
            else "This mail is empty: it has neither a header nor a text."
        )
    tree = mime.parse(raw.body)
    fields = tree.root.headers
    read = body.read(tree)
    if tree.truncated or raw.hints.get("truncated") or raw.hints.get("unfetchable"):
        read.note("truncated")
    sender, suspect = _sender(fields)
    null_sender = raw.hints.get("mail_from") == "" or fields.plain("return-path").strip() == "<>"
    kind, bounce = _nature(tree, read.text, sender=sender, null_sender=null_sender)
    if kind is Automatic.BOUNCE:
        # A mail system may sign with nothing (`From: <>`), and is not an impostor for that.
        suspect = tuple(word for word in suspect if word != "no_from")
    separated = _separate(read)
    references = headers.message_ids(fields.plain("references"))
    in_reply_to = headers.message_ids(fields.plain("in-reply-to"))
    reply_to = _people(fields.addresses("reply-to"))
    _note_differences(read, fields, sender, reply_to)
    message = InboundMessage(
        external_id=_external_id(fields, raw.body),
        sender=sender,
        text=read.text,
        new_text=separated.new_text,
        subject=fields.text("subject")[:MAX_SUBJECT],
        html=read.html,
        signature=separated.signature,
        quoted=separated.quoted,
        to=_people(fields.addresses("to")),
        cc=_people(fields.addresses("cc")),
        reply_to=reply_to,
        tokens=_tokens(fields, raw.hints, str(config.get("reply_address") or ""), [*in_reply_to, *references[::-1]]),
        in_reply_to=in_reply_to[0] if in_reply_to else "",
        references=tuple(references),
        attachments=tuple(read.attachments),
        automatic=kind,
        bounce=bounce,
        authentication=_authentication(fields, raw.hints, config, sender, suspect),
        suspect=suspect,
        notes=tuple(read.notes),
    )  # fmt: skip
    return _unforwarded(message, read, config)


def _sender(fields: Headers) -> tuple[Address, tuple[str, ...]]:
    """The one author, and the words for what is wrong with the From lines."""
    lines = fields.every("from")
    found = fields.addresses("from")
    suspect = []
    if len(lines) > 1 or len([each for each in found if each.address]) > 1:
        suspect.append("several_from")
    if any(each.group for each in found):
        suspect.append("group_from")
    first = next((each for each in found if "@" in each.address), None)
    if first is None:
        suspect.append("no_from")
        return Address("", found[0].name if found else ""), tuple(suspect)
    return _person(first), tuple(suspect)


def _person(box: Mailbox) -> Address:
    return Address(handle(box.address), box.name[:200])


def _people(boxes: Iterable[Mailbox]) -> tuple[Address, ...]:
    return tuple(_person(each) for each in boxes if "@" in each.address)


def _external_id(fields: Headers, data: bytes) -> str:
    ids = headers.message_ids(fields.plain("message-id"))
    if ids and len(ids[0]) <= MAX_ID:
        return ids[0]
    return f"sha256-{sha256(data).hexdigest()}"


def _nature(
    tree: mime.Tree, text: str, *, sender: Address, null_sender: bool
) -> tuple[Automatic | None, Bounce | None]:
    """What a mail is, if not a person's: complaints first, since they carry whole bounces as often as not."""
    complaint = bounces.feedback(tree.root, text)
    if complaint is not None:
        return Automatic.FEEDBACK, complaint
    told = _notification(text)
    if told is not None:
        named = _NOTIFIED[told.kind]
        return named, None if named is Automatic.DELIVERY_NOTICE else Bounce(told.recipients, told.ids)
    report = bounces.status_report(tree.root)
    kind = automatic.classify(
        tree.root,
        sender=sender.handle,
        null_sender=null_sender,
        receipt=report is not None and report.delivered and not report.failed,
    )
    if kind is Automatic.DELIVERY_NOTICE:
        refused = bounces.rejection(tree.root, text)
        return (kind, None) if refused is None else (Automatic.BOUNCE, refused)
    bounce = bounces.find(tree, text, report=report, null_sender=null_sender, says_reply=kind is Automatic.AUTO_REPLY)
    return (Automatic.BOUNCE, bounce) if bounce is not None else (kind, None)


def _notification(text: str) -> Notification | None:
    if not text[:64].lstrip().startswith("{"):
        return None
    from connectors.email import notifications

    return notifications.read(text)


def _separate(read: body.Body) -> quotes.Separated:
    """New text, signature and quotation. The HTML is asked first: it says outright what is a quotation, where the
    text that a program made of it only hints at it. It is not asked where it holds nothing new to read."""
    if read.html is not None:
        found = quotes.separate_html(read.html)
        if found.new_text.strip() or not read.written.strip():
            return found
    return quotes.separate(read.text)


def _tokens(
    fields: Headers, hints: Mapping[str, Any], reply_address: str, ids: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    """Candidates, unverified, the best first: the address that was written to, then the mail that was answered."""
    found: dict[tuple[str, str], None] = {}
    if "{token}" in reply_address:
        before, _, after = reply_address.lower().partition("{token}")
        pattern = re.compile(re.escape(before) + _SHAPE + re.escape(after))
        for address in _recipients(fields, hints):
            match = pattern.fullmatch(address.lower())
            if match is not None:
                found[("address", match[1])] = None
    for each in ids:
        match = _OWN_ID.match(each)
        if match is not None:
            found[("message_id", match[1].lower())] = None
    return tuple(found)[:MAX_TOKENS]


def _recipients(fields: Headers, hints: Mapping[str, Any]) -> Iterator[str]:
    for name in ("to", "cc", "delivered-to", "x-original-to"):
        for each in fields.addresses(name):
            yield handle(each.address)
    given = hints.get("recipients")
    for one in given if isinstance(given, (list, tuple)) else ():
        yield handle(str(one))


def _authentication(
    fields: Headers, hints: Mapping[str, Any], config: Mapping[str, Any], sender: Address, suspect: tuple[str, ...]
) -> Authentication:
    if hints.get("trusted_peer") is False or not sender.handle:
        return Authentication.NONE
    found = authentication.verdict(
        fields,
        authserv_id=str(config.get("authserv_id") or ""),
        inbox_domain=str(config.get("address") or "").rpartition("@")[2],
        from_domain=sender.handle.rpartition("@")[2],
    )
    # A verdict is on one author; of several the server may have judged another than the one that is shown.
    return Authentication.NONE if suspect and found is Authentication.PASS else found


def _note_differences(read: body.Body, fields: Headers, sender: Address, reply_to: tuple[Address, ...]) -> None:
    own = sender.handle.lower()
    if any(each.handle.lower() != own for each in reply_to):
        read.note("reply_to_differs")
    said = [each.address for each in fields.addresses("sender") if "@" in each.address]
    if "resent-from" in fields or any(handle(each).lower() != own for each in said):
        read.note("sender_header_differs")


def _unforwarded(message: InboundMessage, read: body.Body, config: Mapping[str, Any]) -> InboundMessage:
    """Gives a mail that a trusted forwarder passed on back to who wrote it.

    Only for a forwarder whom our server authenticated. The author in the forwarded header is the forwarder's word, so
    the message itself ends up unauthenticated.
    """
    trusted = {str(each).strip().lower() for each in config.get("trusted_forwarders") or ()}
    own = message.sender.handle.lower()
    if not trusted or message.authentication is not Authentication.PASS or message.automatic is not None:
        return message
    if own not in trusted and own.rpartition("@")[2] not in {each.lstrip("@") for each in trusted}:
        return message
    original = _original(read)
    if original is None:
        return message
    author, text = original
    if author.handle.lower() == own:
        return message
    separated = quotes.separate(text)
    return replace(
        message,
        sender=author,
        new_text=separated.new_text,
        signature=separated.signature,
        quoted=separated.quoted,
        authentication=Authentication.NONE,
        notes=(*message.notes, "forwarded_by_trusted"),
    )


def _original(read: body.Body) -> tuple[Address, str] | None:
    """The author and the text of a forwarded mail."""
    found = unwrap_forward(read.text)
    if found is None and read.html:
        found = unwrap_forward_html(read.html)
    if found is None:
        return None
    boxes = [each for each in addresses(found.sender[:1_000]) if "@" in each.address]
    return (_person(boxes[0]), found.body) if len(boxes) == 1 else None
