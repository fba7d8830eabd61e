"""Who a visitor shows himself to be: a user for whom the host site vouches, or whoever reads mail at an address.

What he said before goes with him then: the contact that he was goes into the one that he turned out to be, as when an
agent merges the two, and as undoable. His sessions and visits go along, which an agent's merging leaves where they are.

The host site vouches for addresses as well. Who has one is the same person as its user, in whichever of two contacts he
had been kept: one who only typed it has no address, here as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, insert_rows, lock_name, new_id
from helpdesk.domain.admission import line
from helpdesk.domain.events import ContactCreated
from helpdesk.domain.language import SUPPORTED
from helpdesk.domain.mail_addresses import handle_of
from helpdesk.domain.values import Actor, AuthorKind
from helpdesk.errors import Conflict
from helpdesk.live import Identity, IdentityRefused, Visitor
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.visitors import visitor_proofs, visitor_sessions, visits
from helpdesk.services import contact_merging, continuing, events, rows, visitor_mail
from helpdesk.services import contacts as contact_verbs
from helpdesk.services.digests import digest_of
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.statements import Row

BY: Final = Actor(AuthorKind.CONTACT)
"""Nobody of the house: what is merged in this name was shown to be one, and not found to be."""
_MOST_NAME: Final = 120
_DOUBT: Final = timedelta(hours=1)
"""For which clocks may disagree on when a statement ends."""

_I: Final = contact_identities.c
_K: Final = contacts.c
_S: Final = visitor_sessions.c


@dataclass(frozen=True, slots=True)
class Known:
    """Whom an identity names. `email` is empty unless it is vouched for and his."""

    contact_id: UUID
    handle: str
    email: str
    language: str


async def recognise(
    services: Services,
    session: AsyncSession,
    inbox: Row,
    identity: Identity,
    *,
    contact_id: UUID | None = None,
    now: datetime,
) -> Known:
    """The contact of a user of the host site, and `contact_id` goes into it, who has been anonymous so far.

    A user who was never seen becomes that one, or a new one. Raises `IdentityRefused` for a proof that was used.
    """
    handle = await wait_for(session, inbox["id"], identity)
    await _spend(session, inbox["id"], identity)
    name = line(identity.name)[:_MOST_NAME]
    owner = await _owner(session, inbox, handle)
    first = owner is None
    if owner is None:
        owner = contact_id or await _create(services, session, name, now=now)
        await give(session, owner, channel=inbox["channel"], handle=handle, now=now)
    elif contact_id is not None and owner != contact_id:
        try:
            await _unite(session, contact_id, owner, now=now)
        except Conflict:
            # More contacts than go into one: what he said before stays with whom he was, and he goes on.
            pass
    await _call(session, owner, name, instead=first, now=now)
    owner, email = await _vouched(services, session, inbox, (owner, handle), identity.email, now=now)
    if email:
        await continuing.can_be_reached(session, owner, now=now)
    return Known(owner, handle, email, identity.language if identity.language in SUPPORTED else "")


async def wait_for(session: AsyncSession, inbox_id: UUID, identity: Identity) -> str:
    """Be the only one who looks at this user, until the transaction ends; answers his handle on the channel.

    Of two devices at once, the second one finds the contact that the first one made.
    """
    user = sha256(f"{inbox_id}:{identity.subject}".encode(errors="surrogatepass")).hexdigest()[:24]
    handle = f"{_users_of(inbox_id)}{user}"
    await lock_name(session, f"visitor:{handle}")
    return handle


def _users_of(inbox_id: UUID) -> str:
    """What the handles of all users begin with whom the host site of this inbox knows."""
    return f"user-{sha256(str(inbox_id).encode()).hexdigest()[:8]}-"


async def alone(session: AsyncSession) -> None:
    """Be the only one who merges, until the transaction ends.

    Taken before anything that others would wait for who merge: the rows of sessions and identities that were there.
    """
    await lock_name(session, "merging contacts")


async def silent(session: AsyncSession, visitor: Visitor) -> None:
    """Be the only one who says something as this visitor, or changes who he is, until the transaction ends.

    What he says first is not there yet for whoever looks whether he has said something. Taken after `alone`.
    """
    await lock_name(session, f"saying:{visitor.inbox_id}:{visitor.handle}")


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    """Proofs that nobody would believe any more, used or not."""
    await session.execute(delete(visitor_proofs).where(visitor_proofs.c.expires_at <= now - _DOUBT))


async def give(session: AsyncSession, contact_id: UUID, *, channel: str, handle: str, now: datetime) -> UUID:
    """The contact has shown that this handle is his: who has shown the same before him, or himself, and then it is his.

    Whom an agent takes one of them for has it then, as all that is theirs, and is nobody's proof. `alone` comes first,
    unless nobody else can ask for this handle.
    """
    row = rows.identity(contact_id, channel=channel, handle=handle, display="", now=now) | {"verified": True}
    new = insert_ignoring(session, contact_identities, on=["channel", "handle"]).values(row)
    if (await session.execute(new.returning(_I.id))).first() is not None:
        await contact_merging.bring(session, contact_id, row["id"])
        return contact_id
    mine = update(contact_identities).where(_I.channel == channel, _I.handle == handle)
    if await _only_typed(session, channel, handle):
        # Somebody of the house thought that it is another one's. Nobody but its owner has shown anything.
        his = await session.scalar(mine.values(contact_id=contact_id, verified=True).returning(_I.id))
        if his is not None:
            await contact_merging.bring(session, contact_id, his)
            return contact_id
    known = (await session.execute(mine.values(verified=True).returning(_I.id, _I.contact_id))).one()
    return await contact_merging.whose(session, known.id, known.contact_id)


async def _only_typed(session: AsyncSession, channel: str, handle: str) -> bool:
    """Whether whoever has this handle has spoken, and never by it."""
    c = conversations.c
    found = await _find(session, channel, handle)
    if found is None:
        return False
    spoken = select(c.id).where(c.contact_id == found[1])
    by_it = spoken.where(c.channel == channel, c.contact_handle == handle)
    proved = select(_I.id).where(_I.id == found[0], _I.verified)
    if await session.scalar(proved) is not None or await session.scalar(by_it.limit(1)) is not None:
        return False
    return await session.scalar(spoken.limit(1)) is not None


async def unite(services: Services, session: AsyncSession, visitor: Visitor, into: UUID, *, now: datetime) -> None:
    """The visitor has shown that he is this contact: who he was so far goes into it, with sessions and visits.

    Raises `Conflict` where contacts cannot be merged (`contact_merging.merge`).
    """
    await _unite(session, visitor.contact_id, into, now=now)


async def _unite(session: AsyncSession, contact_id: UUID, into: UUID, *, now: datetime) -> None:
    await alone(session)
    homes = select(_K.id, func.coalesce(_K.merged_into_id, _K.id)).where(_K.id.in_([contact_id, into]))
    home: dict[UUID, UUID] = {row[0]: row[1] for row in await session.execute(homes)}
    if home[contact_id] == contact_id and home[into] != contact_id:
        said = select(conversations.c.id).where(conversations.c.contact_id == contact_id).limit(1)
        if await session.scalar(said) is not None:
            await contact_merging.merge(session, contact_id, into=home[into], version=None, by=BY, now=now)
        else:
            # Most who log in have said nothing before: there is nothing to be merged, nor to be undone.
            his = update(contact_identities).where(_I.contact_id == contact_id)
            await session.execute(his.values(contact_id=home[into]))
    mine = update(visitor_sessions).where(_S.contact_id == contact_id)
    await session.execute(mine.values(contact_id=into))
    await session.execute(update(visits).where(visits.c.contact_id == contact_id).values(contact_id=into))


async def _spend(session: AsyncSession, inbox_id: UUID, identity: Identity) -> None:
    used = {"inbox_id": inbox_id, "digest": digest_of(identity.proof), "expires_at": identity.expires_at}
    first = insert_ignoring(session, visitor_proofs, on=["inbox_id", "digest"]).values(used)
    if (await session.execute(first.returning(visitor_proofs.c.digest))).first() is None:
        raise IdentityRefused("this statement was used before; have the site make a new one")


async def _owner(session: AsyncSession, inbox: Row, handle: str) -> UUID | None:
    known = await _find(session, inbox["channel"], handle)
    return None if known is None else await contact_merging.whose(session, *known)


async def _create(services: Services, session: AsyncSession, name: str, *, now: datetime) -> UUID:
    contact_id = new_id()
    sealed = Keys(services.keyring).create(f"contact:{contact_id}")
    await insert_rows(session, contacts, [rows.contact(contact_id, name=name, sealed=sealed, now=now)])
    await events.record(session, ContactCreated(contact_id=contact_id), now=now)
    return contact_id


async def _call(session: AsyncSession, contact_id: UUID, name: str, *, instead: bool, now: datetime) -> None:
    """Give him the name that the site knows him by, if we know none; with `instead`, or one that he gave himself."""
    shown = [column for column in _K if column.name != "key"]
    mine = select(*shown).where(_K.id == contact_id, _K.merged_into_id.is_(None), _K.name != name)
    mine = mine if instead else mine.where(_K.name == "")
    found = (await session.execute(mine.with_for_update(key_share=True))).mappings().one_or_none() if name else None
    if found is not None:
        await contact_verbs.edit(session, found, {"name": name}, by=BY, now=now)


async def _vouched(
    services: Services, session: AsyncSession, inbox: Row, user: tuple[UUID, str], email: str, *, now: datetime
) -> tuple[UUID, str]:
    """Who the contact of a user is once the address is known to be his, and that address; empty where it is not one.

    Our own addresses are nobody's. What another user of the site has stays his: the site itself says that they are two,
    and one of them has it no longer, or both share it. So do two contacts that cannot be merged.
    """
    contact_id, handle = user[0], handle_of(email) if email else None
    by = (await visitor_mail.inboxes_for(services, session, [inbox["id"]])).get(inbox["id"]) if handle else None
    if handle is None or by is None:
        return contact_id, ""
    own = select(inboxes.c.id).where(inboxes.c.handle == handle, inboxes.c.deleted_at.is_(None)).limit(1)
    if await session.scalar(own) is not None:
        return contact_id, ""
    his = _I.contact_id == contact_id, _I.channel == by["channel"], _I.handle == handle, _I.verified
    if await session.scalar(select(_I.id).where(*his)) is not None:
        return contact_id, handle
    await alone(session)
    if await _is_another_users(session, inbox, user, by["channel"], handle):
        return contact_id, ""
    owner = await give(session, contact_id, channel=by["channel"], handle=handle, now=now)
    if owner != contact_id:
        try:
            await _unite(session, contact_id, owner, now=now)
        except Conflict:
            return contact_id, ""
    return owner, handle


async def _is_another_users(
    session: AsyncSession, inbox: Row, user: tuple[UUID, str], channel: str, address: str
) -> bool:
    contact_id, own = user
    known = await _find(session, channel, address)
    if known is None or await contact_merging.whose(session, *known) == contact_id:
        return False
    theirs = _I.contact_id == known[1], _I.channel == inbox["channel"], _I.handle != own
    other = select(_I.id).where(*theirs, _I.handle.startswith(_users_of(inbox["id"]))).limit(1)
    return await session.scalar(other) is not None


async def _find(session: AsyncSession, channel: str, handle: str) -> tuple[UUID, UUID] | None:
    """An identity, and who has it."""
    query = select(_I.id, _I.contact_id).where(_I.channel == channel, _I.handle == handle)
    found = (await session.execute(query)).one_or_none()
    return None if found is None else (found.id, found.contact_id)
