"""A real Redis on loopback, in a folder of its own, that keeps nothing when it ends.

    with Redis() as server:
        HELPDESK_REDIS_URL = server.url
        server.stop(); server.start(); server.flushall()

It comes back on the same port, and empty.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

BINARY = shutil.which("redis-server")


class Redis:
    """One server. `stop` and `start` keep the port."""

    def __init__(self) -> None:
        if BINARY is None:
            raise FileNotFoundError("redis-server is not installed")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._folder = Path(tempfile.mkdtemp(prefix="helpdesk-redis-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Redis:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns when it answers."""
        options = ("--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen(
            [str(BINARY), *options, "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError):
                if self.command("PING").startswith(b"+PONG"):
                    return
            time.sleep(0.02)
        self.stop()
        raise RuntimeError("redis-server did not start")

    def stop(self) -> None:
        """At once, as when the machine is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(5)
            self._process = None

    def flushall(self) -> None:
        assert self.command("FLUSHALL").startswith(b"+OK")

    def command(self, line: str) -> bytes:
        """The first bytes of the answer to an inline command."""
        with socket.create_connection(("127.0.0.1", self.port), 2) as sock:
            sock.sendall(line.encode() + b"\r\n")
            return sock.recv(4096)
