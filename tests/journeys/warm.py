"""`helpdesk ...` as processes that begin with everything imported: forked from one that has done nothing else.

Importing takes most of a short life, and journeys end many. What lives is a process of its own in every other way:
its environment, its standard streams, its folder, its death. `test_story` runs the command as users do.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module, reload
from pathlib import Path
from typing import IO

PACKAGES = ("helpdesk", "workers", "connectors")
LIBRARIES = ("uvloop", "aiosqlite", "asyncpg", "alembic.command", "uvicorn.lifespan.on", "fakeredis", "redis.asyncio")
"""What is only imported once something is opened."""
AT_IMPORT = ("helpdesk.failpoints", "helpdesk.clock")
"""Modules that read the environment when they are imported. Each life imports them anew."""
COUNTING = {"HELPDESK_FAILPOINTS": "none:exit"}
"""With some failpoint, since `reached` is another function where there is none."""

_LARGEST = 1 << 20


class Life:
    """What `subprocess.Popen` is of a process that it has started."""

    def __init__(self, pid: int, ended: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float) -> int:
        found = self._look(timeout)
        if found is None:
            raise subprocess.TimeoutExpired("helpdesk", timeout)
        return found

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], seconds)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(self._ended.recv(16)))
            self._ended.close()
        return self.returncode


class Warm:
    """The process that others are forked from. It ends with this one, or when it is closed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "tests.journeys.warm", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**environment, **COUNTING},
            )

    def start(
        self, arguments: Sequence[str], *, streams: Sequence[IO[bytes]], folder: Path, environment: Mapping[str, str]
    ) -> Life:
        """`helpdesk ARGUMENTS`. `streams` are its three standard ones."""
        ended, end = socket.socketpair()
        with end:
            asked = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
            socket.send_fds(self._ours, [json.dumps(asked).encode()], [*(s.fileno() for s in streams), end.fileno()])
        return Life(int(self._ours.recv(16)), ended)

    def close(self) -> None:
        self._ours.close()
        self._popen.wait(10)


# -- in that process --------------------------------------------------------------------------------------------------


def _prepare() -> None:
    for name in PACKAGES:
        package = import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if "__main__" not in found.name:
                import_module(found.name)
    for name in LIBRARIES:
        import_module(name)
    gc.freeze()


def _fork(asked: bytes, descriptors: Sequence[int], ends: dict[int, int]) -> int:
    """Answers the new process's id, and 0 in itself, which is then as if it had just been started."""
    *streams, end = descriptors
    pid = os.fork()
    if pid:
        ends[pid] = end
        for one in streams:
            os.close(one)
        return pid
    for one in (end, *ends.values()):
        os.close(one)
    for number, one in enumerate(streams):
        os.dup2(one, number)
        os.close(one)
    given = json.loads(asked)
    os.chdir(given["folder"])
    os.environ.clear()
    os.environ.update(given["environment"])
    for name in AT_IMPORT:
        reload(sys.modules[name])
    sys.argv = ["helpdesk", *given["arguments"]]
    return 0


def _bury(ends: dict[int, int]) -> None:
    """Tell of each process that has ended how it did."""
    while ends:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        os.write(ends[pid], str(status).encode())
        os.close(ends.pop(pid))


def serve(descriptor: int) -> None:
    """Fork what is asked for, until nobody can ask any more. Returns in what was forked; whoever asks ends that."""
    _prepare()
    wake, waking = socket.socketpair()
    waking.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking.fileno())
    ends: dict[int, int] = {}
    with socket.socket(fileno=descriptor) as peer, wake, waking:
        while True:
            ready, _, _ = select.select([peer, wake], [], [])
            if wake in ready:
                wake.recv(64)
                _bury(ends)
            if peer in ready:
                asked, descriptors, _, _ = socket.recv_fds(peer, _LARGEST, 4)
                if not asked:
                    sys.exit()
                pid = _fork(asked, descriptors, ends)
                if not pid:
                    break
                peer.send(str(pid).encode())
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
    from helpdesk.cli import main

    main()
