"""Agents, their teams, and how they prove who they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, String
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, prose, ref, table_of, words


class Agent(Base, table=True):
    """Someone who answers, or an integration's identity. `email` is kept in lower case.

    `duty` is `auto` (as the schedules say), `on` or `off`, until `duty_until` if that is set. In his `quiet_hours`,
    `{zone, from, to}` in local minutes, only what is critical reaches him. `totp_secret` is sealed; it counts once
    `totp_confirmed_at` is set, and `totp_step` is the last time step whose code was taken, so that none is taken twice.
    `external_subject` is `issuer|subject` of his single sign-on. `capacity` is how many open conversations he is given
    by routing (empty: as his team says), `live_capacity` how many on live channels, beside these (empty: as his team
    says), and `skills` are `{languages, categories}` that he answers (empty: all). `zone` is where his times are told
    (empty: as his browser says), and `preferences` what he has chosen otherwise of the console.
    """

    __tablename__ = "agents"
    __table_args__ = (
        Index(
            "uq_agents_external_subject", "external_subject", unique=True, **only_where("external_subject IS NOT NULL")
        ),
    )

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
    totp_secret: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)
    totp_confirmed_at: datetime | None = at(nullable=True)
    totp_step: int = Field(default=0, sa_type=BigInteger)
    external_subject: str | None = words(nullable=True)
    capacity: int | None = Field(default=None, nullable=True)
    live_capacity: int | None = Field(default=None, nullable=True)
    skills: dict[str, Any] | None = json(nullable=True)
    zone: str = words()
    preferences: dict[str, Any] | None = json(nullable=True)
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class Team(Base, table=True):
    """`routing` is how its conversations find an assignee (`domain.assignment`); empty: people take them."""

    __tablename__ = "teams"

    id: UUID = key()
    name: str = Field(unique=True, sa_type=String)
    description: str = words()
    routing: dict[str, Any] | None = json(nullable=True)
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class TeamMember(Base, table=True):
    """`role` is `member` or `lead`: a lead is called when the team's promise is broken.

    `last_assigned_at` is when routing gave him something of this team: whoever has waited longest is next.
    """

    __tablename__ = "team_members"

    team_id: UUID = Field(foreign_key="teams.id", primary_key=True, ondelete="CASCADE")
    agent_id: UUID = Field(foreign_key="agents.id", primary_key=True, ondelete="CASCADE", index=True)
    role: str = words("member")
    last_assigned_at: datetime | None = at(nullable=True)


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


class RecoveryCode(Base, table=True):
    """What stands in for a lost TOTP device, once. Only a digest is kept."""

    __tablename__ = "recovery_codes"

    agent_id: UUID = Field(foreign_key="agents.id", primary_key=True, ondelete="CASCADE")
    digest: str = Field(primary_key=True, sa_type=String)
    created_at: datetime = at()
    used_at: datetime | None = at(nullable=True)


class AccountLink(Base, table=True):
    """A way in, once and not for long: `invitation` or `password_reset`. Only a digest of what it says is kept.

    `status` is of its letter: empty where none is sent, else `queued → sent | failed`. Whoever sends it makes what it
    says, so that this is never stored. A reset that was asked for with an unknown address has no agent.
    """

    __tablename__ = "account_links"
    __table_args__ = (
        Index("ix_account_links_due", "next_attempt_at", **only_where("status = 'queued'")),
        Index("ix_account_links_expires_at", "expires_at"),
    )

    id: UUID = key()
    agent_id: UUID | None = ref("agents.id", nullable=True, index=True, ondelete="CASCADE")
    purpose: str = words()
    digest: str = Field(unique=True, sa_type=String)
    created_by: UUID | None = Field(default=None)
    created_at: datetime = at()
    expires_at: datetime = at()
    used_at: datetime | None = at(nullable=True)
    status: str = words()
    attempts: int = 0
    error: str = prose()
    next_attempt_at: datetime | None = at(nullable=True)


class Session(Base, table=True):
    """A console login. Only a digest of the cookie is kept.

    `method` is `password` or `sso`. `verified_at` is when a password or the sign-on was last given, which some changes
    ask for again. `client` names browser and system, as far as they say.
    """

    __tablename__ = "sessions"

    id: UUID = key()
    agent_id: UUID = ref("agents.id", index=True, ondelete="CASCADE")
    digest: str = Field(unique=True, sa_type=String)
    method: str = words("password")
    client: str = words()
    created_at: datetime = at()
    verified_at: datetime | None = at(nullable=True)
    last_seen_at: datetime = at()
    expires_at: datetime = at()


class SsoProvider(Base, table=True):
    """An OpenID provider whose word is taken for who somebody is. `secret` is sealed.

    `domains` are those of the addresses that it may speak for.
    """

    __tablename__ = "sso_providers"

    id: UUID = key()
    name: str = Field(unique=True, sa_type=String)
    issuer: str = words()
    client_id: str = words()
    secret: bytes = Field(default=b"", sa_type=LargeBinary)
    domains: list[str] = json(list)
    enabled: bool = True
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class SsoLogin(Base, table=True):
    """A sign-on that has begun: what must come back with its answer. `digest` is of `state`; `verifier` is sealed."""

    __tablename__ = "sso_logins"
    __table_args__ = (Index("ix_sso_logins_expires", "expires_at"),)

    id: UUID = key()
    digest: str = Field(unique=True, sa_type=String)
    provider_id: UUID = ref("sso_providers.id", index=True, ondelete="CASCADE")
    nonce: str = words()
    verifier: bytes = Field(default=b"", sa_type=LargeBinary)
    created_at: datetime = at()
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
recovery_codes = table_of(RecoveryCode)
account_links = table_of(AccountLink)
sessions = table_of(Session)
sso_providers = table_of(SsoProvider)
sso_logins = table_of(SsoLogin)
login_attempts = table_of(LoginAttempt)
