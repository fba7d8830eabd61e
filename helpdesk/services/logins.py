"""Signing in, proving once more who one is, and coming to a password.

A password is verified with no transaction open: nothing is locked while argon2 works. Attempts are counted before, in a
transaction of their own, so that what is refused stays counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.account_texts import Purpose
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, Role
from helpdesk.errors import Conflict, Forbidden, Unauthenticated
from helpdesk.models.agents import agents
from helpdesk.services import account_links, attempts, audit, first_names, passwords, sessions, two_steps
from helpdesk.services import agents as people
from helpdesk.services.house import Services


async def login(
    services: Services,
    *,
    email: str,
    password: str,
    code: str | None = None,
    address: str,
    client: str = "",
    now: datetime,
) -> tuple[str, UUID]:
    """A new session's cookie, and its agent. `code` is of the second step, where there is one.

    Raises `Unauthenticated` (of the type `totp_required` where only the code is missing), or `TooMany`.
    """
    account = attempts.of_account(services, email)
    async with services.database.transaction() as session:
        await attempts.count(session, account, attempts.PER_ACCOUNT, now=now)
        await attempts.count(session, attempts.of_address(services, address), attempts.PER_ADDRESS, now=now)
        found = await session.execute(
            select(agents.c.id, agents.c.password_hash).where(agents.c.email == email.strip().lower(), agents.c.active)
        )
        agent_id, stored = found.one_or_none() or (None, None)
    if not await passwords.verify(stored, password) or agent_id is None or stored is None:
        raise _wrong()
    renewed = await passwords.hash_of(password) if passwords.is_outdated(stored) else None
    async with services.database.transaction() as session:
        agent = await _locked(session, agent_id)
        if agent is None or agent["password_hash"] != stored:  # changed since: his sessions have just been ended
            raise _wrong()
        await two_steps.require_code(services, session, agent, code, now=now)
        await attempts.forgive(session, account)
        if renewed:
            await session.execute(update(agents).where(agents.c.id == agent_id).values(password_hash=renewed))
        cookie = await sessions.begin_session(session, agent_id, method="password", client=client, now=now)
        return cookie, agent_id


def _wrong() -> Unauthenticated:
    return Unauthenticated("the address or the password is wrong", slug="login_failed")


async def _locked(session: AsyncSession, agent_id: UUID) -> RowMapping | None:
    """For as long as the transaction; what merely refers to the agent is not kept waiting."""
    query = select(agents).where(agents.c.id == agent_id, agents.c.active).with_for_update(key_share=True)
    return (await session.execute(query)).mappings().one_or_none()


async def prove(
    services: Services,
    agent_id: UUID,
    *,
    password: str,
    code: str | None = None,
    both: bool = True,
    now: datetime,
) -> None:
    """Whoever is signed in shows that he is still himself; with `both`, by the second step too where he has one.

    Opens transactions of its own. Raises `Forbidden` of the type `login_failed`, `totp_required` or `totp_wrong`: 401
    would say that the session has ended. Raises `TooMany`.
    """
    subject = attempts.of_agent(services, agent_id, "proof")
    async with services.database.transaction() as session:
        await attempts.count(session, subject, attempts.PER_ACCOUNT, now=now)
        stored = await session.scalar(select(agents.c.password_hash).where(agents.c.id == agent_id, agents.c.active))
    if not await passwords.verify(stored, password):
        raise Forbidden("the password is wrong", slug="login_failed")
    async with services.database.transaction() as session:
        agent = await _locked(session, agent_id)
        if agent is None or agent["password_hash"] != stored:
            raise Forbidden("the password is wrong", slug="login_failed")
        if both:
            try:
                await two_steps.require_code(services, session, agent, code, now=now)
            except Unauthenticated as error:
                raise Forbidden(error.detail, slug=error.problem) from None
        await attempts.forgive(session, subject)


async def confirm_two_steps(services: Services, actor: Actor, code: str, *, now: datetime) -> list[str]:
    """The recovery codes. Sessions that were begun without the second step end. Raises as `two_steps.confirm`."""
    assert actor.id is not None
    async with services.database.transaction() as session:
        subject = attempts.of_agent(services, actor.id, "proof")
        await attempts.count(session, subject, attempts.PER_ACCOUNT, now=now)
    async with services.database.transaction() as session:
        agent = await people.get_agent(session, actor.id, lock=True)
        codes = await two_steps.confirm(services, session, agent, code, by=actor, now=now)
        await sessions.end_all(session, actor.id, keep=actor.session_id)
        await attempts.forgive(session, subject)
        return codes


async def new_password(services: Services, actor: Actor, *, password: str, chosen: str, now: datetime) -> str:
    """The hash of the password that somebody in the console chose for himself, who knows the one of now.

    Raises as `prove` does, `Forbidden` for a token, and `Invalid`.
    """
    if actor.session_id is None or actor.id is None:
        raise Forbidden("a password is changed in the console, not by a token")
    await prove(services, actor.id, password=password, both=False, now=now)
    return await passwords.hash_of(chosen, field="new_password")


async def invite(
    session: AsyncSession, agent: RowMapping, *, letter: bool, by: Actor, now: datetime
) -> tuple[UUID, str]:
    """A link by which an agent chooses his first password: for the caller's eyes once, or on its way by letter.

    Raises `Conflict` for one who has signed in before or has left.
    """
    if not agent["active"]:
        raise Conflict("he has left", slug="not_active")
    if agent["password_hash"] is not None or agent["external_subject"] is not None:
        raise Conflict("he can sign in already", slug="already_joined")
    data = {"letter": letter}
    await audit.record(session, "agent.invited", subject="agent", subject_id=agent["id"], by=by, now=now, data=data)
    return await account_links.issue(session, agent["id"], Purpose.INVITATION, by=by, letter=letter, now=now)


async def forgotten(services: Services, *, email: str, address: str, now: datetime) -> None:
    """Have a letter sent to whoever has this address and a password. Raises `TooMany`.

    It does the same work for an address that nobody has: that request becomes a row too, which leads nowhere.
    """
    async with services.database.transaction() as session:
        await attempts.count(session, attempts.of_letters(services, email), attempts.LETTERS_PER_ACCOUNT, now=now)
        source = attempts.of_address(services, address, "letters-from")
        await attempts.count(session, source, attempts.LINKS_PER_ADDRESS, now=now)
    async with services.database.transaction() as session:
        known = agents.c.email == email.strip().lower(), agents.c.active, agents.c.password_hash.is_not(None)
        agent_id = await session.scalar(select(agents.c.id).where(*known))
        await account_links.issue(session, agent_id, Purpose.PASSWORD_RESET, by=SYSTEM, letter=True, now=now)


async def accept_invitation(
    services: Services, *, token: str, password: str, name: str | None, address: str, now: datetime
) -> None:
    """Choose the first password, and how one is called. Raises `NotFound` for a link that is not good, `TooMany`."""
    more = {"name": name} if name else {}
    await _redeem(services, Purpose.INVITATION, token, password, more, address=address, now=now)


async def accept_first_run(
    services: Services, *, token: str, password: str, about: Mapping[str, str], address: str, now: datetime
) -> None:
    """The first administrator says who he is (`email name locale`) and chooses a password. Raises as above, and as
    `agents.edit`: the link is good then as before. What the house begins with is called in his language."""
    await _redeem(services, Purpose.FIRST_RUN, token, password, dict(about), address=address, now=now)


async def reset_password(services: Services, *, token: str, password: str, address: str, now: datetime) -> None:
    """Choose another password. All sessions end, and the second step stays what it was. Raises as above."""
    await _redeem(services, Purpose.PASSWORD_RESET, token, password, {}, address=address, now=now)


async def _redeem(
    services: Services,
    purpose: Purpose,
    token: str,
    password: str,
    more: dict[str, Any],
    *,
    address: str,
    now: datetime,
) -> None:
    source = attempts.of_address(services, address, "links-from")
    async with services.database.transaction() as session:
        await attempts.count(session, source, attempts.LINKS_PER_ADDRESS, now=now)
    async with services.database.reading() as session:
        await account_links.find(session, token, purpose, now=now)
    hashed = await passwords.hash_of(password)
    async with services.database.transaction() as session:
        agent = await account_links.find(session, token, purpose, now=now)
        await account_links.use(session, token, purpose, now=now)
        agent = await people.get_agent(session, agent["id"], lock=True)
        him = Actor(AuthorKind.AGENT, agent["id"], agent["name"], Role(agent["role"]))
        await people.edit(session, agent, {"password_hash": hashed, **more}, by=him, now=now)
        if purpose is Purpose.FIRST_RUN:
            await first_names.speak(session, more.get("locale", agent["locale"]))
        action = f"agent.{purpose.value}_used"
        await audit.record(session, action, subject="agent", subject_id=agent["id"], by=him, now=now)
