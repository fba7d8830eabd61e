"""What vendors call is open to nobody else, whatever the vendor."""

from __future__ import annotations

import httpx
from sqlalchemy import func, select

from helpdesk.db import new_id
from helpdesk.models.inboxes import raw_items
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE

_META = {"page_id": "17", "page_token": "t", "app_secret": "s" * 32, "verify_token": "v"}
SETTINGS = {
    "facebook": _META,
    "instagram": {**_META, "instagram_id": "18"},
    "telegram": {"bot_token": f"1:{'t' * 35}", "webhook_secret": "s" * 16, "username": "desk_bot"},
    "x": dict.fromkeys(("consumer_key", "consumer_secret", "access_token", "access_token_secret"), "1-k"),
}
"""One inbox of each channel whose vendor calls."""


@ON_ONE_DATABASE
async def test_nobody_brings_anything_without_a_signature(services: Services, client: httpx.AsyncClient) -> None:
    called = {name: one for name, one in services.channels.items() if one.routes and not one.capabilities.live}
    assert called.keys() == SETTINGS.keys()
    inboxes = {name: await factories.inbox(services, channel=name, **SETTINGS[name]) for name in called}
    for name, channel in called.items():
        door = f"/channels/{channel.family or name}"
        for key, expected in ((inboxes[name], 401), (new_id(), 404), ("webhook", 404)):
            answer = await client.post(f"{door}/{key}/webhook", content=b'{"update_id": 1, "entry": []}')
            assert (name, answer.status_code) == (name, expected)
        # Nobody is told more than that by asking, unless he knows what the vendor was told.
        assert (await client.get(f"{door}/{new_id()}/webhook")).status_code in (404, 405)
        assert (await client.get(f"{door}/{inboxes[name]}/webhook")).status_code in (400, 403, 405)
    async with services.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(raw_items)) == 0
