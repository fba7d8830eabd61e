"""What an agent of a desk of a hundred thousand conversations waits for in the console, in a real browser.

    python benchmarks/console.py [--conversations 100000] [--rounds 12] [--switches 30] [--rate 50] [--seconds 20]
                                 [--keep DIR]

Measured by the page itself, at an administrator's list of all that is open: from the navigation to the painted list,
with nothing in the browser's cache and again with everything in it; from the key or the click to the painted
conversation, beside the open one (fetched ahead) and far from it; and how long the page was ever busy at a stretch
while another process changes what is on the list. A paint counts when the frame after it has begun.

The page is served by `helpdesk api` beside a `helpdesk worker`, as in a fleet, from PostgreSQL. On a machine that
others use as well the worst values are theirs. Exit code 1 when a median, or while events come any long task, is over
its limit. `--keep` leaves the database in that folder for the next time; `HELPDESK_TEST_POSTGRES_URL` names a server
to use.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import delete

from benchmarks.api import made, services_at
from helpdesk import clock
from helpdesk.api.console import Console
from helpdesk.domain.values import SYSTEM
from helpdesk.models.sla import sla_clocks
from helpdesk.services import conversations, replies
from helpdesk.services.access import get_conversation
from helpdesk.services.reply_writing import Draft
from tests.browser.bench import chromium
from tests.console.browser import PASSWORD, Desk, Visit, address
from tests.journeys.stack import Stack
from tests.peers.postgres import Postgres

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession

PAINT_MS, SWITCH_MS, LONG_TASK_MS, WEIGHT_KB = 500.0, 150.0, 100.0, 150.0
DATABASE = "console_benchmark"
LIST = "/inbox/open"

_WATCH = """
const bench = (globalThis.bench = { long: [], painted: null });
const nextFrame = (then) => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => then(performance.now());
  channel.port2.postMessage(0);
});
bench.when = (seen) => new Promise((done) => {
  const look = () => seen() && (watcher.disconnect(), nextFrame(done));
  const watcher = new MutationObserver(look);
  watcher.observe(document, { subtree: true, childList: true, characterData: true });
  look();
});
new PerformanceObserver((list) => bench.long.push(...list.getEntries().map((one) => [one.startTime, one.duration])))
  .observe({ type: "longtask", buffered: true });
bench.when(() => document.querySelectorAll("[role=option]").length >= 8).then((at) => (bench.painted = at));
"""
_SWITCH = """async ([text, type]) => {
  const began = new Promise((done) => addEventListener(type, (event) => done(event.timeStamp),
    { capture: true, once: true }));
  const shown = () => document.querySelector("[role=log]")?.textContent.includes(text);
  if (shown()) return null;
  bench.switching = began.then(async (from) => (await bench.when(shown)) - from);
  return true;
}"""


def painted(visit: Visit) -> float:
    """Milliseconds from the navigation until rows are on the screen."""
    visit.page.wait_for_function("() => bench.painted")
    return float(visit.page.evaluate("bench.painted"))


def paints(desk: Desk, rounds: int) -> tuple[list[float], list[float]]:
    """In a browser that has never been here, and in one that has."""
    cold, warm = [], []
    for turn in range(rounds + 1):
        visit = open_list(desk)
        first = painted(visit)
        visit.page.reload()
        again = painted(visit)
        visit.context.close()
        if turn:  # the first one prepares the server's statements
            cold.append(first)
            warm.append(again)
    return cold, warm


def open_list(desk: Desk) -> Visit:
    context = desk.browser()
    context.add_init_script(_WATCH)
    return desk.visit(LIST, context=context)


def switches(desk: Desk, visit: Visit, count: int) -> tuple[list[float], list[float]]:
    """By the key to the next one, and by a click on one of which nothing is known yet."""
    page, near, far = visit.page, [], []
    for turn in range(count * 2):
        by_key = turn % 2 == 0
        # Rows that hover or the keys have not come near
        rows = page.locator("[role=option].active + [role=option]" if by_key else "[role=option]:nth-child(8)")
        if not by_key:
            page.get_by_role("listbox").first.evaluate("(list) => (list.scrollTop += list.clientHeight * 1.5)")
            page.wait_for_timeout(100)
        identifier = rows.first.get_attribute("data-id")
        if identifier is None:
            continue
        last = desk.stack.get(f"/conversations/{identifier}/messages", order="desc", limit=1)["items"][0]["text"]
        page.wait_for_timeout(400)  # as long as one looks at what is open, at least
        if page.evaluate(_SWITCH, [last, "keydown" if by_key else "pointerdown"]) is None:
            continue
        page.keyboard.press("j") if by_key else rows.first.click()
        (near if by_key else far).append(float(page.evaluate("bench.switching")))
    return near, far


def storm(desk: Desk, visit: Visit, url: str, *, rate: float, seconds: float) -> tuple[list[float], float, int]:
    """How long the page was busy at a stretch, the share of its thread that it took, and how many events came."""
    shown = [one["id"] for one in desk.stack.get("/conversations", status="open", limit=50)["items"]]
    command = [sys.executable, __file__, "--write", url, "--rate", str(rate), "--seconds", str(seconds), *shown]
    watching: CDPSession = visit.context.new_cdp_session(visit.page)
    watching.send("Performance.enable", {"timeDomain": "threadTicks"})
    visit.page.evaluate("bench.long.length = 0")
    before, began = busy(watching), time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writing:
        while writing.poll() is None:
            visit.page.keyboard.press("j")  # somebody works meanwhile
            visit.page.wait_for_timeout(700)
        written = int(writing.communicate()[0])
    spent = (busy(watching) - before) / (time.monotonic() - began)
    return [one[1] for one in visit.page.evaluate("bench.long")], spent, written


def busy(watching: CDPSession) -> float:
    """Seconds of CPU of the page's thread so far."""
    found = watching.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in found if one["name"] == "TaskDuration"))


async def write(url: str, shown: Sequence[UUID], *, rate: float, seconds: float) -> int:
    """Changes of what is on the list, each in a transaction of its own; every tenth a note that somebody writes."""
    services = services_at(url, Path("/nonexistent"))
    async with services.database.transaction() as session:  # their policy is nowhere
        await session.execute(delete(sla_clocks).where(sla_clocks.c.conversation_id.in_(shown)))
    began, written = time.monotonic(), 0
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        now = clock.now()
        async with services.database.transaction() as session:
            found = await get_conversation(session, SYSTEM, shown[number * 7 % len(shown)], lock=True)
            if number % 10 == 0:
                note = Draft(text=f"Seen at {now:%H:%M:%S}, number {number}.", private=True)
                await replies.reply(services, session, found, note, by=SYSTEM, now=now)
            else:
                wanted = {"priority": (found["priority"] + 1) % 4}
                await conversations.change(services, session, found, wanted, by=SYSTEM, now=now)
        written += 1
    await services.database.close()
    return written


def report(name: str, values: Sequence[float], limit: float, *, worst: bool = False) -> bool:
    """A line, and whether the limit is kept: by the median, or by the worst of all."""
    ordered = sorted(values) or [0.0]
    middle, most = statistics.median(ordered), ordered[-1]
    print(f"{name:<44} {len(values):>4} {middle:>8.0f} {most:>8.0f} {limit:>8.0f}", flush=True)
    return (most if worst else middle) <= limit


@contextmanager
def served(url: str, browser: Browser, folder: Path) -> Iterator[Desk]:
    """The desk of that database behind a server and a worker, with an administrator."""
    with Stack(folder, database_url=url) as stack:
        stack.tell("migrate")
        person = ("--email", address("mina"), "--name", "Mina Park", "--role", "admin", "--password-stdin")
        created = stack.run("agent", "create", *person, given=PASSWORD)  # not again in a database that was kept
        assert not created.returncode or "an agent has this address" in created.stderr, created.stderr
        stack.token = stack.tell("token", "create", "--agent", address("mina"), "--name", "bench")
        stack.http.headers["Authorization"] = f"Bearer {stack.token}"
        stack.start()
        yield Desk(stack, browser)


def measure(url: str, arguments: argparse.Namespace, browser: Browser, folder: Path) -> bool:
    with served(url, browser, folder) as desk:
        print(f"{'milliseconds':<44} {'n':>4} {'median':>8} {'worst':>8} {'limit':>8}")
        cold, warm = paints(desk, arguments.rounds)
        kept = report("navigation to list, nothing in the cache", cold, PAINT_MS)
        kept &= report("navigation to list, again", warm, PAINT_MS)
        visit = open_list(desk)
        visit.page.get_by_role("option").first.click()
        visit.page.get_by_role("log").wait_for()
        near, far = switches(desk, visit, arguments.switches)
        kept &= report("key to conversation, the next one", near, SWITCH_MS)
        kept &= report("click to conversation, far away", far, SWITCH_MS)
        visit.go(LIST)
        visit.page.get_by_role("option").first.click()
        visit.page.get_by_role("log").wait_for()
        long, spent, written = storm(desk, visit, url, rate=arguments.rate, seconds=arguments.seconds)
        name = f"long tasks while {written / arguments.seconds:.0f} events/s come"
        kept &= report(name, long, LONG_TASK_MS, worst=True)
        print(f"the page's thread was busy for {100 * spent:.0f} % of that time")
        return kept


def weights() -> tuple[float, float]:
    """Kilobytes, packed as they are sent: of all modules, and of the texts of the language that has most."""
    files = {name: len(file.packed) for name, file in Console().files.items() if name.endswith((".js", ".json"))}
    code = sum(size for name, size in files.items() if not name.startswith("text/"))
    texts = [sum(s for name, s in files.items() if name.startswith(f"text/{tag}/")) for tag in ("en", "zh-CN", "zh-TW")]
    return code / 1000, max(texts) / 1000


def run(arguments: argparse.Namespace) -> bool:
    given, keep = os.environ.get("HELPDESK_TEST_POSTGRES_URL", ""), arguments.keep
    code, texts = weights()
    print(f"all modules, packed: {code:.1f} kB of {WEIGHT_KB:.0f}; the texts of a language: {texts:.1f} kB")
    with Postgres.at(given) if given else Postgres(durable=True, keep=keep) as server:
        url = asyncio.run(made(server, DATABASE, arguments.conversations, kept=keep is not None))
        try:
            with chromium(whole=True) as browser, tempfile.TemporaryDirectory() as folder:
                return measure(url, arguments, browser, Path(folder)) and code <= WEIGHT_KB
        finally:
            if keep is None:
                server.drop(DATABASE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--switches", type=int, default=30)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--write", help=argparse.SUPPRESS)
    parser.add_argument("shown", nargs="*", type=UUID, help=argparse.SUPPRESS)
    arguments: Any = parser.parse_args()
    if arguments.write:
        print(asyncio.run(write(arguments.write, arguments.shown, rate=arguments.rate, seconds=arguments.seconds)))
        return 0
    return int(not run(arguments))


if __name__ == "__main__":
    sys.exit(main())
