"""An answer frozen as JSON, the same for the same input: to a person as a message, or under a post.

The vendor gives ids only to what it took, so that a composed message has none. The token goes along with a message and
comes back with its echo.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.facebook import compose_comments, files, lengths
from connectors.facebook.config import InstagramConfig, MetaConfig
from connectors.facebook.values import INSTAGRAM
from helpdesk.channels import Composed, OutboundMessage, PermanentFailure


def platform_of(config: MetaConfig, handle: str) -> str:
    """`facebook` or `instagram`: on which of them this person is written to."""
    return "instagram" if isinstance(config, InstagramConfig) or handle.startswith(INSTAGRAM) else "facebook"


def compose(config: MetaConfig, message: OutboundMessage) -> Composed:
    """Freeze a message. Raises PermanentFailure."""
    if len(message.to) != 1:
        raise PermanentFailure("The message needs one recipient")
    handle = message.to[0].handle
    platform = platform_of(config, handle)
    length = lengths.of(platform, message.text, message.visibility)
    if length.used > length.limit:
        raise PermanentFailure(f"The text is too long: {length.used} of {length.limit} {length.unit}")
    sender = config.instagram_id if platform == "instagram" else config.page_id
    if compose_comments.is_comment(message):
        return compose_comments.compose(message, platform=platform, sender=sender)
    if not message.text.strip() and not message.attachments:
        raise PermanentFailure("The message is empty")
    body = {
        "v": 1,
        "kind": "message",
        "platform": platform,
        "target": handle.removeprefix(INSTAGRAM),
        "text": message.text,
        "token": message.client_token,
        "created_at": message.created_at.isoformat(),
        "media": [files.frozen(file) for file in message.attachments],
    }
    return Composed(
        external_id="",
        body=json.dumps(body, sort_keys=True).encode(),
        sender=sender,
        recipients=(handle,),
        automatic=message.automatic,
    )


def body_of(composed: Composed) -> Mapping[str, Any]:
    """What `compose` has frozen."""
    found: Mapping[str, Any] = json.loads(composed.body)
    return found
