"""Routing through the API: who says how a team gives out its queue, what agents can take, and who sees what waits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from helpdesk import clock
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from workers.routing import route

V = "/api/v1"
SKILLS = {"languages": ["zh-CN"], "categories": ["security"]}


def matching(someone: factories.Someone, version: int) -> dict[str, str]:
    return {**someone.headers, "If-Match": f'"{version}"'}


async def test_a_supervisor_sets_how_a_team_routes_and_reads_why_whom_it_gives_nothing(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss, lead = await factories.agent(services, role="admin"), await factories.agent(services, role="supervisor")
    anna, bert, carl, dora, other = [await factories.agent(services) for _ in range(5)]
    team = await factories.team(services, members=[one.id for one in (anna, bert, carl, dora)])
    desk = await factories.inbox(services, members=[anna.id, bert.id, dora.id])
    url = f"{V}/teams/{team}"
    assert (await client.get(url, headers=anna.headers)).json()["routing"]["method"] == "manual"
    body: dict[str, Any] = {"routing": {"method": "round_robin", "capacity": 1, "skills": "require"}}
    shown = (await client.patch(url, headers=matching(lead, 1), json=body)).json()
    assert shown["routing"] == {**body["routing"], "take_back_minutes": None, "only_on_duty": True} | {
        "live_capacity": 3,
        "live_take_back_minutes": 2,
    }
    for one, wanted in ((bert, {"capacity": 0}), (dora, {"capacity": 3, "live_capacity": 2, "skills": SKILLS})):
        changed = await client.patch(f"{V}/agents/{one.id}", headers=matching(lead, 1), json=wanted)
        assert {name: changed.json()[name] for name in wanted} == wanted
    me = (await client.get(f"{V}/me", headers=dora.headers)).json()
    assert (me["capacity"], me["live_capacity"], me["skills"]) == (3, 2, SKILLS)
    hour_ago = clock.now() - timedelta(hours=1)
    for _ in range(2):
        await factories.conversation(services, inbox_id=desk, team_id=team, messages=0, now=hour_ago)
    assert await route(services) == 1
    queue = (await client.get(f"{url}/routing", headers=anna.headers)).json()
    assert (queue["queued"], queue["routing"], queue["oldest_waiting_since"]) == (
        1,
        shown["routing"],
        hour_ago.isoformat().replace("+00:00", "Z"),
    )
    standing = {one["agent"]["id"]: (one["open"], one["capacity"], one["idle"]) for one in queue["members"]}
    assert standing == {
        str(anna.id): (1, 1, "full"),
        str(bert.id): (0, 0, "full"),
        str(carl.id): (0, 1, "no_inbox"),
        str(dora.id): (0, 3, "no_skill"),
    }
    assert (await client.get(f"{url}/routing", headers=other.headers)).status_code == 404
    kept = [str(anna.id), str(dora.id)]
    await client.patch(url, headers=matching(boss, 2), json={"member_ids": kept})
    queue = (await client.get(f"{url}/routing", headers=lead.headers)).json()
    turns = {one["agent"]["id"]: one["last_assigned_at"] for one in queue["members"]}
    assert (list(turns), turns[kept[0]] is None, turns[kept[1]]) == (kept, False, None), "who stays keeps his turn"


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("teams", {"routing": {"method": "random"}}, "routing.method"),
    ("teams", {"routing": {"capacity": 0}}, "routing.capacity"),
    ("teams", {"routing": {"take_back_minutes": 4}}, "routing.take_back_minutes"),
    ("teams", {"routing": {"colour": "red"}}, "routing.colour"),
    ("teams", {"routing": {"live_take_back_minutes": 1}}, "routing.live_take_back_minutes"),
    ("agents", {"capacity": 501}, "capacity"),
    ("agents", {"live_capacity": 51}, "live_capacity"),
    ("agents", {"skills": {"languages": ["de"]}}, "skills.languages.0"),
    ("agents", {"skills": {"categories": ["x", "x"]}}, "skills.categories.1"),
]


@ON_ONE_DATABASE
async def test_what_makes_no_sense_or_is_not_a_supervisors_to_set_changes_nothing(
    client: httpx.AsyncClient, services: Services
) -> None:
    lead, anna = await factories.agent(services, role="supervisor"), await factories.agent(services)
    urls = {"teams": f"{V}/teams/{await factories.team(services)}", "agents": f"{V}/agents/{anna.id}"}
    for kind, body, field in REFUSED:
        refused = await client.patch(urls[kind], headers=matching(lead, 1), json=body)
        assert (refused.status_code, [one["field"] for one in refused.json()["errors"]]) == (422, [field])
    for kind, body in (("teams", {"routing": {}, "name": "Mine"}), ("agents", {"capacity": 1, "role": "admin"})):
        assert (await client.patch(urls[kind], headers=matching(lead, 1), json=body)).status_code == 403
    for url in urls.values():
        assert (await client.get(url, headers=lead.headers)).json()["version"] == 1
