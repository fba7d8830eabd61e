"""Who leads a team, who is on duty, and who wants quiet."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.domain.account_texts import Purpose
from helpdesk.domain.values import SYSTEM
from helpdesk.models.agents import agents, team_members
from helpdesk.models.events import audit
from helpdesk.services import account_links
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE

V = "/api/v1"


def matching(someone: factories.Someone, version: int) -> dict[str, str]:
    return {**someone.headers, "If-Match": f'"{version}"'}


async def _roles(services: Services, team_id: str) -> dict[UUID, str]:
    async with services.database.reading() as session:
        query = select(team_members.c.agent_id, team_members.c.role).where(team_members.c.team_id == UUID(team_id))
        return {row.agent_id: row.role for row in await session.execute(query)}


async def _audited(services: Services, subject_id: str | UUID, action: str) -> list[Any]:
    async with services.database.reading() as session:
        query = select(audit.c.data).where(audit.c.subject_id == UUID(str(subject_id)), audit.c.action == action)
        return list((await session.execute(query.order_by(audit.c.id))).scalars())


async def test_a_team_has_leads_among_its_members(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="admin")
    anna, bert = await factories.agent(services), await factories.agent(services)
    body = {"name": "Payments", "member_ids": [str(anna.id), str(bert.id)], "lead_ids": [str(anna.id)]}
    made = (await client.post(f"{V}/teams", headers=boss.headers, json=body)).json()
    assert (made["member_ids"], made["leads"]) == ([str(anna.id), str(bert.id)], [str(anna.id)])
    assert await _roles(services, made["id"]) == {anna.id: "lead", bert.id: "member"}
    url = f"{V}/teams/{made['id']}"
    changed = await client.patch(url, headers=matching(boss, 1), json={"lead_ids": [str(bert.id)]})
    assert (changed.json()["leads"], changed.json()["member_ids"]) == ([str(bert.id)], made["member_ids"])
    assert await _audited(services, made["id"], "team.updated") == [{"fields": ["leads"]}]
    (listed,) = (await client.get(f"{V}/teams", headers=anna.headers)).json()["items"]
    assert listed["leads"] == [str(bert.id)]


async def test_leads_stay_leads_while_they_stay_members(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="admin")
    anna, bert, carl = [await factories.agent(services) for _ in range(3)]
    both = [str(anna.id), str(bert.id)]
    made = (
        await client.post(f"{V}/teams", headers=boss.headers, json={"name": "x", "member_ids": both, "lead_ids": both})
    ).json()
    url = f"{V}/teams/{made['id']}"
    left = await client.patch(
        url, headers=matching(boss, 1), json={"member_ids": [str(bert.id), str(carl.id)], "description": "d"}
    )
    assert (left.json()["leads"], left.json()["description"]) == ([str(bert.id)], "d")
    assert await _roles(services, made["id"]) == {bert.id: "lead", carl.id: "member"}
    none = await client.patch(url, headers=matching(boss, 2), json={"lead_ids": []})
    assert none.json()["leads"] == []


async def test_a_lead_who_is_no_member_is_refused(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="admin")
    anna, bert = await factories.agent(services), await factories.agent(services)
    body = {"name": "x", "member_ids": [str(anna.id)], "lead_ids": [str(bert.id)]}
    refused = await client.post(f"{V}/teams", headers=boss.headers, json=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "lead_ids")
    team = await factories.team(services, members=[anna.id])
    refused = await client.patch(
        f"{V}/teams/{team}", headers=matching(boss, 1), json={"member_ids": [str(bert.id)], "lead_ids": [str(anna.id)]}
    )
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "lead_ids")
    assert await _roles(services, str(team)) == {anna.id: "member"}


ME = f"{V}/me"
NIGHT = {"zone": "Asia/Shanghai", "from": "22:00", "to": "07:00"}


async def test_everybody_says_for_himself_when_he_is_there_and_wants_quiet(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services)
    before = (await client.get(ME, headers=anna.headers)).json()
    assert (before["duty"], before["duty_until"], before["quiet_hours"], before["version"]) == ("auto", None, None, 1)
    until = (clock.now() + timedelta(hours=8)).isoformat()
    body = {"duty": "off", "duty_until": until, "quiet_hours": NIGHT, "locale": "zh"}
    answer = await client.patch(ME, headers=matching(anna, 1), json=body)
    shown = answer.json()
    assert (shown["duty"], shown["quiet_hours"], shown["locale"]) == ("off", NIGHT, "zh")
    assert datetime.fromisoformat(shown["duty_until"]) == datetime.fromisoformat(until)
    assert answer.headers["etag"] == '"2"'
    assert await _audited(services, anna.id, "agent.updated") == [
        {"fields": ["duty", "duty_until", "locale", "quiet_hours"]}
    ]
    again = await client.patch(ME, headers=matching(anna, 2), json={"duty": "on", "quiet_hours": None})
    assert [again.json()[name] for name in ("duty", "duty_until", "quiet_hours")] == ["on", None, None]
    stale = await client.patch(ME, headers=matching(anna, 2), json={"duty": "auto"})
    assert stale.status_code == 412


async def test_an_administrator_says_it_for_others(client: httpx.AsyncClient, services: Services) -> None:
    boss, anna = await factories.agent(services, role="admin"), await factories.agent(services)
    url = f"{V}/agents/{anna.id}"
    shown = (await client.patch(url, headers=matching(boss, 1), json={"duty": "off", "quiet_hours": NIGHT})).json()
    assert (shown["duty"], shown["quiet_hours"]) == ("off", NIGHT)
    until = (clock.now() + timedelta(minutes=1)).isoformat()
    shown = (await client.patch(url, headers=matching(boss, 2), json={"duty_until": until})).json()
    assert (shown["duty"], shown["duty_until"] is not None) == ("off", True)


async def test_duty_that_has_run_out_is_auto_again(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    async with services.database.transaction() as session:
        gone = {"duty": "off", "duty_until": clock.now() - timedelta(seconds=1)}
        await session.execute(update(agents).where(agents.c.id == anna.id).values(gone))
    shown = (await client.get(ME, headers=anna.headers)).json()
    assert (shown["duty"], shown["duty_until"]) == ("auto", None)
    later = (clock.now() + timedelta(hours=1)).isoformat()
    refused = await client.patch(ME, headers=matching(anna, 1), json={"duty_until": later})
    assert refused.json()["errors"][0]["field"] == "duty_until"


async def test_everybody_says_how_he_is_called_and_how_he_likes_the_console(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services)
    before = (await client.get(ME, headers=anna.headers)).json()
    as_it_comes = {"theme": "system", "density": "calm", "shortcuts": True, "sounds": False, "undo_seconds": 10}
    assert (before["zone"], before["preferences"]) == ("", as_it_comes)
    body = {"name": "Anna B", "zone": "Asia/Taipei", "preferences": {"theme": "dark", "shortcuts": False}}
    shown = (await client.patch(ME, headers=matching(anna, 1), json=body)).json()
    assert (shown["name"], shown["zone"]) == ("Anna B", "Asia/Taipei")
    # What is not named stays: a second tab that knows less takes nothing back
    shown = (await client.patch(ME, headers=matching(anna, 2), json={"preferences": {"undo_seconds": 5}})).json()
    assert shown["preferences"] == {**as_it_comes, "theme": "dark", "shortcuts": False, "undo_seconds": 5}
    shown = (await client.patch(ME, headers=matching(anna, 3), json={"preferences": {}, "zone": ""})).json()
    assert (shown["zone"], shown["preferences"]["theme"], shown["version"]) == ("", "dark", 4)
    assert await _audited(services, anna.id, "agent.updated") == [
        {"fields": ["name", "preferences", "zone"]},
        {"fields": ["preferences"]},
        {"fields": ["zone"]},
    ]


async def test_an_address_is_changed_by_administrators_and_is_nobody_elses(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss, lead = await factories.agent(services, role="admin"), await factories.agent(services, role="supervisor")
    anna = await factories.agent(services, password=True)
    url, link = f"{V}/agents/{anna.id}", (anna.id, Purpose.PASSWORD_RESET)
    async with services.database.transaction() as session:
        _, plain = await account_links.issue(session, *link, by=SYSTEM, letter=False, now=clock.now())
    for email, status in (("anna", 422), (f" {lead.email.upper()} ", 409)):
        refused = await client.patch(url, headers=matching(boss, 1), json={"email": email, "name": "Never"})
        assert refused.status_code == status
    for someone in (lead, anna):
        assert (await client.patch(url, headers=matching(someone, 1), json={"email": "a@b.test"})).status_code == 403
    shown = (await client.patch(url, headers=matching(boss, 1), json={"email": "Anna@New.test"})).json()
    assert (shown["email"], shown["name"], shown["version"]) == ("anna@new.test", anna.name, 2)
    assert await _audited(services, anna.id, "agent.updated") == [{"fields": ["email"]}]
    # A letter that lies in the old mailbox leads to the account no more
    body = {"token": plain, "password": "another good one"}
    assert (await client.post(f"{V}/auth/reset-password", json=body)).status_code == 404
    for email, status in ((anna.email, 401), ("anna@new.test", 200)):
        body = {"email": email, "password": factories.PASSWORD}
        assert (await client.post(f"{V}/auth/login", json=body)).status_code == status


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "anna@new.test"}, "email"),
        ({"name": " "}, "name"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"preferences": {"theme": "pink"}}, "preferences.theme"),
        ({"preferences": {"undo_seconds": 61}}, "preferences.undo_seconds"),
        ({"preferences": {"more": {}}}, "preferences.more"),
        ({"duty": "maybe"}, "duty"),
        ({"duty_until": "2100-01-01T00:00:00Z"}, "duty_until"),
        ({"duty": "auto", "duty_until": "2100-01-01T00:00:00Z"}, "duty_until"),
        ({"duty": "off", "duty_until": "2020-01-01T00:00:00Z"}, "duty_until"),
        ({"duty": "off", "duty_until": "2100-01-01T00:00:00"}, "duty_until"),
        ({"quiet_hours": {**NIGHT, "zone": "Mars/Olympus"}}, "quiet_hours.zone"),
        ({"quiet_hours": {**NIGHT, "to": "22:00"}}, "quiet_hours.to"),
        ({"quiet_hours": {**NIGHT, "from": "7pm"}}, "quiet_hours.from"),
        ({"quiet_hours": {"zone": "UTC", "to": "07:00"}}, "quiet_hours.from"),
        ({"role": "admin"}, "role"),
        ({"active": False}, "active"),
    ],
)
async def test_what_makes_no_sense_of_oneself_is_named(
    body: dict[str, Any], field: str, client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services)
    answer = await client.patch(ME, headers=matching(anna, 1), json=body)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
    assert await _audited(services, anna.id, "agent.updated") == []


DUTY = f"{V}/duty"
DAYS = [[["00:00", "24:00"]]] * 7


def roster(*agents: factories.Someone, **given: Any) -> dict[str, Any]:
    shifts = [{"agent_ids": [str(one.id) for one in agents], "weekly": DAYS}]
    return {"name": "Day", "zone": "Asia/Shanghai", "shifts": shifts} | given


async def _now(client: httpx.AsyncClient, someone: factories.Someone, query: str = "") -> tuple[list[str], list[str]]:
    shown = (await client.get(f"{DUTY}/now{query}", headers=someone.headers)).json()
    return [one["name"] for one in shown["agents"]], [one["name"] for one in shown["fallback"]]


async def test_a_roster_is_kept_changed_and_removed(client: httpx.AsyncClient, services: Services) -> None:
    boss, anna = await factories.agent(services, role="admin"), await factories.agent(services)
    team = await factories.team(services, members=[anna.id])
    made = await client.post(DUTY, headers=boss.headers, json=roster(anna, team_id=str(team)))
    assert made.status_code == 201, made.text
    shown = made.json()
    assert (shown["team_id"], shown["zone"], shown["overrides"], shown["agent_ids"]) == (
        str(team),
        "Asia/Shanghai",
        [],
        None,
    )
    url = made.headers["location"]
    day_off = [{"date": "2026-10-01", "agent_ids": [str(anna.id)], "hours": []}]
    changed = await client.patch(url, headers=matching(boss, 1), json={"overrides": day_off, "team_id": None})
    assert (changed.json()["overrides"], changed.json()["team_id"], changed.json()["version"]) == (day_off, None, 2)
    assert changed.json()["shifts"] == shown["shifts"]
    assert (await client.get(DUTY, headers=anna.headers)).json()["items"] == [changed.json()]
    assert (await client.delete(url, headers=matching(boss, 2))).status_code == 204
    assert (await client.get(url, headers=boss.headers)).status_code == 404
    assert await _audited(services, shown["id"], "duty_schedule.updated") == [{"fields": ["overrides", "team_id"]}]
    assert await _audited(services, shown["id"], "duty_schedule.removed") == [{}]


async def test_there_is_one_fallback_list_in_its_own_order(client: httpx.AsyncClient, services: Services) -> None:
    boss, anna = await factories.agent(services, role="admin"), await factories.agent(services)
    body = {"name": "Last", "is_fallback": True, "agent_ids": [str(anna.id), str(boss.id)]}
    made = await client.post(DUTY, headers=boss.headers, json=body)
    assert (made.json()["agent_ids"], made.json()["zone"]) == (body["agent_ids"], None)
    second = await client.post(DUTY, headers=boss.headers, json={**body, "name": "Other"})
    assert second.json()["type"].endswith("fallback_exists")
    same = await client.post(DUTY, headers=boss.headers, json=roster(anna, name="Last"))
    assert same.json()["type"].endswith("name_taken")
    assert (await _now(client, boss))[1] == [anna.name, boss.name]
    await client.delete(f"{V}/agents/{anna.id}", headers=matching(boss, 1))
    assert (await _now(client, boss))[1] == [boss.name]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"zone": None}, "zone"),
        ({"shifts": []}, "shifts"),
        ({"agent_ids": ["0198c0de-0000-7000-8000-000000000001"]}, "agent_ids"),
        ({"is_fallback": True}, "zone"),
        ({"team_id": "0198c0de-0000-7000-8000-000000000001"}, "team_id"),
        ({"overrides": [{"date": "soon", "agent_ids": ["{anna}"], "hours": []}]}, "overrides.0.date"),
        ({"overrides": [{"date": "2026-10-01", "agent_ids": ["{left}"], "hours": []}]}, "overrides.0.agent_ids.0"),
        ({"shifts": [{"agent_ids": ["{anna}", "{left}"], "weekly": DAYS}]}, "shifts.0.agent_ids.1"),
        ({"shifts": [{"agent_ids": ["{anna}"], "weekly": DAYS[:6]}]}, "shifts.0.weekly"),
    ],
)
@ON_ONE_DATABASE
async def test_a_wrong_roster_is_refused_by_its_field(
    change: dict[str, Any], field: str, client: httpx.AsyncClient, services: Services
) -> None:
    boss, anna = await factories.agent(services, role="admin"), await factories.agent(services)
    left = await factories.agent(services)
    await client.delete(f"{V}/agents/{left.id}", headers=matching(boss, 1))
    text = json.dumps(roster(anna) | change).replace("{anna}", str(anna.id)).replace("{left}", str(left.id))
    answer = await client.post(DUTY, headers=boss.headers, json=json.loads(text))
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])


async def test_the_fallback_list_is_no_teams(client: httpx.AsyncClient, services: Services) -> None:
    boss, team = await factories.agent(services, role="admin"), await factories.team(services)
    body = {"name": "Last", "is_fallback": True, "agent_ids": [str(boss.id)], "team_id": str(team)}
    answer = await client.post(DUTY, headers=boss.headers, json=body)
    assert answer.json()["errors"][0]["field"] == "team_id"


async def test_a_roster_may_be_renamed_after_somebody_in_it_has_left(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss, anna = await factories.agent(services, role="admin"), await factories.agent(services)
    schedule = await factories.duty_schedule(services, agents=[anna.id])
    await client.delete(f"{V}/agents/{anna.id}", headers=matching(boss, 1))
    renamed = await client.patch(f"{DUTY}/{schedule}", headers=matching(boss, 1), json={"name": "Old"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Old")
    assert await _now(client, boss) == ([], [])


async def test_who_is_on_duty_now_is_shown_by_team(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="admin")
    anna, bert = await factories.agent(services), await factories.agent(services)
    team = await factories.team(services, members=[anna.id, bert.id])
    assert await _now(client, boss) == ([boss.name, anna.name, bert.name], [])
    await factories.duty_schedule(services, agents=[bert.id], team_id=team)
    assert (await _now(client, anna, f"?team_id={team}"))[0] == [bert.name]
    nobodys = await client.get(f"{DUTY}/now?team_id={boss.id}", headers=boss.headers)
    assert nobodys.status_code == 404
