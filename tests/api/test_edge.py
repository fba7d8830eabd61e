"""What holds for every route: problems, bounds, headers, the reference, and that answers follow commits."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from helpdesk.app import create_app
from helpdesk.db import Database
from helpdesk.errors import HelpdeskError
from helpdesk.models.agents import teams
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import BASE_URL
from tests.documented import all_routes

Json = dict[str, Any]
_PUBLIC = {"/api/v1/auth/login", "/api/v1/service-hours"}
_PUBLIC |= {f"/api/v1/auth/sso{rest}" for rest in ("", "/{provider_id}/start", "/callback")}
_PUBLIC |= {f"/api/v1/auth/{word}" for word in ("forgot-password", "reset-password", "accept-invitation", "first-run")}
_WITHOUT_VERSION = {
    "/api/v1/triage/rules/{rule_name}",
    "/api/v1/me/sessions",
    "/api/v1/me/sessions/{session_id}",
    "/api/v1/agents/{agent_id}/sessions",
    "/api/v1/tokens/{token_id}",
    "/api/v1/conversations/{conversation_id}/read",
}
"""What is made and ended and never changed, and marks that are one's own."""


async def test_what_was_answered_is_committed_before_it_is_sent(services: Services) -> None:
    boss = await factories.agent(services, role="admin")
    app = create_app(services)
    seen: list[int] = []

    async def watching(scope: Any, receive: Any, send: Any) -> None:
        async def look(message: Any) -> None:
            if message["type"] == "http.response.start":
                other = Database(str(services.settings.database))
                async with other.reading() as session:
                    seen.append(len((await session.execute(select(teams.c.id))).all()))
                await other.close()
            await send(message)

        await app(scope, receive, look)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(watching), base_url=BASE_URL) as client:
        answer = await client.post("/api/v1/teams", headers=boss.headers, json={"name": "Committed"})
        await app.state.touches.settle()
    assert (answer.status_code, seen) == (201, [1])


async def test_a_commit_that_fails_is_an_error_and_not_an_answer(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    boss = await factories.agent(services, role="admin")
    app = create_app(services)
    transaction = Database.transaction

    @asynccontextmanager
    async def failing(self: Database) -> Any:
        async with transaction(self) as session:
            yield session
            raise RuntimeError("the disk with mina@customer.test on it is full")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL) as client:
        await client.get("/api/v1/me", headers=boss.headers)
        await app.state.touches.settle()
        monkeypatch.setattr(Database, "transaction", failing)
        answer = await client.post("/api/v1/teams", headers=boss.headers, json={"name": "Lost"})
    assert answer.status_code == 500
    assert answer.json() == {
        "type": "urn:helpdesk:problem:internal",
        "title": HelpdeskError.title,
        "status": 500,
        "detail": HelpdeskError.title,
    }


@pytest.mark.parametrize("content", [b"{", b'{"name": "\\ud800"}', b"[" * 100_000, b'"x"', b"\xff", b""])
async def test_a_body_that_is_no_use_is_a_problem_of_the_caller(
    content: bytes, client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    headers = {**boss.headers, "Content-Type": "application/json"}
    answer = await client.post("/api/v1/teams", headers=headers, content=content)
    assert answer.status_code in (400, 422), answer.text


async def test_a_problem_never_repeats_what_was_sent(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="admin")
    body = {"email": "x", "name": "y", "password": "hunter2", "role": "hunter2", "hunter": "hunter2"}
    answer = await client.post("/api/v1/agents", headers=boss.headers, json=body)
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"password", "role", "hunter"}
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_has_a_bound_whether_its_length_is_declared_or_not(
    declared: bool, client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")

    async def pieces() -> Any:
        for _ in range(40):
            yield b" " * 65536

    headers = {**boss.headers, "Content-Type": "application/json"}
    content: Any = b" " * (2 * 1024 * 1024) if declared else pieces()
    answer = await client.post("/api/v1/teams", headers=headers, content=content)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:helpdesk:problem:too_large")


async def test_unknown_places_and_methods_are_problems_too(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    unknown = await client.get("/api/v1/nothing", headers=anna.headers)
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
    method = await client.put("/api/v1/conversations", headers=anna.headers)
    assert (method.status_code, method.json()["type"]) == (405, "urn:helpdesk:problem:method_not_allowed")
    odd = await client.get("/api/v1/conversations/not-an-id", headers=anna.headers)
    assert odd.status_code == 404


async def test_answers_are_not_sniffed_cached_or_framed(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    headers = (await client.get("/api/v1/me", headers=anna.headers)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


async def test_a_database_that_is_away_is_503(services: Services, tmp_path: Any) -> None:
    from dataclasses import replace

    away = replace(services, database=Database("postgresql+asyncpg://nobody@127.0.0.1:9/none"))
    app = create_app(away)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL) as client:
        for path in ("/health/ready", "/api/v1/me", "/metrics"):
            answer = await client.get(path, headers={"Authorization": "Bearer hd_" + "x" * 43})
            assert answer.status_code == 503, path
            assert answer.headers["retry-after"]
        assert (await client.get("/health/live")).status_code == 200
    await away.database.close()


async def test_a_database_without_the_schema_is_not_ready(services: Services, tmp_path: Any) -> None:
    from dataclasses import replace

    empty = Database(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")
    app = create_app(replace(services, database=empty))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL) as client:
        answer = await client.get("/health/ready")
    await empty.close()
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:helpdesk:problem:wrong_schema")


async def test_metrics_count_and_name_nobody(client: httpx.AsyncClient, services: Services) -> None:
    desk = await factories.inbox(services)
    await factories.conversation(services, inbox_id=desk, handle="mina@customer.test")
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'helpdesk_conversations{status="open"} 1.0' in answer.text
    assert "customer.test" not in answer.text
    here = "stream_clients 0.0", "visitors 0.0", "visitor_connections 0.0"
    for line in ('deliveries{status="queued"} 0.0', *here, "sla_breaches_total 0", 'ratings{score="5"}'):
        assert f"helpdesk_{line}" in answer.text
    await factories.conversation(services, inbox_id=desk)
    assert 'helpdesk_conversations{status="open"} 1.0' in (await client.get("/metrics")).text


async def test_the_reference_is_complete(client: httpx.AsyncClient, services: Services) -> None:
    document: Json = (await client.get("/openapi.json")).json()
    known = set(document["components"]["schemas"])
    references = set(re.findall(r"#/components/schemas/([\w.-]+)", str(document)))
    assert references <= known
    for route in all_routes(create_app(services)):
        for method in route.methods - {"HEAD"} if route.include_in_schema else ():
            operation = document["paths"][route.path][method.lower()]
            assert operation["summary"], route.path
            assert operation["description"], route.path
            if route.path.startswith("/api/") and route.path not in _PUBLIC:
                assert {"401", "422", "500"} <= set(operation["responses"]), route.path
                assert operation["security"]
            if method in ("PATCH", "DELETE") and route.path not in _WITHOUT_VERSION:
                assert {"404", "412", "428"} <= set(operation["responses"]), route.path


async def test_the_readable_reference_loads_and_runs_nothing(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "/api/v1/conversations" in page.text
    assert not re.search(
        r"<(?!/?(html|head|meta|title|style|body|h[123]|nav|p|a|b|br|small|code|pre|table|tr|td|details|summary)\b|!)",
        page.text,
    )
    assert set(re.findall(r"<[a-z0-9]+ ([a-z]+)=", page.text)) <= {"lang", "charset", "name", "style", "href", "id"}
    links = set(re.findall(r"href='([^']*)'", page.text))
    chapters = {f"#{one}" for one in re.findall(r"<h2 id='([^']*)'", page.text)}
    assert links == {"/openapi.json"} | chapters
    assert len(chapters) > 20
