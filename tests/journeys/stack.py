"""A whole installation as processes: `helpdesk up`, or `api` and `worker`, told what to do by its commands and by HTTP.

    with Stack(folder, database_url=..., redis_url=...) as stack:       # neither: embedded
        inbox = stack.add_inbox("Desk", address="support@wallet.example", ...)
        stack.start()
        stack.kill("worker"); stack.start_one("worker")

Every wait has a deadline, and whoever misses it is told what the processes have logged.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

import httpx

import helpdesk
from tests.journeys.warm import Life, Warm

CRASHED = 86
ROOT = Path(helpdesk.__file__).parents[1]
AGENT = "mina@wallet.example"
SHORT = {
    "HELPDESK_LEASE_SECONDS": "2",
    "HELPDESK_TICK_SECONDS": "0.3",
    "HELPDESK_UNCERTAIN_SECONDS": "1",
    "HELPDESK_FAILING_AFTER_SECONDS": "1",
    "HELPDESK_ALLOW_HOSTS": "127.0.0.0/8,::1/128",
    "HELPDESK_PARSE_SECONDS": "5",
}
PATIENCE = 60.0
"""Seconds that anything may take: a deadline costs nothing where all is well, and cores are shared."""

_HASTE = 0.05
T = TypeVar("T")


class TooLate(AssertionError):
    """Something did not happen in time; the message ends with the logs."""


@cache
def compiled() -> Path:
    """Where all processes of this run find compiled modules, when the outer environment wants none beside the code."""
    folder = tempfile.TemporaryDirectory(prefix="helpdesk-compiled-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return Path(folder.name)


@cache
def warm() -> Warm:
    """One for all journeys of this run."""
    found = Warm(_surroundings())
    atexit.register(found.close)
    return found


def _surroundings() -> dict[str, str]:
    """The environment without our settings. As where it is installed, no process compiles what another has."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("HELPDESK_")}
    found |= {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
    if sys.dont_write_bytecode:
        found |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(compiled())}
    return found


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for(what: str, look: Callable[[], T | None], *, seconds: float = PATIENCE, logs: Callable[[], str] = str) -> T:
    """Look until something is found: not None, False or an empty list. Raises `TooLate`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None and found is not False and found != []:
            return found
        if time.monotonic() > deadline:
            raise TooLate(f"{what}: not within {seconds:g} s; the last answer was {found!r}\n{logs()}")
        time.sleep(_HASTE)


@dataclass
class Process:
    """One `helpdesk ...`, and the file that has all it says."""

    name: str
    popen: subprocess.Popen[bytes] | Life
    log: Path
    begins: int

    def said(self) -> str:
        """What this life of the process has said."""
        with self.log.open("rb") as file:
            file.seek(self.begins)
            return file.read().decode("utf-8", "replace")


class Stack:
    """`database_url` empty: `helpdesk up` on SQLite. Otherwise a fleet, whose processes are `api` and `worker`.

    `cold`: each process imports everything anew, as it does for users.
    """

    def __init__(
        self, folder: Path, *, database_url: str = "", redis_url: str = "", cold: bool = False, **environment: str
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.fleet, self._cold = bool(database_url), cold
        self.port, self.door = free_port(), free_port()
        self._ports: dict[str, int] = {}
        self.processes: dict[str, Process] = {}
        self.token = self.agent_id = ""
        self.environment = _surroundings() | SHORT | {"HELPDESK_DATA": str(self.data)} | environment
        self.environment |= {"HELPDESK_DATABASE_URL": database_url} if database_url else {}
        self.environment |= {"HELPDESK_REDIS_URL": redis_url} if redis_url else {}
        if self.fleet:
            self.environment |= {"HELPDESK_SMTP_BIND": f"127.0.0.1:{self.door}", "HELPDESK_BASE_URL": self.url}
        folder.mkdir(parents=True, exist_ok=True)
        self.http = httpx.Client(base_url=f"{self.url}/api/v1", timeout=PATIENCE, trust_env=False)

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        for name in list(self.processes):
            self.kill(name)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def port_of(self, name: str) -> int:
        """Where a process answers HTTP: the first one where users do, any other at a port of its own."""
        return self._ports.setdefault(name, free_port()) if "-" in name else self.port

    @property
    def outgoing(self) -> Path:
        """Where mail of inboxes without `smtp_url` is written."""
        return self.data / "outgoing"

    # -- commands --

    def run(self, *arguments: str, given: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        with ExitStack() as opened:
            stdin, stdout, stderr = (opened.enter_context(tempfile.TemporaryFile()) for _ in range(3))
            stdin.write((given or "").encode())
            stdin.seek(0)
            code = self._begin(arguments, (stdin, stdout, stderr), environment).wait(2 * PATIENCE)
            stdout.seek(0)
            stderr.seek(0)
            return subprocess.CompletedProcess(arguments, code, stdout.read().decode(), stderr.read().decode())

    def _begin(
        self, arguments: Sequence[str], streams: tuple[IO[bytes], IO[bytes], IO[bytes]], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | Life:
        given = self.environment | environment
        if not self._cold:
            return warm().start(arguments, streams=streams, folder=self.folder, environment=given)
        stdin, stdout, stderr = streams
        command = [sys.executable, "-m", "helpdesk", *arguments]
        return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, cwd=self.folder, env=given)

    def tell(self, *arguments: str, given: str | None = None) -> str:
        """A command that has to work; answers what it printed."""
        done = self.run(*arguments, given=given)
        assert done.returncode == 0, f"helpdesk {' '.join(arguments)}: {done.returncode}\n{done.stderr}\n{self.logs()}"
        return done.stdout.strip()

    def set_up(self) -> None:
        """An administrator and his token, as the first steps of the manual make them."""
        if self.fleet:
            self.tell("migrate")
        self.agent_id = self.tell("agent", "create", "--email", AGENT, "--name", "Mina", "--role", "admin")
        self.token = self.tell("token", "create", "--agent", AGENT, "--name", "journey")
        self.http.headers["Authorization"] = f"Bearer {self.token}"

    def add_inbox(self, name: str, **settings: str) -> str:
        """By the command; its id."""
        given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        return self.tell("inbox", "add", "email", "--name", name, *given)

    def post_inbox(self, name: str, **settings: Any) -> str:
        """By HTTP, which is quicker; its id."""
        made = self.http.post("/inboxes", json={"channel": "email", "name": name, "settings": settings})
        assert made.status_code == 201, made.text
        found: str = made.json()["id"]
        return found

    # -- processes --

    def start(self, **environment: str) -> None:
        """Everything, ready when this returns. The environment is the workers'."""
        for name in ("api", "worker") if self.fleet else ("up",):
            self.launch(name, **({} if name == "api" else environment))
        for name in list(self.processes):
            self.ready(name)

    def launch(self, name: str, **environment: str) -> Process:
        """Start one process, without waiting. `worker-2` is another `worker`, without doors, `api-2` another `api`."""
        kind = name.partition("-")[0]
        arguments = {
            "up": ("up", "--port", str(self.port), "--smtp-port", str(self.door)),
            "api": ("api", "--port", str(self.port_of(name))),
            "worker": ("worker",),
        }[kind]
        bare = {"HELPDESK_SMTP_BIND": ""} if name != kind else {}
        log = self.folder / f"{name}.log"
        begins = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
            popen = self._begin(arguments, (nothing, output, output), bare | environment)
        self.processes[name] = Process(name, popen, log, begins)
        return self.processes[name]

    def ready(self, name: str, *, seconds: float = PATIENCE) -> None:
        """Wait until a process says that it is ready."""
        process = self.processes[name]

        def look() -> bool:
            if process.popen.poll() is not None:
                raise TooLate(f"{name} ended with {process.popen.returncode} before it was ready\n{self.logs()}")
            return "ready " in process.said()

        self.until(f"{name} is ready", look, seconds=seconds)

    def start_one(self, name: str, **environment: str) -> None:
        self.launch(name, **environment)
        self.ready(name)

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send the signal, wait for the end, answer the exit code."""
        process = self.processes.pop(name)
        if process.popen.poll() is None:
            process.popen.send_signal(number)
        return self._ended(process, seconds=PATIENCE)

    def crashed(self, name: str, *, seconds: float = PATIENCE) -> None:
        """Wait until a process has died at its failpoint."""
        code = self._ended(self.processes[name], seconds=seconds)
        assert code == CRASHED, f"{name} ended with {code}\n{self.logs()}"
        del self.processes[name]

    def _ended(self, process: Process, *, seconds: float) -> int:
        try:
            return process.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            process.popen.kill()
            process.popen.wait(5)
            raise TooLate(f"{process.name} did not end within {seconds:g} s\n{self.logs()}") from None

    def logs(self) -> str:
        """The last lines of every process."""
        found = []
        for log in sorted(self.folder.glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            found.append("\n".join([f"--- {log.name}", *lines[-25:]]))
        return "\n".join(found)

    def until(self, what: str, look: Callable[[], T | None], *, seconds: float = PATIENCE) -> T:
        return wait_for(what, look, seconds=seconds, logs=self.logs)

    # -- the API --

    def get(self, path: str, **query: Any) -> Any:
        """What a patient client gets: 503 says that a part is away for the moment."""
        deadline = time.monotonic() + PATIENCE
        while (answer := self.http.get(path, params=query)).status_code == 503 and time.monotonic() < deadline:
            time.sleep(_HASTE)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}\n{self.logs()}"
        return answer.json()

    def every(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        cursor: Mapping[str, str] = {}
        while True:
            page = self.get(path, limit=100, **query, **cursor)
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    def change(self, conversation_id: str, **body: Any) -> None:
        """Change a conversation as an agent does: read it again where somebody else, triage say, was faster."""
        path = f"/conversations/{conversation_id}"

        def changed() -> bool:
            answer = self.http.patch(path, json=body, headers={"If-Match": self.http.get(path).headers["ETag"]})
            assert answer.status_code in (200, 412), answer.text
            return answer.status_code == 200

        self.until("the conversation is changed", changed)

    def conversations(self, **query: Any) -> list[dict[str, Any]]:
        return self.every("/conversations", **query)

    def conversation(self, subject: str, *, seconds: float = PATIENCE) -> dict[str, Any]:
        """The one conversation with this subject, as soon as it is there."""
        found = self.until(f"the conversation {subject!r}", lambda: self.conversations(q=subject), seconds=seconds)
        assert len(found) == 1, [one["subject"] for one in found]
        return found[0]

    def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        return self.every(f"/conversations/{conversation_id}/messages")

    def reply(self, conversation_id: str, text: str, *, key: str, **more: Any) -> dict[str, Any]:
        """An answer or a note; under the same key, the same one."""
        answer = self.http.post(
            f"/conversations/{conversation_id}/messages",
            json={"text": text, **more},
            headers={"Idempotency-Key": key},
        )
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}\n{self.logs()}"
        found: dict[str, Any] = answer.json()
        return found

    def delivered(self, conversation_id: str, *, seconds: float = PATIENCE) -> list[dict[str, Any]]:
        """The messages of a conversation, once all that leaves has left."""

        def look() -> list[dict[str, Any]] | None:
            found = self.messages(conversation_id)
            going = [m for m in found if m["delivery"] and m["delivery"]["status"] != "sent"]
            return None if going else found

        return self.until(f"everything of conversation {conversation_id} is sent", look, seconds=seconds)
