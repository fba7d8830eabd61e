"""One account, as the core uses it. Each method hands on to the module that does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from connectors.x import authorize as oauth_grant
from connectors.x import check as checking
from connectors.x import media, webhooks
from connectors.x.client import Client
from connectors.x.compose import compose
from connectors.x.config import XConfig, own_id
from connectors.x.find import find
from connectors.x.items import MESSAGE
from connectors.x.poll import Poller
from connectors.x.profile import profile_of
from connectors.x.send import send
from helpdesk.channels import (
    Check,
    Composed,
    Consent,
    Host,
    House,
    OutboundMessage,
    Profile,
    Receipt,
    TemporaryFailure,
)
from helpdesk.net import safe_http


class XConnector:
    """Keep one instance per inbox and process, and `close` it."""

    def __init__(self, config: XConfig, house: House) -> None:
        self._config, self._house = config, house
        self._client = Client(config, house)
        self._files = safe_http(house.guard)
        self._own = own_id(config)

    async def run(self, host: Host) -> None:
        poller = Poller(self._config, self._client, host)
        if not self._config.webhook:
            await poller.run()
            return
        keeping = asyncio.create_task(
            webhooks.keep(self._client, self._house.base_url, host.inbox_id, tell=poller.brought_to)
        )
        try:
            await poller.run()
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    def compose(self, message: OutboundMessage) -> Composed:
        return compose(self._config, message)

    async def send(self, message: OutboundMessage | Composed, *, at_final: Callable[[], Awaitable[None]]) -> Receipt:
        composed = message if isinstance(message, Composed) else await asyncio.to_thread(self.compose, message)
        own = await self._number()
        return await send(self._client, own, self._config.username, composed, at_final=at_final)

    async def find_sent(self, message: Composed) -> Receipt | None:
        return await find(self._client, await self._number(), self._config.username, message)

    async def fetch(self, source: str, *, max_bytes: int) -> bytes:
        return await media.fetch(self._files, self._config, source, max_bytes=max_bytes)

    async def hide(self, external_id: str, *, hidden: bool) -> None:
        """Only answers below our own posts can be: the vendor refuses any other."""
        await self._client.call("hide_reply" if hidden else "unhide_reply", external_id)

    async def profile(self) -> Profile:
        me = (await self._client.call("get_me", user_fields=MESSAGE["user_fields"])).get("data")
        try:
            return profile_of(me if isinstance(me, dict) else {})
        except ValueError:
            raise TemporaryFailure("The vendor does not say whose token this is") from None

    async def check(self, *, send: bool = False) -> Sequence[Check]:
        found = await checking.check(self._config, self._client)
        if self._config.webhook:
            found.append(await webhooks.check(self._client, self._house.base_url, self._house.inbox_id))
        return found

    async def authorize(self, tell: Callable[[str], None]) -> Mapping[str, str]:
        return await oauth_grant.authorize(self._config, self._files, tell)

    def consent_url(self, asked: Consent) -> str:
        return oauth_grant.consent_url(self._config, asked)

    async def redeem(self, code: str, asked: Consent) -> Mapping[str, str]:
        return await oauth_grant.redeem(self._config, self._files, code, asked)

    async def close(self) -> None:
        await self._client.close()
        await self._files.aclose()

    async def _number(self) -> str:
        if not self._own:
            self._own = (await self.profile()).id
        return self._own
