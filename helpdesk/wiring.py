"""The parts put together: what `api`, `worker`, `up` and the commands all start from."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import RowMapping

import connectors
from helpdesk.blobstore import open_store
from helpdesk.channels import Connector, House
from helpdesk.config import Settings
from helpdesk.crypto import Keyring
from helpdesk.db import Database
from helpdesk.net import AllowList, Guard
from helpdesk.services import inboxes
from helpdesk.services.house import Services


def open_services(settings: Settings) -> Services:
    """Nothing connects yet. Close with `services.database.close()`."""
    return Services(
        settings=settings,
        database=Database(settings.database, pool=settings.database_pool),
        keyring=Keyring(settings.secret_key.get_secret_value()),
        blobs=open_store(settings.blob_url, data=settings.data),
        channels=connectors.discover(),
    )


def open_guard(settings: Settings) -> Guard:
    """The guard with the allow list of the settings. Raises `Invalid`, naming the entry that is wrong."""
    return Guard(AllowList.parse(settings.hosts_allowed))


def build_connector(services: Services, guard: Guard, inbox: RowMapping) -> Connector:
    """The connector of one inbox, with its secrets; the channel's code is imported here, when first needed."""

    async def save_secrets(changed: Mapping[str, str]) -> None:
        async with services.database.transaction() as session:
            await inboxes.save_secrets(services, session, inbox["id"], changed)

    house = House(
        guard=guard,
        inbox_id=inbox["id"],
        outgoing=str(services.settings.data / "outgoing"),
        save_secrets=save_secrets,
    )
    channel = services.channel(inbox["channel"])
    return channel.load_connector()(inboxes.load_config(services, inbox), house)
