"""Who is on duty when, and who wants quiet: rosters and quiet hours as they are stored, and what they mean.

    {"zone": "Asia/Shanghai",
     "shifts": [{"agent_ids": [...], "weekly": [[["08:00", "16:00"]], ..., [], []]}],     seven days, Monday first
     "overrides": [{"date": "2026-10-01", "agent_ids": [...], "hours": [["10:00", "14:00"]]}]}

Hours are local and written as in calendars: overnight is two days' hours. An override replaces what the agents that it
names do on its date, and nobody else's: without hours they are away, and whoever stands in needs one of his own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from helpdesk.domain import calendars
from helpdesk.domain.business_hours import MINUTES, moment
from helpdesk.domain.contents import Wrong, fields, identifiers, items
from helpdesk.domain.values import Duty

MAX_SHIFTS: Final = 100
MAX_OVERRIDES: Final = 1_000
MAX_AGENTS: Final = 100
"""Of a shift, an override or the fallback list."""

_DAY: Final = timedelta(days=1)
_WEEK: Final = 7


def check(content: Any) -> None:
    """Raises `Wrong` for the first thing that no roster can say."""
    given = fields(content, "", needed=("zone", "shifts", "overrides"))
    try:
        calendars.check_zone(given["zone"])
        for number, shift in enumerate(items(given["shifts"], "shifts", least=1, most=MAX_SHIFTS)):
            _check_shift(shift, f"shifts.{number}")
        for number, override in enumerate(items(given["overrides"], "overrides", most=MAX_OVERRIDES)):
            _check_override(override, f"overrides.{number}")
    except calendars.WrongCalendar as error:
        raise Wrong(error.field, error.reason) from None
    _check_once(given["overrides"])


def check_fallback(content: Any) -> None:
    """Raises `Wrong`: the fallback is a list of agents, to be called in this order, whatever the time."""
    identifiers(fields(content, "", needed=("agent_ids",))["agent_ids"], "agent_ids", least=1, most=MAX_AGENTS)


def check_quiet_hours(content: Any) -> None:
    """Raises `Wrong`."""
    given = fields(content, "", needed=("zone", "from", "to"))
    try:
        calendars.check_zone(given["zone"])
        start, end = (calendars.check_time(given[name], name) for name in ("from", "to"))
    except calendars.WrongCalendar as error:
        raise Wrong(error.field, error.reason) from None
    if start == MINUTES or end == MINUTES:
        raise Wrong("from" if start == MINUTES else "to", 'call midnight "00:00"')
    if start == end:
        raise Wrong("to", "the quiet ends when it begins")


def mentions(content: Mapping[str, Any]) -> Iterator[tuple[str, str, UUID]]:
    """Whom a checked roster or fallback list names: the field, that it is an agent, and which one."""
    places = [("agent_ids", content)] if "agent_ids" in content else []
    for kind in ("shifts", "overrides"):
        places += [(f"{kind}.{number}.agent_ids", one) for number, one in enumerate(content.get(kind, ()))]
    for place, one in places:
        for number, agent_id in enumerate(one["agent_ids"]):
            yield f"{place}.{number}", "agent", UUID(agent_id)


def on_duty(content: Mapping[str, Any], at: datetime) -> set[UUID]:
    """Who is in a shift of this checked roster. A shift's end is not in it."""
    zone = ZoneInfo(content["zone"])
    today = at.astimezone(zone).date()
    # The neighbours, too: where clocks go back at midnight, a day's hours reach into what is called the day before.
    return {
        UUID(agent_id)
        for day in (today - _DAY, today, today + _DAY)
        for agent_ids, hours in _roster(content, day)
        if any(_covers(zone, day, opens, closes, at) for opens, closes in calendars.read_hours(hours))
        for agent_id in agent_ids
    }


def quiet_until(quiet_hours: Mapping[str, str] | None, at: datetime) -> datetime | None:
    """The end of the quiet time that `at` falls into; None where it falls into none."""
    if quiet_hours is None:
        return None
    zone = ZoneInfo(quiet_hours["zone"])
    start, end = (calendars.check_time(quiet_hours[name], name) for name in ("from", "to"))
    if end < start:
        end += MINUTES
    today = at.astimezone(zone).date()
    begun = [day for day in (today - _DAY, today, today + _DAY) if _covers(zone, day, start, end, at)]
    return max((moment(zone, day, end) for day in begun), default=None)


def standing(duty: str, until: datetime | None, at: datetime) -> tuple[Duty, datetime | None]:
    """What an agent has said about himself, as long as it lasts; after that he is `auto` again."""
    over = until is not None and until <= at
    return (Duty.AUTO, None) if over else (Duty(duty), until)


def _roster(content: Mapping[str, Any], day: date) -> Iterator[tuple[set[str], Sequence[Sequence[str]]]]:
    """Who works when on a local date."""
    special = [one for one in content["overrides"] if one["date"] == day.isoformat()]
    replaced = {agent_id for one in special for agent_id in one["agent_ids"]}
    for shift in content["shifts"]:
        yield set(shift["agent_ids"]) - replaced, shift["weekly"][day.weekday()]
    for one in special:
        yield set(one["agent_ids"]), one["hours"]


def _covers(zone: ZoneInfo, day: date, start: int, end: int, at: datetime) -> bool:
    return moment(zone, day, start) <= at < moment(zone, day, end)


def _check_shift(shift: Any, place: str) -> None:
    given = fields(shift, place, needed=("agent_ids", "weekly"))
    identifiers(given["agent_ids"], f"{place}.agent_ids", least=1, most=MAX_AGENTS)
    weekly = items(given["weekly"], f"{place}.weekly", least=_WEEK, most=_WEEK)
    for number, hours in enumerate(weekly):
        calendars.check_hours(hours, f"{place}.weekly.{number}", "the day")
    if not any(weekly):
        raise Wrong(f"{place}.weekly", "give at least one day of the week hours")


def _check_override(override: Any, place: str) -> None:
    given = fields(override, place, needed=("date", "agent_ids", "hours"))
    day = calendars.check_date(given["date"], f"{place}.date")
    identifiers(given["agent_ids"], f"{place}.agent_ids", least=1, most=MAX_AGENTS)
    calendars.check_hours(given["hours"], f"{place}.hours", day)


def _check_once(overrides: Sequence[Mapping[str, Any]]) -> None:
    """Two overrides of one date for one agent would leave it open which of them he follows."""
    seen: set[tuple[str, UUID]] = set()
    for number, one in enumerate(overrides):
        for agent_id in map(UUID, one["agent_ids"]):
            if (one["date"], agent_id) in seen:
                raise Wrong(f"overrides.{number}.agent_ids", "somebody has another override on this date")
            seen.add((one["date"], agent_id))
