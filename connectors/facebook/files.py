"""Files in a composed message: frozen as text with it, and handed in as what they were."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from helpdesk.channels import OutboundAttachment


def frozen(file: OutboundAttachment) -> dict[str, str]:
    """The same for the same file."""
    return {
        "filename": file.filename,
        "content_type": file.content_type,
        "sha256": hashlib.sha256(file.body).hexdigest(),
        "body": base64.b64encode(file.body).decode(),
    }


def uploaded(media: Mapping[str, str]) -> tuple[str, bytes, str]:
    """One that was frozen, as a part of a form."""
    return media["filename"], base64.b64decode(media["body"]), media["content_type"]
