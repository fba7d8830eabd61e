"""What a sending service tells in JSON instead of in a report (Amazon SES through SNS, mailed)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from helpdesk.channels import FailedRecipient

_MAX_TEXT = 256_000
_MAX_RECIPIENTS = 100
_KEYS = {"bounce": "bouncedRecipients", "complaint": "complainedRecipients", "delivery": "recipients"}


@dataclass(frozen=True, slots=True)
class Notification:
    """`kind` is `bounce`, `complaint` or `delivery`; `ids` are Message-IDs of the mail that it is about."""

    kind: str
    recipients: tuple[FailedRecipient, ...]
    ids: tuple[str, ...]


def read(text: str) -> Notification | None:
    """The notification, or None for any other text."""
    text = text[:_MAX_TEXT].strip()
    if "\\ud" in text.lower():
        # Half of a surrogate pair, escaped: no service writes that into an address, and no database takes it.
        return None
    if not text.startswith("{") or ('"Message' not in text and "otificationType" not in text):
        return None
    body = _decoded(text)
    if isinstance(body.get("Message"), str):
        body = _decoded(body["Message"])
    kind = str(body.get("notificationType", "")).lower()
    told = body.get(kind)
    if kind not in _KEYS or not isinstance(told, dict):
        return None
    listed = told.get(_KEYS[kind])
    permanent = kind == "bounce" and str(told.get("bounceType", "")).lower() == "permanent"
    recipients = tuple(_recipients(listed if isinstance(listed, list) else [], permanent=permanent))
    return Notification(kind, recipients, tuple(_ids(body.get("mail"))))


def _decoded(text: str) -> dict[str, Any]:
    # Relays wrap the long line with a blank in front, in the middle of a string, where JSON allows no line break.
    for attempt in (text, text.replace("\n ", "").replace("\n", "")):
        try:
            found: Any = json.JSONDecoder().raw_decode(attempt)[0]
        except (ValueError, RecursionError):
            continue
        return found if isinstance(found, dict) else {}
    return {}


def _recipients(listed: list[Any], *, permanent: bool) -> list[FailedRecipient]:
    found = []
    for each in listed[:_MAX_RECIPIENTS]:
        if isinstance(each, dict) and "@" in str(each.get("emailAddress", "")):
            status, why = str(each.get("status") or ""), str(each.get("diagnosticCode") or "")
            found.append(
                FailedRecipient(str(each["emailAddress"]), permanent, status[:20], " ".join(why.split())[:300])
            )
    return found


def _ids(mail: Any) -> list[str]:
    """From the copied header first: the service's own id is not what we sent."""
    if not isinstance(mail, dict):
        return []
    listed = mail.get("headers")
    found = [
        str(each.get("value", ""))
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict) and str(each.get("name", "")).lower() == "message-id"
    ]
    common = mail.get("commonHeaders")
    if isinstance(common, dict):
        found.append(str(common.get("messageId", "")))
    return [each.strip().strip("<>") for each in found if "@" in each]
