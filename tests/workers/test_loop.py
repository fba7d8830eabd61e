"""The loop of due work: by the tick, by the bell, to the end, and past whatever its step runs into."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from workers.loop import Loop

FAR = 3600.0


@asynccontextmanager
async def running(loop: Loop) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(loop.run())
    try:
        yield task
    finally:
        loop.stop()
        async with asyncio.timeout(5):
            await task


class Work:
    """Says how much there was, one number for each step, then nothing; an exception is raised."""

    def __init__(self, *amounts: int | Exception) -> None:
        self.amounts, self.steps = list(amounts), 0
        self._changed = asyncio.Condition()

    async def step(self) -> int:
        async with self._changed:
            self.steps += 1
            self._changed.notify_all()
        amount = self.amounts.pop(0) if self.amounts else 0
        if isinstance(amount, Exception):
            raise amount
        return amount

    async def until(self, steps: int) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: self.steps >= steps)


async def test_work_is_repeated_until_nothing_is_due() -> None:
    work = Work(5, 5, 2)
    async with running(Loop("test", work.step, tick=FAR)):
        await work.until(4)
        await asyncio.sleep(0.05)
    assert work.steps == 4


async def test_the_bell_wakes_a_loop_whose_tick_is_far_away() -> None:
    work = Work()
    loop = Loop("test", work.step, tick=FAR)
    async with running(loop):
        await work.until(1)
        loop.ring()
        await work.until(2)


async def test_a_ring_during_a_step_is_not_lost() -> None:
    began, go = asyncio.Event(), asyncio.Event()
    steps = 0

    async def step() -> int:
        nonlocal steps
        steps += 1
        began.set()
        await go.wait()
        return 0

    loop = Loop("test", step, tick=FAR)
    async with running(loop):
        await began.wait()
        loop.ring()
        go.set()
        async with asyncio.timeout(5):
            while steps < 2:
                await asyncio.sleep(0.01)


async def test_without_a_bell_the_tick_is_enough() -> None:
    work = Work()
    async with running(Loop("test", work.step, tick=0.02)):
        await work.until(3)


async def test_a_watched_loop_steps_once_and_then_only_at_the_bell() -> None:
    work = Work()
    loop = Loop("test", work.step, tick=0.01, watched=True)
    async with running(loop):
        await work.until(1)
        await asyncio.sleep(0.05)
        assert work.steps == 1, "the first step waits for nobody: there may be work from before"
        loop.ring()
        await work.until(2)


async def test_a_watched_loop_whose_step_raised_does_not_wait_for_the_bell() -> None:
    work = Work(OSError("the database is away"))
    async with running(Loop("test", work.step, tick=0.01, watched=True)):
        await work.until(2)


async def test_a_step_that_raises_is_tried_again() -> None:
    work = Work(OSError("the database is away"), ValueError("odd"), 1)
    async with running(Loop("test", work.step, tick=0.01)):
        await work.until(4)


async def test_a_loop_rests_after_a_little_and_not_after_a_lot() -> None:
    work = Work(7, 5, 2, 1)
    loop = Loop("test", work.step, tick=FAR, full=5, rest=FAR)
    async with running(loop):
        await work.until(3)
        loop.ring()
        await asyncio.sleep(0.05)
        assert work.steps == 3, "what is rung for while it rests is done together"
    assert work.steps == 3, "whoever stops it does not wait for it"


async def test_a_loop_goes_on_after_its_rest_and_answers_the_first_ring_at_once() -> None:
    work = Work(1, 1)
    loop = Loop("test", work.step, tick=FAR, full=5, rest=0.01)
    async with running(loop):
        await work.until(3)
        await asyncio.sleep(0.03)
        loop.ring()
        await work.until(4)
        assert work.steps == 4


async def test_stop_lets_the_step_at_hand_finish_and_begins_no_other() -> None:
    began, go = asyncio.Event(), asyncio.Event()
    finished = 0

    async def step() -> int:
        nonlocal finished
        began.set()
        await go.wait()
        finished += 1
        return 1

    call: Callable[[], Awaitable[int]] = step
    loop = Loop("test", call, tick=FAR)
    async with running(loop) as task:
        await began.wait()
        loop.stop()
        await asyncio.sleep(0.02)
        assert not task.done()
        go.set()
    assert finished == 1
