"""An answer under a post, or the one private answer to what was said there, frozen as JSON.

comment         below a comment, or below a visitor's post
mention         where our name fell under somebody else's post (Instagram)
private_reply   a message to whom wrote the comment: once for each, within seven days
"""

from __future__ import annotations

import json
from typing import Any, Final

from connectors.facebook.files import frozen
from helpdesk.channels import Composed, OutboundAttachment, OutboundMessage, PermanentFailure

POST: Final = "post:"
MENTION: Final = "mention:"
KINDS: Final = frozenset({"comment", "mention", "private_reply"})


def is_comment(message: OutboundMessage) -> bool:
    """Whether it answers what was said under a post, in public or privately."""
    return message.visibility == "public" or message.thread.startswith((POST, MENTION))


def compose(message: OutboundMessage, *, platform: str, sender: str) -> Composed:
    """Freeze it. `platform`: `facebook` or `instagram`, of whom it is for; `sender`: our id there.

    Raises PermanentFailure for what cannot be said under a post.
    """
    if not message.in_reply_to:
        raise PermanentFailure("Say which comment is answered: nothing is posted on its own")
    kind = _kind(message)
    body: dict[str, Any] = {
        "v": 1,
        "kind": kind,
        "platform": platform,
        "target": message.in_reply_to.removeprefix(MENTION),
        "post": message.thread.partition(":")[2],
        "text": message.text,
        "token": message.client_token,
        "created_at": message.created_at.isoformat(),
        "media": [frozen(file) for file in _checked(message, kind, platform)],
    }
    return Composed(
        external_id="",
        body=json.dumps(body, sort_keys=True, ensure_ascii=False).encode(),
        sender=sender,
        recipients=tuple(person.handle for person in message.to),
        automatic=message.automatic,
    )


def _kind(message: OutboundMessage) -> str:
    if message.thread.startswith(MENTION):
        if message.visibility != "public":
            raise PermanentFailure("Who named you under somebody else's post can only be answered there")
        return "mention"
    return "comment" if message.visibility == "public" else "private_reply"


def _checked(message: OutboundMessage, kind: str, platform: str) -> tuple[OutboundAttachment, ...]:
    """What may be attached: one picture, to a comment on a Page."""
    files = message.attachments
    if not files or (kind == "comment" and platform == "facebook" and len(files) == 1 and _is_picture(files[0])):
        return files
    raise PermanentFailure("Only an answer under a Page's post takes a file, and only one picture")


def _is_picture(file: OutboundAttachment) -> bool:
    return file.content_type in ("image/jpeg", "image/png", "image/gif", "image/webp")
