"""Holidays out of a library or an iCalendar file, as rows to be reviewed: nothing here is asked of any network.

China decides its holidays year by year, with working days to make up for them, so a year counts only once the notice
for it is in the library. Other countries' are computed by their rules; those that move days by decree are only as good
as the library's release. The libraries are imported when they are asked, which is once a year; a large file takes
seconds. Call this in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

from helpdesk.domain.calendars import MAX_DATES, MAX_NAME, YEARS
from helpdesk.errors import Invalid

MAX_BYTES: Final = 1024 * 1024
MAX_EVENTS: Final = 3_000
MAX_STEPS: Final = 50_000
"""Days looked at in one file: what repeats and lasts long comes to much more than it says."""

Kind = Literal["holidays", "working_days"]

_EVENT: Final = re.compile(r"^BEGIN:VEVENT", re.IGNORECASE | re.MULTILINE)
_DAY: Final = timedelta(days=1)
_RULE: Final = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYMONTH", "BYMONTHDAY", "WKST"})


@dataclass(frozen=True, slots=True)
class Found:
    """Names by date. `years` are those that the source covers whole."""

    holidays: Mapping[date, str]
    working_days: Mapping[date, str]
    years: Sequence[int] = ()


def from_library(country: str, years: Sequence[int], *, subdivision: str | None = None) -> Found:
    """Raises `Invalid` for a country, a part of it or a year that the library does not have."""
    if country != "CN":
        return _computed(country, years, subdivision)
    if subdivision is not None:
        raise Invalid.field("subdivision", "China's holidays are the same everywhere")
    return _chinese(years)


def _chinese(years: Sequence[int]) -> Found:
    import chinese_calendar

    library: Any = chinese_calendar  # it has no types
    for number, year in enumerate(years):
        try:
            library.is_holiday(date(year, 12, 31))
        except NotImplementedError:
            raise Invalid.field(f"years.{number}", f"the library has no notice of China's holidays in {year}") from None
    names = {one.value: f"{one.value} {one.chinese}" for one in library.Holiday}
    return Found(_in(years, library.holidays, names), _in(years, library.workdays, names), years)


def _computed(country: str, years: Sequence[int], subdivision: str | None) -> Found:
    import holidays

    parts = holidays.list_supported_countries(include_aliases=False).get(country)
    if parts is None:
        raise Invalid.field("country", "is not in the library; use two letters such as DE (ISO 3166-1)")
    if subdivision is not None and subdivision not in parts:
        raise Invalid.field("subdivision", f"use one of {', '.join(parts)}" if parts else "this country has none")
    kind = holidays.country_holidays(country)
    for number, year in enumerate(years):
        if not kind.start_year <= year <= kind.end_year:
            raise Invalid.field(f"years.{number}", f"the library has no holidays of {country} in {year}")
    # By default names come in whatever language this process happens to run in.
    language = "en_US" if "en_US" in kind.supported_languages else kind.default_language
    found = holidays.country_holidays(country, subdiv=subdivision, years=years, language=language)
    return Found(_in(years, found, {}), _in(years, dict.fromkeys(found.weekend_workdays, ""), {}), years)


def _in(years: Sequence[int], days: Mapping[date, str], names: Mapping[str, str]) -> dict[date, str]:
    return {day: names.get(name, name)[:MAX_NAME] for day, name in sorted(days.items()) if day.year in years}


def from_icalendar(
    text: str,
    *,
    kind: Kind = "holidays",
    years: Sequence[int] | None = None,
    containing: str | None = None,
    lacking: str | None = None,
) -> Found:
    """The whole days of a file's events, as holidays or as working days that make up for them.

    `years` are those that the file covers whole: only they are read, and become known (by holidays; working days alone
    make no year known). Without them every date is taken and no year becomes known. `containing` and `lacking` choose
    events by their summary, for a file that holds both kinds. Raises `Invalid` for what is not understood: an event
    with a time of day, one that repeats other than yearly.
    """
    body = text.encode(errors="replace")
    if len(body) > MAX_BYTES:
        raise Invalid.field("text", "is larger than 1 MB")
    if len(_EVENT.findall(text)) > MAX_EVENTS:
        raise Invalid.field("text", f"has more than {MAX_EVENTS} events")
    found: dict[date, str] = {}
    steps = 0
    for number, event in enumerate(_events(body), start=1):
        name = " ".join(str(event.get("SUMMARY", "")).split())[:MAX_NAME]
        chosen = (not containing or containing in name) and not (lacking and lacking in name)
        if not chosen or str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        for day in _days(event, number, years):
            if years is None or day.year in years:
                found.setdefault(day, name)
            steps += 1
            if steps > MAX_STEPS or len(found) > MAX_DATES:
                raise Invalid.field("text", f"has more than {MAX_DATES} dates")
    found = dict(sorted(found.items()))
    return Found(found, {}, years or ()) if kind == "holidays" else Found({}, found)


def _events(body: bytes) -> Sequence[Any]:
    """Of bytes, never of a string: one without line breaks is taken for the name of a file, and that file is read."""
    import icalendar

    try:
        events: Sequence[Any] = icalendar.Calendar.from_ical(body).walk("VEVENT")
    except Exception:  # a parser of what strangers wrote stumbles in more ways than it says
        raise Invalid.field("text", "is not a calendar in the iCalendar format (RFC 5545)") from None
    if not events:
        raise Invalid.field("text", "has no events")
    return events


def _days(event: Any, number: int, years: Sequence[int] | None) -> Iterator[date]:
    first, last = _span(event, number)
    for name in ("RDATE", "EXDATE", "RECURRENCE-ID"):
        if name in event:
            raise _wrong(number, f"{name} is not understood")
    starts = [first] if "RRULE" not in event else _yearly(event["RRULE"], first, number, years)
    for start in starts:
        for offset in range((last - first).days):
            yield start + offset * _DAY


def _span(event: Any, number: int) -> tuple[date, date]:
    """The first day, and the first that is none."""
    try:
        first = event["DTSTART"].dt
        end = event["DTEND"].dt if "DTEND" in event else first + (event["DURATION"].dt if "DURATION" in event else _DAY)
    except Exception:  # missing, given twice, or left unparsed by the library
        raise _wrong(number, "has no date that can be read") from None
    for day in (first, end):
        if isinstance(day, datetime) or not isinstance(day, date):
            raise _wrong(number, "has a time of day; only whole days can be taken")
        if day.year not in YEARS:
            raise _wrong(number, f"is not between {YEARS.start} and {YEARS.stop - 1}")
    if not first < end <= first + 366 * _DAY:
        raise _wrong(number, "ends before it begins, or lasts more than a year")
    return first, end


def _yearly(rule: Any, first: date, number: int, years: Sequence[int] | None) -> Iterator[date]:
    """Every so many years on the same date. 29 February is left out, and not counted, where there is none."""
    if not isinstance(rule, Mapping):
        raise _wrong(number, "repeats by more than one rule, or by none that can be read")
    one = {name: rule.get(name, [None])[0] for name in _RULE}
    same_date = one["BYMONTH"] in (None, first.month) and one["BYMONTHDAY"] in (None, first.day)
    single = all(len(values) == 1 for values in rule.values())
    if str(one["FREQ"]).upper() != "YEARLY" or not set(rule) <= _RULE or not single or not same_date:
        raise _wrong(number, "repeats in a way that is not understood; only yearly on the same date is")
    if years is None:
        raise Invalid.field("years", "are needed: an event repeats without end")
    left = one["COUNT"] or YEARS.stop
    until = one["UNTIL"] or date.max
    until = until.date() if isinstance(until, datetime) else until
    for year in range(first.year, max(years) + 1, max(one["INTERVAL"] or 1, 1)):
        try:
            day = first.replace(year=year)
        except ValueError:
            continue
        if left <= 0 or day > until:
            return
        left -= 1
        yield day


def _wrong(number: int, reason: str) -> Invalid:
    return Invalid.field("text", f"event {number} {reason}")
