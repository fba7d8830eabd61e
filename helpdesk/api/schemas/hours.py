"""Calendars, their versions and imports, and the public service hours."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import Given, Line, Name, Shown, Text
from helpdesk.domain.calendars import MAX_DATES, MAX_INTERVALS, MAX_YEARS, YEARS
from helpdesk.services.holiday_imports import Added


def _once(years: list[int]) -> list[int]:
    return list(dict.fromkeys(years))


Clock = Annotated[Line, Field(max_length=5, examples=["08:30", "24:00"])]
Hours = Annotated[list[tuple[Clock, Clock]], Field(max_length=MAX_INTERVALS)]
Day = Annotated[Line, Field(max_length=10, json_schema_extra={"format": "date"})]
Year = Annotated[int, Field(ge=YEARS.start, lt=YEARS.stop, strict=True)]
Zone = Annotated[Line, Field(max_length=64, examples=["Asia/Shanghai"])]
Week = Annotated[
    list[Hours],
    Field(min_length=7, max_length=7, description="Monday first; `[opening, closing]` in local time, none: closed"),
]
Years = Annotated[
    list[Year],
    Field(max_length=MAX_YEARS, description="Those whose holidays are reviewed; null: nobody needs to"),
]


class Holiday(Given):
    date: Day
    name: Line = ""


class Special(Given):
    """One date's hours: as an override none at all close it, as a break they are taken out."""

    date: Day
    hours: Hours
    name: Line = ""


Holidays = Annotated[list[Holiday], Field(max_length=MAX_DATES)]
Specials = Annotated[list[Special], Field(max_length=MAX_DATES)]


class HoursCreate(Given):
    """Breaks go before overrides, overrides before holidays, holidays before the week."""

    name: Name
    is_default: bool = False
    zone: Zone
    weekly: Week
    holidays: Holidays = Field(default_factory=list)
    holiday_years: Years | None = None
    overrides: Specials = Field(default_factory=list)
    breaks: Specials = Field(default_factory=list)


class HoursPatch(Given):
    """What is given replaces the whole of its part."""

    name: Name | None = None
    is_default: Literal[True] | None = Field(None, description="The calendar that was the default no longer is")
    zone: Zone | None = None
    weekly: Week | None = None
    holidays: Holidays | None = None
    holiday_years: Years | None = None
    overrides: Specials | None = None
    breaks: Specials | None = None

    def changes(self) -> dict[str, Any]:
        """The parts of the content that were sent. Null says something of `holiday_years` only."""
        sent = self.model_dump(mode="json", include=self.model_fields_set - {"name", "is_default"})
        return {name: value for name, value in sent.items() if value is not None or name == "holiday_years"}


class HoursName(Shown):
    """What lists show: all but the dates."""

    id: UUID
    name: str
    is_default: bool
    zone: str
    weekly: list[list[tuple[str, str]]]
    holiday_years: list[int] | None
    version: int
    created_at: datetime
    updated_at: datetime


class HolidayShown(Shown):
    date: str
    name: str


class SpecialShown(HolidayShown):
    hours: list[tuple[str, str]]


class HoursShown(HoursName):
    holidays: list[HolidayShown]
    overrides: list[SpecialShown]
    breaks: list[SpecialShown]


_BRIEF = ("zone", "weekly", "holiday_years")
_WHOLE = (*_BRIEF, "holidays", "overrides", "breaks")
_ROW = ("id", "name", "is_default", "version", "created_at", "updated_at")


def hours_name(row: RowMapping) -> dict[str, Any]:
    return {**{name: row[name] for name in _ROW}, **{name: row["content"][name] for name in _BRIEF}}


def hours(row: RowMapping) -> dict[str, Any]:
    return {**{name: row[name] for name in _ROW}, **{name: row["content"][name] for name in _WHOLE}}


class VersionName(Shown):
    version: int
    created_at: datetime
    created_by: UUID | None = Field(description="The agent; null for what a new house begins with")
    zone: str
    weekly: list[list[tuple[str, str]]]
    holiday_years: list[int] | None


class VersionShown(VersionName):
    holidays: list[HolidayShown]
    overrides: list[SpecialShown]
    breaks: list[SpecialShown]


def version_name(row: RowMapping) -> dict[str, Any]:
    names = ("version", "created_at", "created_by")
    return {**{name: row[name] for name in names}, **{name: row["content"][name] for name in _BRIEF}}


def version(row: RowMapping) -> dict[str, Any]:
    return {**version_name(row), **{name: row["content"][name] for name in _WHOLE}}


# -- importing holidays --


class LibraryHolidays(Given):
    """From a library's tables. Make-up working days become overrides with the hours of a normal working day, which
    are those that most open days of the week have."""

    source: Literal["library"]
    country: Annotated[Line, Field(pattern="^[A-Z]{2}$", description="ISO 3166-1, two letters")]
    subdivision: Annotated[Line, Field(max_length=10)] | None = Field(None, description="As in ISO 3166-2: `BY`")
    years: Annotated[list[Year], Field(min_length=1, max_length=10), AfterValidator(_once)]
    dry_run: bool = False


class IcalendarHolidays(Given):
    """From a file's all-day events. Working days become overrides as they do from a library."""

    source: Literal["icalendar"]
    text: Annotated[Text, Field(min_length=1, max_length=1024 * 1024)]
    kind: Literal["holidays", "working_days"] = Field("holidays", alias="as", description="What all the events are")
    years: Annotated[list[Year], Field(min_length=1, max_length=10), AfterValidator(_once)] | None = Field(
        None, description="Those that the file covers whole: the others are left out, and these become known"
    )
    containing: Annotated[Line, Field(max_length=100)] | None = Field(None, description="Only events named so")
    lacking: Annotated[Line, Field(max_length=100)] | None = Field(None, description="Only events not named so")
    dry_run: bool = False


HolidaysGiven = Annotated[LibraryHolidays | IcalendarHolidays, Field(discriminator="source")]


class HolidaysAdded(Shown):
    dry_run: bool
    holidays: list[HolidayShown]
    overrides: list[SpecialShown]
    years: list[int] = Field(description="Those that became known")
    present: int = Field(description="Dates that were there already, and stay as they are")
    overridden: list[str] = Field(description="New holidays on dates that an override opens all the same")


def added(given: Added, *, dry_run: bool) -> dict[str, Any]:
    return {"dry_run": dry_run, **asdict(given)}


# -- public --


class ChannelHours(Shown):
    channel: str
    open: bool
    next_open_at: datetime | None = Field(description="Null where it never closes")
    next_close_at: datetime | None = Field(description="Null where it never closes")


class InboxHours(ChannelHours):
    inbox_id: UUID
    name: str


class ServiceHoursShown(Shown):
    zone: str
    now: datetime
    inboxes: list[InboxHours]
    channels: list[ChannelHours]
