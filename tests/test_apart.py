"""The process apart: what it answers, what becomes of it, and what it never learns."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest
import uvloop

from helpdesk.apart import Apart, Died


@pytest.fixture
async def apart() -> AsyncIterator[Apart]:
    made = Apart()
    yield made
    await made.close()


def refuse(what: str) -> NoReturn:
    raise ValueError(what)


def answer_what_cannot_be_sent() -> object:
    return lambda: None


def settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("HELPDESK_")}


def pids_and_time(path: str) -> int:
    """Note who runs this, and take a while."""
    Path(path).write_text(str(os.getpid()), encoding="ascii")
    time.sleep(30)
    return os.getpid()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def gone(pid: int) -> bool:
    for _ in range(200):
        if not is_alive(pid):
            return True
        await asyncio.sleep(0.05)
    return False


async def noted(path: Path) -> int:
    while not (path.exists() and path.read_text(encoding="ascii")):
        await asyncio.sleep(0.02)
    return int(path.read_text(encoding="ascii"))


@pytest.mark.parametrize("size", [0, 1, 65_000, 65_536, 300_000, 20_000_000])
async def test_messages_of_every_size_come_back_whole(apart: Apart, size: int) -> None:
    sent = os.urandom(min(size, 1_000_000)) * max(1, size // 1_000_000)
    assert await apart.run(bytes.__mul__, sent, 1, seconds=20) == sent


async def test_it_is_another_process_and_the_same_one_each_time(apart: Apart) -> None:
    first = await apart.run(os.getpid, seconds=20)
    assert first != os.getpid()
    assert await apart.run(os.getpid, seconds=20) == first


async def test_an_error_of_the_function_is_raised_here_and_the_process_goes_on(apart: Apart) -> None:
    first = await apart.run(os.getpid, seconds=20)
    with pytest.raises(ValueError, match="not today"):
        await apart.run(refuse, "not today", seconds=20)
    with pytest.raises(Exception, match="pickle"):
        await apart.run(answer_what_cannot_be_sent, seconds=20)
    assert await apart.run(os.getpid, seconds=20) == first


async def test_a_process_that_dies_is_told_of_and_replaced(apart: Apart) -> None:
    with pytest.raises(Died):
        await apart.run(os._exit, 3, seconds=20)
    assert await apart.run(int, "7", seconds=20) == 7


async def test_a_process_that_died_between_two_calls_is_replaced_without_anybody_noticing(apart: Apart) -> None:
    pid = await apart.run(os.getpid, seconds=20)
    os.kill(pid, signal.SIGKILL)
    assert await gone(pid)
    await asyncio.sleep(0.05)
    assert await apart.run(os.getpid, seconds=20) != pid


async def test_what_takes_too_long_is_killed(apart: Apart, tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        await apart.run(pids_and_time, str(tmp_path / "pid"), seconds=2)
    assert await gone(int((tmp_path / "pid").read_text(encoding="ascii")))
    assert await apart.run(int, "7", seconds=20) == 7


async def test_that_no_process_can_be_started_is_not_taken_for_a_death(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(FileNotFoundError):
            await apart.run(int, "7", seconds=20)
    assert await apart.run(int, "7", seconds=20) == 7


async def test_whoever_is_cancelled_takes_the_process_along(apart: Apart, tmp_path: Path) -> None:
    task = asyncio.create_task(apart.run(pids_and_time, str(tmp_path / "pid"), seconds=20))
    pid = await noted(tmp_path / "pid")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(pid)
    assert await apart.run(int, "7", seconds=20) == 7


async def test_calls_wait_for_one_another_and_their_time_runs_from_their_turn(apart: Apart) -> None:
    await apart.run(int, "7", seconds=20)
    first = asyncio.create_task(apart.run(time.sleep, 1.0, seconds=20))
    await asyncio.sleep(0.1)
    assert apart.busy
    assert await apart.run(int, "7", seconds=0.8) == 7
    assert first.done()
    assert not apart.busy


async def test_it_learns_none_of_our_settings(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELPDESK_SECRET_KEY", "a secret")
    assert await apart.run(settings, seconds=20) == {}


async def test_it_leaves_ctrl_c_to_its_parent(apart: Apart) -> None:
    pid = await apart.run(os.getpid, seconds=20)
    os.kill(pid, signal.SIGINT)
    assert await apart.run(os.getpid, seconds=20) == pid


async def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from helpdesk.apart import Apart\n"
        "async def main():\n"
        "    Path(sys.argv[1]).write_text(str(await Apart().run(os.getpid, seconds=20)))\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent, str(tmp_path / "pid")]) as process:
        pid = await noted(tmp_path / "pid")
        assert is_alive(pid)
        process.kill()
    assert await gone(pid)


def test_it_is_the_same_on_uvloop() -> None:
    async def main() -> None:
        apart, large = Apart(), os.urandom(3_000_000)
        try:
            assert await apart.run(bytes, large, seconds=20) == large
            with pytest.raises(Died):
                await apart.run(os._exit, 3, seconds=20)
            with pytest.raises(TimeoutError):
                await apart.run(time.sleep, 30, seconds=0.5)
            assert await apart.run(int, "7", seconds=20) == 7
        finally:
            await apart.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
