"""One bot, as the core uses it. Each method hands on to the module that does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from aiogram.methods import GetMe

from connectors.telegram.check import check
from connectors.telegram.compose import compose
from connectors.telegram.config import TelegramConfig
from connectors.telegram.receive import Receiver
from connectors.telegram.send import send
from connectors.telegram.session import Api
from helpdesk.channels import Check, Composed, Host, House, OutboundMessage, Profile, Receipt, TemporaryFailure


class TelegramConnector:
    """Keep one instance per inbox and process, and `close` it.

    There is no history that a bot could look into, so a message of which nobody knows whether it was taken rests until
    a person decides.
    """

    def __init__(self, config: TelegramConfig, house: House) -> None:
        self._config, self._base_url, self._inbox_id = config, house.base_url, house.inbox_id
        self._api = Api(config, house.guard)

    async def run(self, host: Host) -> None:
        await Receiver(self._config, self._api, host, base_url=self._base_url).run()

    def compose(self, message: OutboundMessage) -> Composed:
        return compose(self._config, message)

    async def send(self, message: OutboundMessage | Composed, *, at_final: Callable[[], Awaitable[None]]) -> Receipt:
        composed = message if isinstance(message, Composed) else await asyncio.to_thread(self.compose, message)
        return await send(self._api, composed, at_final=at_final)

    async def fetch(self, source: str, *, max_bytes: int) -> bytes:
        return await self._api.fetch(source, max_bytes=max_bytes)

    async def profile(self) -> Profile:
        me = await self._api.call(GetMe())
        if not isinstance(me, dict):
            raise TemporaryFailure("What it says of the bot is no object")
        username = str(me.get("username", ""))
        name = str(me.get("first_name", ""))
        return Profile(self._config.bot_id, username, name, url=f"https://t.me/{username}")

    async def check(self, *, send: bool = False) -> Sequence[Check]:
        return await check(self._config, self._api, self._base_url, self._inbox_id)

    async def close(self) -> None:
        await self._api.close()
