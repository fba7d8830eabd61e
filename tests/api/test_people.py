"""Who leads a team, who is on duty, and who wants quiet."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from helpdesk.models.agents import team_members
from helpdesk.models.events import audit
from helpdesk.services.house import Services
from tests import factories

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
