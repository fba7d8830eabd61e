"""What the services share and nobody else makes: settings, database, keys, blob store, and the channels there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from helpdesk.blobstore import BlobStore
from helpdesk.channels import Channel
from helpdesk.config import Settings
from helpdesk.crypto import Keyring
from helpdesk.db import Database
from helpdesk.errors import Invalid
from helpdesk.net import AllowList, Guard
from helpdesk.services.promises import Promises


@dataclass(frozen=True, slots=True)
class Services:
    """Made once by the composition root, handed to whoever calls a service that needs more than a session."""

    settings: Settings
    database: Database
    keyring: Keyring
    blobs: BlobStore
    channels: Mapping[str, Channel]
    promises: Promises = field(default_factory=Promises)

    def channel(self, name: str) -> Channel:
        """Raises `Invalid` for a channel that is not installed."""
        if name not in self.channels:
            raise Invalid.field("channel", f"use one of {', '.join(self.channels)}")
        return self.channels[name]

    def guard(self) -> Guard:
        """What every connection to the outside passes."""
        return Guard(AllowList.parse(self.settings.hosts_allowed))

    def live_channels(self) -> Sequence[str]:
        """The names of those on which people are there while they wait for an answer."""
        return [name for name, one in self.channels.items() if one.capabilities.live]
