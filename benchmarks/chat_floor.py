"""What a chat costs at least: for each message one transaction (a row lock, two inserts) and a second socket's frame.

    python benchmarks/chat_floor.py --url postgresql://... --port 8100

Odd connections are told what the even ones before them say. Nothing is checked, signed, sealed or remembered.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import asyncpg
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.chat_load import PROTOCOL
from helpdesk.commands.serve import run

TABLES = """
    CREATE TABLE floor_conversations (id int PRIMARY KEY, contact text NOT NULL);
    CREATE TABLE floor_messages (id bigserial PRIMARY KEY, conversation_id int, text text);
    CREATE TABLE floor_events (id bigserial PRIMARY KEY, conversation_id int, type text);
    INSERT INTO floor_conversations SELECT n, 'somebody' FROM generate_series(0, 9999) n;
"""
LOCK = "SELECT contact FROM floor_conversations WHERE id = $1 FOR NO KEY UPDATE"
MESSAGE = "INSERT INTO floor_messages (conversation_id, text) VALUES ($1, $2)"
EVENT = "INSERT INTO floor_events (conversation_id, type) VALUES ($1, 'message.received')"


class Floor:
    """One pool, and everybody who is connected by number."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._there: dict[int, ServerConnection] = {}

    async def attend(self, socket: ServerConnection) -> None:
        try:
            number = int(json.loads(await socket.recv())["token"])
            self._there[number] = socket
            await socket.send(json.dumps({"type": "welcome"}))
            async for raw in socket:
                await self._carry(number, raw)
        except ConnectionClosed:
            pass

    async def _carry(self, number: int, raw: str | bytes) -> None:
        frame = json.loads(raw)
        if frame["type"] != "message.send":
            return
        place = number // 2
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.fetchval(LOCK, place)
            await connection.execute(MESSAGE, place, frame["text"])
            await connection.execute(EVENT, place)
        message = {"author": {"kind": "agent"}, "text": frame["text"]}
        await self._there[number + 1].send(json.dumps({"type": "message.new", "message": message}))


async def main(url: str, port: int) -> None:
    async with asyncpg.create_pool(url, min_size=10, max_size=10) as pool:
        await pool.execute(TABLES)
        floor = Floor(pool)
        protocols = [Subprotocol(PROTOCOL)]
        async with serve(floor.attend, "127.0.0.1", port, compression=None, subprotocols=protocols) as server:
            print("ready", flush=True)
            await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--port", type=int, required=True)
    chosen = parser.parse_args()
    run(main(chosen.url, chosen.port))
