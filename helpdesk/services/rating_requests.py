"""Asking for ratings: planned when a conversation is resolved, decided and sent by the one way out when it stayed so.

Each resolution in an inbox that asks has one row, and says at the end what became of it. The link's secret is derived
from the row's id with a key of the installation and kept nowhere: the stored letter shows a gap, which is filled when
the letter is composed (`helpdesk.services.outgoing`).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, bindparam, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import claimable, insert_ignoring, insert_rows, lock_name, new_id, ring
from helpdesk.dialects import among
from helpdesk.domain import rating_texts
from helpdesk.domain.events import MessageCreated
from helpdesk.domain.html import sanitise
from helpdesk.domain.ratings import AGAIN, LIFE, OVER, Outcome, State
from helpdesk.domain.values import AuthorKind, DeliveryStatus, MessageType
from helpdesk.models.conversations import conversation_inboxes, conversations, participants
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.rules import ratings
from helpdesk.models.visitors import visits
from helpdesk.services import deliveries, events, rows, visitor_mail
from helpdesk.services.digests import digest_of
from helpdesk.services.house import Services
from helpdesk.services.rating_cases import decide_all
from helpdesk.statements import Row
from helpdesk.writes import Insert, Update, write

BATCH: Final = 50

_C: Final = conversations.c
_M: Final = messages.c
_R: Final = ratings.c
_PLANNED: Final = _R.state == literal_column(f"'{State.PLANNED.value}'")


def secret_of(services: Services, rating_id: UUID) -> str:
    """The secret of a rating's link: 256 bits that nobody can tell who has not the installation's oldest key."""
    key = services.keyring.subkey("rating", min(services.keyring.ids))
    return base64.urlsafe_b64encode(hmac.new(key, rating_id.bytes, sha256).digest()).decode().rstrip("=")


# -- planning ---------------------------------------------------------------------------------------------------------


async def plan_ratings(services: Services, session: AsyncSession, happened: Sequence[Row], *, now: datetime) -> None:
    """Subscriber of `conversation.status_changed`: plan to ask about what is over, drop it for what is open again."""
    over = {e["conversation_id"]: e for e in happened if e["data"]["after"] in OVER and e["data"]["before"] not in OVER}
    opened = {event["conversation_id"] for event in happened if event["data"]["after"] not in OVER}
    if opened:
        await session.execute(
            update(ratings)
            .where(among(_R.conversation_id, list(opened), "uuid"), _PLANNED)
            .values(state=State.DROPPED.value, outcome=Outcome.REOPENED.value)
        )
    if not over:
        return
    columns = [_C[name] for name in ("id", "contact_id", "inbox_id", "channel", "assignee_id", "team_id")]
    asking = select(*columns, visits.c.rating_asked_at).join(inboxes, inboxes.c.id == _C.inbox_id)
    asking = asking.outerjoin(visits, visits.c.conversation_id == _C.id).where(inboxes.c.rating)
    found = (await session.execute(asking.where(among(_C.id, list(over), "uuid")))).mappings().all()
    known = select(_R.event_id).where(among(_R.event_id, [event["id"] for event in over.values()], "uuid"))
    planned = set((await session.execute(known)).scalars()) if found else set()
    fresh = [(row, over[row["id"]]) for row in found if over[row["id"]]["id"] not in planned]
    there = [(row, event) for row, event in fresh if _was_asked(row, event)]
    later = [one for one in fresh if one not in there] if services.settings.base_url else []
    await insert_rows(session, ratings, [_plan(services, *one) for one in later])
    for row, event in there:
        await asked_there(services, session, row, event, row["rating_asked_at"])


def _was_asked(conversation: Row, event: Row) -> bool:
    """Whether its visitor was there when it was resolved, and was asked where he was (`asking_visitors`)."""
    asked_at = conversation["rating_asked_at"]
    return asked_at is not None and asked_at >= event["occurred_at"]


async def asked_there(
    services: Services, session: AsyncSession, conversation: Row, event: Row, asked_at: datetime
) -> None:
    """Note that somebody was asked who was there, unless that has been noted."""
    how = {"state": State.ASKED.value, "outcome": Outcome.ASKED_THERE.value, "due_at": asked_at}
    row = _plan(services, conversation, event) | how | {"asked_at": asked_at, "expires_at": asked_at + LIFE}
    await session.execute(insert_ignoring(session, ratings, on=["event_id"]).values(row))


def _plan(services: Services, conversation: Row, event: Row) -> dict[str, Any]:
    rating_id, resolved_at = new_id(), event["occurred_at"]
    return {
        "id": rating_id,
        "event_id": event["id"],
        "digest": digest_of(secret_of(services, rating_id)),
        "conversation_id": conversation["id"],
        "contact_id": conversation["contact_id"],
        "message_id": None,
        "inbox_id": conversation["inbox_id"],
        "channel": conversation["channel"],
        "agent_id": conversation["assignee_id"],
        "team_id": conversation["team_id"],
        "state": State.PLANNED.value,
        "outcome": "",
        "resolved_at": resolved_at,
        "due_at": resolved_at + timedelta(seconds=services.settings.rating_after_seconds),
        "asked_at": None,
        "expires_at": None,
        "rated_at": None,
        "score": None,
        "comment": "",
    }


# -- asking -----------------------------------------------------------------------------------------------------------


def due() -> Select[Any]:
    """Ratings that `ask` would decide at the time `:now`."""
    return select(_R.id).where(_PLANNED, _R.due_at <= bindparam("now", type_=_R.due_at.type))


async def ask(services: Services, session: AsyncSession, *, now: datetime) -> int:
    """Decide a batch of what is due, and queue the letters; answers how many were due.

    One at a time, so that two conversations of one contact do not ask him twice. Conversations that somebody has in
    hand are left for the next time.
    """
    if not await lock_name(session, "ratings", wait=False):
        return 0
    query = select(_R.id, _R.conversation_id).where(_PLANNED, _R.due_at <= now).order_by(_R.due_at).limit(BATCH)
    waiting = (await session.execute(query)).all()
    if not waiting:
        return 0
    # The conversations first, as everywhere: whoever opens one holds it when he comes for its ratings.
    wanted = among(_C.id, [row.conversation_id for row in waiting], "uuid")
    held = set((await session.execute(claimable(select(_C.id).where(wanted).order_by(_C.id)))).scalars())
    mine = select(_R.id).where(among(_R.id, [r.id for r in waiting if r.conversation_id in held], "uuid"), _PLANNED)
    taken = (await session.execute(claimable(mine.order_by(_R.id)))).scalars().all()
    outcomes = await decide_all(services, session, taken, now=now)
    await _write(services, session, outcomes, now=now)
    if len(waiting) == BATCH:
        ring(session, "ratings")
    return len(taken)


async def _write(
    services: Services, session: AsyncSession, outcomes: Sequence[tuple[Row, Outcome]], *, now: datetime
) -> None:
    asked = [(row, new_id()) for row, outcome in outcomes if outcome is Outcome.ASKED]
    ids = {row["id"]: message_id for row, message_id in asked}
    decided = [_decided(row, outcome, ids.get(row["id"]), now=now) for row, outcome in outcomes]
    counted = [
        {"id": row["conversation_id"], "seq": row["seq"] + 1, "message_count": row["message_count"] + 1}
        for row, _ in asked
    ]
    await write(session, Update(ratings, decided), Update(conversations, counted))
    if not asked:
        return
    await insert_rows(session, messages, [_message(services, row, message_id, now=now) for row, message_id in asked])
    await deliveries.queue(session, [_delivery(services, row, message_id, now=now) for row, message_id in asked])
    await _let_answer(session, [row for row, _ in asked if row["proved"]], now=now)
    await events.record(session, *(_created(row, message_id) for row, message_id in asked), now=now)


async def _let_answer(session: AsyncSession, chats: Sequence[Row], *, now: datetime) -> None:
    """Whoever wrote in a chat and answers the letter by mail takes part there by that address as well."""
    people = [
        visitor_mail.participant({**row, "id": row["conversation_id"]}, row, row["contact_handle"], now=now)
        for row in chats
    ]
    places = [{"conversation_id": row["conversation_id"], "inbox_id": row["inbox_id"]} for row in chats]
    await write(
        session,
        Insert(participants, people, unless=("conversation_id", "channel", "handle")),
        Insert(conversation_inboxes, places, unless=("conversation_id", "inbox_id")),
    )


def _decided(row: Row, outcome: Outcome, message_id: UUID | None, *, now: datetime) -> dict[str, Any]:
    states = {Outcome.ASKED: State.ASKED, Outcome.LATER: State.PLANNED}
    asked = outcome is Outcome.ASKED
    return {
        "id": row["id"],
        "state": states.get(outcome, State.DROPPED).value,
        "outcome": outcome.value,
        "message_id": message_id,
        "inbox_id": row["inbox_id"],
        "channel": row["channel"],
        "due_at": now + AGAIN if outcome is Outcome.LATER else row["due_at"],
        "asked_at": now if asked else None,
        "expires_at": now + LIFE if asked else None,
    }


def _message(services: Services, row: Row, message_id: UUID, *, now: datetime) -> dict[str, Any]:
    can = services.channel(row["channel"]).capabilities
    letter = rating_texts.letter(row["language"], number=row["number"], base_url=services.settings.base_url)
    html = sanitise(letter.html) if can.html else None
    return rows.message(
        message_id,
        conversation_id=row["conversation_id"],
        seq=row["seq"] + 1,
        type=MessageType.OUTGOING.value,
        channel=row["channel"],
        inbox_id=row["inbox_id"],
        author_kind=AuthorKind.SYSTEM.value,
        created_at=now,
        subject=letter.subject if can.subject else "",
        text=letter.text,
        new_text=letter.text,
        html=html.html if html else None,
        html_policy=html.policy_version if html else 0,
        to=[{"handle": row["contact_handle"], "name": ""}],
        auto_submitted="auto-generated",
        delivery_status=DeliveryStatus.QUEUED.value,
        language=row["language"] or "en",
    )


def _delivery(services: Services, row: Row, message_id: UUID, *, now: datetime) -> dict[str, Any]:
    can, handle = services.channel(row["channel"]).capabilities, row["contact_handle"]
    return deliveries.row(
        message_id=message_id,
        inbox_id=row["inbox_id"],
        token=deliveries.token_for(services, number=row["number"], recipient=handle) if can.tokens else "",
        to=[{"handle": handle, "name": ""}],
        automatic=True,
        now=now,
    )


def _created(row: Row, message_id: UUID) -> MessageCreated:
    return MessageCreated(
        conversation_id=row["conversation_id"],
        seq=row["seq"] + 1,
        message_id=message_id,
        inbox_id=row["inbox_id"],
        private=False,
        by=AuthorKind.SYSTEM.value,
    )


async def link_of(services: Services, session: AsyncSession, message_id: UUID) -> str | None:
    """The secret that belongs into a letter, None for a message that asks for no rating."""
    rating_id = await session.scalar(select(_R.id).where(_R.message_id == message_id))
    return None if rating_id is None else secret_of(services, rating_id)
