"""An answer as it nearly always is: one look, and one statement that writes it if nothing has changed since.

It begins no transaction and waits for no lock, which is most of what an answer would cost on PostgreSQL. Whatever is
not just a text (files, mentions, another status, something that the agent had begun), or met something else at the same
moment, is left to `replies.reply`, and so is every refusal that needs no hurry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Select, String, and_, bindparam, func, literal_column
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import is_postgresql, number_of
from helpdesk.domain.values import Actor, AuthorKind
from helpdesk.errors import StillRunning
from helpdesk.models.conversations import conversations
from helpdesk.models.events import idempotency_keys
from helpdesk.models.sla import sla_clocks
from helpdesk.services import access, clock_rows, feed, replies
from helpdesk.services.house import Services
from helpdesk.services.idempotency import Request
from helpdesk.services.reply_facts import Facts, facts
from helpdesk.services.reply_writing import AtOnce, Draft, Stored, write_down
from helpdesk.statements import Row, Statement
from helpdesk.writes import VERSION, Holding, NotHeld, Part, is_there_already

_FACTS: Final = tuple(one.name for one in fields(Facts))


async def reply(
    services: Services,
    session: AsyncSession,
    conversation_id: UUID,
    draft: Draft,
    request: Request,
    keep: Callable[[Stored], Part],
    *,
    by: Actor,
    now: datetime,
) -> Stored | None:
    """Write it, and what `keep` makes of it for `request`. None, and nothing, where that is for `replies.reply` to do.

    Raises `StillRunning`, and what `replies.reply` raises.
    """
    if not is_postgresql(session) or by.kind is not AuthorKind.AGENT or not _is_plain(draft):
        return None
    found = await _look(session, conversation_id, request, by=by)
    if not found:
        return None
    known = Facts(**{name: found[0][name] for name in _FACTS})
    if known.began is draft.private or known.mentioned:
        return None
    conversation = {column.name: found[0][f"c_{column.name}"] for column in conversations.c}
    written = await replies.checked(services, session, conversation, draft, known, by=by, now=now)
    rows = [{column.name: row[f"q_{column.name}"] for column in sla_clocks.c} for row in found if row["q_kind"]]
    terms = await services.promises.terms(session, rows)
    clocks = [clock_rows.clock(row, its) for row, its in zip(rows, terms, strict=True)]
    holding = [_held(conversations, {"id": conversation_id}, found[0]["c_version_of_row"])]
    for row, version in zip(rows, (one["q_version_of_row"] for one in found), strict=False):
        holding.append(_held(sla_clocks, {name: row[name] for name in clock_rows.KEY}, version))
    try:
        return await write_down(services, session, written, AtOnce(clocks, holding, keep, found[0]))
    except NotHeld:
        pass
    except Exception as error:
        if not is_there_already(error):
            raise
    # Where something had to be read again, and with that a transaction begun, this has ended it.
    await session.rollback()
    return None


def _is_plain(draft: Draft) -> bool:
    more = draft.inbox_id, draft.to, draft.cc, draft.attachment_ids, draft.mentions, draft.status
    return not any(more) and draft.automatic_subject is None


def _held(table: Any, key: Row, version: Any) -> Holding:
    return Holding(table, {**key, VERSION: version}, written=True)


async def _look(session: AsyncSession, conversation_id: UUID, request: Request, *, by: Actor) -> list[dict[str, Any]]:
    """The conversation, once for each clock that is live; none where it is not the actor's, or the key was used."""
    asked: dict[str, Any] = {} if by.sees_all else access.parameters(by)
    asked |= {"conversation": conversation_id, "agent": by.id, "number": number_of(request.name)}
    asked |= {"actor": request.actor, "route": request.route, "key": request.key}
    found = await _LOOK[by.sees_all].rows(session, begin=False, **asked)
    if found and not found[0]["ours"]:
        raise StillRunning
    return [] if found and found[0]["used"] else found


def _looked(everything: bool) -> Select[Any]:
    c, q, k = conversations.c, sla_clocks.c, idempotency_keys.c
    same = and_(*(k[name] == bindparam(name, type_=String()) for name in ("actor", "route", "key")))
    query = facts(c.inbox_id).add_columns(
        *(column.label(f"c_{column.name}") for column in c),
        *(column.label(f"q_{column.name}") for column in q),
        literal_column(f"conversations.{VERSION}").label("c_version_of_row"),
        literal_column(f"sla_clocks.{VERSION}").label("q_version_of_row"),
        # For as long as this statement runs: whoever works on the same has it.
        func.pg_try_advisory_xact_lock(bindparam("number", type_=BigInteger())).label("ours"),
        k.created_at.is_not(None).label("used"),
        *feed.whose(),
    )
    query = query.outerjoin(sla_clocks, and_(q.conversation_id == c.id, q.ended_at.is_(None)))
    query = query.outerjoin(idempotency_keys, same).order_by(q.started_at, q.cycle)
    return query if everything else query.where(access.visible())


_LOOK: Final = {everything: Statement(partial(_looked, everything)) for everything in (True, False)}
"""By whether the actor sees all there is."""
