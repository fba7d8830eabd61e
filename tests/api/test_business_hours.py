"""Calendars through the API, importing holidays into them, and the public hours of service."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update

from helpdesk.domain.values import SYSTEM
from helpdesk.errors import NotFound
from helpdesk.models.events import audit
from helpdesk.models.inboxes import inboxes
from helpdesk.models.sla import business_hours as hours_rows
from helpdesk.models.sla import setting_versions, sla_policies
from helpdesk.services import business_hours, service_hours, timetables
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE

HOURS = "/api/v1/business-hours"
NINE: Any = [["09:00", "17:00"]]
WEEK: Any = [NINE, NINE, NINE, NINE, NINE, [], []]
BERLIN: dict[str, Any] = {"name": "Berlin", "zone": "Europe/Berlin", "weekly": WEEK}
HOUR = timedelta(hours=1)


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def the_default(services: Services) -> Any:
    async with services.database.reading() as session:
        return await timetables.default_hours(session)


async def versions(services: Services, hours_id: UUID | str) -> list[tuple[int, Any]]:
    v = setting_versions.c
    query = select(v.version, v.content).where(v.subject_id == UUID(str(hours_id)), v.subject_type == "business_hours")
    async with services.database.reading() as session:
        return [(version, content) for version, content in await session.execute(query.order_by(v.version))]


async def audited(services: Services, hours_id: UUID | str) -> list[tuple[str, Any]]:
    query = select(audit.c.action, audit.c.data).where(audit.c.subject_id == UUID(str(hours_id))).order_by(audit.c.id)
    async with services.database.reading() as session:
        return [(action, data) for action, data in await session.execute(query)]


async def test_a_calendar_is_made_changed_and_removed_and_each_version_is_kept(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    made = await client.post(HOURS, headers=boss.headers, json=BERLIN)
    assert made.status_code == 201, made.text
    shown, url = made.json(), made.headers["location"]
    assert (shown["version"], made.headers["etag"], shown["is_default"]) == (1, '"1"', False)
    assert (shown["weekly"], shown["holiday_years"], shown["holidays"]) == (WEEK, None, [])
    change = {"name": "Berlin desk", "holidays": [{"date": "2026-12-25", "name": "Christmas"}], "holiday_years": [2026]}
    changed = await client.patch(url, headers={**boss.headers, "If-Match": '"1"'}, json=change)
    assert changed.status_code == 200, changed.text
    assert changed.json()["holidays"] == change["holidays"]
    assert changed.json()["weekly"] == WEEK
    unobserved = await client.patch(url, headers={**boss.headers, "If-Match": '"2"'}, json={"holiday_years": None})
    assert unobserved.json()["holiday_years"] is None
    removed = await client.delete(url, headers={**boss.headers, "If-Match": '"3"'})
    assert removed.status_code == 204, removed.text
    assert (await client.get(url, headers=boss.headers)).status_code == 404
    kept = await versions(services, shown["id"])
    assert [(version, content["holiday_years"]) for version, content in kept[:3]] == [(1, None), (2, [2026]), (3, None)]
    assert [one for one, _ in await audited(services, shown["id"])] == [
        "business_hours.created", "business_hours.updated", "business_hours.updated", "business_hours.removed"
    ]  # fmt: skip
    assert (await audited(services, shown["id"]))[1][1] == {
        "fields": ["holiday_years", "holidays", "name"], "version": 2
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"weekly": [[]] * 7}, "weekly"),
        ({"weekly": WEEK[:6]}, "weekly"),
        ({"weekly": [[["17:00", "09:00"]], *WEEK[1:]]}, "weekly.0.0"),
        ({"weekly": [[["09:00", "12:00", "13:00"]], *WEEK[1:]]}, "weekly.0.0"),
        ({"weekly": [[["09:00", "12:00"], ["11:00", "13:00"]], *WEEK[1:]]}, "weekly.0.1"),
        ({"holidays": [{"date": "2026-12-25"}, {"date": "2026-12-25"}]}, "holidays.1.date"),
        ({"holidays": [{"date": "Christmas"}]}, "holidays.0.date"),
        ({"holidays": [{"date": "2026-12-25", "name": "a\x00b"}]}, "holidays.0.name"),
        ({"holidays": [{"date": "2026-12-25", "hours": NINE}]}, "holidays.0.hours"),
        ({"overrides": [{"date": "2026-12-25"}]}, "overrides.0.hours"),
        ({"breaks": [{"date": "2026-12-25", "hours": []}]}, "breaks.0.hours"),
        ({"holiday_years": [2026, 2026]}, "holiday_years"),
        ({"holiday_years": ["2026"]}, "holiday_years.0"),
        ({"holiday_years": [1]}, "holiday_years.0"),
        ({"name": " "}, "name"),
        ({"is_default": False}, "is_default"),
        ({"version": 7}, "version"),
        ({"holidays": [{"date": "2026-01-01"}] * 3001}, "holidays"),
    ],
)
@ON_ONE_DATABASE
async def test_what_no_calendar_can_say_is_refused_by_its_field_and_nothing_changes(
    change: dict[str, Any], field: str, client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    hours_id = await factories.hours(services)
    headers = {**boss.headers, "If-Match": '"1"'}
    refused = await client.patch(f"{HOURS}/{hours_id}", headers=headers, json=change)
    assert refused.status_code == 422, refused.text
    assert field in [error["field"] for error in refused.json()["errors"]]
    assert len(await versions(services, hours_id)) == 1
    if field not in ("is_default", "version"):
        assert (await client.post(HOURS, headers=boss.headers, json=BERLIN | change)).status_code == 422


async def test_a_running_clock_keeps_the_version_that_it_began_with(services: Services) -> None:
    hours_id = await factories.hours(services)
    async with services.database.reading() as session:
        before = await timetables.timetable(session, hours_id, 1)
    async with services.database.transaction() as session:
        row = await business_hours.get_hours(session, hours_id, version=1)
        await business_hours.edit(
            session, row, changes={"weekly": [[["10:00", "11:00"]]] * 7}, by=SYSTEM, now=factories.clock.now()
        )
    at = time("2026-03-02T00:00Z")
    async with services.database.reading() as session:
        again, after = [await timetables.timetable(session, hours_id, version) for version in (1, 2)]
        assert again is before
        assert (again.next_open(at), after.next_open(at)) == (at + 9 * HOUR, at + 10 * HOUR)
        with pytest.raises(NotFound):
            await timetables.timetable(session, hours_id, 3)


async def test_timetables_are_kept_within_a_bound(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timetables, "KEPT", 2)
    made = [await factories.hours(services) for _ in range(3)]
    async with services.database.reading() as session:
        first, second = [await timetables.timetable(session, one, 1) for one in made[:2]]
        assert await timetables.timetable(session, made[0], 1) is first
        await timetables.timetable(session, made[2], 1)
        assert await timetables.timetable(session, made[0], 1) is first
        assert await timetables.timetable(session, made[1], 1) is not second


async def test_there_is_one_default_and_it_can_be_replaced_but_not_removed(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    first = await the_default(services)
    refused = await client.delete(f"{HOURS}/{first['id']}", headers={**boss.headers, "If-Match": '"1"'})
    assert refused.status_code == 409
    assert refused.json()["type"].endswith(":in_use")
    hours_id = await factories.hours(services)
    headers = {**boss.headers, "If-Match": '"1"'}
    changed = await client.patch(f"{HOURS}/{hours_id}", headers=headers, json={"is_default": True})
    assert changed.json()["is_default"]
    assert (await the_default(services))["id"] == hours_id
    before = (await client.get(f"{HOURS}/{first['id']}", headers=boss.headers)).json()
    assert (before["is_default"], before["version"]) == (False, 2)
    assert [version for version, _ in await versions(services, first["id"])] == [1, 2]
    made = (await client.post(HOURS, headers=boss.headers, json=BERLIN | {"is_default": True})).json()
    assert (made["is_default"], made["version"]) == (True, 1)
    assert str((await the_default(services))["id"]) == made["id"]
    gone = await client.delete(f"{HOURS}/{first['id']}", headers={**boss.headers, "If-Match": '"2"'})
    assert gone.status_code == 204


async def test_two_who_each_name_a_default_at_once_leave_one(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="admin")
    both = [await factories.hours(services) for _ in range(2)]
    answers = await asyncio.gather(
        *(
            client.patch(f"{HOURS}/{one}", headers={**boss.headers, "If-Match": '"1"'}, json={"is_default": True})
            for one in both
        )
    )
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert any(answer.status_code == 200 for answer in answers)
    async with services.database.reading() as session:
        rows = (await session.scalars(select(hours_rows.c.id).where(hours_rows.c.is_default))).all()
    assert len(rows) == 1
    assert rows[0] in both


async def test_a_calendar_that_an_inbox_or_a_policy_names_is_not_removed(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    hours_id = await factories.hours(services)
    desk = await factories.inbox(services, business_hours_id=hours_id)
    url, headers = f"{HOURS}/{hours_id}", {**boss.headers, "If-Match": '"1"'}
    refused = await client.delete(url, headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:helpdesk:problem:in_use")
    async with services.database.transaction() as session:
        await session.execute(update(inboxes).where(inboxes.c.id == desk).values(business_hours_id=None))
        (policy,) = (await session.execute(select(sla_policies).where(sla_policies.c.name == "Chat"))).mappings()
        content = {**policy["content"], "business_hours_id": str(hours_id)}
        await session.execute(update(sla_policies).where(sla_policies.c.id == policy["id"]).values(content=content))
    refused = await client.delete(url, headers=headers)
    assert refused.status_code == 409
    assert "Chat" in refused.json()["detail"]
    async with services.database.transaction() as session:
        await session.execute(update(sla_policies).where(sla_policies.c.id == policy["id"]).values(deleted_at=time(
            "2026-01-01T00:00Z"
        )))  # fmt: skip
    assert (await client.delete(url, headers=headers)).status_code == 204


async def test_somebody_else_s_change_is_not_overwritten(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="admin")
    url = f"{HOURS}/{await factories.hours(services)}"
    assert (await client.patch(url, headers=boss.headers, json={"name": "x"})).status_code == 428
    stale = await client.patch(url, headers={**boss.headers, "If-Match": '"7"'}, json={"name": "x"})
    assert (stale.status_code, stale.json()["version"]) == (412, 1)
    assert (await client.delete(url, headers={**boss.headers, "If-Match": '"7"'})).status_code == 412


async def test_calendars_and_their_versions_are_listed_page_by_page(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services)
    made = [str((await the_default(services))["id"]), *[str(await factories.hours(services)) for _ in range(3)]]
    first = (await client.get(f"{HOURS}?limit=3", headers=anna.headers)).json()
    rest = (await client.get(f"{HOURS}?limit=3&cursor={first['next_cursor']}", headers=anna.headers)).json()
    assert [row["id"] for row in first["items"] + rest["items"]] == made
    assert rest["next_cursor"] is None
    assert "holidays" not in first["items"][0]
    async with services.database.transaction() as session:
        for number in range(3):
            row = await business_hours.lock_hours(session, UUID(made[1]))
            await business_hours.edit(session, row, name=f"v{number}", by=SYSTEM, now=factories.clock.now())
    url = f"{HOURS}/{made[1]}/versions"
    first = (await client.get(f"{url}?limit=3", headers=anna.headers)).json()
    rest = (await client.get(f"{url}?limit=3&cursor={first['next_cursor']}", headers=anna.headers)).json()
    assert [row["version"] for row in first["items"] + rest["items"]] == [4, 3, 2, 1]
    one = (await client.get(f"{url}/2", headers=anna.headers)).json()
    assert (one["version"], one["weekly"], one["holidays"]) == (2, [NINE] * 7, [])
    for wrong in (f"{url}/5", f"{url}/0", f"{url}/{10**12}", f"{HOURS}/{uuid4()}/versions", f"{HOURS}/{uuid4()}"):
        assert (await client.get(wrong, headers=anna.headers)).status_code == 404, wrong
    other = await client.get(f"{HOURS}/{made[2]}/versions?cursor={first['next_cursor']}", headers=anna.headers)
    assert other.status_code == 422


# -- importing --


async def test_a_library_s_holidays_are_looked_at_first_and_imported_once(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    hours_id = await factories.hours(services, zone="Asia/Shanghai", weekly=[*[[["08:00", "20:00"]]] * 5, [], []])
    url, body = f"{HOURS}/{hours_id}/holidays", {"source": "library", "country": "CN", "years": [2026, 2026]}
    looked = (await client.post(url, headers=boss.headers, json=body | {"dry_run": True})).json()
    assert (looked["dry_run"], looked["years"], looked["present"]) == (True, [2026], 0)
    assert len(looked["holidays"]) == 33
    assert {"date": "2026-10-10", "hours": [["08:00", "20:00"]], "name": "National Day 国庆节"} in looked["overrides"]
    assert len(await versions(services, hours_id)) == 1
    done = await client.post(url, headers=boss.headers, json=body)
    assert done.json() == looked | {"dry_run": False}
    assert done.headers["etag"] == '"2"'
    again = await client.post(url, headers=boss.headers, json=body)
    assert again.json() == {
        "dry_run": False, "holidays": [], "overrides": [], "years": [], "present": 39, "overridden": []
    }  # fmt: skip
    assert len(await versions(services, hours_id)) == 2
    async with services.database.reading() as session:
        table = await timetables.timetable(session, hours_id, 2)
    assert table.due(time("2026-09-30T19:00+08:00"), 2 * HOUR) == time("2026-10-08T09:00+08:00")
    assert table.is_open(time("2026-10-10T12:00+08:00"))


async def test_the_calendar_of_a_new_house_has_all_that_china_s_notices_say(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    url = f"{HOURS}/{(await the_default(services))['id']}/holidays"
    body = {"source": "library", "country": "CN", "years": [2025, 2026], "dry_run": True}
    found = (await client.post(url, headers=boss.headers, json=body)).json()
    assert (found["holidays"], found["overrides"], found["years"]) == ([], [], [])
    assert found["present"] == 28 + 33 + 5 + 6


async def test_a_year_that_is_not_decreed_yet_does_not_become_known(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    hours_id = (await the_default(services))["id"]
    body = {"source": "library", "country": "CN", "years": [2026, 2190]}
    refused = await client.post(f"{HOURS}/{hours_id}/holidays", headers=boss.headers, json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "years.1"
    assert (await the_default(services))["content"]["holiday_years"] == [2025, 2026]


async def test_what_was_reviewed_before_an_import_stays_as_it_is(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="admin")
    own = {"date": "2026-10-01", "name": "Our own word for it"}
    short = {"date": "2026-10-02", "hours": [["10:00", "12:00"]], "name": "short"}
    make_up = {"date": "2026-10-10", "hours": [["10:00", "11:00"]], "name": "an hour will do"}
    hours_id = await factories.hours(services, holidays=[own], overrides=[make_up, short], holiday_years=[2025])
    body = {"source": "library", "country": "CN", "years": [2026]}
    found = (await client.post(f"{HOURS}/{hours_id}/holidays", headers=boss.headers, json=body)).json()
    assert (found["present"], found["overridden"]) == (2, ["2026-10-02"])
    after = (await client.get(f"{HOURS}/{hours_id}", headers=boss.headers)).json()
    assert own in after["holidays"]
    assert make_up in after["overrides"]
    assert short in after["overrides"]
    assert after["holiday_years"] == [2025, 2026]
    dates = [row["date"] for row in after["holidays"]]
    assert dates == sorted(set(dates))


async def test_a_calendar_file_is_imported_as_what_the_caller_says_it_is(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    hours_id = await factories.hours(services, weekly=[*[[["09:00", "18:00"]]] * 5, [["10:00", "12:00"]], []])
    text = "\r\n".join([
        "BEGIN:VCALENDAR", "BEGIN:VEVENT", "DTSTART;VALUE=DATE:20261001", "DTEND;VALUE=DATE:20261003",
        "SUMMARY:国庆节 休", "END:VEVENT", "BEGIN:VEVENT", "DTSTART;VALUE=DATE:20261010", "SUMMARY:国庆节 班",
        "END:VEVENT", "END:VCALENDAR", "",
    ])  # fmt: skip
    url, body = f"{HOURS}/{hours_id}/holidays", {"source": "icalendar", "text": text, "years": [2026]}
    closed = await client.post(url, headers=boss.headers, json=body | {"lacking": "班"})
    assert [row["date"] for row in closed.json()["holidays"]] == ["2026-10-01", "2026-10-02"]
    assert closed.json()["years"] == [2026]
    opened = await client.post(url, headers=boss.headers, json=body | {"as": "working_days", "containing": "班"})
    assert opened.json()["overrides"] == [{"date": "2026-10-10", "hours": [["09:00", "18:00"]], "name": "国庆节 班"}]
    async with services.database.reading() as session:
        row = await business_hours.get_hours(session, hours_id)
    assert row["content"]["holiday_years"] == [2026]
    assert len(row["content"]["holidays"]) == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"source": "feed", "url": "https://example.com/cal.ics"}, "body"),
        ({"source": "library", "country": "cn", "years": [2026]}, "library.country"),
        ({"source": "library", "country": "XX", "years": [2026]}, "country"),
        ({"source": "library", "country": "DE", "years": []}, "library.years"),
        ({"source": "library", "country": "DE", "years": list(range(2020, 2031))}, "library.years"),
        ({"source": "icalendar", "text": "x"}, "text"),
        ({"source": "icalendar", "text": "/etc/hostname"}, "text"),
        ({"source": "icalendar", "text": "x", "as": "days off"}, "icalendar.as"),
        ({"source": "icalendar", "text": "x", "kind": "holidays"}, "icalendar.kind"),
    ],
)
@ON_ONE_DATABASE
async def test_a_source_that_cannot_be_used_is_refused(
    body: dict[str, Any], field: str, client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    hours_id = await factories.hours(services)
    refused = await client.post(f"{HOURS}/{hours_id}/holidays", headers=boss.headers, json=body)
    assert refused.status_code == 422, refused.text
    assert field in [error["field"] for error in refused.json()["errors"]]
    missing = await client.post(f"{HOURS}/{uuid4()}/holidays", headers=boss.headers, json=body)
    assert missing.status_code in (404, 422)


# -- service hours --


async def test_anybody_is_told_when_the_desk_is_open_in_his_own_zone(
    client: httpx.AsyncClient, services: Services
) -> None:
    always = await factories.hours(services, weekly=[[["00:00", "24:00"]]] * 7)
    await factories.hours(services, zone="Asia/Shanghai", weekly=[[["00:00", "24:00"]]] * 7, default=True)
    one = await factories.inbox(services, name="Support", business_hours_id=always)
    two = await factories.inbox(services, name="Sales")
    paused = await factories.inbox(services, name="Old")
    async with services.database.transaction() as session:
        await session.execute(update(inboxes).where(inboxes.c.id == paused).values(state="paused"))
    answer = await client.get("/api/v1/service-hours?tz=Asia/Kathmandu")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "public, max-age=60"
    found = answer.json()
    assert (found["zone"], found["now"][-6:]) == ("Asia/Kathmandu", "+05:45")
    assert [(row["inbox_id"], row["name"], row["open"]) for row in found["inboxes"]] == [
        (str(one), "Support", True), (str(two), "Sales", True)
    ]  # fmt: skip
    assert found["channels"] == [{"channel": "email", "open": True, "next_open_at": None, "next_close_at": None}]


async def test_times_of_service_have_the_asker_s_offset(client: httpx.AsyncClient, services: Services) -> None:
    await factories.hours(services, weekly=[[["00:00", "11:59"], ["12:00", "23:59"]]] * 7, default=True)
    await factories.inbox(services)
    (channel,) = (await client.get("/api/v1/service-hours?tz=Asia/Shanghai")).json()["channels"]
    assert channel["next_open_at"].endswith(("20:00:00+08:00", "08:00:00+08:00"))
    assert channel["next_close_at"].endswith(("19:59:00+08:00", "07:59:00+08:00"))


@pytest.mark.parametrize("query", ["tz=Mars/Olympus", "tz=", "tz=../etc/passwd", "tz=UTC&tz=UTC", "zone=UTC"])
@ON_ONE_DATABASE
async def test_a_zone_that_is_none_is_refused(query: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/api/v1/service-hours?{query}")
    assert answer.status_code == 422, answer.text


async def test_an_inbox_is_open_by_its_own_calendar_or_by_the_default_one(services: Services) -> None:
    own = await factories.hours(services, zone="Asia/Tokyo", weekly=[[["09:00", "10:00"]]] * 7)
    await factories.hours(services, zone="Europe/Berlin", weekly=WEEK, default=True)
    desks = [await factories.inbox(services, business_hours_id=own), await factories.inbox(services)]
    async with services.database.transaction() as session:
        rows = [(await session.execute(select(inboxes).where(inboxes.c.id == d))).mappings().one() for d in desks]
        now = time("2026-03-06T16:30+01:00")  # a Friday
        by_own, by_default = [await service_hours.of_inbox(session, row, now=now) for row in rows]
        assert by_own == service_hours.ServiceHours(
            False, time("2026-03-07T09:00+09:00"), time("2026-03-07T10:00+09:00"), "Asia/Tokyo"
        )
        assert by_default == service_hours.ServiceHours(
            True, time("2026-03-09T09:00+01:00"), time("2026-03-06T17:00+01:00"), "Europe/Berlin"
        )
        await session.execute(update(hours_rows).where(hours_rows.c.id == own).values(deleted_at=now))
        assert await service_hours.of_inbox(session, rows[0], now=now) == by_default


async def test_a_channel_is_open_while_any_of_its_inboxes_is(services: Services) -> None:
    early = await factories.hours(services, weekly=[[["08:00", "12:00"]]] * 7)
    late = await factories.hours(services, weekly=[[["11:00", "15:00"], ["20:00", "21:00"]]] * 7)
    for one in (early, late):
        await factories.inbox(services, business_hours_id=one)
    async with services.database.reading() as session:
        noon = await service_hours.everywhere(session, now=time("2026-03-06T09:00Z"))
        evening = await service_hours.everywhere(session, now=time("2026-03-06T21:00Z"))
    mail = noon.channels["email"]
    assert (mail.open, mail.next_close_at, mail.next_open_at) == (
        True, time("2026-03-06T15:00Z"), time("2026-03-06T20:00Z")
    )  # fmt: skip
    mail = evening.channels["email"]
    assert (mail.open, mail.next_open_at, mail.next_close_at) == (
        False, time("2026-03-07T08:00Z"), time("2026-03-07T15:00Z")
    )  # fmt: skip
    assert [hours.open for _, hours in noon.inboxes] == [True, False]


async def test_a_channel_whose_inboxes_relieve_each_other_never_closes(services: Services) -> None:
    day = await factories.hours(services, weekly=[[["06:00", "18:00"]]] * 7)
    night = await factories.hours(services, weekly=[[["00:00", "06:00"], ["18:00", "24:00"]]] * 7)
    async with services.database.reading() as session:
        tables = [await timetables.timetable(session, one, 1) for one in (day, night)]
    found = service_hours.together(tables, now=time("2026-03-06T09:00Z"))
    assert (found.open, found.next_open_at, found.next_close_at) == (True, None, None)
