"""Rows to begin with: plain async functions over the services' own verbs, so that what they make is what is made.

anna = await agent(services, role="agent")
desk = await inbox(services, members=[anna.id])
mail = await conversation(services, inbox_id=desk)
answer = await client.get("/api/v1/conversations", headers=anna.headers)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from typing import Any
from uuid import UUID

from argon2 import PasswordHasher
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.channels import Address
from helpdesk.crypto import encrypt, new_key
from helpdesk.db import insert_ignoring, insert_rows, new_id
from helpdesk.domain.actions import Alert
from helpdesk.domain.chat_tools import ChatTool
from helpdesk.domain.html import POLICY_VERSION
from helpdesk.domain.language import SUPPORTED
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, MessageType, RawState
from helpdesk.models.agents import agents as agent_rows
from helpdesk.models.alerts import alert_recipients
from helpdesk.models.conversations import (
    conversation_inboxes,
    conversation_links,
    conversation_tags,
    conversations,
    participants,
)
from helpdesk.models.inboxes import inboxes as inbox_rows
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import messages
from helpdesk.models.rules import ratings
from helpdesk.models.webhooks import webhook_deliveries as delivery_rows
from helpdesk.services import (
    accounts,
    agents,
    alert_routes,
    alerts,
    automation_rules,
    business_hours,
    canned_responses,
    categories,
    contacts,
    custom_fields,
    duty,
    escalation_rules,
    inboxes,
    jobs,
    macros,
    policies,
    rating_requests,
    rows,
    sso_providers,
    tags,
    teams,
    tokens,
    views,
    webhook_deliveries,
    webhooks,
)
from helpdesk.services.digests import digest_of
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.statements import next_numbers

PASSWORD = "correct horse battery"

_serial = count(1)


@cache
def _hash() -> str:
    """Cheap parameters: the real ones take a tenth of a second each time."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@dataclass(frozen=True, slots=True)
class Someone:
    """An agent and a token of his."""

    id: UUID
    email: str
    name: str
    token: str
    token_id: UUID

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


async def agent(
    services: Services,
    *,
    role: str = "agent",
    name: str = "",
    kind: str = "agent",
    scopes: Sequence[str] = (),
    password: bool = False,
    now: datetime | None = None,
) -> Someone:
    """An agent with a token; `password` lets him sign in with PASSWORD."""
    number = next(_serial)
    name = name or f"{role.title()} {number}"
    email = f"{role}{number}@helpdesk.test"
    now = now or clock.now()
    async with services.database.transaction() as session:
        agent_id = await agents.create(session, email=email, name=name, role=role, by=SYSTEM, now=now)
        if password:
            await session.execute(update(agent_rows).where(agent_rows.c.id == agent_id).values(password_hash=_hash()))
        token_id, plain = await tokens.create_token(
            session, agent_id=agent_id, name="test", kind=kind, scopes=scopes, by=SYSTEM, now=now
        )
    return Someone(agent_id, email, name, plain, token_id)


async def team(services: Services, *, name: str = "", members: Sequence[UUID] = ()) -> UUID:
    async with services.database.transaction() as session:
        return await teams.create(
            session, name=name or f"Team {next(_serial)}", members=members, by=SYSTEM, now=clock.now()
        )


async def hours(
    services: Services, *, zone: str = "UTC", weekly: Any = None, default: bool = False, **given: Any
) -> UUID:
    """A calendar, open 09:00 to 17:00 on every day unless `weekly` says otherwise."""
    content = {"zone": zone, "weekly": weekly or [[["09:00", "17:00"]]] * 7, "holiday_years": None}
    content |= {"holidays": [], "overrides": [], "breaks": []} | given
    async with services.database.transaction() as session:
        return await business_hours.create(
            session, name=f"Hours {next(_serial)}", content=content, default=default, by=SYSTEM, now=clock.now()
        )


async def canned_response(services: Services, *, by: Actor, shortcut: str = "", **given: Any) -> UUID:
    """One's own, in English, unless `given` says otherwise."""
    given = {"title": "Thanks", "texts": {"en": "Thank you, {{contact.first_name}}."}} | given
    async with services.database.transaction() as session:
        return await canned_responses.create(
            session, shortcut=shortcut or f"text{next(_serial)}", **given, by=by, now=clock.now()
        )


async def macro(services: Services, *actions: dict[str, Any], by: Actor, **given: Any) -> UUID:
    """One's own, which gives it to whoever runs it unless `actions` say otherwise."""
    todo = list(actions) or [{"do": "assign", "agent_id": "me"}]
    async with services.database.transaction() as session:
        return await macros.create(
            session, name=f"Macro {next(_serial)}", actions=todo, **given, by=by, now=clock.now()
        )


async def category(services: Services, key: str = "", **given: Any) -> str:
    """One of the house's own; answers its key."""
    key = key or f"matter-{next(_serial)}"
    given = {"names": dict.fromkeys(SUPPORTED, key), "words": [], "weight": 5, "priority": None} | given
    async with services.database.transaction() as session:
        await categories.create(session, key=key, **given, by=SYSTEM, now=clock.now())
    return key


async def triage_rule(_services: Services) -> str:
    """The name of one that every house has."""
    return "theft"


async def custom_field(
    services: Services, key: str = "", *, subject: str = "conversation", kind: str = "text", options: Sequence[str] = ()
) -> UUID:
    key = key or f"field{next(_serial)}"
    async with services.database.transaction() as session:
        return await custom_fields.create(
            session, subject=subject, key=key, title=key, type=kind, options=options, by=SYSTEM, now=clock.now()
        )


async def inbox(
    services: Services,
    *,
    channel: str = "email",
    name: str = "",
    team_id: UUID | None = None,
    members: Sequence[UUID] = (),
    **given: Any,
) -> UUID:
    """An inbox; settings that are not given are made up for e-mail."""
    number = next(_serial)
    own = {"address": f"desk{number}@helpdesk.test"} if channel == "email" else {}
    async with services.database.transaction() as session:
        return await inboxes.add(
            services,
            session,
            channel=channel,
            name=name or f"Desk {number}",
            settings={**own, **given, "team_id": team_id},
            members=members,
            by=SYSTEM,
            now=clock.now(),
        )


async def policy(
    services: Services, *, name: str = "", position: int = 500, enabled: bool = True, **given: Any
) -> UUID:
    """An SLA policy for everything, of a day by the clock on the wall; `given` overrides its content."""
    content = {
        "clock": "calendar",
        "business_hours_id": None,
        "inbox_ids": [],
        "channels": [],
        "priorities": [],
        "categories": [],
        "targets": {"first_response": 86_400, "next_response": 86_400},
        "warnings": [],
        "pauses": ["resolution"],
        "pause_states": ["pending"],
        "next_response_from_creation": False,
    }
    async with services.database.transaction() as session:
        return await policies.create(
            session,
            name=name or f"Policy {next(_serial)}",
            position=position,
            enabled=enabled,
            content=content | given,
            by=SYSTEM,
            now=clock.now(),
        )


async def rule(
    services: Services, *actions: dict[str, Any], name: str = "", anchor: str = "breach", **given: Any
) -> UUID:
    """An escalation rule of one step at its anchor, which writes a note unless `actions` say otherwise."""
    step = {"after": 0, "time": "calendar", "actions": list(actions) or [{"do": "note", "text": "Overdue."}]}
    conditions: dict[str, Any] = {"clocks": [], "channels": [], "priorities": [], "categories": [], "policy_ids": []}
    content = {"anchor": anchor, **conditions, "steps": [step], **given}
    async with services.database.transaction() as session:
        return await escalation_rules.create(
            session, name=name or f"Rule {next(_serial)}", enabled=True, content=content, by=SYSTEM, now=clock.now()
        )


async def automation_rule(
    services: Services,
    *actions: dict[str, Any],
    events: Sequence[str] = ("message.received",),
    condition: dict[str, Any] | None = None,
    stop: bool = False,
    position: int = 100,
    elapsed: dict[str, Any] | None = None,
    now: datetime | None = None,
) -> UUID:
    """Tags what the contact writes to, unless `actions` and `events`, or `elapsed`, say otherwise."""
    when = {"elapsed": elapsed} if elapsed else {"events": list(events)}
    content = {"when": when, "if": condition or {}, "stop": stop}
    content["do"] = list(actions) or [{"do": "tag", "add": ["seen"], "remove": []}]
    given: dict[str, Any] = {"enabled": True, "position": position, "content": content}
    async with services.database.transaction() as session:
        return await automation_rules.create(
            session, name=f"Rule {next(_serial)}", **given, by=SYSTEM, now=now or clock.now()
        )


async def job(services: Services, *, kind: str = "test", total: int = 0, by: Actor = SYSTEM, **arguments: Any) -> UUID:
    async with services.database.transaction() as session:
        return await jobs.start(session, kind, arguments, total=total, by=by, now=clock.now())


async def contact(services: Services, *, handle: str = "", name: str = "Mina", channel: str = "email") -> UUID:
    handle = handle or f"mina{next(_serial)}@customer.test"
    async with services.database.transaction() as session:
        return await contacts.find_or_create(
            services, session, channel=channel, handle=handle, name=name, by=SYSTEM, now=clock.now()
        )


async def conversation(
    services: Services,
    *,
    inbox_id: UUID,
    handle: str = "",
    name: str = "Mina",
    text: str = "Where is my withdrawal?",
    html: str | None = None,
    tag: Sequence[str] = (),
    now: datetime | None = None,
    messages: int = 1,
    **given: Any,
) -> UUID:
    """A conversation as filing leaves it, with `messages` of the contact; `given` overrides its columns."""
    now = now or clock.now()
    handle = handle or f"mina{next(_serial)}@customer.test"
    conversation_id = new_id()
    async with services.database.transaction() as session:
        found = await session.execute(select(inbox_rows).where(inbox_rows.c.id == inbox_id))
        through = found.mappings().one()
        contact_id = await contacts.find_or_create(
            services, session, channel=through["channel"], handle=handle, name=name, by=SYSTEM, now=now
        )
        row = rows.conversation(
            conversation_id,
            inbox=through,
            contact_id=contact_id,
            handle=handle,
            subject="Withdrawal",
            preview=text,
            language="en",
            quarantined=False,
            activity=now,
            now=now,
        )
        (row["number"],) = await next_numbers(session, 1)
        row |= {"waiting_since": now, "next_due_at": now + timedelta(hours=24)}
        row |= {"due_soon_at": now + timedelta(hours=18)}
        await insert_rows(session, conversations, [row | given])
        await insert_rows(session, conversation_inboxes, [{"conversation_id": conversation_id, "inbox_id": inbox_id}])
        person = rows.participant(row, Address(handle, name), contact_id, now=now)
        await insert_rows(session, participants, [person])
        await tags.ensure(session, tag, now=now)
        await insert_rows(session, conversation_tags, [{"conversation_id": conversation_id, "tag": t} for t in tag])
    for _ in range(messages):
        await incoming(services, conversation_id, text=text, html=html, now=now)
    return conversation_id


async def incoming(
    services: Services,
    conversation_id: UUID,
    *,
    text: str = "Hello?",
    html: str | None = None,
    raw: bytes | None = None,
    now: datetime | None = None,
    **given: Any,
) -> UUID:
    """A message of the contact, with its encrypted source when `raw` is given."""
    now = now or clock.now()
    message_id = new_id()
    async with services.database.transaction() as session:
        found = await session.execute(
            select(conversations).where(conversations.c.id == conversation_id).with_for_update()
        )
        row = found.mappings().one()
        seq = row["seq"] + 1
        message = rows.message(
            message_id,
            conversation_id=conversation_id,
            seq=seq,
            type=MessageType.INCOMING.value,
            channel=row["channel"],
            inbox_id=row["inbox_id"],
            author_kind=AuthorKind.CONTACT.value,
            author_id=row["contact_id"],
            author_name="Mina",
            subject=row["subject"],
            text=text,
            new_text=text,
            html=html,
            html_policy=POLICY_VERSION if html else 0,
            external_id=f"<{message_id}@customer.test>",
            created_at=now,
            received_at=now,
            **given,
        )
        await insert_rows(session, messages, [message])
        values = {"seq": seq, "message_count": row["message_count"] + 1, "last_incoming_seq": seq}
        values |= {"last_message_direction": "incoming", "last_activity_at": max(now, row["last_activity_at"])}
        await session.execute(update(conversations).where(conversations.c.id == conversation_id).values(values))
        if raw is not None:
            await _source(services, session, row, message_id, raw, now)
    return message_id


async def _source(services: Services, session: Any, row: Any, message_id: UUID, body: bytes, now: datetime) -> None:
    keys, raw_id, data_key = Keys(services.keyring), new_id(), new_key()
    owner = f"contact:{row['contact_id']}"
    await keys.load(session, owner)
    item = {
        "id": raw_id,
        "inbox_id": row["inbox_id"],
        "position": f"test;{raw_id}",
        "digest": "",
        "size": len(body),
        "body": encrypt(data_key, body, row=f"raw:{raw_id}"),
        "blob_id": None,
        "data_key": keys.wrap(data_key, owner=owner, row=f"raw:{raw_id}"),
        "key_owner": owner,
        "hints": {},
        "backfilled": False,
        "received_at": now,
        "created_at": now,
        "state": RawState.FILED.value,
        "error": "",
        "attempts": 0,
        "next_attempt_at": now,
        "claimed_by": "",
        "claimed_until": 0.0,
        "claim": 0,
        "message_id": message_id,
    }
    await insert_rows(session, raw_items, [item])


async def duty_schedule(
    services: Services,
    *,
    agents: Sequence[UUID],
    team_id: UUID | None = None,
    zone: str = "UTC",
    hours: Sequence[Sequence[str]] = (("00:00", "24:00"),),
    overrides: Sequence[dict[str, Any]] = (),
) -> UUID:
    """A roster in which they work the same hours every day."""
    shift = {"agent_ids": [str(one) for one in agents], "weekly": [[list(pair) for pair in hours]] * 7}
    async with services.database.transaction() as session:
        return await duty.create(
            session,
            name=f"Schedule {next(_serial)}",
            team_id=team_id,
            content={"zone": zone, "shifts": [shift], "overrides": list(overrides)},
            by=SYSTEM,
            now=clock.now(),
        )


async def webhook(
    services: Services, *, url: str = "https://hooks.example.com/in", asks_for: Sequence[str] = ("*",)
) -> UUID:
    async with services.database.transaction() as session:
        webhook_id, _ = await webhooks.create(
            services,
            session,
            name=f"Webhook {next(_serial)}",
            url=url,
            asks_for=asks_for,
            by=SYSTEM,
            now=clock.now(),
        )
    return webhook_id


async def webhook_delivery(services: Services, webhook_id: UUID, *, status: str = "failed") -> UUID:
    """A message to it that came to its end, or has not."""
    async with services.database.transaction() as session:
        row = await webhooks.get_webhook(session, webhook_id)
        delivery_id = await webhook_deliveries.queue_test(session, row, now=clock.now())
        await session.execute(
            update(delivery_rows).where(delivery_rows.c.id == delivery_id).values(status=status, error="status")
        )
    return delivery_id


async def alert(services: Services, conversation_id: UUID, agent_id: UUID) -> UUID:
    """An alert about a conversation that calls one agent."""
    subject = alerts.Subject(f"test:{next(_serial)}", "sla_breach")
    call = Alert(who=(), agent_ids=(agent_id,), severity="critical", acknowledge=timedelta(minutes=15))
    async with services.database.transaction() as session:
        found = await session.execute(select(conversations).where(conversations.c.id == conversation_id))
        about = found.mappings().one()
        raised = await alerts.call(services, session, subject, [call], about, data={}, now=clock.now())
        assert raised is not None
        # Whoever is on duty was called as well; him whatever the rosters say.
        him = {"alert_id": raised, "agent_id": agent_id, "level": 0, "reason": "named", "created_at": clock.now()}
        made = insert_ignoring(session, alert_recipients, on=["alert_id", "agent_id"])
        await session.execute(made.values(him))
    return raised


async def view(services: Services, *, by: Actor, shared: str = "personal", **given: Any) -> UUID:
    """A view of everything, unless `given` has another filter, as its `content`."""
    kept = {
        "name": f"View {next(_serial)}",
        "content": {},
        "sort": "-last_activity_at",
        "position": 100,
        "team_id": None,
    }
    async with services.database.transaction() as session:
        return await views.create(session, shared=shared, by=by, now=clock.now(), **kept | given)


async def alert_route(services: Services, *, kind: str = "slack", **address: str) -> UUID:
    """A chat room at which nobody is at home, unless `address` says another."""
    given = address or {"url": "https://hooks.slack.com/services/T0/B0/abc", "api_url": "http://127.0.0.1:9"}
    async with services.database.transaction() as session:
        return await alert_routes.create(
            services,
            session,
            name=f"Room {next(_serial)}",
            kind=ChatTool(kind),
            address=given,
            by=SYSTEM,
            now=clock.now(),
        )


async def sso_provider(services: Services, *, issuer: str = "http://127.0.0.1:9", **given: Any) -> UUID:
    """An OpenID provider that nobody answers for, unless `issuer` names another."""
    settings: dict[str, Any] = {"client_id": "desk", "secret": "hush", "domains": ["helpdesk.test"], **given}
    settings.setdefault("name", f"Provider {next(_serial)}")
    async with services.database.transaction() as session:
        return await sso_providers.create(services, session, issuer=issuer, **settings, by=SYSTEM, now=clock.now())


async def rating(services: Services, conversation_id: UUID, **given: Any) -> str:
    """The contact was asked an hour ago, unless `given` says otherwise; answers the secret of his link."""
    rating_id, asked_at = new_id(), clock.now() - timedelta(hours=1)
    secret = rating_requests.secret_of(services, rating_id)
    async with services.database.transaction() as session:
        found = await session.execute(select(conversations).where(conversations.c.id == conversation_id))
        about = found.mappings().one()
        row = {name: about[name] for name in ("contact_id", "inbox_id", "channel", "team_id")}
        row |= {"id": rating_id, "event_id": new_id(), "digest": digest_of(secret), "conversation_id": conversation_id}
        row |= {"agent_id": about["assignee_id"], "state": "asked", "outcome": "asked", "comment": ""}
        row |= {"resolved_at": asked_at, "due_at": asked_at, "asked_at": asked_at}
        row |= {"expires_at": asked_at + timedelta(days=30), "message_id": None, "rated_at": None, "score": None}
        await insert_rows(session, ratings, [row | given])
    return secret


__all__ = [
    "accounts",
    "agent",
    "alert",
    "alert_route",
    "canned_response",
    "clock",
    "contact",
    "conversation",
    "conversation_links",
    "custom_field",
    "duty_schedule",
    "inbox",
    "incoming",
    "job",
    "macro",
    "policy",
    "rating",
    "rule",
    "sso_provider",
    "tags",
    "team",
    "webhook",
    "webhook_delivery",
]
