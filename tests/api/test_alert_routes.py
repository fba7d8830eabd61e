"""Chat rooms for alerts as administrators set them up, posted to over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from helpdesk import clock
from helpdesk.domain.chat_tools import ChatTool
from helpdesk.models.alerts import alert_routes
from helpdesk.models.events import audit
from helpdesk.net import AllowList, Guard, safe_http
from helpdesk.services import alert_routes as service
from helpdesk.services.alert_routes import Opened, PostFailed
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.peers.http_receiver import HttpReceiver

URL = "/api/v1/alert-routes"
HOOK = "https://hooks.slack.com/services/T0/B0/hush"
GIVEN: dict[str, Any] = {"name": "On call", "kind": "slack", "address": {"url": HOOK}}
OK = {
    "slack": b"ok",
    "feishu": b'{"code":0,"msg":"success"}',
    "dingtalk": b'{"errcode":0}',
    "wecom": b'{"errcode":0}',
    "teams": b"",
    "telegram": b'{"ok":true}',
    "discord": b"",
}
REACHED = {
    "slack": {"url": HOOK},
    "feishu": {"url": "https://open.feishu.cn/open-apis/bot/v2/hook/hush", "signing_secret": "secret"},
    "dingtalk": {"url": "https://oapi.dingtalk.com/robot/send?access_token=hush", "signing_secret": "secret"},
    "wecom": {"url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=hush"},
    "teams": {"url": "https://prod.logic.azure.com/workflows/hush"},
    "telegram": {"bot_token": "123456:hushhushhush", "chat_id": "-100"},
    "discord": {"url": "https://discord.com/api/webhooks/1/hush"},
}


@pytest.fixture
async def boss(services: Services) -> factories.Someone:
    return await factories.agent(services, role="admin")


@pytest.fixture
async def receiver() -> AsyncIterator[HttpReceiver]:
    async with HttpReceiver() as opened:
        yield opened


async def _audited(services: Services) -> list[Any]:
    async with services.database.reading() as session:
        found = await session.execute(
            select(audit.c.action, audit.c.data).where(audit.c.subject_type == "alert_route").order_by(audit.c.id)
        )
        return [tuple(row) for row in found]


async def test_an_address_is_stored_sealed_and_shown_to_nobody(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    answer = await client.post(URL, headers=boss.headers, json=GIVEN)
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    assert (shown["host"], shown["address"], shown["severity"]) == ("hooks.slack.com", ["url"], "warning")
    listed = (await client.get(URL, headers=boss.headers)).json()["items"]
    read = (await client.get(answer.headers["location"], headers=boss.headers)).json()
    assert listed == [read] == [shown]
    async with services.database.reading() as session:
        row = (await session.execute(select(alert_routes))).mappings().one()
    assert b"hush" not in row["secret"]
    assert service.open_route(services, row) == Opened(ChatTool.SLACK, {"url": HOOK})
    assert "hush" not in answer.text + str(await _audited(services))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "pigeon"}, "kind"),
        ({"kind": "telegram"}, "address.url"),
        ({"address": {}}, "address.url"),
        ({"address": {"url": "https://evil.example.com/services/T0"}}, "address.url"),
        ({"address": {"url": HOOK, "api_url": "http://10.0.0.5"}}, "address.api_url"),
        ({"address": {"url": HOOK, "api_url": "http://169.254.169.254"}}, "address.api_url"),
        ({"address": {"url": HOOK, "token": "x"}}, "address.token"),
        ({"severity": "loud"}, "severity"),
        ({"name": " "}, "name"),
        ({"secret": "x"}, "secret"),
    ],
)
@ON_ONE_DATABASE
async def test_what_cannot_be_used_is_refused_with_its_field(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone, change: dict[str, Any], field: str
) -> None:
    answer = await client.post(URL, headers=boss.headers, json=GIVEN | change)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "hush" not in answer.text
    assert await _audited(services) == []


async def test_a_changed_address_is_changed_as_a_whole_and_leaves_both_hosts_in_the_audit(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    team = await factories.team(services)
    given = {"name": "Room", "kind": "feishu", "address": REACHED["feishu"], "team_id": str(team)}
    made = (await client.post(URL, headers=boss.headers, json=given)).json()
    url, lark = f"{URL}/{made['id']}", "https://open.larksuite.com/open-apis/bot/v2/hook/new"
    change = {"address": {"url": lark}, "team_id": None, "severity": "critical", "name": None}
    answer = await client.patch(url, headers=boss.headers | {"If-Match": '"1"'}, json=change)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["host"], shown["address"], shown["team_id"]) == ("open.larksuite.com", ["url"], None)
    assert (shown["name"], shown["severity"], shown["version"]) == ("Room", "critical", 2)
    assert (await client.patch(url, headers=boss.headers | {"If-Match": '"1"'}, json={})).status_code == 412
    assert (await client.patch(url, headers=boss.headers, json={})).status_code == 428
    assert (await client.delete(url, headers=boss.headers | {"If-Match": '"2"'})).status_code == 204
    assert (await client.get(url, headers=boss.headers)).status_code == 404
    hosts = {"host_before": "open.feishu.cn", "host": "open.larksuite.com"}
    assert await _audited(services) == [
        ("alert_route.created", {"host": "open.feishu.cn"}),
        ("alert_route.updated", {"fields": ["address", "severity", "team_id"], **hosts}),
        ("alert_route.removed", {"name": "Room"}),
    ]


async def test_names_are_taken_once_and_teams_have_to_be_there(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    assert (await client.post(URL, headers=boss.headers, json=GIVEN)).status_code == 201
    taken = await client.post(URL, headers=boss.headers, json=GIVEN)
    assert (taken.status_code, taken.json()["type"]) == (409, "urn:helpdesk:problem:name_taken")
    other = (await client.post(URL, headers=boss.headers, json=GIVEN | {"name": "Other"})).json()
    headers = boss.headers | {"If-Match": '"1"'}
    renamed = await client.patch(f"{URL}/{other['id']}", headers=headers, json={"name": "On call"})
    assert renamed.status_code == 409
    nowhere = {"name": "Third", "team_id": other["id"]}
    assert (await client.post(URL, headers=boss.headers, json=GIVEN | nowhere)).status_code == 404


@pytest.mark.parametrize("kind", REACHED)
@ON_ONE_DATABASE
async def test_a_test_is_posted_at_once_in_the_language_of_the_room(
    client: httpx.AsyncClient, boss: factories.Someone, receiver: HttpReceiver, kind: str
) -> None:
    receiver.answer(200, body=OK[kind])
    given = {"name": "Room", "kind": kind, "address": {**REACHED[kind], "api_url": receiver.url("")}, "locale": "zh-CN"}
    made = (await client.post(URL, headers=boss.headers, json=given)).json()
    answer = await client.post(f"{URL}/{made['id']}/test", headers=boss.headers)
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "error": ""})
    (request,) = receiver.requests
    assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
    assert "hush" in request.target
    assert "测试" in str(request.json())
    assert ("sign" in request.target + str(request.json())) is (kind in ("feishu", "dingtalk"))


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"status": 404, "body": b"no_service: hush"}, "refused"),
        ({"status": 503}, "unavailable"),
        ({"status": 429}, "rate_limited"),
        ({"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}}, "refused"),
        ({"hang_up": True}, "protocol"),
    ],
)
async def test_a_test_that_fails_tells_the_class_and_not_the_words(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone, receiver: HttpReceiver, how: Any, error: str
) -> None:
    receiver.answer(**how)
    route_id = await factories.alert_route(services, url=HOOK, api_url=receiver.url(""))
    answer = await client.post(f"{URL}/{route_id}/test", headers=boss.headers)
    assert answer.json() == {"ok": False, "error": error}
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind", "permanent"),
    [
        (200, b'{"code":19021}', "refused", True),
        (200, b'{"code":11232}', "rate_limited", False),
        (200, b"<html>", "unreadable", False),
        (404, b"", "refused", True),
    ],
)
async def test_a_post_that_fails_says_whether_it_is_worth_trying_again(
    receiver: HttpReceiver, status: int, body: bytes, kind: str, permanent: bool
) -> None:
    opened = Opened(ChatTool.FEISHU, REACHED["feishu"] | {"api_url": receiver.url("")})
    receiver.answer(status, {"Retry-After": "60"}, body=body)
    async with safe_http(Guard(AllowList.parse(["127.0.0.0/8"]))) as http:
        with pytest.raises(PostFailed) as failed:
            await service.post(http, opened, "Hello", now=clock.now())
    assert (failed.value.kind, failed.value.permanent) == (kind, permanent)
    assert failed.value.wait.total_seconds() == 60


async def test_a_room_inside_is_not_posted_to_without_the_operators_word(receiver: HttpReceiver) -> None:
    opened = Opened(ChatTool.SLACK, REACHED["slack"] | {"api_url": receiver.url("")})
    async with safe_http(Guard(AllowList())) as http:
        with pytest.raises(PostFailed) as failed:
            await service.post(http, opened, "Hello", now=clock.now())
    assert (failed.value.kind, failed.value.permanent, receiver.connections) == ("blocked", False, 0)
