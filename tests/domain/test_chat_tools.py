"""Addresses, posts and answers of each chat tool. Signatures are held against an HMAC of Python's own."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from helpdesk.domain import chat_tools
from helpdesk.domain.chat_tools import ChatTool
from helpdesk.domain.contents import Wrong

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOKEN = "123456:ABC-DEF_ghi12345"
ADDRESSES: dict[str, dict[str, str]] = {
    "slack": {"url": "https://hooks.slack.com/services/T0/B0/abc"},
    "feishu": {"url": "https://open.feishu.cn/open-apis/bot/v2/hook/abc"},
    "dingtalk": {"url": "https://oapi.dingtalk.com/robot/send?access_token=abc"},
    "wecom": {"url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abc"},
    "teams": {"url": "https://prod-1.westeurope.logic.azure.com/workflows/abc?sig=x"},
    "telegram": {"bot_token": TOKEN, "chat_id": "-1001234"},
    "discord": {"url": "https://discord.com/api/webhooks/1/abc"},
}
HOSTILE = (
    'Breach of #7: <!channel> <@U1> <at user_id="all">x</at> @all @所有人 @everyone\n'
    "[your wallet](https://evil.example.com) <https://evil.example.com|bank> mina@example.com\u202egnp & co\x07 *b*\n"
    "https://desk.example.com/c/7"
)


def _post(kind: str, text: str = "Hello", **more: str) -> tuple[str, dict[str, Any]]:
    tool = ChatTool(kind)
    address = chat_tools.check_address(tool, {**ADDRESSES[kind], **more})
    return chat_tools.request(tool, address, text, now=NOW)


def _said(kind: str, text: str) -> str:
    _, body = _post(kind, text)
    if kind == "teams":
        inlines = body["attachments"][0]["content"]["body"][0]["inlines"]
        return "".join(part["text"] for part in inlines)
    found = body.get("text") or body.get("content")
    if isinstance(found, dict):
        found = found.get("text") or found.get("content")
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize("kind", ADDRESSES)
def test_a_plain_text_arrives_as_it_is_at_every_tool(kind: str) -> None:
    url, _ = _post(kind)
    assert url.startswith("https://")
    text = "First response is late\nhttps://desk.example.com/c/7?x=1&y_z=2"
    if kind == "slack":
        assert _said(kind, text) == text.replace("&", "&amp;")
    else:
        assert _said(kind, text) == text
    assert set(ADDRESSES) == set(ChatTool)


@pytest.mark.parametrize("kind", ADDRESSES)
def test_nobody_is_called_and_no_link_is_dressed_up(kind: str) -> None:
    said = _said(kind, HOSTILE)
    assert "\u202e" not in said
    assert "\x07" not in said
    if kind not in ("slack", "teams", "telegram"):  # these read no such links in plain text
        assert "](https" not in said
    assert "mina@example.com" in said
    if kind in ("slack", "discord"):
        assert "<" not in said.replace("\\<", "")
    if kind in ("feishu", "wecom", "dingtalk"):
        assert "<at" not in said
        assert "<@" not in said
    if kind != "discord":
        assert not [word for word in ("@all", "@所有人", "@everyone") if word in said]


def test_discord_is_told_to_call_nobody_and_teams_opens_what_it_shows() -> None:
    _, body = _post("discord", HOSTILE)
    assert body["allowed_mentions"] == {"parse": []}
    _, card = _post("teams", HOSTILE)
    runs = card["attachments"][0]["content"]["body"][0]["inlines"]
    links = {run["text"]: run["selectAction"]["url"] for run in runs if "selectAction" in run}
    assert links.keys() == set(links.values()) >= {"https://desk.example.com/c/7"}


@pytest.mark.parametrize(("kind", "most"), [("wecom", 2048), ("discord", 2000), ("telegram", 4096), ("slack", 40000)])
@pytest.mark.parametrize("text", ["<" * 9000, "@a " * 4000, "米" * 9000, "*" * 9000, "&" * 9000])
def test_a_long_text_is_cut_to_what_the_tool_takes(kind: str, most: int, text: str) -> None:
    said = _said(kind, text)
    assert len(said.encode() if kind == "wecom" else said) <= most
    assert said.endswith("…")


def test_dingtalk_signs_in_the_url_by_the_secret() -> None:
    url, body = _post("dingtalk", signing_secret="SECabc")
    query = parse_qs(urlsplit(url).query)
    stamp = str(int(NOW.timestamp() * 1000))
    expected = hmac.new(b"SECabc", f"{stamp}\nSECabc".encode(), hashlib.sha256).digest()
    assert query == {"access_token": ["abc"], "timestamp": [stamp], "sign": [base64.b64encode(expected).decode()]}
    assert body["msgtype"] == "text"


def test_feishu_signs_nothing_by_the_time_and_the_secret() -> None:
    _, body = _post("feishu", signing_secret="hush")
    stamp = str(int(NOW.timestamp()))
    expected = hmac.new(f"{stamp}\nhush".encode(), b"", hashlib.sha256).digest()
    assert (body["timestamp"], body["sign"]) == (stamp, base64.b64encode(expected).decode())
    assert "sign" not in _post("feishu")[1]


def test_telegram_takes_its_token_in_the_path() -> None:
    url, body = _post("telegram")
    assert url == f"https://api.telegram.org/bot{TOKEN}/sendMessage"
    assert (body["chat_id"], "parse_mode" in body) == ("-1001234", False)


def test_another_origin_keeps_the_path() -> None:
    assert _post("telegram", api_url="http://127.0.0.1:9/")[0] == f"http://127.0.0.1:9/bot{TOKEN}/sendMessage"
    assert _post("slack", api_url="https://chat.example.com")[0] == "https://chat.example.com/services/T0/B0/abc"
    url, _ = _post("dingtalk", url="https://ding.corp/hook", api_url="https://ding.corp", signing_secret="s")
    assert url.startswith("https://ding.corp/hook?timestamp=")


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("slack", {"url": "http://hooks.slack.com/services/x"}, "url"),
        ("slack", {"url": "https://hooks.slack.com.evil.example/services/x"}, "url"),
        ("slack", {"url": "https://hooks.slack.com@evil.example/services/x"}, "url"),
        ("slack", {"url": "https://hooks.slack.com:8443/services/x"}, "url"),
        ("slack", {"url": "https://hooks.slack.com/other"}, "url"),
        ("slack", {"url": ""}, "url"),
        ("slack", {"url": 7}, "url"),
        ("slack", {"signing_secret": "x"}, "signing_secret"),
        ("slack", {"url": "https://x.test/" + "x" * 2000}, "url"),
        ("slack", {"api_url": "https://chat.example.com/path"}, "api_url"),
        ("slack", {"api_url": "chat.example.com"}, "api_url"),
        ("feishu", {"url": "https://open.feishu.cn.evil.example/open-apis/bot/v2/hook/x"}, "url"),
        ("teams", {"url": "https://logic.azure.com.evil.example/x"}, "url"),
        ("teams", {"url": "https://evillogic.azure.com/x"}, "url"),
        ("wecom", {"url": "https://qyapi.weixin.qq.com/cgi-bin/user/list?access_token=x"}, "url"),
        ("telegram", {"bot_token": "1:a/../../x?"}, "bot_token"),
        ("telegram", {"chat_id": "everyone"}, "chat_id"),
        ("telegram", {"url": "https://api.telegram.org/"}, "url"),
        ("discord", {"url": "https://discord.com/api/oauth2/token"}, "url"),
    ],
)
def test_an_address_is_one_of_its_own_tool(kind: str, change: dict[str, Any], field: str) -> None:
    with pytest.raises(Wrong) as wrong:
        chat_tools.check_address(ChatTool(kind), {**ADDRESSES[kind], **change})
    assert wrong.value.field == f"address.{field}"


@pytest.mark.parametrize(
    ("kind", "status", "body", "expected"),
    [
        ("slack", 200, "ok", None),
        ("slack", 404, "no_service", "refused"),
        ("slack", 429, "", "rate_limited"),
        ("slack", 302, "", "refused"),
        ("slack", 503, "", "unavailable"),
        ("feishu", 200, {"StatusCode": 0, "StatusMessage": "success", "code": 0, "msg": "success"}, None),
        ("feishu", 200, {"StatusCode": 0}, None),
        ("feishu", 200, {"code": 19021, "msg": "sign match fail or timestamp is not within one hour"}, "refused"),
        ("feishu", 200, {"code": 11232}, "rate_limited"),
        ("feishu", 200, "<html>sign in</html>", "unreadable"),
        ("dingtalk", 200, {"errcode": 0, "errmsg": "ok"}, None),
        ("dingtalk", 200, {"errcode": 310000, "errmsg": "sign not match"}, "refused"),
        ("dingtalk", 200, {"errcode": 130101}, "rate_limited"),
        ("dingtalk", 200, {"errcode": -1}, "unavailable"),
        ("wecom", 200, {"errcode": 0, "errmsg": "ok"}, None),
        ("wecom", 200, {"errcode": 93000}, "refused"),
        ("wecom", 200, {"errcode": 45009}, "rate_limited"),
        ("wecom", 200, [], "unreadable"),
        ("teams", 202, "", None),
        ("teams", 200, "1", None),
        ("teams", 200, "Webhook message delivery failed with error: … HTTP error 429 …", "rate_limited"),
        ("teams", 200, "Webhook message delivery failed with error: … HTTP error 503 …", "unavailable"),
        ("telegram", 200, {"ok": True, "result": {}}, None),
        ("telegram", 400, {"ok": False, "error_code": 400}, "refused"),
        ("telegram", 200, {"ok": False}, "refused"),
        ("telegram", 200, "", "unreadable"),
        ("discord", 204, "", None),
        ("discord", 404, {"code": 10015}, "refused"),
        ("discord", 408, "", "unavailable"),
    ],
)
def test_an_answer_is_read_as_its_tool_means_it(kind: str, status: int, body: Any, expected: str | None) -> None:
    content = body.encode() if isinstance(body, str) else orjson.dumps(body)
    assert chat_tools.refusal(ChatTool(kind), status, content) == expected
