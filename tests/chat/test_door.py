"""Who comes in by HTTP: origins, tokens, identities, rates, and that no token is ever where it does not belong."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog
from sqlalchemy import update

from helpdesk import clock
from helpdesk.app import create_app
from helpdesk.hosting import VisitorHost
from helpdesk.live import Upload, Visitor
from helpdesk.models.visitors import visitor_sessions
from helpdesk.services.house import Services
from helpdesk.services.visiting import VisitorHub
from tests import factories
from tests.chat.wire import SECRET, SITE, Wire, begin, inbox
from tests.conftest import BASE_URL, ON_ONE_DATABASE
from tests.live import Served

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
NOWHERE = "018f3a3c-7d2e-7c11-9b1a-5d1e2f3a4b5c"

ROUTES: dict[str, Any] = {
    "GET /{inbox_id}/config": None,
    "POST /{inbox_id}/sessions": {},
    "POST /session/identify": {"identity": "x"},
    "GET /messages": None,
    "POST /messages": {"client_id": "a", "text": "hello"},
    "GET /events": None,
    "POST /read": {"seq": 0},
    "POST /typing": {"ttl": 0},
    "POST /attachments": None,
    f"GET /attachments/{NOWHERE}": None,
    "POST /email": {"email": "mina@customer.test"},
    "POST /email/verify": {"code": "123456"},
    "POST /rating": {"score": 5},
    "POST /transcript": None,
    "POST /leave": None,
    "POST /feedback": {"client_id": "b", "category": "feedback", "text": "nice"},
    "DELETE /session": None,
}
"""Every route, with a body that it can read. The last one ends the session."""


def _jwt(inbox_id: UUID, **given: Any) -> str:
    claims = {"aud": str(inbox_id), "sub": "4711", "jti": "once", "exp": int(time.time()) + 600, **given}
    signed = f"{_b64(json.dumps({'alg': 'HS256'}).encode())}.{_b64(json.dumps(claims).encode())}"
    return f"{signed}.{_b64(hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest())}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _slug(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).removeprefix("urn:helpdesk:problem:")


async def _visitor(client: httpx.AsyncClient, inbox_id: UUID, **given: Any) -> str:
    answer = await client.post(f"/channels/chat/{inbox_id}/sessions", json=given)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


async def _ask(client: httpx.AsyncClient, route: str, inbox_id: UUID, headers: Any, query: str = "") -> httpx.Response:
    method, _, path = route.partition(" ")
    address = f"/channels/chat{path.format(inbox_id=inbox_id)}{query}"
    if path == "/attachments":
        return await client.post(address, headers=headers, files={"file": ("a.png", PNG, "image/png")})
    return await client.request(method, address, headers=headers, json=ROUTES[route])


@ON_ONE_DATABASE
async def test_no_route_serves_a_site_that_is_not_on_the_list_and_none_lets_it_read_why(
    client: httpx.AsyncClient, services: Services
) -> None:
    inbox_id, other = await inbox(services), await inbox(services, origins="https://other.example")
    token = await _visitor(client, inbox_id)
    for route in ROUTES:
        for origin in ("https://evil.example", "null", "https://wallet.example.evil.example", "http://wallet.example"):
            answer = await _ask(client, route, inbox_id, {**_bearer(token), "Origin": origin})
            assert (answer.status_code, _slug(answer)) == (403, "origin_refused"), (route, origin)
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"
        # A site of another inbox is no better, once it is known which inbox it is about.
        answer = await _ask(client, route, inbox_id, {**_bearer(token), "Origin": "https://other.example"})
        assert (answer.status_code, _slug(answer)) == (403, "origin_refused"), route
        assert "access-control-allow-origin" not in answer.headers
    twice = [("Authorization", f"Bearer {token}"), ("Origin", SITE), ("Origin", "https://evil.example")]
    assert _slug(await client.get("/channels/chat/messages", headers=twice)) == "origin_refused"
    assert other != inbox_id


@ON_ONE_DATABASE
async def test_a_site_on_the_list_may_read_answers_and_refusals_and_an_app_names_none(
    client: httpx.AsyncClient, services: Services
) -> None:
    inbox_id = await inbox(services)
    token = await _visitor(client, inbox_id)
    for origin in (SITE, BASE_URL):
        answer = await client.get("/channels/chat/messages", headers={**_bearer(token), "Origin": origin})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
        answer = await client.get("/channels/chat/messages", headers={**_bearer("wrong"), "Origin": origin})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, origin)
    answer = await client.get("/channels/chat/messages", headers=_bearer(token))
    assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (200, False)


@ON_ONE_DATABASE
async def test_a_preflight_is_answered_for_sites_on_a_list_and_for_no_other(
    client: httpx.AsyncClient, services: Services
) -> None:
    inbox_id = await inbox(services)
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    for route in ROUTES:
        path = f"/channels/chat{route.partition(' ')[2].format(inbox_id=inbox_id)}"
        answer = await client.options(path, headers={"Origin": SITE, **asks})
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == SITE
        assert {"authorization", "content-type"} <= _listed(answer, "access-control-allow-headers")
        assert {"get", "post", "delete"} <= _listed(answer, "access-control-allow-methods")
        assert answer.headers["vary"] == "Origin"
        refused = await client.options(path, headers={"Origin": "https://evil.example", **asks})
        assert refused.status_code == 403
        assert not [name for name in refused.headers if name.startswith("access-control")]


def _listed(answer: httpx.Response, name: str) -> set[str]:
    return {word.strip().lower() for word in answer.headers[name].split(",")}


@ON_ONE_DATABASE
async def test_a_token_in_an_address_is_refused_by_every_route_whether_it_is_good_or_not(
    client: httpx.AsyncClient, services: Services
) -> None:
    inbox_id = await inbox(services)
    token = await _visitor(client, inbox_id)
    for route in ROUTES:
        for name in ("token", "access_token"):
            for headers in ({}, _bearer(token)):
                answer = await _ask(client, route, inbox_id, headers, f"?{name}={token}")
                assert (answer.status_code, _slug(answer)) == (400, "query_refused"), route
                assert token not in answer.text
    for path in (f"/channels/chat/messages/?token={token}", f"/api/v1/conversations/?token={token}"):
        astray = await client.get(path, headers=_bearer(token))
        assert (astray.status_code, token in str(astray.headers) + astray.text) == (404, False)
    twice = await client.get("/channels/chat/messages?limit=1&limit=2", headers=_bearer(token))
    assert _slug(twice) == "query_refused"


@ON_ONE_DATABASE
async def test_a_session_that_is_over_or_never_was_opens_nothing(client: httpx.AsyncClient, services: Services) -> None:
    inbox_id = await inbox(services)
    expired, left = await _visitor(client, inbox_id), await _visitor(client, inbox_id)
    async with services.database.transaction() as session:
        await session.execute(update(visitor_sessions).values(expires_at=clock.now() - timedelta(seconds=1)))
    good = await _visitor(client, inbox_id)
    left = await _visitor(client, inbox_id)
    assert (await client.delete("/channels/chat/session", headers=_bearer(left))).status_code == 204
    wrong = [_bearer(token) for token in (expired, left, "", good[:-1], good + "A", "x" * 5000, "é" * 20)]
    wrong += [{"Authorization": good}, {"Authorization": f"Basic {good}"}, {"Cookie": f"token={good}"}, {}]
    for headers in wrong:
        raw = {name: value.encode() for name, value in headers.items()}
        answer = await client.get("/channels/chat/messages", headers=raw)
        assert (answer.status_code, _slug(answer)) == (401, "session_refused"), headers
        assert answer.headers["www-authenticate"] == "Bearer"
    for route in list(ROUTES)[2:]:
        assert _slug(await _ask(client, route, inbox_id, _bearer(expired))) == "session_refused", route
    assert (await client.get("/channels/chat/messages", headers=_bearer(good))).status_code == 200


@ON_ONE_DATABASE
async def test_an_agents_token_is_no_visitors_and_a_visitors_opens_nothing_of_the_desk(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    token = await _visitor(client, await inbox(services))
    assert (await client.get("/channels/chat/messages", headers=boss.headers)).status_code == 401
    assert (await client.get("/api/v1/conversations", headers=_bearer(token))).status_code == 401


@ON_ONE_DATABASE
async def test_what_a_form_asks_for_is_told_before_and_held_to_afterwards(
    client: httpx.AsyncClient, services: Services
) -> None:
    inbox_id = await inbox(services, prechat="name*,email,category*,transaction_hash", default_language="zh-TW")
    shown = (await client.get(f"/channels/chat/{inbox_id}/config")).json()
    assert [(field["name"], field["required"]) for field in shown["prechat"]] == [
        ("name", True),
        ("email", False),
        ("category", True),
        ("transaction_hash", False),
    ]
    (options,) = [field["options"] for field in shown["prechat"] if "options" in field]
    assert shown["categories"] == options, "what feedback can be about"
    assert {"value": "account", "name": {"en": "Account", "zh-CN": "账户", "zh-TW": "帳戶"}} in options
    assert (shown["default_language"], shown["identity"], shown["limits"]["text"]) == ("zh-TW", True, 8000)
    address = f"/channels/chat/{inbox_id}/sessions"
    for given, field in (
        ({}, "prechat.name"),
        ({"name": " ", "category": "account"}, "prechat.name"),
        ({"name": "Mina", "category": "gambling"}, "prechat.category"),
        ({"name": "Mina", "category": "account", "email": "mina"}, "prechat.email"),
        ({"name": "Mina", "category": "account", "wallet_address": "0x"}, "prechat.wallet_address"),
        ({"name": "x" * 201, "category": "account"}, "prechat.name"),
        ({"name": ["Mina"], "category": "account"}, "prechat.name"),
    ):
        answer = await client.post(address, json={"prechat": given})
        assert (answer.status_code, _slug(answer)) == (422, "bad_frame")
        assert field in {error["field"] for error in answer.json()["errors"]}
        assert "gambling" not in answer.text
    await factories.inbox(services)  # without one that writes letters no address is anybody's
    known = _jwt(inbox_id, name="Mina Park", email="mina@customer.test")
    begun = await client.post(address, json={"identity": known})
    assert begun.status_code == 201, "whoever is vouched for skips the form"
    assert begun.json()["visitor"] | {"id": ""} == {"id": "", "identified": True, "email": "mina@customer.test"}


@ON_ONE_DATABASE
async def test_an_identity_counts_once_and_for_its_own_inbox_and_nothing_is_told_of_a_wrong_one(
    client: httpx.AsyncClient, services: Services
) -> None:
    inbox_id, other = await inbox(services), await inbox(services)
    good, address = _jwt(inbox_id, email="mina@customer.test"), f"/channels/chat/{inbox_id}/sessions"
    anonymous = await _visitor(client, inbox_id)
    assert (await client.post(address, json={"identity": good})).status_code == 201
    wrong = (good, _jwt(other), good[:-4] + "AAAA", _jwt(inbox_id, jti="late", exp=int(time.time()) - 120), "a.b.c")
    for identity in wrong:
        for path, headers in ((address, {}), ("/channels/chat/session/identify", _bearer(anonymous))):
            answer = await client.post(path, json={"identity": identity}, headers=headers)
            assert (answer.status_code, _slug(answer)) == (403, "identity_refused")
            assert identity not in answer.text
            assert "mina" not in answer.text
    answer = await client.post(
        "/channels/chat/session/identify", json={"identity": _jwt(inbox_id, jti="two")}, headers=_bearer(anonymous)
    )
    assert (answer.status_code, answer.json()["visitor"]["identified"]) == (201, True)
    assert (await client.get("/channels/chat/messages", headers=_bearer(anonymous))).status_code == 401
    renewed = _bearer(answer.json()["token"])
    assert (await client.get("/channels/chat/messages", headers=renewed)).status_code == 200


@ON_ONE_DATABASE
async def test_inboxes_that_are_not_there_not_active_or_of_another_channel_are_all_not_found(
    client: httpx.AsyncClient, services: Services
) -> None:
    await inbox(services)
    mail = await factories.inbox(services)
    for found in (NOWHERE, mail):
        for method, path in (("GET", "config"), ("POST", "sessions")):
            answer = await client.request(
                method, f"/channels/chat/{found}/{path}", json={} if path != "config" else None
            )
            assert (answer.status_code, _slug(answer)) == (404, "not_found")
    assert (await client.get("/channels/chat/not-an-id/config")).status_code == 404


@ON_ONE_DATABASE
async def test_whoever_is_too_fast_is_told_how_long_to_wait_and_the_others_are_not(
    client: httpx.AsyncClient, services: Services
) -> None:
    inbox_id = await inbox(services)
    mina, tom = await _visitor(client, inbox_id), await _visitor(client, inbox_id)
    for _ in range(10):
        assert (await client.post("/channels/chat/typing", headers=_bearer(mina), json={"ttl": 0})).status_code == 204
    answer = await client.post("/channels/chat/typing", headers=_bearer(mina), json={"ttl": 0})
    assert (answer.status_code, _slug(answer)) == (429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) == answer.json()["retry_after"] <= 10
    assert (await client.post("/channels/chat/typing", headers=_bearer(tom), json={"ttl": 0})).status_code == 204
    assert (await client.post("/channels/chat/read", headers=_bearer(mina), json={"seq": 0})).status_code == 204
    for _ in range(28):
        await _visitor(client, inbox_id)
    answer = await client.post(f"/channels/chat/{inbox_id}/sessions", json={})
    assert (answer.status_code, _slug(answer)) == (429, "rate_limited")


@ON_ONE_DATABASE
async def test_a_fault_of_ours_says_nothing_of_itself_and_a_page_may_read_that(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox_id = await inbox(services)
    token = await _visitor(client, inbox_id)

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"cannot store hello of mina@customer.test under {token}")

    monkeypatch.setattr(VisitorHost, "say", fail)
    with structlog.testing.capture_logs() as logs:
        answer = await _ask(client, "POST /messages", inbox_id, {**_bearer(token), "Origin": SITE})
    assert (answer.status_code, _slug(answer)) == (500, "internal")
    assert answer.headers["access-control-allow-origin"] == SITE
    assert "mina" not in answer.text + str(logs)
    assert token not in answer.text + str(logs)
    (told,) = logs
    assert (told["event"], told["error"], told["route"]) == (
        "chat_request_failed",
        "RuntimeError",
        "/messages",
    )


async def test_what_a_database_cannot_store_is_refused_or_cleaned_and_never_a_fault_of_ours(
    client: httpx.AsyncClient, services: Services
) -> None:
    inbox_id = await inbox(services, prechat="name,email,account")
    token = await _visitor(client, inbox_id)
    told = []
    for number, odd in enumerate(
        ("a\u0000b", "\u0000", "a\r\nBcc: b", "\x1b[31m", "\u202egpj.exe", "\uffff", "😀" * 50)
    ):
        form = {"name": odd, "account": odd, "email": f"{odd}@customer.test"}
        about = {"client_id": f"f{number}", "category": "feedback", "text": odd, "device": odd, "app_version": odd}
        files = {"file": (odd, PNG, "image/png")}
        told += [
            await client.post(f"/channels/chat/{inbox_id}/sessions", json={"prechat": form}),
            await client.post(
                "/channels/chat/messages", json={"client_id": f"m{number}", "text": odd}, headers=_bearer(token)
            ),
            await client.post("/channels/chat/feedback", json=about, headers=_bearer(token)),
            await client.post("/channels/chat/attachments", files=files, headers=_bearer(token)),
            await client.post("/channels/chat/rating", json={"score": 5, "comment": odd}, headers=_bearer(token)),
            await client.post("/channels/chat/email", json={"email": f"{odd}@customer.test"}, headers=_bearer(token)),
        ]
    last = 2**31 - 1
    told += [
        await client.post("/channels/chat/read", json={"seq": last}, headers=_bearer(token)),
        await client.get(f"/channels/chat/messages?after_seq={last}", headers=_bearer(token)),
        await client.get(f"/channels/chat/messages?after_seq={last + 1}", headers=_bearer(token)),
    ]
    assert {answer.status_code for answer in told} <= {200, 201, 204, 400, 409, 422}


@ON_ONE_DATABASE
async def test_a_file_is_taken_as_it_is_served_and_one_that_is_too_large_is_not_taken(
    client: httpx.AsyncClient, services: Services
) -> None:
    inbox_id = await inbox(services)
    token, other = await _visitor(client, inbox_id), await _visitor(client, inbox_id)
    kept = await client.post(
        "/channels/chat/attachments", headers=_bearer(token), files={"file": ("图 1.png", PNG, "text/html")}
    )
    assert (kept.status_code, kept.json()["content_type"], kept.json()["size"]) == (201, "image/png", len(PNG))
    address = f"/channels/chat/attachments/{kept.json()['id']}"
    shown = await client.get(address, headers=_bearer(token))
    assert (shown.content, shown.headers["content-type"]) == (PNG, "image/png")
    assert shown.headers["content-disposition"] == "attachment; filename*=UTF-8''%E5%9B%BE%201.png"
    assert shown.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert (await client.get(address, headers=_bearer(other))).status_code == 404
    large = services.settings.max_upload_mb * 1024 * 1024 + 1
    for files, status in (
        ({"file": ("a.bin", b"x" * large, "text/plain")}, 413),
        ({"other": ("a.bin", b"x", "text/plain")}, 422),
        ({"file": (None, "x")}, 422),
    ):
        answer = await client.post("/channels/chat/attachments", headers=_bearer(token), files=files)
        assert answer.status_code == status, answer.text
    headers = {**_bearer(token), "Content-Type": "multipart/form-data"}
    answer = await client.post("/channels/chat/attachments", headers=headers, content=b"no boundary")
    assert answer.status_code == 422


@ON_ONE_DATABASE
async def test_whoever_does_not_take_his_files_holds_no_more_of_them_in_memory(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.chat.door._FILES_EACH", 2)
    monkeypatch.setattr("connectors.chat.files.PATIENCE_SECONDS", 0.3)
    app, inbox_id = create_app(services), await inbox(services)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL) as client:
        token = await _visitor(client, inbox_id)
        sent = {"file": ("a.png", PNG, "image/png")}
        kept = await client.post("/channels/chat/attachments", headers=_bearer(token), files=sent)
        address = f"/channels/chat/attachments/{kept.json()['id']}"

        async def take(path: str) -> None:
            """Does not read: what is sent to him waits."""
            headers = [(b"authorization", f"Bearer {token}".encode())]
            scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "query_string": b""}

            async def receive() -> MutableMapping[str, Any]:
                return await asyncio.Future()

            async def send(message: MutableMapping[str, Any]) -> None:
                began.set()
                await asyncio.Future()

            await app({**scope, "app": app, "client": ("198.51.100.7", 1)}, receive, send)

        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                began = asyncio.Event()
                slow = group.create_task(take(address))
                await began.wait()
            refused = await client.get(address, headers=_bearer(token))
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        assert slow.done()
        # They were cut off, and their room is free again; so it is after one that is not there.
        for _ in range(3):
            gone = await client.get(f"/channels/chat/attachments/{NOWHERE}", headers=_bearer(token))
            assert gone.status_code == 404
            assert (await client.get(address, headers=_bearer(token))).content == PNG


@ON_ONE_DATABASE
async def test_of_many_uploads_few_are_in_memory_at_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, upload = 0, 0, VisitorHost.upload

    async def counted(host: VisitorHost, visitor: Visitor, **given: Any) -> Upload:
        nonlocal inside, most
        inside, most = inside + 1, max(most, inside + 1)
        try:
            return await upload(host, visitor, **given)
        finally:
            inside -= 1

    monkeypatch.setattr(VisitorHost, "upload", counted)
    inbox_id = await inbox(services)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(services)), base_url=BASE_URL) as client:
        headers, files = _bearer(await _visitor(client, inbox_id)), {"file": ("a.png", PNG, "image/png")}
        calls = [client.post("/channels/chat/attachments", headers=headers, files=files) for _ in range(10)]
        assert [answer.status_code for answer in await asyncio.gather(*calls)] == [201] * 10
    assert most <= 4


@ON_ONE_DATABASE
async def test_no_token_identity_address_or_text_is_in_any_address_or_log_of_a_busy_day(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything is logged that any library would log, and every route is asked by all kinds of people."""
    caplog.set_level(logging.DEBUG)
    inbox_id = await inbox(services)
    secrets = ["mina@customer.test", "hello there", "evil.example"]
    asked: list[str] = []
    with structlog.testing.capture_logs() as logs:
        async with Served(services) as served:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as client:
                identity = _jwt(inbox_id, email="mina@customer.test")
                token = await begin(served.port, inbox_id, identity=identity)
                secrets += [token, identity, "wrong-token-of-nobody"]
                for route in list(ROUTES)[:-1]:
                    if route != "GET /events":
                        for headers in (
                            _bearer(token),
                            _bearer("wrong-token-of-nobody"),
                            {"Origin": "https://evil.example"},
                        ):
                            answer = await _ask(client, route, inbox_id, headers)
                            asked.append(str(answer.request.url))
                        await _ask(client, route, inbox_id, {}, f"?token={token}")
            async with Wire(served.port) as wire, Wire(served.port, f"/channels/chat/ws?token={token}") as refused:
                assert refused.status == 400
                await wire.hello(token)
                await wire.ask({"type": "message.send", "client_id": "c", "text": "hello there"})
                wire.send('{"type":"hello there')
                wire.write(b"\x81\x82\0\0\0\0\xff\xff")
                assert await wire.end() == 1007
            async with Wire(served.port) as wire:
                wire.send({"type": "hello", "token": "wrong-token-of-nobody"})
                assert await wire.end() == 4001
    # Not the other side's (httpx), nor the statements that a database driver writes when it is told to.
    told = str(logs) + "".join(
        r.getMessage() + str(r.exc_text) for r in caplog.records if r.name.split(".")[0] in _OURS
    )
    assert not [secret for secret in secrets if secret in told]
    assert len(asked) > 40
    assert not [secret for secret in secrets if secret in "".join(asked)]


_OURS = ("helpdesk", "uvicorn", "websockets", "starlette", "fastapi", "root", "asyncio")


@ON_ONE_DATABASE
def test_no_route_is_left_out_of_these(services: Services) -> None:
    host = VisitorHost(services, VisitorHub(services), services.channels["chat"])
    found = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for route in services.channels["chat"].load_routes()(host).routes
        for method in getattr(route, "methods", None) or ()
    }
    told = {route.replace(NOWHERE, "{attachment_id:uuid}").replace("inbox_id}", "inbox_id:uuid}") for route in ROUTES}
    asked = {f"OPTIONS {route.partition(' ')[2]}" for route in told}
    files = {f"GET /{name}" for name in ("widget.js", "feedback.js", "handoff.js", "demo.js", "demo.css")}
    assert {route for route in found if not route.startswith("HEAD ")} == told | asked | files


@ON_ONE_DATABASE
def test_the_routes_of_visitors_are_not_in_the_reference_of_agents(services: Services) -> None:
    assert not [path for path in create_app(services).openapi()["paths"] if path.startswith("/channels")]
