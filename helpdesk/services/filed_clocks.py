"""The clocks that a batch of filed messages starts and resumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from helpdesk.domain.clocks import Clock, Kind, Origin
from helpdesk.domain.sla import Ledger
from helpdesk.domain.values import REOPENED, Status
from helpdesk.services import clock_rows
from helpdesk.services.clock_rows import Difference
from helpdesk.services.promises import Book
from helpdesk.statements import Row


def matters(conversation: Row, at: datetime) -> bool:
    """Whether a message of that time means anything to the clocks: not, if somebody waits since earlier."""
    since = conversation["waiting_since"]
    return since is None or at < since or conversation["status"] in REOPENED


class FiledClocks:
    """`clocks` are those, as they were, of the conversations to which a message of the batch `matters`.

    Where they are not all, `past` counts the cycles that there have been (`domain.sla.Ledger`).
    """

    def __init__(
        self,
        book: Book,
        inbox: Row,
        clocks: Mapping[UUID, Sequence[Clock]],
        *,
        past: Mapping[UUID, Mapping[Kind, int]] | None = None,
        now: datetime,
    ) -> None:
        self._book, self._inbox, self._before, self._now = book, inbox, clocks, now
        self._past = past or {}
        self._ledgers: dict[UUID, Ledger] = {}

    def wait(self, conversation: dict[str, Any], at: datetime) -> None:
        """Somebody waits since `at`, in a draft that is changed with it, before its status is.

        Whoever waits already goes on waiting for what he was promised first.
        """
        ledger = self._ledger(conversation)
        if conversation["status"] in REOPENED:
            ledger.became(at, Status.OPEN)
        channel, since = self._inbox["channel"], conversation["waiting_since"]
        how = {"priority": conversation["priority"], "category": conversation["category"]}
        terms = self._book.terms(channel=channel, inbox=self._inbox, **how)
        if terms is not None:
            origin = Origin(at, conversation["seq"], channel, self._inbox["id"])
            fresh = not ledger.clocks and conversation["last_agent_seq"] == 0
            (ledger.opened if fresh else ledger.asked)(origin, terms)
        awaited = ledger.awaited.origin.at if ledger.awaited else at
        conversation.update(clock_rows.repeated(ledger.clocks), waiting_since=min(since or at, at, awaited))

    def halt(self, conversation: dict[str, Any], at: datetime) -> None:
        """It is put away at that time, in a draft whose status is changed after this: nobody waits in it any more."""
        ledger = self._ledger(conversation)
        ledger.became(at, Status.RESOLVED)
        conversation.update(clock_rows.repeated(ledger.clocks), waiting_since=None)

    def _ledger(self, conversation: Row) -> Ledger:
        found = self._ledgers.get(conversation["id"])
        if found is None:
            before, past = self._before.get(conversation["id"], ()), self._past.get(conversation["id"])
            found = Ledger(before, status=conversation["status"], past=past, now=self._now)
            self._ledgers[conversation["id"]] = found
        return found

    def difference(self) -> Difference:
        """What is to be written of all of them."""
        found = Difference()
        for conversation_id, ledger in self._ledgers.items():
            before = self._before.get(conversation_id, ())
            found.add(clock_rows.difference(conversation_id, before, ledger.clocks))
        return found
