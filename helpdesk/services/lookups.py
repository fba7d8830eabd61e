"""What filing must know about a batch before it decides: a handful of statements, however many messages there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import String, Uuid, bindparam, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.crypto import CannotOpen
from helpdesk.dialects import among
from helpdesk.domain import tokens
from helpdesk.domain.admission import Admitted
from helpdesk.domain.matching import Candidate, TokenFact
from helpdesk.domain.values import MessageType, RawState, Role
from helpdesk.models.agents import agents, team_members
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversation_inboxes, conversations, participants
from helpdesk.models.inboxes import inbox_members, raw_items
from helpdesk.models.messages import messages
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.statements import Statement

_CONVERSATION = [
    "id",
    "number",
    "subject",
    "contact_id",
    "contact_handle",
    "channel",
    "inbox_id",
    "status",
    "team_id",
    "assignee_id",
    "seq",
    "message_count",
    "version",
    "last_incoming_seq",
    "last_activity_at",
    "waiting_since",
    "next_due_at",
    "preview",
    "last_message_direction",
    "language",
]


@dataclass(slots=True)
class KnownContact:
    """Whom a handle belongs to, and how many conversations he has started of late."""

    contact_id: UUID
    name: str
    started_lately: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A message that we hold under some external id."""

    message_id: UUID
    conversation_id: UUID
    inbox_id: UUID
    content_digest: str


@dataclass(slots=True)
class Known:
    """The answers, by the value that was asked for. Filing adds to them as it goes through the batch."""

    digests: dict[str, UUID] = field(default_factory=dict)
    outgoing: dict[str, dict[str, Any]] = field(default_factory=dict)
    incoming: dict[str, list[Held]] = field(default_factory=dict)
    contacts: dict[str, KnownContact] = field(default_factory=dict)
    agents: dict[str, frozenset[UUID]] = field(default_factory=dict)
    conversations: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    token_facts: dict[str, Candidate | None] = field(default_factory=dict)

    def facts(self, message: Admitted) -> list[TokenFact]:
        return [
            TokenFact(source, self.token_facts[token]) for source, token in message.tokens if token in self.token_facts
        ]


async def look_up(
    services: Services,
    session: AsyncSession,
    keys: Keys,
    admitted: Sequence[Admitted],
    *,
    channel: str,
    inbox_id: UUID,
    digests: Sequence[str],
    now: datetime,
) -> Known:
    """Everything about a batch. Conversations that it may join are locked, in the order of their ids."""
    known = Known()
    senders = {message.sender.handle.lower() for message in admitted} - {""}
    held = await _DIGESTS.rows(session, inbox_id=inbox_id, digests=list(digests))
    known.digests = {row["digest"]: row["message_id"] for row in held}
    await _external_ids(session, known, admitted)
    await _contacts(session, known, keys, channel, senders, now=now)
    await _conversations(services, session, known, admitted)
    await _agents(session, known, senders)
    return known


_DIGESTS = Statement(
    lambda _: select(raw_items.c.digest, raw_items.c.message_id).where(
        raw_items.c.inbox_id == bindparam("inbox_id", type_=Uuid()),
        among(raw_items.c.digest, "digests", "text"),
        raw_items.c.state == literal_column(f"'{RawState.FILED.value}'"),
        raw_items.c.message_id.is_not(None),
    )
)

_EXTERNAL_IDS = Statement(
    lambda _: select(
        messages.c.id,
        messages.c.external_id,
        messages.c.inbox_id,
        messages.c.type,
        messages.c.content_digest,
        messages.c.conversation_id,
    ).where(among(messages.c.external_id, "wanted", "text"))
)


async def _external_ids(session: AsyncSession, known: Known, admitted: Sequence[Admitted]) -> None:
    wanted = {message.external_id for message in admitted}
    wanted.update(original for m in admitted if m.bounce for original in m.bounce.original_ids)
    for row in await _EXTERNAL_IDS.rows(session, wanted=list(wanted - {""})):
        if row["type"] == MessageType.OUTGOING:
            known.outgoing[row["external_id"]] = row
        else:
            held = Held(row["id"], row["conversation_id"], row["inbox_id"], row["content_digest"])
            known.incoming.setdefault(row["external_id"], []).append(held)


_CONTACTS = Statement(
    lambda _: (
        select(
            contact_identities.c.handle,
            contacts.c.id,
            contacts.c.name,
            contacts.c.key,
            select(func.count())
            .where(
                conversations.c.contact_id == contacts.c.id,
                conversations.c.last_activity_at > bindparam("lately", type_=conversations.c.last_activity_at.type),
            )
            .scalar_subquery()
            .label("started_lately"),
        )
        .join(contacts, contacts.c.id == contact_identities.c.contact_id)
        .where(
            contact_identities.c.channel == bindparam("channel", type_=String()),
            among(contact_identities.c.handle, "senders", "text"),
        )
    )
)


async def _contacts(
    session: AsyncSession, known: Known, keys: Keys, channel: str, senders: set[str], *, now: datetime
) -> None:
    found = await _CONTACTS.rows(session, channel=channel, senders=list(senders), lately=now - timedelta(hours=1))
    for row in found:
        if row["key"]:
            keys.add(f"contact:{row['id']}", row["key"])
            known.contacts[row["handle"]] = KnownContact(row["id"], row["name"], row["started_lately"])


_CONVERSATIONS = Statement(
    lambda _: (
        select(*(conversations.c[name] for name in _CONVERSATION))
        .where(or_(among(conversations.c.number, "numbers", "int"), among(conversations.c.id, "wanted", "uuid")))
        .order_by(conversations.c.id)
        .with_for_update()
    )
)

_PEOPLE = Statement(
    lambda _: select(participants.c.conversation_id, participants.c.handle, participants.c.removed_at).where(
        among(participants.c.conversation_id, "among", "uuid")
    )
)


async def _conversations(services: Services, session: AsyncSession, known: Known, admitted: Sequence[Admitted]) -> None:
    parsed = {text: tokens.read(text) for message in admitted for _, text in message.tokens}
    numbers = {token.number for token in parsed.values() if token}
    bounced = {original for m in admitted if m.bounce for original in m.bounce.original_ids}
    wanted = {known.outgoing[original]["conversation_id"] for original in bounced if original in known.outgoing}
    rows: dict[int, dict[str, Any]] = {}
    people: dict[UUID, dict[str, bool]] = {}
    if numbers or wanted:
        found = await _CONVERSATIONS.rows(session, numbers=list(numbers), wanted=list(wanted))
        rows = {row["number"]: row for row in found}
        known.conversations = {row["id"]: row for row in found}
        for person in await _PEOPLE.rows(session, among=list(known.conversations)):
            people.setdefault(person["conversation_id"], {})[person["handle"]] = person["removed_at"] is None
    for text, token in parsed.items():
        row = rows.get(token.number) if token else None
        known.token_facts[text] = _candidate(services, token, row, people.get(row["id"], {})) if token and row else None


def _candidate(
    services: Services, token: tokens.Token, row: dict[str, Any], people: dict[str, bool]
) -> Candidate | None:
    """The conversation, if the token was issued for it to somebody who takes, or took, part."""
    try:
        key = services.keyring.subkey("token", token.key_id)
    except CannotOpen:
        return None
    recipients = {*people, row["contact_handle"]}
    if not any(tokens.verify(key, token, recipient=recipient) for recipient in recipients):
        return None
    active = frozenset(handle for handle, present in people.items() if present)
    return Candidate(row["id"], row["status"], active)


_AGENTS = Statement(
    lambda _: select(agents.c.id, agents.c.email, agents.c.role).where(
        among(agents.c.email, "senders", "text"), agents.c.active
    )
)


async def _agents(session: AsyncSession, known: Known, senders: set[str]) -> None:
    """Which senders are agents, and which of the conversations at hand they may see today."""
    for row in await _AGENTS.rows(session, senders=list(senders)):
        known.agents[row["email"]] = (
            frozenset(known.conversations)
            if row["role"] != Role.AGENT
            else await _visible(session, row["id"], list(known.conversations))
        )


async def _visible(session: AsyncSession, agent_id: UUID, among: Sequence[UUID]) -> frozenset[UUID]:
    """As `access.scoped` has it, for the few mails that come from a colleague's address."""
    if not among:
        return frozenset()
    touched = select(conversation_inboxes.c.inbox_id).where(
        conversation_inboxes.c.conversation_id == conversations.c.id
    )
    mine = select(inbox_members.c.inbox_id).where(inbox_members.c.agent_id == agent_id)
    my_teams = select(team_members.c.team_id).where(team_members.c.agent_id == agent_id)
    found = await session.execute(
        select(conversations.c.id).where(
            conversations.c.id.in_(among),
            (conversations.c.assignee_id == agent_id)
            | conversations.c.team_id.in_(my_teams)
            | touched.where(conversation_inboxes.c.inbox_id.in_(mine)).exists(),
        )
    )
    return frozenset(found.scalars())
