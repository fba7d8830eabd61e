"""Threads of channels that have them, and the posts above them: one author in one thread is one conversation.

Rows are locked before conversations, in the order of their keys: of two who file the same author's words in one thread,
the second sees where the first has put them. Two who begin a thread at once collide on its key, and one files again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Executable, Uuid, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Post
from helpdesk.db import new_id
from helpdesk.dialects import among
from helpdesk.domain.admission import Admitted
from helpdesk.models.messages import messages
from helpdesk.models.social import conversation_threads, posts
from helpdesk.statements import Statement
from helpdesk.writes import Insert, Part, Update

_M: Final = messages.c
_T: Final = conversation_threads.c
_P: Final = posts.c
_KEY: Final = ("inbox_id", "handle", "thread")
_Key = tuple[str, str]


@dataclass(slots=True)
class Threads:
    """Where the threads of a batch lead, by the handle and the thread, and what filing changes in that.

    `led` are threads that had a row before, `begun` those that have none yet, `posts` by their external ids. Not every
    vendor tells where a thread begins, and names only what is answered: `answered` is where that stands, by its
    external id, for threads without a row, and `said` the same of what the batch itself has filed, by its author too.
    """

    inbox_id: UUID | None = None
    led: dict[_Key, dict[str, Any]] = field(default_factory=dict)
    begun: dict[_Key, dict[str, Any]] = field(default_factory=dict)
    moved: dict[_Key, dict[str, Any]] = field(default_factory=dict)
    answered: dict[str, UUID] = field(default_factory=dict)
    said: dict[_Key, UUID] = field(default_factory=dict)
    posts: dict[str, dict[str, Any]] = field(default_factory=dict)
    posts_changed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def place_of(self, message: Admitted) -> UUID | None:
        """The conversation to which the author's thread leads."""
        if (row := self._row(_key(message))) is not None:
            return row["conversation_id"]  # type: ignore[no-any-return]
        his = message.sender.handle.lower(), message.in_reply_to
        return self.said.get(his) or self.answered.get(message.in_reply_to)

    def is_led(self, message: Admitted) -> bool:
        """Whether what he said in this very thread has led somewhere."""
        return self._row(_key(message)) is not None

    def lead(self, message: Admitted, conversation_id: UUID, *, now: datetime) -> None:
        """From here on the author's thread leads to this conversation."""
        key = _key(message)
        self.said[key[0], message.external_id] = conversation_id
        post_id = self._post(message.post, now=now) if message.post else None
        row = self._row(key)
        if row is None:
            place = {"inbox_id": self.inbox_id, "handle": key[0], "thread": key[1]}
            self.begun[key] = place | {"conversation_id": conversation_id, "post_id": post_id, "created_at": now}
            return
        changed = {"conversation_id": conversation_id, "post_id": post_id or row["post_id"]}
        if any(row[name] != value for name, value in changed.items()):
            row |= changed
            if key in self.led:
                self.moved[key] = row

    def parts(self) -> Sequence[Part]:
        """What of this is to be written, after the conversations."""
        moved = [{name: row[name] for name in (*_KEY, "conversation_id", "post_id")} for row in self.moved.values()]
        return (
            Insert(
                posts,
                list(self.posts_changed.values()),
                unless=("inbox_id", "external_id"),
                replacing=("url", "text", "own"),
            ),
            Insert(conversation_threads, list(self.begun.values())),
            Update(conversation_threads, moved, by=_KEY),
        )

    def _row(self, key: _Key) -> dict[str, Any] | None:
        return self.led.get(key) or self.begun.get(key)

    def _post(self, post: Post, *, now: datetime) -> UUID | None:
        """The post's row. What a vendor leaves out this time stays as it was."""
        if not post.external_id:
            return None
        known = self.posts.get(post.external_id)
        new = {"id": new_id(), "inbox_id": self.inbox_id, "external_id": post.external_id, "created_at": now}
        row = known or new | {"url": "", "text": "", "own": False}
        after = row | {"url": post.url or row["url"], "text": post.text or row["text"], "own": post.own or row["own"]}
        if known is None or after != known:
            self.posts[post.external_id] = self.posts_changed[post.external_id] = after
        return after["id"]  # type: ignore[no-any-return]


def _key(message: Admitted) -> _Key:
    return message.sender.handle.lower(), message.thread


def _led() -> Executable:
    return (
        select(conversation_threads)
        .where(
            _T.inbox_id == bindparam("inbox", type_=Uuid()),
            among(_T.handle, "handles", "text"),
            among(_T.thread, "threads", "text"),
        )
        .order_by(_T.handle, _T.thread)
        .with_for_update(key_share=True)
    )


_LED: Final = Statement(_led)
_POSTS: Final = Statement(
    lambda: select(posts).where(
        _P.inbox_id == bindparam("inbox", type_=Uuid()), among(_P.external_id, "external_ids", "text")
    )
)
_ANSWERED: Final = Statement(
    lambda: (
        select(_M.external_id, _M.conversation_id)
        .where(_M.inbox_id == bindparam("inbox", type_=Uuid()), among(_M.external_id, "external_ids", "text"))
        .order_by(_M.id)
    )
)


async def look_up(session: AsyncSession, inbox_id: UUID, admitted: Collection[Admitted]) -> Threads:
    """The threads and posts of a batch; its threads are locked."""
    found = Threads(inbox_id)
    keys = {_key(message) for message in admitted if message.thread}
    if not keys:
        return found
    handles, threads = (sorted(set(part)) for part in zip(*keys, strict=True))
    rows = await _LED.rows(session, inbox=inbox_id, handles=handles, threads=threads)
    found.led = {key: row for row in rows if (key := (row["handle"], row["thread"])) in keys}
    strange = [message for message in admitted if message.thread and _key(message) not in found.led]
    if answers := {message.in_reply_to for message in strange} - {""}:
        rows = await _ANSWERED.rows(session, inbox=inbox_id, external_ids=sorted(answers))
        found.answered = {row["external_id"]: row["conversation_id"] for row in rows}
    named = {message.post.external_id for message in admitted if message.post} - {""}
    if named:
        rows = await _POSTS.rows(session, inbox=inbox_id, external_ids=sorted(named))
        found.posts = {row["external_id"]: row for row in rows}
    return found
