"""SLA policies and escalation rules as settings: what is kept, what is refused, and what stays while it is named."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Table, select, update

from helpdesk import clock
from helpdesk.db import insert_rows, new_id
from helpdesk.domain import ladders, policies
from helpdesk.domain.actions import HandOver
from helpdesk.domain.values import SYSTEM
from helpdesk.errors import Conflict, Invalid
from helpdesk.models.agents import agents as agent_rows
from helpdesk.models.events import audit
from helpdesk.models.inboxes import inboxes as inbox_rows
from helpdesk.models.sla import business_hours, escalation_rules, setting_versions, sla_policies
from helpdesk.services import escalation_rules as rule_service
from helpdesk.services import policies as policy_service
from helpdesk.services import teams as team_service
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE

POLICIES, RULES, INBOXES = "/api/v1/sla-policies", "/api/v1/escalation-rules", "/api/v1/inboxes"
PLAIN: dict[str, Any] = {"name": "Plain", "clock": "calendar", "targets": {"first_response": 3600}}
NOTE: dict[str, Any] = {"do": "note", "text": "Late."}
LADDER: dict[str, Any] = {"name": "Ladder", "anchor": "breach", "steps": [{"after": 0, "actions": [NOTE]}]}


@pytest.fixture
async def boss(services: Services) -> factories.Someone:
    return await factories.agent(services, role="admin")


def at(someone: factories.Someone, version: int) -> dict[str, str]:
    return {**someone.headers, "If-Match": f'"{version}"'}


def ladder(*actions: dict[str, Any], **given: Any) -> dict[str, Any]:
    """A rule whose second step has these actions."""
    return {**LADDER, "steps": [{"after": 0, "actions": [NOTE]}, {"after": 60, "actions": list(actions)}], **given}


async def hours(services: Services, **given: Any) -> UUID:
    now = clock.now()
    row = {"id": new_id(), "name": "Nights", "is_default": False, "content": {}, "version": 1}
    row |= {"created_at": now, "updated_at": now, "deleted_at": None, **given}
    async with services.database.transaction() as session:
        await insert_rows(session, business_hours, [row])
    found: UUID = row["id"]
    return found


async def rows(services: Services, table: Table, *where: Any) -> list[Any]:
    async with services.database.reading() as session:
        found = await session.execute(select(table).where(*where).order_by(*table.primary_key.columns))
        return list(found.mappings().all())


async def audited(services: Services, subject_id: str) -> list[tuple[str, Any]]:
    return [(row["action"], row["data"]) for row in await rows(services, audit, audit.c.subject_id == UUID(subject_id))]


def wrong(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["field"] for error in answer.json()["errors"]]


async def test_what_a_new_house_promises_is_sound_and_listed_in_the_order_it_is_asked(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services)
    first = (await client.get(f"{POLICIES}?limit=3", headers=anna.headers)).json()
    second = (await client.get(f"{POLICIES}?limit=3&cursor={first['next_cursor']}", headers=anna.headers)).json()
    found = first["items"] + second["items"]
    assert [one["name"] for one in found] == ["Security", "Complaint", "E-mail", "Chat", "Social networks"]
    assert second["next_cursor"] is None
    for row in await rows(services, sla_policies):
        policies.check(row["content"])
        assert policies.read(row["id"], 1, row["position"], row["content"]).warnings
    for row in await rows(services, escalation_rules):
        ladders.check(row["content"])
        assert ladders.read(row["id"], 1, row["content"]).steps
    shown = (await client.get(f"{RULES}?limit=1", headers=anna.headers)).json()
    rest = (await client.get(f"{RULES}?cursor={shown['next_cursor']}", headers=anna.headers)).json()
    assert [one["name"] for one in shown["items"] + rest["items"]] == ["Answer due soon", "Answer overdue"]
    assert shown["items"][0]["steps"][0]["actions"][0]["agent_ids"] == []


async def test_a_policy_is_kept_with_its_first_version(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    desk, nights = await factories.inbox(services), await hours(services)
    body = {
        "name": "Nights",
        "position": 7,
        "clock": "business",
        "business_hours_id": str(nights),
        "inbox_ids": [str(desk)],
        "channels": ["email", "chat"],
        "priorities": ["high"],
        "categories": ["security"],
        "targets": {"first_response": 3600, "resolution": 86400},
        "warnings": [{"fraction": 0.5}, {"before": 600}],
        "pauses": [],
        "pause_states": ["snoozed"],
        "next_response_from_creation": True,
    }
    answer = await client.post(POLICIES, headers=boss.headers, json=body)
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    assert answer.headers["location"] == f"{POLICIES}/{shown['id']}"
    assert (shown["version"], shown["enabled"], shown["position"]) == (1, True, 7)
    assert shown["targets"] == {"first_response": 3600, "next_response": None, "resolution": 86400}
    assert shown["warnings"] == [{"fraction": 0.5, "before": None}, {"fraction": None, "before": 600}]
    (row,) = await rows(services, sla_policies, sla_policies.c.id == UUID(shown["id"]))
    assert row["content"] == {name: body[name] for name in row["content"]}
    assert (row["name"], row["version"]) == ("Nights", 1)
    (version,) = await rows(services, setting_versions, setting_versions.c.subject_id == row["id"])
    assert (version["version"], version["subject_type"], version["created_by"]) == (1, "sla_policies", boss.id)
    assert version["content"] == row["content"]
    assert await audited(services, shown["id"]) == [("sla_policy.created", {})]


async def test_a_change_is_a_new_version_and_the_old_ones_stay(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    nights = await hours(services)
    made = (await client.post(POLICIES, headers=boss.headers, json=PLAIN | {"business_hours_id": str(nights)})).json()
    url = f"{POLICIES}/{made['id']}"
    changed = await client.patch(
        url, headers=at(boss, 1), json={"targets": {"next_response": 60}, "name": "Quick", "position": 3}
    )
    assert changed.status_code == 200, changed.text
    assert changed.headers["etag"] == '"2"'
    assert changed.json()["targets"] == {"first_response": None, "next_response": 60, "resolution": None}
    assert changed.json()["business_hours_id"] == str(nights), "what is not sent stays"
    assert (changed.json()["name"], changed.json()["position"], changed.json()["clock"]) == ("Quick", 3, "calendar")
    assert (await client.patch(url, headers=at(boss, 1), json={"enabled": False})).status_code == 412
    third = await client.patch(url, headers=at(boss, 2), json={"business_hours_id": None, "enabled": False})
    assert (third.json()["business_hours_id"], third.json()["enabled"]) == (None, False)
    anna = await factories.agent(services)
    first = (await client.get(f"{url}/versions?limit=2", headers=anna.headers)).json()
    rest = (await client.get(f"{url}/versions?limit=2&cursor={first['next_cursor']}", headers=anna.headers)).json()
    found = first["items"] + rest["items"]
    assert [one["version"] for one in found] == [3, 2, 1]
    assert [one["targets"]["first_response"] for one in found] == [None, None, 3600]
    assert {one["created_by"] for one in found} == {str(boss.id)}
    assert await audited(services, made["id"]) == [
        ("sla_policy.created", {}),
        ("sla_policy.updated", {"fields": ["name", "position", "targets"]}),
        ("sla_policy.updated", {"fields": ["business_hours_id", "enabled"]}),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"targets": {}}, "targets"),
        ({"targets": {"first_response": 0}}, "targets.first_response"),
        ({"targets": {"third_response": 9}}, "targets.third_response"),
        ({"targets": {"first_response": 60, "resolution": 59}}, "targets.resolution"),
        ({"clock": "lunar"}, "clock"),
        ({"channels": ["E-mail"]}, "channels.0"),
        ({"priorities": ["high", "high"]}, "priorities.1"),
        ({"priorities": ["highest"]}, "priorities.0"),
        ({"warnings": [{"fraction": 0.5}, {"fraction": 0.5}]}, "warnings.1"),
        ({"warnings": [{"fraction": 1}]}, "warnings.0.fraction"),
        ({"warnings": [{"before": 3600}]}, "warnings.0.before"),
        ({"warnings": [{}]}, "warnings.0"),
        ({"warnings": [{"before": 60, "fraction": 0.5}]}, "warnings.0"),
        ({"pauses": ["lunch"]}, "pauses.0"),
        ({"pause_states": ["resolved"]}, "pause_states.0"),
        ({"colour": "blue"}, "colour"),
        ({"business_hours_id": str(UUID(int=1))}, "business_hours_id"),
        ({"inbox_ids": [str(UUID(int=1))]}, "inbox_ids.0"),
        ({"name": ""}, "name"),
        ({"position": -1}, "position"),
    ],
)
@ON_ONE_DATABASE
async def test_a_policy_that_makes_no_sense_is_refused_with_its_field(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone, body: dict[str, Any], field: str
) -> None:
    assert wrong(await client.post(POLICIES, headers=boss.headers, json=PLAIN | body)) == [field]
    existing = await factories.policy(services, targets={"first_response": 3600})
    assert wrong(await client.patch(f"{POLICIES}/{existing}", headers=at(boss, 1), json=body)) == [field]
    (row,) = await rows(services, sla_policies, sla_policies.c.id == existing)
    assert (row["version"], len(await rows(services, sla_policies))) == (1, 6)


async def test_a_policy_is_not_switched_on_for_business_hours_that_are_gone(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    nights = await hours(services)
    policy = await factories.policy(services, enabled=False, clock="business", business_hours_id=str(nights))
    async with services.database.transaction() as session:
        gone = update(business_hours).where(business_hours.c.id == nights)
        await session.execute(gone.values(deleted_at=clock.now()))
    url = f"{POLICIES}/{policy}"
    assert wrong(await client.patch(url, headers=at(boss, 1), json={"enabled": True})) == ["business_hours_id"]
    renamed = await client.patch(url, headers=at(boss, 1), json={"name": "Some day"})
    assert renamed.status_code == 200
    mended = await client.patch(url, headers=at(boss, 2), json={"enabled": True, "business_hours_id": None})
    assert (mended.status_code, mended.json()["enabled"]) == (200, True)


async def test_a_policy_stays_while_an_inbox_or_a_rule_names_it(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    policy = await factories.policy(services)
    desk = await factories.inbox(services, name="Payments", sla_policy_id=str(policy))
    rule = await factories.rule(services, name="Loud", policy_ids=[str(policy)])
    url = f"{POLICIES}/{policy}"
    refused = await client.delete(url, headers=at(boss, 1))
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:helpdesk:problem:in_use")
    assert "Payments" in refused.json()["detail"]
    await client.patch(f"{INBOXES}/{desk}", headers=at(boss, 1), json={"sla_policy_id": None})
    refused = await client.delete(url, headers=at(boss, 1))
    assert (refused.status_code, "Loud" in refused.json()["detail"]) == (409, True)
    assert (await client.delete(f"{RULES}/{rule}", headers=at(boss, 1))).status_code == 204
    assert (await client.delete(url, headers=at(boss, 1))).status_code == 204
    assert (await client.get(url, headers=boss.headers)).status_code == 404
    assert (await client.delete(url, headers=at(boss, 1))).status_code == 404
    (row,) = await rows(services, sla_policies, sla_policies.c.id == policy)
    assert row["deleted_at"] is not None
    assert len(await rows(services, setting_versions, setting_versions.c.subject_id == policy)) == 1
    assert [action for action, _ in await audited(services, str(policy))] == [
        "sla_policy.created",
        "sla_policy.removed",
    ]
    assert [action for action, _ in await audited(services, str(rule))][-1] == "escalation_rule.removed"


async def test_an_inbox_takes_only_a_policy_and_a_calendar_that_are_there(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    policy, nights = await factories.policy(services), await hours(services)
    gone = await hours(services, deleted_at=clock.now())
    body = {"channel": "email", "name": "x", "settings": {"address": "a@b.test"}}
    for wanted in ({"sla_policy_id": str(uuid4())}, {"business_hours_id": str(gone)}):
        assert (await client.post(INBOXES, headers=boss.headers, json=body | wanted)).status_code == 404
    assert await rows(services, inbox_rows) == []
    named = {"sla_policy_id": str(policy), "business_hours_id": str(nights)}
    made = (await client.post(INBOXES, headers=boss.headers, json=body | named)).json()
    url = f"{INBOXES}/{made['id']}"
    for wanted in ({"sla_policy_id": str(nights)}, {"business_hours_id": str(policy)}):
        assert (await client.patch(url, headers=at(boss, 1), json=wanted)).status_code == 404
    (row,) = await rows(services, inbox_rows)
    assert (row["sla_policy_id"], row["business_hours_id"], row["version"]) == (policy, nights, 1)


async def test_a_rule_is_kept_as_it_is_given_and_each_change_is_a_version(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    team, hook, policy = (
        await factories.team(services),
        await factories.webhook(services),
        await factories.policy(services),
    )
    anna = await factories.agent(services)
    actions: list[dict[str, Any]] = [
        {
            "do": "alert",
            "who": ["lead"],
            "agent_ids": [str(anna.id)],
            "severity": "critical",
            "acknowledge_seconds": 60,
        },
        {"do": "alert", "who": ["admins"]},
        {"do": "assign", "agent_id": str(anna.id)},
        {"do": "team", "team_id": str(team)},
        {"do": "watch", "agent_ids": [str(anna.id)]},
        {"do": "priority", "to": "urgent"},
        {"do": "webhook", "webhook_id": str(hook)},
        NOTE,
    ]
    body = ladder(*actions, anchor="warning", clocks=["first_response"], policy_ids=[str(policy)])
    answer = await client.post(RULES, headers=boss.headers, json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    actions[1] |= {"agent_ids": [], "severity": "warning", "acknowledge_seconds": None}
    assert made["steps"][1] == {"after": 60, "time": "calendar", "actions": actions}
    (row,) = await rows(services, escalation_rules, escalation_rules.c.id == UUID(made["id"]))
    assert row["content"] == {name: made[name] for name in row["content"]}
    assert ladders.read(row["id"], 1, row["content"]).steps[1].actions[3] == HandOver(team)
    url = f"{RULES}/{made['id']}"
    changed = await client.patch(url, headers=at(boss, 1), json={"steps": LADDER["steps"], "enabled": False})
    assert (changed.status_code, changed.json()["version"], changed.json()["enabled"]) == (200, 2, False)
    assert (changed.json()["anchor"], len(changed.json()["steps"])) == ("warning", 1)
    assert (await client.patch(url, headers=at(boss, 1), json={"name": "x"})).status_code == 412
    first = (await client.get(f"{url}/versions?limit=1", headers=anna.headers)).json()
    rest = (await client.get(f"{url}/versions?cursor={first['next_cursor']}", headers=anna.headers)).json()
    assert [(one["version"], len(one["steps"])) for one in first["items"] + rest["items"]] == [(2, 1), (1, 2)]
    kept = await rows(services, setting_versions, setting_versions.c.subject_id == row["id"])
    assert [one["subject_type"] for one in kept] == ["escalation_rules", "escalation_rules"]
    assert await audited(services, made["id"]) == [
        ("escalation_rule.created", {}),
        ("escalation_rule.updated", {"fields": ["enabled", "steps"]}),
    ]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (ladder({"do": "team", "team_id": str(UUID(int=1))}), ["steps.1.actions.0.team_id"]),
        (ladder({"do": "webhook", "webhook_id": str(UUID(int=1))}), ["steps.1.actions.0.webhook_id"]),
        (
            ladder(NOTE, {"do": "watch", "agent_ids": [str(UUID(int=1)), str(UUID(int=2))]}),
            ["steps.1.actions.1.agent_ids.0", "steps.1.actions.1.agent_ids.1"],
        ),
        (ladder({"do": "assign", "agent_id": str(UUID(int=1))}), ["steps.1.actions.0.agent_id"]),
        (ladder(NOTE, policy_ids=[str(UUID(int=1))]), ["policy_ids.0"]),
        (ladder({"do": "assign", "agent_id": "anna"}), ["steps.1.actions.0.agent_id"]),
        (ladder({"do": "alert"}), ["steps.1.actions.0.who"]),
        (ladder({"do": "alert", "who": ["everybody"]}), ["steps.1.actions.0.who.0"]),
        (
            ladder({"do": "alert", "who": ["lead"], "acknowledge_seconds": 59}),
            ["steps.1.actions.0.acknowledge_seconds"],
        ),
        (ladder({"do": "note", "text": " "}), ["steps.1.actions.0.text"]),
        (ladder({"do": "note", "text": "x" * 2001}), ["steps.1.actions.0.text"]),
        (ladder(NOTE | {"loud": True}), ["steps.1.actions.0.loud"]),
        (ladder({"do": "dance"}), ["steps.1.actions.0"]),
        (ladder({"text": "x"}), ["steps.1.actions.0"]),
        (ladder(), ["steps.1.actions"]),
        (LADDER | {"steps": []}, ["steps"]),
        (LADDER | {"steps": LADDER["steps"] * 2}, ["steps.1.after"]),
        (LADDER | {"anchor": "creation", "clocks": ["resolution"]}, ["clocks"]),
        (LADDER | {"anchor": "noon"}, ["anchor"]),
    ],
)
@ON_ONE_DATABASE
async def test_a_rule_that_makes_no_sense_is_refused_with_its_field(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone, body: dict[str, Any], fields: list[str]
) -> None:
    assert wrong(await client.post(RULES, headers=boss.headers, json=body)) == fields
    existing = await factories.rule(services)
    assert wrong(await client.patch(f"{RULES}/{existing}", headers=at(boss, 1), json=body)) == fields
    (row,) = await rows(services, escalation_rules, escalation_rules.c.id == existing)
    assert (row["version"], len(await rows(services, escalation_rules))) == (1, 3)


async def test_an_agent_who_has_left_is_not_called(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    anna = await factories.agent(services)
    assert (await client.delete(f"/api/v1/agents/{anna.id}", headers=at(boss, 1))).status_code == 204
    body = ladder({"do": "alert", "agent_ids": [str(anna.id)]})
    assert wrong(await client.post(RULES, headers=boss.headers, json=body)) == ["steps.1.actions.0.agent_ids.0"]


async def test_a_team_or_an_agent_stays_while_a_rule_names_it(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    anna, team = await factories.agent(services), await factories.team(services)
    await factories.rule(services, {"do": "team", "team_id": str(team)}, name="To payments")
    calls = {"do": "alert", "who": [], "agent_ids": [str(anna.id)], "severity": "info", "acknowledge_seconds": None}
    rule = await factories.rule(services, calls, name="To Anna")
    for url, name in ((f"/api/v1/teams/{team}", "To payments"), (f"/api/v1/agents/{anna.id}", "To Anna")):
        refused = await client.delete(url, headers=at(boss, 1))
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:helpdesk:problem:in_use")
        assert name in refused.json()["detail"]
    url = f"/api/v1/agents/{anna.id}"
    assert (await client.patch(url, headers=at(boss, 1), json={"active": False})).status_code == 409
    assert (await client.get("/api/v1/me", headers=anna.headers)).status_code == 200, "nothing was done by halves"
    (row,) = await rows(services, agent_rows, agent_rows.c.id == anna.id)
    assert (row["active"], row["version"]) == (True, 1)
    await client.patch(f"{RULES}/{rule}", headers=at(boss, 1), json={"enabled": False})
    assert (await client.delete(url, headers=at(boss, 1))).status_code == 409, "it may be switched on again"
    await client.delete(f"{RULES}/{rule}", headers=at(boss, 2))
    assert (await client.delete(url, headers=at(boss, 1))).status_code == 204


async def test_rules_that_name_a_webhook_are_found(services: Services) -> None:
    hook, other = await factories.webhook(services), await factories.webhook(services)
    for name in ("First", "Second"):
        await factories.rule(services, NOTE, {"do": "webhook", "webhook_id": str(hook)}, name=name)
    await factories.rule(services, {"do": "note", "text": f"Not by {other}."})
    async with services.database.reading() as session:
        assert await rule_service.naming(session, hook) == ["First", "Second"]
        assert await rule_service.naming(session, other) == []


async def test_a_team_is_not_removed_under_a_rule_that_is_being_written(services: Services) -> None:
    team = await factories.team(services)
    content = {**LADDER, "clocks": [], "channels": [], "priorities": [], "categories": [], "policy_ids": []}
    content["steps"] = [{"after": 0, "time": "calendar", "actions": [{"do": "team", "team_id": str(team)}]}]
    del content["name"]

    async def remove() -> None:
        async with services.database.transaction() as session:
            row = await team_service.get_team(session, team, version=1)
            await team_service.remove(session, row, by=SYSTEM, now=clock.now())

    async with services.database.transaction() as session:
        await rule_service.create(session, name="New", enabled=True, content=content, by=SYSTEM, now=clock.now())
        removing = asyncio.create_task(remove())
        await asyncio.sleep(0.2)
        assert not removing.done()
    with pytest.raises(Conflict):
        await removing
    assert [row["name"] for row in await rows(services, escalation_rules)][-1] == "New"


async def test_there_is_an_end_to_policies_and_rules(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_service, "MOST_POLICIES", 6)
    monkeypatch.setattr(rule_service, "MOST_RULES", 3)
    await factories.policy(services)
    await factories.rule(services)
    for one_more in (factories.policy, factories.rule):
        with pytest.raises(Conflict) as refused:
            await one_more(services)
        assert refused.value.problem == "too_many"


async def test_content_is_judged_whoever_hands_it_in(services: Services) -> None:
    with pytest.raises(Invalid) as refused:
        await factories.policy(services, targets={"first_response": "soon"})
    assert [error.field for error in refused.value.errors] == ["targets.first_response"]
