"""Whether the console keeps what it no longer shows, in a page that is open for a whole shift.

    python benchmarks/console_memory.py [--switches 200] [--events 3000] [--rate 100] [--conversations 10000]
                                        [--keep DIR]

One page, in a real browser: first `--switches` conversations are opened one after the other by the key, then `--events`
changes of four hundred conversations come while nobody does anything (about as many as half an hour of a busy desk has,
in half a minute). Chromium tells, after its garbage was collected, how much of its heap is in use and how many nodes of
documents and listeners are alive, also of those that are out of the document.

After the last switch the heap may be 1.3 times what it was after the twentieth, and nodes and listeners within a tenth
of it; the same holds for what is there after the events against what was there before. Exit code 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import console
from benchmarks.api import made
from tests.browser.bench import chromium
from tests.console.browser import Desk, Visit
from tests.peers.postgres import Postgres

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession

DATABASE: Final = "console_memory"
WARM: Final = 20
"""Switches after which the page has all that it keeps on purpose: the last details and time lines."""
HEAP, NODES = 1.3, 1.1
TOUCHED: Final = 400
_OPENED = """(before) => {
  const id = document.querySelector("[role=option].active")?.dataset.id;
  return id && id !== before && location.pathname.endsWith(id) && document.querySelector(".conversation [data-seq]")
    && globalThis.helpdeskIdle() ? id : null;
}"""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is alive in the page."""

    heap: float
    nodes: int
    listeners: int

    @classmethod
    def by(cls, watching: CDPSession) -> Kept:
        for _ in range(3):  # what the first round frees may have held the last of something
            watching.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in watching.send("Performance.getMetrics")["metrics"]}
        return cls(found["JSHeapUsedSize"] / 1e6, int(found["Nodes"]), int(found["JSEventListeners"]))

    def told(self, when: str) -> Kept:
        print(f"{when:<32}{self.heap:>10.2f}{self.nodes:>9}{self.listeners:>11}", flush=True)
        return self

    def within(self, before: Kept) -> bool:
        grown = self.nodes <= before.nodes * NODES and self.listeners <= before.listeners * NODES
        return grown and self.heap <= before.heap * HEAP


def switched(visit: Visit, watching: CDPSession, count: int) -> bool:
    """Open one conversation after the other."""
    shown, early = "", Kept(0, 0, 0)
    for turn in range(1, count + 1):
        visit.page.keyboard.press("j")
        shown = visit.page.wait_for_function(_OPENED, arg=shown).json_value()
        if turn == WARM:
            early = settled(visit, watching).told(f"after {turn} switches")
    return settled(visit, watching).told(f"after {count} switches").within(early)


def settled(visit: Visit, watching: CDPSession) -> Kept:
    """Once what a visit of a conversation begins has ended: it is marked as read, its neighbour is fetched."""
    visit.page.wait_for_timeout(2000)
    visit.idle()
    return Kept.by(watching)


def stormed(desk: Desk, visit: Visit, watching: CDPSession, url: str, *, events: int, rate: float) -> bool:
    """Let others work, without a hand on the page."""
    before = settled(visit, watching).told("before the events")
    shown = [one["id"] for one in pages(desk, TOUCHED)]
    seconds = events / rate
    command = [sys.executable, console.__file__, "--write", url, "--rate", str(rate), "--seconds", str(seconds), *shown]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writing:
        while writing.poll() is None:
            visit.page.wait_for_timeout(200)  # the page's own messages are taken in meanwhile
        written = int(writing.communicate()[0])
    return settled(visit, watching).told(f"after {written} events").within(before)


def pages(desk: Desk, count: int) -> Sequence[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while len(found) < count and cursor != {"cursor": None}:
        page = desk.stack.get("/conversations", status="open", limit=100, **cursor)
        found, cursor = found + page["items"], {"cursor": page["next_cursor"]}
    return found


def run(arguments: argparse.Namespace) -> bool:
    given, keep = os.environ.get("HELPDESK_TEST_POSTGRES_URL", ""), arguments.keep
    with Postgres.at(given) if given else Postgres(durable=True, keep=keep) as server:
        url = asyncio.run(made(server, DATABASE, arguments.conversations, kept=keep is not None))
        with (
            chromium(whole=True) as browser,
            tempfile.TemporaryDirectory() as folder,
            console.served(url, browser, Path(folder)) as desk,
        ):
            visit = desk.visit(console.LIST)
            watching = visit.context.new_cdp_session(visit.page)
            watching.send("Performance.enable")
            print(f"{'':<32}{'heap MB':>10}{'nodes':>9}{'listeners':>11}")
            Kept.by(watching).told("the list")
            visit.page.get_by_role("option").first.click()
            kept = switched(visit, watching, arguments.switches)
            return stormed(desk, visit, watching, url, events=arguments.events, rate=arguments.rate) and kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--switches", type=int, default=200)
    parser.add_argument("--events", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--keep", type=Path)
    return int(not run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
