"""Single sign-on: a browser is sent to a provider, and comes back with a code that says who is there.

What comes back counts once, within ten minutes, and only in the browser that was sent: its cookie is a keyed digest of
the `state`. The first time, an agent is found by his verified address; from then on by the provider's own name for him
alone, so that an address which is given to somebody else opens nothing.

What speaks to providers is imported by whoever signs on first: it takes longer than all else that an API imports.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.errors import NotFound, Unauthenticated
from helpdesk.models.agents import agents, sso_logins
from helpdesk.net import safe_http
from helpdesk.services import attempts, audit, sessions
from helpdesk.services import sso_providers as providers
from helpdesk.services.digests import digest_of
from helpdesk.services.house import Services

if TYPE_CHECKING:
    from helpdesk.domain.openid import Person

log = structlog.get_logger()

LIFE: Final = timedelta(minutes=10)
STARTS_PER_ADDRESS: Final = 100
"""In `attempts.WINDOW`: a whole office may come from one."""
_MOST_LENGTH: Final = 4096
_L: Final = sso_logins.c


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser goes, and the cookie that it keeps until it comes back."""

    url: str
    binding: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the browser brought back. `issuer` is RFC 9207's; `failed` says that the provider told of an error."""

    state: str
    code: str = ""
    issuer: str | None = None
    failed: bool = False


async def begin(services: Services, provider_id: UUID, *, redirect_uri: str, address: str, now: datetime) -> Begun:
    """Raises `NotFound` for a provider that is off, `TooMany`, and `Unavailable` while the provider is."""
    from helpdesk.domain.openid import authorization_url
    from helpdesk.services.openid import PROVIDERS, SECONDS

    async with services.database.transaction() as session:
        await attempts.count(session, attempts.of_address(services, address, "sso"), STARTS_PER_ADDRESS, now=now)
    async with services.database.reading() as session:
        provider = await _enabled(session, provider_id)
    async with safe_http(services.guard(), timeout=SECONDS) as http:
        metadata = await PROVIDERS.metadata(http, provider["issuer"], now=now)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    await _remember(services, provider, state, nonce=nonce, verifier=verifier, now=now)
    asked = {"client_id": provider["client_id"], "redirect_uri": redirect_uri, "state": state, "nonce": nonce}
    return Begun(authorization_url(metadata, **asked, verifier=verifier), _binding(services, state))


async def finish(
    services: Services, answer: Answer, *, binding: str, redirect_uri: str, client: str, now: datetime
) -> str:
    """The cookie of a new session. `client` names the browser for its owner.

    Raises `Unauthenticated`: of the type `sso_expired` for whatever was not begun in this browser, is over or was used,
    and `sso_refused` where the provider, or what it says, does not let anybody in. The log has the reason. Raises
    `Unavailable` while the provider does not answer.
    """
    from helpdesk.domain.openid import Refused

    login, provider = await _taken(services, answer.state, binding, now=now)
    try:
        person = await _person(services, login, provider, answer, redirect_uri=redirect_uri, now=now)
        async with services.database.transaction() as session:
            await _enabled(session, provider["id"])
            agent_id = await _agent_of(session, person, provider, now=now)
            return await sessions.begin_session(session, agent_id, method="sso", client=client, now=now)
    except Refused as refused:
        log.warning("sso.refused", provider_id=str(provider["id"]), reason=refused.reason)
        raise Unauthenticated(
            "the provider did not vouch for an address of yours that belongs to an agent here", slug="sso_refused"
        ) from None


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    """Sign-ons that nobody finished."""
    await session.execute(delete(sso_logins).where(_L.expires_at <= now))


async def _enabled(session: AsyncSession, provider_id: UUID) -> RowMapping:
    provider = await providers.get_provider(session, provider_id)
    if not provider["enabled"]:
        raise NotFound("there is no such provider")
    return provider


async def _remember(
    services: Services, provider: RowMapping, state: str, *, nonce: str, verifier: str, now: datetime
) -> None:
    login_id = new_id()
    row = {
        "id": login_id,
        "digest": digest_of(state),
        "provider_id": provider["id"],
        "nonce": nonce,
        "verifier": services.keyring.seal(verifier.encode(), row=f"sso_login:{login_id}:verifier"),
        "created_at": now,
        "expires_at": now + LIFE,
    }
    async with services.database.transaction() as session:
        # As it was: a provider that was changed or removed meanwhile is not the one that was asked.
        if (await providers.get_provider(session, provider["id"]))["version"] != provider["version"]:
            raise NotFound("there is no such provider")
        await insert_rows(session, sso_logins, [row])


async def _taken(services: Services, state: str, binding: str, *, now: datetime) -> tuple[RowMapping, RowMapping]:
    """The sign-on that `state` belongs to, and its provider; it is used up, whatever comes of it.

    A state that comes with another browser's cookie was lured or stolen out of its own, and is used up as well.
    """
    found = provider = None
    if 0 < len(state) <= _MOST_LENGTH:
        async with services.database.transaction() as session:
            gone = delete(sso_logins).where(_L.digest == digest_of(state)).returning(*_L)
            found = (await session.execute(gone)).mappings().one_or_none()
            if found is not None:
                provider = await providers.get_provider(session, found["provider_id"])
    bound = hmac.compare_digest(binding.encode(), _binding(services, state).encode())
    if found is None or provider is None or not bound or found["expires_at"] <= now or not provider["enabled"]:
        raise Unauthenticated("this sign-on has ended, or was begun in another browser; begin anew", slug="sso_expired")
    return found, provider


def _binding(services: Services, state: str) -> str:
    return services.keyring.digest("sso", state)


async def _person(
    services: Services, login: RowMapping, provider: RowMapping, answer: Answer, *, redirect_uri: str, now: datetime
) -> Person:
    """Raises `Refused`. An answer of another issuer (RFC 9207) never sees its code handed to this one."""
    from helpdesk.domain.openid import Refused
    from helpdesk.services.openid import PROVIDERS, SECONDS, Client

    if answer.failed or not 0 < len(answer.code) <= _MOST_LENGTH:
        raise Refused("provider")
    client = Client(provider["issuer"], provider["client_id"], providers.open_secret(services, provider), redirect_uri)
    verifier = services.keyring.open(login["verifier"], row=f"sso_login:{login['id']}:verifier").decode()
    proof = {"code": answer.code, "verifier": verifier, "nonce": login["nonce"]}
    async with safe_http(services.guard(), timeout=SECONDS) as http:
        metadata = await PROVIDERS.metadata(http, provider["issuer"], now=now)
        if answer.issuer != provider["issuer"] and (answer.issuer is not None or metadata.names_issuer):
            raise Refused("iss")
        return await PROVIDERS.person(http, client, **proof, domains=provider["domains"], now=now)


async def _agent_of(session: AsyncSession, person: Person, provider: RowMapping, *, now: datetime) -> UUID:
    """Who that is here; linked now, if this is the first time. Raises `Refused`."""
    from helpdesk.domain.openid import Refused

    a = agents.c
    query = select(agents).where(or_(a.external_subject == person.external_subject, a.email == person.email))
    found = (await session.execute(query.order_by(a.id).with_for_update(key_share=True))).mappings().all()
    linked = next((one for one in found if one["external_subject"] == person.external_subject), None)
    agent = linked or next(iter(found), None)
    if agent is None:
        raise Refused("unknown")
    if not agent["active"]:
        raise Refused("inactive")
    if linked is None:
        if agent["external_subject"] is not None:
            raise Refused("linked_elsewhere")
        values = {"external_subject": person.external_subject, "version": agent["version"] + 1, "updated_at": now}
        await session.execute(update(agents).where(a.id == agent["id"]).values(values))
        by = Actor(AuthorKind.AGENT, agent["id"], agent["name"], Role(agent["role"]), (), ())
        data = {"provider_id": str(provider["id"])}
        await audit.record(session, "agent.linked", subject="agent", subject_id=agent["id"], by=by, now=now, data=data)
    return UUID(str(agent["id"]))
