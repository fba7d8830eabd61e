"""What the console's questions cost PostgreSQL, on a desk of a hundred thousand conversations.

    python benchmarks/console_api.py [--conversations 100000] [--turns 5] [--plans DIR] [--only TEXT] [--keep DIR]

Every question is asked as the console asks it, of the application itself, by an agent of one team and by a supervisor
who sees all. PostgreSQL tells what each statement did (`auto_explain`): its time and the pages that it touched are
those of the very execution, with the values that the service gave. A line is a question: the median of the time of all
its statements, the pages of the last turn, and the slowest of its statements.

A question over 100 ms fails; a report over 400, for it goes through all that was written in a month (here 72,000
messages of 14,400 conversations): an index finds where the month begins, and no index adds up. `--plans` writes the
plans of each, with the time of every node, into that folder; `--keep` leaves the database there for the next time;
`HELPDESK_TEST_POSTGRES_URL` names a server to use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import asyncpg
import httpx
from sqlalchemy import event

from benchmarks.api import AGENT, SUPERVISOR, made, services_at
from benchmarks.population import COMMON, RARE, TEAM_KIND, fixed
from helpdesk import clock
from helpdesk.app import create_app
from tests.peers.postgres import Postgres

LIMIT_MS, REPORT_MS = 100.0, 400.0
DATABASE: Final = "console_api_benchmark"
ROLES: Final[Mapping[str, str]] = {"agent": AGENT, "supervisor": SUPERVISOR}
LEADERS: Final = ("/board",)
"""What only supervisors may ask."""
LIVE: Final = ["open", "pending", "snoozed"]
TEAM: Final = str(fixed(TEAM_KIND, 1))

_TOLD: Final = re.compile(r"duration: ([\d.]+) ms  plan:\n(.*)", re.DOTALL)
_PAGES: Final = re.compile(r"Buffers: shared (?:hit=(\d+))?(?: ?read=(\d+))?")

Query = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ran:
    """One statement, as PostgreSQL tells of it."""

    milliseconds: float
    pages: int
    plan: str

    @classmethod
    def told(cls, message: str) -> Ran | None:
        found = _TOLD.match(message)
        if not found:
            return None
        pages = _PAGES.search(found[2])
        return cls(float(found[1]), sum(int(one or 0) for one in pages.groups()) if pages else 0, found[2])


def own(field: str, value: Any) -> str:
    return json.dumps({"field": field, "op": "eq", "value": value})


def lists(shown: Sequence[str], contact: str) -> Iterator[tuple[str, str, Query]]:
    """The views of `inbox/asking.js`, what a filter adds to them, and the rows that events have named."""
    views: Mapping[str, Query] = {
        "mine": {"assignee_id": "me", "status": LIVE[:2]},
        "unassigned": {"assignee_id": "none", "status": "open"},
        "open": {"status": LIVE[:2]},
        "due": {"sla": ["due_soon", "breached"], "sort": "next_due_at"},
        "unread": {"assignee_id": "me", "status": LIVE, "filter": own("unread", True)},
        "mentions": {"filter": own("mentioned", "me")},
        "watched": {"status": LIVE, "filter": own("watched", "me")},
        "snoozed": {"status": "snoozed"},
        "resolved": {"status": ["resolved", "closed"]},
        "spam": {"spam": "true"},
        "all": {},
        "of a team": {"team_id": TEAM, "status": "open"},
        "a tag, resolved": {"tag": "kyc", "status": ["resolved", "closed"]},
        "a category, longest waiting": {"category": "security", "status": LIVE[:2], "sort": "waiting_since"},
        "words": {"q": COMMON},
        "words that few wrote": {"q": RARE},
    }
    for name, query in views.items():
        yield f"list: {name}", "/conversations", {**query, "limit": 50}
    yield "list: rows by id", "/conversations", {"status": LIVE[:2], "id": shown, "limit": 100, "spam": "false"}
    yield "of a contact", "/conversations", {"contact_id": contact, "sort": "-last_activity_at", "limit": 5}
    yield "counts", "/conversations/counts", {}
    yield "presence", "/presence", {"conversation_id": shown[:20]}


def one(conversation: str, contact: str) -> Iterator[tuple[str, str, Query]]:
    """What is asked when a conversation is opened, but for its promises: their policy is nowhere."""
    path = f"/conversations/{conversation}"
    yield "conversation", path, {}
    yield "its messages", f"{path}/messages", {"order": "desc", "limit": 50}
    yield "its events", f"{path}/events", {"order": "desc", "limit": 100, "types": "conversation.updated,sla.breached"}
    yield "its alerts", "/alerts", {"conversation_id": conversation, "status": ["open", "acknowledged"], "limit": 20}
    yield "its contact", f"/contacts/{contact}", {}
    yield "drafts", "/drafts", {"limit": 100}


def beyond(now: datetime) -> Iterator[tuple[str, str, Query]]:
    """Search, contacts, the board, alerts, and the reports of a month, of the one before, by day and by group."""
    for words in (COMMON, RARE, "提现", "withdrawal transfer", "#4711", "customer17@customer.test", "Customer 17"):
        yield f"search: {words}", "/search", {"q": words, "limit": 30}
    yield f"search: {COMMON}, messages", "/search", {"q": COMMON, "kind": "message", "limit": 30}
    yield "palette: two letters", "/search", {"q": "wi", "limit": 8}
    yield "contacts", "/contacts", {"limit": 50}
    yield "contacts: found", "/contacts", {"q": "customer 17", "limit": 50}
    yield "board", "/board", {"zone": "Asia/Taipei"}
    yield "alerts", "/alerts", {"status": "open", "limit": 100}
    time = {"after": (now - timedelta(days=30)).isoformat(), "before": now.isoformat(), "zone": "Asia/Taipei"}
    for name in ("volume", "response-times", "sla", "ratings", "chats"):
        yield f"report: {name}", f"/reports/{name}", time
        for group in ("day", "inbox", "agent", *(["hour_of_week"] if name in ("volume", "chats") else [])):
            yield f"report: {name} by {group}", f"/reports/{name}", {**time, "group_by": group}
    yield "report: backlog", "/reports/backlog", {}
    for group in ("inbox", "agent", "category"):
        yield f"report: backlog by {group}", "/reports/backlog", {"group_by": group}


class Watched:
    """The application over a database that tells of each statement."""

    def __init__(self, url: str) -> None:
        self.ran: list[Ran] = []
        self._services = services_at(url, Path("/nonexistent"))
        event.listen(self._services.database.engine.sync_engine, "connect", self._listen)
        transport = httpx.ASGITransport(create_app(self._services))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api/v1", timeout=60)

    def _listen(self, connection: Any, _record: Any) -> None:
        connection.driver_connection.add_log_listener(self._told)

    def _told(self, _connection: Any, message: Any) -> None:
        if ran := Ran.told(message.message):
            self.ran.append(ran)

    async def ask(self, path: str, query: Query, token: str) -> Any:
        answer = await self._http.get(path, params=query, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, f"{path} {query}: {answer.status_code} {answer.text}"
        return answer.json()

    async def close(self) -> None:
        await self._http.aclose()
        await self._services.database.close()


async def explained(url: str, *, timed: bool) -> None:
    """From the next connection on each statement is told of. The clock of every node costs, and is for `--plans`."""
    settings = {
        "session_preload_libraries": "auto_explain",
        "auto_explain.log_min_duration": "0",
        "auto_explain.log_analyze": "on",
        "auto_explain.log_buffers": "on",
        "auto_explain.log_timing": "on" if timed else "off",
        "auto_explain.log_level": "notice",
    }
    connection: Any = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        for name, value in settings.items():
            await connection.execute(f"ALTER DATABASE {DATABASE} SET {name} = '{value}'")
    finally:
        await connection.close()


async def measure(url: str, arguments: argparse.Namespace) -> bool:
    await explained(url, timed=arguments.plans is not None)
    desk, kept = Watched(url), True
    print(f"{'who':<11}{'what':<40}{'ms':>8}{'worst':>8}{'pages':>9}{'asked':>7}{'slowest':>9}")
    try:
        for who, token in ROLES.items():
            shown = (await desk.ask("/conversations", {"status": LIVE[:2], "limit": 100}, token))["items"]
            ids, contact = [item["id"] for item in shown], shown[0]["contact"]["id"]
            for what, path, query in (*lists(ids, contact), *one(ids[0], contact), *beyond(clock.now())):
                if arguments.only in what and (who == "supervisor" or path not in LEADERS):
                    kept &= await line(desk, who, what, path, query, arguments)
    finally:
        await desk.close()
    return kept


async def line(desk: Watched, who: str, what: str, path: str, query: Query, arguments: argparse.Namespace) -> bool:
    """Ask it some times, and tell what that cost."""
    spent: list[float] = []
    for turn in range(arguments.turns + 1):
        desk.ran.clear()
        await desk.ask(path, query, ROLES[who])
        if turn:  # the first one prepares the statements, and brings pages in
            spent.append(sum(ran.milliseconds for ran in desk.ran))
    middle, slowest = statistics.median(spent), max((ran.milliseconds for ran in desk.ran), default=0.0)
    pages = sum(ran.pages for ran in desk.ran)
    within = middle <= (REPORT_MS if path.startswith("/reports/") else LIMIT_MS)
    over = "" if within else " !"
    print(f"{who:<11}{what:<40}{middle:>8.1f}{max(spent):>8.1f}{pages:>9}{len(desk.ran):>7}{slowest:>9.1f}{over}")
    if arguments.plans:
        name = re.sub(r"\W+", "-", f"{who} {what}")
        plans = "\n\n".join(f"{ran.milliseconds:.1f} ms\n{ran.plan}" for ran in desk.ran)
        (arguments.plans / f"{name}.txt").write_text(plans, encoding="utf-8")
    return within


async def run(arguments: argparse.Namespace) -> bool:
    given, keep = os.environ.get("HELPDESK_TEST_POSTGRES_URL", ""), arguments.keep
    if arguments.plans:
        arguments.plans.mkdir(parents=True, exist_ok=True)
    with Postgres.at(given) if given else Postgres(durable=True, keep=keep) as server:
        url = await made(server, DATABASE, arguments.conversations, kept=keep is not None)
        try:
            return await measure(url, arguments)
        finally:
            if keep is None:
                server.drop(DATABASE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--plans", type=Path)
    parser.add_argument("--only", default="", help="questions whose name holds this")
    parser.add_argument("--keep", type=Path)
    return int(not asyncio.run(run(parser.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
