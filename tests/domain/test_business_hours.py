"""Business time: as the shared vectors have it, by samples of our own, against a reference that walks by minutes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpdesk.domain.business_hours import ALWAYS, Calendar, Interval, NeverOpen, Timetable
from tests.conftest import SHARED

VECTORS = SHARED / "vectors" / "sla.json"
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOUR, MINUTE, MICROSECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(microseconds=1)


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _hours(pairs: Sequence[Sequence[str]]) -> list[Interval]:
    return [(int(a[:2]) * 60 + int(a[3:]), int(b[:2]) * 60 + int(b[3:])) for a, b in pairs]


def _dates(rows: dict[str, Any]) -> dict[date, list[Interval]]:
    return {date.fromisoformat(day): _hours(pairs) for day, pairs in rows.items()}


# -- the shared vectors --


def _vectors() -> list[Any]:
    if not VECTORS.exists():
        return [pytest.param({}, id="none", marks=pytest.mark.skip(reason="the shared vectors are not here"))]
    return [pytest.param(vector, id=vector["id"]) for vector in _shared()["business_time"]]


@cache
def _shared() -> Any:
    return json.loads(VECTORS.read_text(encoding="utf-8"))


@cache
def _table(name: str) -> Timetable:
    calendar = _shared()["calendars"][name]
    return Timetable(
        Calendar(
            calendar["tz"],
            [_hours(calendar["hours"].get(day, ())) for day in WEEK],
            frozenset(map(date.fromisoformat, calendar["holidays"])),
            _dates(calendar["date_overrides"]),
            _dates(calendar["breaks"]),
        )
    )


@pytest.mark.parametrize("vector", _vectors())
def test_a_shared_vector_holds(vector: dict[str, Any]) -> None:
    table, at = _table(vector["calendar"]), time(vector["at"])
    match vector["op"]:
        case "between":
            assert table.between(at, time(vector["end"])) == timedelta(seconds=vector["expect"])
        case "is_open":
            assert table.is_open(at) is vector["expect"]
        case "due" | "before" as name:
            assert getattr(table, name)(at, timedelta(seconds=vector["seconds"])) == time(vector["expect"])
        case name:
            assert getattr(table, name)(at) == time(vector["expect"])


# -- our own samples --

NINE_TO_FIVE: Final[Sequence[Interval]] = ((9 * 60, 17 * 60),)
WEEKDAYS: Final = (*[NINE_TO_FIVE] * 5, (), ())
BERLIN = Timetable(
    Calendar(
        "Europe/Berlin",
        WEEKDAYS,
        holidays=frozenset({date(2026, 4, 3), date(2026, 4, 6)}),
        overrides={date(2026, 4, 4): ((600, 720),), date(2026, 4, 6): ((780, 840),), date(2026, 4, 8): ()},
        breaks={date(2026, 4, 7): ((540, 600), (720, 780)), date(2026, 4, 6): ((800, 810),)},
    )
)
"""Good Friday 2026 is 3 April, Easter Monday the 6th. In April the clocks are two hours ahead."""


@pytest.mark.parametrize(
    ("at", "hours", "due"),
    [
        pytest.param("2026-03-31T08:00Z", 1, "2026-03-31T09:00Z", id="within a day"),
        pytest.param("2026-03-31T07:00Z", 8, "2026-03-31T15:00Z", id="a day used up is due at closing"),
        pytest.param("2026-03-31T07:00Z", 8.5, "2026-04-01T07:30Z", id="half an hour more, and it is the next morning"),
        pytest.param("2026-03-31T20:00Z", 1, "2026-04-01T08:00Z", id="what comes at night starts in the morning"),
        pytest.param("2026-04-02T14:00Z", 2, "2026-04-04T09:00Z", id="an override opens a Saturday after a holiday"),
        pytest.param("2026-04-04T10:00Z", 0.25, "2026-04-06T11:15Z", id="an override beats the holiday of its date"),
        pytest.param("2026-04-06T11:00Z", 0.5, "2026-04-06T11:40Z", id="a break beats the override of its date"),
        pytest.param("2026-04-07T06:00Z", 3, "2026-04-07T12:00Z", id="breaks are taken out of an ordinary day"),
        pytest.param("2026-04-07T14:30Z", 1, "2026-04-09T07:30Z", id="an override without hours closes its date"),
        pytest.param("2026-04-01T09:00Z", 0, "2026-04-01T09:00Z", id="nothing is due at once"),
    ],
)
def test_due(at: str, hours: float, due: str) -> None:
    assert BERLIN.due(time(at), hours * HOUR) == time(due)


def test_friday_evening_and_24_hours_of_business_are_tuesday_but_24_hours_are_24_hours() -> None:
    desk = Timetable(Calendar("Asia/Shanghai", [*[[(480, 1200)]] * 5, [], []]))
    friday = time("2026-03-06T19:00+08:00")
    assert desk.due(friday, 24 * HOUR) == time("2026-03-10T19:00+08:00")
    assert ALWAYS.due(friday, 24 * HOUR) == time("2026-03-07T19:00+08:00")


def test_an_hour_that_the_clocks_skip_is_not_open_and_one_that_they_repeat_counts_twice() -> None:
    night = Timetable(Calendar("Europe/Berlin", [[(0, 360)]] * 7))
    assert night.between(time("2026-03-28T22:00Z"), time("2026-03-29T12:00Z")) == 5 * HOUR
    assert night.between(time("2026-10-24T21:00Z"), time("2026-10-25T12:00Z")) == 7 * HOUR
    gap = Timetable(Calendar("Europe/Berlin", [[(130, 170)]] * 7))
    assert gap.between(time("2026-03-28T22:00Z"), time("2026-03-29T12:00Z")) == timedelta()


def test_a_date_that_a_zone_skipped_had_no_hours() -> None:
    samoa = Timetable(Calendar("Pacific/Apia", [[(0, 1440)]] * 7))
    assert samoa.between(time("2011-12-29T10:00Z"), time("2011-12-31T10:00Z")) == 48 * HOUR
    nine = Timetable(Calendar("Pacific/Apia", [NINE_TO_FIVE] * 7))
    assert nine.due(time("2011-12-29T19:00Z"), 9 * HOUR) == time("2011-12-30T20:00Z")


def test_overnight_hours_are_two_intervals_and_one_stretch() -> None:
    night = Timetable(Calendar("UTC", [[(0, 360), (1320, 1440)]] * 7))
    assert night.next_close(time("2026-03-02T23:00Z")) == time("2026-03-03T06:00Z")
    assert night.next_close(time("2026-03-02T12:00Z")) == time("2026-03-03T06:00Z")
    assert night.due(time("2026-03-02T23:00Z"), 7 * HOUR) == time("2026-03-03T06:00Z")


def test_what_never_closes_says_so() -> None:
    assert Timetable(Calendar("America/New_York", [[(0, 1440)]] * 7)).next_close(time("2026-03-02T23:00Z")) is None


def test_what_never_opens_is_an_error_and_not_an_endless_search() -> None:
    shut = Timetable(Calendar("UTC", [[]] * 7))
    at = time("2026-01-01T00:00Z")
    with pytest.raises(NeverOpen):
        shut.due(at, MINUTE)
    with pytest.raises(NeverOpen):
        shut.before(at, MINUTE)
    with pytest.raises(NeverOpen):
        shut.next_open(at)
    with pytest.raises(NeverOpen):
        shut.prev_close(at)
    assert not shut.is_open(at)


def test_a_promise_of_years_is_kept_to_the_microsecond() -> None:
    start = time("2026-03-31T08:00:00.000001Z")
    due = BERLIN.due(start, 10_000 * HOUR + MICROSECOND)
    assert BERLIN.between(start, due) == 10_000 * HOUR + MICROSECOND
    assert BERLIN.between(start, due - MICROSECOND) == 10_000 * HOUR
    assert BERLIN.before(due, 10_000 * HOUR + MICROSECOND) == start


def test_a_clock_on_the_wall_is_always_open() -> None:
    at = time("2026-03-07T19:00Z")
    assert ALWAYS.is_open(at)
    assert (ALWAYS.next_open(at), ALWAYS.prev_close(at)) == (at, at)
    assert ALWAYS.before(at, HOUR) == at - HOUR
    assert ALWAYS.between(at, at - HOUR) == timedelta()


# -- against a reference that knows nothing of prefix sums --

DAYS = 8
WINDOWS: Final = (
    ("Europe/Berlin", date(2026, 3, 25)),
    ("Europe/Berlin", date(2025, 10, 22)),
    ("America/New_York", date(2026, 3, 4)),
    ("America/New_York", date(2026, 10, 28)),
    ("Australia/Lord_Howe", date(2026, 4, 1)),
    ("Australia/Lord_Howe", date(2026, 10, 1)),
    ("Asia/Shanghai", date(2025, 12, 28)),
    ("America/Sao_Paulo", date(2018, 11, 1)),
    ("America/Sao_Paulo", date(2018, 2, 14)),
    ("Africa/Cairo", date(2026, 4, 21)),
    ("Africa/Cairo", date(2026, 10, 26)),
    ("America/St_Johns", date(2010, 3, 11)),
    ("Antarctica/Troll", date(2026, 3, 26)),
    ("Pacific/Apia", date(2011, 12, 27)),
    ("Pacific/Kiritimati", date(2025, 12, 28)),
)
"""Where the clocks change, at 02:00, at midnight, a minute after it, by half an hour, by two, by a day; years' ends."""


@cache
def _local(zone: str, first: date) -> list[tuple[date, int]]:
    """For each minute of the window the furthest that local clocks have come: a boundary is passed once only, when
    they first reach it or jump over it."""
    start, furthest = datetime(first.year, first.month, first.day, tzinfo=UTC), None
    found = []
    for number in range(-2 * 1440, DAYS * 1440):
        local = (start + number * MINUTE).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
        furthest = max(furthest or local, local)
        if number >= 0:
            found.append((furthest.date(), furthest.hour * 60 + furthest.minute))
    return found


class Walk:
    """The slow way: is each minute of the window open, and then counting them."""

    def __init__(self, calendar: Calendar, first: date) -> None:
        self.start = datetime(first.year, first.month, first.day, tzinfo=UTC)
        self.end = self.start + timedelta(days=DAYS)
        days: dict[date, list[bool]] = {}
        for day, _ in _local(calendar.zone, first):
            if day not in days:
                days[day] = self._day(calendar, day)
        self.open = [days[day][minute] for day, minute in _local(calendar.zone, first)]

    @staticmethod
    def _day(calendar: Calendar, day: date) -> list[bool]:
        hours = calendar.weekly[day.weekday()]
        if day in calendar.holidays:
            hours = []
        if day in calendar.overrides:
            hours = calendar.overrides[day]
        minutes = [False] * 1440
        for opens, closes in hours:
            minutes[opens:closes] = [True] * (closes - opens)
        for opens, closes in calendar.breaks.get(day, ()):
            minutes[opens:closes] = [False] * (closes - opens)
        return minutes

    def _at(self, number: int) -> datetime:
        return self.start + number * MINUTE

    def is_open(self, at: datetime) -> bool:
        return self.open[(at - self.start) // MINUTE]

    def between(self, start: datetime, end: datetime) -> timedelta:
        touched = range((start - self.start) // MINUTE, -((self.start - end) // MINUTE))
        return sum((self._part(n, start, end) for n in touched if self.open[n]), timedelta())

    def _part(self, number: int, start: datetime, end: datetime) -> timedelta:
        return min(self._at(number + 1), end) - max(self._at(number), start)

    def due(self, at: datetime, target: timedelta) -> datetime | None:
        for number in range((at - self.start) // MINUTE, len(self.open)):
            if self.open[number]:
                part = self._part(number, at, self.end)
                if part >= target:
                    return max(self._at(number), at) + target
                target -= part
        return None

    def before(self, at: datetime, span: timedelta) -> datetime | None:
        for number in range(-((self.start - at) // MINUTE) - 1, -1, -1):
            if self.open[number]:
                part = self._part(number, self.start, at)
                if part >= span:
                    return min(self._at(number + 1), at) - span
                span -= part
        return None

    def next_open(self, at: datetime) -> datetime | None:
        left = (n for n in range((at - self.start) // MINUTE, len(self.open)) if self.open[n])
        return next((max(self._at(n), at) for n in left), None)

    def next_close(self, at: datetime) -> datetime | None:
        opens = self.next_open(at)
        if opens is None:
            return None
        left = range((opens - self.start) // MINUTE, len(self.open))
        return next((self._at(n) for n in left if not self.open[n]), None)

    def prev_close(self, at: datetime) -> datetime | None:
        left = (n for n in range(-((self.start - at) // MINUTE) - 1, -1, -1) if self.open[n])
        return next((min(self._at(n + 1), at) for n in left), None)


@st.composite
def day_hours(draw: st.DrawFn, least: int = 0) -> list[Interval]:
    """Ascending intervals, some of which adjoin; boundaries where the clocks change more often than elsewhere."""
    minutes = st.sampled_from([0, 1, 30, 60, 90, 120, 150, 180, 540, 1380, 1440]) | st.integers(0, 1440)
    ends = sorted(draw(st.lists(minutes, min_size=2 if least else 0, max_size=6, unique=True)))
    parts = [pair for pair in pairwise(ends) if draw(st.booleans())]
    return parts or list(pairwise(ends))[:least]


@st.composite
def calendars(draw: st.DrawFn) -> tuple[Calendar, date]:
    zone, first = draw(st.sampled_from(WINDOWS))
    days = st.integers(-1, DAYS).map(lambda n: first + timedelta(days=n))
    weekly = [draw(day_hours()) for _ in range(7)]
    weekly[draw(st.integers(0, 6))] = draw(day_hours(least=1))
    special = st.dictionaries(days, day_hours(), max_size=3)
    holidays = draw(st.frozensets(days, max_size=3))
    return Calendar(zone, weekly, holidays, draw(special), draw(special)), first


instants = st.integers(0, DAYS * 24 * 60 * 60 * 10**6 - 1) | st.integers(0, DAYS * 24 * 60 - 1).map(
    lambda n: n * 60 * 10**6
)
"""Microseconds into the window; whole minutes as often as not, since what is wrong is wrong at a boundary."""

spans = st.integers(1, 40 * 60 * 60 * 10**6) | st.integers(1, 40 * 60).map(lambda n: n * 60 * 10**6)


@settings(max_examples=60, deadline=None)
@given(calendars(), st.lists(st.tuples(instants, instants, spans), min_size=4, max_size=4))
def test_it_agrees_with_whoever_walks_minute_by_minute(
    made: tuple[Calendar, date], asked: list[tuple[int, int, int]]
) -> None:
    calendar, first = made
    table, walk = Timetable(calendar), Walk(calendar, first)
    for one, other, length in asked:
        at, end = walk.start + one * MICROSECOND, walk.start + other * MICROSECOND
        span = length * MICROSECOND
        assert table.is_open(at) is walk.is_open(at)
        assert table.between(at, end) == (walk.between(at, end) if end > at else timedelta())
        for found, expected in (
            (table.due(at, span), walk.due(at, span)),
            (table.next_open(at), walk.next_open(at)),
            (table.next_close(at), walk.next_close(at)),
        ):
            assert found == expected if expected is not None else found is None or found >= walk.end
        for found, expected in (
            (table.before(at, span), walk.before(at, span)),
            (table.prev_close(at), walk.prev_close(at)),
        ):
            assert found == expected if expected is not None else found <= walk.start


far = st.integers(-3 * 365 * 24 * 3600 * 10**6, 3 * 365 * 24 * 3600 * 10**6)
long = st.integers(1, 2000 * 3600 * 10**6).map(lambda n: n * MICROSECOND)


@settings(max_examples=50, deadline=None)
@given(calendars(), far, far, far, long)
def test_the_laws_hold_over_years(made: tuple[Calendar, date], a: int, b: int, c: int, span: timedelta) -> None:
    calendar, first = made
    table = Timetable(calendar)
    base = datetime(first.year, first.month, first.day, tzinfo=UTC)
    start, middle, end = sorted(base + n * MICROSECOND for n in (a, b, c))
    assert table.between(start, middle) + table.between(middle, end) == table.between(start, end) <= end - start
    assert table.due(start, table.between(start, end)) <= end
    assert table.before(end, table.between(start, end)) >= start
    try:
        due, before = table.due(start, span), table.before(start, span)
    except NeverOpen:
        return  # an interval of a minute a week is too little for thousands of hours
    assert table.between(start, due) == span == table.between(before, start)
    assert table.between(start, due - MICROSECOND) == span - MICROSECOND == table.between(before + MICROSECOND, start)
    assert table.due(start, span + MICROSECOND) > due
    opening = table.next_open(start)
    assert table.is_open(opening)
    assert table.between(start, opening) == timedelta()
    closing = table.prev_close(start)
    assert table.is_open(closing - MICROSECOND)
    assert table.between(closing, start) == timedelta()


@settings(max_examples=15, deadline=None)
@given(calendars(), st.lists(st.tuples(far, far), min_size=2, max_size=5))
def test_what_was_asked_before_changes_no_answer(made: tuple[Calendar, date], asked: list[tuple[int, int]]) -> None:
    calendar, first = made
    base, kept = datetime(first.year, first.month, first.day, tzinfo=UTC), Timetable(calendar)
    for a, b in asked:
        at, end = base + a * MICROSECOND, base + b * MICROSECOND
        fresh = Timetable(calendar)
        assert kept.due(at, HOUR) == fresh.due(at, HOUR)
        assert kept.before(at, HOUR) == fresh.before(at, HOUR)
        assert kept.between(at, end) == fresh.between(at, end)
        assert (kept.next_open(at), kept.prev_close(at)) == (fresh.next_open(at), fresh.prev_close(at))
