"""The two ends of a chat for the benchmark, in processes of their own: they note when bytes came, and read them later.

    python benchmarks/chat_load.py visitors | agents        # its work as a line of JSON on standard input

It says `ready`, waits to be told when to begin, works, and prints what it noted. Times are of the machine's monotonic
clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpdesk.commands.serve import run

PROTOCOL = "helpdesk.chat.v1"
PER_ADDRESS = 20
"""Sockets of one address of loopback: the door counts strangers by theirs."""

_AFTER = 3.0


def address(number: int) -> str:
    """The address that the n-th visitor comes from."""
    place = number // PER_ADDRESS
    return f"127.1.{place // 250}.{place % 250 + 1}"


class Socket(asyncio.Protocol):
    """A WebSocket client that reads nothing while the clock runs."""

    def __init__(self, port: int, path: str) -> None:
        self._ask = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
        ).encode()
        self.came: list[tuple[float, bytes]] = []
        self.met: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._ask)

    def data_received(self, data: bytes) -> None:
        self.came.append((time.monotonic(), data))
        if not self.met.done():
            self.met.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.met.done():
            self.met.set_exception(ConnectionResetError())

    def say(self, frame: dict[str, Any]) -> None:
        """A text frame under a mask of zeros, which is a mask."""
        body = json.dumps(frame).encode()
        head = bytes((0x81, 0x80 | len(body))) if len(body) < 126 else struct.pack("!BBH", 0x81, 0xFE, len(body))
        self._transport.write(head + b"\0\0\0\0" + body)

    def close(self) -> None:
        self._transport.abort()

    def heard(self) -> Iterable[tuple[float, dict[str, Any]]]:
        """Every text frame, with when its last byte came."""
        left, headed = b"", False
        for at, data in self.came:
            left += data
            if not headed:
                headed = b"\r\n\r\n" in left
                if not headed:
                    continue
                left = left.partition(b"\r\n\r\n")[2]
            while len(left) >= 2:
                begin, size = 2, left[1] & 0x7F
                if size == 126:
                    begin, size = 4, int.from_bytes(left[2:4], "big")
                elif size == 127:
                    begin, size = 10, int.from_bytes(left[2:10], "big")
                if len(left) < begin + size:
                    break
                if left[0] & 0x0F == 1:
                    yield at, json.loads(left[begin : begin + size])
                left = left[begin + size :]


async def opened(given: dict[str, Any], number: int, hello: dict[str, Any]) -> Socket:
    """Connected, and answered after its hello."""
    loop, port = asyncio.get_running_loop(), given["port"]
    where = (address(number), 0)
    _, socket = await loop.create_connection(lambda: Socket(port, given["path"]), "127.0.0.1", port, local_addr=where)
    await socket.met
    socket.met = loop.create_future()
    socket.say(hello)
    await socket.met
    return socket


async def paced(given: dict[str, Any], begun: float) -> Any:
    """Numbers from 0 on, each at its time, and whether it counts yet; those that are late come at once."""
    rate, warm = given["rate"], given["warm"]
    for number in range(int(rate * (warm + given["seconds"]))):
        await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
        yield number, number >= rate * warm


async def go() -> float:
    """When to begin."""
    print("ready", flush=True)
    return float(await asyncio.to_thread(sys.stdin.readline))


async def visitors(given: dict[str, Any]) -> dict[str, Any]:
    """All of `tokens` listen, and the first `active` of them write in turns; the others send their heartbeat."""
    sockets: list[Socket] = []
    for first in range(0, len(given["tokens"]), PER_ADDRESS):
        some = enumerate(given["tokens"][first : first + PER_ADDRESS], first)
        hellos = ((n, {"type": "hello", "token": token}) for n, token in some)
        sockets += await asyncio.gather(*(opened(given, n, hello) for n, hello in hellos))
    begun = await go()
    sent: dict[str, float] = {}
    beats = asyncio.create_task(_beat(sockets[given["active"] :]))
    async for number, counts in paced(given, begun):
        client_id = f"v{number}"
        if counts:
            sent[client_id] = time.monotonic()
        sockets[number % given["active"]].say(
            {"type": "message.send", "client_id": client_id, "text": f"{client_id} where is my transfer of 320 USDT?"}
        )
    await asyncio.sleep(_AFTER)
    beats.cancel()
    stored, heard, errors, own = {}, {}, [], 0
    for socket in sockets:
        for at, frame in socket.heard():
            if frame["type"] == "message.ack":
                stored[frame["client_id"]] = [frame.get("id"), at]
            elif frame["type"] == "message.new" and frame["message"]["author"]["kind"] == "agent":
                heard[frame["message"]["text"].partition(" ")[0]] = at
            elif frame["type"] == "message.new":
                own += 1
            elif frame["type"] == "error":
                errors.append(frame["code"])
        socket.close()
    return {"sent": sent, "stored": stored, "heard": heard, "errors": errors, "own": own}


async def _beat(sockets: Sequence[Socket]) -> None:
    """Each of them once in 25 seconds."""
    while True:
        for socket in sockets:
            socket.say({"type": "ping", "last_seq": 0})
            await asyncio.sleep(25 / len(sockets))


class Poster:
    """Kept-alive connections that POST; one more whenever none is free."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._free: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def post(self, path: str, body: dict[str, Any], key: str) -> int:
        """The status. A connection that the server has closed for being idle is let go of."""
        raw = json.dumps(body).encode()
        request = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._token}\r\nIdempotency-Key: {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n".encode()
            + raw
        )
        while True:
            reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                continue
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            self._free.append((reader, writer))
            return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


async def agents(given: dict[str, Any]) -> dict[str, Any]:
    """One listens to everything, and all of `tokens` answer in turns in `conversations`."""
    from tests.live import Parser

    reader, writer = await asyncio.open_connection("127.0.0.1", given["port"], limit=2**20)
    writer.write(
        f"GET /api/v1/stream?types=message.received HTTP/1.1\r\nHost: bench\r\n"
        f"Authorization: Bearer {given['tokens'][0]}\r\n\r\n".encode()
    )
    came = [(time.monotonic(), await reader.read(65536))]

    async def listen() -> None:
        while data := await reader.read(65536):
            came.append((time.monotonic(), data))

    listening = asyncio.create_task(listen())
    posters = [Poster(given["port"], token) for token in given["tokens"]]
    begun = await go()
    sent: dict[str, float] = {}
    statuses: list[int] = []
    tasks = []

    async def answer(number: int) -> None:
        # The visitors write in the same turns at the same times: each is answered half a turn after he has written.
        places = given["conversations"]
        place = places[(number + len(places) // 2) % len(places)]
        path, body = f"/api/v1/conversations/{place}/messages", {"text": f"a{number} it arrives within the hour"}
        statuses.append(await posters[number % len(posters)].post(path, body, f"a{number}"))

    async for number, counts in paced(given, begun):
        if counts:
            sent[f"a{number}"] = time.monotonic()
        tasks.append(asyncio.create_task(answer(number)))
    await asyncio.gather(*tasks)
    await asyncio.sleep(_AFTER)
    listening.cancel()
    heard, parser = {}, Parser()
    for at, data in came:
        parser.feed(data)
        heard |= {told["data"]["message_id"]: at for told in parser.events}
        parser.events.clear()
    for poster in posters:
        poster.close()
    writer.close()
    refused = {str(status): statuses.count(status) for status in set(statuses) - {201}}
    return {"sent": sent, "heard": heard, "refused": refused}


async def main() -> None:
    given = json.loads(await asyncio.to_thread(sys.stdin.readline))
    print(json.dumps(await {"visitors": visitors, "agents": agents}[sys.argv[1]](given)), flush=True)


if __name__ == "__main__":
    run(main())
