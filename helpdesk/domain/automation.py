"""Automation rules: when something happens in a conversation, or some time after, and a filter holds: actions.

{"when": {"events": ["message.received"]},
 "if": {"field": "message.text", "op": "contains", "value": "seed phrase"},
 "do": [{"do": "category", "to": "security"}, {"do": "priority", "to": "urgent"}],
 "stop": true}
{"when": {"elapsed": {"since": "waiting_since", "minutes": 240, "business_time": true, "include_existing": false}},
 "if": {}, "do": [{"do": "priority", "to": "high"}], "stop": false}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args
from uuid import UUID

from helpdesk.domain import actions, filter_tree
from helpdesk.domain.actions import Action, Watch
from helpdesk.domain.business_hours import BusinessTime, NeverOpen
from helpdesk.domain.contents import Wrong, fields, flag, items, whole, word, words
from helpdesk.domain.filter_tree import Node

EventWord = Literal[
    "conversation.created",
    "conversation.updated",
    "conversation.assigned",
    "conversation.status_changed",
    "message.received",
    "message.created",
    "message.sent",
    "message.failed",
    "message.uncertain",
    "sla.warning",
    "sla.breached",
    "sla.met",
    "escalation.advanced",
]
EVENTS: Final[tuple[EventWord, ...]] = get_args(EventWord)
"""What rules can answer: everything that happens within one conversation, but for alerts, which are people's to answer,
and merges, after which there is another conversation to speak of."""

OF_MESSAGES: Final = ("message.received", "message.created")
"""Events that have a message at their `seq`, which the filter can speak of."""

DEEPEST: Final = 3
"""How many rules may act one upon what another did."""

MOST_HOURLY: Final = 20
"""Runs in one conversation within an hour, without those that were stopped."""

SinceWord = Literal["created_at", "waiting_since", "last_activity_at", "status_changed_at", "assigned_at"]
SINCE: Final[tuple[SinceWord, ...]] = get_args(SinceWord)
"""What time is counted from: each is a column of the conversation, and a new value is a new span.

`status_changed_at` is asked of what is not open: the open ones have `created_at` and `waiting_since`.
"""

LEAST_MINUTES, MOST_MINUTES = 15, 366 * 1440

_FIELDS: Final = ("when", "if", "do", "stop")


@dataclass(frozen=True, slots=True)
class Elapsed:
    """So long after the time in the column `since`. `business_time`: of the opening hours of the conversation's inbox.

    `include_existing`: also where it was so long ago already when the rule was made.
    """

    since: SinceWord
    span: timedelta
    business_time: bool = False
    include_existing: bool = False

    def latest(self, time: BusinessTime, at: datetime) -> datetime | None:
        """Whatever began by then has lasted so long `at` that time; None where there was never so much open time."""
        try:
            return time.before(at, self.span)
        except NeverOpen:
            return None


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule: on `events`, or on time that has `elapsed`. `of_messages`: its filter speaks of the
    event's message."""

    id: UUID
    version: int
    events: frozenset[str]
    elapsed: Elapsed | None
    condition: Node
    of_messages: bool
    actions: tuple[Action, ...]
    stop: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose doing an event is: a run of a rule, at some depth."""

    rule_id: UUID
    depth: int


def check(content: Any) -> None:
    """Raise `Wrong` unless this is the content of a rule. Whether the ids are anybody's is not known here."""
    given = fields(content, "", needed=_FIELDS)
    named = _check_when(given["when"])
    condition = filter_tree.parse(given["if"], messages=True, place="if")
    if _speaks_of_messages(condition) and not (named and set(named) <= set(OF_MESSAGES)):
        raise Wrong("if", f"only {' and '.join(OF_MESSAGES)} have a message to speak of")
    if filter_tree.is_personal(condition):
        raise Wrong("if", "nobody runs this: ask nothing that depends on who asks")
    actions.check_all(given["do"], "do", allowed=actions.OF_RULES)
    if flag(given["stop"], "stop") and not named:
        raise Wrong("stop", "only rules on events have others after them to stop")


def _check_when(value: Any) -> Sequence[str]:
    """Answers the events; none where it is about time."""
    given = fields(value, "when", needed=(), optional=("events", "elapsed"))
    if len(given) != 1:
        raise Wrong("when", "give events or elapsed, one of the two")
    if "events" in given:
        named = items(given["events"], "when.events", least=1, most=len(EVENTS))
        return words(named, "when.events", EVENTS)
    at = "when.elapsed"
    elapsed = fields(given["elapsed"], at, needed=("since", "minutes"), optional=("business_time", "include_existing"))
    word(elapsed["since"], f"{at}.since", SINCE)
    whole(elapsed["minutes"], f"{at}.minutes", least=LEAST_MINUTES, most=MOST_MINUTES)
    for name in ("business_time", "include_existing"):
        flag(elapsed.get(name, False), f"{at}.{name}")
    return ()


def read(rule_id: UUID, version: int, content: Mapping[str, Any]) -> Rule:
    """A rule from content that `check` let through."""
    condition = filter_tree.parse(content["if"], messages=True, place="if")
    return Rule(
        id=rule_id,
        version=version,
        events=frozenset(content["when"].get("events", ())),
        elapsed=_elapsed(content["when"].get("elapsed")),
        condition=condition,
        of_messages=_speaks_of_messages(condition),
        actions=tuple(part for action in map(actions.read, content["do"]) for part in _parts(action)),
        stop=content["stop"],
    )


def _elapsed(given: Mapping[str, Any] | None) -> Elapsed | None:
    if given is None:
        return None
    flags = {name: given.get(name, False) for name in ("business_time", "include_existing")}
    return Elapsed(given["since"], timedelta(minutes=given["minutes"]), **flags)


def depth_after(rule: Rule, origin: Origin | None) -> int | None:
    """How deep a run for an event of that origin is: None where the rule would answer itself."""
    if origin is None:
        return 0
    return None if origin.rule_id == rule.id else origin.depth + 1


def goes_in_circles(*, depth: int, this_hour: int) -> bool:
    """`this_hour`: how many runs the conversation has had within one."""
    return depth > DEEPEST or this_hour >= MOST_HOURLY


def _parts(action: Action) -> tuple[Action, ...]:
    """One watcher at a time: he who may not must not keep the others from it."""
    return tuple(Watch((one,)) for one in action.agent_ids) if isinstance(action, Watch) else (action,)


def _speaks_of_messages(condition: Node) -> bool:
    return any(leaf.field.startswith("message.") for leaf in filter_tree.leaves(condition))
