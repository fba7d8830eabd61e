"""An inbox at work: its connector, and whether what it promises holds, also of settings that nobody has saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select

from helpdesk.channels import Check, Checks, Connector, House
from helpdesk.db import new_id
from helpdesk.errors import Invalid, Unavailable
from helpdesk.models.inboxes import inboxes
from helpdesk.net import Guard
from helpdesk.services.house import Services
from helpdesk.services.inbox_settings import (
    apart,
    check_hosts,
    load_config,
    open_secrets,
    parted,
    save_secrets,
    validated,
)


async def check(services: Services, row: RowMapping, *, send: bool) -> Sequence[Check]:
    """Try what the inbox promises, with no transaction open. Raises `Unavailable` where the channel cannot check."""
    return await _check(connect(services, services.guard(), row), send=send)


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
    _, own = parted(settings)
    stored = {} if saved is None else open_secrets(services, saved)
    config = validated(descriptor, {**({} if saved is None else saved["config"]), **stored, **own})
    if saved is not None:
        check_hosts(descriptor, saved["config"], config, own)
    inbox_id = new_id() if saved is None else saved["id"]

    async def save(changed: Mapping[str, str]) -> None:
        kept = {name: value for name, value in changed.items() if name in stored and name not in own}
        if kept:
            async with services.database.transaction() as session:
                await save_secrets(services, session, inbox_id, kept)

    async def secrets() -> Mapping[str, str]:
        given = {name: value for name, value in apart(config)[1].items() if name in own or saved is None}
        return {**(await _stored(services, inbox_id)), **given}

    house = _house(services, services.guard(), inbox_id, save_secrets=save, stored_secrets=secrets)
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
