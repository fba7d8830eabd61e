"""Single sign-on: what everybody is shown of providers, and what administrators set."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, SecretStr
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import Given, Line, Name, Shown

_Issuer = Annotated[Line, Field(min_length=1, max_length=500)]
_Domains = Annotated[list[Annotated[Line, Field(max_length=253)]], Field(min_length=1, max_length=100)]
_Secret = Annotated[SecretStr, Field(max_length=1000)]


class SsoChoice(Shown):
    id: UUID
    name: str


class SsoStarted(Shown):
    url: str = Field(description="Where the browser goes, within ten minutes")


class SsoProviderShown(Shown):
    """Of the secret only whether there is one."""

    id: UUID
    name: str
    issuer: str
    client_id: str
    has_secret: bool
    domains: list[str]
    enabled: bool
    version: int
    created_at: datetime
    updated_at: datetime


class SsoProviderCreate(Given):
    name: Name
    issuer: _Issuer = Field(description="As its discovery document and its tokens name it, letter by letter")
    client_id: Annotated[Line, Field(min_length=1, max_length=500)]
    secret: _Secret | None = Field(None, description="Null for a client that has none: PKCE is used in any case")
    domains: _Domains = Field(description="Whose addresses it may speak for; subdomains are domains of their own")
    enabled: bool = True


class SsoProviderPatch(Given):
    """A changed issuer needs its secret. Null takes the secret away."""

    name: Name | None = None
    issuer: _Issuer | None = None
    client_id: Annotated[Line, Field(min_length=1, max_length=500)] | None = None
    secret: _Secret | None = None
    domains: _Domains | None = None
    enabled: bool | None = None

    def changes(self) -> dict[str, Any]:
        """What was sent; null means nothing but for the secret."""
        found = {name: value for name, value in self.given().items() if value is not None}
        return found | ({"secret": plain(self.secret)} if "secret" in self.model_fields_set else {})


def plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""


def choice(row: RowMapping) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"]}


def provider(row: RowMapping) -> dict[str, Any]:
    names = ("id", "name", "issuer", "client_id", "domains", "enabled", "version", "created_at", "updated_at")
    return {**{name: row[name] for name in names}, "has_secret": bool(row["secret"])}
