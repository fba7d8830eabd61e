"""The events of the stream, as they leave: read in order of position, each made into JSON once, with who may have it.

Who may have what is decided as it leaves, by what the conversation is then (`access.scoped` asks the same of the
database). One question tells that for a whole batch of events; each client is then judged in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import Database, hand
from helpdesk.dialects import among, by_key, gathered
from helpdesk.domain.events import (
    AlertAcknowledged,
    AlertRaised,
    AlertResolved,
    ConversationAssigned,
    InboxFailing,
    InboxRecovered,
)
from helpdesk.domain.values import Actor
from helpdesk.models.alerts import alert_recipients
from helpdesk.models.conversations import conversation_inboxes, conversations
from helpdesk.models.events import events
from helpdesk.statements import Row

BATCH: Final = 500
FEW: Final = 50
RESYNC: Final = "resync"
PRESENCE: Final = "presence"

_ALERTS: Final = frozenset({AlertRaised.type, AlertAcknowledged.type, AlertResolved.type})
_INBOXES: Final = frozenset({InboxFailing.type, InboxRecovered.type})


@dataclass(frozen=True, slots=True)
class Audience:
    """Agents who may have something, by any of these. Supervisors and administrators may always have it."""

    inboxes: frozenset[UUID] = frozenset()
    teams: frozenset[UUID] = frozenset()
    agents: frozenset[UUID] = frozenset()

    def __or__(self, other: Audience) -> Audience:
        return Audience(self.inboxes | other.inboxes, self.teams | other.teams, self.agents | other.agents)


NOBODY_ELSE: Final = Audience()


@dataclass(frozen=True, slots=True)
class Fresh:
    """Events of one conversation that have just got positions, up to `last`, and what tells who may see it."""

    rows: Sequence[Row]
    last: int
    whose: Row

    @property
    def first(self) -> int:
        return self.last - len(self.rows) + 1

    def told(self) -> list[Told]:
        """As if they were read."""
        conversation_id, audience = _seen_by([self.whose[name] for name in WHOSE])
        return [_told(_event(row), {conversation_id: audience}, {}) for row in self._as_kept()]

    def _as_kept(self) -> Iterator[Sequence[Any]]:
        for position, row in enumerate(self.rows, self.first):
            known = {**row, "position": position, "data": orjson.dumps(row["data"]).decode()}
            yield [known[column.name] for column in _EVENT]


@dataclass(frozen=True, slots=True)
class Sight:
    """What an actor may see, ready to be compared."""

    everything: bool
    agent_id: UUID | None
    inboxes: frozenset[UUID]
    teams: frozenset[UUID]

    @classmethod
    def of(cls, actor: Actor) -> Sight:
        return cls(actor.sees_all, actor.id, frozenset(actor.inbox_ids), frozenset(actor.team_ids))

    def meets(self, audience: Audience) -> bool:
        return (
            self.everything
            or self.agent_id in audience.agents
            or not self.teams.isdisjoint(audience.teams)
            or not self.inboxes.isdisjoint(audience.inboxes)
        )


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that is told. `body` is its JSON, `lines` the same as a server-sent event.

    `position` is how far whoever has it has got; what is told in passing has none. Without a `type` it says no more.
    """

    position: int | None
    type: str
    conversation_id: UUID | None
    body: bytes
    lines: bytes
    audience: Audience = NOBODY_ELSE


def told(
    type_: str,
    data: Mapping[str, Any],
    *,
    position: int | None = None,
    conversation_id: UUID | None = None,
    audience: Audience = NOBODY_ELSE,
) -> Told:
    """`data` is all that the client gets."""
    body = orjson.dumps(data, default=str, option=orjson.OPT_UTC_Z)
    place = b"" if position is None else b"id: %d\n" % position
    return Told(
        position, type_, conversation_id, body, b"%sevent: %s\ndata: %s\n\n" % (place, type_.encode(), body), audience
    )


def resync(position: int) -> Told:
    """Something is missing that nobody can name: read again what is shown, and go on from here."""
    return told(RESYNC, {"type": RESYNC, "position": position}, position=position)


def sign_of_life(position: int | None = None) -> Told:
    """A comment. Its `id` moves those on who are told of little, so that they are not too far behind one day."""
    place = b"" if position is None else b"id: %d\n" % position
    return Told(position, "", None, b"", b": here\n%s\n" % place)


async def newest(database: Database) -> int:
    """The position of the latest event, 0 while there is none."""
    rows = await database.fetch(database.prepared("feed.newest", _newest), {})
    found: int = rows[0][0]
    return found


async def read(database: Database, *, after: int, to: int, limit: int = BATCH) -> list[Told]:
    """The events after a position, up to and with another one."""
    statement = database.prepared(("feed.events", limit), partial(_events, limit))
    rows = await database.fetch(statement, {"after": after, "to": to})
    size = len(_EVENT)
    happened = [_event(row[:size]) for row in rows]
    audiences = dict(_seen_by(row[size:]) for row in rows if row[size] is not None)
    called = await _called(database, [one for one in happened if one["type"] in _ALERTS])
    return [_told(one, audiences, called) for one in happened]


def hand_over(session: AsyncSession, rows: Sequence[Row], last: int, whose: Row) -> None:
    """After the commit those who listen in this process have these, `last` being what `write` answered for them."""
    if last:
        hand(session, Fresh(rows, last, whose))


def _told(event: Mapping[str, Any], audiences: Mapping[UUID, Audience], called: Mapping[str, frozenset[UUID]]) -> Told:
    return told(
        event["type"],
        {name: value for name, value in event.items() if value is not None or name not in ("conversation_id", "seq")},
        position=event["position"],
        conversation_id=event["conversation_id"],
        audience=_audience(event, audiences, called),
    )


async def audiences_of(database: Database, conversation_ids: Iterable[UUID]) -> dict[UUID, Audience]:
    """Who may see these conversations now. One that is gone is not among them."""
    wanted = list(conversation_ids)
    if not wanted:
        return {}
    rows = await database.fetch(database.prepared("feed.audiences", _audiences), {"ids": wanted})
    return dict(map(_seen_by, rows))


def _seen_by(row: Sequence[Any]) -> tuple[UUID, Audience]:
    """Of a conversation."""
    identifier, inbox_id, team_id, assignee_id, touched = row
    return identifier, Audience(_ids(inbox_id, *(touched or ())), _ids(team_id), _ids(assignee_id))


def _event(row: Sequence[Any]) -> dict[str, Any]:
    identifier, position, type_, occurred_at, conversation_id, seq, data = row
    return {
        "id": identifier,
        "position": position,
        "type": type_,
        "occurred_at": occurred_at,
        "conversation_id": conversation_id,
        "seq": seq,
        "data": orjson.loads(data) if isinstance(data, str) else data,
    }


def _audience(
    event: Mapping[str, Any], audiences: Mapping[UUID, Audience], called: Mapping[str, frozenset[UUID]]
) -> Audience:
    """An alert concerns those it calls, whoever sees the conversation; an inbox those who work in it.

    Whoever had a conversation learns that it left him. What names neither conversation nor inbox is for supervisors.
    """
    type_, data = event["type"], event["data"]
    if type_ in _ALERTS:
        named = frozenset(map(UUID, data.get("agent_ids", ())))
        return Audience(agents=named | called.get(data["alert_id"], frozenset()))
    if type_ in _INBOXES:
        return Audience(inboxes=frozenset({UUID(data["inbox_id"])}))
    found = audiences.get(event["conversation_id"], NOBODY_ELSE)
    if type_ == ConversationAssigned.type:
        before = Audience(teams=_given(data.get("team_before")), agents=_given(data.get("assignee_before")))
        return found | before
    return found


async def _called(database: Database, told: Sequence[Mapping[str, Any]]) -> dict[str, frozenset[UUID]]:
    """Whom these alerts have called so far, by the alert's id."""
    wanted = [UUID(event["data"]["alert_id"]) for event in told if event["type"] != AlertRaised.type]
    if not wanted:
        return {}
    rows = await database.fetch(database.prepared("feed.called", _recipients), {"ids": wanted})
    return {str(alert_id): frozenset(agents) for alert_id, agents in rows}


def _newest() -> Select[Any]:
    return select(func.coalesce(func.max(events.c.position), literal_column("0")))


def _events(limit: int) -> Select[Any]:
    """Each with what tells who may see its conversation: two statements would take twice as long, for one event too."""
    e = events.c
    return (
        select(*_EVENT, *whose())
        .select_from(events)
        .outerjoin(conversations, conversations.c.id == e.conversation_id)
        .where(e.position > bindparam("after", type_=BigInteger()), e.position <= bindparam("to", type_=BigInteger()))
        .order_by(e.position)
        .limit(literal_column(str(limit)))
    )


def _audiences() -> Select[Any]:
    return select(*whose()).where(by_key(conversations.c.id, "ids"))


def whose() -> Sequence[ColumnElement[Any]]:
    """What tells who may see a conversation, by the names in `WHOSE`."""
    c, touched = conversations.c, conversation_inboxes.c
    inboxes = select(gathered(touched.inbox_id, "uuid")).where(touched.conversation_id == c.id)
    columns = c.id, c.inbox_id, c.team_id, c.assignee_id, inboxes.correlate(conversations).scalar_subquery()
    return [column.label(name) for name, column in zip(WHOSE, columns, strict=True)]


WHOSE: Final = tuple(f"seen_by_{name}" for name in ("conversation", "inbox", "team", "assignee", "inboxes"))

_E: Final = events.c
_EVENT: Final = _E.id, _E.position, _E.type, _E.occurred_at, _E.conversation_id, _E.seq, _E.data


def _recipients() -> Select[Any]:
    r = alert_recipients.c
    return select(r.alert_id, gathered(r.agent_id, "uuid")).where(among(r.alert_id, "ids", "uuid")).group_by(r.alert_id)


def _ids(*found: UUID | None) -> frozenset[UUID]:
    return frozenset(one for one in found if one is not None)


def _given(text: str | None) -> frozenset[UUID]:
    return frozenset({UUID(text)}) if text else frozenset()
