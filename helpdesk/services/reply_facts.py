"""What has to be known before an answer or a note is written: one look, under the conversation's lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, Uuid, bindparam, case, false, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.values import MessageType
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.services import reads, unsent, visits
from helpdesk.statements import Row, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """About an inbox to write through: None where there is none, or no longer. Of a note only the last two matter.

    `own` is the contact's handle on its channel, empty where he has none, and `own_name` what he is called there.
    `answered` is the external id of his latest message on it. `read_through`: a visitor reads along there. `began` says
    whether what the agent had begun to write is a note, None where he had begun nothing, and `mentioned` whether he is
    mentioned where he has not read yet. `bots_count`: what a bot says there is an answer.
    """

    inbox_id: UUID | None
    channel: str
    handle: str
    own: str
    own_name: str
    answered: str
    read_through: bool
    began: bool | None
    mentioned: bool
    bots_count: bool


async def look(session: AsyncSession, conversation: Row, inbox_id: UUID, *, agent_id: UUID | None) -> Facts:
    found = await _FACTS.rows(session, conversation=conversation["id"], inbox=inbox_id, agent=agent_id)
    return Facts(**found[0])


def facts(inbox_id: ColumnElement[Any]) -> Select[Any]:
    """The columns of `Facts`, of the conversation `:conversation` and this inbox, for the agent `:agent`."""
    c, i, k, m = conversations.c, inboxes.c, contact_identities.c, messages.c
    agent, nothing = bindparam("agent", type_=Uuid()), literal_column("''", String())
    one: ColumnElement[int] = literal_column("1")
    other = contact_identities.alias("other")
    his = select(other.c.handle).where(other.c.contact_id == c.contact_id, other.c.channel == i.channel)
    newest = his.order_by(other.c.created_at.desc()).limit(one).correlate(conversations, inboxes).scalar_subquery()
    own = case((i.channel == c.channel, c.contact_handle), else_=newest)
    name = select(k.display).where(k.contact_id == c.contact_id, k.channel == i.channel, k.handle == own)
    answered = (
        select(m.external_id)
        .where(m.conversation_id == c.id, m.channel == i.channel, m.private.is_(False))
        .where(m.type == literal_column(f"'{MessageType.INCOMING.value}'"))
        .order_by(m.seq.desc())
        .limit(one)
    )
    return (
        select(
            i.id.label("inbox_id"),
            func.coalesce(i.channel, nothing).label("channel"),
            func.coalesce(i.handle, nothing).label("handle"),
            func.coalesce(own, nothing).label("own"),
            func.coalesce(name.limit(one).scalar_subquery(), nothing).label("own_name"),
            func.coalesce(answered.scalar_subquery(), nothing).label("answered"),
            visits.is_read_through(c.id, i.id).label("read_through"),
            unsent.is_note(c.id, agent).label("began"),
            reads.is_mentioned(c.id, agent).label("mentioned"),
            func.coalesce(i.integration_replies_count, false()).label("bots_count"),
        )
        .select_from(conversations)
        .outerjoin(inboxes, (i.id == inbox_id) & i.deleted_at.is_(None))
        .where(c.id == bindparam("conversation", type_=Uuid()))
    )


_FACTS: Final = Statement(lambda: facts(bindparam("inbox", type_=Uuid())))
