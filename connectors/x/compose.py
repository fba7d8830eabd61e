"""A message frozen: everything that the request will say, as bytes. Pure."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any

from connectors.x.config import XConfig
from connectors.x.text import measure
from helpdesk.channels import Composed, OutboundAttachment, OutboundMessage, PermanentFailure, TargetGone

IMAGES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff")
ONE_OF = ("image/gif", "video/mp4", "video/quicktime", "video/webm")
IMAGE_BYTES, FILM_BYTES = 5_242_880, 104_857_600
MOST_IMAGES = 4


def compose(config: XConfig, message: OutboundMessage) -> Composed:
    """Raises PermanentFailure for what the vendor would refuse for ever."""
    length = measure(message.text, message.visibility, config.model_dump(include={"post_length"}))
    if length.used > length.limit:
        raise PermanentFailure(f"The text weighs {length.used}, and {length.limit} is allowed: shorten it")
    public = message.visibility == "public"
    recipients = tuple(person.handle for person in message.to)
    target = message.in_reply_to if public else (recipients[0] if recipients else "")
    if not target.isdecimal():
        # A post of our own that answers nobody is not what an inbox is for.
        raise TargetGone("There is no post to answer") if public else PermanentFailure("There is nobody to write to")
    media = [_file(one) for one in message.attachments]
    _check_media(media, public=public)
    content = {
        "v": 1,
        "kind": "post" if public else "dm",
        "target": target,
        "text": message.text,
        "token": message.client_token,
        "created_at": message.created_at.isoformat(),
        "media": media,
    }
    body = json.dumps(content, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
    return Composed("", body, config.username, recipients, automatic=message.automatic)


def opened(message: Composed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(message.body.decode("utf-8", "surrogatepass"))
    return found


def _file(one: OutboundAttachment) -> dict[str, str]:
    return {
        "filename": one.filename,
        "content_type": one.content_type,
        "sha256": sha256(one.body).hexdigest(),
        "body": base64.b64encode(one.body).decode("ascii"),
    }


def _check_media(media: list[dict[str, str]], *, public: bool) -> None:
    kinds = [one["content_type"] for one in media]
    if not all(kind in IMAGES + ONE_OF for kind in kinds):
        raise PermanentFailure("Only pictures and films can be attached here")
    if len(media) > 1 and (not public or len(media) > MOST_IMAGES or any(kind in ONE_OF for kind in kinds)):
        raise PermanentFailure("Attach up to four pictures, or one film or moving picture; one file to a message")
    for one in media:
        limit = IMAGE_BYTES if one["content_type"] in IMAGES else FILM_BYTES
        if len(one["body"]) * 3 // 4 - 2 > limit:
            raise PermanentFailure(f"A file is larger than {limit // 1_048_576} MB")
