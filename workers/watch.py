"""What a worker looks for while nobody rings: one question of the database for all its loops.

A look costs a round trip and the waking of two processes, and an idle worker does little else. So one loop asks for
all of them whether there is anything to do, and rings those for which there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Executable,
    Integer,
    Select,
    String,
    Uuid,
    cast,
    literal_column,
    null,
    select,
    union_all,
)

from helpdesk.clock import now
from helpdesk.domain.values import InboxStatus
from helpdesk.models.inboxes import inboxes
from helpdesk.services import (
    account_links,
    alerts,
    automation,
    climbing,
    continuing,
    deliveries,
    filing,
    floods,
    jobs,
    media,
    notices,
    promises,
    rating_requests,
    relay,
    routing,
    search_indexing,
    sweep,
    triage,
    visitor_emails,
    waking,
    webhook_deliveries,
    webhook_sending,
)
from helpdesk.services.house import Services
from workers.jobs import HANDLERS

QUESTIONS: Mapping[str, Callable[[], Sequence[Select[Any]]]] = {
    "process": lambda: [filing.due()],
    "relay": lambda: [relay.unnumbered(), relay.numbered_ahead(), relay.late()],
    "deliver": lambda: [deliveries.due()],
    "sla": lambda: [sweep.due(), climbing.due(), alerts.due()],
    "notify": lambda: [notices.due()],
    "snooze": lambda: [waking.due()],
    "routing": lambda: [routing.queued()],
    "ratings": lambda: [rating_requests.due()],
    "continuing": lambda: [continuing.due()],
    "letters": lambda: [account_links.due()],
    "visitor_letters": lambda: [visitor_emails.due()],
    "automate": lambda: [automation.FOLLOWER.unseen()],
    "hooks": lambda: [webhook_sending.due(), webhook_deliveries.FOLLOWER.unseen()],
    "jobs": lambda: [jobs.due(HANDLERS)],
    "search": lambda: [search_indexing.FOLLOWER.unseen(), search_indexing.walks()],
    "triage": lambda: [triage.FOLLOWER.unseen()],
    "floods": lambda: [floods.FOLLOWER.unseen()],
    "media": lambda: [media.due()],
}
"""By loop: what there is if it has something to do, at the time `:now`."""

RECEIVE = "receive"
PROMISES = "promises"

Runs = set[tuple[UUID, int]]
"""Inboxes that are read, or should be, with the versions of their settings."""


class Watch:
    """The step of the loop that watches for `loops`. `runs` answers what is read at the moment."""

    def __init__(
        self,
        services: Services,
        loops: Iterable[str],
        *,
        ring: Callable[[Sequence[str]], None],
        runs: Callable[[], Runs],
    ) -> None:
        self._database, self._promises, self._ring, self._runs = services.database, services.promises, ring, runs
        self._loops = tuple(loops)

    async def step(self) -> int:
        """Answers zero: what was found is the other loops' to do."""
        look = self._database.prepared(("watch", self._loops), self._statement)
        found = await self._database.fetch(look, {"now": now()})
        self._promises.seen(next(stamp for loop, _, stamp in found if loop == PROMISES))
        due = {loop for loop, *_ in found} - {RECEIVE, PROMISES}
        if RECEIVE in self._loops and self._runs() != {(inbox, version) for loop, inbox, version in found if inbox}:
            due.add(RECEIVE)
        self._ring(sorted(due))
        return 0

    def _statement(self) -> Executable:
        parts = [_promised(), *([_wanted()] if RECEIVE in self._loops else [])]
        parts += [_whether(loop, question) for loop in self._loops for question in QUESTIONS.get(loop, list)()]
        return union_all(*parts)


def _wanted() -> Select[Any]:
    return select(literal_column(f"'{RECEIVE}'", String()).label("loop"), inboxes.c.id, inboxes.c.version).where(
        inboxes.c.state == literal_column(f"'{InboxStatus.ACTIVE.value}'"), inboxes.c.deleted_at.is_(None)
    )


def _promised() -> Select[Any]:
    """In passing, whether a policy or calendar has changed."""
    name = literal_column(f"'{PROMISES}'", String()).label("loop")
    return select(name, cast(null(), Uuid()).label("id"), promises.stamp().scalar_subquery().label("version"))


def _whether(loop: str, question: Select[Any]) -> Select[Any]:
    name = literal_column(f"'{loop}'", String()).label("loop")
    empty: tuple[ColumnElement[Any], ...] = (cast(null(), Uuid()).label("id"), literal_column("0", Integer()))
    return select(name, *empty).where(question.exists())
