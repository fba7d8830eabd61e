"""The body of a mail, chosen and joined: one text, one HTML, and everything else as attachments (RFC 8621, 4.1.4)."""

from __future__ import annotations

import html as markup
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from connectors.email import body_parts, flowed, mime, tnef, transfer
from connectors.email.html_text import html_to_text
from helpdesk.channels import InboundAttachment

MAX_TEXT = 1_000_000
MAX_HTML = 2_000_000
MAX_ATTACHMENTS = 200

_NAME_JUNK = re.compile(r"[\x00-\x1f\x7f]+")
_MESSAGES = ("message/rfc822", "message/global")
_SUFFIXES = {"jpeg": "jpg", "plain": "txt", "calendar": "ics", "rfc822": "eml", "svg+xml": "svg", "x-vcard": "vcf"}
_REPORT_TYPES = ("message/delivery-status", "message/global-delivery-status", "text/rfc822-headers")


@dataclass(slots=True)
class Body:
    """`html` is None where the mail has none. `notes` are stable words, in the order found."""

    text: str = ""
    html: str | None = None
    written: str = ""  # the plain-text parts alone, empty where the text had to be made of HTML
    attachments: list[InboundAttachment] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)

    def note(self, word: str) -> None:
        self.notes[word] = None


def read(tree: mime.Tree) -> Body:
    """Decodes every part once."""
    found = Body()
    sorted_parts = body_parts.sort(tree.root)
    plain = [part for part in sorted_parts.text if part.content_type == "text/plain"]
    rich = [part for part in sorted_parts.html if part.content_type == "text/html"]
    texts = {id(part): _plain(part, found) for part in plain}
    if rich:
        found.html = _join_html([part for part in sorted_parts.html if not part.is_media], texts, found)
    if any(each.strip() for each in texts.values()) or not rich:
        # An HTML part that stands between text parts, and not beside one, is text as well.
        shown = [part for part in sorted_parts.text if not part.is_media]
        found.text = "\n".join(
            texts[id(part)].rstrip("\n") if id(part) in texts else html_to_text(_html(part, found)) for part in shown
        )
        found.written = found.text if not any(id(part) not in texts for part in shown) else ""
    elif found.html is not None:
        found.text = html_to_text(found.html)
    used = {id(part) for part in plain} | {id(part) for part in rich}
    related = {
        id(child) for node in tree.root.walk() if node.content_type == "multipart/related" for child in node.children
    }
    for part in tree.root.walk():
        if not part.is_multipart and (id(part) not in used or part.is_doubtful):
            _attach(part, found, related=id(part) in related)
            if not found.text and found.html is None and id(part) not in used and _is_readable(part):
                found.text = found.written = _plain(part, found).rstrip("\n")
    _describe(tree.root, found)
    return found


def _plain(part: mime.Part, found: Body) -> str:
    text, guessed = part.text()
    if guessed:
        found.note("charset_guessed")
    text = _bounded(text, MAX_TEXT, found)
    text, files = flowed.take_uuencoded(text)
    for name, lines in files[:MAX_ATTACHMENTS]:
        found.attachments.append(
            InboundAttachment(_clean_name(name), "application/octet-stream", transfer.from_uuencode(lines))
        )
    if part.parameters.get("format", "").lower() == "flowed":
        text = flowed.unflow(text, delsp=part.parameters.get("delsp", "").lower() == "yes")
    return text


def _html(part: mime.Part, found: Body) -> str:
    text, guessed = part.text()
    if guessed:
        found.note("charset_guessed")
    return _bounded(text, MAX_HTML, found)


def _bounded(text: str, limit: int, found: Body) -> str:
    if "\x00" in text:
        text = text.replace("\x00", "")
    if "\r" in text:
        text = text.replace("\r", "\n")
    if len(text) > limit:
        found.note("truncated")
        return text[:limit]
    return text


def _join_html(parts: list[mime.Part], texts: dict[int, str], found: Body) -> str:
    """One document of several parts; plain text between them is escaped and keeps its lines."""
    pieces = [
        f"<div>{markup.escape(texts[id(part)], quote=False).replace(chr(10), '<br>')}</div>"
        if id(part) in texts
        else _html(part, found)
        for part in parts
    ]
    return _bounded("\n".join(pieces), MAX_HTML, found)


def _is_readable(part: mime.Part) -> bool:
    """Whether a part that is no body by the rules (text/enriched, text/markdown) is better shown than nothing."""
    return (
        part.content_type.startswith("text/")
        and part.disposition != "attachment"
        and not part.filename
        and part.content_type not in (*_REPORT_TYPES, "text/calendar")
    )


def _attach(part: mime.Part, found: Body, *, related: bool) -> None:
    if len(found.attachments) >= MAX_ATTACHMENTS:
        found.note("truncated")
        return
    content = part.content()
    if tnef.is_tnef(part.content_type, part.filename):
        found.note("tnef")
        inside = tnef.unpack(content)
        if inside is not None and (inside.files or inside.html or inside.text):
            found.attachments.extend(_unpacked(inside, found))
            return
    if not part.filename and not (content.strip() if part.is_doubtful else content):
        return
    inline = part.disposition == "inline" or (related and part.disposition != "attachment")
    found.attachments.append(
        InboundAttachment(
            filename=_filename(part, content, len(found.attachments) + 1),
            content_type=part.content_type,
            body=content,
            inline=inline and bool(part.content_id),
            content_id=part.content_id,
        )
    )


def _unpacked(inside: tnef.Contents, found: Body) -> Iterator[InboundAttachment]:
    if not found.text.strip():
        if inside.html:
            found.html = found.html or _bounded(inside.html, MAX_HTML, found)
        found.text = found.written = _bounded(inside.text, MAX_TEXT, found)
        if not found.text.strip() and found.html:
            found.text, found.written = html_to_text(found.html), ""
    for number, (name, content) in enumerate(inside.files, 1):
        yield InboundAttachment(_clean_name(name) or f"attachment-{number}.bin", "application/octet-stream", content)


def _filename(part: mime.Part, content: bytes, number: int) -> str:
    """The name given, else one that says what it is; never a path, never with control characters."""
    name = _clean_name(part.filename)
    if name:
        return name
    kind = part.content_type.partition("/")[2]
    if part.content_type in _MESSAGES:
        subject = mime.header_fields(content[:64_000]).text("subject")
        name = _clean_name(subject)[:80].strip()
        return f"{name or 'message'}.eml"
    if part.content_type in _REPORT_TYPES:
        return "report.txt"
    suffix = _SUFFIXES.get(kind, kind if kind.isalnum() and len(kind) <= 5 else "bin")
    return f"attachment-{number}.{suffix}"


def _clean_name(name: str) -> str:
    name = _NAME_JUNK.sub(" ", name).replace("\\", "/").rpartition("/")[2]
    return " ".join(name.split())[:200]


def _describe(root: mime.Part, found: Body) -> None:
    """Words for what an agent should know of the parts."""
    for part in root.walk():
        kind = part.content_type
        if kind == "multipart/signed" or kind in ("application/pgp-signature", "application/pkcs7-signature"):
            found.note("signed")
        elif kind == "multipart/encrypted":
            found.note("encrypted")
        elif kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
            found.note("signed" if "signed" in part.parameters.get("smime-type", "").lower() else "encrypted")
        elif kind in ("text/calendar", "application/ics"):
            found.note("calendar")
        elif kind == "message/partial":
            found.note("partial")
    if "-----BEGIN PGP " in found.text:
        if "-----BEGIN PGP MESSAGE-----" in found.text:
            found.note("encrypted")
        elif "-----BEGIN PGP SIGNED MESSAGE-----" in found.text:
            found.note("signed")
