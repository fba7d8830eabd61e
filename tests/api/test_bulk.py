"""Many conversations at once: fixed when asked for, done with the rights of by then, each with its own result."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update

from helpdesk.models.agents import agents
from helpdesk.models.conversations import conversation_tags, conversations
from helpdesk.models.events import audit, events
from helpdesk.models.inboxes import inbox_members
from helpdesk.models.messages import messages
from helpdesk.services import bulk
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from workers.jobs import Jobs

BULK = "/api/v1/conversations/bulk"


async def asked(client: httpx.AsyncClient, someone: factories.Someone, **body: Any) -> str:
    answer = await client.post(BULK, headers=someone.headers, json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/jobs/{answer.json()['job_id']}"
    return f"/api/v1/jobs/{answer.json()['job_id']}"


async def work(services: Services, batches: int = 10) -> None:
    worker = Jobs(services, worker="one")
    for _ in range(batches):
        if not await worker.step():
            break
    await worker.close()


async def results(client: httpx.AsyncClient, someone: factories.Someone, job: str) -> dict[str, tuple[str, str | None]]:
    found = (await client.get(f"{job}/results", headers=someone.headers)).json()["items"]
    return {one["subject_id"]: (one["outcome"], one["refused"]) for one in found}


async def test_each_conversation_has_its_own_result(client: httpx.AsyncClient, services: Services) -> None:
    anna, other = await factories.agent(services), await factories.agent(services)
    desk, foreign = await factories.inbox(services), await factories.inbox(services, members=[other.id])
    plain = await factories.conversation(services, inbox_id=desk)
    high = await factories.conversation(services, inbox_id=desk, priority=2, status="resolved")
    closed = await factories.conversation(services, inbox_id=desk, status="closed")
    hidden = await factories.conversation(services, inbox_id=foreign)
    ids = list(map(str, (plain, high, closed, hidden, plain, uuid4())))
    job = await asked(client, anna, ids=ids, set={"status": "resolved", "priority": "high"})
    waiting = (await client.get(job, headers=anna.headers)).json()
    assert (waiting["state"], waiting["total"], waiting["done"]) == ("queued", 5, 0)
    assert await results(client, anna, job) == {}
    await work(services)
    shown = (await client.get(job, headers=anna.headers)).json()
    assert [shown[name] for name in ("kind", "state", "total", "done", "changed", "refused")] == [
        "bulk",
        "done",
        5,
        5,
        1,
        3,
    ]
    assert await results(client, anna, job) == {
        str(plain): ("done", None),
        str(high): ("unchanged", None),
        str(closed): ("refused", "conversation_closed"),
        str(hidden): ("refused", "not_found"),
        ids[-1]: ("refused", "not_found"),
    }
    first = (await client.get(f"{job}/results?limit=3", headers=anna.headers)).json()
    rest = (await client.get(f"{job}/results?cursor={first['next_cursor']}", headers=anna.headers)).json()
    assert [one["position"] for one in first["items"] + rest["items"]] == [0, 1, 2, 3, 4]
    assert (await client.get(f"{job}/results", headers=other.headers)).status_code == 404
    async with services.database.reading() as session:
        c = conversations.c
        query = select(c.id, c.status, c.priority).where(c.id.in_([plain, hidden]))
        assert {row.id: (row.status, row.priority) for row in await session.execute(query)} == {
            plain: ("resolved", 2),
            hidden: ("open", 1),
        }
        told = select(events.c.data).where(events.c.conversation_id == plain, events.c.data.is_not(None))
        by = {data["by"] for data in (await session.execute(told)).scalars() if "by" in data}
        note = select(audit.c.data).where(audit.c.action == "conversations.bulk_started")
        assert (await session.scalars(note)).one()["what"] == ["priority", "status"]
    assert by == {f"agent:{anna.id}"}


@ON_ONE_DATABASE
async def test_many_are_put_away_as_spam_and_taken_back(client: httpx.AsyncClient, services: Services) -> None:
    anna, other = await factories.agent(services), await factories.agent(services)
    desk, foreign = await factories.inbox(services), await factories.inbox(services, members=[other.id])
    made = [await factories.conversation(services, inbox_id=inbox_id) for inbox_id in (desk, desk, foreign)]
    ids = list(map(str, made))
    for spam in (True, False):
        job = await asked(client, anna, ids=ids, spam=spam)
        await work(services)
        outcomes = await results(client, anna, job)
        assert [outcomes[one][0] for one in ids] == ["done", "done", "refused"]
        listed = (await client.get(f"/api/v1/conversations?spam={str(spam).lower()}", headers=anna.headers)).json()
        assert {one["id"] for one in listed["items"]} == set(ids[:2])
    both = await client.post(BULK, headers=anna.headers, json={"ids": ids, "spam": True, "set": {"status": "open"}})
    assert both.status_code == 422


async def test_actions_are_done_to_each_and_all_or_nothing_for_one(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss, desk = await factories.agent(services, role="supervisor"), await factories.inbox(services)
    identity = await factories.accounts.identify_token(services.database, boss.token, now=factories.clock.now())
    text = await factories.canned_response(services, by=identity.actor)
    named = await factories.conversation(services, inbox_id=desk, name="Mina Park")
    nameless = await factories.conversation(services, inbox_id=desk, name="")
    todo = [{"do": "tag", "add": ["outage"]}, {"do": "reply", "canned_response_id": str(text)}]
    job = await asked(client, boss, ids=[str(named), str(nameless)], actions=todo)
    await work(services)
    assert await results(client, boss, job) == {str(named): ("done", None), str(nameless): ("refused", "invalid")}
    async with services.database.reading() as session:
        said = select(messages.c.conversation_id, messages.c.text).where(messages.c.type == "outgoing")
        assert [tuple(row) for row in await session.execute(said)] == [(named, "Thank you, Mina.")]
        assert (await session.scalars(select(conversation_tags.c.conversation_id))).all() == [named]


async def test_what_a_filter_finds_is_fixed_when_it_is_asked(client: httpx.AsyncClient, services: Services) -> None:
    anna, other = await factories.agent(services), await factories.agent(services)
    desk, foreign = await factories.inbox(services), await factories.inbox(services, members=[other.id])
    found = [await factories.conversation(services, inbox_id=desk, tag=["outage"]) for _ in range(2)]
    later = await factories.conversation(services, inbox_id=desk)
    await factories.conversation(services, inbox_id=desk, tag=["outage"], spam=True)
    await factories.conversation(services, inbox_id=foreign, tag=["outage"])
    leaf = {"field": "tag", "op": "eq", "value": "outage"}
    job = await asked(client, anna, filter=leaf, set={"tags": ["solved"], "assignee_id": str(anna.id)})
    async with services.database.transaction() as session:
        await session.execute(conversation_tags.insert().values(conversation_id=later, tag="outage"))
    await work(services)
    assert await results(client, anna, job) == {str(one): ("done", None) for one in found}


async def test_whoever_lost_his_rights_meanwhile_changes_nothing_more(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 1)
    anna = await factories.agent(services)
    desk = await factories.inbox(services, members=[anna.id, (await factories.agent(services)).id])
    ids = sorted([str(await factories.conversation(services, inbox_id=desk)) for _ in range(3)])
    job = await asked(client, anna, ids=ids, set={"priority": "urgent"})
    await work(services, batches=1)
    async with services.database.transaction() as session:
        await session.execute(inbox_members.delete().where(inbox_members.c.agent_id == anna.id))
    await work(services, batches=1)
    async with services.database.transaction() as session:
        await session.execute(update(agents).where(agents.c.id == anna.id).values(active=False))
    await work(services)
    boss = await factories.agent(services, role="admin")
    assert await results(client, boss, job) == {
        ids[0]: ("done", None),
        ids[1]: ("refused", "not_found"),
        ids[2]: ("refused", "forbidden"),
    }


@ON_ONE_DATABASE
async def test_a_worker_that_takes_over_goes_on_with_the_batch_that_is_next(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 2)
    boss, desk = await factories.agent(services, role="supervisor"), await factories.inbox(services)
    ids = [str(await factories.conversation(services, inbox_id=desk)) for _ in range(3)]
    job = await asked(client, boss, ids=ids, set={"category": "technical"})
    await work(services, batches=1)
    assert len(await results(client, boss, job)) == 2
    await work(services)
    shown = (await client.get(job, headers=boss.headers)).json()
    assert (shown["state"], shown["done"], shown["changed"]) == ("done", 3, 3)


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"set": {"priority": "high"}}, "ids"),
        ({"ids": [], "set": {"priority": "high"}}, "ids"),
        ({"ids": [str(UUID(int=1))], "filter": {}, "set": {"priority": "high"}}, "ids"),
        ({"ids": [str(UUID(int=n)) for n in range(501)], "set": {"priority": "high"}}, "ids"),
        ({"ids": [str(UUID(int=1))]}, "set"),
        ({"ids": [str(UUID(int=1))], "set": {}}, "set"),
        ({"ids": [str(UUID(int=1))], "set": {"status": None}}, "set.status"),
        ({"ids": [str(UUID(int=1))], "set": {"seq": 1}}, "set.seq"),
        ({"ids": [str(UUID(int=1))], "set": {"team_id": str(UUID(int=1))}}, "set.team_id"),
        ({"ids": [str(UUID(int=1))], "set": {"custom_fields": {"chain": 1}}}, "set.custom_fields.chain"),
        ({"ids": [str(UUID(int=1))], "actions": [{"do": "note", "text": "x"}]}, "actions.0.do"),
        ({"ids": [str(UUID(int=1))], "actions": [{"do": "reply", "text": "x"}]}, "actions.0.text"),
        ({"filter": {"field": "colour", "op": "eq", "value": 1}, "set": {"priority": "high"}}, "filter.field"),
    ],
)
async def test_what_cannot_be_done_to_any_is_refused_at_once(
    body: dict[str, Any], field: str, client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services)
    answer = await client.post(BULK, headers=anna.headers, json=body)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])


@ON_ONE_DATABASE
async def test_a_filter_that_finds_too_many_says_how_many(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    boss, desk = await factories.agent(services, role="supervisor"), await factories.inbox(services)
    for _ in range(3):
        await factories.conversation(services, inbox_id=desk)
    monkeypatch.setattr(bulk, "MOST_FOUND", 2)
    answer = await client.post(BULK, headers=boss.headers, json={"filter": {}, "set": {"priority": "high"}})
    assert answer.status_code == 422
    assert "3 conversations" in answer.json()["detail"]


async def test_what_a_filter_would_change_is_counted_before(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the same filter finds it then: what one sees, without spam where the filter does not speak of it."""
    anna, other = await factories.agent(services), await factories.agent(services)
    desk, foreign = await factories.inbox(services), await factories.inbox(services, members=[other.id])
    for inbox, spam in ((desk, False), (desk, False), (desk, True), (foreign, False)):
        await factories.conversation(services, inbox_id=inbox, spam=spam)

    async def counted(tree: str) -> Any:
        return (await client.get(BULK, headers=anna.headers, params={"filter": tree})).json()

    live, spam = "{}", '{"field": "spam", "op": "eq", "value": true}'
    assert await counted(live) == {"count": 2, "most": bulk.MOST_FOUND}
    assert (await counted(spam))["count"] == 1
    shown = (await client.get(await asked(client, anna, filter={}, spam=True), headers=anna.headers)).json()
    assert shown["total"] == 2
    monkeypatch.setattr(bulk, "MOST_FOUND", 1)
    assert await counted(live) == {"count": 2, "most": 1}
    wrong = await client.get(BULK, headers=anna.headers, params={"filter": '{"field": "nothing"}'})
    assert wrong.status_code == 422
