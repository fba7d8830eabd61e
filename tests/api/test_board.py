"""The desk at a glance."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from helpdesk import clock
from helpdesk.db import insert_rows, new_id
from helpdesk.models.agents import agents, api_tokens
from helpdesk.models.sla import sla_clocks
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE

BOARD = "/api/v1/board"


async def _clock(services: Services, conversation_id: UUID, inbox_id: UUID, cycle: int, **given: Any) -> None:
    row = {"conversation_id": conversation_id, "kind": "next_response", "cycle": cycle, "inbox_id": inbox_id}
    row |= {"channel": "email", "policy_id": new_id(), "policy_version": 1, "target": 3600, "state": "running"}
    row |= {"start_seq": 1, "spans": [], "warned": 0, "trouble": ""}
    async with services.database.transaction() as session:
        await insert_rows(session, sla_clocks, [row | given])


async def test_a_supervisor_sees_what_waits_who_is_there_and_how_promises_are_kept(
    client: httpx.AsyncClient, services: Services
) -> None:
    lead, anna = await factories.agent(services, role="supervisor"), await factories.agent(services, name="Anna")
    away, gone = await factories.agent(services, name="Bert"), await factories.agent(services)
    inbox, team = await factories.inbox(services), await factories.team(services, name="Payments", members=[anna.id])
    now = clock.now().replace(microsecond=0)
    seen, late, soon = now - timedelta(minutes=5), now - timedelta(hours=2), now + timedelta(minutes=5)
    mine = await factories.conversation(services, inbox_id=inbox, team_id=team, assignee_id=anna.id, waiting_since=late)
    given: list[dict[str, Any]] = [
        {"team_id": team, "waiting_since": seen, "next_due_at": late, "due_soon_at": late},
        {"team_id": team, "waiting_since": None, "next_due_at": soon, "due_soon_at": late},
        {"waiting_since": None, "assignee_id": away.id},
        # None of these is work: over, spam, put into another
        {"team_id": team, "status": "resolved", "waiting_since": None},
        {"team_id": team, "spam": True, "next_due_at": late},
        {"team_id": team, "merged_into_id": mine, "next_due_at": None},
    ]
    for one in given:
        await factories.conversation(services, inbox_id=inbox, messages=0, **one)
    ended = {"ended_at": now, "state": "met"}
    late_ones = {"ended_at": now, "state": "met_late", "breached_at": now}
    early = now - timedelta(days=2)
    for cycle, one in enumerate(
        ({"started_at": now, **ended}, {"started_at": now, **late_ones}, {"started_at": early, **ended})
    ):
        await _clock(services, mine, inbox, cycle, **one)
    await _clock(services, mine, inbox, 3, started_at=now, ended_at=now, state="cancelled")
    await factories.alert(services, mine, anna.id)
    async with services.database.transaction() as session:
        await session.execute(update(api_tokens).where(api_tokens.c.agent_id == anna.id).values(last_used_at=seen))
        await session.execute(update(agents).where(agents.c.id.in_([away.id, gone.id])).values(duty="off"))
    shown = (await client.get(BOARD, headers=lead.headers)).json()
    payments, none = shown["queues"]
    assert payments.pop("team") == {"id": str(team), "name": "Payments"}
    oldest = late.isoformat().replace("+00:00", "Z")
    assert payments == {"open": 3, "queued": 2, "waiting": 2, "oldest_waiting_since": oldest}
    assert none == {"team": None, "open": 1, "queued": 0, "waiting": 0, "oldest_waiting_since": None}
    assert (shown["waiting"], shown["oldest_waiting_since"], shown["alerts_open"]) == (2, oldest, 1)
    assert shown["sla"] == {"met": 1, "broken": 1, "due_soon": 1, "breached": 1}
    by_name = {one["agent"]["name"]: one for one in shown["agents"]}
    assert set(by_name) == {"Anna", "Bert", lead.name}, "who is away and has nothing is left out"
    assert (by_name["Anna"]["on_duty"], by_name["Anna"]["open"]) == (True, 1)
    assert datetime.fromisoformat(by_name["Anna"]["last_seen_at"]) == seen
    assert (by_name["Bert"]["on_duty"], by_name["Bert"]["open"], by_name["Bert"]["last_seen_at"]) == (False, 1, None)


@pytest.mark.parametrize(
    ("query", "status"), [("?zone=Asia/Shanghai", 200), ("?zone=Mars/Olympus", 422), ("?team=x", 422)]
)
@ON_ONE_DATABASE
async def test_today_begins_by_the_askers_clock(
    client: httpx.AsyncClient, services: Services, query: str, status: int
) -> None:
    lead = await factories.agent(services, role="supervisor")
    assert (await client.get(f"{BOARD}{query}", headers=lead.headers)).status_code == status
