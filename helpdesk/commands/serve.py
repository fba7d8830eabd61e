"""`up`, `api` and `worker`: the long-running commands."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import structlog
import uvicorn

from helpdesk import logs, migrate
from helpdesk.commands import demo, first_run
from helpdesk.config import Settings
from helpdesk.errors import Unavailable
from helpdesk.services.house import Services
from helpdesk.services.streaming import Hub
from helpdesk.services.visiting import VisitorHub
from helpdesk.wiring import open_guard, open_services
from workers.crew import Crew
from workers.ringing import Doorbell

log = structlog.get_logger()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where there is one: it halves what sockets cost."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(coroutine)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(coroutine)


def embedded_defaults(settings: Settings, *, host: str, port: int, smtp_port: int) -> Settings:
    """What `up` adds to the settings that nobody gave: its own address, the door, and loopback as a host to reach."""
    shown = f"[{host}]" if ":" in host else host
    given = {
        "base_url": settings.base_url or f"http://{shown}:{port}",
        "smtp_bind": settings.smtp_bind or f"{shown}:{smtp_port}",
        "allow_hosts": settings.allow_hosts or ("127.0.0.0/8,::1/128" if settings.embedded else ""),
    }
    return settings.model_copy(update=given)


async def up(settings: Settings, *, host: str, port: int, with_demo: bool) -> None:
    """Everything in one process. Ready when `ready http://HOST:PORT` is printed."""
    logs.configure(settings.log_level)
    with _only_one(settings.data), _listen(host, port) as listener:
        await _everything(settings, listener, ready=f"ready http://{host}:{port}", with_demo=with_demo)


async def _everything(settings: Settings, listener: socket.socket, *, ready: str, with_demo: bool) -> None:
    guard = open_guard(settings)
    services = open_services(settings)
    crew = Crew(services, guard, worker="up" if settings.embedded else _name(), alone=settings.embedded)
    hub, visitors = Hub(services, rung=True), VisitorHub(services, rung=True)

    def here(names: Sequence[str]) -> None:
        crew.ring(names)
        hub.ring(names)
        visitors.ring(names)

    bell = Doorbell(here=here)
    services.database.on_commit = bell.ring
    services.database.on_handed = _hearing(hub, visitors)
    listening: list[asyncio.Task[None]] = []
    try:
        await migrate.upgrade(services.database)
        for line in await first_run.prepare(services):
            _say(line)
        await crew.start()
        if with_demo:
            for line in await demo.prepare(services, settings):
                _say(line)

        def then() -> None:
            listening.append(asyncio.create_task(_hang(bell, settings, crew, hub, visitors)))

        await _serve(services, hub, visitors, listener, ready=ready, then=then)
    finally:
        await crew.stop()
        await _end(*listening)
        await bell.close()
        await services.database.close()


def _hearing(hub: Hub, visitors: VisitorHub) -> Callable[[Sequence[Any]], None]:
    def handed(fresh: Sequence[Any]) -> None:
        hub.hear(fresh)
        visitors.hear(fresh)

    return handed


async def _hang(bell: Doorbell, settings: Settings, crew: Crew, hub: Hub, visitors: VisitorHub) -> None:
    """Hang the doorbell up, for other processes and later ones. Nobody waits for it: imported beside the work."""
    doorbell = await asyncio.to_thread(import_module, "workers.doorbell")
    if not settings.redis_url:
        connect = doorbell.embedded()
        bell.hang(connect, alone=True)
        await doorbell.listen(connect, crew.ring)
        return
    connect = doorbell.connector(settings.redis_url)
    bell.hang(connect)

    def aloud(names: Sequence[str]) -> None:
        crew.hear(names)
        hub.ring(names)
        visitors.ring(names)

    await asyncio.gather(doorbell.listen(connect, crew.ring), doorbell.hear(connect, aloud, own=bell.name))


async def api(settings: Settings, *, host: str, port: int) -> None:
    """The HTTP side alone; workers are rung through Redis, if there is one."""
    logs.configure(settings.log_level)
    from workers import doorbell

    with _listen(host, port) as listener:
        services = open_services(settings)
        connect = doorbell.connector(settings.redis_url) if settings.redis_url else None
        rung = connect is not None
        hub, visitors = Hub(services, rung=rung), VisitorHub(services, rung=rung)

        def here(names: Sequence[str]) -> None:
            hub.ring(names)
            visitors.ring(names)

        bell = Doorbell(connect, here=here)
        services.database.on_commit = bell.ring
        services.database.on_handed = _hearing(hub, visitors)
        hearing: list[asyncio.Task[None]] = []
        try:
            await migrate.check(services.database)
            if connect is not None:
                hearing.append(asyncio.create_task(doorbell.hear(connect, here, own=bell.name)))
            await _serve(services, hub, visitors, listener, ready=f"ready http://{host}:{port}")
        finally:
            await _end(*hearing)
            await bell.close()
            await services.database.close()


async def worker(settings: Settings) -> None:
    """The loops alone, until SIGTERM or SIGINT."""
    from workers import doorbell

    logs.configure(settings.log_level)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    services = open_services(settings, plan_once=True)
    crew = Crew(services, open_guard(settings), worker=_name())
    connect = doorbell.connector(settings.redis_url) if settings.redis_url else None
    bell = Doorbell(connect, here=crew.ring)
    services.database.on_commit = bell.ring
    listening: list[asyncio.Task[None]] = []
    try:
        await migrate.check(services.database)
        await crew.start()
        if connect is not None:
            listening.append(asyncio.create_task(doorbell.listen(connect, crew.ring)))
            listening.append(asyncio.create_task(doorbell.hear(connect, crew.hear, own=bell.name)))
        _ready("ready worker")
        await stop.wait()
    finally:
        await crew.stop()
        await _end(*listening)
        await bell.close()
        await services.database.close()


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(
    services: Services,
    hub: Hub,
    visitors: VisitorHub,
    listener: socket.socket,
    *,
    ready: str,
    then: Callable[[], None] = lambda: None,
) -> None:
    """`then` is called when it is ready."""
    from helpdesk.api import sockets
    from helpdesk.app import create_app  # takes as long to import as all else, and a worker has no use for it

    settings = services.settings
    config = uvicorn.Config(
        create_app(services, hub=hub, visitors=visitors),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies or None,
        timeout_graceful_shutdown=10,
        lifespan="on",
        **sockets.SETTINGS,
    )
    server = _Server(config)
    server.ready, server.then, server.hub, server.visitors = ready, then, hub, visitors
    await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Says when it is ready, in the one line that scripts wait for."""

    ready: str
    then: Callable[[], None]
    hub: Hub
    visitors: VisitorHub

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn's, which raises the signal again at the end: the workers have yet to finish what they send."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _ready(self.ready)
        self.then()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn waits for answers to end, and streams have none."""
        await self.hub.close()
        await self.visitors.close()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    """Bound before anything else, so that a port in use is one clear line and not a traceback after the work."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, since asyncio sends at once only on what says that it is TCP: half an answer would wait for the other half.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Unavailable(f"cannot listen on {host}:{port} ({error.strerror})") from None
    listener.set_inheritable(False)
    return listener


def _only_one(data: Path) -> IO[str]:
    """Two embedded installations on one data folder would each think that they are alone."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data / "up.lock").open("a")
    except OSError as error:
        raise Unavailable(f"{data} cannot be written ({error.strerror})") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise Unavailable(f"another `helpdesk up` is running on {data}") from None
    return lock


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def _ready(line: str) -> None:
    """What is there by now stays: the collector, which the command line had turned off, need not look at it again.

    With two thousand connections a pass over everything takes 150 ms, in which nobody is answered. By Python's own
    thresholds these passes were what the slowest messages waited for.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
    _say(line)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
