"""pymap on loopback: a second IMAP server, in Python, for where no Dovecot is installed and for a second opinion.

It has one user, no TLS and no XOAUTH2, offers IDLE only after the login, and forgets everything when it ends. Mail is
delivered by APPEND.
"""

from __future__ import annotations

import imaplib
import socket
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType

USER, PASSWORD = "support", "secret"


class Pymap:
    """The mailbox holds pymap's four sample messages at first."""

    def __init__(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port: int = sock.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Pymap:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it greets."""
        program = str(Path(sys.executable).with_name("pymap"))
        command = [program, "--host", "127.0.0.1", "--port", str(self.port), "--no-tls", "dict", "--demo-data"]
        self._process = subprocess.Popen(
            [*command, "--demo-user", USER, "--demo-password", PASSWORD],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                sock.settimeout(5)
                if sock.recv(64).startswith(b"* OK"):
                    return
            time.sleep(0.1)
        self.stop()
        raise RuntimeError("pymap did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(5)
            self._process = None

    def url(self, *, password: str = PASSWORD, mailbox: str = "INBOX") -> str:
        return f"imap://{USER}:{password}@127.0.0.1:{self.port}/{mailbox}"

    def client(self) -> imaplib.IMAP4:
        """Another client of the same mailbox, which it has selected."""
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=10)
        client.login(USER, PASSWORD)
        client.select()
        return client

    def deliver(self, *bodies: bytes, at: datetime | None = None, mailbox: str = "INBOX") -> None:
        client = self.client()
        for body in bodies:
            client.append(mailbox, "", imaplib.Time2Internaldate(at) if at else "", body)
        client.logout()
