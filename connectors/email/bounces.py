"""Mail about mail: what could not be delivered (RFC 3464 and the forms older than it), and who complained (RFC 5965).

A report in the standard form is believed as it stands. The free forms are recognised by two signs at least - who sends,
what the subject says, how the text begins - since a person who writes about a bounce shows one of them.
A false bounce does harm only together with one of our Message-IDs in it; the core verifies those.

`bounce_text` is imported where it is needed: its expressions take 20 ms to compile, and few mails are bounces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from connectors.email import headers, mime
from connectors.email.addresses import addresses, handle
from connectors.email.headers import Headers
from helpdesk.channels import Bounce, FailedRecipient

MAX_RECIPIENTS = 100
_REPORT_BYTES = 256_000

_DAEMON = re.compile(
    r"mailer[-_.]?daemon|post[-_]?master|poostmaster|mail[-_.]?daemon|mdaemon|mail-?delivery|double-bounce"
    r"|mmdf|lsmtp|bounce-?notif",
    re.IGNORECASE,
)
_DAEMON_NAME = re.compile(
    r"mail\s{0,2}deliver|delivery\s{0,2}(?:sub)?system|mail\s{0,2}(?:sub)?system|mailer[-\s]?daemon|postmaster"
    r"|system administrator|non-?delivery|delivery (?:notification|status)",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"undeliver(?:able|ed)|deliver(?:y|ing)\b.{0,40}\b(?:fail|problem|error|warning|delay|status"
    r"|notification|unsuccess)"
    r"|fail(?:ure|ed)?\b.{0,30}\b(?:deliver|notice|mail)|(?:mail|message|delivery"
    r"|processing).{0,20}\b(?:fail|error|reject|return)"
    r"|return(?:ed|ing)\b.{0,20}\b(?:mail|message|sender|to sender)|non[- ]?deliver|non[- ]remis"
    r"|not\b.{0,12}\bdelivered"
    r"|could not (?:be deliver|send)|user unknown|couldn'?t be delivered|error sending|loop alert|mail ?system ?error"
    r"|unzustellbar|nicht zugestellt|non remis|échec|no se (?:ha )?p(?:udo|uede) entregar|mancato recapito"
    r"|не доставлено|недоставлен|退信|投递失败|传输失败|发送失败|無法傳遞|无法传递"
    r"|送信(?:できません|エラー)|配信(?:不能|エラー)|未送達",
    re.IGNORECASE,
)
_MAIL_SUBJECT = re.compile(
    r"undeliver(?:able|ed)|deliver(?:y|ing)\b.{0,40}\b(?:fail|problem|error|warning|delay|status"
    r"|notification)|failure notice"
    r"|mail.{0,20}\b(?:fail|reject|return)|return(?:ed|ing)\b.{0,20}\b(?:mail|to sender)|non[- ]?deliver"
    r"|not be delivered"
    r"|loop alert|mail ?system ?error|unzustellbar|退信|无法传递|無法傳遞|未送達|配信不能|不达",
    re.IGNORECASE,
)
_ANSWERED = re.compile(r"\s*(?:re|aw|sv|antw|rif|fwd?|wg|tr|回复|回覆|答复|转发|轉寄)\s*[:：]", re.IGNORECASE)
_ACTIONS_FAILED = ("failed", "failure", "fail", "hard", "error")
_ACTIONS_DELAYED = ("delayed", "delay", "warning", "soft")
_RETURNED = (
    "message/rfc822",
    "message/global",
    "message/rfc822-headers",
    "message/global-headers",
    "text/rfc822-headers",
    "text/rfc822-header",
)
_COMPLAINT = re.compile(r"\s{0,4}(?:complaint about message|(?:spam|abuse|feedback|fbl) report)", re.IGNORECASE)
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_ID_FIELD = re.compile(
    r"^[ \t>|]{0,12}(?:X-)?(?:Original-)?Message-Id\s{0,3}:\s{0,20}(<[^<>\n]{3,400}>)", re.MULTILINE | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says: `failed` are the failed and delayed recipients, `delivered` is set if any was served."""

    failed: tuple[FailedRecipient, ...] = ()
    delivered: bool = False


def is_daemon(address: str) -> bool:
    """Whether an address is the mail system's own."""
    return bool(_DAEMON.match(address))


def find(
    tree: mime.Tree, text: str, *, report: Report | None, null_sender: bool, says_reply: bool = False
) -> Bounce | None:
    """The bounce that this mail is, or None.

    `text` is the body as text, `report` what `status_report` found. With `says_reply` the mail calls itself an
    automatic reply: then only a report, or a mail system as its sender, makes it a bounce.
    """
    failed: Iterable[FailedRecipient] = report.failed if report is not None else ()
    if not failed:
        if says_reply and report is None and not _signed_by_system(tree.root.headers):
            return None
        if report is None and not _looks_like_one(tree.root, text, null_sender=null_sender):
            return None
        failed = _from_text(tree.root, text)
    return Bounce(tuple(_once(failed))[:MAX_RECIPIENTS], original_ids(tree.root, text))


def _is_delivery_report(root: mime.Part) -> bool:
    return root.content_type == "multipart/report" and root.parameters.get("report-type", "").lower() in (
        "delivery-status",
        "",
    )


def _looks_like_one(root: mime.Part, text: str, *, null_sender: bool) -> bool:
    fields = root.headers
    if _is_delivery_report(root) or "x-failed-recipients" in fields:
        return True
    from_system = _from_system(fields, null_sender=null_sender)
    subject = fields.text("subject")[:300]
    if not from_system and (not _MAIL_SUBJECT.search(subject) or _ANSWERED.match(subject)):
        return False
    from connectors.email import bounce_text

    if from_system:
        return (bool(_SUBJECT.search(subject)) and not _ANSWERED.match(subject)) or bounce_text.opens_like_a_bounce(
            text
        )
    # Anyone may write under such a subject, of a transfer that failed: only a report names a mailbox in its way.
    return bounce_text.opens_like_a_bounce(text) and bool(
        bounce_text.recipients(text, exclude=(), delayed=False, clear=True)
    )


def _from_system(fields: Headers, *, null_sender: bool) -> bool:
    return null_sender or fields.plain("return-path").strip() in ("<>", "<MAILER-DAEMON>") or _signed_by_system(fields)


def _signed_by_system(fields: Headers) -> bool:
    found = fields.addresses("from")
    return not found or any(is_daemon(each.address) or _DAEMON_NAME.search(each.name) for each in found[:1])


def _from_text(root: mime.Part, text: str) -> list[FailedRecipient]:
    from connectors.email import bounce_text

    own = {
        each.address.lower()
        for name in ("to", "delivered-to", "from", "reply-to")
        for each in root.headers.addresses(name)
    }
    delayed = bounce_text.tells_of_delay(root.headers.text("subject") + "\n" + text)
    named = [each.address for each in root.headers.addresses("x-failed-recipients") if "@" in each.address]
    found = bounce_text.recipients(text, exclude=own, delayed=delayed)
    if named:
        by_address = {each.address.lower(): each for each in found}
        return [
            by_address.get(each.lower()) or FailedRecipient(each, not delayed, *bounce_text.reason(text))
            for each in named
        ]
    if found:
        return found
    # Nothing named above the returned message: whoever that was written to did not get it.
    fields = _returned(root, text)
    status = bounce_text.reason(text)
    return [
        FailedRecipient(each.address, not delayed, *status)
        for each in (fields.addresses("to") if fields is not None else [])
        if "@" in each.address
    ]


def _once(failed: Iterable[FailedRecipient]) -> Iterator[FailedRecipient]:
    """Everyone once, spelt as senders are."""
    seen: set[str] = set()
    for each in failed:
        key = each.address.lower()
        if key not in seen:
            seen.add(key)
            yield replace(each, address=handle(each.address))


def status_report(root: mime.Part) -> Report | None:
    """The content of a message/delivery-status part (RFC 3464), None where there is no such part or it says nothing."""
    failed: list[FailedRecipient] = []
    delivered = found = False
    for part in root.walk():
        if part.content_type not in ("message/delivery-status", "message/global-delivery-status"):
            continue
        for group in _groups(part.content()[:_REPORT_BYTES]):
            said = _recipient(group)
            if said is None:
                continue
            found = True
            if isinstance(said, FailedRecipient):
                failed.append(said)
            else:
                delivered = delivered or said
    return Report(tuple(failed[:MAX_RECIPIENTS]), delivered) if found else None


def _groups(content: bytes) -> Iterator[Headers]:
    for block in re.split(rb"\n[ \t]*\n", content.replace(b"\r\n", b"\n"))[: MAX_RECIPIENTS * 2]:
        if b":" in block:
            yield mime.header_fields(block.strip(b"\n") + b"\n\n")


def _recipient(group: Headers) -> FailedRecipient | bool | None:
    """A failed recipient; True for one that was served; None for a group that is about the message as a whole."""
    address = ""
    for name in ("original-recipient", "final-recipient", "x-actual-recipient"):
        given = group.plain(name).rpartition(";")[2].strip()
        # Mail systems write the mailbox in angle brackets, or a name beside it, where the RFC has the bare address.
        boxes = [each.address for each in addresses(given) if "@" in each.address and "..." not in each.address]
        if boxes:
            address = boxes[0]
            break
    if not address and "action" not in group:
        return None
    action = group.plain("action").lower().split(None, 1)[0].strip(";,.") if group.plain("action") else ""
    diagnostic = group.text("diagnostic-code").partition(";")[2].strip() or group.text("diagnostic-code")
    match = _STATUS.search(group.plain("status")) or _STATUS.search(diagnostic)
    status = match[1] if match else ""
    if action in ("delivered", "relayed", "expanded") or (not action and status.startswith("2")):
        return True
    if not address:
        return None
    permanent = action in _ACTIONS_FAILED or (action not in _ACTIONS_DELAYED and not status.startswith("4"))
    detail = _STATUS.search(diagnostic)
    if detail and status.endswith(".0.0") and detail[1][0] == status[0]:
        status = detail[1]
    return FailedRecipient(address, permanent, status, diagnostic[:300])


def _returned(root: mime.Part, text: str) -> Headers | None:
    """The header of the message that came back: as a part of its own, as a file of text, or pasted below the report."""
    for part in root.walk():
        if part is root or part.is_multipart:
            continue
        if part.content_type in _RETURNED:
            return mime.header_fields(part.content()[:_REPORT_BYTES].lstrip(b"\r\n"))
        if "message-id" in part.headers:
            # A careless program left out the header of the part, so that the message's own took its place.
            return part.headers
        if part.filename and part.content_type.startswith("text/"):
            fields = mime.header_fields(part.content()[:_REPORT_BYTES].lstrip(b"\r\n"))
            if "message-id" in fields:
                return fields
    from connectors.email import bounce_text

    below = bounce_text.returned(text)
    return mime.header_fields(below.encode("utf-8", "replace")) if below else None


def original_ids(root: mime.Part, text: str) -> tuple[str, ...]:
    """Message-IDs of what came back: from the returned header, then from wherever the report writes one out."""
    found: list[str] = []
    fields = _returned(root, text)
    if fields is not None:
        found += headers.message_ids(fields.plain("message-id"))
    for match in _ID_FIELD.finditer(text[:_REPORT_BYTES]):
        found += headers.message_ids(match[1])
    for name in ("x-original-message-id", "original-message-id", "in-reply-to"):
        found += headers.message_ids(root.headers.plain(name))
    for part in root.walk():
        if part.content_type in (
            "message/delivery-status",
            "message/disposition-notification",
            "message/feedback-report",
        ):
            report = mime.header_fields(part.content()[:_REPORT_BYTES])
            found += headers.message_ids(report.plain("original-message-id") or report.plain("x-original-message-id"))
    return tuple(dict.fromkeys(found))[:50]


def feedback(root: mime.Part, text: str) -> Bounce | None:
    """A complaint (RFC 5965): whose it is and about which message. Nothing failed, so no recipient is `permanent`.

    Hotmail sends the bare message under a telling subject; Apple unsubscribes by mail on its user's behalf.
    """
    kind = root.parameters.get("report-type", "").lower() if root.content_type == "multipart/report" else ""
    report = next((part for part in root.walk() if part.content_type == "message/feedback-report"), None)
    bare = len(root.children) == 1 and root.children[0].content_type == "message/rfc822"
    if (
        kind != "feedback-report"
        and report is None
        and not (bare and _COMPLAINT.match(root.headers.text("subject")))
        and "x-apple-unsubscribe" not in root.headers
    ):
        return None
    about = mime.header_fields(report.content()[:_REPORT_BYTES].lstrip(b"\r\n")) if report is not None else Headers()
    reason = about.text("feedback-type").strip().lower()[:60]
    boxes = about.addresses("original-rcpt-to") or about.addresses("removal-recipient")
    returned = _returned(root, text)
    if not boxes and returned is not None:
        boxes = returned.addresses("to")
    who = [FailedRecipient(each.address, False, "", reason) for each in boxes if "@" in each.address]
    return Bounce(tuple(_once(who))[:MAX_RECIPIENTS], original_ids(root, text))


def rejection(root: mime.Part, text: str) -> Bounce | None:
    """A rejection that a filter on the recipient's side dressed as a receipt (RFC 5429 has filters do that)."""
    part = next((each for each in root.children if each.content_type == "message/disposition-notification"), None)
    if part is None:
        return None
    from connectors.email import bounce_text

    if not bounce_text.opens_like_a_bounce(text):
        return None
    fields = mime.header_fields(part.content()[:_REPORT_BYTES])
    disposition = fields.plain("disposition").lower()
    said = _recipient(fields) if "automatic-action" in disposition else None
    if not isinstance(said, FailedRecipient):
        return None
    return Bounce((replace(said, reason=bounce_text.reason(text)[1]),), original_ids(root, text))
