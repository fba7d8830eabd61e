"""Agents, their teams, and how they prove who they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, ref, table_of, words


class Agent(Base, table=True):
    """Someone who answers, or an integration's identity. `email` is kept in lower case.

    `duty` is `auto` (as the schedules say), `on` or `off`, until `duty_until` if that is set. In his `quiet_hours`,
    `{zone, from, to}` in local minutes, only what is critical reaches him.
    """

    __tablename__ = "agents"

    id: UUID = key()
    email: str = Field(unique=True, sa_type=String)
    name: str = words()
    role: str = words("agent")
    locale: str = words("en")
    password_hash: str | None = words(nullable=True)
    active: bool = True
    duty: str = words("auto")
    duty_until: datetime | None = at(nullable=True)
    quiet_hours: dict[str, Any] | None = json(nullable=True)
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class Team(Base, table=True):
    __tablename__ = "teams"

    id: UUID = key()
    name: str = Field(unique=True, sa_type=String)
    description: str = words()
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class TeamMember(Base, table=True):
    """`role` is `member` or `lead`: a lead is called when the team's promise is broken."""

    __tablename__ = "team_members"

    team_id: UUID = Field(foreign_key="teams.id", primary_key=True, ondelete="CASCADE")
    agent_id: UUID = Field(foreign_key="agents.id", primary_key=True, ondelete="CASCADE", index=True)
    role: str = words("member")


class ApiToken(Base, table=True):
    """Only a digest of the token is kept. `kind` is `agent` or `bot`; a bot's messages have a bot as author."""

    __tablename__ = "api_tokens"

    id: UUID = key()
    agent_id: UUID = ref("agents.id", index=True, ondelete="CASCADE")
    name: str = words()
    kind: str = words("agent")
    digest: str = Field(unique=True, sa_type=String)
    scopes: list[str] = json(list)
    created_at: datetime = at()
    last_used_at: datetime | None = at(nullable=True)
    expires_at: datetime | None = at(nullable=True)
    revoked_at: datetime | None = at(nullable=True)


class Session(Base, table=True):
    """A console login. Only a digest of the cookie is kept."""

    __tablename__ = "sessions"

    id: UUID = key()
    agent_id: UUID = ref("agents.id", index=True, ondelete="CASCADE")
    digest: str = Field(unique=True, sa_type=String)
    created_at: datetime = at()
    last_seen_at: datetime = at()
    expires_at: datetime = at()


class LoginAttempt(Base, table=True):
    """Failed logins, counted per account and per address; `subject` is a keyed digest of either."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index("ix_login_attempts_subject_at", "subject", "created_at"),)

    id: UUID = key()
    subject: str = words()
    created_at: datetime = at()


agents = table_of(Agent)
teams = table_of(Team)
team_members = table_of(TeamMember)
api_tokens = table_of(ApiToken)
sessions = table_of(Session)
login_attempts = table_of(LoginAttempt)
