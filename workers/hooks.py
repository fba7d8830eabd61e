"""Tells webhooks: follow the events, claim, sign, send with no transaction open, record."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import LeaseLost
from helpdesk.clock import now
from helpdesk.crypto import CannotOpen
from helpdesk.domain import retry_after, webhook_signing
from helpdesk.logs import fault
from helpdesk.net import Guard, Response, Unreachable, safe_http
from helpdesk.services import following, webhook_deliveries, webhook_sending
from helpdesk.services.house import Services
from helpdesk.services.webhook_sending import GONE, Claimed
from helpdesk.services.webhooks import signing_secrets

log = structlog.get_logger()

AT_ONCE = 16
"""Messages on their way at the same time in one worker."""

PER_WEBHOOK = 2
"""Of these, to one webhook: one that keeps us waiting must not keep the others waiting."""

FAILING = AT_ONCE // 2
"""Of these, to webhooks that failed last time: however many are away, there is room for those that answer."""

SECONDS = 15.0
_ANSWER_BYTES = 4096


class Hooks:
    """One worker's senders of webhooks."""

    def __init__(self, services: Services, guard: Guard, *, worker: str, seconds: float = SECONDS) -> None:
        self._services, self._worker = services, worker
        self._http = safe_http(guard, timeout=seconds, connections=AT_ONCE)
        self._running: dict[asyncio.Task[None], Claimed] = {}
        self._follower = replace(webhook_deliveries.FOLLOWER, interested=self._listened)
        self.listened = True
        """Whether any webhook was on when this worker last looked, which it has to do first."""
        self.on_free: Callable[[], None] = _nothing
        """Called when a place has become free, so that whoever waits for one is claimed at once."""

    @property
    def held(self) -> set[UUID]:
        """What is in hand: claims that have to be renewed for as long as they are."""
        return {claimed.delivery["id"] for claimed in self._running.values()}

    async def step(self) -> int:
        """Queue what has happened, claim what there is room for and start on it. Answers whether there may be more."""
        room = AT_ONCE - len(self._running)
        if room <= 0:
            return 0
        webhooks = Counter(claimed.webhook["id"] for claimed in self._running.values())
        free = {webhook_id: count for webhook_id, count in webhooks.items() if count < PER_WEBHOOK}
        failing = sum(claimed.webhook["failing_since"] is not None for claimed in self._running.values())
        tell = partial(webhook_deliveries.tell, now=now())
        followed = await following.follow(self._services.database, self._follower, tell)
        async with self._services.database.transaction() as session:
            claimed = await webhook_sending.claim(
                session,
                worker=self._worker,
                # All that are taken may be for the same one, which may have some on their way.
                limit=min(room, PER_WEBHOOK - max(free.values(), default=0)),
                busy=webhooks.keys() - free.keys(),
                healthy_only=failing >= FAILING,
                lease_seconds=self._services.settings.lease_seconds,
                now=now(),
            )
        for one in claimed:
            task = asyncio.create_task(self._one(one), name=f"webhook delivery {one.delivery['id']}")
            self._running[task] = one
            task.add_done_callback(self._done)
        return followed + len(claimed)

    async def _listened(self, session: AsyncSession) -> bool:
        self.listened = await webhook_deliveries.listened(session)
        return self.listened

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            # The database would not take the end. The claim is renewed no more, and whoever takes it sends it again.
            log.error("webhook.not_recorded", **fault(error))
        self.on_free()

    async def idle(self) -> None:
        """Wait until nothing is on its way."""
        while self._running:
            await asyncio.wait(list(self._running))

    async def close(self) -> None:
        await self.idle()
        await self._http.aclose()

    async def _one(self, claimed: Claimed) -> None:
        try:
            answer = await self._send(claimed)
        except Unreachable as error:
            await self._refused(claimed, error=str(error.kind))
        except CannotOpen:
            await self._refused(claimed, error="no_key")
        except Exception as error:  # whatever it is, it must not be tried without end and without pauses
            log.error("webhook.failed", **fault(error))
            await self._refused(claimed, error="internal")
        else:
            await self._answered(claimed, answer)

    async def _send(self, claimed: Claimed) -> Response:
        delivery, webhook, at = claimed.delivery, claimed.webhook, now()
        body = delivery["body"].encode()
        signed = webhook_signing.headers(
            signing_secrets(self._services, webhook, now=at), message_id=str(delivery["event_id"]), body=body, now=at
        )
        headers = {"content-type": "application/json", **signed}
        return await self._http.request(
            "POST", webhook["url"], headers=headers, content=body, max_bytes=_ANSWER_BYTES, cut=True
        )

    async def _answered(self, claimed: Claimed, answer: Response) -> None:
        if answer.ok:
            await self._record(webhook_sending.sent, claimed, status=answer.status)
            return
        wait = retry_after.wait(answer.headers.get("retry-after"), now=now())
        error = "gone" if answer.status == GONE else "status"
        await self._refused(claimed, error=error, status=answer.status, wait=wait)

    async def _refused(
        self, claimed: Claimed, *, error: str, status: int | None = None, wait: timedelta = timedelta()
    ) -> None:
        await self._record(webhook_sending.refused, claimed, status=status, error=error, wait=wait)

    async def _record(self, verb: Callable[..., Awaitable[None]], claimed: Claimed, **what: Any) -> None:
        try:
            async with self._services.database.transaction() as session:
                await verb(self._services, session, claimed, now=now(), **what)
        except LeaseLost:
            log.warning("webhook.taken_over")


def _nothing() -> None:
    """Until a loop asks to be told."""
