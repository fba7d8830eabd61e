"""Chat rooms that alerts are posted to. A room's address is its secret: whoever knows it can post there.

It is stored sealed and shown to nobody; what is shown is its host. It is changed as a whole, so that no stored token
ever goes to a host that was named later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain import chat_tools, retry_after
from helpdesk.domain.chat_answers import PERMANENT
from helpdesk.domain.chat_tools import Address, ChatTool
from helpdesk.domain.contents import Wrong
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, Invalid, NotFound
from helpdesk.models.agents import teams
from helpdesk.models.alerts import alert_routes
from helpdesk.net import HTTP_PORTS, SafeHttp, Unreachable, safe_http
from helpdesk.services import audit, versions
from helpdesk.services.house import Services

MOST_ROUTES: Final = 100
SECONDS: Final = 10.0
_ANSWER_BYTES: Final = 16_384
_TEST = {
    "en": "A test from the helpdesk: alerts will be posted here.",
    "zh": "来自客服系统的测试消息：告警将发送到这里。",
}


class PostFailed(Exception):
    """`kind` is a class of failure, never the tool's words. `permanent`: somebody has to look at the route."""

    def __init__(self, kind: str, *, permanent: bool, wait: timedelta = timedelta()) -> None:
        super().__init__(kind)
        self.kind, self.permanent, self.wait = kind, permanent, wait


@dataclass(frozen=True, slots=True)
class Opened:
    """A route with its address, for as long as it is posted to."""

    tool: ChatTool
    address: Address

    @property
    def host(self) -> str:
        return chat_tools.target(self.tool, self.address).host


async def list_routes(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """The oldest first."""
    query = select(alert_routes).order_by(alert_routes.c.id).limit(limit)
    if after is not None:
        query = query.where(alert_routes.c.id > after)
    return (await session.execute(query)).mappings().all()


async def get_route(session: AsyncSession, route_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(alert_routes).where(alert_routes.c.id == route_id)
    return await versions.get(session, query, missing="there is no such alert route", version=version)


async def create(
    services: Services,
    session: AsyncSession,
    *,
    name: str,
    kind: ChatTool,
    address: Mapping[str, Any],
    severity: str = "warning",
    team_id: UUID | None = None,
    locale: str = "en",
    enabled: bool = True,
    by: Actor,
    now: datetime,
) -> UUID:
    """`severity` is the least that is posted; with a team, only its alerts are.

    Raises `Invalid` naming the field, `Conflict` for a name that is taken, `NotFound` for a team that is not there.
    """
    if (await session.scalar(select(func.count()).select_from(alert_routes)) or 0) >= MOST_ROUTES:
        raise Conflict(f"there are {MOST_ROUTES} alert routes already", slug="too_many")
    opened = _judged(services, kind, address)
    await _check_team(session, team_id)
    route_id = new_id()
    row = {
        "id": route_id,
        "name": name,
        "kind": kind.value,
        "secret": _seal(services, route_id, opened),
        "severity": severity,
        "team_id": team_id,
        "locale": locale,
        "enabled": enabled,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    try:
        async with session.begin_nested():
            await insert_rows(session, alert_routes, [row])
    except IntegrityError:
        raise Conflict("there is an alert route of this name", slug="name_taken") from None
    await _audit(session, "alert_route.created", route_id, by, now, {"host": opened.host})
    return route_id


async def edit(
    services: Services,
    session: AsyncSession,
    route: RowMapping,
    *,
    changes: Mapping[str, Any],
    address: Mapping[str, Any] | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """`changes` may name `name severity team_id locale enabled`; `address` replaces all of it. Raises as `create`."""
    values, told = dict(changes), dict[str, Any]()
    if address is not None:
        opened = _judged(services, ChatTool(route["kind"]), address)
        values["secret"] = _seal(services, route["id"], opened)
        told = {"host_before": open_route(services, route).host, "host": opened.host}
    await _check_team(session, values.get("team_id"))
    try:
        async with session.begin_nested():
            await session.execute(
                update(alert_routes)
                .where(alert_routes.c.id == route["id"])
                .values(**values, version=route["version"] + 1, updated_at=now)
            )
    except IntegrityError:
        raise Conflict("there is an alert route of this name", slug="name_taken") from None
    fields = sorted([*changes, *(["address"] if address is not None else [])])
    await _audit(session, "alert_route.updated", route["id"], by, now, {"fields": fields, **told})


async def remove(session: AsyncSession, route: RowMapping, *, by: Actor, now: datetime) -> None:
    """What waits to be posted there goes as well."""
    await session.execute(delete(alert_routes).where(alert_routes.c.id == route["id"]))
    await _audit(session, "alert_route.removed", route["id"], by, now, {"name": route["name"]})


def open_route(services: Services, route: RowMapping) -> Opened:
    """Raises `CannotOpen` when the master key is not here."""
    plain = services.keyring.open(route["secret"], row=f"alert_route:{route['id']}:address")
    return Opened(ChatTool(route["kind"]), orjson.loads(plain))


async def post(http: SafeHttp, opened: Opened, text: str, *, now: datetime) -> None:
    """Post plain text, with no transaction open. Raises `PostFailed`."""
    url, body = chat_tools.request(opened.tool, opened.address, text, now=now)
    try:
        answer = await http.request("POST", url, json=body, max_bytes=_ANSWER_BYTES, cut=True)
    except Unreachable as error:
        raise PostFailed(str(error.kind), permanent=False) from None
    kind = chat_tools.refusal(opened.tool, answer.status, answer.body)
    if kind is not None:
        wait = retry_after.wait(answer.headers.get("retry-after"), now=now)
        raise PostFailed(kind, permanent=kind in PERMANENT, wait=wait)


async def try_out(services: Services, route: RowMapping, *, now: datetime) -> str:
    """Post a test at once, with no transaction open. Answers the class of failure, `""` where it was taken."""
    opened = open_route(services, route)
    text = _TEST["zh" if route["locale"].startswith("zh") else "en"]
    async with safe_http(services.guard(), timeout=SECONDS) as http:
        try:
            await post(http, opened, text, now=now)
        except PostFailed as error:
            return error.kind
    return ""


def _judged(services: Services, kind: ChatTool, address: Mapping[str, Any]) -> Opened:
    """As far as it can be judged without a resolver; each connection judges it again, whole."""
    try:
        opened = Opened(kind, chat_tools.check_address(kind, address))
    except Wrong as error:
        raise Invalid.field(error.field, error.reason) from None
    place = chat_tools.target(kind, opened.address)
    try:
        services.guard().consider(place.host, place.port, ports=HTTP_PORTS)
    except Unreachable:
        raise Invalid.field(
            "address.api_url", "connections may not go there; HELPDESK_ALLOW_HOSTS opens private addresses"
        ) from None
    return opened


def _seal(services: Services, route_id: UUID, opened: Opened) -> bytes:
    return services.keyring.seal(orjson.dumps(dict(opened.address)), row=f"alert_route:{route_id}:address")


async def _check_team(session: AsyncSession, team_id: UUID | None) -> None:
    if team_id is not None and await session.scalar(select(teams.c.id).where(teams.c.id == team_id)) is None:
        raise NotFound("there is no such team")


async def _audit(
    session: AsyncSession, action: str, route_id: UUID, by: Actor, now: datetime, data: dict[str, Any]
) -> None:
    await audit.record(session, action, subject="alert_route", subject_id=route_id, by=by, now=now, data=data)
