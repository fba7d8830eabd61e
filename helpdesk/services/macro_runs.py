"""Running a macro, and showing beforehand what it would do: the same code, and the preview is taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain import actions as domain
from helpdesk.domain.actions import (
    Action,
    Assign,
    Categorise,
    HandOver,
    Note,
    Prioritise,
    Reply,
    SetField,
    SetStatus,
    Tag,
    Watch,
)
from helpdesk.domain.values import Actor, Priority
from helpdesk.errors import HelpdeskError
from helpdesk.models.messages import messages
from helpdesk.services import actions, replies, tags, watchers
from helpdesk.services.actions import Cause
from helpdesk.services.house import Services
from helpdesk.statements import Row

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one action changed, of the things that it is about; or the `problem` for which it was refused, and why."""

    do: str
    before: Facts | None = None
    after: Facts | None = None
    problem: str = ""
    detail: str = ""


async def run(
    services: Services,
    session: AsyncSession,
    conversation: Row,
    macro: RowMapping,
    *,
    seen_seq: int | None = None,
    by: Actor,
    now: datetime,
) -> Sequence[Outcome]:
    """Do all of it in the locked conversation, or nothing: what is refused is raised, with its place as `action`.

    Raises `Conflict` (`conversation_moved`) as an answer does, where messages came in after `seen_seq`.
    """
    await replies.check_seen(session, conversation, seen_seq, by=by)
    await _make_known(session, macro, now=now)
    done = []
    for number, action in enumerate(map(domain.read, macro["actions"])):
        try:
            conversation, outcome = await _do(services, session, conversation, action, macro["id"], by=by, now=now)
        except HelpdeskError as error:
            error.extra["action"] = number
            raise
        done.append(outcome)
    return done


async def preview(
    services: Services, session: AsyncSession, conversation: Row, macro: RowMapping, *, by: Actor, now: datetime
) -> Sequence[Outcome]:
    """What `run` would do now. It is done and taken back, so that nothing is told but the truth.

    After an action that is refused the next one is tried all the same: who looks should see all that is in the way.
    """
    found = []
    async with session.begin_nested() as trial:
        await _make_known(session, macro, now=now)
        for action in map(domain.read, macro["actions"]):
            try:
                async with session.begin_nested():
                    how: dict[str, Any] = {"by": by, "now": now}
                    conversation, outcome = await _do(services, session, conversation, action, macro["id"], **how)
            except HelpdeskError as error:
                outcome = Outcome(action.do, problem=error.problem, detail=error.detail)
            found.append(outcome)
        await trial.rollback()
    return found


async def _make_known(session: AsyncSession, macro: RowMapping, *, now: datetime) -> None:
    """All its tags at once, in the one order: made known action by action, they could be so the other way round, and
    whoever uses the same new tags at this moment would wait for this run, and this run for him.
    """
    await tags.ensure(session, list(domain.tags(macro["actions"])), now=now)


async def _do(
    services: Services, session: AsyncSession, before: Row, action: Action, macro_id: UUID, *, by: Actor, now: datetime
) -> tuple[Row, Outcome]:
    look, was = _LOOKS[type(action)], None
    if not isinstance(action, Note | Reply):
        was = await look(session, before, action)
    cause = Cause(f"macro:{macro_id}:{before['id']}:{before['seq']}", "macro.run")
    after = await actions.act(services, session, before, action, by=by, cause=cause, now=now)
    return after, Outcome(action.do, was, await look(session, after, action))


async def _assignee(_session: AsyncSession, c: Row, _action: Assign) -> Facts:
    return {"assignee_id": c["assignee_id"]}


async def _team(_session: AsyncSession, c: Row, _action: HandOver) -> Facts:
    return {"team_id": c["team_id"]}


async def _priority(_session: AsyncSession, c: Row, _action: Prioritise) -> Facts:
    return {"priority": Priority(c["priority"]).word}


async def _status(_session: AsyncSession, c: Row, _action: SetStatus) -> Facts:
    return {"status": c["status"], "snoozed_until": c["snoozed_until"]}


async def _category(_session: AsyncSession, c: Row, _action: Categorise) -> Facts:
    return {"category": c["category"]}


async def _tags(session: AsyncSession, c: Row, _action: Tag) -> Facts:
    return {"tags": sorted(await actions.tags_of(session, c["id"]))}


async def _field(_session: AsyncSession, c: Row, action: SetField) -> Facts:
    return {"custom_fields": {action.key: c["custom_fields"].get(action.key)}}


async def _watchers(session: AsyncSession, c: Row, _action: Watch) -> Facts:
    return {"watchers": [row["id"] for row in await watchers.list_watchers(session, c["id"])]}


async def _message(session: AsyncSession, c: Row, _action: Note | Reply) -> Facts:
    """The one that was just written."""
    m = messages.c
    query = select(m.id, m.private, m.text, m.inbox_id, m.channel).where(
        m.conversation_id == c["id"], m.seq == c["last_agent_seq"]
    )
    return dict((await session.execute(query)).mappings().one())


_LOOKS: Final[Mapping[type[Any], Callable[[AsyncSession, Row, Any], Awaitable[Facts]]]] = {
    Assign: _assignee,
    Categorise: _category,
    HandOver: _team,
    Note: _message,
    Prioritise: _priority,
    Reply: _message,
    SetField: _field,
    SetStatus: _status,
    Tag: _tags,
    Watch: _watchers,
}
