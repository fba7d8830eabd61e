"""What a visitor reads: his conversation as one list in the order of `seq`, without anything that is not for him.

His are the messages that were said in sessions of his or came in from him, and answers that went to a handle or to an
address of his own. Notes are never among them, nor what others wrote or were written, whatever an agent has merged. Of
what happens to the conversation he sees who takes it over, and whether it waits, is resolved or closed. Each entry
names the one before it that he may see, so that a gap in the numbers is no loss.

Where his conversation went into another one, the log is that one's, and what happened there before is not shown. What
was said until then stays where it is, and is further up in the log, under numbers below zero: the source's own ones,
less `EARLIER` for the first of his sources, twice that for the second. Only who goes back meets them: after zero is
what is in the conversation itself, and its first entry follows none.

Further up still is the conversation that he had before, in the same way and by the same rules: the numbers of its own
log, less `FORMER`. Whoever has none that his next message would join finds it there, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from helpdesk.db import Database
from helpdesk.domain.clocks import OVER
from helpdesk.domain.values import AuthorKind, Status
from helpdesk.live import Item, ItemKind, Log, Visitor
from helpdesk.services import visitor_entries as entries
from helpdesk.services.visitor_entries import AT, CHANNEL, CLIENT, FILES, FLAG, HOME, ID, KIND, NAME, SEQ, TEXT, WORD
from helpdesk.statements import Row

FORMER: Final = 100 * entries.EARLIER
"""Its numbers are below those of the first ninety-eight of his sources."""

_AUTHORS: Final = {AuthorKind.CONTACT: "visitor", AuthorKind.AGENT: "agent", AuthorKind.BOT: "bot"}


async def after(database: Database, visitor: Visitor, conversation_id: UUID | None, seq: int, *, limit: int) -> Log:
    """What he may see after this seq, the oldest first. Another's conversation has nothing and is None."""
    return await _read(database, visitor, conversation_id, seq, limit=limit, back=False)


async def before(
    database: Database, visitor: Visitor, conversation_id: UUID | None, seq: int | None, *, limit: int
) -> Log:
    """The last entries before this seq (None: of all), still the oldest first."""
    upto = _END if seq is None else seq
    if in_former := upto <= entries.EARLIER - FORMER:
        here = await after(database, visitor, conversation_id, _END - 1, limit=1)
    else:
        here = await _read(database, visitor, conversation_id, upto, limit=limit, back=True)
    if here.more or (here.conversation_id is None and conversation_id is not None):
        return here
    statement = database.prepared("visitor_log.former", entries.former)
    found = await database.fetch(statement, _whose(visitor) | {"home": here.conversation_id})
    if not found:
        return here
    upto, room = upto + FORMER if in_former else _END, limit - len(here.items)
    former = await _read(database, visitor, found[0][0], upto, limit=room, back=True)
    return replace(here, items=[*map(_further_up, former.items), *here.items], more=former.more)


def _further_up(item: Item) -> Item:
    """As it is told once it is over: nobody is asked to rate it any more."""
    data = item.data if item.kind is not ItemKind.STATE else {**item.data, "rating": False}
    previous = item.prev_seq - FORMER if item.prev_seq else 0
    return replace(item, seq=item.seq - FORMER, prev_seq=previous, data=data)


_END: Final = 2**31 - 1
_ROOMS: Final = (1, 50, 100, 500)


async def _read(
    database: Database, visitor: Visitor, conversation_id: UUID | None, seq: int, *, limit: int, back: bool
) -> Log:
    if conversation_id is None:
        return Log(None, 0, (), more=False)
    asked = _about(visitor) | {"conversation": conversation_id, "seq": seq}
    home, found = await _ask(database, entries.Way.BACK if back else entries.Way.ON, asked, limit)
    if home is not None and not back and seq and (not found or found[0][SEQ] != seq):
        # Mostly he names an entry, the last one that he has. What it is that he has otherwise takes another look.
        home, found = await _ask(database, entries.Way.AROUND, asked, limit)
    if home is None:
        return Log(None, 0, (), more=False)
    if back and home[FLAG] and len(found) <= limit:
        return await _read_on(database, visitor, home[ID], seq, found, limit=limit)
    if back:
        chosen, more = found[-limit:] if limit else [], len(found) > limit
        previous = found[-limit - 1][SEQ] if more else 0
        head = None if seq < _END else found[-1][SEQ] if found else 0
    else:
        earlier, later = [row for row in found if row[SEQ] <= seq], [row for row in found if row[SEQ] > seq]
        chosen, more = later[:limit], len(later) > limit
        previous = earlier[-1][SEQ] if earlier else 0
        head = None if more else (later or earlier)[-1][SEQ] if found else 0
    if head is None:
        head = (await _read(database, visitor, conversation_id, _END, limit=1, back=True)).head_seq
    items = await _items(database, chosen, previous)
    return Log(home[ID], head, items, more=more)


async def _ask(
    database: Database, way: entries.Way, asked: Mapping[str, Any], limit: int
) -> tuple[Sequence[Any] | None, list[Sequence[Any]]]:
    """Where the conversation is by now, if it is his, and the entries in their order."""
    room = _room(limit)
    rows = await database.fetch(
        database.prepared(("visitor_log", way, room), partial(entries.of_home, way, room)), asked
    )
    home = next((row for row in rows if row[KIND] == HOME), None)
    return home, sorted((row for row in rows if row[KIND] != HOME), key=lambda row: row[SEQ])


def _room(limit: int) -> int:
    """How many to ask for: with a statement for every number that is asked, each would be planned anew."""
    return next((room for room in _ROOMS if room >= limit), limit)


async def _read_on(
    database: Database, visitor: Visitor, home: UUID, seq: int, found: Sequence[Sequence[Any]], *, limit: int
) -> Log:
    """The page goes back beyond the beginning of his home: into what was merged there."""
    read = _room(limit)
    statement = database.prepared(("visitor_log.earlier", read), partial(entries.earlier, read))
    rows = await database.fetch(statement, _about(visitor) | {"conversation": home, "seq": min(seq, 0)})
    earlier, room = sorted(rows, key=lambda row: row[SEQ]), limit - len(found)
    first = max(len(earlier) - room, 0)
    head = found[-1][SEQ] if found else 0
    if seq < _END:
        head = (await after(database, visitor, home, _END - 1, limit=1)).head_seq
    items = await _items(database, earlier[first:], earlier[first - 1][SEQ] if first else 0)
    return Log(home, head, [*items, *await _items(database, found, 0)], more=first > 0)


async def shows(database: Database, visitor: Visitor, message_id: UUID) -> bool:
    """Whether this message is somewhere in the log."""
    statement = database.prepared("visitor_log.shows", entries.shown)
    return bool(await database.fetch(statement, _about(visitor) | {"message": message_id}))


def _whose(visitor: Visitor) -> dict[str, Any]:
    return {"contact": visitor.contact_id, "inbox": visitor.inbox_id}


def _about(visitor: Visitor) -> dict[str, Any]:
    return {
        **_whose(visitor),
        "session": visitor.session_id,
        "own_handle": visitor.handle,
        "own_address": visitor.email.lower(),
    }


async def _items(database: Database, rows: Sequence[Sequence[Any]], previous: int) -> list[Item]:
    files = await _files(database, [row[ID] for row in rows if row[FILES]])
    items = []
    for row in rows:
        make = _MAKE[ItemKind(row[KIND])]
        items.append(Item(ItemKind(row[KIND]), row[SEQ], previous, make(row, files)))
        previous = row[SEQ]
    return items


def entry(message: Row, client_id: str | None, previous: int) -> Item:
    """A message without files as it is read for whom it is for; `client_id` for the session that said it."""
    known = {
        "seq": message["seq"],
        "id": message["id"],
        "word": message["author_kind"],
        "name": message["author_name"],
        "text": message["new_text"] or message["text"],
        "channel": message["channel"],
        "at": message["created_at"],
        "client_id": client_id,
    }
    return Item(ItemKind.MESSAGE, message["seq"], previous, _message([known.get(name) for name in entries.NAMES], {}))


def _message(row: Sequence[Any], files: Mapping[UUID, list[dict[str, Any]]]) -> dict[str, Any]:
    mine = {"client_id": row[CLIENT]} if row[CLIENT] is not None else {}
    return {
        "id": str(row[ID]),
        **mine,
        "author": {"kind": _AUTHORS.get(row[WORD], "system"), "name": row[NAME]},
        "text": row[TEXT],
        "channel": row[CHANNEL],
        "attachments": files.get(row[ID], []),
        "created_at": _time(row[AT]),
    }


def _state(row: Sequence[Any], *_: Any) -> dict[str, Any]:
    """What is not over waits in a queue, or is somebody's by now."""
    if row[WORD] in OVER:
        return {"state": row[WORD], "rating": row[WORD] == Status.RESOLVED and bool(row[FLAG])}
    return {"state": "assigned" if row[WORD] and row[FLAG] else "queued", "rating": False}


def _joined(row: Sequence[Any], *_: Any) -> dict[str, Any]:
    return {"name": row[NAME] or ""}


_MAKE: Final[Mapping[ItemKind, Any]] = {ItemKind.MESSAGE: _message, ItemKind.STATE: _state, ItemKind.JOINED: _joined}


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def _files(database: Database, message_ids: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    found: dict[UUID, list[dict[str, Any]]] = {}
    if message_ids:
        rows = await database.fetch(
            database.prepared("visitor_log.files", entries.attached), {"ids": list(message_ids)}
        )
        for message_id, identifier, *about in rows:
            file = dict(zip(("filename", "content_type", "size"), about, strict=True))
            found.setdefault(message_id, []).append({"id": str(identifier), **file})
    return found
