"""What a stored calendar may say, and what it means."""

from __future__ import annotations

import importlib.util
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from helpdesk.domain import calendars
from helpdesk.domain.business_hours import Calendar
from helpdesk.domain.calendars import WrongCalendar

NINE: Any = [["09:00", "17:00"]]
CONTENT: dict[str, Any] = {
    "zone": "Europe/Berlin",
    "weekly": [NINE, NINE, NINE, NINE, [["09:00", "12:30"], ["13:00", "15:00"]], [], []],
    "holidays": [{"date": "2026-12-25", "name": "Christmas Day"}],
    "holiday_years": [2026],
    "overrides": [
        {"date": "2026-12-24", "hours": [["09:00", "12:00"]], "name": "Christmas Eve"},
        {"date": "2026-12-31", "hours": [], "name": "closed"},
    ],
    "breaks": [{"date": "2026-03-05", "hours": [["12:00", "24:00"]], "name": ""}],
}


def test_content_is_read_as_minutes_of_local_dates() -> None:
    calendars.check(CONTENT)
    nine = ((540, 1020),)
    assert calendars.read(CONTENT) == Calendar(
        "Europe/Berlin",
        (nine, nine, nine, nine, ((540, 750), (780, 900)), (), ()),
        frozenset({date(2026, 12, 25)}),
        {date(2026, 12, 24): ((540, 720),), date(2026, 12, 31): ()},
        {date(2026, 3, 5): ((720, 1440),)},
        frozenset({2026}),
    )


@pytest.mark.parametrize(
    ("part", "value", "field", "reason"),
    [
        ("zone", "Mars/Olympus", "zone", "time zone"),
        ("zone", "../../etc/passwd", "zone", "time zone"),
        ("zone", "Europe", "zone", "time zone"),
        ("zone", "localtime", "zone", "time zone"),
        ("zone", "right/Europe/Berlin", "zone", "time zone"),
        ("zone", "a" * 65, "zone", "time zone"),
        ("zone", "\x00", "zone", "time zone"),
        ("zone", None, "zone", "time zone"),
        ("weekly", [NINE] * 6, "weekly", "seven days"),
        ("weekly", [[]] * 7, "weekly", "never opens"),
        ("weekly", [NINE] * 6 + ["09:00"], "weekly.6", "list"),
        ("weekly", [NINE] * 6 + [[["09:00"]]], "weekly.6.0", "opening, closing"),
        ("weekly", [NINE] * 6 + [[["9:00", "17:00"]]], "weekly.6.0", "times such as"),
        ("weekly", [NINE] * 6 + [[["09:00", "24:01"]]], "weekly.6.0", "times such as"),
        ("weekly", [NINE] * 6 + [[["09:00", "٠٩:٣٠"]]], "weekly.6.0", "times such as"),
        ("weekly", [NINE] * 6 + [[["24:00", "24:00"]]], "weekly.6.0", "before it opens"),
        ("weekly", [NINE] * 6 + [[["22:00", "06:00"]]], "weekly.6.0", "overnight"),
        ("weekly", [NINE] * 6 + [[["09:00", "12:00"], ["11:59", "17:00"]]], "weekly.6.1", "overlap"),
        ("weekly", [NINE] * 6 + [[["13:00", "17:00"], ["09:00", "12:00"]]], "weekly.6.1", "out of order"),
        ("weekly", [[[f"0{n // 60}:{n % 60:02}", f"0{n // 60}:{n % 60 + 1:02}"] for n in range(0, 50, 2)]] * 7,
         "weekly.0", "more than 24"),
        ("holidays", [{"date": "2026-02-30", "name": ""}], "holidays.0.date", "a date such as"),
        ("holidays", [{"date": "20260201", "name": ""}], "holidays.0.date", "a date such as"),
        ("holidays", [{"date": "0001-01-01", "name": ""}], "holidays.0.date", "a date such as"),
        ("holidays", [{"date": "2026-01-01", "name": ""}] * 2, "holidays.1.date", "twice"),
        ("holidays", [{"date": "2026-01-01"}], "holidays.0", "date, name"),
        ("holidays", [{"date": "2026-01-01", "name": "x" * 201}], "holidays.0.name", "200"),
        ("holidays", [{"date": "2026-01-01", "name": 1}], "holidays.0.name", "200"),
        ("holidays", [{"date": "2026-01-01", "name": ""}] * 3001, "holidays", "3000"),
        ("holidays", "none", "holidays", "list"),
        ("holiday_years", [2026, 2026], "holiday_years", "twice"),
        ("holiday_years", [True], "holiday_years.0", "year"),
        ("holiday_years", [1066], "holiday_years.0", "year"),
        ("holiday_years", 2026, "holiday_years", "list"),
        ("holiday_years", list(range(1970, 2071)), "holiday_years", "100"),
        ("overrides", [{"date": "2026-01-01", "name": ""}], "overrides.0", "hours"),
        ("overrides", [{"date": "2026-01-01", "name": "", "hours": [["1", "2"]]}], "overrides.0.hours.0", "times"),
        ("breaks", [{"date": "2026-01-01", "name": "", "hours": []}], "breaks.0.hours", "from when"),
    ],
)  # fmt: skip
def test_what_no_calendar_can_say_is_refused_with_its_place(part: str, value: Any, field: str, reason: str) -> None:
    with pytest.raises(WrongCalendar, match=reason) as caught:
        calendars.check(deepcopy(CONTENT) | {part: value})
    assert caught.value.field == field


def test_a_part_too_many_and_a_part_too_few_are_refused() -> None:
    with pytest.raises(WrongCalendar, match="no part"):
        calendars.check(CONTENT | {"colour": "red"})
    with pytest.raises(WrongCalendar, match="missing"):
        calendars.check({name: value for name, value in CONTENT.items() if name != "breaks"})


def test_hours_that_adjoin_do_not_overlap() -> None:
    calendars.check(CONTENT | {"weekly": [[["00:00", "12:00"], ["12:00", "24:00"]]] * 7})


def test_a_year_is_known_when_somebody_has_reviewed_it_or_nobody_needs_to() -> None:
    reviewed, unobserved = calendars.read(CONTENT), calendars.read(CONTENT | {"holiday_years": None})
    assert [calendars.knows(reviewed, year) for year in (2025, 2026, 2027)] == [False, True, False]
    assert calendars.knows(unobserved, 2027)


def test_a_normal_working_day_is_the_one_that_most_open_days_are_like() -> None:
    assert calendars.working_day(CONTENT) == NINE
    rare: Any = [["10:00", "11:00"]]
    assert calendars.working_day({"weekly": [[], rare, NINE, [], [], [], []]}) == rare


def test_the_calendar_of_a_new_house_is_a_calendar() -> None:
    path = Path(__file__).parents[2] / "alembic" / "versions" / "0004_promises.py"
    spec = importlib.util.spec_from_file_location("promises", path)
    assert spec is not None
    assert spec.loader is not None
    revision = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(revision)
    calendars.check(revision._hours())
