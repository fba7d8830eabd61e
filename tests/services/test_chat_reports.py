"""Figures of a chat that were worked out by hand, in both databases.

 n  began         inbox  whose  became of it            waited  first word  resolved
 1  Mon 02 10:00  site   Anna   joined, answered        10 s    after 20 s  after 300 s
 2  Mon 02 11:00  site   Ben    joined, answered        30 s    after 60 s  after 900 s
 3  Tue 03 10:00  site   Anna   joined, answered        50 s    after 90 s  not yet
 4  Tue 03 11:00  app    Anna   joined, nothing said    5 s
 5  Tue 03 12:00  app           left, missed            120 s
 6  Wed 04 02:00  app           missed, desk closed     1 s
 7  Wed 04 10:00  app           left by himself         40 s                after 40 s
 8  Wed 04 11:00  site          waits
 9  Mon 09 00:00  site          begins with the next week
10  Wed 04 12:00  site          feedback
11  Wed 04 13:00  site          spam
12  Sun 01 10:00  mail          a chat went into it on Wed 04
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, text

from helpdesk.domain.values import SYSTEM, Actor, AuthorKind
from helpdesk.models.visitors import visits
from helpdesk.services import chat_reports
from helpdesk.services.chat_reports import CHATS
from helpdesk.services.house import Services
from helpdesk.services.reporting import Asked, GroupBy
from tests import factories


def on(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


# n: began, inbox, whose, joined, waited, responded and ended after so many seconds; the rest as it is kept
LAID_OUT: Final[dict[int, tuple[Any, ...]]] = {
    1: (on(2, 10), "site", "anna", True, 10, 20, 300, {}),
    2: (on(2, 11), "site", "ben", True, 30, 60, 900, {}),
    3: (on(3, 10), "site", "anna", True, 50, 90, None, {}),
    4: (on(3, 11), "app", "anna", True, 5, None, None, {}),
    5: (on(3, 12), "app", None, False, 120, None, None, {"missed": True, "abandoned_at": on(3, 13)}),
    6: (on(4, 2), "app", None, False, 1, 30000, None, {"missed": True}),
    7: (on(4, 10), "app", None, False, 40, None, 40, {"abandoned_at": on(4, 11)}),
    8: (on(4, 11), "site", None, False, 0, None, None, {"queued_at": on(4, 11)}),
    9: (on(9, 0), "site", None, False, 0, None, None, {}),
    10: (on(4, 12), "site", None, False, 0, None, None, {"feedback": True}),
    11: (on(4, 13), "site", None, False, 0, None, None, {}),
}
NOBODY: Final = (None,) * 6
# By group: chats, joined, answered, missed, abandoned, waiting; median and 90th percentile of waits, words, durations
EXPECTED: Final[tuple[tuple[str | None, dict[Any, tuple[Any, ...]]], ...]] = (
    (None, {None: (8, 4, 3, 2, 2, 1, 10, 50, 60, 90, 300, 900)}),
    (
        "inbox",
        {"Site": (4, 3, 3, 0, 0, 1, 30, 50, 60, 90, 300, 900), "App": (4, 1, 0, 2, 2, 0, 5, 5, *NOBODY[:4])},
    ),
    (
        "agent",
        {
            "Anna": (3, 3, 2, 0, 0, 0, 10, 50, 20, 90, 300, 300),
            "Ben": (1, 1, 1, 0, 0, 0, 30, 30, 60, 60, 900, 900),
            None: (4, 0, 0, 2, 2, 1, *NOBODY),
        },
    ),
    (
        "day",
        {
            "2026-11-02": (2, 2, 2, 0, 0, 0, 10, 30, 20, 60, 300, 900),
            "2026-11-03": (3, 2, 1, 1, 1, 0, 5, 50, 90, 90, None, None),
            "2026-11-04": (3, 0, 0, 1, 1, 1, *NOBODY),
        },
    ),
)


@pytest.fixture
async def inboxes(services: Services) -> dict[str, UUID]:
    people = {name: (await factories.agent(services, name=name.title())).id for name in ("anna", "ben")}
    made = {name: await factories.inbox(services, channel="chat", name=name.title()) for name in ("site", "app")}
    mail = await factories.inbox(services)
    rows = []
    for number, (began, inbox, whose, joined, waited, responded, ended, more) in LAID_OUT.items():
        given = {"assignee_id": people.get(whose), "spam": number == 11, "messages": 0, "now": began}
        row: dict[str, Any] = {"conversation_id": await factories.conversation(services, inbox_id=made[inbox], **given)}
        row |= {"contact_id": await factories.contact(services), "inbox_id": made[inbox], "created_at": began}
        row |= {"joined_at": began + timedelta(seconds=waited) if joined else None, "waited_seconds": waited}
        times = {"responded_at": responded, "ended_at": ended}
        row |= {n: None if after is None else began + timedelta(seconds=after) for n, after in times.items()}
        kept = {"feedback": False, "missed": False, "abandoned_at": None, "queued_at": None, "read_seq": 0}
        rows.append({**row, **kept, "mailed_seq": 0} | more)
    into = await factories.conversation(services, inbox_id=mail, messages=0, now=on(1, 10))
    rows.append(rows[0] | {"conversation_id": into, "created_at": on(4, 0)})
    async with services.database.transaction() as session:
        await session.execute(insert(visits), rows)
    return made


def week(group_by: str | None = None, **filters: Any) -> Asked:
    return Asked(on(2, 0), on(9, 0), ZoneInfo("UTC"), GroupBy(group_by) if group_by else None, filters)


async def test_chats_are_counted_by_what_became_of_them_with_their_times(
    services: Services, inboxes: dict[str, UUID]
) -> None:
    async with services.database.reading() as session:
        for group_by, expected in EXPECTED:
            found = await chat_reports.chats(session, SYSTEM, week(group_by))
            shown = {row["name"] or row["group"]: tuple(row[name] for name in CHATS) for row in found}
            assert shown == expected, group_by
        (row,) = await chat_reports.chats(session, SYSTEM, week(channel=["chat"], inbox_id=[inboxes["app"]]))
        assert (row["chats"], row["missed"]) == (4, 2)
        carl = Actor(AuthorKind.AGENT, id=uuid4(), inbox_ids=(inboxes["site"],))
        (row,) = await chat_reports.chats(session, carl, week())
        assert row["chats"] == 4
        (row,) = await chat_reports.chats(session, SYSTEM, week(team_id=[uuid4()]))
        assert [row[name] for name in CHATS] == [0] * 6 + [None] * 6


async def test_chats_of_a_time_are_read_along_its_index(services: Services) -> None:
    async with services.database.reading() as session:
        dialect = session.get_bind().dialect
        if dialect.name == "postgresql":
            await session.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN" if dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        query = chat_reports.query(SYSTEM, week("agent"))
        literal = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        plan = "\n".join(str(tuple(row)) for row in await session.execute(text(f"{explain} {literal}")))
        assert "ix_visits_created" in plan, plan
