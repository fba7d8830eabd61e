"""Holidays out of the libraries and out of calendar files."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from helpdesk.errors import Invalid
from helpdesk.services import holiday_sources
from helpdesk.services.holiday_sources import from_icalendar, from_library


def event(*lines: str, name: str = "National Day") -> str:
    return "\r\n".join(["BEGIN:VEVENT", *lines, f"SUMMARY:{name}", "END:VEVENT", ""])


def file(*events: str) -> str:
    return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" + "".join(events) + "END:VCALENDAR\r\n"


def test_china_has_its_holidays_and_the_working_days_that_make_up_for_them() -> None:
    found = from_library("CN", [2026])
    assert found.holidays[date(2026, 10, 1)] == "National Day 国庆节"
    assert found.holidays[date(2026, 2, 15)] == "Spring Festival 春节"
    assert len(found.holidays) == 33
    assert sorted(found.working_days) == [
        date(2026, 1, 4), date(2026, 2, 14), date(2026, 2, 28), date(2026, 5, 9), date(2026, 9, 20), date(2026, 10, 10)
    ]  # fmt: skip
    assert found.years == [2026]


def test_a_year_without_a_notice_is_refused_for_china() -> None:
    with pytest.raises(Invalid) as caught:
        from_library("CN", [2026, 2099])
    assert [error.field for error in caught.value.errors] == ["years.1"]


def test_another_country_has_its_own_by_rule_in_one_language_whatever_the_process_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    found = from_library("DE", [2027], subdivision="BY")
    assert found.holidays[date(2027, 1, 6)] == "Epiphany"
    assert date(2027, 1, 6) not in from_library("DE", [2027]).holidays
    assert {day.year for day in found.holidays} == {2027}
    assert not found.working_days


def test_working_days_that_another_country_moves_come_with_its_holidays() -> None:
    found = from_library("HU", [2026])
    assert {date(2026, 1, 10), date(2026, 8, 8)} <= found.working_days.keys()
    assert date(2026, 1, 2) in found.holidays


@pytest.mark.parametrize(
    ("country", "years", "subdivision", "field"),
    [
        ("ZZ", [2026], None, "country"),
        ("DE", [2000, 2150], None, "years.1"),
        ("DE", [2026], "QQ", "subdivision"),
        ("CN", [2026], "BJ", "subdivision"),
    ],
)
def test_what_a_library_does_not_have_is_refused(
    country: str, years: list[int], subdivision: str | None, field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        from_library(country, years, subdivision=subdivision)
    assert [error.field for error in caught.value.errors] == [field]


def test_all_days_of_an_event_are_taken_but_the_last_which_is_the_first_that_is_none() -> None:
    found = from_icalendar(file(event("DTSTART;VALUE=DATE:20261001", "DTEND;VALUE=DATE:20261004")))
    assert list(found.holidays) == [date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 3)]
    assert set(found.holidays.values()) == {"National Day"}
    assert not found.years


def test_an_event_lasts_a_day_or_as_long_as_it_says() -> None:
    one = event("DTSTART;VALUE=DATE:20260101")
    two = event("DTSTART;VALUE=DATE:20260301", "DURATION:P2D")
    found = from_icalendar(file(two, one))
    assert list(found.holidays) == [date(2026, 1, 1), date(2026, 3, 1), date(2026, 3, 2)]


def test_named_years_become_known_and_other_dates_are_left_out() -> None:
    text = file(event("DTSTART;VALUE=DATE:20261231", "DTEND;VALUE=DATE:20270102"))
    found = from_icalendar(text, years=[2027])
    assert list(found.holidays) == [date(2027, 1, 1)]
    assert found.years == [2027]


def test_events_are_working_days_when_the_caller_says_so_and_make_no_year_known() -> None:
    text = file(
        event("DTSTART;VALUE=DATE:20261001", name="国庆节 休"), event("DTSTART;VALUE=DATE:20261010", name="国庆节 班")
    )
    working = from_icalendar(text, kind="working_days", containing="班", years=[2026])
    assert (dict(working.working_days), working.holidays) == ({date(2026, 10, 10): "国庆节 班"}, {})
    assert not working.years
    closed = from_icalendar(text, lacking="班", years=[2026])
    assert dict(closed.holidays) == {date(2026, 10, 1): "国庆节 休"}


def test_a_cancelled_event_is_none() -> None:
    text = file(event("DTSTART;VALUE=DATE:20261001", "STATUS:CANCELLED"), event("DTSTART;VALUE=DATE:20261002"))
    assert list(from_icalendar(text).holidays) == [date(2026, 10, 2)]


@pytest.mark.parametrize(
    ("rule", "years"),
    [
        ("FREQ=YEARLY", [2024, 2025, 2026, 2027]),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25", [2024, 2025, 2026, 2027]),
        ("FREQ=YEARLY;INTERVAL=2", [2024, 2026]),
        ("FREQ=YEARLY;COUNT=2", [2024, 2025]),
        ("FREQ=YEARLY;UNTIL=20261225", [2024, 2025, 2026]),
        ("FREQ=YEARLY;UNTIL=20261224T235959Z", [2024, 2025]),
    ],
)
def test_an_event_repeats_yearly_within_the_years_asked_for(rule: str, years: list[int]) -> None:
    text = file(event("DTSTART;VALUE=DATE:20241225", f"RRULE:{rule}"))
    found = from_icalendar(text, years=[2024, 2025, 2026, 2027])
    assert list(found.holidays) == [date(year, 12, 25) for year in years]


def test_the_29th_of_february_is_repeated_in_leap_years_only() -> None:
    text = file(event("DTSTART;VALUE=DATE:20240229", "RRULE:FREQ=YEARLY;COUNT=2"))
    found = from_icalendar(text, years=list(range(2024, 2034)))
    assert list(found.holidays) == [date(2024, 2, 29), date(2028, 2, 29)]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["DTSTART:20261001T090000Z"], id="a time of day"),
        pytest.param(["DTSTART;VALUE=DATE:20261001", "DTEND:20261001T120000Z"], id="half a day"),
        pytest.param(["DTSTART;VALUE=DATE:2026zz01"], id="no date"),
        pytest.param([], id="no beginning"),
        pytest.param(["DTSTART;VALUE=DATE:20261001", "DTSTART;VALUE=DATE:20261002"], id="two beginnings"),
        pytest.param(["DTSTART;VALUE=DATE:20261001", "DTEND;VALUE=DATE:20261001"], id="no day at all"),
        pytest.param(["DTSTART;VALUE=DATE:20261001", "DTEND;VALUE=DATE:20301001"], id="years on end"),
        pytest.param(["DTSTART;VALUE=DATE:00010101"], id="long ago"),
        pytest.param(["DTSTART;VALUE=DATE:99991231", "DURATION:P9D"], id="past the end of time"),
        pytest.param(["DTSTART;VALUE=DATE:20261001", "RRULE:FREQ=DAILY"], id="daily"),
        pytest.param(["DTSTART;VALUE=DATE:20261001", "RRULE:FREQ=YEARLY;BYDAY=1MO"], id="by weekday"),
        pytest.param(["DTSTART;VALUE=DATE:20261001", "RRULE:FREQ=YEARLY;BYMONTH=2"], id="another month"),
        pytest.param(["DTSTART;VALUE=DATE:20261001", "RRULE:FREQ=YEARLY;BYMONTHDAY=1,2"], id="two days"),
        pytest.param(["DTSTART;VALUE=DATE:20261001", "RRULE:nonsense"], id="no rule"),
        pytest.param(["DTSTART;VALUE=DATE:20261001", *["RRULE:FREQ=YEARLY"] * 2], id="two rules"),
        pytest.param(["DTSTART;VALUE=DATE:20261001", "RDATE;VALUE=DATE:20261101"], id="more dates"),
        pytest.param(["DTSTART;VALUE=DATE:20261001", "EXDATE;VALUE=DATE:20271001"], id="fewer dates"),
    ],
)
def test_an_event_that_is_not_understood_is_refused_and_never_skipped(lines: list[str]) -> None:
    with pytest.raises(Invalid, match="text: event 1") as caught:
        from_icalendar(file(event(*lines)), years=[2026])
    assert [error.field for error in caught.value.errors] == ["text"]


def test_what_repeats_without_end_needs_years() -> None:
    with pytest.raises(Invalid, match="years"):
        from_icalendar(file(event("DTSTART;VALUE=DATE:20261001", "RRULE:FREQ=YEARLY")))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no calendar",
        "BEGIN:VCALENDAR\r\n",
        "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        file(event("DTSTART;VALUE=DATE:20261001")) * 2,
        "BEGIN:VEVENT\r\n" * 500,
    ],
)
def test_what_is_no_calendar_file_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="text"):
        from_icalendar(text)


def test_a_text_that_is_the_name_of_a_file_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "private.ics"
    path.write_text(file(event("DTSTART;VALUE=DATE:20261001")), encoding="utf-8")
    with pytest.raises(Invalid, match="not a calendar"):
        from_icalendar(str(path))


def test_a_file_beyond_its_bounds_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holiday_sources, "_events", _never)
    with pytest.raises(Invalid, match="1 MB"):
        from_icalendar("好" * 400_000)
    with pytest.raises(Invalid, match="3000 events"):
        from_icalendar(file("begin:vevent\r\n" * 3001))


def test_days_without_number_are_refused_in_the_middle() -> None:
    many = [event(f"DTSTART;VALUE=DATE:20{year:02}0101", "DURATION:P365D") for year in range(12)]
    with pytest.raises(Invalid, match="3000 dates"):
        from_icalendar(file(*many))
    same = event("DTSTART;VALUE=DATE:19700101", "DURATION:P365D", "RRULE:FREQ=YEARLY")
    with pytest.raises(Invalid, match="3000 dates"):
        from_icalendar(file(*[same] * 10), years=[2199])


def _never(*_: Any) -> Any:
    raise AssertionError("it was read")
