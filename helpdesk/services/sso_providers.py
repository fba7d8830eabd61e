"""OpenID providers whose word is taken for who somebody is: whoever changes one decides who gets in.

The client's secret is sealed and shown to nobody. It belongs to its issuer: where that changes, the secret has to be
given anew, so that none is ever sent to somebody that was named later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import RowMapping, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, Invalid
from helpdesk.models.agents import agents, sso_logins, sso_providers
from helpdesk.net import HTTP_PORTS, Unreachable, parse_url
from helpdesk.services import audit, sessions, versions
from helpdesk.services.house import Services

MOST_PROVIDERS: Final = 20
MOST_DOMAINS: Final = 100
_P: Final = sso_providers.c
_LABEL: Final = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})+")


async def list_providers(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """The oldest first."""
    query = select(sso_providers).order_by(_P.id).limit(limit)
    if after is not None:
        query = query.where(_P.id > after)
    return (await session.execute(query)).mappings().all()


async def list_choices(session: AsyncSession) -> Sequence[RowMapping]:
    """Those by which one may sign on, for everybody to see: id and name."""
    query = select(_P.id, _P.name).where(_P.enabled).order_by(_P.name).limit(MOST_PROVIDERS)
    return (await session.execute(query)).mappings().all()


async def get_provider(session: AsyncSession, provider_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(sso_providers).where(_P.id == provider_id)
    return await versions.get(session, query, missing="there is no such provider", version=version)


async def create(
    services: Services,
    session: AsyncSession,
    *,
    name: str,
    issuer: str,
    client_id: str,
    secret: str = "",
    domains: Sequence[str],
    enabled: bool = True,
    by: Actor,
    now: datetime,
) -> UUID:
    """`domains` are those of the addresses that it may speak for.

    Raises `Invalid` naming the field, `Conflict` for a name that is taken or one provider too many.
    """
    if (await session.scalar(select(func.count()).select_from(sso_providers)) or 0) >= MOST_PROVIDERS:
        raise Conflict(f"there are {MOST_PROVIDERS} providers already", slug="too_many")
    provider_id = new_id()
    row = {
        "id": provider_id,
        "name": name,
        "issuer": _issuer(services, issuer),
        "client_id": client_id,
        "secret": _seal(services, provider_id, secret),
        "domains": _domains(domains),
        "enabled": enabled,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    try:
        async with session.begin_nested():
            await insert_rows(session, sso_providers, [row])
    except IntegrityError:
        raise _name_taken() from None
    await _audit(session, "sso_provider.created", provider_id, by, now, {"issuer": row["issuer"]})
    return provider_id


async def edit(
    services: Services,
    session: AsyncSession,
    provider: RowMapping,
    changes: Mapping[str, Any],
    *,
    by: Actor,
    now: datetime,
) -> None:
    """`changes` may name `name issuer client_id secret domains enabled`; an empty secret takes it away.

    Raises as `create`, and `Invalid` for an issuer that is changed without its secret. Sign-ons that have begun end.
    """
    values, told = dict(changes), dict[str, Any]()
    if "issuer" in values:
        values["issuer"] = _issuer(services, values["issuer"])
        if values["issuer"] != provider["issuer"]:
            if provider["secret"] and "secret" not in values:
                raise Invalid.field("secret", "the stored secret belongs to the other issuer; give this one's")
            told = {"issuer_before": provider["issuer"], "issuer": values["issuer"]}
    if "domains" in values:
        values["domains"] = _domains(values["domains"])
    if "secret" in values:
        values["secret"] = _seal(services, provider["id"], values["secret"])
    try:
        async with session.begin_nested():
            await session.execute(
                update(sso_providers)
                .where(_P.id == provider["id"])
                .values(**values, version=provider["version"] + 1, updated_at=now)
            )
    except IntegrityError:
        raise _name_taken() from None
    await session.execute(delete(sso_logins).where(sso_logins.c.provider_id == provider["id"]))
    data = {"fields": sorted(changes), **told}
    await _audit(session, "sso_provider.updated", provider["id"], by, now, data)


async def remove(session: AsyncSession, provider: RowMapping, *, by: Actor, now: datetime) -> None:
    """Nobody signs on by it any more. Who was linked stays so, for the day when its issuer is added again."""
    await session.execute(delete(sso_providers).where(_P.id == provider["id"]))
    await _audit(session, "sso_provider.removed", provider["id"], by, now, {"issuer": provider["issuer"]})


async def unlink(session: AsyncSession, agent: RowMapping, *, by: Actor, now: datetime) -> None:
    """Let another account at a provider become this agent's, who is signed out. Raises `Conflict` where none is."""
    if agent["external_subject"] is None:
        raise Conflict("this agent is not linked", slug="not_linked")
    values = {"external_subject": None, "version": agent["version"] + 1, "updated_at": now}
    await session.execute(update(agents).where(agents.c.id == agent["id"]).values(values))
    await sessions.end_all(session, agent["id"])
    await audit.record(session, "agent.unlinked", subject="agent", subject_id=agent["id"], by=by, now=now)


def open_secret(services: Services, provider: RowMapping) -> str:
    """Empty where there is none. Raises `CannotOpen` when the master key is not here."""
    if not provider["secret"]:
        return ""
    return services.keyring.open(provider["secret"], row=f"sso_provider:{provider['id']}:secret").decode()


def _seal(services: Services, provider_id: UUID, secret: str) -> bytes:
    return services.keyring.seal(secret.encode(), row=f"sso_provider:{provider_id}:secret") if secret else b""


def _issuer(services: Services, issuer: str) -> str:
    """Compared letter by letter with what tokens say, so it is kept as it was given."""
    try:
        target, parts = parse_url(issuer), urlsplit(issuer)
        services.guard().consider(target.host, target.port, ports=HTTP_PORTS)
    except (Unreachable, ValueError):
        raise Invalid.field(
            "issuer", "connections may not go there; HELPDESK_ALLOW_HOSTS opens private addresses"
        ) from None
    if parts.query or parts.fragment or "|" in issuer or "?" in issuer:
        raise Invalid.field("issuer", "give the issuer's address as the provider names it, without ? or #")
    if parts.scheme != "https" and services.settings.env == "production":
        raise Invalid.field("issuer", "use https://")
    return issuer


def _domains(domains: Sequence[str]) -> list[str]:
    found = list(dict.fromkeys(domain.strip().lower() for domain in domains))
    if not 1 <= len(found) <= MOST_DOMAINS:
        raise Invalid.field("domains", f"give 1 to {MOST_DOMAINS} of these")
    for number, domain in enumerate(found):
        if not _DOMAIN.fullmatch(domain):
            raise Invalid.field(f"domains.{number}", "give the part of addresses after the @, such as example.com")
    return found


def _name_taken() -> Conflict:
    return Conflict("there is a provider of this name", slug="name_taken")


async def _audit(
    session: AsyncSession, action: str, provider_id: UUID, by: Actor, now: datetime, data: dict[str, Any]
) -> None:
    await audit.record(session, action, subject="sso_provider", subject_id=provider_id, by=by, now=now, data=data)
