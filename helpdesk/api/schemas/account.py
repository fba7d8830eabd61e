"""The account: signing in, the second step, sessions and tokens, as they are given and shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field, SecretStr
from sqlalchemy import RowMapping

from helpdesk.api.schemas.people import DutyGiven, DutyWord, Password, QuietHours, RoleWord, duty_of
from helpdesk.api.schemas.routing import SkillsGiven
from helpdesk.api.schemas.shared import Given, Language, Line, Name, Shown, When
from helpdesk.domain.values import Actor
from helpdesk.services.access import RECENT

Email = Annotated[str, Field(max_length=320)]
Known = Annotated[SecretStr, Field(min_length=1, max_length=256)]
"""A password that is compared with the stored one: whatever length was once allowed."""
Code = Annotated[str, Field(max_length=40)]
Theme = Literal["system", "light", "dark"]
Density = Literal["calm", "dense"]
Link = Annotated[SecretStr, Field(min_length=1, max_length=200)]


class Login(Given):
    email: Email
    password: Annotated[SecretStr, Field(max_length=256)]
    totp: Code | None = Field(
        None, description="A code of the authenticator or a recovery code; ignored where there is no second step"
    )


class Verification(Given):
    password: Known
    totp: Code | None = Field(None, description="Where there is a second step: as for the login")


class Verified(Shown):
    verified_until: datetime = Field(description="Until then, what asks for the password again does not ask")


class Forgotten(Given):
    email: Email


class Invited(Given):
    token: Link
    password: Password
    name: Name | None = None


class FirstRun(Given):
    token: Link
    email: Annotated[Line, Field(max_length=320)]
    name: Name
    password: Password
    locale: Language | None = None


class Reset(Given):
    token: Link
    password: Password


class Preferences(Given):
    """Of the console. Only what is sent is changed."""

    theme: Theme = "system"
    density: Density = "calm"
    shortcuts: bool = Field(True, description="Whether single keys are shortcuts (`j`, `k`, `e` …)")
    sounds: bool = False
    undo_seconds: Annotated[int, Field(ge=0, le=60)] = Field(
        10, description="So long an answer can be taken back: what is sent as `undo_seconds` with a message"
    )


class PreferencesShown(Shown):
    """What was never chosen is as it comes."""

    theme: Theme
    density: Density
    shortcuts: bool
    sounds: bool
    undo_seconds: int


class Me(Shown):
    id: UUID
    name: str
    email: str
    role: RoleWord
    kind: Literal["agent", "bot"]
    locale: str
    zone: str = Field(description="IANA time zone; empty: as the browser says")
    preferences: PreferencesShown
    team_ids: list[UUID]
    scopes: list[str] | None = Field(description="Of the token; null in a console session")
    duty: DutyWord
    duty_until: datetime | None
    quiet_hours: QuietHours | None
    capacity: int | None = Field(
        description="Open conversations up to which you are given more; null: as the team says"
    )
    live_capacity: int | None = Field(description="As `capacity`, of conversations on live channels")
    skills: SkillsGiven | None = Field(description="What you are given; null: everything")
    totp: bool = Field(description="Whether signing in takes a second step")
    verified_until: datetime | None = Field(description="As `POST /auth/verify` answers it; null for a token")
    version: int


class MePatch(DutyGiven):
    """Only what is sent is changed. A new `duty` lasts for good unless `duty_until` is sent with it."""

    name: Name | None = None
    locale: Language | None = None
    zone: Annotated[Line, Field(max_length=64)] | None = Field(
        None, description="IANA time zone such as `Asia/Shanghai`; empty: as the browser says"
    )
    preferences: Preferences | None = None
    password: Known | None = Field(None, description="The one of now, needed with `new_password`")
    new_password: Password | None = None

    def given(self) -> dict[str, Any]:
        found = super().given()
        if self.preferences is not None:
            found["preferences"] = self.preferences.given()
        return found


_AS_IT_COMES: Final = Preferences.model_validate({}).model_dump()


def me(actor: Actor, agent: RowMapping, now: datetime) -> dict[str, Any]:
    return {
        **{name: agent[name] for name in ("id", "name", "email", "role", "locale", "zone", "version")},
        "preferences": {**_AS_IT_COMES, **(agent["preferences"] or {})},
        **{name: agent[name] for name in ("capacity", "live_capacity", "skills")},
        **duty_of(agent, now),
        "kind": actor.kind.value,
        "team_ids": list(actor.team_ids),
        "scopes": None if actor.scopes is None else sorted(actor.scopes),
        "totp": agent["totp_confirmed_at"] is not None,
        "verified_until": None if actor.verified_at is None else actor.verified_at + RECENT,
    }


class TotpStart(Given):
    password: Known


class TotpStarted(Shown):
    secret: str = Field(description="For an authenticator that reads no QR code; shown this once")
    otpauth_uri: str = Field(description="What the QR code holds")


class TotpConfirm(Given):
    code: Code


class RecoveryCodesShown(Shown):
    recovery_codes: list[str] = Field(description="Each stands in for a code, once; shown this once")


class SessionShown(Shown):
    id: UUID
    method: Literal["password", "sso"]
    client: str = Field(description="Browser and system, as far as they say")
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    current: bool


class Sessions(Shown):
    items: list[SessionShown]
    next_cursor: None = Field(description="There are never more")


def sessions(rows: Sequence[RowMapping], actor: Actor) -> list[dict[str, Any]]:
    return [{**row, "current": row["id"] == actor.session_id} for row in rows]


class TokenCreate(Given):
    """Without `scopes` it has all that its maker has; what its agent may not do, it may not either."""

    name: Name
    agent_id: UUID | None = Field(None, description="Whose it is; only administrators make tokens for others")
    kind: Literal["agent", "bot"] = "agent"
    scopes: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=20)] = Field(default_factory=list)
    expires_at: When | None = None


class TokenShown(Shown):
    id: UUID
    agent_id: UUID
    name: str
    kind: Literal["agent", "bot"]
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


class TokenMade(TokenShown):
    token: str = Field(description="Shown this once")


def token(row: RowMapping) -> dict[str, Any]:
    names = ("id", "agent_id", "name", "kind", "scopes", "created_at", "last_used_at", "expires_at")
    return {name: row[name] for name in names}
