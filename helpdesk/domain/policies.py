"""SLA policies: what is promised, to whom, by which clock, and which of them a message falls under."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from helpdesk.domain.clocks import Kind
from helpdesk.domain.contents import Wrong, fields, flag, identifier, identifiers, items, names, under, whole, words
from helpdesk.domain.contents import word as one_of
from helpdesk.domain.values import Priority, Status

KINDS: Final = tuple(kind.value for kind in Kind)
CLOCKS: Final = ("calendar", "business")
PRIORITIES: Final = tuple(priority.word for priority in Priority)
PAUSING: Final = (Status.PENDING.value, Status.SNOOZED.value)

MOST_SECONDS: Final = 3650 * 86_400
MOST_WARNINGS: Final = 10
_CHANNEL: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FIELDS: Final = (
    "clock",
    "business_hours_id",
    "inbox_ids",
    "channels",
    "priorities",
    "categories",
    "targets",
    "warnings",
    "pauses",
    "pause_states",
    "next_response_from_creation",
)


@dataclass(frozen=True, slots=True)
class Notice:
    """Early notice: after a `fraction` of the target, or `before` its end. One of the two is set."""

    fraction: float | None = None
    before: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a policy. An empty condition asks for nothing; all that are given must hold.

    `business_hours_id` is empty for the inbox's calendar, or else the house's. `pauses` names the kinds that stand
    still in `pause_states`.
    """

    id: UUID
    version: int
    position: int
    clock: str
    business_hours_id: UUID | None
    inbox_ids: frozenset[UUID]
    channels: frozenset[str]
    priorities: frozenset[str]
    categories: frozenset[str]
    targets: Mapping[str, timedelta]
    warnings: tuple[Notice, ...]
    pauses: frozenset[str]
    pause_states: frozenset[str]
    next_response_from_creation: bool


def read(policy_id: UUID, version: int, position: int, content: Mapping[str, Any]) -> Policy:
    """A policy from content that `check` let through."""
    hours = content["business_hours_id"]
    return Policy(
        id=policy_id,
        version=version,
        position=position,
        clock=content["clock"],
        business_hours_id=UUID(hours) if hours else None,
        inbox_ids=frozenset(map(UUID, content["inbox_ids"])),
        channels=frozenset(content["channels"]),
        priorities=frozenset(content["priorities"]),
        categories=frozenset(content["categories"]),
        targets={kind: timedelta(seconds=seconds) for kind, seconds in content["targets"].items()},
        warnings=tuple(map(_warning, content["warnings"])),
        pauses=frozenset(content["pauses"]),
        pause_states=frozenset(content["pause_states"]),
        next_response_from_creation=content["next_response_from_creation"],
    )


def _warning(given: Mapping[str, Any]) -> Notice:
    if "fraction" in given:
        return Notice(fraction=given["fraction"])
    return Notice(before=timedelta(seconds=given["before"]))


def choose(
    policies: Iterable[Policy],
    *,
    channel: str,
    inbox_id: UUID,
    inbox_policy_id: UUID | None,
    priority: str,
    category: str | None,
) -> Policy | None:
    """The policy that a message falls under, of those that are enabled; None when nothing is promised to it.

    What a conversation is about beats where it came in: a policy that names a category or a priority and matches goes
    first, or a report of theft would get a day's time because its inbox promises a day. Then comes the inbox's own
    policy, whatever places its conditions name, since somebody has tied it to this very inbox; then whatever else
    matches. Among equals the lowest position wins.
    """
    ordered = sorted(policies, key=lambda policy: (policy.position, policy.id))
    fitting = [policy for policy in ordered if _about(policy, priority, category)]
    matching = [policy for policy in fitting if _at(policy, channel, inbox_id)]
    about = [policy for policy in matching if policy.categories or policy.priorities]
    own = [policy for policy in fitting if policy.id == inbox_policy_id]
    return next(iter([*about, *own, *matching]), None)


def _about(policy: Policy, priority: str, category: str | None) -> bool:
    return (not policy.priorities or priority in policy.priorities) and (
        not policy.categories or category in policy.categories
    )


def _at(policy: Policy, channel: str, inbox_id: UUID) -> bool:
    return (not policy.channels or channel in policy.channels) and (
        not policy.inbox_ids or inbox_id in policy.inbox_ids
    )


def thresholds(policy: Policy, kind: str) -> list[timedelta]:
    """After how much of the clock's own time each warning comes, ascending; none where nothing is promised.

    Warnings that come to the same moment are one. A fraction is rounded to a whole microsecond; one that thereby falls
    on the start or the end is none.
    """
    target = policy.targets.get(kind)
    if target is None:
        return []
    spans = {
        target - warning.before if warning.before is not None else target * (warning.fraction or 0.0)
        for warning in policy.warnings
    }
    return sorted(span for span in spans if timedelta() < span < target)


def check(content: Any) -> None:
    """Raise `Wrong` unless this is the content of a policy. Whether the ids are anybody's is not known here."""
    given = fields(content, "", needed=_FIELDS)
    one_of(given["clock"], "clock", CLOCKS)
    if given["business_hours_id"] is not None:
        identifier(given["business_hours_id"], "business_hours_id")
    identifiers(given["inbox_ids"], "inbox_ids")
    check_conditions(given)
    targets = _check_targets(given["targets"])
    _check_warnings(given["warnings"], min(targets.values()))
    words(given["pauses"], "pauses", KINDS)
    words(given["pause_states"], "pause_states", PAUSING)
    flag(given["next_response_from_creation"], "next_response_from_creation")


def check_conditions(given: Mapping[str, Any]) -> None:
    """Those that policies and rules share. A channel need not be installed: its policy may come before it."""
    for number, channel in enumerate(names(given["channels"], "channels", longest=40)):
        if not _CHANNEL.fullmatch(channel):
            raise Wrong(under("channels", number), "use the name of a channel, such as email")
    words(given["priorities"], "priorities", PRIORITIES)
    names(given["categories"], "categories", longest=60)


def _check_targets(value: Any) -> Mapping[str, int]:
    targets = fields(value, "targets", needed=(), optional=KINDS)
    if not targets:
        raise Wrong("targets", f"give at least one of {', '.join(KINDS)}")
    for kind, seconds in targets.items():
        whole(seconds, under("targets", kind), least=1, most=MOST_SECONDS)
    resolution = targets.get("resolution")
    if resolution is not None and resolution < max(targets.values()):
        raise Wrong("targets.resolution", "a resolution cannot be due before a response is")
    return targets


def _check_warnings(value: Any, shortest: int) -> None:
    seen: list[tuple[str, float]] = []
    for number, one in enumerate(items(value, "warnings", most=MOST_WARNINGS)):
        place = under("warnings", number)
        given = fields(one, place, needed=(), optional=("fraction", "before"))
        if len(given) != 1:
            raise Wrong(place, "give either fraction or before")
        ((name, amount),) = given.items()
        if name == "before":
            whole(amount, under(place, name), least=1, most=MOST_SECONDS)
            if amount >= shortest:
                raise Wrong(under(place, name), f"use less than the shortest target, {shortest} seconds")
        elif not isinstance(amount, float) or not 0 < amount < 1:
            raise Wrong(under(place, name), "use a number between 0 and 1")
        if (name, amount) in seen:
            raise Wrong(place, "there is a warning like this already")
        seen.append((name, amount))


def mentions(content: Mapping[str, Any]) -> Iterator[tuple[str, str, UUID]]:
    """Whatever else of the house the content names: field, kind of thing, id."""
    if content["business_hours_id"]:
        yield "business_hours_id", "business_hours", UUID(content["business_hours_id"])
    for number, inbox_id in enumerate(content["inbox_ids"]):
        yield under("inbox_ids", number), "inbox", UUID(inbox_id)
