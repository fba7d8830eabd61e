"""Chat rooms for alerts, as they are given and shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, SecretStr
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import Given, Line, Name, Shown
from helpdesk.services.alert_routes import Opened

ToolWord = Literal["slack", "feishu", "dingtalk", "wecom", "teams", "telegram", "discord"]
SeverityWord = Literal["info", "warning", "critical"]
Locale = Annotated[Line, Field(max_length=35)]
Part = Annotated[SecretStr, Field(max_length=2000)] | None


class AlertAddress(Given):
    """`url` for all but Telegram, which takes `bot_token` and `chat_id`. Nothing of it is shown again."""

    url: Part = Field(None, description="The webhook's address, as the tool shows it")
    signing_secret: Part = Field(None, description="Feishu and DingTalk, where the room asks for signatures")
    bot_token: Part = None
    chat_id: Part = None
    api_url: Part = Field(None, description="Another origin: a tool on one's own premises, or a proxy")

    def plain(self) -> dict[str, str]:
        return {name: value.get_secret_value() for name, value in self.given().items() if value is not None}


class AlertRouteShown(Shown):
    """`host` is where posts go, `address` names what is stored of it."""

    id: UUID
    name: str
    kind: ToolWord
    host: str
    address: list[str]
    severity: SeverityWord
    team_id: UUID | None
    locale: str
    enabled: bool
    version: int
    created_at: datetime
    updated_at: datetime


class AlertRouteCreate(Given):
    """`severity` is the least that is posted. With `team_id`, only alerts of that team are."""

    name: Name
    kind: ToolWord
    address: AlertAddress
    severity: SeverityWord = "warning"
    team_id: UUID | None = None
    locale: Locale = "en"
    enabled: bool = True


class AlertRoutePatch(Given):
    """`address` replaces all of it: no stored secret goes to a host that is named later."""

    name: Name | None = None
    address: AlertAddress | None = None
    severity: SeverityWord | None = None
    team_id: UUID | None = None
    locale: Locale | None = None
    enabled: bool | None = None

    def changes(self) -> dict[str, Any]:
        """Only a team can be taken away; null means no change for all others."""
        given = self.given()
        given.pop("address", None)
        return {name: value for name, value in given.items() if value is not None or name == "team_id"}


class AlertRouteTried(Shown):
    """`error` is a class: `refused` (look at the address), `rate_limited`, `unavailable`, `timeout`, `blocked`, …"""

    ok: bool
    error: str


def alert_route(row: RowMapping, opened: Opened) -> dict[str, Any]:
    own = {"host": opened.host, "address": sorted(opened.address)}
    return {name: own[name] if name in own else row[name] for name in AlertRouteShown.model_fields}
