"""The chat tools whose rooms alerts are posted to: what an address is, what a post looks like, what an answer means.

Pure: whoever posts connects through the guard. An address goes to a host of its own tool and to no other, unless
`api_url` names another origin (a tool that runs on one's own premises, a proxy); then only the guard judges.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

from helpdesk.domain import chat_answers, chat_text
from helpdesk.domain.contents import Wrong, fields
from helpdesk.net_targets import Target, Unreachable, parse_url

Address = Mapping[str, str]
"""What reaches a room: `url`, or `bot_token` and `chat_id`; `signing_secret` and `api_url` where they are wanted."""

MOST_LENGTH: Final = 2000
_MOST_BYTES: Final = 4000


class ChatTool(StrEnum):
    SLACK = "slack"
    FEISHU = "feishu"
    DINGTALK = "dingtalk"
    WECOM = "wecom"
    TEAMS = "teams"
    TELEGRAM = "telegram"
    DISCORD = "discord"


@dataclass(frozen=True, slots=True)
class _Form:
    """`hosts` beginning with a dot are endings. `answer` judges the body of a success."""

    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    needed: tuple[str, ...]
    optional: tuple[str, ...]
    body: Callable[[str, Address, datetime], dict[str, Any]]
    answer: Callable[[bytes], str | None]


def check_address(kind: ChatTool, given: Mapping[str, Any]) -> Address:
    """The address, complete and in its canonical form. Raises `Wrong` naming the field."""
    form = _FORMS[kind]
    found = dict(fields(given, "address", needed=form.needed, optional=(*form.optional, "api_url")))
    for name, value in found.items():
        if not isinstance(value, str) or not value or len(value) > MOST_LENGTH or not value.isprintable():
            raise Wrong(f"address.{name}", f"give one line of at most {MOST_LENGTH} characters")
    if "api_url" in found:
        found["api_url"] = _origin(found["api_url"])
    if "url" in found:
        found["url"] = _checked_url(form, found["url"], any_host="api_url" in found)
    if "bot_token" in found and not re.fullmatch(r"[0-9]{1,20}:[A-Za-z0-9_-]{10,100}", found["bot_token"]):
        raise Wrong("address.bot_token", "this is no token of a bot, such as 123456:ABC-DEF…")
    if "chat_id" in found and not re.fullmatch(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{3,64}", found["chat_id"]):
        raise Wrong("address.chat_id", "use a number, or @ and the name of a channel")
    return found


def target(kind: ChatTool, address: Address) -> Target:
    """Where a post goes, for judging it and naming its host."""
    return parse_url(_place(kind, address))


def request(kind: ChatTool, address: Address, text: str, *, now: datetime) -> tuple[str, dict[str, Any]]:
    """The URL and the JSON of one post. `text` is plain and may hold anything."""
    url = _place(kind, address)
    if kind is ChatTool.DINGTALK and "signing_secret" in address:
        stamp, secret = int(now.timestamp() * 1000), address["signing_secret"]
        signed = _hmac(secret.encode(), f"{stamp}\n{secret}".encode())
        url += f"{'&' if '?' in url else '?'}timestamp={stamp}&sign={quote(signed, safe='')}"
    return url, _FORMS[kind].body(chat_text.readable(text), address, now)


def refusal(kind: ChatTool, status: int, body: bytes) -> str | None:
    """The class of failure that an answer stands for, None for success."""
    return chat_answers.of_status(status) or _FORMS[kind].answer(body)


def _place(kind: ChatTool, address: Address) -> str:
    if kind is ChatTool.TELEGRAM:
        return f"{address.get('api_url', 'https://api.telegram.org')}/bot{address['bot_token']}/sendMessage"
    if "api_url" in address:
        return address["api_url"] + parse_url(address["url"]).path
    return address["url"]


def _checked_url(form: _Form, url: str, *, any_host: bool) -> str:
    try:
        found = parse_url(url)
    except Unreachable:
        raise Wrong("address.url", "this is no URL") from None
    if not any_host:
        if found.scheme != "https" or found.port != 443 or not any(_is_of(found.host, host) for host in form.hosts):
            known = ", ".join(f"https://{'…' if host.startswith('.') else ''}{host}" for host in form.hosts)
            raise Wrong("address.url", f"use an address of this tool ({known}), or give api_url")
        if not found.path.startswith(form.paths):
            raise Wrong("address.url", f"the path of such an address begins with {' or '.join(form.paths)}")
    return found.url


def _is_of(host: str, known: str) -> bool:
    return host.endswith(known) if known.startswith(".") else host == known


def _origin(url: str) -> str:
    try:
        found = parse_url(url)
    except Unreachable:
        raise Wrong("address.api_url", "this is no URL") from None
    if found.path != "/":
        raise Wrong("address.api_url", "give the origin alone, such as https://chat.example.com")
    return found.url.removesuffix("/")


def _hmac(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, sha256).digest()).decode()


# -- what is posted --


def _slack(text: str, address: Address, now: datetime) -> dict[str, Any]:
    quiet = {"mrkdwn": False, "unfurl_links": False, "unfurl_media": False}
    words = chat_text.cut(chat_text.without_calls(text), _MOST_BYTES)
    return {"text": chat_text.escaped_for_slack(words), **quiet}


def _feishu(text: str, address: Address, now: datetime) -> dict[str, Any]:
    body: dict[str, Any] = {"msg_type": "text", "content": {"text": chat_text.cut(_plain(text), _MOST_BYTES)}}
    if "signing_secret" in address:
        # The signed text is the key here, and what it signs is empty.
        stamp = str(int(now.timestamp()))
        body |= {"timestamp": stamp, "sign": _hmac(f"{stamp}\n{address['signing_secret']}".encode(), b"")}
    return body


def _dingtalk(text: str, address: Address, now: datetime) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": chat_text.cut(_plain(text), _MOST_BYTES)}, "at": {"isAtAll": False}}


def _wecom(text: str, address: Address, now: datetime) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": chat_text.cut(_plain(text), 2048)}}


def _teams(text: str, address: Address, now: datetime) -> dict[str, Any]:
    """A card of text runs, which know no Markdown; an address opens what it shows."""
    runs = [
        {"type": "TextRun", "text": part}
        | ({"selectAction": {"type": "Action.OpenUrl", "url": part}} if is_link else {})
        for part, is_link in chat_text.pieces(chat_text.cut(chat_text.without_calls(text), _MOST_BYTES))
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [{"type": "RichTextBlock", "inlines": runs}],
    }
    content_type = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": content_type, "contentUrl": None, "content": card}]}


def _telegram(text: str, address: Address, now: datetime) -> dict[str, Any]:
    """Without a parse mode the text is plain."""
    plain = chat_text.cut(chat_text.without_calls(text), _MOST_BYTES)
    return {"chat_id": address["chat_id"], "text": plain, "link_preview_options": {"is_disabled": True}}


def _discord(text: str, address: Address, now: datetime) -> dict[str, Any]:
    # 2,000 characters are taken, and each may be escaped.
    escaped = chat_text.escaped_markdown(chat_text.cut(text, 1000))
    no_previews = 1 << 2
    return {"content": escaped, "allowed_mentions": {"parse": []}, "flags": no_previews}


def _plain(text: str) -> str:
    return chat_text.without_tags(chat_text.without_calls(text))


_SIGNED: Final = ("signing_secret",)
_FORMS: Final[Mapping[ChatTool, _Form]] = {
    ChatTool.SLACK: _Form(
        hosts=("hooks.slack.com", "hooks.slack-gov.com"),
        paths=("/services/",),
        needed=("url",),
        optional=(),
        body=_slack,
        answer=chat_answers.anything,
    ),
    ChatTool.FEISHU: _Form(
        hosts=("open.feishu.cn", "open.larksuite.com"),
        paths=("/open-apis/bot/v2/hook/",),
        needed=("url",),
        optional=_SIGNED,
        body=_feishu,
        answer=chat_answers.by_code("code", "StatusCode", limited={11232, 99991400}),
    ),
    ChatTool.DINGTALK: _Form(
        hosts=("oapi.dingtalk.com",),
        paths=("/robot/send?access_token=",),
        needed=("url",),
        optional=_SIGNED,
        body=_dingtalk,
        answer=chat_answers.by_code("errcode", limited={130101, 410100, 90030}),
    ),
    ChatTool.WECOM: _Form(
        hosts=("qyapi.weixin.qq.com",),
        paths=("/cgi-bin/webhook/send?key=",),
        needed=("url",),
        optional=(),
        body=_wecom,
        answer=chat_answers.by_code("errcode", limited={45009, 45033}),
    ),
    ChatTool.TEAMS: _Form(
        hosts=(".webhook.office.com", ".logic.azure.com", ".powerplatform.com"),
        paths=("/",),
        needed=("url",),
        optional=(),
        body=_teams,
        answer=chat_answers.of_teams,
    ),
    ChatTool.TELEGRAM: _Form(
        hosts=("api.telegram.org",),
        paths=("/",),
        needed=("bot_token", "chat_id"),
        optional=(),
        body=_telegram,
        answer=chat_answers.of_telegram,
    ),
    ChatTool.DISCORD: _Form(
        hosts=("discord.com", "discordapp.com"),
        paths=("/api/webhooks/", "/api/v10/webhooks/"),
        needed=("url",),
        optional=(),
        body=_discord,
        answer=chat_answers.anything,
    ),
}
