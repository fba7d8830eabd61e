"""Somebody else's Bot API server for tests, in a process of its own, and what it lacks.

It keeps files in an S3 store that it wants to find when it starts, and it sends webhooks without the secret that was
agreed on. So a bucket stands beside it that is simply there, and a gateway that adds the secret on the way.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.peers.loopback import Loopback

FOUND = importlib.util.find_spec("telemelya") is not None
START_SECONDS = 30.0


class Gateway(Loopback):
    """Hands on to `there`, with a header more."""

    def __init__(self, header: str, value: str) -> None:
        super().__init__()
        self.there = ""
        self._added = {header: value}

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        answer = httpx.post(self.there, content=body, headers=self._added, trust_env=False)
        request.send_response(answer.status_code)
        request.send_header("Content-Length", "0")
        request.end_headers()


class _Bucket(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        pass


class Telemelya:
    """Serves as a context. `url` is its origin."""

    def __init__(self, folder: Path, *, port: int, redis_url: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._folder, self._port, self._redis_url = folder, port, redis_url
        self._open = ExitStack()
        self._http = httpx.Client(base_url=self.url, headers={"Authorization": "Bearer any"}, trust_env=False)

    def __enter__(self) -> Self:
        bucket = ThreadingHTTPServer(("127.0.0.1", 0), _Bucket)
        thread = threading.Thread(target=bucket.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        self._open.callback(bucket.server_close)
        self._open.callback(bucket.shutdown)
        log = self._open.enter_context((self._folder / "telemelya.log").open("wb"))
        store = f"127.0.0.1:{bucket.server_address[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "telemelya.server.app:app", "--port", str(self._port)],
            cwd=self._folder,
            env=os.environ | {"REDIS_URL": self._redis_url, "MINIO_ENDPOINT": store},
            stdout=log,
            stderr=log,
        )
        self._open.callback(process.wait)
        self._open.callback(process.kill)
        self._open.callback(self._http.close)
        try:
            self._wait(process)
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                self._http.get("/").raise_for_status()
                return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise TimeoutError((self._folder / "telemelya.log").read_text("utf-8", "replace")[-3000:])

    def webhook(self, token: str) -> str:
        """Where it sends updates of this bot."""
        answer = self._http.post(f"/bot{token}/getWebhookInfo").json()
        return str(answer["result"]["url"])

    def redirect(self, token: str, url: str) -> None:
        """From now on it sends them there."""
        self._http.post(f"/bot{token}/setWebhook", json={"url": url}).raise_for_status()

    def say(self, token: str, text: str, *, chat_id: int, name: str) -> int:
        """Somebody writes; answers what the webhook was answered with."""
        person = {"id": chat_id, "first_name": name}
        update = {"chat_id": chat_id, "text": text, "from_user": person}
        done = self._http.post("/api/v1/test/send_update", params={"bot_token": token}, json=update)
        return int(done.json()["delivery"]["status_code"])

    def sent(self) -> list[dict[str, Any]]:
        """What it was told to send, the oldest first."""
        found: list[dict[str, Any]] = self._http.get("/api/v1/test/responses").json()["responses"]
        return found
