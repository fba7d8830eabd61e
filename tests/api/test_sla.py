"""Promises over the API: clocks explained, lists by what is due, alerts, and clocks that follow an edit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from helpdesk import clock
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.jobs import jobs
from helpdesk.models.sla import sla_policies
from helpdesk.services import replanning
from helpdesk.services.house import Services
from tests import factories
from tests.promised import DAY, HOUR, MONDAY, Wall
from workers.jobs import Jobs

V = "/api/v1"


@pytest.fixture
async def wall(services: Services) -> AsyncIterator[Wall]:
    built = await Wall.build(services)
    yield built
    await built.close()


@pytest.fixture
async def boss(services: Services) -> factories.Someone:
    return await factories.agent(services, role="admin")


async def _clocks(client: httpx.AsyncClient, boss: factories.Someone, conversation_id: UUID) -> list[dict[str, Any]]:
    answer = await client.get(f"{V}/conversations/{conversation_id}/sla", headers=boss.headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["clocks"]
    return found


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def test_a_row_of_the_list_tells_what_is_due_when_and_from_when_on_that_is_soon(
    client: httpx.AsyncClient, wall: Wall, boss: factories.Someone
) -> None:
    waiting, answered = await wall.writes(at=MONDAY), await wall.writes(at=MONDAY)
    await wall.answers(answered, at=MONDAY + HOUR)
    asked = f"{V}/conversations?id={waiting}&id={answered}"
    rows = {row["id"]: row for row in (await client.get(asked, headers=boss.headers)).json()["items"]}
    due = rows[str(waiting)]
    (clock_of_it,) = await _clocks(client, boss, waiting)
    assert (due["due_kind"], due["next_due_at"]) == ("first_response", clock_of_it["due_at"])
    assert _time(MONDAY) < due["due_soon_at"] < due["next_due_at"]
    for row in (rows[str(answered)], (await client.get(f"{V}/conversations/{answered}", headers=boss.headers)).json()):
        assert row["due_kind"] == ("resolution" if row["next_due_at"] else None)


async def test_a_clock_tells_what_it_runs_by_and_who_ended_it(
    client: httpx.AsyncClient, wall: Wall, boss: factories.Someone
) -> None:
    mail = await wall.writes(at=MONDAY)
    answer = await wall.answers(mail, at=MONDAY + 2 * HOUR)
    (found,) = await _clocks(client, boss, mail)
    assert (found["kind"], found["cycle"], found["state"]) == ("first_response", 1, "met")
    assert (found["policy"]["name"], found["policy"]["version"], found["calendar"]) == ("E-mail", 1, None)
    assert found["due_at"] == found["due_if_calendar"] == _time(MONDAY + DAY)
    # 24 hours of service: two days of twelve, from ten in the morning on
    assert found["due_if_business"] == _time(MONDAY + 2 * DAY)
    assert found["elapsed_seconds"] == 7200
    assert found["ended_by"]["message_id"] == str(answer)
    assert [one["why"] for one in found["intervals"]] == ["counted"]
    assert found["intervals"][0] == {
        "start": _time(MONDAY),
        "end": _time(MONDAY + 2 * HOUR),
        "why": "counted",
        "seconds": 7200.0,
    }


async def test_every_second_is_accounted_for(
    client: httpx.AsyncClient, wall: Wall, boss: factories.Someone, services: Services
) -> None:
    social = (await wall.rows(sla_policies, sla_policies.c.name == "Social networks"))[0]
    await wall.set(inboxes, wall.inbox_id, sla_policy_id=social["id"])
    friday = datetime(2026, 11, 6, 9, 0, tzinfo=UTC)  # 17:00 in Shanghai
    mail = await wall.writes(at=friday)
    await wall.changes(mail, at=friday + HOUR, status="resolved")
    await wall.changes(mail, at=friday + 2 * HOUR, status="open")
    await wall.answers(mail, at=datetime(2026, 11, 9, 0, 30, tzinfo=UTC))
    (found,) = await _clocks(client, boss, mail)
    assert (found["time"], found["calendar"]["zone"], found["state"]) == ("business", "Asia/Shanghai", "met")
    told = [(one["why"], one["seconds"]) for one in found["intervals"]]
    weekend = 60 * 3600.0
    assert told == [("counted", 3600), ("stopped", 3600), ("counted", 3600), ("closed", weekend), ("counted", 1800)]
    assert found["elapsed_seconds"] == sum(seconds for why, seconds in told if why == "counted")
    between = datetime(2026, 11, 9, 0, 30, tzinfo=UTC) - friday
    assert sum(seconds for _, seconds in told) == between.total_seconds()
    assert found["due_at"] == _time(datetime(2026, 11, 9, 2, 0, tzinfo=UTC)), "two hours are left on Monday"


async def test_lists_go_by_what_is_due(client: httpx.AsyncClient, wall: Wall, boss: factories.Someone) -> None:
    now = clock.now()
    soon = await wall.writes(at=now - 0.8 * DAY)
    late = await wall.writes(at=now - 1.5 * DAY)
    fresh = await wall.writes(at=now)
    paused = await wall.writes(at=now)
    await wall.changes(paused, at=now, category="complaint")
    await wall.answers(paused, at=now)
    await wall.changes(paused, at=now, status="pending")
    done = await wall.writes(at=now)
    await wall.answers(done, at=now)

    async def ask(query: str) -> list[str]:
        found = await client.get(f"{V}/conversations?{query}", headers=boss.headers)
        assert found.status_code == 200, found.text
        return [one["id"] for one in found.json()["items"]]

    assert await ask("sla=due_soon") == [str(soon)]
    assert await ask("sla=breached") == [str(late)]
    assert await ask("sla=paused") == [str(paused)]
    assert set(await ask("sla=paused&sla=breached")) == {str(paused), str(late)}
    assert (await ask("sort=next_due_at"))[:3] == [str(late), str(soon), str(fresh)]
    states = (await client.get(f"{V}/conversations", headers=boss.headers)).json()["items"]
    assert {one["id"]: one["sla_state"] for one in states} == {
        str(soon): "due_soon",
        str(late): "breached",
        str(fresh): "ok",
        str(paused): "paused",
        str(done): "none",
    }


async def test_an_alert_is_listed_for_those_it_called_and_acknowledged_once(
    client: httpx.AsyncClient, wall: Wall, boss: factories.Someone, services: Services
) -> None:
    anna, other = await factories.agent(services), await factories.agent(services)
    mail = await wall.writes(at=MONDAY)
    await wall.set(conversations, mail, assignee_id=anna.id)
    await wall.passes(MONDAY + DAY + HOUR / 4)
    (mine,) = (await client.get(f"{V}/alerts", headers=anna.headers)).json()["items"]
    assert (mine["kind"], mine["severity"], mine["status"]) == ("sla_breach", "critical", "open")
    assert [(one["agent_id"], one["reason"]) for one in mine["recipients"]] == [(str(anna.id), "assignee")]
    assert mine["next_due_at"] is not None
    about = (await client.get(f"{V}/conversations/{mail}", headers=boss.headers)).json()
    assert mine["conversation"] == {name: about[name] for name in ("id", "number", "subject")}
    closed = await factories.inbox(services, members=[other.id])
    hidden = await factories.conversation(services, inbox_id=closed)
    await factories.alert(services, hidden, anna.id)
    for one, seen in ((anna, None), (boss, str(hidden))):
        (found,) = [
            each["conversation"]
            for each in (await client.get(f"{V}/alerts", headers=one.headers)).json()["items"]
            if each["conversation_id"] == str(hidden)
        ]
        assert (found and found["id"]) == seen
    counted = [await client.get(f"{V}/conversations/counts", headers=one.headers) for one in (anna, other, boss)]
    assert [one.json()["alerts"] for one in counted] == [2, 0, 2]
    assert (await client.get(f"{V}/alerts", headers=other.headers)).json()["items"] == []
    assert (await client.get(f"{V}/alerts/{mine['id']}", headers=other.headers)).status_code == 404
    for _ in range(2):
        said = await client.post(f"{V}/alerts/{mine['id']}/acknowledge", headers=anna.headers)
        assert said.status_code == 200, said.text
    found = said.json()
    assert (found["status"], found["acknowledged_by"], found["next_due_at"]) == ("acknowledged", str(anna.id), None)
    (left,) = (await client.get(f"{V}/alerts?status=open", headers=boss.headers)).json()["items"]
    assert left["conversation_id"] == str(hidden)
    await wall.answers(mail, at=MONDAY + DAY + HOUR / 2)
    await wall.relays(MONDAY + DAY + HOUR / 2)
    over = await client.post(f"{V}/alerts/{mine['id']}/acknowledge", headers=anna.headers)
    assert (over.status_code, over.json()["type"]) == (409, "urn:helpdesk:problem:alert_resolved")


async def _run(services: Services) -> None:
    worker = Jobs(services, worker="test")
    while await worker.step():
        pass


async def test_running_clocks_follow_a_policy_when_asked(
    client: httpx.AsyncClient, wall: Wall, boss: factories.Someone, services: Services
) -> None:
    now = clock.now()
    running = await wall.writes(at=now)
    answered = await wall.writes(at=now)
    await wall.answers(answered, at=now + HOUR)
    broken = await wall.writes(at=now - 2 * DAY)
    await wall.passes(now)
    policy = (await wall.clock(running, "first_response"))["policy_id"]
    shown = await client.get(f"{V}/sla-policies/{policy}", headers=boss.headers)
    edit = {"targets": {"first_response": 12 * 3600, "next_response": 12 * 3600}}
    headers = {**boss.headers, "If-Match": shown.headers["etag"]}
    assert (await client.patch(f"{V}/sla-policies/{policy}", headers=headers, json=edit)).status_code == 200
    assert (await wall.clock(running, "first_response"))["due_at"] == now + DAY, "nobody has asked yet"
    asked = await client.post(f"{V}/sla-policies/{policy}/replan", headers=boss.headers)
    assert (asked.status_code, asked.json()["state"], asked.json()["total"]) == (202, "queued", 1)
    await _run(services)
    job = (await client.get(asked.headers["location"], headers=boss.headers)).json()
    assert (job["state"], job["done"], job["changed"]) == ("done", 1, 1)
    clock_now = await wall.clock(running, "first_response")
    assert (clock_now["due_at"], clock_now["policy_version"]) == (now + DAY / 2, 2)
    assert (await wall.conversation(running))["next_due_at"] == now + DAY / 2
    assert (await wall.clock(answered, "first_response"))["policy_version"] == 1, "what is over stays as it was"
    assert (await wall.clock(broken, "first_response"))["breached_at"] == now - DAY


async def test_running_clocks_follow_a_calendar_when_asked_and_keep_their_pauses(
    client: httpx.AsyncClient, wall: Wall, boss: factories.Someone, services: Services
) -> None:
    social = (await wall.rows(sla_policies, sla_policies.c.name == "Social networks"))[0]
    await wall.set(inboxes, wall.inbox_id, sla_policy_id=social["id"])
    mail = await wall.writes(at=MONDAY)
    await wall.changes(mail, at=MONDAY + HOUR, status="resolved")
    await wall.changes(mail, at=MONDAY + 2 * HOUR, status="open")
    before = await wall.clock(mail, "first_response")
    assert before["due_at"] == MONDAY + 5 * HOUR
    hours = before["business_hours_id"]
    shown = await client.get(f"{V}/business-hours/{hours}", headers=boss.headers)
    weekly = [[["08:00", "13:00"]]] * 5 + [[], []]
    headers = {**boss.headers, "If-Match": shown.headers["etag"]}
    assert (
        await client.patch(f"{V}/business-hours/{hours}", headers=headers, json={"weekly": weekly})
    ).status_code == 200
    asked = await client.post(f"{V}/business-hours/{hours}/replan", headers=boss.headers)
    assert asked.json()["total"] == 1
    async with services.database.transaction() as session:
        job = (await session.execute(select(jobs).where(jobs.c.id == UUID(asked.json()["id"])))).mappings().one()
        step = await replanning.replan(services, session, job, now=MONDAY + 2.5 * HOUR)
    assert (step.done, step.changed, step.over) == (1, 1, True)
    after = await wall.clock(mail, "first_response")
    # Open until 13:00: an hour before the pause and one after it, and from eight on Tuesday the other two.
    assert after["due_at"] == MONDAY + DAY
    assert (after["business_hours_version"], after["policy_version"]) == (2, 1)
    assert after["spans"] == before["spans"]


async def test_merging_hands_the_waiting_on_and_unmerging_gives_it_back(
    client: httpx.AsyncClient, wall: Wall, boss: factories.Someone
) -> None:
    earlier = await wall.writes(at=MONDAY)
    later = await wall.writes(at=MONDAY + HOUR, sender=(await wall.conversation(earlier))["contact_handle"])
    assert earlier != later
    shown = await client.get(f"{V}/conversations/{earlier}", headers=boss.headers)
    body = {"into": str(later), "other_contact": True}
    headers = {**boss.headers, "If-Match": shown.headers["etag"]}
    done = await client.post(f"{V}/conversations/{earlier}/merge", headers=headers, json=body)
    assert done.status_code == 200, done.text
    assert await wall.clocks(earlier) == {("first_response", 1): "cancelled"}
    kept = await wall.clock(later, "first_response")
    assert (kept["state"], kept["started_at"], kept["due_at"]) == ("running", MONDAY, MONDAY + DAY)
    row, source = await wall.conversation(later), await wall.conversation(earlier)
    assert (row["waiting_since"], row["next_due_at"]) == (MONDAY, MONDAY + DAY)
    assert (source["waiting_since"], source["next_due_at"]) == (None, None)
    headers = {**boss.headers, "If-Match": done.headers["etag"]}
    undone = await client.post(f"{V}/conversations/{earlier}/unmerge", headers=headers)
    assert undone.status_code == 200, undone.text
    again = await wall.clock(earlier, "first_response")
    assert (again["state"] in ("running", "breached"), again["due_at"]) == (True, MONDAY + DAY)
    assert (await wall.conversation(earlier))["waiting_since"] == MONDAY
