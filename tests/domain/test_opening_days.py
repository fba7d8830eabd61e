"""Calendars cut into days reckon as calendars do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from helpdesk.domain.business_hours import ALWAYS, BusinessTime, Calendar, Timetable
from helpdesk.domain.opening_days import DAY, opening_days

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
SPAN = 60
OFFICE = Calendar(
    "America/New_York",
    [[(540, 720), (780, 1080)]] * 5 + [[(600, 720)], []],
    holidays=frozenset({date(2026, 10, 12)}),
    overrides={date(2026, 10, 18): [(0, 1440)]},
)
NIGHTS = Calendar("Asia/Kolkata", [[(0, 360), (1320, 1440)]] * 7)


@pytest.mark.parametrize("time", [Timetable(OFFICE), Timetable(NIGHTS), ALWAYS], ids=["office", "nights", "always"])
def test_open_time_between_two_moments_is_what_their_days_say(time: BusinessTime) -> None:
    """Over the end of summer time in New York, an hour of half past in India, a holiday, and a day that is all open."""
    first, last = (FIRST - EPOCH).days, (FIRST - EPOCH).days + SPAN
    days = {
        one.day: one
        for one in opening_days(time.open_between(FIRST, FIRST + timedelta(days=SPAN + 1)), first=first, last=last)
    }
    assert len(days) == SPAN + 1
    random = Random(7)

    def until(at: datetime) -> int:
        day, second = divmod(int((at - EPOCH).total_seconds()), DAY)
        return days[day].until(second)

    for _ in range(500):
        start, end = sorted(FIRST + timedelta(seconds=random.randrange(SPAN * DAY)) for _ in range(2))
        assert until(end) - until(start) == time.between(start, end) // timedelta(seconds=1), (start, end)


def test_days_without_hours_add_nothing() -> None:
    assert [day.until(100) for day in opening_days([], first=3, last=4)] == [0, 0]
