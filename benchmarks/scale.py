"""Whether what agents ask all day costs the same on a desk of a million conversations as on one of ten thousand.

Both desks are in one PostgreSQL (`population.py`), each behind a server of its own. The same requests go to either in
turn, one at a time, so that a neighbour on the machine disturbs both alike; their medians are compared. Meanwhile no
large table may be read from end to end: PostgreSQL counts that (`pg_stat_user_tables.seq_scan`), whichever statement
does it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import orjson

from benchmarks.population import COMMON, LARGE, RARE
from benchmarks.served import Server

RATIO, COUNTS_MS, COMMON_MS = 1.5, 50.0, 300.0
V: Final = "/api/v1"
COMPARED: Final[Mapping[str, Sequence[str]]] = {
    "the default list": (f"{V}/conversations",),
    "what is mine": (f"{V}/conversations?assignee_id=me",),
    "due soon": (f"{V}/conversations?sla=due_soon&sort=next_due_at",),
    "one conversation with its messages": (f"{V}/conversations/{{id}}", f"{V}/conversations/{{id}}/messages"),
    "a search for a rare word": (f"{V}/search?q={RARE}",),
}
BOUNDED: Final[Mapping[str, tuple[str, float]]] = {
    "counts": (f"{V}/conversations/counts", COUNTS_MS),
    "a search for a common word": (f"{V}/search?q={COMMON}", COMMON_MS),
}


@dataclass
class Desk:
    """A server over one database, with the ids of conversations that are on its first page."""

    server: Server
    url: str
    ids: list[str]

    @classmethod
    async def open(cls, server: Server, url: str, token: str) -> Desk:
        page = orjson.loads(await server.get(server.connections[0], f"{V}/conversations?limit=100", token))
        return cls(server, url, [item["id"] for item in page["items"]])

    async def once(self, paths: Sequence[str], turn: int, token: str) -> float:
        """Milliseconds for these requests, one after the other."""
        before = time.perf_counter()
        for path in paths:
            await self.server.get(self.server.connections[0], path.format(id=self.ids[turn % len(self.ids)]), token)
        return (time.perf_counter() - before) * 1000


async def compare(small: Desk, large: Desk, tokens: Mapping[str, str], *, turns: int) -> bool:
    """Prints a line for each question and who asks it. Answers whether all limits are kept."""
    scans = await _scans(large.url)
    kept = True
    print(f"{'who':<11} {'what':<36} {'small ms':>9} {'large ms':>9} {'limit':>12}")
    for who, token in tokens.items():
        for what, paths in COMPARED.items():
            little, much = await _medians(small, large, paths, token, turns=turns)
            kept &= much <= little * RATIO
            print(f"{who:<11} {what:<36} {little:>9.2f} {much:>9.2f} {much / little:>5.2f} of {RATIO}")
        for what, (path, limit) in BOUNDED.items():
            little, much = await _medians(small, large, (path,), token, turns=turns)
            kept &= much <= limit
            print(f"{who:<11} {what:<36} {little:>9.2f} {much:>9.2f} {limit:>9.0f} ms")
    await asyncio.sleep(1.5)  # backends tell their counters about once a second
    read = {table: count - scans[table] for table, count in (await _scans(large.url)).items() if count > scans[table]}
    print("large tables read from end to end:", read or "none")
    return kept and not read


async def _medians(small: Desk, large: Desk, paths: Sequence[str], token: str, *, turns: int) -> tuple[float, float]:
    found: dict[int, list[float]] = {0: [], 1: []}
    for turn in range(turns + 3):
        for place, desk in enumerate((small, large)):
            spent = await desk.once(paths, turn, token)
            if turn >= 3:  # the first ones prepare statements
                found[place].append(spent)
    return statistics.median(found[0]), statistics.median(found[1])


async def _scans(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        rows: Any = await connection.fetch("SELECT relname, seq_scan FROM pg_stat_user_tables")
        large = {table.name for table in LARGE}
        return {row["relname"]: row["seq_scan"] for row in rows if row["relname"] in large}
    finally:
        await connection.close()
