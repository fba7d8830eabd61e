"""Whose turn it is: how a team's conversations find an assignee, as it is stored, and the choice itself.

    {"method": "least_busy", "capacity": 8, "skills": "prefer", "take_back_minutes": 30, "only_on_duty": true,
     "live_capacity": 3, "live_take_back_minutes": 2}

Of live channels people have fewer at a time, and whoever waits there does not wait for long: their conversations have
room and patience of their own.
The choice is a pure function of who waits and who is there: the same rows, in whatever order, give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from helpdesk.domain.contents import Wrong, fields, flag, names, whole, word, words
from helpdesk.domain.language import SUPPORTED

MOST_CAPACITY: Final = 500
LEAST_MINUTES: Final = 5
"""That a session is in use is written down once in a minute: less would take from people who are there."""
LEAST_LIVE_MINUTES: Final = 2
MOST_MINUTES: Final = 10_080
MOST_LIVE_CAPACITY: Final = 50
LONGEST_CATEGORY: Final = 60


class Method(StrEnum):
    """`manual`: people take them. `round_robin`: whoever was given nothing for longest. `least_busy`: see `assign`."""

    MANUAL = "manual"
    ROUND_ROBIN = "round_robin"
    LEAST_BUSY = "least_busy"


class SkillUse(StrEnum):
    """`prefer` takes whoever has the skill while one of them has room, and otherwise anybody."""

    IGNORE = "ignore"
    PREFER = "prefer"
    REQUIRE = "require"


class Idle(StrEnum):
    """Why somebody is given nothing. The first three are absences, for which he can also be taken from."""

    LEFT = "left"
    OFF_DUTY = "off_duty"
    AWAY = "away"
    FULL = "full"
    NO_INBOX = "no_inbox"
    NO_SKILL = "no_skill"
    MANUAL = "manual"


ROUTED: Final = "routed"
"""What the event of an assignment gives as its reason; that of a taking back gives the absence."""


@dataclass(frozen=True, slots=True)
class Routing:
    """`capacity` and `live_capacity` are of those who have none of their own.

    Without `take_back` nobody present is ever taken for away, and without `live_take_back` nobody who could chat.
    """

    method: Method = Method.MANUAL
    capacity: int = 10
    skills: SkillUse = SkillUse.IGNORE
    take_back: timedelta | None = None
    only_on_duty: bool = True
    live_capacity: int = 3
    live_take_back: timedelta | None = timedelta(minutes=LEAST_LIVE_MINUTES)

    def patience(self, *, live: bool) -> timedelta | None:
        """After how long without a sign of life somebody is away."""
        return self.live_take_back if live else self.take_back


@dataclass(frozen=True, slots=True)
class Skills:
    """Empty is everything. What is not known of a conversation is nothing that anybody lacks."""

    languages: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()

    def cover(self, language: str, category: str | None) -> bool:
        speaks = not language or not self.languages or language in self.languages
        return speaks and (category is None or not self.categories or category in self.categories)


@dataclass(frozen=True, slots=True)
class Member:
    """Of a team. `inbox_ids` are those in which he may answer (None: all). `seen_at` is when he last did anything."""

    agent_id: UUID
    active: bool
    on_duty: bool
    seen_at: datetime | None
    capacity: int
    live_capacity: int
    inbox_ids: frozenset[UUID] | None
    skills: Skills
    last_assigned_at: datetime | None

    def most(self, *, live: bool) -> int:
        return self.live_capacity if live else self.capacity

    def may_take(self, inbox_id: UUID, taken_from: UUID | None = None) -> bool:
        """What was taken from him by hand does not come back to him by itself."""
        return self.agent_id != taken_from and (self.inbox_ids is None or inbox_id in self.inbox_ids)


@dataclass(frozen=True, slots=True)
class Team:
    routing: Routing
    members: Sequence[Member]


@dataclass(frozen=True, slots=True)
class Queued:
    """A conversation that nobody has, `live` where its contact is on such a channel.

    `taken_from` is whom it was taken from by hand.
    """

    id: UUID
    team_id: UUID
    inbox_id: UUID
    priority: int
    waiting_since: datetime | None
    language: str = ""
    category: str | None = None
    taken_from: UUID | None = None
    live: bool = False


Loads = Mapping[tuple[UUID, bool], int]
"""How many open conversations agents have, over all teams: of live channels (True), and of all others."""

# -- as it is stored ----------------------------------------------------------------------------------------------


def check(content: Any) -> None:
    """Raises `Wrong` for the first thing that no routing can say."""
    needed = ("method", "capacity", "skills", "take_back_minutes", "only_on_duty")
    given = fields(content, "", needed=needed, optional=("live_capacity", "live_take_back_minutes"))
    word(given["method"], "method", [one.value for one in Method])
    whole(given["capacity"], "capacity", least=1, most=MOST_CAPACITY)
    word(given["skills"], "skills", [one.value for one in SkillUse])
    if given["take_back_minutes"] is not None:
        whole(given["take_back_minutes"], "take_back_minutes", least=LEAST_MINUTES, most=MOST_MINUTES)
    flag(given["only_on_duty"], "only_on_duty")
    if "live_capacity" in given:
        whole(given["live_capacity"], "live_capacity", least=1, most=MOST_LIVE_CAPACITY)
    if given.get("live_take_back_minutes") is not None:
        minutes = given["live_take_back_minutes"]
        whole(minutes, "live_take_back_minutes", least=LEAST_LIVE_MINUTES, most=MOST_MINUTES)


def read(content: Mapping[str, Any] | None) -> Routing:
    """What `check` has let through; nothing is manual. What was stored before there were live channels is as usual."""
    usual = Routing()
    if content is None:
        return usual
    return Routing(
        method=Method(content["method"]),
        capacity=content["capacity"],
        skills=SkillUse(content["skills"]),
        take_back=_minutes(content["take_back_minutes"]),
        only_on_duty=content["only_on_duty"],
        live_capacity=content.get("live_capacity", usual.live_capacity),
        live_take_back=_minutes(content.get("live_take_back_minutes", LEAST_LIVE_MINUTES)),
    )


def _minutes(given: int | None) -> timedelta | None:
    return None if given is None else timedelta(minutes=given)


def check_skills(content: Any) -> None:
    """Raises `Wrong`."""
    given = fields(content, "", needed=("languages", "categories"))
    words(given["languages"], "languages", SUPPORTED)
    for number, category in enumerate(names(given["categories"], "categories", longest=LONGEST_CATEGORY)):
        if category != category.strip():
            raise Wrong(f"categories.{number}", "no spaces around it: it would be found nowhere")


def read_skills(content: Mapping[str, Any] | None) -> Skills:
    return Skills() if content is None else Skills(frozenset(content["languages"]), frozenset(content["categories"]))


# -- who can take anything ----------------------------------------------------------------------------------------


def absence(
    routing: Routing, *, live: bool, active: bool, on_duty: bool, seen_at: datetime | None, now: datetime
) -> Idle | None:
    """Why somebody is not there for a team with this routing, for what is live or not; None for one who is."""
    patience = routing.patience(live=live)
    if not active:
        return Idle.LEFT
    if routing.only_on_duty and not on_duty:
        return Idle.OFF_DUTY
    if patience is not None and (seen_at is None or now - seen_at > patience):
        return Idle.AWAY
    return None


def loses(routing: Routing, why: Idle | None, *, live: bool) -> bool:
    """Whether what he has goes back to the queue for this absence: always when he left, else where the team says so."""
    return why is Idle.LEFT or (why in (Idle.OFF_DUTY, Idle.AWAY) and routing.patience(live=live) is not None)


def idle(routing: Routing, member: Member, *, live: bool, load: int, now: datetime) -> Idle | None:
    """Why a member is given nothing that is live, or nothing that is not; None for one who can take something."""
    if routing.method is Method.MANUAL:
        return Idle.MANUAL
    active, on_duty, seen_at = member.active, member.on_duty, member.seen_at
    why = absence(routing, live=live, active=active, on_duty=on_duty, seen_at=seen_at, now=now)
    return why or (Idle.FULL if load >= member.most(live=live) else None)


def unsuited(routing: Routing, member: Member, kinds: Iterable[tuple[UUID, str, str | None]]) -> Idle | None:
    """Why none of what is queued is for a member: `kinds` are its inboxes with language and category."""
    his = [(language, category) for inbox_id, language, category in kinds if member.may_take(inbox_id)]
    if not his:
        return Idle.NO_INBOX
    if routing.skills is SkillUse.REQUIRE and not any(member.skills.cover(*one) for one in his):
        return Idle.NO_SKILL
    return None


# -- the choice ---------------------------------------------------------------------------------------------------


def assign(
    queue: Iterable[Queued], teams: Mapping[UUID, Team], loads: Loads, *, now: datetime
) -> list[tuple[Queued, UUID]]:
    """Who is given what, in this order: the most urgent first, of those who have waited longest.

    Least busy is the smallest share of one's capacity in use, of that for what is live or of that for the rest; among
    equals, and in turns, it is whoever was given nothing of this team for longest. What nobody can take is left out,
    and keeps nobody behind it waiting.
    """
    load = dict(loads)
    turns = {(team_id, one.agent_id): _turn(one) for team_id, team in teams.items() for one in team.members}
    found = []
    for number, wanted in enumerate(sorted(queue, key=urgency)):
        team = teams.get(wanted.team_id)
        fit = _fit(team, wanted, load, now) if team is not None else []
        if team is None or not fit:
            continue
        keyed = []
        for one in fit:
            busy, most = load.get((one.agent_id, wanted.live), 0), one.most(live=wanted.live)
            share = Fraction(busy, most) if team.routing.method is Method.LEAST_BUSY else Fraction(0)
            keyed.append((share, turns[wanted.team_id, one.agent_id], one.agent_id))
        *_, chosen = min(keyed)
        load[chosen, wanted.live] = load.get((chosen, wanted.live), 0) + 1
        turns[wanted.team_id, chosen] = (_THIS_TIME, float(number))
        found.append((wanted, chosen))
    return found


_NEVER, _BEFORE, _THIS_TIME = range(3)
_LATEST: Final = datetime.max.replace(tzinfo=UTC)


def _turn(member: Member) -> tuple[int, float]:
    last = member.last_assigned_at
    return (_NEVER, 0.0) if last is None else (_BEFORE, last.timestamp())


def urgency(one: Queued) -> tuple[int, datetime, UUID]:
    """Whoever does not wait comes after all who do."""
    return -one.priority, one.waiting_since or _LATEST, one.id


def _fit(team: Team, wanted: Queued, load: Loads, now: datetime) -> list[Member]:
    routing, live = team.routing, wanted.live
    able = [
        one
        for one in team.members
        if one.may_take(wanted.inbox_id, wanted.taken_from)
        and idle(routing, one, live=live, load=load.get((one.agent_id, live), 0), now=now) is None
    ]
    if routing.skills is SkillUse.IGNORE:
        return able
    skilled = [one for one in able if one.skills.cover(wanted.language, wanted.category)]
    return skilled if skilled or routing.skills is SkillUse.REQUIRE else able
