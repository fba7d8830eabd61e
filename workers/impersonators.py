"""The loop that looks for accounts which look like ours."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from helpdesk.apart import Apart, Died
from helpdesk.channels import ChannelError, KnowsItself
from helpdesk.clock import now
from helpdesk.logs import fault
from helpdesk.net import Guard, Unreachable, safe_http
from helpdesk.services import avatars, impersonators
from helpdesk.services.house import Services
from helpdesk.services.impersonators import Suspect
from helpdesk.statements import Row
from workers.connections import Connections

log = structlog.get_logger()

_SECONDS: Final = 10.0
_AGAIN: Final = timedelta(minutes=10)
"""After so long an account of ours that could not be read is asked for again."""
_PICTURES_AT_ONCE: Final = 4


class Impersonators:
    """One worker's looking. Two at it at the same time do the same twice and tell it once."""

    def __init__(self, services: Services, guard: Guard, connections: Connections) -> None:
        self._services, self._connections = services, connections
        self._http = safe_http(guard, timeout=_SECONDS, max_bytes=avatars.MOST_BYTES, connections=_PICTURES_AT_ONCE)
        self._apart = Apart()
        self._rests: dict[UUID, datetime] = {}

    async def step(self) -> int:
        """Know our own accounts, compare some others with them. Answers how many were compared."""
        await self._know_ours()
        async with self._services.database.reading() as session:
            suspects = await impersonators.unchecked(session)
        if not suspects:
            return 0
        hashes = await self._hashes(suspects)
        async with self._services.database.transaction() as session:
            await impersonators.judge(self._services, session, suspects, hashes, now=now())
        return len(suspects)

    async def close(self) -> None:
        await self._http.aclose()
        await self._apart.close()

    async def _know_ours(self) -> None:
        channels = [name for name, channel in self._services.channels.items() if channel.capabilities.public_replies]
        async with self._services.database.reading() as session:
            unknown = await impersonators.unknown(session, channels, now=now())
        for inbox in unknown:
            if self._rests.get(inbox["id"], now()) > now():
                continue
            self._rests[inbox["id"]] = now() + _AGAIN
            try:
                await self._know(inbox["id"], inbox["channel"])
            except (ChannelError, TimeoutError) as error:  # the loop that receives says what is wrong with the inbox
                log.info("impersonators.own_unknown", **fault(error))

    async def _know(self, inbox_id: UUID, channel: str) -> None:
        connector = await self._connections.get(inbox_id)
        if not isinstance(connector, KnowsItself):
            return
        async with asyncio.timeout(_SECONDS):
            profile = await connector.profile()
        async with self._services.database.transaction() as session:
            await impersonators.know(session, inbox_id, channel, profile, now=now())

    async def _hashes(self, suspects: Sequence[Suspect]) -> Mapping[UUID, int]:
        """Of the pictures that would tell something, theirs and ours, by account; those that could be had."""
        wanted: dict[UUID, Row] = {}
        for suspect in suspects:
            if suspect.needs_picture:
                ours = [one for one in suspect.ours if one["avatar_url"] and one["avatar_hash"] is None]
                wanted |= {one["id"]: one for one in (suspect.account, *ours)}
        room = asyncio.Semaphore(_PICTURES_AT_ONCE)

        async def one(account: Row) -> tuple[UUID, int | None]:
            async with room:
                return account["id"], await self._hash(account["avatar_url"])

        found = await asyncio.gather(*map(one, wanted.values()))
        return {account_id: value for account_id, value in found if value is not None}

    async def _hash(self, url: str) -> int | None:
        try:
            answer = await self._http.request("GET", url)
            if not answer.ok or answer.cut:
                return None
            return await self._apart.run(avatars.difference_hash, answer.body, seconds=_SECONDS)
        except (Unreachable, avatars.NoPicture, Died, TimeoutError, OSError) as error:
            log.info("impersonators.no_picture", **fault(error))
            return None
