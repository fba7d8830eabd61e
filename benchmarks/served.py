"""A server of a benchmark: a process of its own that tells its CPU, and kept-alive connections to it."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import uvicorn


def serve(app: Any, port: int) -> None:
    """Run `app` with the CPU seconds of the process at `/-/cpu`."""

    async def with_cpu(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/-/cpu":
            used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
            body = json.dumps(sum(u.ru_utime + u.ru_stime for u in used)).encode()
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
            )
            await send({"type": "http.response.body", "body": body})
        else:
            await app(scope, receive, send)

    quiet: dict[str, Any] = {"log_level": "error", "access_log": False, "lifespan": "off"}
    # A connection waits for longer than uvicorn's five seconds while the other server has its turn.
    uvicorn.run(with_cpu, port=port, loop="uvloop", http="httptools", timeout_keep_alive=600, **quiet)


@dataclass
class Server:
    """`get` asks over one of its `connections`, which are kept alive."""

    kind: str
    process: subprocess.Popen[bytes]
    connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]

    @classmethod
    async def start(cls, script: str, kind: str, url: str, port: int, *, connections: int) -> Server:
        """`script` serves when it is called with `--serve KIND --url URL --port PORT`."""
        command = [sys.executable, script, "--serve", kind, "--url", url, "--port", str(port)]
        process = subprocess.Popen(command)
        for _ in range(200):
            try:
                opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
                return cls(kind, process, opened)
            except OSError:
                await asyncio.sleep(0.1)
        process.kill()
        raise TimeoutError(f"{kind} did not start")

    async def get(self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], path: str, token: str) -> bytes:
        reader, writer = connection
        writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(length)
        assert head.startswith(b"HTTP/1.1 200"), head + body
        return body

    async def cpu(self) -> float:
        return float(await self.get(self.connections[0], "/-/cpu", "none"))

    async def load(self, path: str, token: str, requests: int) -> None:
        async def one(connection: Any, count: int) -> None:
            for _ in range(count):
                await self.get(connection, path, token)

        await asyncio.gather(*(one(c, requests // len(self.connections)) for c in self.connections))

    def stop(self) -> None:
        for _, writer in self.connections:
            writer.close()
        self.process.terminate()
        self.process.wait(10)
