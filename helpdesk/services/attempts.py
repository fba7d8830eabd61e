"""How often somebody may try: counted before it is looked at what he tried, so that many tries at once count too."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, lock_name, new_id
from helpdesk.errors import TooMany
from helpdesk.models.agents import login_attempts
from helpdesk.services.house import Services

WINDOW: Final = timedelta(minutes=15)
PER_ACCOUNT: Final = 10
PER_ADDRESS: Final = 50
LETTERS_PER_ACCOUNT: Final = 3
LINKS_PER_ADDRESS: Final = 20


def of_account(services: Services, email: str) -> str:
    """The subject that logins of an account are counted by, whether there is such an account or not."""
    return _subject(services, f"account:{email.strip().lower()}")


def of_address(services: Services, address: str, what: str = "address") -> str:
    """Of whoever asks from there: one customer of a provider has a whole IPv6 /64."""
    return _subject(services, f"{what}:{_network(address)}")


def of_agent(services: Services, agent_id: object, what: str) -> str:
    """Of somebody who is signed in: his tries do not lock his account for others, nor theirs him."""
    return _subject(services, f"{what}:{agent_id}")


def of_inbox(services: Services, inbox_id: object, what: str) -> str:
    """Of all who come by an inbox together."""
    return _subject(services, f"{what}:{inbox_id}")


def of_letters(services: Services, email: str) -> str:
    """The letters that are asked for with an address."""
    return _subject(services, f"letters:{email.strip().lower()}")


def of_link(services: Services, secret: str) -> str:
    """Of whoever has the secret of a link, whether there is such a link or not."""
    return _subject(services, f"link:{secret}")


def _subject(services: Services, text: str) -> str:
    return services.keyring.digest("login", text)


async def count(session: AsyncSession, subject: str, limit: int, *, now: datetime) -> None:
    """One more. Raises `TooMany` with `retry_after` seconds when there were `limit` within the window already."""
    await lock_name(session, f"login:{subject}")
    a = login_attempts.c
    recent = a.subject == subject, a.created_at > now - WINDOW
    found, oldest = (await session.execute(select(func.count(), func.min(a.created_at)).where(*recent))).one()
    if found >= limit:
        wait = (oldest + WINDOW - now).total_seconds()
        raise TooMany("too many attempts", extra={"retry_after": max(1, int(wait) + 1)})
    await session.execute(delete(login_attempts).where(a.subject == subject, a.created_at <= now - WINDOW))
    await insert_rows(session, login_attempts, [{"id": new_id(), "subject": subject, "created_at": now}])


async def forgive(session: AsyncSession, subject: str) -> None:
    """Whoever has proved who he is begins anew."""
    await session.execute(delete(login_attempts).where(login_attempts.c.subject == subject))


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    await session.execute(delete(login_attempts).where(login_attempts.c.created_at <= now - WINDOW))


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)
