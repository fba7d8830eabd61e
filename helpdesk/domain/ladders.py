"""Escalation rules: ladders of steps that are climbed for as long as a promise is in danger or broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from helpdesk.domain import actions
from helpdesk.domain.actions import Action
from helpdesk.domain.contents import Wrong, fields, identifiers, items, under, whole, words
from helpdesk.domain.contents import word as one_of
from helpdesk.domain.policies import CLOCKS, KINDS, MOST_SECONDS, check_conditions

ANCHORS: Final = ("warning", "breach", "creation", "complaint")
OF_CLOCKS: Final = ("warning", "breach")
MOST_STEPS: Final = 20
_FIELDS: Final = ("anchor", "clocks", "channels", "priorities", "categories", "policy_ids", "steps")


@dataclass(frozen=True, slots=True)
class Step:
    """What is done `after` so much time, `business` or `calendar`, from the anchor."""

    after: timedelta
    time: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a ladder. An empty condition asks for nothing; all that are given must hold."""

    id: UUID
    version: int
    anchor: str
    clocks: frozenset[str]
    channels: frozenset[str]
    priorities: frozenset[str]
    categories: frozenset[str]
    policy_ids: frozenset[UUID]
    steps: tuple[Step, ...]


def read(rule_id: UUID, version: int, content: Mapping[str, Any]) -> Rule:
    """A rule from content that `check` let through."""
    return Rule(
        id=rule_id,
        version=version,
        anchor=content["anchor"],
        clocks=frozenset(content["clocks"]),
        channels=frozenset(content["channels"]),
        priorities=frozenset(content["priorities"]),
        categories=frozenset(content["categories"]),
        policy_ids=frozenset(map(UUID, content["policy_ids"])),
        steps=tuple(
            Step(timedelta(seconds=step["after"]), step["time"], tuple(map(actions.read, step["actions"])))
            for step in content["steps"]
        ),
    )


def matches(
    rule: Rule,
    *,
    anchor: str,
    kind: str | None,
    channel: str,
    priority: str,
    category: str | None,
    policy_id: UUID | None,
) -> bool:
    """Whether the ladder is for this. `kind` and `policy_id` are the clock's, None where there is no clock."""
    asked: tuple[tuple[frozenset[Any], Any], ...] = (
        (rule.clocks, kind),
        (rule.channels, channel),
        (rule.priorities, priority),
        (rule.categories, category),
        (rule.policy_ids, policy_id),
    )
    return rule.anchor == anchor and all(not wanted or found in wanted for wanted, found in asked)


def check(content: Any) -> None:
    """Raise `Wrong` unless this is the content of a rule. Whether the ids are anybody's is not known here."""
    given = fields(content, "", needed=_FIELDS)
    anchor = one_of(given["anchor"], "anchor", ANCHORS)
    if words(given["clocks"], "clocks", KINDS) and anchor not in OF_CLOCKS:
        raise Wrong("clocks", f"only {' and '.join(OF_CLOCKS)} belong to a clock")
    check_conditions(given)
    identifiers(given["policy_ids"], "policy_ids")
    before: tuple[int, str] | None = None
    for number, step in enumerate(items(given["steps"], "steps", least=1, most=MOST_STEPS)):
        before = _check_step(step, under("steps", number), before)


def _check_step(value: Any, place: str, before: tuple[int, str] | None) -> tuple[int, str]:
    given = fields(value, place, needed=("after", "time", "actions"))
    after = whole(given["after"], under(place, "after"), least=0, most=MOST_SECONDS)
    time = one_of(given["time"], under(place, "time"), CLOCKS)
    if before is not None and (after < before[0] or (after, time) == before):
        raise Wrong(under(place, "after"), "each step comes later than the one before it")
    actions.check_all(given["actions"], under(place, "actions"), allowed=actions.OF_LADDERS)
    return after, time


def mentions(content: Mapping[str, Any]) -> Iterator[tuple[str, str, UUID]]:
    """Whatever else of the house the content names: field, kind of thing, id."""
    for number, policy_id in enumerate(content["policy_ids"]):
        yield under("policy_ids", number), "policy", UUID(policy_id)
    for number, step in enumerate(content["steps"]):
        yield from actions.mentions(step["actions"], f"steps.{number}.actions")
