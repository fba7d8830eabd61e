"""Inboxes: settings checked by their channel's own model, secrets sealed apart, and a saved password that never
follows to a changed host.

`COMMON` are settings of every inbox; all others are the channel's. By the one of `continued_by_id` goes on what a
visitor of a live channel does not read in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from pydantic import BaseModel, SecretStr, ValidationError
from sqlalchemy import ColumnElement, RowMapping, Table, delete, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Channel, Check, Checks, Connector, House
from helpdesk.db import insert_rows, new_id
from helpdesk.domain.values import Actor, InboxStatus
from helpdesk.errors import Conflict, FieldError, Invalid, NotFound, Stale, Unavailable
from helpdesk.models.agents import agents, teams
from helpdesk.models.inboxes import inbox_members, inbox_states, inboxes
from helpdesk.models.sla import business_hours, sla_policies
from helpdesk.net import AllowList, Guard
from helpdesk.services import audit
from helpdesk.services.access import may_use
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys

SWITCHES: Final = ("rating", "integration_replies_count")
COMMON: Final = ("team_id", "business_hours_id", "sla_policy_id", *SWITCHES, "continued_by_id")


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
    common, own = _split(settings)
    config = _validate(descriptor, own)
    inbox_id = new_id()
    public, secret = _apart(config)
    row = {
        "id": inbox_id,
        "channel": channel,
        "name": name.strip(),
        "handle": _handle(descriptor, public),
        "config": public,
        "secrets": _seal(services, inbox_id, secret),
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
    common, own = _split(settings)
    await _check_common(services, session, descriptor, common)
    if not own:
        return common
    before = {**inbox["config"], **open_secrets(services, inbox)}
    config = _validate(descriptor, {**before, **own})
    _check_hosts(descriptor, inbox["config"], config, own)
    public, secret = _apart(config)
    return {
        **common,
        "config": public,
        "handle": _handle(descriptor, public),
        "secrets": _seal(services, inbox["id"], secret),
    }


def _check_hosts(descriptor: Channel, before: Mapping[str, Any], after: BaseModel, given: Mapping[str, Any]) -> None:
    """A secret goes only to the host that it was saved for: whoever may change a host must know the secret as well.

    `imap_password` belongs to `imap_url`. A secret that belongs to no URL by its name (an OAuth grant, a token) may
    be sent to any of them, in whatever form, so it has to be given again for each.
    """
    public, secret = _apart(after)
    stems = tuple(name.removesuffix("url") for name in public if name.endswith("_url"))
    for name, value in public.items():
        if not name.endswith("_url") or _host(value) == _host(before.get(name)):
            continue
        stem = name.removesuffix("url")
        at_risk = [s for s in secret if s.startswith(stem) or not s.startswith(stems)]
        in_url = bool(urlsplit(str(given.get(name) or "")).password)
        missing = [s for s in at_risk if not given.get(s) and not (in_url and s == f"{stem}password")]
        if missing:
            raise Invalid(
                f"{name} names another host: give the saved secrets for it again",
                errors=[
                    FieldError(f"settings.{s}", f"give it again, since {name} names another host") for s in missing
                ],
            )


def _host(url: Any) -> tuple[str, str | None, int | None]:
    """Scheme too: from TLS to plain is another place to send a password to."""
    try:
        parts = urlsplit(str(url or ""))
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return "", None, None


def _split(settings: Mapping[str, Any]) -> tuple[dict[str, UUID | bool | None], dict[str, Any]]:
    common: dict[str, UUID | bool | None] = {}
    for name in COMMON:
        if name in settings:
            common[name] = (_switch if name in SWITCHES else _id)(name, settings[name])
    return common, {name: value for name, value in settings.items() if name not in COMMON}


def _id(name: str, value: Any) -> UUID | None:
    try:
        return None if value in (None, "") else UUID(str(value))
    except ValueError:
        raise Invalid.field(name, "use an id") from None


def _switch(name: str, value: Any) -> bool:
    word = str(value).lower()
    if word not in ("on", "off", "true", "false"):
        raise Invalid.field(name, "use on or off")
    return word in ("on", "true")


def _validate(descriptor: Channel, settings: Mapping[str, Any]) -> BaseModel:
    try:
        return descriptor.load_config().model_validate(dict(settings))
    except ValidationError as error:
        wrong = []
        for found in error.errors(include_input=False, include_url=False, include_context=False):
            message = found["msg"].removeprefix("Value error, ")
            place = ".".join(str(part) for part in found["loc"])
            if not place and ": " in message:  # a rule over several settings names the one to change
                place, message = message.split(": ", 1)
            wrong.append(FieldError(f"settings.{place}" if place else "settings", message))
        raise Invalid("; ".join(f"{w.field}: {w.message}" for w in wrong), errors=wrong) from None


def _apart(config: BaseModel) -> tuple[dict[str, Any], dict[str, str]]:
    """Public settings as JSON values, and the secrets that are not empty."""
    secret = {
        name: value.get_secret_value()
        for name in type(config).model_fields
        if isinstance(value := getattr(config, name), SecretStr)
    }
    public = config.model_dump(mode="json", exclude=set(secret))
    return public, {name: value for name, value in secret.items() if value}


def _handle(descriptor: Channel, public: Mapping[str, Any]) -> str:
    return str(public.get(descriptor.address_key) or "").lower() if descriptor.address_key else ""


def _seal(services: Services, inbox_id: UUID, secret: Mapping[str, str]) -> bytes:
    return services.keyring.seal(orjson.dumps(dict(secret)), row=f"inbox:{inbox_id}:secrets") if secret else b""


def open_secrets(services: Services, row: RowMapping) -> dict[str, str]:
    """Raises `CannotOpen` when the master key is not here."""
    if not row["secrets"]:
        return {}
    found: dict[str, str] = orjson.loads(services.keyring.open(row["secrets"], row=f"inbox:{row['id']}:secrets"))
    return found


def load_config(services: Services, row: RowMapping) -> BaseModel:
    """The whole configuration of an inbox row, secrets included."""
    descriptor = services.channel(row["channel"])
    return _validate(descriptor, {**row["config"], **open_secrets(services, row)})


async def save_secrets(services: Services, session: AsyncSession, inbox_id: UUID, changed: Mapping[str, str]) -> None:
    """Store rotated secrets beside the others. No new version: nobody who edits the settings has missed anything."""
    row = (
        (await session.execute(select(inboxes).where(inboxes.c.id == inbox_id).with_for_update(key_share=True)))
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound("there is no such inbox")
    merged = {**open_secrets(services, row), **changed}
    sealed = _seal(services, inbox_id, {name: value for name, value in merged.items() if value})
    await session.execute(update(inboxes).where(inboxes.c.id == inbox_id).values(secrets=sealed))


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


async def check(services: Services, row: RowMapping, *, send: bool) -> Sequence[Check]:
    """Try what the inbox promises, with no transaction open. Raises `Unavailable` where the channel cannot check."""
    return await _check(connect(services, _guard(services), row), send=send)


async def try_settings(
    services: Services, channel: str, settings: Mapping[str, Any], *, saved: RowMapping | None = None
) -> Sequence[Check]:
    """As `check`, of settings that are not saved, and that nothing is kept of.

    What they leave out is taken from the inbox `saved`, its secrets too: they go where they went before and nowhere
    else. A secret that is renewed meanwhile is stored where it succeeds a stored one. Raises `Invalid` as `edit` does.
    """
    descriptor = services.channel(channel)
    if saved is not None and saved["channel"] != channel:
        raise Invalid.field("channel", "the inbox is of another channel")
    _, own = _split(settings)
    stored = {} if saved is None else open_secrets(services, saved)
    config = _validate(descriptor, {**({} if saved is None else saved["config"]), **stored, **own})
    if saved is not None:
        _check_hosts(descriptor, saved["config"], config, own)
    inbox_id = new_id() if saved is None else saved["id"]

    async def save(changed: Mapping[str, str]) -> None:
        kept = {name: value for name, value in changed.items() if name in stored and name not in own}
        if kept:
            async with services.database.transaction() as session:
                await save_secrets(services, session, inbox_id, kept)

    async def secrets() -> Mapping[str, str]:
        given = {name: value for name, value in _apart(config)[1].items() if name in own or saved is None}
        return {**(await _stored(services, inbox_id)), **given}

    house = _house(services, _guard(services), inbox_id, save_secrets=save, stored_secrets=secrets)
    return await _check(descriptor.load_connector()(config, house), send=False)


async def _check(connector: Connector, *, send: bool) -> Sequence[Check]:
    if not isinstance(connector, Checks):
        raise Unavailable("this channel cannot be checked", status=409, slug="cannot_check")
    return await connector.check(send=send)


async def _stored(services: Services, inbox_id: UUID) -> Mapping[str, str]:
    """Its secrets as they are now; none where there is no such inbox, or not any more."""
    async with services.database.reading() as session:
        found = (await session.execute(select(inboxes).where(inboxes.c.id == inbox_id))).mappings().one_or_none()
    return open_secrets(services, found) if found is not None else {}


def _guard(services: Services) -> Guard:
    return Guard(AllowList.parse(services.settings.hosts_allowed))


def _house(services: Services, guard: Guard, inbox_id: UUID, **secrets: Any) -> House:
    outgoing = str(services.settings.data / "outgoing")
    return House(guard, inbox_id, outgoing, base_url=services.settings.base_url, **secrets)


def connect(services: Services, guard: Guard, row: RowMapping) -> Connector:
    """The connector of one inbox, with its secrets. The channel's code is imported here, when it is first needed."""

    async def save(changed: Mapping[str, str]) -> None:
        async with services.database.transaction() as session:
            await save_secrets(services, session, row["id"], changed)

    async def stored() -> Mapping[str, str]:
        return await _stored(services, row["id"])

    house = _house(services, guard, row["id"], save_secrets=save, stored_secrets=stored)
    return services.channel(row["channel"]).load_connector()(load_config(services, row), house)


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
