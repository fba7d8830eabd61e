"""A calendar as it is stored: what may be said in it, and what it means.

    {"zone": "Asia/Shanghai",
     "weekly": [[["08:00", "20:00"]], ..., [], []],                    seven days, Monday first
     "holidays": [{"date": "2026-10-01", "name": "National Day"}],
     "holiday_years": [2025, 2026],
     "overrides": [{"date": "2026-10-10", "hours": [["08:00", "20:00"]], "name": "make-up day"}],
     "breaks": [{"date": "2026-03-05", "hours": [["12:00", "13:30"]], "name": "staff meeting"}]}

Hours are local, `24:00` ends a day. An override without hours closes its date. `holiday_years` are those whose holidays
somebody has reviewed; null means that nobody needs to, so that no year is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from helpdesk.domain.business_hours import Calendar, Interval
from helpdesk.domain.contents import Wrong

FIELDS: Final = ("zone", "weekly", "holidays", "holiday_years", "overrides", "breaks")
MAX_INTERVALS: Final = 24
"""A day."""
MAX_DATES: Final = 3_000
"""Holidays, overrides and breaks, each."""
MAX_YEARS: Final = 100
MAX_NAME: Final = 200
YEARS: Final = range(1970, 2200)

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class WrongCalendar(Wrong):
    """`field` is the place in the content, such as `weekly.0` or `holidays.12.date`."""


def check(content: Mapping[str, Any]) -> None:
    """Raises `WrongCalendar` for the first thing that no calendar can say.

    A week without any open hours is one: dates that open have an end, and after them nothing would ever be due.
    """
    for name in content:
        if name not in FIELDS:
            raise WrongCalendar(str(name), "is no part of a calendar")
    for name in FIELDS:
        if name not in content:
            raise WrongCalendar(name, "is missing")
    check_zone(content["zone"])
    weekly = content["weekly"]
    if not isinstance(weekly, Sequence) or len(weekly) != len(_DAYS):
        raise WrongCalendar("weekly", "give the hours of seven days, Monday first")
    for number, hours in enumerate(weekly):
        check_hours(hours, f"weekly.{number}", _DAYS[number])
    if not any(weekly):
        raise WrongCalendar("weekly", "it never opens: give at least one day of the week hours")
    _check_years(content["holiday_years"])
    _check_dates(content["holidays"], "holidays", keys={"date", "name"})
    _check_dates(content["overrides"], "overrides", keys={"date", "name", "hours"})
    _check_dates(content["breaks"], "breaks", keys={"date", "name", "hours"})
    for number, row in enumerate(content["breaks"]):
        if not row["hours"]:
            raise WrongCalendar(f"breaks.{number}.hours", "say from when to when")


def read(content: Mapping[str, Any]) -> Calendar:
    """What checked content means."""
    years = content["holiday_years"]
    return Calendar(
        zone=content["zone"],
        weekly=tuple(read_hours(hours) for hours in content["weekly"]),
        holidays=frozenset(date.fromisoformat(row["date"]) for row in content["holidays"]),
        overrides={date.fromisoformat(row["date"]): read_hours(row["hours"]) for row in content["overrides"]},
        breaks={date.fromisoformat(row["date"]): read_hours(row["hours"]) for row in content["breaks"]},
        reviewed=None if years is None else frozenset(years),
    )


def knows(calendar: Calendar, year: int) -> bool:
    """Whether the holidays of `year`, in the calendar's own zone, are reviewed, or nobody needs to."""
    return calendar.reviewed is None or year in calendar.reviewed


def working_day(content: Mapping[str, Any]) -> list[list[str]]:
    """The hours that most open days of the week have; of several such, those of the day that comes first."""
    opened = [[list(pair) for pair in hours] for hours in content["weekly"] if hours]
    return max(opened, key=opened.count)


def check_zone(name: object, field: str = "zone") -> ZoneInfo:
    """The time zone of this name. What only this machine calls so is refused: `localtime`, or one with leap seconds."""
    if isinstance(name, str) and len(name) <= 64 and not name.startswith(("localtime", "posix", "right/")):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise WrongCalendar(field, "is no time zone; use a name such as Asia/Shanghai")


def check_hours(hours: object, field: str, whose: str) -> None:
    """The hours of one day. `whose` is what the sentence calls it."""
    if not isinstance(hours, Sequence) or isinstance(hours, str):
        raise WrongCalendar(field, "use a list of hours, [opening, closing] each")
    if len(hours) > MAX_INTERVALS:
        raise WrongCalendar(field, f"{whose} has more than {MAX_INTERVALS} intervals")
    last = 0
    for number, pair in enumerate(hours):
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise WrongCalendar(f"{field}.{number}", "use [opening, closing]")
        opens, closes = (check_time(text, f"{field}.{number}") for text in pair)
        if closes <= opens:
            raise WrongCalendar(f"{field}.{number}", "closes before it opens; overnight is two days' hours")
        if opens < last:
            raise WrongCalendar(f"{field}.{number}", f"{whose} has hours that overlap or are out of order")
        last = closes


def _check_years(years: object) -> None:
    if years is None:
        return
    if not isinstance(years, Sequence) or len(years) > MAX_YEARS:
        raise WrongCalendar("holiday_years", f"use a list of at most {MAX_YEARS} years, or null")
    for number, year in enumerate(years):
        if type(year) is not int or year not in YEARS:
            raise WrongCalendar(f"holiday_years.{number}", f"use a year from {YEARS.start} to {YEARS.stop - 1}")
    if len(set(years)) != len(years):
        raise WrongCalendar("holiday_years", "names a year twice")


def _check_dates(rows: object, field: str, *, keys: set[str]) -> None:
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise WrongCalendar(field, "use a list")
    if len(rows) > MAX_DATES:
        raise WrongCalendar(field, f"has more than {MAX_DATES} dates")
    seen: set[str] = set()
    for number, row in enumerate(rows):
        place = f"{field}.{number}"
        if not isinstance(row, Mapping) or set(row) != keys:
            raise WrongCalendar(place, f"use {', '.join(sorted(keys))}")
        day = check_date(row["date"], f"{place}.date")
        if day in seen:
            raise WrongCalendar(f"{place}.date", f"{day} is named twice")
        seen.add(day)
        if not isinstance(row["name"], str) or len(row["name"]) > MAX_NAME:
            raise WrongCalendar(f"{place}.name", f"use at most {MAX_NAME} characters")
        if "hours" in keys:
            check_hours(row["hours"], f"{place}.hours", day)


def check_date(text: object, field: str) -> str:
    """One way to write a date, so that the same one is not there twice."""
    if isinstance(text, str) and _DATE.fullmatch(text):
        try:
            if date.fromisoformat(text).year in YEARS:
                return text
        except ValueError:
            pass
    raise WrongCalendar(field, f"use a date such as 2026-10-01, from {YEARS.start} to {YEARS.stop - 1}")


def check_time(text: object, field: str) -> int:
    """In minutes after midnight."""
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise WrongCalendar(field, 'use times such as "08:30", or "24:00" for the end of the day')
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def read_hours(pairs: Sequence[Sequence[str]]) -> Sequence[Interval]:
    """What checked hours mean."""
    return tuple((check_time(opens, ""), check_time(closes, "")) for opens, closes in pairs)
