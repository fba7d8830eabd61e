"""Inboxes: adding, changing and removing them, who works in them, and who may see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Table, delete, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Channel
from helpdesk.db import insert_rows, new_id
from helpdesk.domain.values import Actor, InboxStatus
from helpdesk.errors import Conflict, Invalid, NotFound, Stale
from helpdesk.models.agents import agents, teams
from helpdesk.models.inboxes import inbox_members, inbox_states, inboxes
from helpdesk.models.sla import business_hours, sla_policies
from helpdesk.services import audit
from helpdesk.services.access import may_use
from helpdesk.services.house import Services
from helpdesk.services.inbox_settings import (
    COMMON,
    SWITCHES,
    apart,
    check_hosts,
    handle_of,
    open_secrets,
    parted,
    sealed,
    validated,
)
from helpdesk.services.keys import Keys


async def add(
    services: Services,
    session: AsyncSession,
    *,
    channel: str,
    name: str,
    settings: Mapping[str, Any],
    members: Sequence[UUID] = (),
    state: InboxStatus = InboxStatus.ACTIVE,
    by: Actor,
    now: datetime,
) -> UUID:
    """A new inbox. `settings` are texts as the command line gives them, or JSON values.

    Raises `Invalid` naming the setting, `Conflict` when another inbox has the address, `NotFound` for a member or
    what else the settings name and is not there.
    """
    descriptor = services.channel(channel)
    if not name.strip():
        raise Invalid.field("name", "give the inbox a name")
    common, own = parted(settings)
    config = validated(descriptor, own)
    inbox_id = new_id()
    public, secret = apart(config)
    row = {
        "id": inbox_id,
        "channel": channel,
        "name": name.strip(),
        "handle": handle_of(descriptor, public),
        "config": public,
        "secrets": sealed(services, inbox_id, secret),
        "key": Keys(services.keyring).create(f"inbox:{inbox_id}"),
        "state": state.value,
        **dict.fromkeys(COMMON),
        **dict.fromkeys(SWITCHES, False),
        **common,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "deleted_at": None,
    }
    await _check_common(services, session, descriptor, common)
    try:
        async with session.begin_nested():
            await insert_rows(session, inboxes, [row])
    except IntegrityError:
        raise Conflict("another inbox has this address", slug="address_taken") from None
    health = {"inbox_id": inbox_id, "cursor": {}, "last_success_at": None, "failing_since": None}
    health |= {"failing_reported_at": None, "error_kind": "", "error_detail": ""}
    await insert_rows(session, inbox_states, [health])
    await _set_members(session, inbox_id, members)
    await _audit(session, "inbox.created", inbox_id, by, now, settings)
    return inbox_id


async def edit(
    services: Services,
    session: AsyncSession,
    inbox: RowMapping,
    *,
    name: str | None = None,
    state: InboxStatus | None = None,
    settings: Mapping[str, Any] | None = None,
    members: Sequence[UUID] | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Change what is given; settings that are not named stay. The row is locked by `get_inbox(..., version=)`.

    Raises `Invalid` for a setting that is wrong, and for a changed host whose password is not given again.
    """
    values: dict[str, Any] = {"version": inbox["version"] + 1, "updated_at": now}
    if name is not None:
        values["name"] = name.strip()
    if state is not None:
        values["state"] = state.value
    if settings:
        values |= await _changed_settings(services, session, inbox, settings)
    try:
        async with session.begin_nested():
            await session.execute(update(inboxes).where(inboxes.c.id == inbox["id"]).values(values))
    except IntegrityError:
        raise Conflict("another inbox has this address", slug="address_taken") from None
    if members is not None:
        await session.execute(delete(inbox_members).where(inbox_members.c.inbox_id == inbox["id"]))
        await _set_members(session, inbox["id"], members)
    touched = {**(settings or {}), **{k: v for k, v in (("name", name), ("state", state), ("members", members)) if v}}
    await _audit(session, "inbox.updated", inbox["id"], by, now, touched)


async def _changed_settings(
    services: Services, session: AsyncSession, inbox: RowMapping, settings: Mapping[str, Any]
) -> dict[str, Any]:
    descriptor = services.channel(inbox["channel"])
    common, own = parted(settings)
    await _check_common(services, session, descriptor, common)
    if not own:
        return common
    before = {**inbox["config"], **open_secrets(services, inbox)}
    config = validated(descriptor, {**before, **own})
    check_hosts(descriptor, inbox["config"], config, own)
    public, secret = apart(config)
    return {
        **common,
        "config": public,
        "handle": handle_of(descriptor, public),
        "secrets": sealed(services, inbox["id"], secret),
    }


async def remove(session: AsyncSession, inbox: RowMapping, *, by: Actor, now: datetime) -> None:
    """It receives and sends no more; its conversations stay."""
    gone = {"deleted_at": now, "state": InboxStatus.PAUSED.value, "version": inbox["version"] + 1, "secrets": b""}
    await session.execute(update(inboxes).where(inboxes.c.id == inbox["id"]).values(gone))
    await _audit(session, "inbox.removed", inbox["id"], by, now, {})


async def list_inboxes(session: AsyncSession, actor: Actor, *, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """Those that the actor may work in, the oldest first."""
    query = _WITH_STATE.where(inboxes.c.deleted_at.is_(None)).order_by(inboxes.c.id).limit(limit)
    if after is not None:
        query = query.where(inboxes.c.id > after)
    if not actor.sees_all:
        query = query.where(inboxes.c.id.in_(actor.inbox_ids))
    return (await session.execute(query)).mappings().all()


async def get_inbox(session: AsyncSession, actor: Actor, inbox_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = _WITH_STATE.where(inboxes.c.id == inbox_id, inboxes.c.deleted_at.is_(None))
    if version is not None:
        query = query.with_for_update(of=inboxes, key_share=True)
    found = (await session.execute(query)).mappings().one_or_none() if may_use(actor, inbox_id) else None
    if found is None:
        raise NotFound("there is no such inbox")
    if version is not None and found["version"] != version:
        raise Stale(extra={"version": found["version"]})
    return found


_WITH_STATE: Final = select(
    inboxes,
    inbox_states.c.last_success_at,
    inbox_states.c.failing_since,
    inbox_states.c.error_kind,
    inbox_states.c.error_detail,
).outerjoin(inbox_states, inbox_states.c.inbox_id == inboxes.c.id)


async def members_of(session: AsyncSession, inbox_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    query = select(inbox_members).where(inbox_members.c.inbox_id.in_(inbox_ids)).order_by(inbox_members.c.agent_id)
    for inbox_id, agent_id in (await session.execute(query)) if inbox_ids else ():
        found.setdefault(inbox_id, []).append(agent_id)
    return found


async def _check_common(
    services: Services, session: AsyncSession, channel: Channel, common: Mapping[str, UUID | bool | None]
) -> None:
    """Raises `NotFound` for what is not there, and keeps what is from being removed until the transaction ends."""
    if common.get("continued_by_id") is not None:
        await _check_continued(services, session, channel, common["continued_by_id"])
    for name, (table, alive, what) in _COMMON.items():
        wanted = common.get(name)
        query = select(table.c.id).where(table.c.id == wanted, alive).with_for_update(read=True)
        if wanted is not None and await session.scalar(query) is None:
            raise NotFound(f"there {what}")


async def _check_continued(services: Services, session: AsyncSession, channel: Channel, wanted: object) -> None:
    if not channel.capabilities.live:
        raise Invalid.field("continued_by_id", f"{channel.title} goes on by itself; this is for live channels")
    query = select(inboxes.c.channel).where(inboxes.c.id == wanted, inboxes.c.deleted_at.is_(None))
    query = query.where(inboxes.c.state == InboxStatus.ACTIVE.value)
    found = await session.scalar(query.with_for_update(read=True))
    if found is None:
        raise NotFound("there is no such inbox, or it is paused")
    if not services.channel(found).capabilities.letters:
        raise Invalid.field("continued_by_id", "name an inbox of a channel that carries letters")


_COMMON: Final[Mapping[str, tuple[Table, ColumnElement[bool], str]]] = {
    "team_id": (teams, true(), "is no such team"),
    "business_hours_id": (business_hours, business_hours.c.deleted_at.is_(None), "are no such business hours"),
    "sla_policy_id": (sla_policies, sla_policies.c.deleted_at.is_(None), "is no such SLA policy"),
}


async def _set_members(session: AsyncSession, inbox_id: UUID, members: Sequence[UUID]) -> None:
    wanted = list(dict.fromkeys(members))
    if not wanted:
        return
    known = set((await session.execute(select(agents.c.id).where(agents.c.id.in_(wanted)))).scalars())
    if known != set(wanted):
        raise NotFound("there is no such agent")
    await insert_rows(session, inbox_members, [{"inbox_id": inbox_id, "agent_id": agent_id} for agent_id in wanted])


async def _audit(
    session: AsyncSession, action: str, inbox_id: UUID, by: Actor, now: datetime, touched: Mapping[str, Any]
) -> None:
    await audit.record(
        session, action, subject="inbox", subject_id=inbox_id, by=by, now=now, data={"fields": sorted(touched)}
    )
