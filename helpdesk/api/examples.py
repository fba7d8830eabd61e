"""Examples for the reference: one afternoon of a wallet's desk, told wherever a schema has room for a part of it.

What is sent is written out in `example_bodies`. What is answered is put together from its schema: `VALUES` says what
stands in a field of that name, or in that field of that schema alone. A test validates every example against its own
schema, and asks for a value where a text has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from helpdesk.api.example_bodies import identifier

_ANNA: Final = {"id": identifier("agent"), "name": "Anna"}
_PAYMENTS: Final = {"id": identifier("team"), "name": "Payments"}
_ACTIONS: Final = [{"do": "category", "to": "security"}, {"do": "priority", "to": "urgent"}]
_WEEK: Final = [*[[["09:00", "12:30"], ["13:30", "18:00"]]] * 5, [], []]
_QUESTION: Final = "My withdrawal of 0.5 BTC has been pending since this morning. Where is it?"

VALUES: Final[Mapping[str, Any]] = {
    "action": "conversation.updated",
    "ActionDone.do": "priority",
    "ActionDone.problem": "",
    "active": True,
    "Assign.agent_id": "me",
    "AssignAnyAction.agent_id": "me",
    "agent": _ANNA,
    "agents": [_ANNA],
    "AlertRouteShown.address": ["signing_secret", "url"],
    "AlertRouteShown.kind": "feishu",
    "AlertRouteShown.host": "open.feishu.cn",
    "AlertRouteShown.name": "On call",
    "AlertShown.data": {"rule": "Theft, overdue"},
    "AlertShown.kind": "sla_breach",
    "anchor": "breach",
    "assignee": _ANNA,
    "author": {"kind": "contact", "id": identifier("contact"), "name": "Mina"},
    "author_kind": "agent",
    "author_name": "Anna",
    "AuditActor.kind": "agent",
    "AuditShown.data": {"fields": ["priority", "status"]},
    "AuditSubject.type": "conversation",
    "auto_submitted": None,
    "AutomationRuleShown.name": "Recovery phrases are security",
    "CalendarUsed.name": "Berlin desk",
    "CannedResponseShown.texts": {"en": "Hello {{contact.first_name}}, thank you for waiting."},
    "categories": ["security"],
    "category": "transaction",
    "CategoryShown.key": "staking",
    "CategoryShown.names": {"en": "Staking", "zh-CN": "质押", "zh-TW": "質押"},
    "CategoryShown.words": ["staking", "unstake*", "质押"],
    "suggested_category": "account",
    "cc": [],
    "ChannelShown.name": "email",
    "ChannelShown.title": "E-mail",
    "ChannelShown.secrets": ["imap_password", "smtp_password"],
    "ChannelShown.config_schema": {
        "type": "object",
        "required": ["address"],
        "properties": {"address": {"type": "string"}},
    },
    "channel": "email",
    "channels": ["email"],
    "CheckShown.name": "smtp",
    "CheckShown.detail": "signed in; the server takes 35 MB",
    "client": "Firefox on Linux",
    "comment": "Quick, and it was explained.",
    "client_id": "helpdesk",
    "clock_kind": "first_response",
    "ContactSummary.handle": "mina@example.com",
    "content": {"text": "Thank you for", "private": False},
    "content_id": "",
    "content_type": "image/png",
    "created_by": identifier("agent"),
    "custom_fields": {"chain": "Bitcoin"},
    "CustomFieldShown.key": "chain",
    "CustomFieldShown.options": ["Bitcoin", "Ethereum"],
    "CustomFieldShown.title": "Chain",
    "CustomFieldShown.type": "choice",
    "HolidayShown.date": "2026-12-25",
    "HolidayShown.name": "Christmas Day",
    "SpecialShown.date": "2026-12-24",
    "SpecialShown.name": "Christmas Eve",
    "description": "Withdrawals and deposits",
    "detail": None,
    "digest": sha256(b"the entry and the digest before it").hexdigest(),
    "disabled_reason": "",
    "display": "Mina",
    "domains": ["example.com"],
    "DutyNow.fallback": [],
    "email": "anna@example.com",
    "enabled": True,
    "error": "",
    "error_kind": "",
    "error_detail": "",
    "escalations": [],
    "event": "message.received",
    "events": ["sla.breached", "alert.raised"],
    "EventShown.data": {"before": "open", "after": "pending", "by": "agent"},
    "EventShown.type": "conversation.status_changed",
    "EventTold.data": {"before": "open", "after": "pending", "by": "agent"},
    "EventTold.type": "conversation.status_changed",
    "external_id": "<CAF7x9@mail.example.com>",
    "external_url": "",
    "failing_since": None,
    "filename": "screenshot.png",
    "filter": {"field": "status", "op": "in", "value": ["open", "pending"]},
    "FoundConversation.status": "open",
    "FoundMessage.type": "incoming",
    "group": "email",
    "group_by": "channel",
    "handle": "mina@example.com",
    "holiday_years": [2026],
    "HolidaysAdded.years": [2026],
    "hours": [["09:00", "12:00"]],
    "HoursName.name": "Berlin desk",
    "HoursShown.name": "Berlin desk",
    "html": None,
    "if": {"field": "message.text", "op": "contains", "value": "recovery phrase"},
    "do": "assign",
    "AutomationRuleShown.do": _ACTIONS,
    "AutomationRuleVersion.do": _ACTIONS,
    "in_reply_to": "",
    "InboxHours.name": "Support",
    "InboxName.handle": "support@example.com",
    "InboxName.name": "Support",
    "InboxShown.handle": "support@example.com",
    "InboxShown.name": "Support",
    "InboxShown.secrets": ["imap_password", "smtp_password"],
    "InvitationShown.status": "sent",
    "issuer": "https://id.example.com",
    "JobShown.kind": "bulk",
    "kind": "first_response",
    "LadderShown.name": "Theft, overdue",
    "language": "en",
    "link": None,
    "locale": "en",
    "MacroShown.actions": [{"do": "assign", "agent_id": "me"}, {"do": "status", "to": "pending"}],
    "MacroShown.name": "Take and wait",
    "merged_into_id": None,
    "missing": [],
    "name": "Anna",
    "ContactShown.name": "Mina",
    "ContactSummary.name": "Mina",
    "FoundContact.name": "Mina",
    "ParticipantShown.name": "Partner",
    "ParticipantShown.handle": "partner@example.com",
    "PreviewPart.unit": "weighted",
    "Person.name": "Mina",
    "new_text": _QUESTION,
    "next_cursor": None,
    "OutcomeShown.do": "status",
    "OutcomeShown.before": {"status": "open"},
    "OutcomeShown.after": {"status": "pending"},
    "otpauth_uri": "otpauth://totp/Helpdesk:anna%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=Helpdesk",
    "overridden": [],
    "PartShown.text": "withdrawal",
    "PartShown.hit": True,
    "policy": "Theft",
    "PolicyUsed.name": "Theft",
    "preview": _QUESTION,
    "priorities": ["urgent"],
    "problem": "",
    "RecipientShown.reason": "lead",
    "quiet_hours": {"zone": "Asia/Shanghai", "from": "22:00", "to": "07:00"},
    "reason": "lead",
    "reasons": [],
    "recovery_codes": ["7q4m-x2hd-9kpt", "b8wn-5rzc-3jfy"],
    "redirect_uri": "https://helpdesk.example.com/api/v1/inboxes/consent/callback",
    "Reference.name": "Anna",
    "refused": None,
    "rule": "withdrawal_waits",
    "rule_name": "Recovery phrases are security",
    "RuleShown.name": "withdrawal_waits",
    "SuggestionShown.reasons": [
        {
            "rule": "withdrawal_waits",
            "rule_name": "Recovery phrases are security",
            "category": "transaction",
            "weight": 3,
            "priority": "high",
            "words": ["withdrawal", "pending"],
        }
    ],
    "RulesShown.categories": ["account", "transaction", "security"],
    "scopes": ["conversations:read", "conversations:write"],
    "secret": "JBSWY3DPEHPK3PXP",
    "WebhookMade.secret": "whsec_TWVhbnQgZm9yIG9uZSByZWNlaXZlciBvbmx5",
    "settings": {"address": "support@example.com", "display_name": "Wallet support"},
    "shared": "everybody",
    "shortcut": "thanks",
    "SlaLine.policy": "Theft",
    "SlaPolicyShown.name": "Theft",
    "EscalationRuleShown.name": "Theft, overdue",
    "SsoChoice.name": "Company account",
    "SsoProviderShown.name": "Company account",
    "LadderShown.state": "running",
    "steps": [{"after": 0, "time": "calendar", "actions": [{"do": "note", "text": "Still waiting."}]}],
    "LadderShown.steps": [],
    "subject": "Where is my withdrawal?",
    "CustomFieldShown.subject": "conversation",
    "TagShown.name": "withdrawal",
    "tags": ["withdrawal"],
    "team": _PAYMENTS,
    "TeamShown.name": "Payments",
    "text": _QUESTION,
    "RenderedShown.text": "Hello Mina, thank you for waiting.",
    "title": "Thanks for waiting",
    "HitShown.title": [{"text": "Where is my ", "hit": False}, {"text": "withdrawal", "hit": True}],
    "HitShown.snippet": [{"text": "My ", "hit": False}, {"text": "withdrawal", "hit": True}],
    "HitShown.contact": None,
    "token": "hd_0oYv5nQkq2mB7wXeR4tZ",
    "TokenMade.name": "Nightly export",
    "TokenShown.name": "Nightly export",
    "trouble": "",
    "url": "https://id.example.com/authorize?client_id=helpdesk&response_type=code",
    "WebhookShown.url": "https://pager.example.com/hooks/helpdesk",
    "WebhookMade.url": "https://pager.example.com/hooks/helpdesk",
    "WebhookShown.name": "Pager",
    "WebhookMade.name": "Pager",
    "WebhookDeliveryShown.type": "alert.raised",
    "ViewShown.name": "Urgent, nobody's",
    "watchers": [],
    "weekly": _WEEK,
    "words": ["withdrawal", "pending"],
    "WouldAct.actions": ["category", "priority"],
    "zone": "Europe/Berlin",
    # Numbers and times, where the least or the usual would read oddly.
    "at": "2026-03-02T14:05:00Z",
    "before": "2026-03-09T00:00:00Z",
    "after": "2026-03-02T00:00:00Z",
    "compliance": 0.96,
    "created_at": "2026-03-02T08:12:00Z",
    "received_at": "2026-03-02T08:11:58Z",
    "started_at": "2026-03-02T08:11:58Z",
    "updated_at": "2026-03-02T14:05:00Z",
    "last_activity_at": "2026-03-02T14:05:00Z",
    "last_seen_at": "2026-03-02T14:05:00Z",
    "due_at": "2026-03-03T08:11:58Z",
    "due_kind": "first_response",
    "due_soon_at": "2026-03-03T07:11:58Z",
    "next_due_at": "2026-03-03T08:11:58Z",
    "due_if_calendar": "2026-03-03T08:11:58Z",
    "expires_at": "2026-04-01T08:12:00Z",
    "snoozed_until": None,
    "resolved_at": None,
    "finished_at": None,
    "used_at": None,
    "read_at": None,
    "breached_at": None,
    "corrected_at": None,
    "corrected_by": None,
    "acknowledged_at": None,
    "acknowledged_by": None,
    "number": 1042,
    "seq": 7,
    "position": 48213,
    "size": 48213,
    "version": 3,
    "count": 12,
    "message_count": 3,
    "last_status": 200,
    "max_length": None,
    "reply_window": None,
    "private_reply_window": None,
    "median": 2700,
    "mean": 3480,
    "p90": 9000,
    "target_seconds": 86400,
    "elapsed_seconds": 21182,
    "joined": True,
    "ok": True,
    "has_secret": True,
    "verified": True,
    "complete": True,
}

TEXTS: Final[Mapping[str, str]] = {
    "text/csv": "group,name,created,resolved,reopened,received,sent\r\nemail,,41,38,2,97,88\r\n",
    "text/html": "<!doctype html><html><body><p>My withdrawal is pending.</p></body></html>",
    "message/rfc822": "From: mina@example.com\r\nSubject: Where is my withdrawal?\r\n\r\nIt is pending.\r\n",
    "text/plain": 'helpdesk_conversations{status="open"} 41.0\n',
    "application/octet-stream": "(the bytes of the file)",
}
"""Answers that are no JSON, by their type."""

_TIME: Final = "2026-03-02T14:05:00Z"
_ENDINGS: Final = ("Shown", "Item", "Detail", "Name", "Made", "Summary", "Told", "Version", "Used", "Choice")


def example(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, owner: str = "", name: str = "") -> Any:
    """What an answer of this schema may look like. `owner` and `name`: the schema and the field that it stands in."""
    if "$ref" in schema:
        owner = schema["$ref"].rpartition("/")[2]
        return example(schemas[owner], schemas, owner=owner)
    for key in (f"{owner}.{name}", name):
        if key in VALUES and _may_be(VALUES[key], schema, schemas):
            return VALUES[key]
    for word in ("example", "const", "default"):
        if schema.get(word) is not None:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return example(schema[word][0], schemas, owner=owner, name=name)
    return _made(schema, schemas, owner, name)


def _made(schema: Mapping[str, Any], schemas: Mapping[str, Any], owner: str, name: str) -> Any:
    kind = schema.get("type")
    if kind == "object":
        return {
            field: example(inner, schemas, owner=owner, name=field)
            for field, inner in schema.get("properties", {}).items()
        }
    if kind == "array":
        one = example(schema["items"], schemas, owner=owner, name=_singular(name)) if "items" in schema else None
        return [] if one is None else [one]
    if kind == "string":
        formats = {"date-time": _TIME, "date": _TIME[:10], "uuid": identifier(_noun(owner, name))}
        return formats.get(schema.get("format", ""), name.replace("_", " "))
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    return False if kind == "boolean" else None


def _may_be(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> bool:
    """Roughly: whether it is of one of the kinds that the schema takes; one name means different things in places."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return any(_may_be(value, one, schemas) for one in schema[word])
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    if schema.get("format") == "uuid":
        return isinstance(value, str) and value.startswith("0198c0de")
    if schema.get("format") == "date-time":
        return isinstance(value, str) and value.endswith("Z")
    if schema.get("type") == "array" and isinstance(value, list):
        return all(_may_be(one, schema.get("items", {}), schemas) for one in value)
    if schema.get("type") == "object" and "properties" in schema:
        return isinstance(value, dict) and set(value) <= set(schema["properties"])
    kinds: dict[str, Any] = {"string": str, "integer": int, "number": int | float, "boolean": bool, "null": type(None)}
    kinds |= {"array": list, "object": dict}
    kind = schema.get("type")
    if isinstance(value, bool) and kind != "boolean" and kind is not None:
        return False
    return kind is None or isinstance(value, kinds[str(kind)])


def _singular(name: str) -> str:
    return name.removesuffix("s")


def _noun(owner: str, name: str) -> str:
    """Whose id it is: the field's name says so, or the schema's."""
    if name != "id":
        return name.removesuffix("_id").replace("_", " ")
    for ending in _ENDINGS:
        owner = owner.removesuffix(ending)
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in owner).strip()
