"""Examples of what is sent, by the name of the body's schema: written out, since readers copy them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from uuid import UUID


def identifier(noun: str) -> str:
    """The id of a thing: the same wherever it is spoken of, in the form of a UUIDv7."""
    return str(UUID(hex="0198c0de0000" + "7" + "000" + "8000" + sha256(noun.encode()).hexdigest()[:12]))


BODIES: Final[Mapping[str, Any]] = {
    "ConversationCreate": {
        "inbox_id": identifier("inbox"),
        "contact": {"name": "Mina", "handle": "mina@example.com"},
        "subject": "Your withdrawal",
        "text": "We looked into it and found the transaction.",
    },
    "ConversationPatch": {"status": "pending", "priority": "high", "tags": ["withdrawal"]},
    "MessageCreate": {"text": "Thank you for waiting. It has arrived.", "seen_seq": 7, "status": "resolved"},
    "HideGiven": {"hidden": True},
    "PreviewGiven": {"inbox_id": identifier("inbox"), "text": "We are looking into it.", "visibility": "public"},
    "SocialReplyCreate": {
        "inbox_id": identifier("inbox"),
        "in_reply_to": "1987654321098765432",
        "text": "We are looking into it and wrote to you directly.",
        "visibility": "public",
    },
    "HandoffGiven": {"inbox_id": identifier("chat"), "language": "en"},
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
    "ManyReadGiven": {"ids": [identifier("conversation")]},
    "ParticipantGiven": {"handle": "partner@example.com", "name": "Partner"},
    "WatcherGiven": {},
    "PresenceGiven": {"state": "typing"},
    "MergeGiven": {"into": identifier("other conversation")},
    "ContactCreate": {"name": "Mina", "identities": [{"channel": "email", "handle": "mina@example.com"}]},
    "SplitGiven": {"message_ids": [identifier("message")]},
    "TransferGiven": {"team_id": identifier("team"), "note": "He has sent the hash; the network fee is the question."},
    "SpamGiven": {"block_contact": True},
    "TriageGiven": {"category": "transaction", "priority": "high"},
    "CategoryCreate": {
        "key": "staking",
        "names": {"en": "Staking", "zh-CN": "质押", "zh-TW": "質押"},
        "words": ["staking", "unstake*", "质押"],
        "priority": None,
    },
    "CategoryPatch": {"words": ["staking", "unstake*", "validator", "质押"]},
    "RuleSwitch": {"enabled": False},
    "ContactMergeGiven": {"into": identifier("other contact")},
    "IdentityGiven": {"channel": "email", "handle": "mina@work.example"},
    "DraftGiven": {"text": "Thank you for", "private": False},
    "ContactPatch": {"name": "Mina Park", "custom_fields": {"plan": "pro"}},
    "InboxCreate": {"channel": "email", "name": "Support", "settings": {"address": "support@example.com"}},
    "InboxPatch": {"name": "Support desk", "settings": {"display_name": "Wallet support"}},
    "InboxCheck": {"send": False},
    "InboxTrial": {"channel": "email", "settings": {"address": "support@example.com"}},
    "Reprocess": {},
    "FirstRun": {
        "token": "q4Lk0N0Z3vQ",
        "email": "anna@example.com",
        "name": "Anna",
        "password": "a long password of my own",
        "locale": "en",
    },
    "AgentCreate": {"email": "anna@example.com", "name": "Anna", "role": "agent"},
    "AgentPatch": {"capacity": 12, "skills": {"languages": ["zh-CN", "zh-TW"], "categories": []}},
    "MePatch": {
        "duty": "off",
        "preferences": {"theme": "dark"},
        "quiet_hours": {"zone": "Asia/Shanghai", "from": "22:00", "to": "07:00"},
    },
    "TeamCreate": {"name": "Payments", "member_ids": [], "lead_ids": []},
    "SsoProviderCreate": {
        "name": "Company account",
        "issuer": "https://id.example.com",
        "client_id": "helpdesk",
        "secret": "…",
        "domains": ["example.com"],
    },
    "SsoProviderPatch": {"domains": ["example.com", "example.org"], "enabled": True},
    "TeamPatch": {
        "description": "Withdrawals and deposits",
        "routing": {"method": "least_busy", "capacity": 8, "skills": "prefer", "take_back_minutes": 30},
    },
    "DutyCreate": {
        "name": "Day shift",
        "zone": "Asia/Shanghai",
        "shifts": [
            {
                "agent_ids": [identifier("agent")],
                "weekly": [*[[["08:00", "16:00"]]] * 5, [], []],
            }
        ],
    },
    "DutyPatch": {"overrides": [{"date": "2026-10-01", "agent_ids": [identifier("agent")], "hours": []}]},
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
    "MacroPreview": {"conversation_id": identifier("conversation")},
    "MacroRun": {"conversation_id": identifier("conversation"), "seen_seq": 7},
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
    "WebhookReplay": {"since": "2026-11-02T09:00:00Z", "types": ["message.received"]},
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
    "LongDryRun": {"days": 30},
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
