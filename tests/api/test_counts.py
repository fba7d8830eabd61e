"""The numbers of the side bar: right, of what one reaches, and cheap."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from helpdesk import clock
from helpdesk.db import insert_rows
from helpdesk.dialects import Prepared
from helpdesk.domain.filter_tree import parse
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, Role
from helpdesk.models.conversations import conversations, mentions
from helpdesk.services import counting
from helpdesk.services.house import Services
from tests import factories

URL = "/api/v1/conversations/counts"
HOUR = timedelta(hours=1)


async def counts(client: httpx.AsyncClient, who: factories.Someone) -> dict[str, Any]:
    answer = await client.get(URL, headers=who.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def leaf(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


async def test_everything_is_counted_once_and_only_what_one_reaches(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert = await factories.agent(services, name="Anna"), await factories.agent(services, name="Bert")
    boss = await factories.agent(services, role="supervisor")
    ours, theirs = await factories.team(services, members=[anna.id]), await factories.team(services, members=[bert.id])
    hers = await factories.inbox(services, members=[anna.id])
    his = await factories.inbox(services, members=[bert.id])
    now = clock.now()
    soon = {"next_due_at": now + HOUR, "due_soon_at": now - HOUR}
    calm: dict[str, Any] = {"next_due_at": None, "due_soon_at": None}
    rows: list[dict[str, Any]] = [
        {"inbox_id": hers, "team_id": ours, "assignee_id": anna.id, **soon, "tag": ["vip"]},
        {"inbox_id": hers, "next_due_at": now - HOUR},
        {"inbox_id": his, "team_id": ours, "status": "pending", "sla_paused": True, **calm},
        {"inbox_id": his, "team_id": theirs, "assignee_id": anna.id, **calm},
        {"inbox_id": his, "team_id": theirs, "status": "snoozed", "snoozed_until": now + HOUR, **calm},
        {"inbox_id": his, "assignee_id": bert.id, "tag": ["vip"], **calm},
        {"inbox_id": hers, "status": "resolved", **calm},
        {"inbox_id": hers, "spam": True, "next_due_at": now - HOUR},
    ]
    made = [await factories.conversation(services, **row) for row in rows]
    message_id = await factories.incoming(services, made[0])
    called = {"message_id": message_id, "agent_id": anna.id, "conversation_id": made[0], "created_at": now}
    async with services.database.transaction() as session:
        await insert_rows(session, mentions, [{**called, "read_at": None}])
    assert (await client.put(f"/api/v1/conversations/{made[3]}/read", headers=anna.headers)).status_code == 200
    begun = {"text": "Not yet"}
    assert (
        await client.put(
            f"/api/v1/conversations/{made[0]}/draft", headers={**anna.headers, "If-None-Match": "*"}, json=begun
        )
    ).status_code < 300
    kept: dict[str, Any] = {
        "mine": leaf("assignee_id", "eq", "me"),
        "tagged": {"all": [leaf("status", "eq", "open"), leaf("tag", "eq", "vip")]},
        "over": leaf("status", "in", ["resolved", "closed"]),
        "all": {},
    }
    by = Actor(AuthorKind.AGENT, id=boss.id, role=Role.SUPERVISOR)
    ids = {
        name: str(await factories.view(services, by=by, shared="everybody", content=content))
        for name, content in kept.items()
    }
    found = await counts(client, anna)
    assert found == {
        "status": {"open": 3, "pending": 1, "snoozed": 0},
        "mine": 2,
        "unassigned": 1,
        "unread": 1,
        "mentions": 1,
        "alerts": 0,
        "drafts": 1,
        "sla": {"due_soon": 1, "breached": 1, "paused": 1},
        "teams": {str(ours): 1},
        "inboxes": {str(hers): 2},
        "views": {ids["mine"]: 2, ids["tagged"]: 1, ids["over"]: None, ids["all"]: 4},
        "most": counting.MOST,
    }
    found = await counts(client, boss)
    assert found["status"] == {"open": 4, "pending": 1, "snoozed": 1}
    assert found["teams"] == {str(ours): 1, str(theirs): 1}
    assert found["inboxes"] == {str(hers): 2, str(his): 2}
    assert (found["mine"], found["unassigned"], found["mentions"]) == (0, 1, 0)
    assert found["views"] == {ids["mine"]: 0, ids["tagged"]: 2, ids["over"]: None, ids["all"]: 6}


async def test_a_number_stops_where_it_is_great_and_a_view_where_too_much_would_be_looked_at(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST", 2)
    monkeypatch.setattr(counting, "LOOKED_AT", 2)
    boss = await factories.agent(services, role="supervisor")
    desk = await factories.inbox(services)
    for tag in (["vip"], [], []):
        await factories.conversation(services, inbox_id=desk, tag=tag, messages=0)
    by = Actor(AuthorKind.AGENT, id=boss.id, role=Role.SUPERVISOR)
    few = await factories.view(services, by=by, content=leaf("tag", "eq", "none"))
    found = await counts(client, boss)
    assert found["status"]["open"] == found["unassigned"] == 2
    assert found["views"] == {str(few): None}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_numbers_walk_along_the_index_of_what_is_not_over(services: Services) -> None:
    """With the table too dear to be read whole, as a large one is. Other indexes are taken away until the end: among
    the few rows of a test the planner takes any, by what the tests before have left.
    """
    me = Actor(AuthorKind.AGENT, id=(await factories.agent(services)).id, inbox_ids=(), team_ids=())
    now = clock.now()
    near = counting._question(parse(leaf("priority", "eq", "urgent")), SYSTEM, now)
    assert near is not None
    of_views = [
        counting._of_views([near], 10, sees_all=everything, elsewhere=not everything) for everything in (True, False)
    ]
    numbers = [counting._numbers(sees_all=everything) for everything in (True, False)]
    asked = [*numbers, *of_views, counting._teams(sees_all=True)]
    asked += [counting._inboxes(sees_all=everything) for everything in (True, False)]
    values = {"now": now, "actor_id": me.id, "actor_inboxes": [me.id], "actor_teams": [me.id]}
    async with services.database.reading() as session:
        for setting in ("enable_seqscan", "enable_bitmapscan"):
            await session.execute(text(f"SET LOCAL {setting} = off"))
        for other in {str(index.name) for index in conversations.indexes} - {"ix_conversations_live"}:
            await session.execute(text(f"DROP INDEX {other}"))
        connection = await session.connection()
        for statement in asked:
            found = Prepared(statement, connection.dialect)
            driver: Any = (await connection.get_raw_connection()).driver_connection
            rows = await driver.fetch(f"EXPLAIN {found.sql}", *found.arguments(values))
            plan = "\n".join(row[0] for row in rows)
            assert "Seq Scan on conversations" not in plan, plan
            scans = [line for line in plan.splitlines() if " on conversations" in line]
            assert scans, plan
            # But for a colleague's few calls, whose conversations are looked up one by one.
            assert all("ix_conversations_live" in line or "pk_conversations" in line for line in scans), plan
