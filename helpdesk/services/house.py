"""What the services share and nobody else makes: the database, the keys, the blob store, the settings."""

from __future__ import annotations

from dataclasses import dataclass

from helpdesk.blobstore import BlobStore
from helpdesk.config import Settings
from helpdesk.crypto import Keyring
from helpdesk.db import Database


@dataclass(frozen=True, slots=True)
class Services:
    """Made once by the composition root, handed to whoever calls a service that needs more than a session."""

    settings: Settings
    database: Database
    keyring: Keyring
    blobs: BlobStore
