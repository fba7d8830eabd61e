"""Reading the audit: newest first, filtered, in pages; and the commands that hold it against its chain."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from helpdesk import clock
from helpdesk.commands import auditing, diagnose
from helpdesk.config import Settings
from helpdesk.db import Database, new_id
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, Role
from helpdesk.errors import Invalid, NotFound
from helpdesk.services import audit, audit_chain
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from workers.chaining import chain_audit

AUDIT = "/api/v1/audit"
NOON = datetime(2020, 11, 2, 12, tzinfo=UTC)
"""Before anything that the factories do."""


async def note(services: Services, action: str, *, by: Actor = SYSTEM, now: datetime = NOON, **given: Any) -> None:
    async with services.database.transaction() as session:
        subject = {"subject": action.partition(".")[0], "subject_id": None} | given
        await audit.record(session, action, **subject, by=by, now=now)


async def actions(client: httpx.AsyncClient, boss: factories.Someone, **query: str) -> list[str]:
    answer = await client.get(AUDIT, headers=boss.headers, params={"before": "2021-01-01T00:00:00Z", **query})
    assert answer.status_code == 200, answer.text
    return [entry["action"] for entry in answer.json()["items"]]


async def test_each_filter_finds_its_entries_the_newest_first(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="admin", name="Ann")
    by, team_id = Actor(AuthorKind.AGENT, boss.id, "Ann", Role.ADMIN, (), ()), new_id()
    await note(services, "team.created", by=by, subject_id=team_id)
    await note(services, "team.updated", subject_id=team_id, now=NOON + timedelta(hours=1))
    await note(services, "inbox.updated", by=by, now=NOON + timedelta(hours=2))
    assert await actions(client, boss) == ["inbox.updated", "team.updated", "team.created"]
    assert await actions(client, boss, actor_id=str(boss.id)) == ["inbox.updated", "team.created"]
    assert await actions(client, boss, subject_type="team") == ["team.updated", "team.created"]
    assert await actions(client, boss, subject_id=str(team_id), action="team.updated") == ["team.updated"]
    assert await actions(client, boss, after="2020-11-02T12:00:00Z") == ["inbox.updated", "team.updated"]
    assert await actions(client, boss, after="2020-11-02T12:00:00Z", before="2020-11-02T14:00:00Z") == ["team.updated"]
    answer = await client.get(
        AUDIT, headers=boss.headers, params={"subject_id": str(team_id), "action": "team.created"}
    )
    (entry,) = answer.json()["items"]
    assert entry["actor"] == {"kind": "agent", "id": str(boss.id), "name": "Ann"}
    assert (entry["subject"], entry["position"]) == ({"type": "team", "id": str(team_id)}, None)
    assert entry["occurred_at"] == "2020-11-02T12:00:00Z"


async def test_pages_leave_nothing_out_where_many_happened_at_once(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    for number in range(5):
        await note(services, f"tag.{number}")
    seen, cursor = [], None
    while cursor or not seen:
        params = {"limit": "2", "before": "2021-01-01T00:00:00Z"} | ({"cursor": cursor} if cursor else {})
        body = (await client.get(AUDIT, headers=boss.headers, params=params)).json()
        seen += [entry["action"] for entry in body["items"]]
        cursor = body["next_cursor"]
    assert seen == [f"tag.{number}" for number in reversed(range(5))]


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    "query", [{"actor_id": "x"}, {"after": "yesterday"}, {"cursor": "x"}, {"limit": "101"}, {"who": "me"}]
)
async def test_a_query_that_cannot_be_meant_is_refused(
    client: httpx.AsyncClient, services: Services, query: dict[str, str]
) -> None:
    boss = await factories.agent(services, role="admin")
    answer = await client.get(AUDIT, headers=boss.headers, params=query)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == list(query)


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"actor_id": new_id()},
        {"action": "team.updated"},
        {"subject_id": new_id()},
        {"subject_type": "team"},
    ],
)
async def test_each_filter_has_an_index_that_gives_its_order(database: Database, given: dict[str, Any]) -> None:
    plans: list[str] = []

    class Explained:
        async def execute(self, query: Any) -> Any:
            async with database.reading() as session:
                found = await session.execute(text(f"EXPLAIN QUERY PLAN {_literal(query, database)}"))
                plans.extend(str(row[3]) for row in found)
            raise LookupError

    with pytest.raises(LookupError):
        await audit_chain.list_entries(Explained(), **given, below=(NOON, new_id()), limit=3)  # type: ignore[arg-type]
    assert "USING INDEX ix_audit_" in plans[0]
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]


def _literal(query: Any, database: Database) -> str:
    return str(query.compile(database.engine.sync_engine, compile_kwargs={"literal_binds": True}))


@ON_ONE_DATABASE
async def test_the_commands_say_whether_the_chain_is_whole(services: Services, settings: Settings) -> None:
    await note(services, "team.created")
    with capture_logs() as logs:
        await chain_audit(services)
        await chain_audit(services)
    (logged,) = [line for line in logs if line["event"] == "audit.anchor"]
    yesterday = (clock.now() - timedelta(days=1)).date().isoformat()
    assert (logged["day"], logged["position"]) == (yesterday, 1)
    await note(services, "team.updated", now=clock.now())
    await chain_audit(services)
    lines: list[str] = []
    await auditing.export(settings, tell=lines.append)
    first, second = map(json.loads, lines)
    assert (first["position"], first["digest"], first["action"]) == (1, logged["digest"], "team.created")
    whole = f"to 2; its digest is {second['digest']}"
    kept: Any = {"day": yesterday, "digest": logged["digest"]}
    assert await auditing.verify(settings, day=None, digest=None) == (f"whole from position 1 {whole}", True)
    assert await auditing.verify(settings, **kept) == (f"whole from position 1 {whole}", True)
    line, well = await auditing.verify(settings, day=yesterday, digest="ab" * 32)
    assert (line.startswith("broken at position 1:"), well) == (True, False)
    for wrong, error in (
        ({"day": "yesterday", "digest": "ab" * 32}, Invalid),
        ({"day": yesterday, "digest": "ab"}, Invalid),
        ({"day": "2019-01-01", "digest": "ab" * 32}, NotFound),
    ):
        with pytest.raises(error):
            await auditing.verify(settings, **wrong)  # type: ignore[arg-type]


@ON_ONE_DATABASE
async def test_the_doctor_says_when_nobody_chains(services: Services, settings: Settings, tmp_path: Path) -> None:
    async def said() -> str:
        return next(line for line in (await diagnose.doctor(settings))[0] if "audit" in line)

    await note(services, "team.created", now=clock.now() - timedelta(minutes=9))
    assert await said() == "ok   audit entries not chained: none"
    await note(services, "team.created", now=clock.now() - timedelta(minutes=11))
    assert await said() == "FAIL audit entries not chained: 1; is a worker running?"
    await chain_audit(services)
    assert (await said()).startswith("ok")
