"""A PostgreSQL database that is emptied again and again, by a connection that is kept: a new one knows no table yet."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import asyncpg

from helpdesk.models import metadata

NAME = "emptying"
"""What the connection calls itself, for tests that count connections."""
SEEDED = ("business_hours", "sla_policies", "escalation_rules", "setting_versions")
"""Tables that a new database has rows in."""
KEPT = frozenset({"counters"})

_FILLED = " UNION ALL ".join(
    f"SELECT '{table.name}', pg_relation_size('{table.name}') WHERE EXISTS (SELECT 1 FROM \"{table.name}\")"
    for table in metadata.sorted_tables
    if table.name not in KEPT
)
_LARGE = 256 * 1024
"""Octets. Nothing vacuums here: tables that were emptied row by row are read through all that was ever in them."""


class Emptied:
    """`empty` makes it what it was at the beginning. Not to be called from a coroutine."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._loop = asyncio.new_event_loop()
        self._connection: Any = None

    def __enter__(self) -> Emptied:
        self._loop.run_until_complete(self._connect())
        self._loop.run_until_complete(self._set_aside())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.terminate()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def empty(self) -> None:
        try:
            self._loop.run_until_complete(self._empty())
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            # Some tests end every connection that there is.
            self._connection.terminate()
            self._loop.run_until_complete(self._connect())
            self._loop.run_until_complete(self._empty())

    async def _connect(self) -> None:
        """Whoever left a lock behind is told of after a while."""
        url = self.url.replace("postgresql+asyncpg", "postgresql")
        settings = {"lock_timeout": "10s", "application_name": NAME}
        self._connection = await asyncpg.connect(url, server_settings=settings)

    async def _set_aside(self) -> None:
        """Keep what a new database begins with, to be put back each time."""
        copies = ";".join(f"CREATE TABLE seed.{table} AS TABLE {table}" for table in SEEDED)
        await self._connection.execute(f"CREATE SCHEMA seed; {copies}")

    async def _empty(self) -> None:
        """With foreign keys asleep. DELETE takes a tenth of TRUNCATE's time on tables of a few rows."""
        filled = await self._connection.fetch(_FILLED)
        large = ", ".join(f'"{name}"' for name, size in filled if size > _LARGE)
        wipe = [f'DELETE FROM "{name}"' for name, size in filled if size <= _LARGE]
        wipe += [f"TRUNCATE {large} CASCADE"] if large else []
        back = [f"INSERT INTO {table} SELECT * FROM seed.{table}" for table in SEEDED]
        script = [
            "BEGIN",
            "SET LOCAL session_replication_role = replica",
            *wipe,
            *back,
            "SELECT setval('conversation_number', 1, false)",
            "COMMIT",
        ]
        await self._connection.execute("; ".join(script))
