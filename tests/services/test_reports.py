"""Figures of a desk that was worked out by hand, in both databases.

A week of November 2026, in UTC; the week asked for is [Mon 02 00:00, Mon 09 00:00). Every conversation begins with a
message of the contact, and a first-response clock begins with it. `took` is after how many seconds who answered.

mail is open from 09:00 to 16:32 on weekdays, other from 00:00 to 10:00 every day.

     n  began         inbox  is whose  category  took  by    clock
     1  Mon 02 10:00  mail   Anna      fees        60  Anna  met         then, from 11:00 and 11:30, 100 s and 200 s
     2  Mon 02 10:30  mail   Anna      fees       120  Anna  met
     3  Mon 02 16:30  mail   Ben                  300  Anna  met late    Ben has it since
     4  Tue 03 09:00  other  Ben       fees       600  Ben   met
     5  Tue 03 17:00  other  Ben                  900  Ben   met
     6  Wed 04 00:10  mail                                   running
     7  Wed 04 12:00  mail   Ben       fees                  breached
     8  Sun 08 23:50  other  Ben       fees      7200  Ben   met late    answered after the week
     9  Mon 09 00:00  mail   Anna                   7  Anna  met         begins with the next week
    10  Sun 01 23:59  mail   Anna                   7  Anna  met         began the week before
    11  Thu 05 08:00  mail   Anna      fees         5  Anna  met         spam
    12  Fri 06 08:00  mail   Anna                            cancelled   merged into 1
    13  Sun 01 05:30  mail   Anna                   7  Anna  met         01:30 in New York,
    14  Sun 01 06:30  mail   Anna                   7  Anna  met         and 01:30 there once more

Statuses: 1 is resolved on Mon 12:00, comes back on Tue 12:00 and is closed on Wed 12:00; 2 is resolved on Mon 13:00 and
closed, which says nothing new, on Sat 13:00; 12 is closed by being merged on Fri 09:00.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, text, update

from helpdesk.db import new_id
from helpdesk.domain.events import ConversationStatusChanged
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind
from helpdesk.errors import Invalid
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import messages
from helpdesk.models.sla import sla_clocks
from helpdesk.services import backlog, events, reports
from helpdesk.services.backlog import Standing
from helpdesk.services.house import Services
from helpdesk.services.reporting import Asked, GroupBy
from tests import factories

SECOND: Final = timedelta(seconds=1)


def on(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


# n: began, inbox, whose, category, took, by whom, late, state
LAID_OUT: Final[dict[int, tuple[Any, ...]]] = {
    1: (on(2, 10), "mail", "anna", "fees", 60, "anna", False, "met"),
    2: (on(2, 10, 30), "mail", "anna", "fees", 120, "anna", False, "met"),
    3: (on(2, 16, 30), "mail", "ben", None, 300, "anna", True, "met_late"),
    4: (on(3, 9), "other", "ben", "fees", 600, "ben", False, "met"),
    5: (on(3, 17), "other", "ben", None, 900, "ben", False, "met"),
    6: (on(4, 0, 10), "mail", None, None, None, None, False, "running"),
    7: (on(4, 12), "mail", "ben", "fees", None, None, True, "breached"),
    8: (on(8, 23, 50), "other", "ben", "fees", 7200, "ben", True, "met_late"),
    9: (on(9, 0), "mail", "anna", None, 7, "anna", False, "met"),
    10: (on(1, 23, 59), "mail", "anna", None, 7, "anna", False, "met"),
    11: (on(5, 8), "mail", "anna", "fees", 5, "anna", False, "met"),
    12: (on(6, 8), "mail", "anna", None, None, None, False, "cancelled"),
    13: (on(1, 5, 30), "mail", "anna", None, 7, "anna", False, "met"),
    14: (on(1, 6, 30), "mail", "anna", None, 7, "anna", False, "met"),
}
ALL: Final = (714_600, 714_600)
# By group: open, pending, snoozed; younger than 1, 3, 7, 30 days, older; waiting; seconds of the two oldest
BACKLOG: Final[tuple[tuple[str | None, dict[Any, Any]], ...]] = (
    (None, {None: (8, 1, 1, 2, 0, 5, 3, 0, 9, *ALL)}),
    (
        "agent",
        {
            "Anna": (4, 0, 0, 1, 0, 0, 3, 0, 4, *ALL),  # 9 10 13 14
            "Ben": (3, 1, 1, 1, 0, 4, 0, 0, 4, 588_600, 588_600),  # 3 4 5 7 8: six days and 19:30
            None: (1, 0, 0, 0, 0, 1, 0, 0, 1, 474_600, 474_600),  # 6: five days and 11:50
        },
    ),
    # Due a day after they began: 8 and 9 are not yet, and neither soon.
    (
        "sla",
        {
            "breached": (6, 1, 1, 0, 0, 5, 3, 0, 7, *ALL),
            "ok": (2, 0, 0, 2, 0, 0, 0, 0, 2, 43_800, 43_800),
        },
    ),
    (
        "status",
        {
            "open": (8, 0, 0, 2, 0, 3, 3, 0, 8, *ALL),
            "pending": (0, 1, 0, 0, 0, 1, 0, 0, 1, 529_200, 529_200),  # six days and three hours
            "snoozed": (0, 0, 1, 0, 0, 1, 0, 0, 0, 500_400, None),  # five days and 19 hours
        },
    ),
)
CHANGES: Final = (
    (1, on(2, 12), "open", "resolved"),
    (1, on(3, 12), "resolved", "open"),
    (1, on(4, 12), "open", "closed"),
    (2, on(2, 13), "open", "resolved"),
    (2, on(7, 13), "resolved", "closed"),
    (12, on(6, 9), "open", "closed"),
)


class Desk:
    def __init__(self) -> None:
        self.ids: dict[int, UUID] = {}
        self.inboxes: dict[str, UUID] = {}
        self.people: dict[str, UUID] = {}
        self.clocks: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.policy = uuid4()

    async def build(self, services: Services) -> None:
        hours = {
            "mail": await factories.hours(services, zone="UTC", weekly=[[["09:00", "16:32"]]] * 5 + [[], []]),
            "other": await factories.hours(services, zone="Asia/Shanghai", weekly=[[["08:00", "18:00"]]] * 7),
        }
        self.inboxes = {
            name: await factories.inbox(services, name=name.title(), business_hours_id=str(calendar))
            for name, calendar in hours.items()
        }
        self.people = {name: (await factories.agent(services, name=name.title())).id for name in ("anna", "ben")}
        for n, (at, inbox, whose, category, took, by, late, state) in LAID_OUT.items():
            given = {"spam": n == 11, "merged_into_id": self.ids.get(1) if n == 12 else None, "category": category}
            self.ids[n] = await factories.conversation(
                services,
                inbox_id=self.inboxes[inbox],
                assignee_id=self.people.get(whose),
                now=at,
                messages=0,
                **given,
            )
            self.exchange(n, at, took, by, late=late, state=state)
        self.exchange(1, on(2, 11), 100, "anna", kind="next_response", cycle=1)
        self.exchange(1, on(2, 11, 30), 200, "anna", kind="next_response", cycle=2)
        self.others()
        async with services.database.transaction() as session:
            for row in self.messages:
                await session.execute(insert(messages).values(row))
            for row in self.clocks:
                await session.execute(insert(sla_clocks).values(row))
            for n, at, before, after in CHANGES:
                told = ConversationStatusChanged(conversation_id=self.ids[n], before=before, after=after, by="agent:x")
                await events.record(session, told, now=at)

    def exchange(
        self,
        n: int,
        at: datetime,
        took: int | None,
        by: str | None,
        *,
        kind: str = "first_response",
        cycle: int = 1,
        late: bool = False,
        state: str = "met",
    ) -> None:
        """A message, the clock that began with it, and its answer."""
        answer = None
        self.message(n, at, type="incoming", author_kind="contact")
        ended = None if took is None else at + took * SECOND
        if ended is not None:
            answer = self.message(n, ended, type="outgoing", author_kind="agent", author_id=self.people[by or ""])
        self.clocks.append(
            {"conversation_id": self.ids[n], "kind": kind, "cycle": cycle, "channel": "email", "state": state}
            | {"inbox_id": self.inboxes[LAID_OUT[n][1]], "policy_id": self.policy, "started_at": at}
            | {"ended_at": ended, "ended_by": answer, "breached_at": at + SECOND if late else None}
        )

    def message(self, n: int, at: datetime, **given: Any) -> UUID:
        status = "sent" if given["type"] == "outgoing" else None
        message_id = new_id()
        row: dict[str, Any] = {
            "id": message_id,
            "conversation_id": self.ids[n],
            "seq": len(self.messages),
            "created_at": at,
        }
        row |= {"channel": "email", "inbox_id": self.inboxes[LAID_OUT[n][1]], "delivery_status": status}
        self.messages.append(row | given)
        return message_id

    def others(self) -> None:
        """Messages that do not count: old mail, a robot's, a note, an acknowledgement, one that failed."""
        anna = {"author_kind": "agent", "author_id": self.people["anna"]}
        self.message(1, on(2, 14), type="incoming", author_kind="contact", backfilled=True)
        self.message(1, on(2, 14), type="incoming", author_kind="contact", auto_submitted="auto-replied")
        self.message(1, on(2, 14), type="outgoing", private=True, **anna)
        self.message(1, on(2, 14), type="outgoing", author_kind="system", auto_submitted="auto-replied")
        self.message(1, on(2, 14), type="outgoing", **anna, delivery_status="failed")


@pytest.fixture
async def desk(services: Services) -> Desk:
    built = Desk()
    await built.build(services)
    return built


def week(group_by: str | None = None, zone: str = "UTC", **given: Any) -> Asked:
    times = {"after": on(2, 0), "before": on(9, 0)} | given
    return Asked(zone=ZoneInfo(zone), group_by=GroupBy(group_by) if group_by else None, **times)


async def ask(services: Services, report: Any, asked: Asked, actor: Actor = SYSTEM) -> list[dict[str, Any]]:
    async with services.database.reading() as session:
        return list(await report(session, actor, asked))


async def test_response_times_are_those_of_who_answered(services: Services, desk: Desk) -> None:
    # 60 120 300 600 900 7200: 9180 / 6; the third of six; the sixth (nine tenths of six are 5.4)
    # While it was open: 3 until 16:32, 5 not at all, 8 from midnight on: 60 120 120 600 0 6600, which are 7500
    found = await ask(services, reports.responses, week())
    assert [tuple(row[name] for name in ("group", "kind", *reports.RESPONSES)) for row in found] == [
        (None, "first_response", 6, 1530, 300, 7200, 1250, 120, 6600),
        (None, "next_response", 2, 150, 100, 200, 150, 100, 200),
    ]
    by_agent = await ask(services, reports.responses, week("agent"))
    shown = {(row["name"], row["kind"]): tuple(row[name] for name in reports.RESPONSES) for row in by_agent}
    assert shown == {
        # 60 120 300 and 60 120 120: the last is Ben's by now, and her answer
        ("Anna", "first_response"): (3, 160, 120, 300, 100, 120, 120),
        ("Anna", "next_response"): (2, 150, 100, 200, 150, 100, 200),
        ("Ben", "first_response"): (3, 2900, 900, 7200, 2400, 600, 6600),  # 600 900 7200 and 600 0 6600
    }


async def test_promises_are_kept_in_time_too_late_or_not_yet(services: Services, desk: Desk) -> None:
    found = await ask(services, reports.sla, week())
    assert [tuple(row[name] for name in ("kind", *reports.SLA, "compliance")) for row in found] == [
        ("first_response", 4, 2, 1, 1, 0.5714),  # 1 2 4 5, 3 8, 7, 6; four of seven
        ("next_response", 2, 0, 0, 0, 1.0),
    ]
    assert {row["policy_id"] for row in found} == {str(desk.policy)}
    assert {row["policy"] for row in found} == {None}, "there is none of this id"


async def test_volume_counts_what_people_wrote_and_what_became_of_it(services: Services, desk: Desk) -> None:
    # Began: 1 to 8, and 12. Came: theirs, and two more of 1. Went: to 1 thrice, to 2 3 4 5 once; to 8 after the week.
    (row,) = await ask(services, reports.volume, week())
    assert tuple(row[name] for name in reports.VOLUME) == (9, 3, 1, 11, 7)
    found = await ask(services, reports.volume, week("inbox"))
    assert {row["name"]: tuple(row[name] for name in reports.VOLUME) for row in found} == {
        "Mail": (6, 3, 1, 8, 5),
        "Other": (3, 0, 0, 3, 2),
    }


GROUPED: Final[tuple[tuple[str, str, dict[Any, int]], ...]] = (
    ("day", "UTC", {"2026-11-02": 3, "2026-11-03": 2, "2026-11-04": 2, "2026-11-06": 1, "2026-11-08": 1}),
    # Eight hours on: 3 is Tuesday's, 5 Wednesday's, 8 next Monday's.
    ("day", "Asia/Shanghai", {"2026-11-02": 2, "2026-11-03": 2, "2026-11-04": 3, "2026-11-06": 1, "2026-11-09": 1}),
    # Five and a half: 3 is at 22:00, 5 at 22:30, 8 at 05:20.
    ("day", "Asia/Kolkata", {"2026-11-02": 3, "2026-11-03": 2, "2026-11-04": 2, "2026-11-06": 1, "2026-11-09": 1}),
    ("week", "Asia/Shanghai", {"2026-11-02": 8, "2026-11-09": 1}),
    ("month", "UTC", {"2026-11": 9}),
    ("hour_of_week", "UTC", {10: 2, 16: 1, 33: 1, 41: 1, 48: 1, 60: 1, 104: 1, 167: 1}),
    ("category", "UTC", {"fees": 5, None: 4}),
    ("priority", "UTC", {"normal": 9}),
)


async def test_conversations_are_grouped_as_the_zone_has_it(services: Services, desk: Desk) -> None:
    for group_by, zone, expected in GROUPED:
        found = await ask(services, reports.volume, week(group_by, zone))
        assert {row["group"]: row["created"] for row in found if row["created"]} == expected, (group_by, zone)


async def test_an_hour_that_comes_twice_is_one_hour_of_the_week(services: Services, desk: Desk) -> None:
    asked = week("hour_of_week", "America/New_York", after=on(1, 0), before=on(1, 12))
    (row,) = await ask(services, reports.volume, asked)
    assert (row["group"], row["created"]) == (6 * 24 + 1, 2)


async def test_a_report_is_of_what_is_asked_for_and_what_one_may_see(services: Services, desk: Desk) -> None:
    async def created(actor: Actor = SYSTEM, **filters: Any) -> int:
        (row,) = await ask(services, reports.volume, week(filters=filters), actor)
        return int(row["created"])

    assert await created(category=["fees"]) == 5
    assert await created(assignee_id=[None]) == 1
    assert await created(assignee_id=[None, desk.people["ben"]]) == 6, "and 3 4 5 7 8"
    assert await created(inbox_id=[desk.inboxes["other"]], channel=["email"]) == 3
    assert await created(team_id=[uuid4()]) == 0
    carl = Actor(AuthorKind.AGENT, id=uuid4(), inbox_ids=(desk.inboxes["other"],))
    assert await created(carl) == 3
    found = await ask(services, reports.responses, week(), carl)
    assert [row["count"] for row in found] == [3, 0]


async def test_the_backlog_is_what_is_not_over_and_how_old(services: Services, desk: Desk) -> None:
    # On Monday 09 at noon. Open are 3 6 7 8 9 10 13 14; 13 began eight days and six and a half hours before.
    async with services.database.transaction() as session:
        c = conversations.c
        for numbers, values in (
            ((1, 2, 12), {"status": "closed"}),
            ((4,), {"status": "pending"}),
            ((5,), {"status": "snoozed", "waiting_since": None}),
        ):
            await session.execute(update(conversations).where(c.id.in_([desk.ids[n] for n in numbers])).values(values))
    for group_by, expected in BACKLOG:
        by = GroupBy(group_by) if group_by else None
        async with services.database.reading() as session:
            found = await backlog.backlog(session, SYSTEM, Standing(on(9, 12), by))
        shown = {row["name"] or row["group"]: tuple(row[name] for name in backlog.BACKLOG) for row in found}
        assert shown == expected, group_by
    carl = Actor(AuthorKind.AGENT, id=uuid4(), inbox_ids=(desk.inboxes["other"],))
    async with services.database.reading() as session:
        (row,) = await backlog.backlog(session, carl, Standing(on(9, 12), filters={"category": ["fees"]}))
        assert (row["open"], row["pending"], row["snoozed"]) == (1, 1, 0)
        (row,) = await backlog.backlog(session, SYSTEM, Standing(on(9, 12), filters={"team_id": [uuid4()]}))
        assert (row["open"], row["oldest"]) == (0, None)


async def test_ratings_are_those_of_whom_the_question_reached(services: Services, desk: Desk) -> None:
    # Asked about 1 and 4, who answered, 5, who did not, 8, whom it never reached, and 3, in the next week.
    reached = {"message_id": next(row["id"] for row in desk.messages if row["delivery_status"] == "sent")}
    asked = {"asked_at": on(5, 12), "rated_at": on(9, 12)}
    await factories.rating(services, desk.ids[1], **asked, score=5)
    await factories.rating(services, desk.ids[4], **asked, score=2, **reached)
    await factories.rating(services, desk.ids[5], asked_at=on(8, 23), **reached)
    await factories.rating(services, desk.ids[8], asked_at=on(5, 12))
    await factories.rating(services, desk.ids[3], asked_at=on(9, 0), rated_at=on(9, 1), score=1)
    nobody = (1, 0, 0.0, None, None, 0, 0, 0, 0, 0)
    both = (2, 2, 1.0, 3.5, 0.5, 0, 1, 0, 0, 1)
    groups: tuple[tuple[str | None, dict[Any, Any]], ...] = (
        (None, {None: (3, 2, 0.6667, 3.5, 0.5, 0, 1, 0, 0, 1)}),
        ("agent", {"Anna": (1, 1, 1.0, 5.0, 1.0, 0, 0, 0, 0, 1), "Ben": (2, 1, 0.5, 2.0, 0.0, 0, 1, 0, 0, 0)}),
        ("category", {"fees": both, None: nobody}),
        ("day", {"2026-11-05": both, "2026-11-08": nobody}),
    )
    for group_by, expected in groups:
        found = await ask(services, reports.ratings, week(group_by))
        assert {row["name"] or row["group"]: tuple(row[name] for name in reports.RATINGS) for row in found} == expected
    (row,) = await ask(services, reports.ratings, week(filters={"channel": ["chat"]}))
    assert (row["sent"], row["mean"], row["response_rate"]) == (0, None, None)


async def test_what_may_be_large_is_read_along_an_index(services: Services) -> None:
    """With the tables too dear to be read whole, as large ones are."""
    walks = (
        (backlog._counted(SYSTEM, Standing(on(9, 12), GroupBy.AGENT)), "ix_conversations_"),
        (reports._ratings(SYSTEM, week("agent")), "ix_ratings_asked"),
    )
    async with services.database.reading() as session:
        dialect = session.get_bind().dialect
        if dialect.name == "postgresql":
            await session.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN" if dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        for query, index in walks:
            literal = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
            plan = "\n".join(str(tuple(row)) for row in await session.execute(text(f"{explain} {literal}")))
            assert index in plan, plan
            assert not re.search(r"(Seq Scan on|SCAN) (conversations|ratings)", plan), plan


async def test_where_nothing_was_there_are_noughts_or_no_lines(services: Services, desk: Desk) -> None:
    never: dict[str, Any] = {"after": on(20, 0), "before": on(21, 0)}
    (row,) = await ask(services, reports.volume, week(**never))
    assert [row[name] for name in reports.VOLUME] == [0] * 5
    first, second = await ask(services, reports.responses, week(**never))
    assert (first["count"], first["mean"], second["count"], second["p90"]) == (0, None, 0, None)
    assert await ask(services, reports.sla, week(**never)) == []
    assert await ask(services, reports.volume, week("day", **never)) == []


@pytest.mark.parametrize(
    ("after", "before", "field"),
    [(on(2, 0), on(2, 0), "before"), (on(2, 0) - timedelta(days=401), on(2, 0), "after")],
)
def test_a_report_is_of_some_time_and_not_of_all(after: datetime, before: datetime, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        week(after=after, before=before)
    assert [error.field for error in refused.value.errors] == [field]
