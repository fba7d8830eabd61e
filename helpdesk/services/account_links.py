"""Links by which somebody comes to a password: invitations, resets and the first, good once and not for long.

Only a digest is kept. A link that goes by letter is made by the worker that sends it, at that moment, so it is never
stored at all; tried again, it is made anew, and the one before is worth nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, Select, bindparam, delete, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import claimable, insert_rows, new_id, ring
from helpdesk.domain.account_texts import Purpose
from helpdesk.domain.values import Actor
from helpdesk.errors import NotFound
from helpdesk.models.agents import account_links, agents
from helpdesk.services.digests import digest_of

LIFE: Final[Mapping[Purpose, timedelta]] = {
    Purpose.FIRST_RUN: timedelta(hours=24),
    Purpose.INVITATION: timedelta(hours=72),
    Purpose.PASSWORD_RESET: timedelta(hours=1),
}
QUEUED, SENT, FAILED = "queued", "sent", "failed"
_IN_HAND: Final = timedelta(minutes=5)
"""After so long, a worker that took a letter and said no more about it is taken for dead."""
_KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Letter:
    """What somebody is to be sent, with the link in plain: held by the sender alone."""

    id: UUID
    agent: RowMapping
    purpose: Purpose
    plain: str
    attempts: int
    created_at: datetime


async def issue(
    session: AsyncSession, agent_id: UUID | None, purpose: Purpose, *, by: Actor, letter: bool, now: datetime
) -> tuple[UUID, str]:
    """A new link and its only sight in plain, worth nothing where a letter is queued: that has a link of its own.

    A new invitation takes the place of the last. Resets do not: whoever asks for many would undo those of others.
    """
    if purpose is Purpose.INVITATION and agent_id is not None:
        await void(session, agent_id)
    link_id, plain = new_id(), secrets.token_urlsafe(32)
    row = {
        "id": link_id,
        "agent_id": agent_id,
        "purpose": purpose.value,
        "digest": digest_of(secrets.token_urlsafe(32) if letter else plain),
        "created_by": by.id,
        "created_at": now,
        "expires_at": now + LIFE[purpose],
        "used_at": None,
        "status": QUEUED if letter else "",
        "attempts": 0,
        "error": "",
        "next_attempt_at": now if letter else None,
    }
    await insert_rows(session, account_links, [row])
    if letter:
        ring(session, "letters")
    return link_id, plain


def address_of(base_url: str, purpose: Purpose, plain: str) -> str:
    """Where the link leads. It stands behind the `#`, which browsers keep to themselves: no log ever has it."""
    return f"{base_url}/#{purpose.value.replace('_', '-')}={plain}"


async def find(session: AsyncSession, plain: str, purpose: Purpose, *, now: datetime) -> RowMapping:
    """The agent that a link is for. Raises `NotFound`, whatever is wrong with it."""
    query = select(agents).join(account_links, account_links.c.agent_id == agents.c.id)
    found = (await session.execute(query.where(*_good(plain, purpose, now), agents.c.active))).mappings().one_or_none()
    if found is None:
        raise _gone()
    return found


async def use(session: AsyncSession, plain: str, purpose: Purpose, *, now: datetime) -> None:
    """Of two who use it at once, one does. Raises `NotFound`."""
    mine = update(account_links).where(*_good(plain, purpose, now)).values(used_at=now)
    if (await session.execute(mine.returning(account_links.c.id))).first() is None:
        raise _gone()


def _good(plain: str, purpose: Purpose, now: datetime) -> tuple[Any, ...]:
    link = account_links.c
    return (
        link.digest == digest_of(plain),
        link.purpose == purpose.value,
        link.used_at.is_(None),
        link.expires_at > now,
    )


def _gone() -> NotFound:
    return NotFound("this link is not valid, or not any more; ask for another", slug="link_invalid")


async def void(session: AsyncSession, agent_id: UUID) -> None:
    """What is still open for an agent is so no more."""
    link = account_links.c
    await session.execute(delete(account_links).where(link.agent_id == agent_id, link.used_at.is_(None)))


async def void_first(session: AsyncSession) -> None:
    """Somebody is in: the link that the first start printed, and that may still stand in a terminal, lets nobody in."""
    link = account_links.c
    await session.execute(delete(account_links).where(link.purpose == Purpose.FIRST_RUN.value, link.used_at.is_(None)))


async def latest(session: AsyncSession, agent_id: UUID, purpose: Purpose) -> RowMapping:
    """Raises `NotFound`."""
    link = account_links.c
    query = select(account_links).where(link.agent_id == agent_id, link.purpose == purpose.value)
    found = (await session.execute(query.order_by(link.id.desc()).limit(1))).mappings().one_or_none()
    if found is None:
        raise NotFound("nothing of this kind was ever sent")
    return found


# -- their letters ----------------------------------------------------------------------------------------------------


def due() -> Select[Any]:
    """Letters that `claim` would take at `:now`."""
    link = account_links.c
    waiting = link.status == literal_column(f"'{QUEUED}'")
    return select(link.id).where(waiting, link.next_attempt_at <= bindparam("now", type_=link.next_attempt_at.type))


async def claim(session: AsyncSession, *, now: datetime) -> Letter | None:
    """The letter that has waited longest, with a link made for it. None is left for whom there is no agent."""
    link = account_links.c
    query = select(account_links).where(link.status == literal_column(f"'{QUEUED}'"), link.next_attempt_at <= now)
    while True:
        chosen = claimable(query.order_by(link.next_attempt_at, link.id).limit(1))
        row = (await session.execute(chosen)).mappings().one_or_none()
        if row is None:
            return None
        him = select(agents).where(agents.c.id == row["agent_id"], agents.c.active)
        agent = (await session.execute(him)).mappings().one_or_none()
        if agent is not None and row["used_at"] is None:
            break
        await session.execute(delete(account_links).where(link.id == row["id"]))
    purpose, plain = Purpose(row["purpose"]), secrets.token_urlsafe(32)
    values = {"digest": digest_of(plain), "expires_at": now + LIFE[purpose], "attempts": row["attempts"] + 1}
    await session.execute(
        update(account_links).where(link.id == row["id"]).values(**values, next_attempt_at=now + _IN_HAND)
    )
    return Letter(row["id"], agent, purpose, plain, row["attempts"] + 1, row["created_at"])


async def sent(session: AsyncSession, letter: Letter) -> None:
    await session.execute(_mine(letter).values(status=SENT, error=""))


async def failed(session: AsyncSession, letter: Letter, *, error: str, permanent: bool, now: datetime) -> None:
    """Try again later, with growing pauses; a letter that is as old as its link would be is given up."""
    if permanent or now - letter.created_at > LIFE[letter.purpose]:
        await session.execute(_mine(letter).values(status=FAILED, error=error))
        return
    pause = timedelta(seconds=min(30 * 2 ** (letter.attempts - 1), 1800))
    await session.execute(_mine(letter).values(error=error, next_attempt_at=now + pause))


def _mine(letter: Letter) -> Any:
    """The link is the fence: whoever has made another since has taken the letter over."""
    link = account_links.c
    return update(account_links).where(link.id == letter.id, link.digest == digest_of(letter.plain))


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    await session.execute(delete(account_links).where(account_links.c.expires_at <= now - _KEPT))
