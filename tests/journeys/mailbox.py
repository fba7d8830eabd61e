"""One mailbox of a real IMAP server, as the story needs it: Dovecot's, or pymap's where no Dovecot is."""

from __future__ import annotations

import re
from typing import Protocol

from tests.peers.dovecot import Dovecot
from tests.peers.pymap_server import Pymap


class Mailbox(Protocol):
    url: str

    def deliver(self, body: bytes) -> None:
        """New mail, as a delivery agent brings it."""

    def seen(self, message_id: str) -> bool:
        """Whether the mail with this Message-ID in INBOX is marked as read."""

    def sent(self) -> list[bytes]:
        """What lies in `Sent`."""


class DovecotMailbox:
    def __init__(self, server: Dovecot, user: str) -> None:
        self.server, self.user = server, user
        self.url = server.url(user, tls="none")
        server.create(user, "Sent")

    def deliver(self, body: bytes) -> None:
        self.server.deliver(self.user, body)

    def seen(self, message_id: str) -> bool:
        found = [path for path in self.server.files(self.user) if message_id.encode() in path.read_bytes()]
        return bool(found) and "S" in found[0].name.partition(":2,")[2]

    def sent(self) -> list[bytes]:
        return [path.read_bytes() for path in self.server.files(self.user, "Sent")]


class PymapMailbox:
    def __init__(self, server: Pymap) -> None:
        self.server = server
        self.url = server.url()
        self._before = len(self.sent())

    def deliver(self, body: bytes) -> None:
        self.server.deliver(body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    def seen(self, message_id: str) -> bool:
        client = self.server.client()
        client.select("INBOX", readonly=True)
        _, answer = client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        client.logout()
        return any(
            isinstance(part, tuple) and message_id.encode() in part[1] and re.search(rb"\\Seen", part[0])
            for part in answer
        )

    def sent(self) -> list[bytes]:
        client = self.server.client()
        client.select("Sent", readonly=True)
        _, answer = client.fetch("1:*", "(BODY.PEEK[])")
        client.logout()
        found = [part[1] for part in answer if isinstance(part, tuple)]
        return found[getattr(self, "_before", 0) :]
