"""A real PostgreSQL on loopback, in a folder of its own, as another user when started by root (it refuses to be root).

    with Postgres() as server:
        url = server.create("some_name")          # postgresql+asyncpg://...
        server.create("another", template="some_name")
        server.drop("another")

Nothing here needs pytest: benchmarks and journeys start the same server. `Postgres.at(url)` takes a server that runs
already, whose databases it makes and drops in the same way.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

_SPEED = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=60",
    "shared_buffers=64MB",
    "autovacuum=off",
    "log_min_messages=fatal",
)
_START_SECONDS = 30.0


def binaries() -> Path | None:
    """The newest installed server's folder: Debian keeps it out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    here = shutil.which("postgres")
    return Path(here).parent if here else None


class Postgres:
    """One server. With `durable`, it keeps the settings of a real installation instead of being quick to test on.

    With `keep`, its data are in that folder, and are there when the next one starts.
    """

    def __init__(self, *, durable: bool = False, keep: Path | None = None) -> None:
        self._durable, self._keep = durable, keep
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._identity: dict[str, Any] = {}
        self.host, self.port, self.user = "127.0.0.1", 0, "postgres"

    @classmethod
    def at(cls, url: str) -> Postgres:
        """A server that somebody else runs: `postgresql://user@host:port/any`."""
        parts = urlsplit(url)
        server = cls()
        server.host, server.port = parts.hostname or "127.0.0.1", parts.port or 5432
        server.user = parts.username or "postgres"
        if parts.password:
            server.user += f":{parts.password}"
        return server

    def __enter__(self) -> Postgres:
        if not self.port:
            self._start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The postmaster, if it is ours: its children are the backends."""
        return self._process.pid if self._process else None

    def _start(self) -> None:
        folder = binaries()
        if folder is None:
            raise FileNotFoundError("no PostgreSQL server is installed")
        if self._keep is not None:
            self._keep.mkdir(parents=True, exist_ok=True)
        self._folder = self._keep or Path(tempfile.mkdtemp(prefix="helpdesk-pg-"))
        account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if account:
            self._identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        command = [folder / "initdb", "-D", self._folder / "data"]
        command += ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        how: dict[str, Any] = {"cwd": self._folder, "env": self._environment, **self._identity}
        if not (self._folder / "data").exists():
            subprocess.run(command, check=True, capture_output=True, **how)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._serve(folder)

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": str(self._folder)}

    def restart(self) -> None:
        """End all sessions and the server, and start it again on the same port and data."""
        folder = binaries()
        assert folder is not None
        self._end()
        self._serve(folder)

    def _serve(self, folder: Path) -> None:
        assert self._folder is not None
        data = self._folder / "data"
        settings = [part for setting in (() if self._durable else _SPEED) for part in ("-c", setting)]
        self._process = subprocess.Popen(
            [folder / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(self.port), "-k", self._folder, *settings],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._identity,
        )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                self._run("SELECT 1")
            except subprocess.CalledProcessError:
                time.sleep(0.05)
            else:
                return
        self.close()
        raise TimeoutError("PostgreSQL did not start")

    def close(self) -> None:
        self._end()
        if self._folder is not None and self._keep is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def _end(self) -> None:
        if self._process is not None:
            self._process.send_signal(2)  # fast shutdown: sessions are ended
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://{self.user}@{self.host}:{self.port}/{database}"

    def create(self, name: str, *, template: str = "template0") -> str:
        """A fresh database; one of the same name is dropped first."""
        self.drop(name)
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop(self, name: str) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _run(self, sql: str) -> None:
        folder = binaries()
        psql = (folder / "psql") if folder else "psql"
        target = f"postgresql://{self.user}@{self.host}:{self.port}/postgres"
        subprocess.run([psql, "-X", "-q", "-d", target, "-c", sql], check=True, capture_output=True, timeout=60)
