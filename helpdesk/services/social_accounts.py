"""Accounts as their channels show them to everybody: who writes to us in public, and which of them are our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, case, literal_column, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Profile
from helpdesk.db import is_postgresql, new_id
from helpdesk.models.alerts import alerts
from helpdesk.models.social import conversation_threads, posts, social_accounts
from helpdesk.statements import Row, Statement

_A: Final = social_accounts.c
_SHOWN: Final = ("handle", "name", "url", "avatar_url", "followers", "verified", "vendor_created_at")
_OPTIONAL: Final = ("followers", "vendor_created_at")
_LOOKS: Final = ("handle", "name", "avatar_url")
"""By what an account may be taken for another: who changes any of it is compared with ours anew."""


async def upsert(
    session: AsyncSession, channel: str, profiles: Sequence[tuple[Profile, datetime]], *, now: datetime
) -> None:
    """Keep what was seen of accounts, each with the time at which it was seen: the newest of each is what stays."""
    newest: dict[str, tuple[Profile, datetime]] = {}
    for profile, seen_at in profiles:
        if profile.id not in newest or newest[profile.id][1] <= seen_at:
            newest[profile.id] = profile, seen_at
    if newest:
        # In one order everywhere, so that two who file the same people do not wait for each other.
        rows = [_row(channel, *newest[key], now=now) for key in sorted(newest)]
        await session.execute(_merged(session, rows))


async def keep_own(session: AsyncSession, inbox_id: UUID, channel: str, profile: Profile, *, now: datetime) -> None:
    """Keep that this account is the inbox's: others are compared with it, and it with none."""
    row = _row(channel, profile, now, now=now) | {"inbox_id": inbox_id, "checked_at": now}
    await session.execute(_merged(session, [row], inbox_id=inbox_id, checked_at=now))


def _row(channel: str, profile: Profile, seen_at: datetime, *, now: datetime) -> dict[str, Any]:
    known = asdict(profile)
    known["external_id"], known["vendor_created_at"] = known.pop("id"), known.pop("created_at")
    times = {"checked_at": None, "created_at": now, "updated_at": seen_at}
    return {"id": new_id(), "channel": channel, "avatar_hash": None, "inbox_id": None, **known, **times}


def _merged(session: AsyncSession, rows: Sequence[Mapping[str, Any]], **own: Any) -> Any:
    insert = (postgresql if is_postgresql(session) else sqlite).insert(social_accounts).values(rows)
    new = insert.excluded
    # A channel that says less this time (a mention without numbers) takes nothing away.
    kept: dict[str, Any] = {
        name: case((new[name].is_not(None) if name in _OPTIONAL else new[name] != "", new[name]), else_=_A[name])
        for name in _SHOWN
    }
    another = or_(*(and_(new[name] != "", new[name] != _A[name]) for name in _LOOKS))
    unchecked = {
        "checked_at": case((and_(another, _A.inbox_id.is_(None)), None), else_=_A.checked_at),
        "avatar_hash": case((and_(new.avatar_url != "", new.avatar_url != _A.avatar_url), None), else_=_A.avatar_hash),
    }
    return insert.on_conflict_do_update(
        index_elements=["channel", "external_id"],
        set_={**kept, **unchecked, "updated_at": new.updated_at, **own},
        where=_A.updated_at <= new.updated_at,
    )


def _of_author() -> ColumnElement[bool]:
    channel, handle = bindparam("channel", type_=_A.channel.type), bindparam("handle", type_=_A.external_id.type)
    return and_(_A.channel == channel, _A.external_id == handle)


_PROFILE: Final = Statement(lambda: select(*(_A[name] for name in _SHOWN), _A.inbox_id).where(_of_author()))

# Whoever is called and whether they have answered: that it was found is what counts for who reads him.
_TOLD: Final = Statement(lambda: select(alerts.c.id).where(alerts.c.key == bindparam("key", type_=alerts.c.key.type)))

_POST: Final = Statement(
    lambda: (
        select(posts.c.external_id, posts.c.url, posts.c.text, posts.c.own)
        .join(conversation_threads, conversation_threads.c.post_id == posts.c.id)
        .where(conversation_threads.c.conversation_id == bindparam("conversation", type_=posts.c.id.type))
        .order_by(conversation_threads.c.created_at.desc())
        .limit(literal_column("1"))
    )
)


async def shown(session: AsyncSession, conversation: Row) -> dict[str, Any]:
    """The contact's account there, `profile`, and what his words hang under, `post`; each None where there is none."""
    author = {"channel": conversation["channel"], "handle": conversation["contact_handle"]}
    profiles = await _PROFILE.rows(session, begin=False, **author)
    found = await _POST.rows(session, begin=False, conversation=conversation["id"])
    profile = None
    if profiles:
        account = {**profiles[0], "channel": author["channel"], "external_id": author["handle"]}
        alike = await _TOLD.rows(session, begin=False, key=key_of_looks(account))
        profile = _public(account) | {"resembles_ours": bool(alike)}
    return {"profile": profile, "post": found[0] if found else None}


def key_of_looks(account: Row) -> str:
    """By which it is told once of an account, as it looks now, that it looks like one of ours."""
    looks = sha256(f"{account['handle']}\n{account['name']}".encode()).hexdigest()[:12]
    return f"impersonator:{account['channel']}:{account['external_id']}:{looks}"


def _public(account: Row) -> dict[str, Any]:
    names = ("handle", "name", "url", "followers", "verified")
    return {name: account[name] for name in names} | {"created_at": account["vendor_created_at"]}
