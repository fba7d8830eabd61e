"""The parts put together: what `api`, `worker`, `up` and the commands all start from."""

from __future__ import annotations

import connectors
from helpdesk.blobstore import open_store
from helpdesk.config import Settings
from helpdesk.crypto import Keyring
from helpdesk.db import Database
from helpdesk.net import AllowList, Guard
from helpdesk.services.house import Services


def open_services(settings: Settings, *, plan_once: bool = False) -> Services:
    """Nothing connects yet. Close with `services.database.close()`. `plan_once` is told by `Database`."""
    return Services(
        settings=settings,
        database=Database(settings.database, pool=settings.database_pool, plan_once=plan_once),
        keyring=Keyring(settings.secret_key.get_secret_value()),
        blobs=open_store(settings.blob_url, data=settings.data),
        channels=connectors.discover(),
    )


def open_guard(settings: Settings) -> Guard:
    """The guard with the allow list of the settings. Raises `Invalid`, naming the entry that is wrong."""
    return Guard(AllowList.parse(settings.hosts_allowed))
