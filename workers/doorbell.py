"""The doorbell: wakes due work sooner than the next tick, here and in other processes, and is never needed.

Rings travel as arq jobs that name loops and nothing else. While Redis is away they are dropped; each worker looks by
itself every couple of seconds anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import orjson
import structlog
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.worker import Function, Worker, func
from fakeredis import FakeServer
from fakeredis.aioredis import FakeAsyncRedisConnection
from redis.asyncio import ConnectionPool
from redis.asyncio.client import Pipeline

from helpdesk.logs import fault
from workers.ringing import ALOUD, CHANNEL, aloud

log = structlog.get_logger()


def connector(url: str) -> Callable[[], Any]:
    """Opens an arq pool on `url`, quickly or not at all."""

    async def connect() -> ArqRedis:
        settings = RedisSettings.from_dsn(url)
        settings.conn_timeout, settings.conn_retries = 1, 0
        return await create_pool(settings, job_serializer=serialize, job_deserializer=deserialize)

    return connect


def embedded() -> Callable[[], Any]:
    """The same inside this process, on fakeredis: `helpdesk up` needs nothing installed."""
    server = FakeServer()

    async def connect() -> ArqRedis:
        pool = ConnectionPool(connection_class=FakeAsyncRedisConnection, server=server)
        return EmbeddedRedis(pool, job_serializer=serialize, job_deserializer=deserialize)

    return connect


class _EmbeddedPipeline(Pipeline):
    def info(self, section: str | None = None, *args: list[str], **kwargs: Any) -> Any:
        return self.execute_command("ECHO", "info")


def _nothing_known(response: Any, **options: Any) -> dict[str, Any]:
    return {}


class EmbeddedRedis(ArqRedis):
    """arq asks for INFO when it starts, which the in-process server does not keep: it gets an empty answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_response_callback("ECHO", _nothing_known)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return _EmbeddedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


def serialize(job: dict[str, Any]) -> bytes:
    return orjson.dumps(job, default=list)


def deserialize(raw: bytes) -> dict[str, Any]:
    """Never pickle: whoever can write to Redis must not be able to run code here."""
    job: dict[str, Any] = orjson.loads(raw)
    job["a"] = tuple(job["a"])
    return job


async def wake(ctx: dict[Any, Any], names: list[str]) -> None:
    """The arq job: ring the loops of this worker."""
    ctx["here"](names)


FUNCTIONS: tuple[Function, ...] = (func(wake, name="wake", keep_result=0, timeout=10, max_tries=1),)


async def listen(connect: Callable[[], Any], here: Callable[[Sequence[str]], None]) -> None:
    """Run an arq worker for as long as this task lives. A lost Redis ends arq's worker: it is started again."""
    pause = 0.5
    while True:
        worker: Worker | None = None
        pool: ArqRedis | None = None
        try:
            pool = await connect()
            worker = Worker(
                functions=FUNCTIONS,
                redis_pool=pool,
                ctx={"here": here},
                handle_signals=False,
                max_jobs=100,
                poll_delay=0.25,
                keep_result=0,
                max_tries=1,
                job_timeout=10,
                job_serializer=serialize,
                job_deserializer=deserialize,
            )
            pause = 0.5
            await worker.async_run()
        except asyncio.CancelledError:
            if worker is not None and pool is not None:
                await _close(worker, pool)
            raise
        except Exception as error:  # any of redis-py's many errors: wait, and listen again
            log.warning("doorbell.lost", **fault(error))
            if worker is not None and pool is not None:
                await _close(worker, pool)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 5.0)


async def hear(connect: Callable[[], Any], here: Callable[[Sequence[str]], None], *, own: str = "") -> None:
    """Hear what is rung aloud, for as long as this task lives. All of it is rung here with each new connection.

    What the doorbell of the name `own` has published was rung here when it was.
    """
    pause = 0.5
    while True:
        pool: ArqRedis | None = None
        try:
            pool = await connect()
            async with pool.pubsub(ignore_subscribe_messages=True) as heard:
                await heard.subscribe(CHANNEL)
                here(sorted(ALOUD))
                pause = 0.5
                async for message in heard.listen():
                    names = orjson.loads(message["data"])
                    if own not in names:
                        here(sorted(aloud(names)))
        except Exception as error:  # any of redis-py's many errors: wait, and listen again
            log.warning("doorbell.lost", **fault(error))
        finally:
            if pool is not None:
                await _leave(pool)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 5.0)


async def _leave(pool: ArqRedis) -> None:
    try:
        async with asyncio.timeout(1.0):
            await pool.aclose(close_connection_pool=True)
    except Exception as error:  # closing what is broken already
        log.debug("doorbell.close", **fault(error))


async def _close(worker: Worker, pool: ArqRedis) -> None:
    """What `Worker.close` does, without the client call that redis-py has deprecated."""
    if worker.main_task is not None:
        worker.main_task.cancel()
    with suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
    await _leave(pool)
