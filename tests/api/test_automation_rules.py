"""Automation rules over HTTP: kept in versions, refused where they are wrong, tried before they are let loose."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from helpdesk.models.events import audit
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.services.test_automation import settles, talk, writes

RULES = "/api/v1/automation-rules"
BODY: dict[str, Any] = {
    "name": "Seen",
    "when": {"events": ["message.received"]},
    "do": [{"do": "tag", "add": ["seen"]}],
}


@ON_ONE_DATABASE
async def test_a_rule_is_kept_in_versions_and_shows_what_it_would_do_and_did(
    client: httpx.AsyncClient, services: Services
) -> None:
    admin = await factories.agent(services, role="admin")
    made = await client.post(RULES, headers=admin.headers, json=BODY)
    assert made.status_code == 201, made.text
    url = made.headers["Location"]
    assert (made.json()["if"], made.json()["stop"], made.json()["position"]) == ({}, False, 100)
    taken = await client.post(RULES, headers=admin.headers, json=BODY)
    assert (taken.status_code, taken.json()["type"].rpartition(":")[2]) == (409, "name_taken")
    mail = await talk(services)
    await writes(services, mail)
    trial = (await client.post(f"{url}/dry-run", headers=admin.headers, json={"days": 1})).json()
    assert [(one["conversation_id"], one["actions"]) for one in trial["items"]] == [(str(mail), ["tag"])]
    await settles(services)
    (run,) = (await client.get(f"{url}/runs", headers=admin.headers)).json()["items"]
    assert (run["outcome"], run["event_id"]) == ("done", trial["items"][0]["event_id"])
    there = (await client.get(f"/api/v1/conversations/{mail}/automation-runs?limit=1", headers=admin.headers)).json()
    assert there == {"items": [run | {"rule_id": made.json()["id"], "rule_name": "Seen"}], "next_cursor": None}
    job = await client.post(f"{url}/dry-run/job", headers=admin.headers, json={"days": 90})
    assert (job.status_code, job.headers["Location"]) == (202, f"/api/v1/jobs/{job.json()['job_id']}")
    only = {"if": {"field": "message.text", "op": "contains", "value": "phrase"}, "enabled": False}
    assert (await client.patch(url, headers=admin.headers, json=only)).status_code == 428
    changed = await client.patch(url, headers={**admin.headers, "If-Match": '"1"'}, json=only)
    assert (changed.json()["if"], changed.json()["enabled"], changed.json()["version"]) == (only["if"], False, 2)
    assert changed.json()["do"] == made.json()["do"]
    found = (await client.get(f"{url}/versions", headers=admin.headers)).json()["items"]
    assert [(one["version"], one["if"]) for one in found] == [(2, only["if"]), (1, {})]
    assert (await client.delete(url, headers={**admin.headers, "If-Match": '"1"'})).status_code == 412
    assert (await client.delete(url, headers={**admin.headers, "If-Match": '"2"'})).status_code == 204
    async with services.database.reading() as session:
        query = select(audit.c.action).where(audit.c.subject_type == "automation_rule").order_by(audit.c.id)
        done = (await session.execute(query)).scalars().all()
    assert done == ["automation_rule.created", "automation_rule.updated", "automation_rule.removed"]


@ON_ONE_DATABASE
async def test_rules_are_listed_in_the_order_in_which_they_have_their_say(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services)
    made = [await factories.automation_rule(services, position=position) for position in (30, 10, 20)]
    found, cursor = [], ""
    for _ in made:
        shown = (await client.get(f"{RULES}?limit=1{cursor}", headers=anna.headers)).json()
        found += [one["id"] for one in shown["items"]]
        cursor = f"&cursor={shown['next_cursor']}"
    assert found == [str(made[number]) for number in (1, 2, 0)]
    assert shown["next_cursor"] is None


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"when": {"events": ["alert.raised"]}}, "when.events.0"),
        ({"when": {"events": ["sla.met"]}, "if": {"field": "message.text", "op": "contains", "value": "x"}}, "if"),
        ({"if": {"field": "team_id", "op": "eq", "value": str(uuid4())}}, "if.value"),
        ({"if": {"field": "mentioned", "op": "eq", "value": "me"}}, "if"),
        ({"do": [{"do": "reply", "text": "Hello {{contact.name}}"}]}, "do.0.text"),
        ({"when": {"elapsed": {"since": "waiting_since", "minutes": 5}}}, "when.elapsed.minutes"),
        ({"when": {"elapsed": {"since": "waiting_since", "minutes": 60}}, "stop": True}, "stop"),
        ({"do": [{"do": "team", "team_id": str(uuid4())}]}, "do.0.team_id"),
        ({"do": [{"do": "webhook", "webhook_id": str(uuid4())}]}, "do.0.webhook_id"),
        ({"position": -1}, "position"),
    ],
)
async def test_a_rule_that_is_wrong_or_names_what_is_gone_is_refused(
    given: dict[str, Any], field: str, client: httpx.AsyncClient, services: Services
) -> None:
    admin = await factories.agent(services, role="admin")
    answer = await client.post(RULES, headers=admin.headers, json=BODY | given)
    assert answer.status_code == 422, answer.text
    assert [one["field"] for one in answer.json()["errors"]] == [field]
