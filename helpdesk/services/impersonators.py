"""Accounts that look like ours: found among those who write to us, compared once for each of their looks.

Their names are compared first. A picture is fetched only of somebody whose name is near one of ours: it settles what
the name leaves open. An alert says what was found, and by what; whether it deceives anybody is for a person to judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Profile
from helpdesk.domain.actions import Alert
from helpdesk.domain.bits import differing_bits
from helpdesk.domain.resemblance import NEARLY, Names, is_forged, resemblance
from helpdesk.domain.values import InboxStatus, MessageType
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.social import social_accounts
from helpdesk.services import alerts
from helpdesk.services import social_accounts as accounts
from helpdesk.services.alerts import Subject
from helpdesk.services.house import Services
from helpdesk.statements import Row

BATCH: Final = 100
KNOWN_FOR: Final = timedelta(days=1)
"""So long our own accounts are taken to look as they did."""

_A: Final = social_accounts.c
_WHO: Final = Alert(who=("supervisors", "admins"), agent_ids=(), severity="warning", acknowledge=None)


async def unknown(session: AsyncSession, channels: Sequence[str], *, now: datetime) -> Sequence[Row]:
    """Inboxes of these channels whose own account was not looked at for a day."""
    fresh = exists().where(_A.inbox_id == inboxes.c.id, _A.updated_at > now - KNOWN_FOR)
    query = (
        select(inboxes.c.id, inboxes.c.channel)
        .where(inboxes.c.channel.in_(channels), inboxes.c.state == InboxStatus.ACTIVE.value)
        .where(inboxes.c.deleted_at.is_(None), ~fresh)
        .order_by(inboxes.c.id)
        .limit(BATCH)
    )
    return (await session.execute(query)).mappings().all()


async def know(session: AsyncSession, inbox_id: UUID, channel: str, profile: Profile, *, now: datetime) -> None:
    """Keep our own account. Where it looks otherwise than before, everybody of its channel is compared anew."""
    query = select(_A.handle, _A.name, _A.avatar_url).where(_A.channel == channel, _A.inbox_id == inbox_id)
    before = {tuple(row) for row in await session.execute(query)}
    await accounts.keep_own(session, inbox_id, channel, profile, now=now)
    if {tuple(row) for row in await session.execute(query)} != before:
        others = update(social_accounts).where(_A.channel == channel, _A.inbox_id.is_(None), _A.checked_at.is_not(None))
        await session.execute(others.values(checked_at=None))


@dataclass(frozen=True, slots=True)
class Suspect:
    """An account, how much its names are like ours, and the pictures of ours that it may have taken."""

    account: Row
    score: float
    ours: Sequence[Row]

    @property
    def needs_picture(self) -> bool:
        """Whether its picture would tell more than its names do."""
        theirs = self.account["avatar_url"] and self.account["avatar_hash"] is None
        return bool(theirs) and self.score >= NEARLY and any(one["avatar_url"] for one in self.ours)


async def unchecked(session: AsyncSession) -> list[Suspect]:
    """Accounts that were not compared since they look as they do, of channels where it is known how ours look."""
    ours: dict[str, list[Row]] = {}
    for own in (await session.execute(select(social_accounts).where(_A.inbox_id.is_not(None)))).mappings():
        ours.setdefault(own["channel"], []).append(own)
    if not ours:
        return []
    waiting = select(social_accounts).where(_A.checked_at.is_(None), _A.inbox_id.is_(None), _A.channel.in_(list(ours)))
    found = (await session.execute(waiting.order_by(_A.id).limit(BATCH))).mappings().all()
    names = {channel: [Names(one["handle"], one["name"]) for one in several] for channel, several in ours.items()}
    return [
        Suspect(one, resemblance(Names(one["handle"], one["name"]), names[one["channel"]]), ours[one["channel"]])
        for one in found
    ]


async def judge(
    services: Services, session: AsyncSession, suspects: Sequence[Suspect], hashes: Mapping[UUID, int], *, now: datetime
) -> int:
    """Note that they were compared, with the pictures' `hashes` by account, and raise an alert for each who looks
    like us. Answers how many these are. Whoever changed meanwhile is compared again."""
    still: set[UUID] = set()
    accounts_by_id = {one["id"]: one for suspect in suspects for one in (suspect.account, *suspect.ours)}
    compared = {suspect.account["id"] for suspect in suspects}
    # In the order in which filing keeps them, so that the two do not wait for each other.
    for account in sorted(accounts_by_id.values(), key=lambda one: (one["channel"], one["external_id"])):
        mine = update(social_accounts).where(_A.id == account["id"])
        if account["id"] in hashes:
            shown = mine.where(_A.avatar_url == account["avatar_url"])
            await session.execute(shown.values(avatar_hash=hashes[account["id"]]))
        if account["id"] in compared:
            same = mine.where(_A.updated_at == account["updated_at"])
            still |= set(await session.scalars(same.values(checked_at=now).returning(_A.id)))
    forged = 0
    for suspect in suspects:
        distance = _distance(suspect, hashes)
        if suspect.account["id"] in still and is_forged(suspect.score, distance):
            await _raise(services, session, suspect, distance, now=now)
            forged += 1
    return forged


def _distance(suspect: Suspect, hashes: Mapping[UUID, int]) -> int | None:
    """To the nearest of our pictures, where both are known."""
    theirs = hashes.get(suspect.account["id"], suspect.account["avatar_hash"])
    ours = [hashes.get(one["id"], one["avatar_hash"]) for one in suspect.ours]
    if theirs is None:
        return None
    return min((differing_bits(theirs, one) for one in ours if one is not None), default=None)


async def _raise(
    services: Services, session: AsyncSession, suspect: Suspect, distance: int | None, *, now: datetime
) -> None:
    account = suspect.account
    place = (
        select(conversations)
        .where(conversations.c.channel == account["channel"], conversations.c.contact_handle == account["external_id"])
        .order_by(conversations.c.last_activity_at.desc())
        .limit(1)
    )
    conversation = (await session.execute(place)).mappings().one_or_none()
    said = None
    if conversation is not None:
        last = select(messages.c.id).where(messages.c.conversation_id == conversation["id"])
        last = last.where(messages.c.type == MessageType.INCOMING.value).order_by(messages.c.seq.desc()).limit(1)
        said = await session.scalar(last)
    evidence = {
        "handle": account["handle"],
        "name": account["name"],
        "url": account["url"],
        "name_score": round(suspect.score, 3),
        "avatar_distance": distance,
        "conversation_id": str(conversation["id"]) if conversation is not None else None,
        "message_id": str(said) if said is not None else None,
    }
    subject = Subject(accounts.key_of_looks(account), "impersonator")
    await alerts.call(services, session, subject, [_WHO], conversation, data=evidence, now=now)
