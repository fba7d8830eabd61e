"""Agents and teams, as they are given and shown.

What an agent is shown of a colleague is less than a supervisor is shown: two models, never one with holes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, SecretStr
from sqlalchemy import RowMapping

from helpdesk.api.schemas.routing import Capacity, LiveCapacity, RoutingGiven, RoutingShown, SkillsGiven, routing
from helpdesk.api.schemas.shared import Given, Ids, Language, Line, Name, Shown, Text, When
from helpdesk.domain.duty import standing
from helpdesk.domain.values import Actor, TeamRole

RoleWord = Literal["agent", "supervisor", "admin"]
DutyWord = Literal["auto", "on", "off"]
Time = Annotated[Line, Field(max_length=5)]
Password = Annotated[SecretStr, Field(min_length=10, max_length=256)]


class QuietHours(Given):
    """Local times such as `22:00`; the end may be on the next day. Until then only what is critical reaches one."""

    zone: Annotated[Line, Field(max_length=64)]
    from_: Time = Field(alias="from")
    to: Time


class DutyGiven(Given):
    duty: DutyWord | None = Field(None, description="`auto` is as the schedules say")
    duty_until: When | None = Field(None, description="For `on` and `off`: after that it is `auto` again")
    quiet_hours: QuietHours | None = Field(None, description="null: none")

    def given(self) -> dict[str, Any]:
        found = super().given()
        if self.quiet_hours is not None:
            found["quiet_hours"] = self.quiet_hours.model_dump(by_alias=True)
        return found


def duty_of(agent: RowMapping, now: datetime) -> dict[str, Any]:
    """As it holds: what has run out is not shown."""
    word, until = standing(agent["duty"], agent["duty_until"], now)
    return {"duty": word.value, "duty_until": until, "quiet_hours": agent["quiet_hours"]}


class AgentName(Shown):
    """What every agent is shown of a colleague."""

    id: UUID
    name: str
    active: bool


class AgentShown(AgentName):
    email: str
    role: RoleWord
    locale: str
    team_ids: list[UUID]
    duty: DutyWord
    duty_until: datetime | None
    quiet_hours: QuietHours | None
    capacity: int | None = Field(description="Open conversations up to which he is given more; null: as his team says")
    live_capacity: int | None = Field(description="As `capacity`, of conversations on live channels")
    skills: SkillsGiven | None = Field(description="What he answers; null: everything")
    totp: bool = Field(description="Whether signing in takes a second step")
    joined: bool = Field(description="Whether he can sign in: he has a password, or signs on elsewhere")
    version: int
    created_at: datetime
    updated_at: datetime


class AgentCreate(Given):
    email: Annotated[Line, Field(max_length=320)]
    name: Name
    role: RoleWord = "agent"
    locale: Language = "en"
    password: Password | None = None


class AgentPatch(DutyGiven):
    name: Name | None = None
    email: Annotated[Line, Field(max_length=320)] | None = Field(None, description="He signs in with it from then on")
    role: RoleWord | None = None
    locale: Language | None = None
    active: bool | None = None
    password: Password | None = None
    capacity: Capacity | None = Field(None, description="0: he is given nothing; null: as his team says")
    live_capacity: LiveCapacity | None = Field(None, description="As `capacity`, of conversations on live channels")
    skills: SkillsGiven | None = Field(None, description="null: everything")

    def given(self) -> dict[str, Any]:
        found = super().given()
        if self.skills is not None:
            found["skills"] = self.skills.model_dump()
        return found


def agent(row: RowMapping, team_ids: Sequence[UUID], actor: Actor, now: datetime) -> dict[str, Any]:
    names = ("id", "name", "active")
    if not actor.sees_all:
        return {name: row[name] for name in names}
    more = ("email", "role", "locale", "capacity", "live_capacity", "skills", "version", "created_at", "updated_at")
    return {
        **{name: row[name] for name in (*names, *more)},
        **duty_of(row, now),
        "team_ids": list(team_ids),
        "totp": row["totp_confirmed_at"] is not None,
        "joined": row["password_hash"] is not None or row["external_subject"] is not None,
    }


class InvitationGiven(Given):
    mail: bool = Field(True, description="false: no letter is sent; the answer holds the link, this once")


class InvitationShown(Shown):
    id: UUID
    status: Literal["link", "queued", "sent", "failed"] = Field(description="Of the letter; `link`: none is sent")
    error: str = Field(description="The class of the last failure, empty when there is none")
    link: str | None = Field(description="Only in the answer that made it, without a letter")
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


def invitation(row: RowMapping, link: str | None = None) -> dict[str, Any]:
    names = ("id", "error", "created_at", "expires_at", "used_at")
    return {**{name: row[name] for name in names}, "status": row["status"] or "link", "link": link}


class TeamShown(Shown):
    """`leads` are some of the members."""

    id: UUID
    name: str
    description: str
    member_ids: list[UUID]
    leads: list[UUID]
    routing: RoutingShown
    version: int
    created_at: datetime
    updated_at: datetime


class TeamCreate(Given):
    name: Name
    description: Annotated[Text, Field(max_length=1000)] = ""
    member_ids: Ids = Field(default_factory=list)
    lead_ids: Ids = Field(default_factory=list, description="Some of `member_ids`")
    routing: RoutingGiven | None = Field(None, description="null: people take what is in the queue")


class TeamPatch(Given):
    name: Name | None = None
    description: Annotated[Text, Field(max_length=1000)] | None = None
    member_ids: Ids | None = None
    lead_ids: Ids | None = None
    routing: RoutingGiven | None = None


def team(row: RowMapping, members: Mapping[UUID, str]) -> dict[str, Any]:
    """`members` have their `TeamRole`."""
    names = ("id", "name", "description", "version", "created_at", "updated_at")
    leads = [agent_id for agent_id, role in members.items() if role == TeamRole.LEAD]
    shown = {name: row[name] for name in names} | {"routing": routing(row["routing"])}
    return {**shown, "member_ids": list(members), "leads": leads}
