"""The consent of an account's owner, asked for in an administrator's browser: away to the provider, back with a code.

What the way back must fit is sealed into a cookie of that browser and kept nowhere else. It is good for ten minutes, in
the session that began, and for the inbox as it was then. A code is the provider's to let count once, and without the
verifier in the cookie it is worth nothing.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import (
    AuthorizesInBrowser,
    ChannelError,
    Closes,
    Consent,
    Misconfigured,
    TemporaryFailure,
)
from helpdesk.crypto import CannotOpen
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, NotFound, Stale, Unavailable
from helpdesk.services import audit, inbox_connecting, inbox_settings, inboxes, security_alerts
from helpdesk.services.house import Services
from helpdesk.services.security_alerts import Change

LIFE: Final = timedelta(minutes=10)
_ROW: Final = "inbox_consent"
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser goes, and the cookie that it keeps until it comes back."""

    url: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, out of the cookie."""

    inbox_id: UUID
    version: int
    session: str
    until: float
    consent: Consent


async def begin(services: Services, row: RowMapping, *, redirect_uri: str, by: Actor, now: datetime) -> Begun:
    """Raises `Conflict` (`cannot_authorize`) for an inbox whose settings have nothing to ask for."""
    asked = Consent(redirect_uri, secrets.token_urlsafe(32), secrets.token_urlsafe(64))
    async with _connected(services, row) as connector:
        try:
            url = connector.consent_url(asked)
        except Misconfigured as error:
            raise _cannot(str(error)) from None
    kept = {
        "inbox_id": str(row["id"]),
        "version": row["version"],
        "session": str(by.session_id),
        "until": (now + LIFE).timestamp(),
        "redirect_uri": redirect_uri,
        "state": asked.state,
        "verifier": asked.verifier,
    }
    sealed = services.keyring.seal(orjson.dumps(kept), row=_ROW)
    return Begun(url, base64.urlsafe_b64encode(sealed).decode("ascii"))


def read(services: Services, cookie: str) -> Asked | None:
    """What this browser was sent away with; None where it was not, or the cookie is not ours."""
    try:
        kept = orjson.loads(services.keyring.open(base64.urlsafe_b64decode(cookie[:_LONGEST]), row=_ROW))
    except (CannotOpen, ValueError, IndexError):
        return None
    consent = Consent(kept["redirect_uri"], kept["state"], kept["verifier"])
    return Asked(UUID(kept["inbox_id"]), kept["version"], kept["session"], kept["until"], consent)


async def finish(services: Services, asked: Asked | None, *, state: str, code: str, by: Actor, now: datetime) -> None:
    """Store the grant, and tell every administrator.

    Raises `Conflict`: `consent_expired` for what was not begun in this session, is over, or is of an inbox that was
    changed since; `consent_refused` where the provider granted nothing. Raises `Unavailable` while it does not answer.
    """
    if asked is None or not _fits(asked, state, by=by, now=now):
        raise _expired()
    if not code:
        raise Conflict("the provider granted nothing", slug="consent_refused")
    async with services.database.reading() as session:
        row = await _unchanged(session, asked, by=by)
    async with _connected(services, row) as connector:
        granted = await _redeemed(connector, code, asked.consent)
    async with services.database.transaction() as session:
        # The provider took its time. A grant is for where it was asked for, as a saved secret is.
        await _unchanged(session, asked, by=by)
        await inbox_settings.save_secrets(services, session, asked.inbox_id, granted)
        data, inbox_id = {"fields": sorted(granted)}, asked.inbox_id
        await audit.record(session, "inbox.authorized", subject="inbox", subject_id=inbox_id, by=by, now=now, data=data)
        await security_alerts.tell(services, session, Change.INBOX, subject_id=asked.inbox_id, by=by, now=now)


def _fits(asked: Asked, state: str, *, by: Actor, now: datetime) -> bool:
    known = hmac.compare_digest(state.encode(), asked.consent.state.encode())
    return known and by.session_id is not None and str(by.session_id) == asked.session and now.timestamp() < asked.until


async def _unchanged(session: AsyncSession, asked: Asked, *, by: Actor) -> RowMapping:
    """The inbox as it was: with other settings, the code would go elsewhere than the browser went."""
    try:
        return await inboxes.get_inbox(session, by, asked.inbox_id, version=asked.version)
    except (NotFound, Stale):
        raise _expired() from None


async def _redeemed(connector: AuthorizesInBrowser, code: str, consent: Consent) -> Mapping[str, str]:
    try:
        return await connector.redeem(code, consent)
    except TemporaryFailure:
        raise Unavailable("the provider does not answer at the moment; try again") from None
    except ChannelError as error:
        raise Conflict(str(error), slug="consent_refused") from None


@asynccontextmanager
async def _connected(services: Services, row: RowMapping) -> AsyncIterator[Any]:
    connector = inbox_connecting.connect(services, services.guard(), row)
    try:
        if not isinstance(connector, AuthorizesInBrowser):
            raise _cannot("this channel needs no consent")
        yield connector
    finally:
        if isinstance(connector, Closes):
            await connector.close()


def _cannot(why: str) -> Conflict:
    return Conflict(why, slug="cannot_authorize")


def _expired() -> Conflict:
    return Conflict("this was not begun in this session, or it is over: begin anew", slug="consent_expired")
