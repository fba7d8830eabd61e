"""Every route, for every role, on what is one's own and on what is foreign: the whole table, and none left out.

A row says what a role gets, as `own/foreign` (one number: there is no such difference). Own things are in an inbox that
only the asker may work in, foreign ones in somebody else's. `anybody` sends no token at all.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx
import pytest

from helpdesk.app import create_app
from helpdesk.services import attachments, contacts
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.documented import all_routes


@dataclass(frozen=True)
class Row:
    """What each role gets. `body` is what is sent; `version` says that If-Match is needed."""

    agent: str
    supervisor: str
    admin: str
    anybody: str = "401"
    body: Any = None
    version: bool = False
    query: str = ""


V: Final = "/api/v1"
OWN: Final = Row("200/404", "200/404", "200/404")
READ: Final = Row("200/404", "200/200", "200/200")
LIST: Final = Row("200", "200", "200")
CLOSED: Final = Row("403", "403", "200")
ANSWER: Final = {"text": "Hello"}
CATEGORY: Final = {"key": "listing", "names": {"en": "Listing", "zh-CN": "上币", "zh-TW": "上幣"}, "words": ["listing"]}
REDEEM: Final = {"token": "x", "password": "another good one"}
WEEK: Final = [[["09:00", "17:00"]]] * 7

TABLE: Final[Mapping[str, Row]] = {
    "POST /api/v1/auth/login": Row("401", "401", "401", "401", body={"email": "x@x.test", "password": "wrong one"}),
    "POST /api/v1/auth/logout": Row("204", "204", "204"),
    "POST /api/v1/auth/verify": Row("403", "403", "403", body={"password": "x"}),
    "POST /api/v1/auth/forgot-password": Row("202", "202", "202", "202", body={"email": "nobody@helpdesk.test"}),
    "POST /api/v1/auth/reset-password": Row("404", "404", "404", "404", body=REDEEM),
    "POST /api/v1/auth/accept-invitation": Row("404", "404", "404", "404", body=REDEEM),
    "POST /api/v1/auth/first-run": Row(
        "404", "404", "404", "404", body={**REDEEM, "email": "new@helpdesk.test", "name": "New"}
    ),
    "GET /api/v1/me": LIST,
    "POST /api/v1/me/totp": Row("403", "403", "403", body={"password": "x"}),
    "POST /api/v1/me/totp/confirm": Row("403", "403", "403", body={"code": "123456"}),
    "DELETE /api/v1/me/totp": Row("403", "403", "403", body={"password": "x"}, version=True),
    "POST /api/v1/me/recovery-codes": Row("403", "403", "403", body={"password": "x"}),
    "GET /api/v1/me/sessions": Row("403", "403", "403"),
    "DELETE /api/v1/me/sessions": Row("403", "403", "403"),
    "DELETE /api/v1/me/sessions/{session_id}": Row("403", "403", "403"),
    "GET /api/v1/tokens": LIST,
    "POST /api/v1/tokens": Row("201", "201", "201", body={"name": "New"}),
    "DELETE /api/v1/tokens/{token_id}": Row("204/404", "204/404", "204/204"),
    "PATCH /api/v1/me": Row("200", "200", "200", body={"duty": "off"}, version=True),
    "GET /api/v1/conversations": LIST,
    "POST /api/v1/conversations": Row(
        "201/404",
        "201/201",
        "201/201",
        body={"inbox_id": "{inbox_id}", "contact": {"handle": "new@customer.test"}, "subject": "Hi", "text": "Hi"},
    ),
    "GET /api/v1/conversations/{conversation_id}": READ,
    "PATCH /api/v1/conversations/{conversation_id}": Row(
        "200/404", "200/200", "200/200", body={"priority": "high"}, version=True
    ),
    "GET /api/v1/conversations/counts": LIST,
    "PUT /api/v1/conversations/{conversation_id}/read": READ,
    "POST /api/v1/conversations/read": Row("200", "200", "200", body={"ids": ["{conversation_id}"]}),
    "DELETE /api/v1/conversations/{conversation_id}/read": Row("204/404", "204/204", "204/204"),
    "GET /api/v1/views": LIST,
    "POST /api/v1/views": Row("201", "201", "201", body={"name": "New", "filter": {}}),
    "GET /api/v1/views/{view_id}": Row("200/404", "200/404", "200/404"),
    "PATCH /api/v1/views/{view_id}": Row("200/404", "200/404", "200/404", body={"name": "Renamed"}, version=True),
    "DELETE /api/v1/views/{view_id}": Row("204/404", "204/404", "204/404", version=True),
    "GET /api/v1/conversations/{conversation_id}/messages": READ,
    "POST /api/v1/conversations/{conversation_id}/messages": Row("201/404", "201/201", "201/201", body=ANSWER),
    "POST /api/v1/messages/{message_id}/hide": Row(
        "409/404", "409/409", "409/409", body={"hidden": True}
    ),  # it is mail
    "POST /api/v1/social/replies": Row(
        "201/404",
        "201/201",
        "201/201",
        body={"inbox_id": "{inbox_id}", "in_reply_to": "<{message_id}@customer.test>", "text": "Hello"},
    ),
    "POST /api/v1/social/preview": Row(
        "200/404",
        "200/200",
        "200/200",
        body={"inbox_id": "{inbox_id}", "conversation_id": "{conversation_id}", "text": "Hello"},
    ),
    "GET /api/v1/social/replies/{message_id}": Row("404/404", "404/404", "404/404"),  # it is not his own reply
    "GET /api/v1/conversations/{conversation_id}/events": READ,
    "GET /api/v1/conversations/{conversation_id}/sla": READ,
    "GET /api/v1/alerts": LIST,
    "GET /api/v1/alerts/{alert_id}": READ,
    "POST /api/v1/alerts/{alert_id}/acknowledge": Row("200/404", "200/200", "200/200"),
    "POST /api/v1/sla-policies/{policy_id}/replan": Row("403", "403", "202"),
    "POST /api/v1/business-hours/{hours_id}/replan": Row("403", "403", "202"),
    "POST /api/v1/conversations/{conversation_id}/participants": Row(
        "200/404", "200/200", "200/200", body={"handle": "second@customer.test"}
    ),
    "DELETE /api/v1/conversations/{conversation_id}/participants": Row(
        "404/404", "404/404", "404/404", version=True, query="?handle=nobody@customer.test"
    ),
    "POST /api/v1/conversations/{conversation_id}/watchers": Row("200/404", "200/200", "200/200"),
    "DELETE /api/v1/conversations/{conversation_id}/watchers": Row("200/404", "200/200", "200/200", version=True),
    "GET /api/v1/conversations/{conversation_id}/presence": READ,
    "GET /api/v1/presence": Row("200", "200", "200", query="?conversation_id={conversation_id}"),
    "POST /api/v1/conversations/{conversation_id}/presence": Row(
        "200/404", "200/200", "200/200", body={"state": "viewing"}
    ),
    "GET /api/v1/stream": Row("200/404", "200/200", "200/200", query="?conversation_id={conversation_id}"),
    "GET /api/v1/stream/poll": Row("200/404", "200/200", "200/200", query="?wait=0&conversation_id={conversation_id}"),
    "POST /api/v1/conversations/{conversation_id}/merge": Row(
        "200/404", "200/200", "200/200", body={"into": "{twin_id}"}, version=True
    ),
    "POST /api/v1/conversations/{conversation_id}/unmerge": Row("409/404", "409/409", "409/409", version=True),
    "POST /api/v1/conversations/{conversation_id}/split": Row(
        "201/404", "201/201", "201/201", body={"message_ids": ["{message_id}"]}, version=True
    ),
    "POST /api/v1/conversations/{conversation_id}/transcript": Row("409/404", "409/409", "409/409"),
    "POST /api/v1/conversations/{conversation_id}/transfer": Row(
        "200/404", "200/200", "200/200", body={"team_id": "{team_id}", "note": "Yours"}, version=True
    ),
    "POST /api/v1/conversations/{conversation_id}/spam": Row("200/404", "200/200", "200/200", version=True),
    "DELETE /api/v1/conversations/{conversation_id}/spam": Row("200/404", "200/200", "200/200", version=True),
    "DELETE /api/v1/conversations/{conversation_id}/quarantine": Row("200/404", "200/200", "200/200", version=True),
    "GET /api/v1/conversations/{conversation_id}/triage": READ,
    "POST /api/v1/conversations/{conversation_id}/triage": Row(
        "409/404", "409/409", "409/409", body={"category": "security"}, version=True
    ),
    "GET /api/v1/triage/rules": Row("403", "200", "200"),
    "PATCH /api/v1/triage/rules/{rule_name}": Row("403", "403", "204", body={"enabled": True}),
    "GET /api/v1/triage/corrections": Row("403", "200", "200"),
    "GET /api/v1/triage/categories": LIST,
    "POST /api/v1/triage/categories": Row("403", "403", "201", body=CATEGORY),
    "GET /api/v1/triage/categories/{category_key}": LIST,
    "PATCH /api/v1/triage/categories/{category_key}": Row("403", "403", "200", body={"weight": 6}, version=True),
    "PUT /api/v1/conversations/{conversation_id}/draft": Row(
        "428/428", "428/428", "428/428", body={"text": "Thank you"}
    ),
    "GET /api/v1/conversations/{conversation_id}/draft": Row("404/404", "404/404", "404/404"),
    "DELETE /api/v1/conversations/{conversation_id}/draft": Row("404/404", "404/404", "404/404", version=True),
    "GET /api/v1/drafts": LIST,
    "GET /api/v1/me/mentions": LIST,
    "GET /api/v1/messages/{message_id}": READ,
    "POST /api/v1/messages/{message_id}/retry": Row("409/404", "409/409", "409/409"),
    "POST /api/v1/messages/{message_id}/cancel": Row("409/404", "409/409", "409/409"),
    "GET /api/v1/messages/{message_id}/raw": READ,
    "GET /api/v1/messages/{message_id}/html": READ,
    "GET /api/v1/contacts": LIST,
    "GET /api/v1/search": Row("200", "200", "200", query="?q=withdrawal"),
    "POST /api/v1/contacts": Row(
        "403", "201", "201", body={"identities": [{"channel": "email", "handle": "other@customer.test"}]}
    ),
    "GET /api/v1/contacts/{contact_id}": READ,
    "PATCH /api/v1/contacts/{contact_id}": Row("200/404", "200/200", "200/200", body={"name": "M"}, version=True),
    "POST /api/v1/contacts/{contact_id}/merge": Row(
        "403", "422/422", "422/422", body={"into": "{contact_id}"}, version=True
    ),
    "POST /api/v1/contacts/{contact_id}/unmerge": Row("403", "409/409", "409/409", version=True),
    "POST /api/v1/contacts/{contact_id}/identities": Row(
        "403", "200/409", "200/409", body={"channel": "email", "handle": "second@customer.test"}, version=True
    ),
    "DELETE /api/v1/contacts/{contact_id}/identities/{identity_id}": Row("403", "409/409", "409/409", version=True),
    "GET /api/v1/inboxes": LIST,
    "POST /api/v1/inboxes": Row(
        "403", "403", "201", body={"channel": "email", "name": "New", "settings": {"address": "new@helpdesk.test"}}
    ),
    "POST /api/v1/inboxes/check": Row(
        "403", "403", "200", body={"channel": "email", "settings": {"address": "new@helpdesk.test"}}
    ),
    "GET /api/v1/inboxes/{inbox_id}": READ,
    "PATCH /api/v1/inboxes/{inbox_id}": Row("403", "403", "200", body={"name": "Renamed"}, version=True),
    "DELETE /api/v1/inboxes/{inbox_id}": Row("403", "403", "204", version=True),
    "POST /api/v1/inboxes/{inbox_id}/check": Row("403", "403", "200"),
    "POST /api/v1/inboxes/{inbox_id}/reprocess": Row("403", "403", "200"),
    "GET /api/v1/channels": LIST,
    "GET /api/v1/agents": LIST,
    "POST /api/v1/agents": Row("403", "403", "201", body={"email": "new@helpdesk.test", "name": "New"}),
    "GET /api/v1/agents/{agent_id}": LIST,
    "PATCH /api/v1/agents/{agent_id}": Row("403", "403", "200", body={"name": "Renamed"}, version=True),
    "DELETE /api/v1/agents/{agent_id}": Row("403", "403", "204", version=True),
    "POST /api/v1/agents/{agent_id}/invitation": Row("403", "403", "201"),
    "GET /api/v1/agents/{agent_id}/invitation": Row("403", "403", "404"),
    "DELETE /api/v1/agents/{agent_id}/totp": Row("403", "403", "409", version=True),
    "GET /api/v1/agents/{agent_id}/sessions": CLOSED,
    "DELETE /api/v1/agents/{agent_id}/sessions": Row("403", "403", "204"),
    "GET /api/v1/teams": LIST,
    "POST /api/v1/teams": Row("403", "403", "201", body={"name": "New"}),
    "GET /api/v1/teams/{team_id}": LIST,
    "PATCH /api/v1/teams/{team_id}": Row("403", "403", "200", body={"description": "d"}, version=True),
    "GET /api/v1/teams/{team_id}/routing": Row("404", "200", "200"),
    "DELETE /api/v1/teams/{team_id}": Row("403", "403", "204", version=True),
    "GET /api/v1/duty": LIST,
    "POST /api/v1/duty": Row(
        "403", "403", "201", body={"name": "New", "is_fallback": True, "agent_ids": ["{agent_id}"]}
    ),
    "GET /api/v1/duty/now": LIST,
    "GET /api/v1/duty/{schedule_id}": LIST,
    "PATCH /api/v1/duty/{schedule_id}": Row("403", "403", "200", body={"name": "Renamed"}, version=True),
    "DELETE /api/v1/duty/{schedule_id}": Row("403", "403", "204", version=True),
    "GET /api/v1/tags": LIST,
    "POST /api/v1/tags": Row("403", "201", "201", body={"name": "new"}),
    "GET /api/v1/tags/{tag_id}": LIST,
    "PATCH /api/v1/tags/{tag_id}": Row("403", "200", "200", body={"name": "renamed"}, version=True),
    "DELETE /api/v1/tags/{tag_id}": Row("403", "204", "204", version=True),
    "GET /api/v1/canned-responses": LIST,
    "POST /api/v1/canned-responses": Row(
        "201", "201", "201", body={"shortcut": "new", "title": "New", "texts": {"en": "Hello"}}
    ),
    "GET /api/v1/canned-responses/{response_id}": OWN,
    "GET /api/v1/canned-responses/{response_id}/render": Row(
        "200/404", "200/404", "200/404", query="?conversation_id={conversation_id}"
    ),
    "PATCH /api/v1/canned-responses/{response_id}": Row(
        "200/404", "200/404", "200/404", body={"title": "Renamed"}, version=True
    ),
    "DELETE /api/v1/canned-responses/{response_id}": Row("204/404", "204/404", "204/404", version=True),
    "GET /api/v1/macros": LIST,
    "POST /api/v1/macros": Row(
        "201", "201", "201", body={"name": "New", "actions": [{"do": "assign", "agent_id": "me"}]}
    ),
    "GET /api/v1/macros/{macro_id}": OWN,
    "PATCH /api/v1/macros/{macro_id}": Row("200/404", "200/404", "200/404", body={"name": "Renamed"}, version=True),
    "DELETE /api/v1/macros/{macro_id}": Row("204/404", "204/404", "204/404", version=True),
    "POST /api/v1/macros/{macro_id}/preview": Row(
        "200/404", "200/404", "200/404", body={"conversation_id": "{conversation_id}"}
    ),
    "POST /api/v1/macros/{macro_id}/run": Row(
        "200/404", "200/404", "200/404", body={"conversation_id": "{conversation_id}"}, version=True
    ),
    "GET /api/v1/custom-fields": LIST,
    "POST /api/v1/custom-fields": Row(
        "403", "403", "201", body={"subject": "contact", "key": "plan", "title": "Plan", "type": "text"}
    ),
    "GET /api/v1/custom-fields/{field_id}": LIST,
    "PATCH /api/v1/custom-fields/{field_id}": Row("403", "403", "200", body={"title": "Renamed"}, version=True),
    "DELETE /api/v1/custom-fields/{field_id}": Row("403", "403", "204", version=True),
    "GET /api/v1/conversations/bulk": LIST,
    "POST /api/v1/conversations/bulk": Row(
        "202/202", "202/202", "202/202", body={"ids": ["{conversation_id}"], "set": {"priority": "high"}}
    ),
    "GET /api/v1/business-hours": LIST,
    "POST /api/v1/business-hours": Row("403", "403", "201", body={"name": "New", "zone": "UTC", "weekly": WEEK}),
    "GET /api/v1/business-hours/{hours_id}": LIST,
    "PATCH /api/v1/business-hours/{hours_id}": Row("403", "403", "200", body={"name": "Renamed"}, version=True),
    "DELETE /api/v1/business-hours/{hours_id}": Row("403", "403", "204", version=True),
    "GET /api/v1/business-hours/{hours_id}/versions": LIST,
    "GET /api/v1/business-hours/{hours_id}/versions/{hours_version}": LIST,
    "POST /api/v1/business-hours/{hours_id}/holidays": Row(
        "403", "403", "200", body={"source": "library", "country": "CN", "years": [2026]}
    ),
    "GET /api/v1/service-hours": Row("200", "200", "200", "200", query="?tz=Asia/Shanghai"),
    "POST /api/v1/attachments": Row("201", "201", "201"),
    "GET /api/v1/attachments/{attachment_id}": Row("200/404", "200/404", "200/404"),
    "GET /api/v1/webhooks": CLOSED,
    "POST /api/v1/webhooks": Row(
        "403", "403", "201", body={"name": "New", "url": "https://hooks.example.com/new", "events": ["*"]}
    ),
    "GET /api/v1/webhooks/{webhook_id}": CLOSED,
    "PATCH /api/v1/webhooks/{webhook_id}": Row("403", "403", "200", body={"name": "Renamed"}, version=True),
    "DELETE /api/v1/webhooks/{webhook_id}": Row("403", "403", "204", version=True),
    "POST /api/v1/webhooks/{webhook_id}/rotate": CLOSED,
    "POST /api/v1/webhooks/{webhook_id}/test": Row("403", "403", "202"),
    "POST /api/v1/webhooks/{webhook_id}/replay": Row("403", "403", "202", body={"since": "2026-01-01T00:00:00Z"}),
    "GET /api/v1/webhooks/{webhook_id}/deliveries": CLOSED,
    "POST /api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay": Row("403", "403", "202"),
    "GET /api/v1/sla-policies": LIST,
    "POST /api/v1/sla-policies": Row(
        "403", "403", "201", body={"name": "New", "clock": "calendar", "targets": {"resolution": 60}}
    ),
    "GET /api/v1/sla-policies/{policy_id}": LIST,
    "GET /api/v1/sla-policies/{policy_id}/versions": LIST,
    "PATCH /api/v1/sla-policies/{policy_id}": Row("403", "403", "200", body={"name": "Renamed"}, version=True),
    "DELETE /api/v1/sla-policies/{policy_id}": Row("403", "403", "204", version=True),
    "GET /api/v1/escalation-rules": LIST,
    "POST /api/v1/escalation-rules": Row(
        "403",
        "403",
        "201",
        body={"name": "New", "anchor": "breach", "steps": [{"after": 0, "actions": [{"do": "note", "text": "Late"}]}]},
    ),
    "GET /api/v1/escalation-rules/{rule_id}": LIST,
    "GET /api/v1/escalation-rules/{rule_id}/versions": LIST,
    "PATCH /api/v1/escalation-rules/{rule_id}": Row("403", "403", "200", body={"name": "Renamed"}, version=True),
    "DELETE /api/v1/escalation-rules/{rule_id}": Row("403", "403", "204", version=True),
    "GET /api/v1/automation-rules": LIST,
    "POST /api/v1/automation-rules": Row(
        "403",
        "403",
        "201",
        body={"name": "New", "when": {"events": ["message.received"]}, "do": [{"do": "tag", "add": ["new"]}]},
    ),
    "GET /api/v1/automation-rules/{automation_id}": LIST,
    "GET /api/v1/automation-rules/{automation_id}/versions": LIST,
    "GET /api/v1/automation-rules/{automation_id}/runs": CLOSED,
    "POST /api/v1/automation-rules/{automation_id}/dry-run": Row("403", "403", "200", body={"days": 7}),
    "POST /api/v1/automation-rules/{automation_id}/dry-run/job": Row("403", "403", "202", body={"days": 30}),
    "GET /api/v1/conversations/{conversation_id}/automation-runs": READ,
    "PATCH /api/v1/automation-rules/{automation_id}": Row("403", "403", "200", body={"name": "Renamed"}, version=True),
    "DELETE /api/v1/automation-rules/{automation_id}": Row("403", "403", "204", version=True),
    "GET /api/v1/audit": CLOSED,
    "GET /api/v1/ratings": LIST,
    # Of an e-mail inbox, which is none to hand over to.
    "POST /api/v1/conversations/{conversation_id}/handoff": Row(
        "422/404", "422/422", "422/422", body={"inbox_id": "{inbox_id}"}
    ),
    "GET /h/{token}": Row("404", "404", "404", "404"),
    "POST /h/{token}": Row("404", "404", "404", "404"),
    "GET /rate/{token}": Row("404", "404", "404", "404"),
    "POST /rate/{token}": Row("404", "404", "404", "404"),
    "GET /api/v1/exports/conversations": Row("403", "200", "200"),
    "GET /api/v1/exports/contacts": Row("403", "200", "200"),
    "GET /api/v1/reports/volume": LIST,
    "GET /api/v1/reports/response-times": LIST,
    "GET /api/v1/reports/sla": LIST,
    "GET /api/v1/reports/backlog": LIST,
    "GET /api/v1/reports/ratings": LIST,
    "GET /api/v1/reports/chats": LIST,
    "GET /api/v1/board": Row("403", "200", "200"),
    "POST /api/v1/inboxes/{inbox_id}/consent": Row("403", "403", "403"),
    "GET /api/v1/inboxes/consent/callback": Row("403", "403", "403", query="?code=1&state=2"),
    "GET /api/v1/auth/sso": Row("200", "200", "200", "200"),
    "POST /api/v1/auth/sso/{provider_id}/start": Row("503", "503", "503", "503"),
    "GET /api/v1/auth/sso/callback": Row("401", "401", "401", "401", query="?code=1&state=2"),
    "GET /api/v1/sso-providers": CLOSED,
    "POST /api/v1/sso-providers": Row(
        "403",
        "403",
        "201",
        body={"name": "New", "issuer": "https://id.example.com", "client_id": "desk", "domains": ["example.com"]},
    ),
    "GET /api/v1/sso-providers/{provider_id}": CLOSED,
    "PATCH /api/v1/sso-providers/{provider_id}": Row("403", "403", "200", body={"name": "Renamed"}, version=True),
    "DELETE /api/v1/sso-providers/{provider_id}": Row("403", "403", "204", version=True),
    "DELETE /api/v1/agents/{agent_id}/sso": Row("403", "403", "409", version=True),
    "GET /api/v1/jobs": LIST,
    "POST /api/v1/jobs/{job_id}/cancel": Row("200/404", "200/404", "200/200"),
    "GET /api/v1/jobs/{job_id}": Row("200/404", "200/404", "200/200"),
    "GET /api/v1/jobs/{job_id}/results": Row("200/404", "200/404", "200/200"),
    "GET /api/v1/alert-routes": CLOSED,
    "POST /api/v1/alert-routes": Row(
        "403",
        "403",
        "201",
        body={"name": "New", "kind": "slack", "address": {"url": "https://hooks.slack.com/services/T0/B0/abc"}},
    ),
    "GET /api/v1/alert-routes/{route_id}": CLOSED,
    "PATCH /api/v1/alert-routes/{route_id}": Row("403", "403", "200", body={"name": "Renamed"}, version=True),
    "DELETE /api/v1/alert-routes/{route_id}": Row("403", "403", "204", version=True),
    "POST /api/v1/alert-routes/{route_id}/test": CLOSED,
    "GET /health/live": Row("200", "200", "200", "200"),
    "GET /health/ready": Row("200", "200", "200", "200"),
    "GET /metrics": Row("200", "200", "200", "200"),
    "GET /openapi.json": Row("200", "200", "200", "200"),
    "GET /docs": Row("200", "200", "200", "200"),
}


_ALONE: Final[Mapping[str, Callable[[Services], Awaitable[Any]]]] = {
    "team_id": factories.team,
    "field_id": factories.custom_field,
    "hours_id": factories.hours,
    "policy_id": factories.policy,
    "rule_id": factories.rule,
    "automation_id": factories.automation_rule,
    "route_id": factories.alert_route,
    "category_key": factories.category,
    "rule_name": factories.triage_rule,
    "provider_id": factories.sso_provider,
}
"""What belongs to nobody in particular, and needs nothing else."""
_OF_SOMEBODY: Final[Mapping[str, Callable[..., Awaitable[Any]]]] = {
    "macro_id": factories.macro,
    "response_id": factories.canned_response,
    "view_id": factories.view,
}
"""What is his who made it."""
_OF_CONVERSATIONS: Final = frozenset(
    {"conversation_id", "message_id", "contact_id", "identity_id", "twin_id", "alert_id", "tag_id"}
)


async def _world(
    services: Services, role: str, wanted: set[str] | None = None
) -> tuple[factories.Someone, dict[str, dict[str, str]]]:
    """Someone of a role, and the ids of what is his and what is another's: those that are `wanted`, or all."""

    def needs(*names: str) -> bool:
        return wanted is None or not wanted.isdisjoint(names)

    me, other = await factories.agent(services, role=role), await factories.agent(services)
    both: dict[str, Any] = {"hours_version": "1", "token": "nobodys"}
    both |= {name: await make(services) for name, make in _ALONE.items() if needs(name)}
    if needs("agent_id", "schedule_id"):
        both["agent_id"] = (await factories.agent(services)).id
    if needs("schedule_id"):
        both["schedule_id"] = await factories.duty_schedule(services, agents=[both["agent_id"]])
    if needs("webhook_id", "delivery_id"):
        both["webhook_id"] = await factories.webhook(services)
        both["delivery_id"] = await factories.webhook_delivery(services, both["webhook_id"])
    ids: dict[str, dict[str, Any]] = {}
    for place, worker in (("own", me), ("foreign", other)):
        found = ids[place] = dict(both)
        handle = f"{place}{me.id}@customer.test"
        found |= {"token_id": worker.token_id, "session_id": worker.id}
        if needs("inbox_id", *_OF_CONVERSATIONS):
            found["inbox_id"] = await factories.inbox(services, members=[worker.id])
        if needs(*_OF_CONVERSATIONS):
            found |= await _conversation(services, found["inbox_id"], handle, worker)
        if needs(*_OF_SOMEBODY):
            by = await _actor(services, worker)
            found |= {name: await make(services, by=by) for name, make in _OF_SOMEBODY.items() if needs(name)}
        if needs("attachment_id", "job_id"):
            by = await _actor(services, worker)
            file: dict[str, Any] = {"filename": "a.txt", "content_type": "text/plain", "body": b"a"}
            stored = await attachments.store(services, **file, by=by, now=factories.clock.now())
            found |= {"attachment_id": stored["id"], "job_id": await factories.job(services, by=by)}
    if needs("tag_id"):
        async with services.database.reading() as session:
            (tag,) = await factories.tags.list_tags(session, after=None, limit=1)
        for found in ids.values():
            found["tag_id"] = tag["id"]
    return me, {place: {name: str(value) for name, value in found.items()} for place, found in ids.items()}


async def _conversation(services: Services, inbox_id: UUID, handle: str, worker: factories.Someone) -> dict[str, Any]:
    """One with a message, another of the same contact, and an alert about it."""
    made = await factories.conversation(services, inbox_id=inbox_id, handle=handle, tag=["seen"])
    contact = await factories.contact(services, handle=handle)
    async with services.database.reading() as session:
        (identity,) = (await contacts.identities_of(session, [contact]))[contact]
    return {
        "conversation_id": made,
        "message_id": await factories.incoming(services, made, raw=b"Subject: x\r\n\r\nx"),
        "twin_id": await factories.conversation(services, inbox_id=inbox_id, handle=handle, messages=0),
        "contact_id": contact,
        "identity_id": identity["id"],
        "alert_id": await factories.alert(services, made, worker.id),
    }


def _named(key: str, row: Row) -> set[str]:
    """The ids that a request names."""
    return set(re.findall(r"{(\w+)}", f"{key} {row.query} {row.body}"))


async def _actor(services: Services, someone: factories.Someone) -> Any:
    identity = await factories.accounts.identify_token(services.database, someone.token, now=factories.clock.now())
    return identity.actor


async def _ask(
    client: httpx.AsyncClient, key: str, row: Row, ids: dict[str, str], headers: dict[str, str]
) -> httpx.Response:
    method, _, path = key.partition(" ")
    url = (path + row.query).format(**ids)
    headers = {**headers, "Idempotency-Key": "one"}
    if row.version:
        shown = await client.get(re.sub(r"(?<={conversation_id})/.*", "", path).format(**ids), headers=headers)
        headers["If-Match"] = shown.headers.get("etag", '"1"')
    if key == "GET /api/v1/stream":
        return await _look_in(client, url, headers)
    if key == "POST /api/v1/attachments":
        return await client.post(url, headers=headers, files={"file": ("a.txt", b"text", "text/plain")})
    return await client.request(method, url, headers=headers, json=_filled(row.body, ids))


async def _look_in(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> httpx.Response:
    """By somebody who goes away at once: the stream has no end of its own."""
    app = client._transport.app  # type: ignore[attr-defined]

    async def leave() -> dict[str, str]:
        return {"type": "http.disconnect"}

    transport = httpx.ASGITransport(lambda scope, _receive, send: app(scope, leave, send))
    async with httpx.AsyncClient(transport=transport, base_url=client.base_url, event_hooks=client.event_hooks) as one:
        return await one.get(url, headers=headers)


def _filled(body: Any, ids: dict[str, str]) -> Any:
    """The body with the ids that it names."""
    if isinstance(body, dict):
        return {name: _filled(value, ids) for name, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, ids) for value in body]
    return body.format(**ids) if isinstance(body, str) else body


# Supervisors see all, as administrators do, by the same statements: those need no second look on PostgreSQL.
@pytest.mark.parametrize(
    ("database_url", "role"),
    [
        ("sqlite", "agent"),
        ("sqlite", "supervisor"),
        ("sqlite", "admin"),
        ("postgresql", "agent"),
        ("postgresql", "admin"),
    ],
    indirect=["database_url"],
)
async def test_each_route_answers_each_role_as_the_table_says(
    role: str, client: httpx.AsyncClient, services: Services
) -> None:
    wrong = []
    shared = await _world(services, role)
    for key, row in TABLE.items():
        for place, status in zip(("own", "foreign"), getattr(row, role).split("/"), strict=False):
            # What changes something gets a world of its own; all the rest shares one.
            changes = status.startswith("2") and not key.startswith("GET ")
            me, ids = await _world(services, role, _named(key, row)) if changes else shared
            found = await _ask(client, key, row, ids[place], me.headers)
            if found.status_code != int(status):
                wrong.append(f"{key} {place}: {found.status_code}, not {status}: {found.text[:200]}")
    assert not wrong, "\n".join(wrong)


@ON_ONE_DATABASE
async def test_nobody_without_a_token_gets_further_than_the_door(client: httpx.AsyncClient, services: Services) -> None:
    _, ids = await _world(services, "admin")
    wrong = []
    for key, row in TABLE.items():
        found = await _ask(client, key, row, ids["own"], {})
        if found.status_code != int(row.anybody):
            wrong.append(f"{key}: {found.status_code}, not {row.anybody}: {found.text[:200]}")
    assert not wrong, "\n".join(wrong)


@ON_ONE_DATABASE
def test_every_route_has_a_row(services: Services) -> None:
    app = create_app(services)
    known = {f"{method} {route.path}" for route in all_routes(app) for method in route.methods - {"HEAD"}}
    assert known == set(TABLE)


@ON_ONE_DATABASE
async def test_a_token_without_the_scope_is_refused_by_each_route_that_needs_one(
    client: httpx.AsyncClient, services: Services
) -> None:
    _, ids = await _world(services, "admin")
    bare = await factories.agent(services, role="admin", scopes=["social:write"])
    open_to_all = {"POST /api/v1/auth/logout", "POST /api/v1/auth/login", "GET /api/v1/me", "GET /api/v1/service-hours"}
    by_letter = ("forgot-password", "reset-password", "accept-invitation", "first-run")
    open_to_all |= {f"POST /api/v1/auth/{word}" for word in by_letter}
    open_to_all |= {key for key in TABLE if "/auth/sso" in key or "/social/" in key}
    for key, row in TABLE.items():
        if key.partition(" ")[2].startswith(V) and key not in open_to_all:
            found = await _ask(client, key, row, ids["own"], bare.headers)
            assert found.status_code == 403, key
