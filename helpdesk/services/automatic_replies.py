"""What rules say to contacts: once in a conversation for each rule, and to nobody whom no machine should answer.

It leaves as an acknowledgement does (RFC 3834: `Auto-Submitted`, under a subject of ours), answers no promise, and is
refused for the reasons for which an acknowledgement is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows
from helpdesk.domain import acknowledgement, automatic_reply
from helpdesk.domain.acknowledgement import Case, Outcome, mailbox
from helpdesk.domain.actions import Reply
from helpdesk.domain.events import MessageReceived
from helpdesk.domain.values import Actor, Visibility
from helpdesk.errors import Conflict, Invalid
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.events import events
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import acknowledgements, automatic_replies, messages
from helpdesk.services import canned_responses, replies, waits
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Draft
from helpdesk.statements import Row

_A: Final = automatic_replies.c
_M: Final = messages.c


async def check(session: AsyncSession, given: Sequence[Mapping[str, Any]], place: str, *, by: Actor) -> None:
    """Raises `Invalid` naming what no rule may say; `given` are actions in their form."""
    for number, action in enumerate(given):
        if action["do"] != Reply.do:
            continue
        if action.get("canned_response_id") is None:
            field, texts = "text", [action["text"]]
        else:
            response = await canned_responses.get(session, by, UUID(action["canned_response_id"]))
            field, texts = "canned_response_id", list(response["texts"].values())
        foreign = sorted({name for text in texts for name in automatic_reply.foreign(text)})
        if foreign:
            known = ", ".join(automatic_reply.VARIABLES)
            raise Invalid.field(f"{place}.{number}.{field}", f"a rule uses {known}, and not {', '.join(foreign)}")


async def reply(
    services: Services,
    session: AsyncSession,
    conversation: RowMapping,
    action: Reply,
    *,
    rule_id: UUID,
    by: Actor,
    now: datetime,
) -> UUID:
    """Write it into the locked conversation; answers the message's id.

    Raises `Conflict` (`already_replied`, or an `acknowledgement.Outcome`) where nobody is to be answered, `Invalid` for
    a text with a hole in it, and whatever `replies.reply` raises.
    """
    done = select(_A.rule_id).where(_A.conversation_id == conversation["id"], _A.rule_id == rule_id)
    if await session.scalar(done) is not None:
        raise Conflict("this rule has answered here", slug="already_replied")
    text = await _text(session, conversation, action, by=by)
    address = services.keyring.digest("automatic reply", mailbox(conversation["contact_handle"]))
    outcome = acknowledgement.decide(await _case(services, session, conversation, address, now=now), now=now)
    if outcome is not Outcome.QUEUED:
        raise Conflict("no machine answers here", slug=outcome.value)
    subject = automatic_reply.subject(conversation["language"], conversation["number"])
    draft = Draft(text=text, inbox_id=conversation["inbox_id"], automatic_subject=subject)
    message_id: UUID = (await replies.reply(services, session, conversation, draft, by=by, now=now)).message["id"]
    row = {"conversation_id": conversation["id"], "rule_id": rule_id, "message_id": message_id}
    row |= {"inbox_id": conversation["inbox_id"], "address": address, "created_at": now}
    await insert_rows(session, automatic_replies, [row])
    return message_id


async def _text(session: AsyncSession, conversation: Row, action: Reply, *, by: Actor) -> str:
    """Asked again of what may have been changed since the rule was made."""
    if action.canned_response_id is not None:
        response = await canned_responses.get(session, by, action.canned_response_id)
        foreign = [name for text in response["texts"].values() for name in automatic_reply.foreign(text)]
        rendered = await canned_responses.render(session, response, conversation, by=by)
    else:
        foreign = automatic_reply.foreign(action.text or "")
        rendered = await canned_responses.fill(session, action.text or "", conversation, by=by)
    if foreign or rendered.missing:
        raise Invalid.field("text", f"nothing is said here for {', '.join([*foreign, *rendered.missing])}")
    return rendered.text


async def _case(services: Services, session: AsyncSession, conversation: Row, address: str, *, now: datetime) -> Case:
    handle, inbox_id = conversation["contact_handle"], conversation["inbox_id"]
    asked = await _asked(session, conversation)
    own = select(inboxes.c.handle).where(
        inboxes.c.handle.in_({handle, mailbox(handle)}), inboxes.c.deleted_at.is_(None)
    )
    lately = select(func.count()).where(_A.address == address, _A.created_at > now - automatic_reply.WINDOW)
    minute = now - timedelta(minutes=1)
    a = acknowledgements.c
    sent = (
        select(func.count()).where(_A.inbox_id == inbox_id, _A.created_at > minute),
        select(func.count()).where(a.inbox_id == inbox_id, a.created_at > minute, a.outcome == Outcome.QUEUED.value),
    )
    busy = [int(await session.scalar(query) or 0) for query in sent]
    return Case(
        # What a machine says is for him alone, and not the one direct answer that a public message may have.
        offered=asked is None or asked["visibility"] == Visibility.DIRECT,
        silent=asked is None or asked["silent"] or conversation["spam"] or conversation["quarantined"],
        sender_verified=asked["sender_verified"] if asked else None,
        handle=handle,
        own_handles=frozenset((await session.execute(own)).scalars()),
        held_since=asked["automatic_held_at"] if asked else None,
        acknowledged_lately=int(await session.scalar(lately) or 0) >= automatic_reply.MOST,
        inbox_room=services.settings.ack_per_minute - sum(busy),
    )


async def _asked(session: AsyncSession, conversation: Row) -> dict[str, Any] | None:
    """The contact's latest message, if a person wrote it: whether that was to be answered is said by its event.

    An event may be gone by now; then the message has to do.
    """
    identity = contact_identities.c
    query = (
        select(_M.sender_verified, _M.visibility, contacts.c.blocked, identity.automatic_held_at, events.c.data)
        .select_from(messages)
        .join(contacts, contacts.c.id == conversation["contact_id"])
        .outerjoin(
            contact_identities,
            and_(identity.channel == _M.channel, identity.handle == conversation["contact_handle"]),
        )
        .outerjoin(
            events,
            and_(
                events.c.conversation_id == _M.conversation_id,
                events.c.seq == _M.seq,
                events.c.type == MessageReceived.type,
            ),
        )
        .where(_M.conversation_id == conversation["id"], _M.seq == conversation["last_incoming_seq"], *waits.ASKING)
        .limit(1)
    )
    found = (await session.execute(query)).mappings().one_or_none()
    if found is None:
        return None
    silent = found["blocked"] or bool(found["data"] and found["data"]["silent"])
    return {**found, "silent": silent}
