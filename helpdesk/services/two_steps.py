"""The second step of a login: a code that changes every half minute (RFC 6238), or one of ten that were noted down."""

from __future__ import annotations

import secrets
import unicodedata
from base64 import b32encode
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import pyotp
from sqlalchemy import RowMapping, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.errors import Conflict, Invalid, Unauthenticated
from helpdesk.models.agents import agents, recovery_codes
from helpdesk.services import audit
from helpdesk.services.digests import digest_of
from helpdesk.services.house import Services

ISSUER: Final = "Helpdesk"
CODES: Final = 10
_SECONDS: Final = 30
_DIGITS: Final = 6
_DRIFT: Final = (0, -1, 1)
"""In steps: clocks of telephones are off by some seconds, and people type slowly."""
_CODE_BYTES: Final = 10


async def start(services: Services, session: AsyncSession, agent: RowMapping, *, now: datetime) -> tuple[str, str]:
    """A new secret, and the URI that an authenticator reads from a QR code. It counts once it is confirmed.

    Raises `Conflict` where there is a second step already: that one has to be taken away first.
    """
    if agent["totp_confirmed_at"] is not None:
        raise Conflict("there is a second step already", slug="totp_on")
    secret = pyotp.random_base32()
    sealed = services.keyring.seal(secret.encode(), row=_bound(agent["id"]))
    await _set(session, agent["id"], totp_secret=sealed, totp_step=0, updated_at=now)
    return secret, pyotp.TOTP(secret).provisioning_uri(name=agent["email"], issuer_name=ISSUER)


async def confirm(
    services: Services, session: AsyncSession, agent: RowMapping, code: str, *, by: Actor, now: datetime
) -> list[str]:
    """From now on a login needs a code. Answers the recovery codes, which nobody is shown again.

    The agent is locked. Raises `Invalid` for a wrong code, `Conflict` where nothing was started.
    """
    if agent["totp_secret"] is None or agent["totp_confirmed_at"] is not None:
        raise Conflict("start with POST /me/totp", slug="totp_not_started")
    step = _matching(_opened(services, agent), _as_typed(code), after=agent["totp_step"], now=now)
    if step is None:
        raise Invalid.field("code", "this is not the code of now; check the clock of the device")
    await _set(session, agent["id"], totp_confirmed_at=now, totp_step=step, version=agent["version"] + 1)
    await audit.record(session, "agent.totp_on", subject="agent", subject_id=agent["id"], by=by, now=now)
    return await _renew_codes(session, agent["id"], now=now)


async def new_codes(session: AsyncSession, agent: RowMapping, *, by: Actor, now: datetime) -> list[str]:
    """Ten others; the old ones are good no more. Raises `Conflict` without a second step."""
    if agent["totp_confirmed_at"] is None:
        raise Conflict("there is no second step", slug="totp_off")
    await audit.record(session, "agent.recovery_codes_renewed", subject="agent", subject_id=agent["id"], by=by, now=now)
    return await _renew_codes(session, agent["id"], now=now)


async def codes_left(session: AsyncSession, agent_id: UUID) -> int:
    r = recovery_codes.c
    return await session.scalar(select(func.count()).where(r.agent_id == agent_id, r.used_at.is_(None))) or 0


async def take_away(session: AsyncSession, agent: RowMapping, *, by: Actor, now: datetime) -> None:
    """A login needs the password alone again. Raises `Conflict` where it did so anyway."""
    if agent["totp_confirmed_at"] is None:
        raise Conflict("there is no second step", slug="totp_off")
    gone = {"totp_secret": None, "totp_confirmed_at": None, "version": agent["version"] + 1, "updated_at": now}
    await _set(session, agent["id"], **gone)
    await session.execute(delete(recovery_codes).where(recovery_codes.c.agent_id == agent["id"]))
    await audit.record(session, "agent.totp_off", subject="agent", subject_id=agent["id"], by=by, now=now)


async def require_code(
    services: Services, session: AsyncSession, agent: RowMapping, code: str | None, *, now: datetime
) -> None:
    """Take the code, once and for all: each is good for one time. Nothing where there is no second step.

    The agent is locked. Raises `Unauthenticated`, of a type of its own where a code is missing.
    """
    if agent["totp_confirmed_at"] is None:
        return
    if not code or not code.strip():
        raise Unauthenticated("give a code of the authenticator or a recovery code", slug="totp_required")
    plain = _as_typed(code)
    if len(plain) == _DIGITS:
        step = _matching(_opened(services, agent), plain, after=agent["totp_step"], now=now)
        if step is not None:
            await _set(session, agent["id"], totp_step=step)
            return
    elif await _use_recovery_code(session, agent, plain, now=now):
        return
    raise Unauthenticated("the code is wrong, or was used before", slug="totp_wrong")


def _as_typed(code: str) -> str:
    """Without what people put between; an input method may have given the digits the width of Chinese letters."""
    return unicodedata.normalize("NFKC", code).strip().replace(" ", "").replace("-", "").lower()


def _matching(secret: str, code: str, *, after: int, now: datetime) -> int | None:
    """The time step whose code this is; those up to `after` are used up."""
    given = code.encode()
    totp, current = pyotp.TOTP(secret, digits=_DIGITS, interval=_SECONDS), int(now.timestamp()) // _SECONDS
    steps = [current + drift for drift in _DRIFT if current + drift > after]
    return next((step for step in steps if secrets.compare_digest(totp.generate_otp(step).encode(), given)), None)


async def _use_recovery_code(session: AsyncSession, agent: RowMapping, plain: str, *, now: datetime) -> bool:
    r = recovery_codes.c
    mine = r.agent_id == agent["id"], r.digest == digest_of(plain), r.used_at.is_(None)
    used = await session.execute(update(recovery_codes).where(*mine).values(used_at=now).returning(r.agent_id))
    if used.first() is None:
        return False
    him = Actor(AuthorKind.AGENT, agent["id"], agent["name"], Role(agent["role"]))
    left = {"left": await codes_left(session, agent["id"])}
    await audit.record(
        session, "agent.recovery_code_used", subject="agent", subject_id=agent["id"], by=him, now=now, data=left
    )
    return True


async def _renew_codes(session: AsyncSession, agent_id: UUID, *, now: datetime) -> list[str]:
    """80 random bits each, in the letters of base32."""
    plain = [b32encode(secrets.token_bytes(_CODE_BYTES)).decode().lower() for _ in range(CODES)]
    await session.execute(delete(recovery_codes).where(recovery_codes.c.agent_id == agent_id))
    made = {"agent_id": agent_id, "created_at": now, "used_at": None}
    await insert_rows(session, recovery_codes, [{**made, "digest": digest_of(code)} for code in plain])
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in plain]


def _opened(services: Services, agent: RowMapping) -> str:
    return services.keyring.open(agent["totp_secret"], row=_bound(agent["id"])).decode()


def _bound(agent_id: UUID) -> str:
    return f"agent:{agent_id}:totp"


async def _set(session: AsyncSession, agent_id: UUID, **values: Any) -> None:
    await session.execute(update(agents).where(agents.c.id == agent_id).values(**values))
