"""Changing many conversations at once: a job that goes through a list that was fixed when it was asked for.

The list is the job's results from the start, in the order of the ids, in which everybody takes locks; `done` of the job
says how far it got. Each batch is done with what whoever asked may do by then, each conversation in a savepoint of its
own, so that one that is refused keeps no other from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, RowMapping, func, literal_column, not_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows
from helpdesk.domain import actions as domain
from helpdesk.domain.actions import OF_BULK, Reply
from helpdesk.domain.filter_tree import Node
from helpdesk.domain.values import Actor, AuthorKind, Priority, Role
from helpdesk.errors import Forbidden, HelpdeskError, Invalid
from helpdesk.logs import fault
from helpdesk.models.agents import agents
from helpdesk.models.conversations import conversations
from helpdesk.models.jobs import job_results
from helpdesk.services import accounts, actions, audit, categories, custom_fields, jobs, questions, tags, versions
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services import spam as spam_verbs
from helpdesk.services.access import get_conversation, scoped
from helpdesk.services.actions import Cause
from helpdesk.services.filtering import condition, names_spam
from helpdesk.services.house import Services
from helpdesk.services.jobs import Step
from helpdesk.statements import Row

log = structlog.get_logger()

KIND: Final = "bulk"
BATCH: Final = 50
"""Half a second or so, in which on SQLite nobody else writes."""

MOST_FOUND: Final = 10_000
MOST_ANSWERED: Final = 500
"""Conversations that are answered at once: a filter that finds more than was meant must not write to everybody."""

INTERNAL: Final = HelpdeskError.slug
_INSERTED: Final = 1000
_IDS: Final = {"assignee_id": "agent", "team_id": "team"}

_R: Final = job_results.c


async def start(
    session: AsyncSession,
    *,
    ids: Sequence[UUID] | None = None,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - what the API calls it
    wanted: Mapping[str, Any] | None = None,
    given: Sequence[Mapping[str, Any]] | None = None,
    spam: bool | None = None,
    by: Actor,
    now: datetime,
) -> UUID:
    """Queue the job; answers its id. One of `ids` and `filter`, and one of `wanted`, `given` and `spam`, are there.

    `wanted` is what `conversations.change` takes, as JSON; `given` are actions. Raises `Invalid` for what cannot be
    done to any conversation, and where the filter finds too many.
    """
    if spam is None:
        await _check(session, wanted, given, by=by)
    if ids is not None:
        found: Sequence[UUID] = sorted(set(ids))
    else:
        node = questions.read(filter)
        await questions.check_mentions(session, node, by=by)
        found = await _found(session, node, by=by, now=now)
    if len(found) > MOST_ANSWERED and any(one["do"] == Reply.do for one in given or ()):
        raise Invalid.field("actions", f"at most {MOST_ANSWERED} are answered at once; these are {len(found)}")
    # Known before the job holds a conversation: a batch holds many, and whoever changes one of those that are still to
    # come would wait for the batch to make the tag known, and the batch for him.
    await tags.ensure(session, [*domain.tags(given or ()), *((wanted or {}).get("tags") or ())], now=now)
    arguments: dict[str, Any] = {"by": by.kind.value}
    if spam is not None:
        arguments["spam"] = spam
    else:
        arguments |= {"actions": list(given)} if given is not None else {"set": dict(wanted or {})}
    job_id = await jobs.start(session, KIND, arguments, total=len(found), by=by, now=now)
    rows = [{"job_id": job_id, "position": n, "subject_id": one, **_UNDONE} for n, one in enumerate(found)]
    for first in range(0, len(rows), _INSERTED):
        await insert_rows(session, job_results, rows[first : first + _INSERTED])
    what = sorted(wanted) if wanted else sorted({one["do"] for one in given or ()}) or ["spam"]
    data = {"job_id": str(job_id), "conversations": len(found), "what": what}
    await audit.record(
        session, "conversations.bulk_started", subject="job", subject_id=job_id, by=by, now=now, data=data
    )
    return job_id


_UNDONE: Final = {"changed": False, "error": "", "detail": ""}


async def _check(
    session: AsyncSession,
    wanted: Mapping[str, Any] | None,
    given: Sequence[Mapping[str, Any]] | None,
    *,
    by: Actor,
) -> None:
    """Raises `Invalid` for what would be refused of every conversation."""
    if given is not None:
        await actions.check(session, given, "actions", allowed=OF_BULK, me=True, by=by)
        for number, one in enumerate(given):
            if one["do"] == Reply.do and one.get("canned_response_id") is None:
                raise Invalid.field(f"actions.{number}.text", "many are answered with a canned response only")
    elif wanted:
        await custom_fields.check(
            session, "conversation", wanted.get("custom_fields") or {}, place="set.custom_fields."
        )
        named = [(f"set.{name}", kind, UUID(wanted[name])) for name, kind in _IDS.items() if wanted.get(name)]
        await versions.check_mentions(session, named)
        await categories.check(session, [("set.category", wanted.get("category"))], new=True)
        for name in ("status", "priority", "subject"):
            if name in wanted and wanted[name] is None:
                raise Invalid.field(f"set.{name}", "cannot be taken away")
    else:
        raise Invalid.field("set", "say what is to be changed")


async def count(session: AsyncSession, filter: Mapping[str, Any], *, by: Actor, now: datetime) -> int:  # noqa: A002
    """How many `start` would find now; one more than may be changed where there are too many. Raises `Invalid`."""
    node = questions.read(filter)
    await questions.check_mentions(session, node, by=by)
    some = scoped(select(conversations.c.id).where(*_holds(node, by=by, now=now)), by)
    some = some.limit(literal_column(str(MOST_FOUND + 1)))
    return await session.scalar(select(func.count()).select_from(some.subquery())) or 0


def _holds(node: Node, *, by: Actor, now: datetime) -> list[ColumnElement[bool]]:
    """Spam only where the filter speaks of it."""
    holds = [condition(node, actor=by, now=now)]
    return holds if names_spam(node) else [*holds, not_(conversations.c.spam)]


async def _found(session: AsyncSession, node: Node, *, by: Actor, now: datetime) -> Sequence[UUID]:
    """Those that the actor sees now."""
    holds = _holds(node, by=by, now=now)
    query = scoped(select(conversations.c.id).where(*holds), by).order_by(conversations.c.id)
    found = (await session.execute(query.limit(literal_column(str(MOST_FOUND + 1))))).scalars().all()
    if len(found) > MOST_FOUND:
        every = await session.scalar(scoped(select(func.count()).select_from(conversations).where(*holds), by))
        raise Invalid.field("filter", f"this finds {every} conversations; at most {MOST_FOUND} are changed at once")
    return found


async def handle(services: Services, session: AsyncSession, job: RowMapping, /, *, now: datetime) -> Step:
    """One batch (`workers.jobs.Handler`)."""
    first = job["cursor"].get("next", 0)
    query = select(_R.position, _R.subject_id).where(_R.job_id == job["id"], _R.position >= first)
    batch = (await session.execute(query.order_by(_R.position).limit(BATCH))).all()
    actor = await _as_now(session, job)
    changed = 0
    for position, conversation_id in batch:
        result = await _one(services, session, job, conversation_id, actor, now=now)
        changed += result["changed"]
        if result != _UNDONE:
            mine = update(job_results).where(_R.job_id == job["id"], _R.position == position)
            await session.execute(mine.values(result))
    return Step({"next": first + len(batch)}, len(batch), changed, over=first + len(batch) >= job["total"])


async def _as_now(session: AsyncSession, job: RowMapping) -> Actor | None:
    """Whoever asked, with the role, the teams and the inboxes that he has by now; None when he has left."""
    query = select(agents.c.id, agents.c.name, agents.c.role, *accounts.sees())
    found = (await session.execute(query.where(agents.c.id == job["created_by"], agents.c.active))).one_or_none()
    if found is None:
        return None
    agent_id, name, role, teams, inboxes = found
    kind = AuthorKind(job["arguments"]["by"])
    return Actor(kind, agent_id, name, Role(role), tuple(inboxes or ()), tuple(teams or ()))


async def _one(
    services: Services,
    session: AsyncSession,
    job: RowMapping,
    conversation_id: UUID,
    actor: Actor | None,
    *,
    now: datetime,
) -> dict[str, Any]:
    """What became of one conversation, as its row of the results says it."""
    try:
        if actor is None:
            raise Forbidden("whoever asked for this has left")
        async with session.begin_nested():
            before = await get_conversation(session, actor, conversation_id, lock=True)
            after = await _change(services, session, job, before, actor, now=now)
    except HelpdeskError as error:
        return {"changed": False, "error": error.problem, "detail": error.detail}
    except DBAPIError:
        raise  # the batch is tried again as a whole
    except Exception as error:  # a conversation at fault must not hold up those behind it
        log.error("bulk.failed", job_id=str(job["id"]), **fault(error))
        return {"changed": False, "error": INTERNAL, "detail": ""}
    return {**_UNDONE, "changed": after["seq"] != before["seq"]}


async def _change(
    services: Services, session: AsyncSession, job: RowMapping, conversation: Row, actor: Actor, *, now: datetime
) -> Row:
    given: Mapping[str, Any] = job["arguments"]
    if "spam" in given:
        verb = spam_verbs.mark if given["spam"] else spam_verbs.unmark
        return await verb(services, session, conversation, by=actor, now=now)
    if "set" in given:
        wanted = _read(given["set"])
        return await conversation_verbs.change(services, session, conversation, wanted, by=actor, now=now)
    cause = Cause(f"bulk:{job['id']}:{conversation['id']}", KIND)
    for action in map(domain.read, given["actions"]):
        conversation = await actions.act(services, session, conversation, action, by=actor, cause=cause, now=now)
    return conversation


def _read(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON has no words for, made of it again."""
    wanted = dict(stored)
    for name, read in (("assignee_id", UUID), ("team_id", UUID), ("snoozed_until", datetime.fromisoformat)):
        if wanted.get(name) is not None:
            wanted[name] = read(wanted[name])
    if wanted.get("priority") is not None:
        wanted["priority"] = int(Priority.of(wanted["priority"]))
    return wanted
