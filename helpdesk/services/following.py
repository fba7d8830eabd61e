"""Following the events by their positions: after the fact, so that whoever makes them true pays nothing for it.

Each follower has a row that says how far it has come. A batch is read, and thought about, with no transaction open.
What comes of it is then kept in one transaction with the row's new position, by the one who finds the row as he left
it: each event is answered once, in order, and none is left out, whatever dies in between.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from sqlalchemy import (
    BindParameter,
    Executable,
    Integer,
    Select,
    String,
    bindparam,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import Database, insert_ignoring
from helpdesk.models.events import events, followers
from helpdesk.statements import Row, Statement

_E: Final = events.c
_F: Final = followers.c

Found = TypeVar("Found")
_In = TypeVar("_In", contravariant=True)


class Keep(Protocol[_In]):
    """Does what follows from what was found. Answers the position that it came to, or None for all of it."""

    def __call__(self, session: AsyncSession, found: _In, /) -> Awaitable[int | None]: ...


async def _always(_session: AsyncSession) -> bool:
    return True


async def _as_they_are(_session: AsyncSession, happened: Sequence[Row]) -> Any:
    return happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower(Generic[Found]):
    """Who follows: `name` is its row, for ever, and `batch` how many events are read at a time.

    `read` makes of events what is to be kept, and writes nothing. While nobody is `interested`, whatever happens is
    passed over. `from_now`: the first time, it begins with what comes next instead of with the first event of all.
    """

    name: str
    batch: int
    read: Callable[[AsyncSession, Sequence[Row]], Awaitable[Found]] = _as_they_are
    interested: Callable[[AsyncSession], Awaitable[bool]] = _always
    from_now: bool = False

    def unseen(self) -> Select[Any]:
        """Events that it has not come to."""
        reached = func.coalesce(_reached(self.name).scalar_subquery(), literal_column("0"))
        return select(_E.id).where(_E.position > reached)


@dataclass(frozen=True, slots=True)
class Ahead(Generic[Found]):
    """What lies between `begun`, None where the follower never was, and `end`. Nothing is `found` in what is passed."""

    begun: int | None
    end: int
    found: Found | None


async def look(session: AsyncSession, follower: Follower[Found]) -> Ahead[Found]:
    """The next batch. Only reads."""
    # Before anybody is asked: who becomes interested after this misses nothing of what happens from then on.
    (came,) = await _COME.rows(session, name=follower.name)
    begun, last = came["begun"], came["last"]
    start = begun or 0
    if (begun is None and follower.from_now) or not await follower.interested(session):
        return Ahead(begun, last or start, None)
    happened = await _AFTER.rows(session, start=start, most=follower.batch)
    if not happened:
        return Ahead(begun, start, None)
    return Ahead(begun, happened[-1]["position"], await follower.read(session, happened))


async def keep(session: AsyncSession, follower: Follower[Found], ahead: Ahead[Found], handle: Keep[Found]) -> int:
    """Handle what was found, and move on. Answers how far: zero where another is at it, or was there before."""
    start = ahead.begun or 0
    if ahead.begun is None:
        begin = insert_ignoring(session, followers, on=["name"]).values(name=follower.name, position=0)
        await session.execute(begin)
    if not await _MINE.rows(session, name=follower.name, start=start):
        return 0
    reached = None if ahead.found is None else await handle(session, ahead.found)
    end = ahead.end if reached is None else reached
    await _MOVE.rows(session, name=follower.name, end=end)
    return end - start


async def follow(database: Database, follower: Follower[Found], handle: Keep[Found]) -> int:
    """One batch. Answers whether there may be more: how far it came."""
    async with database.reading() as session:
        ahead = await look(session, follower)
    if ahead.begun is not None and ahead.end == ahead.begun:
        return 0
    async with database.transaction() as session:
        return await keep(session, follower, ahead, handle)


def _reached(name: str | BindParameter[str]) -> Select[Any]:
    return select(_F.position).where(_F.name == name)


def _name() -> BindParameter[str]:
    return bindparam("name", type_=String())


def _come() -> Executable:
    newest = select(func.max(_E.position)).scalar_subquery()
    return select(_reached(_name()).scalar_subquery().label("begun"), newest.label("last"))


def _mine() -> Executable:
    own = _reached(_name()).where(_F.position == bindparam("start", type_=_F.position.type))
    return own.with_for_update(key_share=True, skip_locked=True)


_COME: Final = Statement(_come)

_AFTER: Final = Statement(
    lambda: (
        select(events)
        .where(_E.position > bindparam("start", type_=_E.position.type))
        .order_by(_E.position)
        .limit(bindparam("most", type_=Integer()))
    )
)

_MINE: Final = Statement(_mine)

_MOVE: Final = Statement(
    lambda: (
        update(followers)
        .where(_F.name == _name())
        .values(position=bindparam("end", type_=_F.position.type))
        .returning(_F.name)
    )
)
