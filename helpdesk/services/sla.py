"""What happens to a conversation's clocks when something happens to it.

Each verb takes up the clocks, tells the ledger (`domain.sla`), and writes what that changed, with the events that it
means and what the conversation's row repeats. Whoever calls holds the conversation's row lock, or it is taken here:
clocks are only changed under it, but by the sweep, which holds theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import by_key
from helpdesk.domain.clocks import OVER, RESPONSES, Clock, Kind, Origin, Terms
from helpdesk.domain.events import ConversationStatusChanged, DomainEvent
from helpdesk.domain.sla import Ledger
from helpdesk.domain.values import REOPENED, AuthorKind, Status
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.sla import sla_clocks
from helpdesk.services import clock_rows, waits
from helpdesk.services.clock_rows import Difference
from helpdesk.services.events import outbox, record, row, told
from helpdesk.services.house import Services
from helpdesk.statements import Row, Statement
from helpdesk.writes import Insert, Part, Update, write


def _clocks() -> Select[Any]:
    return (
        select(sla_clocks)
        .where(by_key(sla_clocks.c.conversation_id, "conversations"))
        .order_by(sla_clocks.c.conversation_id, sla_clocks.c.started_at, sla_clocks.c.cycle)
    )


_CLOCKS = Statement(_clocks)
_LOCKED = Statement(lambda: _clocks().with_for_update(key_share=True))
_LIVE = Statement(lambda: _clocks().where(sla_clocks.c.ended_at.is_(None)).with_for_update(key_share=True))
"""Those that an answer may end. A chat of a day has hundreds that have ended."""


async def clocks_of(
    services: Services, session: AsyncSession, conversation_ids: Sequence[UUID], *, lock: bool = True
) -> dict[UUID, list[Clock]]:
    """All clocks of some conversations, each one's oldest first; with `lock` to be changed."""
    return await _read(services, session, conversation_ids, _LOCKED if lock else _CLOCKS)


async def _read(
    services: Services, session: AsyncSession, conversation_ids: Sequence[UUID], ask: Statement
) -> dict[UUID, list[Clock]]:
    found: dict[UUID, list[Clock]] = {one: [] for one in conversation_ids}
    rows = await ask.rows(session, conversations=list(conversation_ids)) if conversation_ids else []
    for one, terms in zip(rows, await services.promises.terms(session, rows), strict=True):
        found[one["conversation_id"]].append(clock_rows.clock(one, terms))
    return found


async def replied(services: Services, session: AsyncSession, message_id: UUID, *, now: datetime) -> None:
    """The channel accepted a message. If it is an answer, it ends what it answers, at the time of acceptance.

    Whoever wrote again before that, and after what was answered, waits for the next one.
    """
    message = await waits.answer(session, message_id)
    if message is None:
        return
    conversation, target = await _locked(session, message["conversation_id"])
    before = (await clocks_of(services, session, [conversation["id"]]))[conversation["id"]]
    at, ledger = message["sent_at"] or now, Ledger(before, status=conversation["status"], now=now)
    ledger.answered(at, seq=message["seq"], by=message_id)
    await _go_on(services, session, conversation, before, ledger, now=now)
    if target is None:
        return
    # It was written before the merge: whoever waited for it waits over there by now.
    gone = {clock.origin.at for clock in before if clock.cancelled and clock.origin.seq < message["seq"]}
    before = (await clocks_of(services, session, [target["id"]]))[target["id"]]
    ledger = Ledger(before, status=target["status"], now=now)
    ledger.answered_for(gone, at, by=message_id)
    await _go_on(services, session, target, before, ledger, now=now)


@dataclass(frozen=True, slots=True)
class Ended:
    """What an answer changes in the clocks: what is to be written, what that tells, and what the conversation says."""

    parts: Sequence[Part]
    events: Sequence[DomainEvent]
    values: Mapping[str, Any]


async def answered(
    services: Services,
    session: AsyncSession,
    conversation: Row,
    message_id: UUID,
    *,
    seq: int,
    clocks: Sequence[Clock] | None = None,
    now: datetime,
) -> Ended:
    """A person's answer that arrives with its own commit: nothing can have been written between the two.

    `conversation` is locked, and was merged into no other one. Whoever calls writes what this answers. With `clocks`
    he knows the live ones, and holds them and the conversation to what they were.
    """
    if clocks is None:
        clocks = (await _read(services, session, [conversation["id"]], _LIVE))[conversation["id"]]
    ledger = Ledger(clocks, status=conversation["status"], now=now)
    ledger.answered(now, seq=seq, by=message_id)
    found = clock_rows.difference(conversation["id"], clocks, ledger.clocks)
    return Ended(_parts(found), found.events, {"waiting_since": None, **clock_rows.repeated(ledger.clocks)})


async def _go_on(
    services: Services,
    session: AsyncSession,
    conversation: Row,
    before: Sequence[Clock],
    ledger: Ledger,
    *,
    now: datetime,
) -> None:
    """Write what an answer ended; whoever still waits waits for the next one."""
    waiting = await waits.unanswered(session, conversation["id"])
    if waiting is not None and ledger.awaited is None and conversation["status"] not in OVER:
        await _ask(services, session, conversation, ledger, waiting)
    origins = [one for one in (waiting, ledger.awaited.origin if ledger.awaited else None) if one is not None]
    since = min(one.at for one in origins) if origins and conversation["status"] not in OVER else None
    await _keep(session, conversation, before, ledger, {"waiting_since": since}, now=now)


async def undelivered(
    services: Services, session: AsyncSession, conversation_id: UUID, message_id: UUID, *, now: datetime
) -> None:
    """A reply did not arrive after all: the conversation is open, and whoever it had answered waits as before.

    If it was merged since, he waits in the other one, and that is opened. Spam stays as it is.
    """
    conversation, target = await _locked(session, conversation_id)
    if conversation["spam"] or (target is not None and target["spam"]):
        return
    before = (await clocks_of(services, session, [conversation_id]))[conversation_id]
    ledger = Ledger(before, status=conversation["status"], now=now)
    values: dict[str, Any] = {}
    if conversation["status"] in REOPENED:
        values = await _reopened(session, conversation, now=now)
        ledger.became(now, Status.OPEN)
    ended = [clock.origin.seq for clock in before if clock.ended_by == message_id]
    if ended:
        ledger.unanswered(message_id, await waits.replies(session, conversation_id, after=min(ended)))
    waiting = await waits.unanswered(session, conversation_id)
    values["waiting_since"] = waiting.at if waiting and ledger.status not in OVER else None
    await _keep(session, conversation, before, ledger, values, now=now)
    if target is not None and ledger.awaited is not None:
        opened = await _opened(services, session, target, now=now)
        await merged(services, session, {**conversation, "status": Status.OPEN}, opened, now=now)


async def _opened(services: Services, session: AsyncSession, conversation: Row, *, now: datetime) -> Row:
    """The conversation, open if it was not; closed is final."""
    if conversation["status"] not in REOPENED:
        return conversation
    values = await _reopened(session, conversation, now=now)
    values |= await changed(services, session, conversation, {"status": Status.OPEN.value}, now=now)
    await session.execute(update(conversations).where(conversations.c.id == conversation["id"]).values(values))
    return {**conversation, **values}


async def changed(
    services: Services, session: AsyncSession, conversation: Row, values: Mapping[str, Any], *, now: datetime
) -> dict[str, Any]:
    """Another status, priority or category: what else is to be written into the conversation, for its caller to do."""
    if not values.keys() & {"status", "priority", "category"}:
        return {}
    before = (await clocks_of(services, session, [conversation["id"]]))[conversation["id"]]
    ledger = Ledger(before, status=conversation["status"], now=now)
    after = {**conversation, **values}
    repeated: dict[str, Any] = {}
    if "status" in values:
        ledger.became(now, values["status"])
        if (conversation["status"] in OVER) != (values["status"] in OVER):
            waiting = None if values["status"] in OVER else await waits.unanswered(session, conversation["id"])
            repeated["waiting_since"] = waiting.at if waiting else None
    if values.keys() & {"priority", "category"}:
        await _reclassify(services, session, after, ledger, now=now)
    await _write(session, conversation["id"], before, ledger, now=now)
    return repeated | clock_rows.repeated(ledger.clocks)


async def opened_by_agent(services: Services, session: AsyncSession, conversation: Row, *, now: datetime) -> None:
    """An agent writes first: nobody waits, and what has to be resolved has begun."""
    terms = await _terms(services, session, conversation, channel=conversation["channel"])
    if terms is None or Kind.RESOLUTION not in terms.targets:
        return
    ledger = Ledger(status=conversation["status"], now=now)
    ledger.opened(Origin(now, 0, conversation["channel"], conversation["inbox_id"]), terms, by_agent=True)
    await _keep(session, conversation, (), ledger, {}, now=now)


async def reconsidered(services: Services, session: AsyncSession, conversation_id: UUID, *, now: datetime) -> None:
    """What could not be read was read. If nobody waits after all, the promise is called off."""
    conversation, _ = await _locked(session, conversation_id)
    if await waits.unanswered(session, conversation_id) is not None:
        return
    before = (await clocks_of(services, session, [conversation_id]))[conversation_id]
    ledger = Ledger(before, status=conversation["status"], now=now)
    ledger.cancel(now)
    await _keep(session, conversation, before, ledger, {"waiting_since": None}, now=now)


async def merged(services: Services, session: AsyncSession, source: Row, target: Row, *, now: datetime) -> None:
    """The source's clocks are called off at `now`. Whoever waited there waits in the target, since then."""
    before = await clocks_of(services, session, [source["id"], target["id"]])
    gone = Ledger(before[source["id"]], status=source["status"], now=now)
    kept = Ledger(before[target["id"]], status=target["status"], now=now)
    brought = kept.take_over(gone, now, seq=target["seq"])
    await _keep(session, source, before[source["id"]], gone, {"waiting_since": None}, now=now)
    since = target["waiting_since"]
    if brought is not None:
        since = min(since, brought.at) if since else brought.at
    await _keep(session, target, before[target["id"]], kept, {"waiting_since": since}, now=now)


async def unmerged(
    services: Services, session: AsyncSession, source: Row, target: Row, *, since: datetime, now: datetime
) -> None:
    """The source is on its own again. Its clocks go on unless the target was answered `since` they were merged."""
    found = await clocks_of(services, session, [source["id"]])
    answered = await waits.answered_since(session, target["id"], since)
    ledger = Ledger(found[source["id"]], status=source["status"], now=now)
    values: dict[str, Any] = {"waiting_since": None}
    if not answered:
        ledger.restore(since)
        waiting = await waits.unanswered(session, source["id"])
        values["waiting_since"] = waiting.at if waiting and source["status"] not in OVER else None
    await _keep(session, source, found[source["id"]], ledger, values, now=now)


async def split(
    services: Services, session: AsyncSession, source: Row, target: Row, *, moved: Sequence[int], now: datetime
) -> None:
    """Messages went from the source, where these were their `seq`, into the target, which is new.

    Whoever waits over there is promised an answer since he wrote. In the source, what nobody waits for any more is
    called off; if an answer went over with the rest, whoever it had answered waits again.
    """
    await taken_up(services, session, target, now=now)
    before = (await clocks_of(services, session, [source["id"]]))[source["id"]]
    ledger = Ledger(before, status=source["status"], now=now)
    waiting = None
    if ledger.status not in OVER:
        waiting = await waits.unanswered(session, source["id"])
        ledger.part_with(moved, waiting)
        if waiting is not None and ledger.awaited is None:
            await _ask(services, session, source, ledger, waiting)
    await _keep(session, source, before, ledger, {"waiting_since": waiting and waiting.at}, now=now)


async def taken_up(services: Services, session: AsyncSession, conversation: Row, *, now: datetime) -> None:
    """Nobody was promised anything here so far, or not for a while: whoever waits is, since he wrote.

    Clocks that are there go on as they are. Without anybody who waits, only what has to be resolved begins.
    """
    before = (await clocks_of(services, session, [conversation["id"]]))[conversation["id"]]
    ledger = Ledger(before, status=conversation["status"], now=now)
    waiting = None if ledger.status in OVER else await waits.unanswered(session, conversation["id"])
    origin = waiting or await waits.first(session, conversation["id"])
    if origin is not None and ledger.status not in OVER:
        at = {**conversation, "inbox_id": origin.inbox_id}
        terms = await _terms(services, session, at, channel=origin.channel)
        fresh = not ledger.clocks and conversation["last_agent_seq"] == 0
        if terms is not None and waiting is not None and ledger.awaited is None:
            (ledger.opened if fresh else ledger.asked)(waiting, terms)
        if terms is not None:
            ledger.add_missing(origin, terms, [Kind.RESOLUTION])
    await _keep(session, conversation, before, ledger, {"waiting_since": waiting and waiting.at}, now=now)


async def moved(
    services: Services, session: AsyncSession, conversation: Row, *, channel: str, inbox_id: UUID, now: datetime
) -> dict[str, Any]:
    """The matter goes on by another channel, as if it had come by that: what runs is computed from its start again, on
    the terms there. Answers what the conversation repeats, for its caller to write."""
    before = (await clocks_of(services, session, [conversation["id"]]))[conversation["id"]]
    there = {**conversation, "channel": channel, "inbox_id": inbox_id}
    taken = [
        replace(one, origin=replace(one.origin, channel=channel, inbox_id=inbox_id)) if one.live else one
        for one in before
    ]
    terms = await _terms(services, session, there, channel=channel)
    ledger = Ledger(taken, status=conversation["status"], now=now)
    ledger.retarget(now, lambda _: terms)
    if terms is not None and ledger.status not in OVER:
        await _add_missing(session, there, ledger, terms)
    await _write(session, conversation["id"], before, ledger, now=now)
    return clock_rows.repeated(ledger.clocks)


# -- what all of them do ----------------------------------------------------------------------------------------------


async def _locked(session: AsyncSession, conversation_id: UUID) -> tuple[RowMapping, RowMapping | None]:
    """The conversation, and the one that it was merged into, locked in the order of their ids.

    It may be merged while its lock is waited for. Then it is let go again: the other one's may have to come first.
    """
    c = conversations.c
    into = select(c.merged_into_id).where(c.id == conversation_id).scalar_subquery()
    query = select(conversations).where(or_(c.id == conversation_id, c.id == into)).order_by(c.id)
    while True:
        attempt = await session.begin_nested()
        found = {row["id"]: row for row in (await session.execute(query.with_for_update(key_share=True))).mappings()}
        conversation = found[conversation_id]
        place = conversation["merged_into_id"]
        if place is None or place in found:
            await attempt.commit()
            return conversation, found.get(place)
        await attempt.rollback()


async def _keep(
    session: AsyncSession,
    conversation: Row,
    before: Sequence[Clock],
    ledger: Ledger,
    values: Mapping[str, Any],
    *,
    now: datetime,
) -> None:
    """Write the clocks, and with `values` what the conversation repeats of them."""
    await _write(session, conversation["id"], before, ledger, now=now)
    kept = {**values, **clock_rows.repeated(ledger.clocks), "updated_at": now}
    await session.execute(update(conversations).where(conversations.c.id == conversation["id"]).values(kept))


async def _write(
    session: AsyncSession, conversation_id: UUID, before: Sequence[Clock], ledger: Ledger, *, now: datetime
) -> None:
    found = clock_rows.difference(conversation_id, before, ledger.clocks)
    part = outbox(session, [row(event, now=now) for event in found.events])
    *_, count = await write(session, *_parts(found), part)
    if found.events:
        told(session, part, count)


def _parts(found: Difference) -> tuple[Part, ...]:
    return Update(sla_clocks, found.changed, by=clock_rows.KEY), Insert(sla_clocks, found.new)


async def _ask(services: Services, session: AsyncSession, conversation: Row, ledger: Ledger, origin: Origin) -> None:
    """Somebody waits, since `origin`: start what was promised to him there."""
    at = {**conversation, "inbox_id": origin.inbox_id}
    terms = await _terms(services, session, at, channel=origin.channel)
    if terms is not None:
        ledger.asked(origin, terms)


async def _terms(services: Services, session: AsyncSession, conversation: Row, *, channel: str) -> Terms | None:
    book = await services.promises.book(session)
    inbox = (await _inboxes(session, [conversation["inbox_id"]]))[conversation["inbox_id"]]
    how = {"priority": conversation["priority"], "category": conversation["category"]}
    return book.terms(channel=channel, inbox=inbox, **how)


async def _inboxes(session: AsyncSession, wanted: Sequence[UUID]) -> dict[UUID, Row]:
    i = inboxes.c
    query = select(i.id, i.sla_policy_id, i.business_hours_id).where(i.id.in_(set(wanted)))
    return {found["id"]: found for found in (await session.execute(query)).mappings()}


async def _reclassify(
    services: Services, session: AsyncSession, conversation: Row, ledger: Ledger, *, now: datetime
) -> None:
    """The clocks take the terms of the new priority or category; where the policy is the same, those they have."""
    book = await services.promises.book(session)
    places = {clock.origin.inbox_id for clock in ledger.clocks if clock.live} | {conversation["inbox_id"]}
    found = await _inboxes(session, list(places))
    how = {"priority": conversation["priority"], "category": conversation["category"]}

    def terms_of(clock: Clock) -> Terms | None:
        inbox = found[clock.origin.inbox_id]
        policy = book.choose(channel=clock.origin.channel, inbox=inbox, **how)
        if policy is None:
            return None
        return clock.terms if policy.id == clock.terms.policy[0] else book.terms_of(policy, inbox)

    ledger.retarget(now, terms_of)
    terms = book.terms(channel=conversation["channel"], inbox=found[conversation["inbox_id"]], **how)
    if terms is not None and ledger.status not in OVER:
        await _add_missing(session, conversation, ledger, terms)


async def _add_missing(session: AsyncSession, conversation: Row, ledger: Ledger, terms: Terms) -> None:
    """What the new terms promise and the old ones did not, from its original start."""
    if Kind.RESOLUTION in terms.targets and ledger.latest(Kind.RESOLUTION) is None:
        first = await waits.first(session, conversation["id"])
        start = first or Origin(conversation["created_at"], 0, conversation["channel"], conversation["inbox_id"])
        ledger.add_missing(start, terms, [Kind.RESOLUTION])
    if ledger.awaited is None and terms.targets.keys() & RESPONSES:
        waiting = await waits.unanswered(session, conversation["id"])
        if waiting is not None:
            answered = await waits.replies(session, conversation["id"], after=0)
            ledger.add_missing(waiting, terms, [Kind.NEXT_RESPONSE if answered else Kind.FIRST_RESPONSE])


async def _reopened(session: AsyncSession, conversation: Row, *, now: datetime) -> dict[str, Any]:
    """The conversation is open again by itself; what that changes in its row."""
    seq = conversation["seq"] + 1
    event = ConversationStatusChanged(
        conversation_id=conversation["id"],
        seq=seq,
        before=conversation["status"],
        after=Status.OPEN.value,
        by=AuthorKind.SYSTEM.value,
    )
    await record(session, event, now=now)
    opened = {"status": Status.OPEN.value, "snoozed_until": None, "status_changed_at": now}
    return opened | {"seq": seq, "version": conversation["version"] + 1}
