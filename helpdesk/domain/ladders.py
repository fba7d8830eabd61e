"""Escalation rules: ladders of steps that are climbed for as long as a promise is in danger or broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from helpdesk.domain.contents import Wrong, fields, identifier, identifiers, items, under, whole, words
from helpdesk.domain.contents import word as one_of
from helpdesk.domain.policies import CLOCKS, KINDS, MOST_SECONDS, PRIORITIES, check_conditions
from helpdesk.domain.values import Priority

ANCHORS: Final = ("warning", "breach", "creation", "complaint")
OF_CLOCKS: Final = ("warning", "breach")
WHO: Final = ("assignee", "team", "lead", "supervisors", "admins", "watchers")
SEVERITIES: Final = ("info", "warning", "critical")

MOST_STEPS: Final = 20
LONGEST_NOTE: Final = 2000
_LEAST_WAIT, _MOST_WAIT = 60, 7 * 86_400
_FIELDS: Final = ("anchor", "clocks", "channels", "priorities", "categories", "policy_ids", "steps")


@dataclass(frozen=True, slots=True)
class Alert:
    """Call people. Without an acknowledgement in time the next level is called; with None nobody is asked for one."""

    do: ClassVar[str] = "alert"
    who: tuple[str, ...]
    agent_ids: tuple[UUID, ...]
    severity: str
    acknowledge: timedelta | None


@dataclass(frozen=True, slots=True)
class Assign:
    do: ClassVar[str] = "assign"
    agent_id: UUID


@dataclass(frozen=True, slots=True)
class HandOver:
    """To a team."""

    do: ClassVar[str] = "team"
    team_id: UUID


@dataclass(frozen=True, slots=True)
class Watch:
    """Have agents follow the conversation."""

    do: ClassVar[str] = "watch"
    agent_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Prioritise:
    do: ClassVar[str] = "priority"
    to: Priority


@dataclass(frozen=True, slots=True)
class Post:
    """Tell a webhook."""

    do: ClassVar[str] = "webhook"
    webhook_id: UUID


@dataclass(frozen=True, slots=True)
class Note:
    """Write a note for colleagues."""

    do: ClassVar[str] = "note"
    text: str


Action = Alert | Assign | HandOver | Watch | Prioritise | Post | Note


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
            Step(timedelta(seconds=step["after"]), step["time"], tuple(map(_action, step["actions"])))
            for step in content["steps"]
        ),
    )


def _action(given: Mapping[str, Any]) -> Action:
    return _READERS[given["do"]](given)


def _alert(given: Mapping[str, Any]) -> Alert:
    seconds = given["acknowledge_seconds"]
    return Alert(
        who=tuple(given["who"]),
        agent_ids=tuple(map(UUID, given.get("agent_ids", ()))),
        severity=given["severity"],
        acknowledge=None if seconds is None else timedelta(seconds=seconds),
    )


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Action]]] = {
    Alert.do: _alert,
    Assign.do: lambda given: Assign(UUID(given["agent_id"])),
    HandOver.do: lambda given: HandOver(UUID(given["team_id"])),
    Watch.do: lambda given: Watch(tuple(map(UUID, given["agent_ids"]))),
    Prioritise.do: lambda given: Prioritise(Priority.of(given["to"])),
    Post.do: lambda given: Post(UUID(given["webhook_id"])),
    Note.do: lambda given: Note(given["text"]),
}


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
    for number, action in enumerate(items(given["actions"], under(place, "actions"), least=1, most=MOST_STEPS)):
        _check_action(action, under(under(place, "actions"), number))
    return after, time


def _check_action(value: Any, place: str) -> None:
    kind = one_of(value.get("do") if isinstance(value, Mapping) else None, under(place, "do"), _CHECKS)
    needed, verify = _CHECKS[kind]
    verify(fields(value, place, needed=("do", *needed), optional=_OPTIONAL.get(kind, ())), place)


def _check_alert(given: Mapping[str, Any], place: str) -> None:
    who = words(given["who"], under(place, "who"), WHO)
    if not identifiers(given.get("agent_ids", ()), under(place, "agent_ids")) and not who:
        raise Wrong(under(place, "who"), "an alert has to call somebody")
    one_of(given["severity"], under(place, "severity"), SEVERITIES)
    if given["acknowledge_seconds"] is not None:
        wait = under(place, "acknowledge_seconds")
        whole(given["acknowledge_seconds"], wait, least=_LEAST_WAIT, most=_MOST_WAIT)


def _check_note(given: Mapping[str, Any], place: str) -> None:
    text = given["text"]
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_NOTE or "\x00" in text:
        raise Wrong(under(place, "text"), f"use 1 to {LONGEST_NOTE} characters")


_OPTIONAL: Final[Mapping[str, tuple[str, ...]]] = {Alert.do: ("agent_ids",)}
_CHECKS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any], str], object]]]] = {
    Alert.do: (("who", "severity", "acknowledge_seconds"), _check_alert),
    Assign.do: (("agent_id",), lambda given, place: identifier(given["agent_id"], under(place, "agent_id"))),
    HandOver.do: (("team_id",), lambda given, place: identifier(given["team_id"], under(place, "team_id"))),
    Watch.do: (
        ("agent_ids",),
        lambda given, place: identifiers(given["agent_ids"], under(place, "agent_ids"), least=1),
    ),
    Prioritise.do: (("to",), lambda given, place: one_of(given["to"], under(place, "to"), PRIORITIES)),
    Post.do: (("webhook_id",), lambda given, place: identifier(given["webhook_id"], under(place, "webhook_id"))),
    Note.do: (("text",), _check_note),
}


def mentions(content: Mapping[str, Any]) -> Iterator[tuple[str, str, UUID]]:
    """Whatever else of the house the content names: field, kind of thing, id."""
    for number, policy_id in enumerate(content["policy_ids"]):
        yield under("policy_ids", number), "policy", UUID(policy_id)
    for number, step in enumerate(content["steps"]):
        for place, action in enumerate(step["actions"]):
            here = f"steps.{number}.actions.{place}"
            for kind in ("agent", "team", "webhook"):
                if f"{kind}_id" in action:
                    yield under(here, f"{kind}_id"), kind, UUID(action[f"{kind}_id"])
            for count, agent_id in enumerate(action.get("agent_ids", ())):
                yield f"{here}.agent_ids.{count}", "agent", UUID(agent_id)
