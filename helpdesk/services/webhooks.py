"""Webhooks: addresses that are told what happens. What goes to them, and how far that got, is `webhook_deliveries`.

The signing secret is shown once, when it is made; it is stored sealed. A rotated one goes on to sign beside the new one
for a while, so that receivers can be changed over without losing a message.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id, ring
from helpdesk.domain import events, webhook_signing
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, Invalid
from helpdesk.models.webhooks import webhooks
from helpdesk.net import HTTP_PORTS, Target, Unreachable, parse_url
from helpdesk.services import audit, escalation_rules, versions
from helpdesk.services.house import Services

EVERYTHING: Final = "*"
MOST_WEBHOOKS: Final = 100
MOST_URL: Final = 2000
OVERLAP: Final = timedelta(hours=24)


async def list_webhooks(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """The oldest first."""
    query = select(webhooks).order_by(webhooks.c.id).limit(limit)
    if after is not None:
        query = query.where(webhooks.c.id > after)
    return (await session.execute(query)).mappings().all()


async def get_webhook(session: AsyncSession, webhook_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(webhooks).where(webhooks.c.id == webhook_id)
    return await versions.get(session, query, missing="there is no such webhook", version=version)


async def create(
    services: Services,
    session: AsyncSession,
    *,
    name: str,
    url: str,
    asks_for: Sequence[str],
    inbox_ids: Sequence[UUID] = (),
    secret: str | None = None,
    enabled: bool = True,
    by: Actor,
    now: datetime,
) -> tuple[UUID, str]:
    """The new webhook's id and its secret, which nobody is shown again; without `secret` one is made.

    `asks_for`: names of events, or `*`. `inbox_ids`: it hears of conversations there, and of nothing else; none is
    everything. Raises `Invalid` naming the field, `Conflict` where there are too many.
    """
    if (await session.scalar(select(func.count()).select_from(webhooks)) or 0) >= MOST_WEBHOOKS:
        raise Conflict(f"there are {MOST_WEBHOOKS} webhooks already", slug="too_many")
    webhook_id, target, shown = new_id(), _judged(services, url), _secret(secret)
    row = {
        "id": webhook_id,
        "name": name,
        "url": target.url,
        "secret": _seal(services, webhook_id, {"current": shown}),
        "events": asked(asks_for),
        "inbox_ids": await _places(session, inbox_ids),
        "enabled": enabled,
        "failing_since": None,
        "disabled_reason": "",
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    await insert_rows(session, webhooks, [row])
    await _audit(session, "webhook.created", webhook_id, by, now, {"host": target.host})
    return webhook_id, shown


async def edit(
    services: Services,
    session: AsyncSession,
    webhook: RowMapping,
    *,
    name: str | None = None,
    url: str | None = None,
    asks_for: Sequence[str] | None = None,
    inbox_ids: Sequence[UUID] | None = None,
    enabled: bool | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Change what is given; what waits to be sent goes to the new address. Raises as `create` does.

    Who moves a webhook is told everything from then on, so the hosts of before and after are kept in the audit.
    """
    values: dict[str, Any] = {}
    told: dict[str, Any] = {}
    if name is not None:
        values["name"] = name
    if url is not None:
        target = _judged(services, url)
        values |= {"url": target.url, "failing_since": None}
        told = {"host_before": parse_url(webhook["url"]).host, "host": target.host}
    if asks_for is not None:
        values["events"] = asked(asks_for)
    if inbox_ids is not None:
        values["inbox_ids"] = await _places(session, inbox_ids)
    if enabled is not None:
        values |= {"enabled": enabled, "disabled_reason": ""}
        if enabled:
            values["failing_since"] = None
    fields = sorted(values.keys() - {"failing_since", "disabled_reason"})
    await session.execute(
        update(webhooks)
        .where(webhooks.c.id == webhook["id"])
        .values(**values, version=webhook["version"] + 1, updated_at=now)
    )
    ring(session, "hooks")
    await _audit(session, "webhook.updated", webhook["id"], by, now, {"fields": fields, **told})


async def remove(session: AsyncSession, webhook: RowMapping, *, by: Actor, now: datetime) -> None:
    """What waits to be sent to it goes as well. Raises `Conflict` while an escalation rule names it."""
    versions.refuse_in_use("escalation rules", await escalation_rules.naming(session, webhook["id"]))
    await session.execute(delete(webhooks).where(webhooks.c.id == webhook["id"]))
    await _audit(session, "webhook.removed", webhook["id"], by, now, {"host": parse_url(webhook["url"]).host})


async def rotate(
    services: Services,
    session: AsyncSession,
    webhook: RowMapping,
    *,
    secret: str | None = None,
    overlap: timedelta = OVERLAP,
    by: Actor,
    now: datetime,
) -> str:
    """The new secret, shown this once. The one before it signs as well for `overlap`; zero ends it at once."""
    shown = _secret(secret)
    sealed = {"current": shown}
    if overlap > timedelta():
        sealed |= {"previous": _opened(services, webhook)["current"], "until": (now + overlap).isoformat()}
    await session.execute(
        update(webhooks)
        .where(webhooks.c.id == webhook["id"])
        .values(secret=_seal(services, webhook["id"], sealed), version=webhook["version"] + 1, updated_at=now)
    )
    hours = overlap.total_seconds() / 3600
    await _audit(session, "webhook.rotated", webhook["id"], by, now, {"overlap_hours": hours})
    return shown


def signing_secrets(services: Services, webhook: RowMapping, *, now: datetime) -> list[str]:
    """Those that sign at `now`, the newest first. Raises `CannotOpen` when the master key is not here."""
    sealed = _opened(services, webhook)
    both = "previous" in sealed and now < datetime.fromisoformat(sealed["until"])
    return [sealed["current"], *([sealed["previous"]] if both else [])]


def _seal(services: Services, webhook_id: UUID, secret: dict[str, str]) -> bytes:
    return services.keyring.seal(orjson.dumps(secret), row=f"webhook:{webhook_id}:secret")


def _opened(services: Services, webhook: RowMapping) -> dict[str, str]:
    found: dict[str, str] = orjson.loads(
        services.keyring.open(webhook["secret"], row=f"webhook:{webhook['id']}:secret")
    )
    return found


def _secret(given: str | None) -> str:
    if given is None:
        return webhook_signing.encode_secret(secrets.token_bytes(32))
    try:
        webhook_signing.decode_secret(given)
    except ValueError as error:
        raise Invalid.field("secret", str(error)) from None
    return given


def _judged(services: Services, url: str) -> Target:
    """The address as far as it can be judged without a resolver; each connection judges it again, whole."""
    try:
        target = parse_url(url if len(url) <= MOST_URL else "")
    except Unreachable:
        raise Invalid.field(
            "url", "use an http or https URL without a user name, such as https://example.com/hook"
        ) from None
    try:
        services.guard().consider(target.host, target.port, ports=HTTP_PORTS)
    except Unreachable:
        raise Invalid.field(
            "url", "connections may not go there; HELPDESK_ALLOW_HOSTS opens private addresses and other ports"
        ) from None
    return target


def asked(names: Sequence[str], *, place: str = "events") -> list[str]:
    """Names of events, in order, or `*` alone. Raises `Invalid` for others, and for none."""
    wanted = sorted(set(names))
    unknown = [name for name in wanted if name != EVERYTHING and name not in events.ALL]
    if unknown or not wanted:
        raise Invalid.field(place, f"use * or names of events: {', '.join(events.ALL)}")
    return [EVERYTHING] if EVERYTHING in wanted else wanted


async def _places(session: AsyncSession, inbox_ids: Sequence[UUID]) -> list[str] | None:
    """None for all of them. Raises `Invalid` for an inbox that is not there."""
    await versions.check_mentions(session, [(f"inbox_ids.{n}", "inbox", one) for n, one in enumerate(inbox_ids)])
    return sorted({str(one) for one in inbox_ids}) or None


async def _audit(
    session: AsyncSession, action: str, webhook_id: UUID, by: Actor, now: datetime, data: dict[str, Any]
) -> None:
    await audit.record(session, action, subject="webhook", subject_id=webhook_id, by=by, now=now, data=data)
