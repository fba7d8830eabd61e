"""All the loops of one worker process, started and stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Protocol

import structlog

from helpdesk.apart import Apart
from helpdesk.channels import Channel
from helpdesk.errors import Invalid
from helpdesk.logs import fault
from helpdesk.net import Guard
from helpdesk.services import (
    automation,
    deliveries,
    events,
    filing,
    floods,
    jobs,
    leases,
    notices,
    search_indexing,
    triage,
    webhook_sending,
)
from helpdesk.services.house import Services
from workers.account_letters import AccountLetters
from workers.automate import run_rules, sweep_rules
from workers.chaining import chain_audit
from workers.connections import Connections
from workers.continuing import go_on_by_mail
from workers.deliver import Deliverer
from workers.floods import fold
from workers.hooks import Hooks
from workers.hosts import DoorHost
from workers.housekeeping import report_failing, tidy
from workers.impersonators import Impersonators
from workers.jobs import Jobs
from workers.loop import Loop, Step
from workers.media import Media
from workers.notify import Notifier
from workers.process import Processor
from workers.ratings import ask_for_ratings
from workers.receive import Receiver
from workers.relaying import Relaying
from workers.routing import route, take_back
from workers.search import Searching
from workers.sla import keep_promises
from workers.snooze import wake
from workers.triage import sort_new
from workers.visitor_letters import VisitorLetters
from workers.visits import look_after
from workers.watch import Watch

log = structlog.get_logger()

STOP_SECONDS = 15.0

DISTRIBUTING_SECONDS = 0.25
"""So long an event that has its position may wait for what else follows from it."""

FOLLOWING: Mapping[str, int] = {
    "search": search_indexing.FOLLOWER.batch,
    "triage": triage.FOLLOWER.batch,
    # It stops early where rules had much to do, and goes on at once.
    "automate": automation.MOST_RUNS,
    "floods": floods.FOLLOWER.batch,
}
"""Loops that may rest for a quarter of a tick after a step that did less: nobody waits for what they do.

Somebody waits for everything else: for what is received, filed, relayed and sent, for jobs, and for webhooks, which
claim whenever there is room.
"""


class Holder(Protocol):
    """Whoever does what only one worker may do."""

    def leases(self) -> dict[str, int]: ...

    async def lost(self, lost: Mapping[str, int]) -> None: ...


async def renew_leases(services: Services, holders: Sequence[Holder]) -> None:
    """Keep what all of them hold, in one statement, and tell them what went to others."""
    held = {name: fence for holder in holders for name, fence in holder.leases().items()}
    if not held:
        return
    async with services.database.transaction() as session:
        lost = await leases.renew(session, held, seconds=services.settings.lease_seconds)
    if lost:
        for holder in holders:
            await holder.lost(lost)


class Crew:
    """One worker: `start`, `ring` as often as liked, `stop`.

    `worker` identifies this process among all that share the database. `alone` says that no other life of the same
    name can be alive, so that what it had claimed when it died is taken up at once instead of after its lease. The
    setting `worker_loops` names the loops to run, where a fleet wants workers of their own for some of them. Raises
    `Invalid` for a name that no loop has: the work of the one that was meant would be left undone in silence.
    """

    def __init__(self, services: Services, guard: Guard, *, worker: str, alone: bool = False) -> None:
        self._services, self._guard, self._worker, self._alone = services, guard, worker, alone
        tick = services.settings.tick_seconds
        self._hooks = Hooks(services, guard, worker=worker)
        # Whom nobody listens to need not be rung with every mail.
        self._relaying = Relaying(services, worker=worker, followed=lambda: ["hooks"] if self._hooks.listened else [])
        self._searching = Searching(services, worker=worker)
        self._connections = Connections(services, guard)
        wanted = {part.strip() for part in services.settings.worker_loops.split(",") if part.strip()}
        self._apart = Apart()
        ring = partial(self.ring, ["process"])
        self._processor = Processor(services, self._relaying, self._apart, worker=worker, ring=ring)
        desk = self._processor if not wanted or "process" in wanted else None
        self._receiver = Receiver(services, guard, self._connections, worker=worker, desk=desk)
        self._deliverer = Deliverer(services, self._connections, worker=worker)
        self._jobs = Jobs(services, worker=worker)
        self._impersonators = Impersonators(services, guard, self._connections)
        self._notifier = Notifier(services, guard, self._connections, worker=worker)
        self._claims = (
            (filing, self._processor),
            (deliveries, self._deliverer),
            (webhook_sending, self._hooks),
            (jobs, self._jobs),
            (notices, self._notifier),
        )
        steps: dict[str, Step] = {
            "receive": self._receiver.step,
            "process": self._processor.step,
            "relay": self._relaying.step,
            "deliver": self._deliverer.step,
            "hooks": self._hooks.step,
            "jobs": self._jobs.step,
            "sla": partial(keep_promises, services),
            "notify": self._notifier.step,
            "snooze": partial(wake, services),
            "routing": partial(route, services),
            "ratings": partial(ask_for_ratings, services),
            "continuing": partial(go_on_by_mail, services),
            "search": self._searching.step,
            "triage": partial(sort_new, services),
            "floods": partial(fold, services),
            "media": Media(services, self._connections, worker=worker).step,
            "automate": partial(run_rules, services),
            "letters": AccountLetters(services, self._connections).step,
            "visitor_letters": VisitorLetters(services, self._connections).step,
        }
        watched = [name for name in steps if not wanted or name in wanted]
        watch = Watch(services, watched, ring=self.ring, runs=self._receiver.runs)
        unwatched = (
            Loop("failing", partial(report_failing, services), tick=10 * tick),
            Loop("elapsed", partial(sweep_rules, services), tick=10 * tick),
            Loop("taking_back", partial(take_back, services), tick=10 * tick),
            Loop("visits", partial(look_after, services), tick=10 * tick),
            Loop("impersonators", self._impersonators.step, tick=10 * tick),
            Loop("tidy", partial(tidy, services), tick=3600.0),
            Loop("audit", partial(chain_audit, services), tick=10 * tick),
        )
        loops = [
            *(
                Loop(name, steps[name], tick=tick, watched=True, full=FOLLOWING.get(name, 1), rest=tick / 4)
                for name in watched
            ),
            *(loop for loop in unwatched if not wanted or loop.name in wanted),
            *([Loop("watch", watch.step, tick=tick)] if watched else []),
            Loop("renew", self._renew, tick=services.settings.lease_seconds / 3),
        ]
        self._loops = {loop.name: loop for loop in loops}
        if unknown := wanted - {*steps, *(loop.name for loop in unwatched)}:
            raise Invalid.field("HELPDESK_WORKER_LOOPS", f"there is no loop {', '.join(sorted(unknown))}")
        self._deliverer.on_free = lambda: self.ring(["deliver"])
        self._hooks.on_free = lambda: self.ring(["hooks"])
        self._tasks: list[asyncio.Task[None]] = []
        self._soon: asyncio.TimerHandle | None = None
        self._doors = AsyncExitStack()

    def ring(self, names: Sequence[str]) -> None:
        """Wake loops by name; a name that is no loop here is somebody else's business."""
        for name in names:
            if name in self._loops:
                self._loops[name].ring()
        if events.DISTRIBUTE in names:
            self._distribute()

    def hear(self, names: Sequence[str]) -> None:
        """What is rung aloud is for whoever can do it at once: to ask for the relay's lease is the tick's business."""
        if not self._relaying.holds:
            return
        if "relay" in names:
            self.ring(["relay"])
        elif events.DISTRIBUTE in names:
            self._distribute()

    def _distribute(self) -> None:
        """Soon: who listens has been told, and one step for many events costs little more than for one."""
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(DISTRIBUTING_SECONDS, self._relay)

    def _relay(self) -> None:
        self._soon = None
        self.ring(["relay"])

    async def start(self) -> None:
        """Open the doors, then start the loops. Raises when a door's address is taken."""
        if self._alone:
            await self._take_up()
        for channel in self._services.channels.values():
            if channel.service:
                await self._doors.enter_async_context(self._door(channel))
        self._tasks = [asyncio.create_task(loop.run(), name=f"loop {loop.name}") for loop in self._loops.values()]

    def _door(self, channel: Channel) -> Any:
        settings = self._services.settings
        host = DoorHost(
            self._services,
            self._guard,
            channel=channel.name,
            settings={
                "smtp_bind": settings.smtp_bind,
                "lmtp_bind": settings.lmtp_bind,
                "trusted_peers": [part.strip() for part in settings.trusted_peers.split(",") if part.strip()],
            },
        )
        return channel.load_service()(host)

    async def _take_up(self) -> None:
        async with self._services.database.transaction() as session:
            await leases.forget_owner(session, self._worker)
            for service, _ in self._claims:
                await service.release(session, worker=self._worker)

    async def _renew(self) -> int:
        """The heartbeat: what this worker has in hand stays its own for as long as it lives."""
        mine: dict[str, Any] = {"worker": self._worker, "lease_seconds": self._services.settings.lease_seconds}
        busy = [(service, holder) for service, holder in self._claims if holder.held]
        if busy:
            async with self._services.database.transaction() as session:
                for service, holder in busy:
                    await service.renew(session, holder.held, **mine)
        await renew_leases(self._services, [self._receiver, self._relaying, self._searching])
        return 0

    async def stop(self) -> None:
        """Close the doors, let each loop finish its step, give leases back. Bounded in time."""
        await self._doors.aclose()
        for loop in self._loops.values():
            loop.stop()
        _, late = await asyncio.wait(self._tasks, timeout=STOP_SECONDS) if self._tasks else (set(), set())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        closing = (
            self._receiver.close,
            self._processor.close,
            self._apart.close,
            self._deliverer.idle,
            self._hooks.close,
            self._jobs.close,
            self._notifier.close,
            self._impersonators.close,
            self._relaying.close,
            self._searching.close,
            self._connections.close,
        )
        for close in closing:
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await close()
            except Exception as error:  # leases run out by themselves
                log.warning("worker.close_failed", **fault(error))
