"""The account, agents and teams, as they are given and shown.

What an agent is shown of a colleague is less than a supervisor is shown: two models, never one with holes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, SecretStr
from sqlalchemy import RowMapping

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


def _duty(agent: RowMapping, now: datetime) -> dict[str, Any]:
    """As it holds: what has run out is not shown."""
    word, until = standing(agent["duty"], agent["duty_until"], now)
    return {"duty": word.value, "duty_until": until, "quiet_hours": agent["quiet_hours"]}


# -- the account --


class Login(Given):
    email: Annotated[str, Field(max_length=320)]
    password: Annotated[SecretStr, Field(max_length=256)]
    totp: Annotated[str, Field(max_length=10)] | None = Field(
        None, description="For accounts with a second factor; ignored for the others"
    )


class Me(Shown):
    id: UUID
    name: str
    email: str
    role: RoleWord
    kind: Literal["agent", "bot"]
    locale: str
    team_ids: list[UUID]
    scopes: list[str] | None = Field(description="Of the token; null in a console session")
    duty: DutyWord
    duty_until: datetime | None
    quiet_hours: QuietHours | None
    version: int


class MePatch(DutyGiven):
    """Only what is sent is changed. A new `duty` lasts for good unless `duty_until` is sent with it."""

    locale: Language | None = None


def me(actor: Actor, agent: RowMapping, now: datetime) -> dict[str, Any]:
    return {
        **{name: agent[name] for name in ("id", "name", "email", "role", "locale", "version")},
        **_duty(agent, now),
        "kind": actor.kind.value,
        "team_ids": list(actor.team_ids),
        "scopes": None if actor.scopes is None else sorted(actor.scopes),
    }


# -- agents and teams --


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
    role: RoleWord | None = None
    locale: Language | None = None
    active: bool | None = None
    password: Password | None = None


def agent(row: RowMapping, team_ids: Sequence[UUID], actor: Actor, now: datetime) -> dict[str, Any]:
    names = ("id", "name", "active")
    if not actor.sees_all:
        return {name: row[name] for name in names}
    more = ("email", "role", "locale", "version", "created_at", "updated_at")
    return {**{name: row[name] for name in (*names, *more)}, **_duty(row, now), "team_ids": list(team_ids)}


class TeamShown(Shown):
    """`leads` are some of the members."""

    id: UUID
    name: str
    description: str
    member_ids: list[UUID]
    leads: list[UUID]
    version: int
    created_at: datetime
    updated_at: datetime


class TeamCreate(Given):
    name: Name
    description: Annotated[Text, Field(max_length=1000)] = ""
    member_ids: Ids = Field(default_factory=list)
    lead_ids: Ids = Field(default_factory=list, description="Some of `member_ids`")


class TeamPatch(Given):
    name: Name | None = None
    description: Annotated[Text, Field(max_length=1000)] | None = None
    member_ids: Ids | None = None
    lead_ids: Ids | None = None


def team(row: RowMapping, members: Mapping[UUID, str]) -> dict[str, Any]:
    """`members` have their `TeamRole`."""
    names = ("id", "name", "description", "version", "created_at", "updated_at")
    leads = [agent_id for agent_id, role in members.items() if role == TeamRole.LEAD]
    return {**{name: row[name] for name in names}, "member_ids": list(members), "leads": leads}
