"""The reference: `/openapi.json`, and a page made of it that loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from helpdesk.api.answers import Json
from helpdesk.api.dependencies import Csrf
from helpdesk.api.problems import add_case
from helpdesk.api.schemas.messages import ConversationMoved
from helpdesk.api.schemas.shared import Problem
from helpdesk.errors import TooLarge

_PUBLIC: Final = (
    "/health",
    "/metrics",
    "/channels/",
    "/openapi.json",
    "/docs",
    "/api/v1/auth/login",
    "/api/v1/auth/sso",
    "/api/v1/auth/forgot-password",
    "/api/v1/auth/reset-password",
    "/api/v1/auth/accept-invitation",
    "/api/v1/service-hours",
)
_ABOUT: Final = """\
Base: `/api/v1`. Send `Authorization: Bearer TOKEN`, or sign in and use the session cookie; requests that change
something then need an `Origin` equal to the base URL.

Times are RFC 3339 in UTC. Lists answer `items` and `next_cursor`. Errors are `application/problem+json` with a stable
`type`. What you may not see is 404. PATCH, PUT and DELETE need `If-Match` with the quoted version that you read (it is
the `ETag`): missing is 428, stale is 412; sessions and tokens never change, and need none. Creating a message needs
`Idempotency-Key`.
"""
_CSP: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_EXAMPLES: Final[Mapping[str, Any]] = {
    "ConversationCreate": {
        "inbox_id": "0198c0de-0000-7000-8000-000000000001",
        "contact": {"name": "Mina", "handle": "mina@example.com"},
        "subject": "Your withdrawal",
        "text": "We looked into it and found the transaction.",
    },
    "ConversationPatch": {"status": "pending", "priority": "high", "tags": ["withdrawal"]},
    "MessageCreate": {"text": "Thank you for waiting. It has arrived.", "seen_seq": 7, "status": "resolved"},
    "ViewCreate": {
        "name": "Urgent, nobody's",
        "shared": "everybody",
        "filter": {
            "all": [
                {"field": "status", "op": "in", "value": ["open", "pending"]},
                {"field": "assignee_id", "op": "eq", "value": None},
                {"not": {"field": "waiting_since", "op": "after", "value": {"ago": 86400}}},
            ]
        },
        "sort": "waiting_since",
    },
    "ViewPatch": {"name": "Urgent", "position": 1},
    "ReadGiven": {"seq": 7},
    "ParticipantGiven": {"handle": "partner@example.com", "name": "Partner"},
    "WatcherGiven": {},
    "PresenceGiven": {"state": "typing"},
    "MergeGiven": {"into": "0198c0de-0000-7000-8000-000000000003"},
    "ContactCreate": {"name": "Mina", "identities": [{"channel": "email", "handle": "mina@example.com"}]},
    "SplitGiven": {"message_ids": ["0198c0de-0000-7000-8000-000000000004"]},
    "SpamGiven": {"block_contact": True},
    "TriageGiven": {"category": "transaction", "priority": "high"},
    "ContactMergeGiven": {"into": "0198c0de-0000-7000-8000-000000000005"},
    "DraftGiven": {"text": "Thank you for", "private": False},
    "ContactPatch": {"name": "Mina Park", "custom_fields": {"plan": "pro"}},
    "InboxCreate": {"channel": "email", "name": "Support", "settings": {"address": "support@example.com"}},
    "InboxPatch": {"name": "Support desk", "settings": {"display_name": "Wallet support"}},
    "InboxCheck": {"send": False},
    "Reprocess": {},
    "AgentCreate": {"email": "anna@example.com", "name": "Anna", "role": "agent"},
    "AgentPatch": {"role": "supervisor"},
    "MePatch": {"duty": "off", "quiet_hours": {"zone": "Asia/Shanghai", "from": "22:00", "to": "07:00"}},
    "TeamCreate": {"name": "Payments", "member_ids": [], "lead_ids": []},
    "SsoProviderCreate": {
        "name": "Company account",
        "issuer": "https://id.example.com",
        "client_id": "helpdesk",
        "secret": "…",
        "domains": ["example.com"],
    },
    "SsoProviderPatch": {"domains": ["example.com", "example.org"], "enabled": True},
    "TeamPatch": {"description": "Withdrawals and deposits"},
    "DutyCreate": {
        "name": "Day shift",
        "zone": "Asia/Shanghai",
        "shifts": [
            {
                "agent_ids": ["0198c0de-0000-7000-8000-000000000002"],
                "weekly": [*[[["08:00", "16:00"]]] * 5, [], []],
            }
        ],
    },
    "DutyPatch": {
        "overrides": [{"date": "2026-10-01", "agent_ids": ["0198c0de-0000-7000-8000-000000000002"], "hours": []}]
    },
    "TagGiven": {"name": "withdrawal"},
    "CannedResponseCreate": {
        "shortcut": "thanks",
        "title": "Thanks for waiting",
        "texts": {
            "en": "Hello {{contact.first_name}}, thank you for waiting.",
            "zh-CN": "{{contact.name}}，您好！感谢您的耐心等待。",
        },
        "shared": "everybody",
    },
    "CannedResponsePatch": {"title": "Thanks for your patience"},
    "MacroCreate": {
        "name": "Take and answer",
        "actions": [
            {"do": "assign", "agent_id": "me"},
            {"do": "reply", "text": "We are looking into #{{conversation.number}}."},
            {"do": "status", "to": "snoozed", "snooze_seconds": 86400},
        ],
    },
    "MacroPatch": {"description": "For withdrawals that take long"},
    "MacroPreview": {"conversation_id": "0198c0de-0000-7000-8000-000000000003"},
    "MacroRun": {"conversation_id": "0198c0de-0000-7000-8000-000000000003", "seen_seq": 7},
    "CustomFieldCreate": {
        "subject": "conversation",
        "key": "chain",
        "title": "Chain",
        "type": "choice",
        "options": ["Bitcoin", "Ethereum"],
    },
    "CustomFieldPatch": {"archived": True},
    "BulkGiven": {
        "filter": {"field": "tag", "op": "eq", "value": "outage"},
        "set": {"status": "resolved", "tags": ["outage", "solved"]},
    },
    "WebhookCreate": {
        "name": "Pager",
        "url": "https://pager.example.com/hooks/helpdesk",
        "events": ["sla.breached", "alert.raised"],
    },
    "WebhookPatch": {"events": ["*"], "enabled": True},
    "WebhookRotate": {"overlap_hours": 24},
    "AlertRouteCreate": {
        "name": "On call",
        "kind": "feishu",
        "address": {"url": "https://open.feishu.cn/open-apis/bot/v2/hook/0198c0de", "signing_secret": "…"},
        "severity": "critical",
        "locale": "zh-CN",
    },
    "AlertRoutePatch": {"severity": "warning", "enabled": True},
    "SlaPolicyCreate": {
        "name": "Theft",
        "position": 5,
        "clock": "calendar",
        "categories": ["security"],
        "targets": {"first_response": 3600, "next_response": 3600},
        "warnings": [{"fraction": 0.5}, {"before": 900}],
    },
    "SlaPolicyPatch": {"targets": {"first_response": 1800, "next_response": 3600}},
    "EscalationRuleCreate": {
        "name": "Theft, overdue",
        "anchor": "breach",
        "categories": ["security"],
        "steps": [
            {"after": 0, "actions": [{"do": "alert", "who": ["lead"], "severity": "critical"}]},
            {"after": 1800, "actions": [{"do": "priority", "to": "urgent"}, {"do": "note", "text": "Still waiting."}]},
        ],
    },
    "EscalationRulePatch": {"enabled": False},
    "AutomationRuleCreate": {
        "name": "Recovery phrases are security",
        "when": {"events": ["message.received"]},
        "if": {"field": "message.text", "op": "contains", "value": "recovery phrase"},
        "do": [{"do": "category", "to": "security"}, {"do": "priority", "to": "urgent"}],
    },
    "AutomationRulePatch": {"enabled": False},
    "DryRun": {"days": 7},
    "HoursCreate": {
        "name": "Berlin desk",
        "zone": "Europe/Berlin",
        "weekly": [*[[["09:00", "12:30"], ["13:30", "18:00"]]] * 5, [], []],
        "holidays": [{"date": "2026-12-25", "name": "Christmas Day"}],
        "holiday_years": [2026],
        "overrides": [{"date": "2026-12-24", "hours": [["09:00", "12:00"]], "name": "Christmas Eve"}],
    },
    "HoursPatch": {"breaks": [{"date": "2026-03-05", "hours": [["12:00", "13:30"]], "name": "Staff meeting"}]},
    "LibraryHolidays": {"source": "library", "country": "CN", "years": [2026], "dry_run": True},
    "IcalendarHolidays": {
        "source": "icalendar",
        "text": "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261001\r\nDTEND;VALUE=DATE:20261008\r\n"
        "SUMMARY:National Day\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        "as": "holidays",
        "years": [2026],
    },
    "Login": {"email": "anna@example.com", "password": "correct horse battery"},
    "Verification": {"password": "correct horse battery", "totp": "492039"},
    "Forgotten": {"email": "anna@example.com"},
    "Reset": {"token": "…", "password": "another horse battery"},
    "Invited": {"token": "…", "password": "correct horse battery", "name": "Anna"},
    "InvitationGiven": {"mail": False},
    "TotpStart": {"password": "correct horse battery"},
    "TotpConfirm": {"code": "492039"},
    "TokenCreate": {"name": "Nightly export", "kind": "bot", "scopes": ["conversations:read"]},
}


def install(app: FastAPI) -> None:
    """Hang up both, and complete what FastAPI derives."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

    @app.get("/openapi.json", include_in_schema=False)
    async def document() -> Response:
        return Json(app.openapi())

    @app.get("/docs", include_in_schema=False)
    async def docs(_request: Request) -> Response:
        return Response(
            _page(app.openapi()),
            media_type="text/html",
            headers={"Content-Security-Policy": _CSP, "X-Frame-Options": "DENY"},
        )


def _complete(schema: dict[str, Any]) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    shared = [(Problem, "serialization"), (ConversationMoved, "serialization")]
    _, extra = models_json_schema(shared, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    schemas = components.setdefault("schemas", {})
    for name, found in extra["$defs"].items():
        schemas.setdefault(name, found)
    for name, example in _EXAMPLES.items():
        if name in schemas:
            schemas[name]["example"] = example
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "__Host-helpdesk"},
    }
    for path, method, operation in _operations(schema):
        if not path.startswith(_PUBLIC):
            operation["security"] = [{"token": []}, {"session": []}]
            if method != "get":
                add_case(operation["responses"], 403, Csrf.slug, Csrf.title)
        if "requestBody" in operation:
            add_case(operation["responses"], 400, "bad_request", "The request cannot be read")
            add_case(operation["responses"], 413, TooLarge.slug, TooLarge.title)
        if method in ("patch", "put", "delete"):
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "if-match":
                    parameter["required"] = True
    return schema


def _operations(schema: Mapping[str, Any]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _page(schema: Mapping[str, Any]) -> str:
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Helpdesk API</title><style>',
        "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}",
        "code{background:#8882;padding:0 .2em}table{border-collapse:collapse}td{padding:.1rem .8rem .1rem 0;",
        "vertical-align:top}h2{margin:2.2rem 0 .2rem;font-size:1rem}h2 b{color:#06c}:root{color-scheme:light dark}",
        f"</style></head><body><h1>{escape(schema['info']['title'])}</h1>",
        f'<p style="white-space:pre-line">{escape(schema["info"]["description"])}</p>',
        "<p>The machine-readable reference is <a href='/openapi.json'>/openapi.json</a>.</p>",
    ]
    for path, method, operation in _operations(schema):
        parts.append(
            f"<h2 id='{escape(operation['operationId'])}'><b>{method.upper()}</b> <code>{escape(path)}</code></h2>"
        )
        text = operation.get("description", "")
        parts.append(f"<p><b>{escape(operation.get('summary', ''))}.</b> {escape(text)}</p>")
        rows = [
            (f"{p['in']} <code>{escape(p['name'])}</code>", escape(p.get("description", "")))
            for p in operation.get("parameters", ())
        ]
        bodies = operation.get("requestBody", {}).get("content", {}).values()
        rows += [("body", _properties(schema, content["schema"])) for content in bodies]
        rows += [(escape(status), escape(answer["description"])) for status, answer in operation["responses"].items()]
        parts.append(
            "<table>" + "".join(f"<tr><td>{left}</td><td>{right}</td></tr>" for left, right in rows) + "</table>"
        )
    return "".join(parts) + "</body></html>"


def _properties(schema: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    references = [body, *body.get("anyOf", ())]
    names: list[str] = []
    for one in references:
        found = schema["components"]["schemas"].get(str(one.get("$ref", "")).rpartition("/")[2], one)
        names += found.get("properties", {})
    return " ".join(f"<code>{escape(name)}</code>" for name in names)
