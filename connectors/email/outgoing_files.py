"""Outgoing mail of an inbox without `smtp_url`: files that a person can open, so that nothing is needed to try it."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from helpdesk.channels import Composed, TemporaryFailure
from helpdesk.folders import make_folder, sync_folder


def path_of(folder: str, message: Composed) -> Path:
    """The file of a message: named after its id, so that writing it twice leaves one."""
    name = re.sub(r"[^A-Za-z0-9@_+-]", ".", message.external_id).strip(".")[:120]
    if name != message.external_id:
        name += "." + hashlib.sha256(message.external_id.encode()).hexdigest()[:16]
    return Path(folder) / f"{name}.eml"


def write(folder: str, message: Composed) -> Path:
    """Write a message so that the file is whole or not there, also after a power cut. Raises TemporaryFailure."""
    path = path_of(folder, message)
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        if path.exists():
            return path
        make_folder(path.parent)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(message.body)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise TemporaryFailure("The folder for outgoing mail cannot be written") from None
    return path
