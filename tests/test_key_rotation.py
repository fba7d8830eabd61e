"""A new master key: what the old one sealed can be read without it."""

from __future__ import annotations

import base64

from pydantic import SecretStr
from sqlalchemy import LargeBinary, select

from helpdesk.commands import setup
from helpdesk.crypto import Keyring
from helpdesk.models import metadata
from helpdesk.models.inboxes import inboxes
from helpdesk.services import alert_routes, inbox_settings, webhooks
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from tests import factories
from tests.conftest import SECRET

NEW = "2:" + base64.b64encode(bytes(range(32, 64))).decode()
WRAPPED = {"data_key", "body"}
"""What keys of inboxes and contacts seal in turn."""


async def test_after_rotation_the_old_key_is_not_needed(services: Services) -> None:
    inbox_id = await factories.inbox(services, imap_url="imaps://mail.example.com", imap_password="secret")
    contact_id = await factories.contact(services)
    webhook_id, route_id = await factories.webhook(services), await factories.alert_route(services)
    both = services.settings.model_copy(update={"secret_key": SecretStr(f"{NEW},{SECRET}")})
    (said,) = await setup.rotate_keys(both)
    assert said == "4 keys are sealed with key 2"
    later = Services(services.settings, services.database, Keyring(NEW), services.blobs, services.channels)
    async with services.database.reading() as session:
        row = (await session.execute(select(inboxes).where(inboxes.c.id == inbox_id))).mappings().one()
        assert inbox_settings.open_secrets(later, row)["imap_password"] == "secret"
        await Keys(later.keyring).load(session, f"contact:{contact_id}")
        webhook = await webhooks.get_webhook(session, webhook_id)
        assert webhooks.signing_secrets(later, webhook, now=factories.clock.now())[0].startswith("whsec_")
        assert alert_routes.open_route(later, await alert_routes.get_route(session, route_id)).address["url"]


def test_no_sealed_column_is_forgotten() -> None:
    known = {(table.name, column) for table, columns in setup.SEALED.items() for column in columns}
    there = {
        (table.name, column.name)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary) and column.name not in WRAPPED
    }
    assert there == known
