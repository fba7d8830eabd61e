"""Automation rules: when something happens in a conversation and a filter holds, actions.

{"when": {"events": ["message.received"]},
 "if": {"field": "message.text", "op": "contains", "value": "seed phrase"},
 "do": [{"do": "category", "to": "security"}, {"do": "priority", "to": "urgent"}],
 "stop": true}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args
from uuid import UUID

from helpdesk.domain import actions, filter_tree
from helpdesk.domain.actions import Action, Watch
from helpdesk.domain.contents import Wrong, fields, flag, items, words
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

ACTIONS: Final = tuple(word for word in actions.OF_RULES if word != actions.Reply.do)
"""Nothing is said to a contact by a rule: automatic mail is the acknowledgement's, and keeps to its caps."""

DEEPEST: Final = 3
"""How many rules may act one upon what another did."""

MOST_HOURLY: Final = 20
"""Runs in one conversation within an hour, without those that were stopped."""

_FIELDS: Final = ("when", "if", "do", "stop")


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule. `of_messages`: its filter speaks of the event's message."""

    id: UUID
    version: int
    events: frozenset[str]
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
    named = fields(given["when"], "when", needed=("events",))["events"]
    words(items(named, "when.events", least=1, most=len(EVENTS)), "when.events", EVENTS)
    condition = filter_tree.parse(given["if"], messages=True, place="if")
    if _speaks_of_messages(condition) and not set(named) <= set(OF_MESSAGES):
        raise Wrong("if", f"only {' and '.join(OF_MESSAGES)} have a message to speak of")
    if filter_tree.is_personal(condition):
        raise Wrong("if", "nobody runs this: ask nothing that depends on who asks")
    actions.check_all(given["do"], "do", allowed=ACTIONS)
    flag(given["stop"], "stop")


def read(rule_id: UUID, version: int, content: Mapping[str, Any]) -> Rule:
    """A rule from content that `check` let through."""
    condition = filter_tree.parse(content["if"], messages=True, place="if")
    return Rule(
        id=rule_id,
        version=version,
        events=frozenset(content["when"]["events"]),
        condition=condition,
        of_messages=_speaks_of_messages(condition),
        actions=tuple(part for action in map(actions.read, content["do"]) for part in _parts(action)),
        stop=content["stop"],
    )


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
