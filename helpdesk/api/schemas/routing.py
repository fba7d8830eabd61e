"""Routing, as it is given and shown: how a team gives out what nobody has, what agents can take, and what waits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from helpdesk.api.schemas.shared import Given, Line, Reference, Shown
from helpdesk.domain.assignment import (
    LEAST_LIVE_MINUTES,
    LEAST_MINUTES,
    LONGEST_CATEGORY,
    MOST_CAPACITY,
    MOST_LIVE_CAPACITY,
    MOST_MINUTES,
    Method,
    Routing,
    SkillUse,
)
from helpdesk.services.queues import Standing

MethodWord = Literal["manual", "round_robin", "least_busy"]
SkillWord = Literal["ignore", "prefer", "require"]
IdleWord = Literal["left", "off_duty", "away", "full", "no_inbox", "no_skill", "manual"]
LanguageWord = Literal["en", "zh-CN", "zh-TW"]
Capacity = Annotated[int, Field(ge=0, le=MOST_CAPACITY)]
LiveCapacity = Annotated[int, Field(ge=0, le=MOST_LIVE_CAPACITY)]
_DEFAULT = Routing()


class RoutingGiven(Given):
    """As a whole: what is left out is as it says here."""

    method: MethodWord = Field(
        Method.MANUAL.value,
        description="`manual`: people take them. `round_robin`: whoever was given nothing for longest. `least_busy`: "
        "whoever has the smallest share of his capacity in use",
    )
    capacity: int = Field(
        _DEFAULT.capacity,
        ge=1,
        le=MOST_CAPACITY,
        description="Open conversations of an agent who has no capacity of his own, over all his teams",
    )
    skills: SkillWord = Field(
        SkillUse.IGNORE.value,
        description="`require`: only who has language and category. `prefer`: he first, else anybody",
    )
    take_back_minutes: int | None = Field(
        None,
        ge=LEAST_MINUTES,
        le=MOST_MINUTES,
        description="Whoever did nothing for so long is away: he is given nothing, and what waits with him, or with "
        "who is off duty, goes back to the queue. null: only from who left",
    )
    only_on_duty: bool = Field(True, description="false: whoever is active, on duty or not")
    live_capacity: int = Field(
        _DEFAULT.live_capacity,
        ge=1,
        le=MOST_LIVE_CAPACITY,
        description="As `capacity`, of conversations on live channels: the others do not count against it, nor these "
        "against `capacity`",
    )
    live_take_back_minutes: int | None = Field(
        LEAST_LIVE_MINUTES,
        ge=LEAST_LIVE_MINUTES,
        le=MOST_MINUTES,
        description="As `take_back_minutes`, for conversations on live channels",
    )


class RoutingShown(RoutingGiven):
    """How a team gives out what nobody has."""


class SkillsGiven(Given):
    """An empty list is everything. What is not known of a conversation is nothing that anybody lacks."""

    languages: list[LanguageWord] = Field(default_factory=list, max_length=3)
    categories: Annotated[
        list[Annotated[Line, Field(min_length=1, max_length=LONGEST_CATEGORY)]], Field(max_length=100)
    ] = Field(default_factory=list)


class TeamMemberStanding(Shown):
    agent: Reference
    open: int = Field(description="Open conversations that he has, over all teams; not pending, not snoozed, not live")
    capacity: int
    live_open: int = Field(description="Open conversations on live channels that he has, over all teams")
    live_capacity: int
    on_duty: bool
    last_assigned_at: datetime | None = Field(description="When routing last gave him something of this team")
    idle: IdleWord | None = Field(
        description="Why he is given nothing: `away` did nothing for long, `full` has no room, `no_inbox` and "
        "`no_skill`: nothing that is queued is for him; null: he is given the next"
    )
    live_idle: IdleWord | None = Field(description="Why he is given nothing on live channels")


class QueueShown(Shown):
    team_id: UUID
    routing: RoutingShown
    queued: int = Field(description="Open conversations of the team that nobody has")
    oldest_waiting_since: datetime | None = Field(description="Of those in which a contact waits")
    members: list[TeamMemberStanding]


def given(routing: RoutingGiven | None) -> dict[str, Any] | None:
    return None if routing is None else routing.model_dump()


def routing(content: dict[str, Any] | None) -> dict[str, Any]:
    """What was stored before there was more to say is as usual."""
    return RoutingGiven.model_validate(content or {}).model_dump()


def standing(found: Standing) -> dict[str, Any]:
    return {
        "team_id": found.team["id"],
        "routing": routing(found.team["routing"]),
        "queued": found.queued,
        "oldest_waiting_since": found.oldest_waiting_since,
        "members": [
            {
                "agent": {"id": one.member.agent_id, "name": one.name},
                "open": one.load,
                "capacity": one.member.capacity,
                "live_open": one.live_load,
                "live_capacity": one.member.live_capacity,
                "on_duty": one.member.on_duty,
                "last_assigned_at": one.member.last_assigned_at,
                "idle": one.idle,
                "live_idle": one.live_idle,
            }
            for one in found.members
        ],
    }
