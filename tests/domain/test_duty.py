"""Shifts and quiet hours in local time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from helpdesk.domain import duty
from helpdesk.domain.contents import Wrong
from helpdesk.domain.values import Duty

ANNA, BERT, CARL = (UUID(int=number) for number in (1, 2, 3))
DAYS: list[list[list[str]]] = [[["09:00", "17:00"]]] * 5 + [[], []]
NIGHTS: list[list[list[str]]] = [[["00:00", "06:00"], ["22:00", "24:00"]]] * 7


def roster(*shifts: tuple[list[UUID], Any], zone: str = "Europe/Berlin", overrides: Any = ()) -> dict[str, Any]:
    content = {
        "zone": zone,
        "shifts": [{"agent_ids": [str(one) for one in agents], "weekly": weekly} for agents, weekly in shifts],
        "overrides": [{"date": d, "agent_ids": [str(one) for one in a], "hours": h} for d, a, h in overrides],
    }
    duty.check(content)
    return content


def local(text: str, zone: str = "Europe/Berlin", *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-10-05T08:59:59", set()),
        ("2026-10-05T09:00", {ANNA}),
        ("2026-10-05T16:59:59.999999", {ANNA}),
        ("2026-10-05T17:00", set()),
        ("2026-10-05T22:00", {BERT}),
        ("2026-10-06T00:00", {BERT}),
        ("2026-10-06T05:59", {BERT}),
        ("2026-10-10T12:00", set()),
    ],
)
def test_shifts_are_local_and_an_end_is_not_in_them(at: str, expected: set[UUID]) -> None:
    assert duty.on_duty(roster(([ANNA], DAYS), ([BERT], NIGHTS)), local(at)) == expected


def test_an_override_replaces_what_its_agents_do_on_its_date_and_nobody_elses() -> None:
    content = roster(
        ([ANNA, BERT], DAYS),
        overrides=[("2026-10-05", [ANNA], []), ("2026-10-05", [CARL], [["12:00", "14:00"]])],
    )
    assert duty.on_duty(content, local("2026-10-05T10:00")) == {BERT}
    assert duty.on_duty(content, local("2026-10-05T13:00")) == {BERT, CARL}
    assert duty.on_duty(content, local("2026-10-06T10:00")) == {ANNA, BERT}


def test_a_night_shift_when_clocks_go_back_is_an_hour_longer() -> None:
    content = roster(([ANNA], [[]] * 6 + [[["00:00", "06:00"]]]))
    start, end = local("2026-10-25T00:00"), local("2026-10-25T06:00")
    assert end - start == timedelta(hours=7)
    on = [duty.on_duty(content, start + timedelta(minutes=30 * n)) for n in range(-1, 15)]
    assert on == [set(), *([{ANNA}] * 14), set()]


def test_hours_within_the_repeated_hour_are_its_first_ones() -> None:
    content = roster(([ANNA], [[]] * 6 + [[["01:00", "02:30"]]]), ([BERT], [[]] * 6 + [[["02:30", "04:00"]]]))
    first, second = local("2026-10-25T02:45"), local("2026-10-25T02:15", fold=1)
    assert [duty.on_duty(content, at) for at in (first, second)] == [{BERT}, {BERT}]


def test_hours_that_the_clocks_skip_begin_when_they_have_skipped() -> None:
    content = roster(([ANNA], [[]] * 6 + [[["02:30", "04:00"]]]))
    change = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert duty.on_duty(content, change - timedelta(seconds=1)) == set()
    assert duty.on_duty(content, change) == {ANNA}


def test_where_clocks_go_back_over_midnight_no_minute_is_lost() -> None:
    zone = "America/Goose_Bay"
    content = roster(([ANNA], [[["00:00", "24:00"]]] * 7), zone=zone)
    start = local("2010-11-06T22:00", zone)
    assert all(duty.on_duty(content, start + timedelta(minutes=7 * n)) for n in range(60))


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-10-05T21:59:59", None),
        ("2026-10-05T22:00", "2026-10-06T07:00"),
        ("2026-10-06T03:00", "2026-10-06T07:00"),
        ("2026-10-06T07:00", None),
        ("2026-10-24T23:00", "2026-10-25T07:00"),
        ("2026-10-25T06:59", "2026-10-25T07:00"),
    ],
)
def test_quiet_lasts_over_midnight(at: str, until: str | None) -> None:
    quiet = {"zone": "Europe/Berlin", "from": "22:00", "to": "07:00"}
    assert duty.quiet_until(quiet, local(at)) == (until and local(until))


def test_quiet_at_noon_and_none_at_all() -> None:
    quiet = {"zone": "Asia/Shanghai", "from": "12:00", "to": "13:30"}
    at = local("2026-10-05T13:00", "Asia/Shanghai")
    assert duty.quiet_until(quiet, at) == at + timedelta(minutes=30)
    assert duty.quiet_until(quiet, at + timedelta(hours=1)) is None
    assert duty.quiet_until(None, at) is None


def test_what_one_says_of_himself_ends_with_its_time() -> None:
    at = datetime(2026, 10, 5, tzinfo=UTC)
    later = at + timedelta(hours=1)
    assert duty.standing("off", later, at) == (Duty.OFF, later)
    assert duty.standing("on", None, at) == (Duty.ON, None)
    assert duty.standing("off", at, at) == (Duty.AUTO, None)


def _shift(**given: Any) -> dict[str, Any]:
    return {"zone": "UTC", "shifts": [{"agent_ids": [str(ANNA)], "weekly": DAYS} | given], "overrides": []}


def _override(*rows: dict[str, Any]) -> dict[str, Any]:
    some = {"date": "2026-10-05", "agent_ids": [str(ANNA)], "hours": []}
    return _shift() | {"overrides": [some | row for row in rows]}


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (_shift() | {"zone": "Mars/Olympus"}, "zone"),
        (_shift() | {"shifts": []}, "shifts"),
        (_shift() | {"colour": "red"}, "colour"),
        (_shift(agent_ids=[]), "shifts.0.agent_ids"),
        (_shift(agent_ids=["Anna"]), "shifts.0.agent_ids.0"),
        (_shift(agent_ids=[str(ANNA)] * 2), "shifts.0.agent_ids.1"),
        (_shift(weekly=[[]] * 7), "shifts.0.weekly"),
        (_shift(weekly=DAYS[:6]), "shifts.0.weekly"),
        (_shift(weekly=[[["22:00", "06:00"]], *DAYS[1:]]), "shifts.0.weekly.0.0"),
        (_override({"date": "2026-13-05"}), "overrides.0.date"),
        (_override({"hours": [["9:00", "10:00"]]}), "overrides.0.hours.0"),
        (_override({}, {}), "overrides.1.agent_ids"),
        (_override({"hours": None}), "overrides.0.hours"),
    ],
)
def test_a_wrong_roster_is_named_by_its_field(content: Any, field: str) -> None:
    with pytest.raises(Wrong) as caught:
        duty.check(content)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"zone": "localtime"}, "zone"),
        ({"zone": 8}, "zone"),
        ({"from": "7"}, "from"),
        ({"from": "24:00"}, "from"),
        ({"to": "24:00"}, "to"),
        ({"to": "22:00"}, "to"),
        ({"days": []}, "days"),
    ],
)
def test_wrong_quiet_hours_are_named_by_their_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Wrong) as caught:
        duty.check_quiet_hours({"zone": "UTC", "from": "22:00", "to": "07:00"} | change)
    assert caught.value.field == field


def test_everybody_in_a_roster_is_mentioned_with_his_place() -> None:
    content = roster(([ANNA], DAYS), ([BERT, ANNA], DAYS), overrides=[("2026-10-05", [CARL], [])])
    assert list(duty.mentions(content)) == [
        ("shifts.0.agent_ids.0", "agent", ANNA),
        ("shifts.1.agent_ids.0", "agent", BERT),
        ("shifts.1.agent_ids.1", "agent", ANNA),
        ("overrides.0.agent_ids.0", "agent", CARL),
    ]
    assert list(duty.mentions({"agent_ids": [str(ANNA)]})) == [("agent_ids.0", "agent", ANNA)]
