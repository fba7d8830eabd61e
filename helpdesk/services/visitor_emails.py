"""Proving an address: a code of six digits goes there by mail, and whoever types it into the chat has read it.

Nothing here says whether we know an address. A code is good for ten minutes and five attempts, and only the newest of
a session counts; with the caps, an address can be guessed at some twenty-five times an hour, of a million codes. Only a
keyed digest is looked at; the code itself is kept, sealed, until the worker has mailed it.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, Select, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import claimable, insert_rows, lock_name, new_id, ring
from helpdesk.domain.mail_addresses import handle_of
from helpdesk.domain.values import Actor, AuthorKind
from helpdesk.errors import Conflict, Invalid, TooMany
from helpdesk.live import Opened, Visitor
from helpdesk.models.inboxes import inboxes
from helpdesk.models.visitors import visitor_codes, visitor_sessions
from helpdesk.services import attempts, audit, continuing, visitor_identities, visitor_mail
from helpdesk.services import visitor_sessions as sessions
from helpdesk.services.house import Services

LIFE: Final = timedelta(minutes=10)
ATTEMPTS: Final = 5
PER_SESSION: Final = 3
"""Codes within `LIFE`."""
PER_EMAIL: Final = 5
"""Codes within an hour. What is asked for beyond is accepted like the rest, and mailed to nobody."""
PER_INBOX: Final = 300
"""Codes within the window of `attempts`, whoever asks."""
_HOUR: Final = timedelta(hours=1)
_IN_HAND: Final = timedelta(minutes=1)
"""After so long, a worker that took a letter and said no more about it is taken for dead."""

_K: Final = visitor_codes.c
_S: Final = visitor_sessions.c


async def claim(services: Services, session: AsyncSession, visitor: Visitor, email: str, *, now: datetime) -> None:
    """Have a code sent to this address. Raises `Invalid`, `TooMany`, `SessionRefused`, and `Conflict`
    (`not_continued`) where nothing goes on by e-mail."""
    handle = handle_of(email)
    if handle is None:
        raise Invalid.field("email", "give one address, such as name@example.org")
    await sessions.hold(session, visitor, now=now)
    if not await visitor_mail.inboxes_for(services, session, [visitor.inbox_id]):
        raise Conflict("nothing goes on by e-mail here", slug="not_continued")
    lately = _K.session_id == visitor.session_id, _K.created_at > now - LIFE
    count, oldest = (await session.execute(select(func.count(), func.min(_K.created_at)).where(*lately))).one()
    if count >= PER_SESSION:
        wait = int((oldest + LIFE - now).total_seconds()) + 1
        raise TooMany("too many codes were asked for", extra={"retry_after": max(1, wait)})
    await attempts.count(session, attempts.of_inbox(services, visitor.inbox_id, "codes"), PER_INBOX, now=now)
    wanted = await _mailable(session, handle, now=now)
    await insert_rows(session, visitor_codes, [_code(services, visitor.session_id, handle, wanted=wanted, now=now)])
    await session.execute(update(visitor_sessions).where(_S.id == visitor.session_id).values(claimed_email=handle))
    ring(session, "visitor_letters")


async def _mailable(session: AsyncSession, handle: str, *, now: datetime) -> bool:
    """Whether a letter may go there: not to ourselves, and not to somebody who is being pestered with them."""
    await lock_name(session, f"visitor code:{handle}")
    own = select(inboxes.c.id).where(inboxes.c.handle == handle, inboxes.c.deleted_at.is_(None)).limit(1)
    mailed = _K.email == handle, _K.created_at > now - _HOUR, _K.digest != ""
    count = await session.scalar(select(func.count()).where(*mailed)) or 0
    return await session.scalar(own) is None and count < PER_EMAIL


def _code(services: Services, session_id: UUID, handle: str, *, wanted: bool, now: datetime) -> dict[str, Any]:
    """A code that goes nowhere has no digest, so that nothing proves it."""
    code_id, plain = new_id(), f"{secrets.randbelow(10**6):06d}"
    return {
        "id": code_id,
        "session_id": session_id,
        "email": handle,
        "digest": _digest(services, code_id, plain) if wanted else "",
        "sealed": services.keyring.seal(plain.encode(), row=f"visitor_code:{code_id}") if wanted else None,
        "attempts": 0,
        "send_attempts": 0,
        "next_attempt_at": now,
        "created_at": now,
        "expires_at": now + LIFE,
        "sent_at": None if wanted else now,
        "used_at": None,
    }


def _digest(services: Services, code_id: UUID, plain: str) -> str:
    return services.keyring.digest("visitor code", f"{code_id}:{plain}")


async def prove(
    services: Services, session: AsyncSession, visitor: Visitor, code: str, *, now: datetime
) -> Opened | None:
    """With the right code the address is his, and so is its history; his token is another one then.

    None for a wrong, spent or late one. That is no error here, since the attempt has to be committed to count.
    """
    mailed = select(visitor_codes).where(_K.session_id == visitor.session_id, _K.digest != "")
    newest = mailed.order_by(_K.created_at.desc(), _K.id.desc()).limit(1)
    row = (await session.execute(newest.with_for_update())).mappings().one_or_none()
    # Whatever is wrong, the same is done: counted, digested, compared.
    code_id = row["id"] if row else visitor.session_id
    await session.execute(update(visitor_codes).where(_K.id == code_id).values(attempts=_K.attempts + 1))
    right = hmac.compare_digest(_digest(services, code_id, code), row["digest"] if row else "")
    good = row is not None and row["used_at"] is None and row["attempts"] < ATTEMPTS and row["expires_at"] > now
    if row is None or not (right and good):
        return None
    await session.execute(update(visitor_codes).where(_K.id == code_id).values(used_at=now, sealed=None))
    return await _proved(services, session, visitor, row["email"], now=now)


async def _proved(services: Services, session: AsyncSession, visitor: Visitor, email: str, *, now: datetime) -> Opened:
    found = await visitor_mail.inboxes_for(services, session, [visitor.inbox_id])
    if visitor.inbox_id not in found:
        raise Conflict("nothing goes on by e-mail here", slug="not_continued")
    await visitor_identities.alone(session)
    await visitor_identities.silent(session, visitor)
    # Who he is by now: the host site may have vouched for him since he was looked up.
    row = await sessions.hold(session, visitor, now=now)
    visitor = replace(visitor, contact_id=row["contact_id"])
    channel = found[visitor.inbox_id]["channel"]
    owner = await visitor_identities.give(session, visitor.contact_id, channel=channel, handle=email, now=now)
    if owner != visitor.contact_id:
        await visitor_identities.unite(services, session, visitor, owner, now=now)
    mine = update(visitor_sessions).where(_S.id == visitor.session_id)
    await session.execute(mine.values(email=email, claimed_email="", contact_id=owner))
    await continuing.can_be_reached(session, owner, now=now)
    about: dict[str, Any] = {"session_id": str(visitor.session_id), "inbox_id": str(visitor.inbox_id)}
    by = Actor(AuthorKind.CONTACT, owner)
    await audit.record(session, "visitor.email_proved", subject="contact", subject_id=owner, by=by, now=now, data=about)
    token = await sessions.rotate(session, visitor.session_id, now=now)
    return await sessions.opened(services, session, token, now=now)


# -- their letters ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CodeLetter:
    """What is to be mailed, the code in plain: held by the sender alone. `inbox_id` is the one that it leaves by."""

    id: UUID
    inbox_id: UUID
    email: str
    language: str
    plain: str
    attempts: int


def due() -> Select[Any]:
    """Codes that `claim_letter` would take at `:now`."""
    return select(_K.id).where(_K.sent_at.is_(None), _K.next_attempt_at <= bindparam("now", type_=_K.created_at.type))


async def claim_letter(services: Services, session: AsyncSession, *, now: datetime) -> CodeLetter | None:
    """The one that has waited longest. What came too late to be of use is forgotten."""
    late = update(visitor_codes).where(_K.sent_at.is_(None), _K.expires_at <= now)
    await session.execute(late.values(sealed=None, sent_at=now))
    waiting = select(visitor_codes).where(_K.sent_at.is_(None), _K.next_attempt_at <= now)
    chosen = claimable(waiting.order_by(_K.created_at, _K.id).limit(1))
    row = (await session.execute(chosen)).mappings().one_or_none()
    if row is None:
        return None
    tried = {"send_attempts": row["send_attempts"] + 1, "next_attempt_at": now + _IN_HAND}
    await session.execute(update(visitor_codes).where(_K.id == row["id"]).values(tried))
    his = select(_S.inbox_id, _S.language).where(_S.id == row["session_id"])
    where: RowMapping = (await session.execute(his)).mappings().one()
    found = await visitor_mail.inboxes_for(services, session, [where["inbox_id"]])
    if where["inbox_id"] not in found:
        return None
    return CodeLetter(
        id=row["id"],
        inbox_id=found[where["inbox_id"]]["id"],
        email=row["email"],
        language=where["language"],
        plain=services.keyring.open(row["sealed"], row=f"visitor_code:{row['id']}").decode(),
        attempts=row["send_attempts"] + 1,
    )


async def letter_sent(session: AsyncSession, letter: CodeLetter, *, now: datetime) -> None:
    """Or given up for ever: the code in plain is nowhere any more."""
    await session.execute(update(visitor_codes).where(_K.id == letter.id).values(sealed=None, sent_at=now))


async def letter_failed(session: AsyncSession, letter: CodeLetter, *, now: datetime) -> None:
    """Tried again soon: somebody sits there and waits for it."""
    pause = timedelta(seconds=min(5 * 2 ** (letter.attempts - 1), 60))
    mine = update(visitor_codes).where(_K.id == letter.id, _K.send_attempts == letter.attempts)
    await session.execute(mine.values(next_attempt_at=now + pause))
