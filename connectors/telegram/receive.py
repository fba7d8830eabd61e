"""How updates come in: asked for with patience, or by webhook.

Asking for what lies behind an update says that it may be forgotten over there, so that is asked only once it is
committed here. The first question after a start names nothing: what was stored already comes again and is a no-op, and
after a silence of a week the numbers may begin anew below the old ones.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiogram.methods import DeleteWebhook, GetMe, GetUpdates, GetWebhookInfo, SetWebhook

from connectors.telegram import updates
from connectors.telegram.config import TelegramConfig
from connectors.telegram.session import Api
from helpdesk.channels import ChannelError, Host, Misconfigured, TemporaryFailure, Unreachable
from helpdesk.clock import now

POLL_SECONDS: Final = 25
AT_ONCE: Final = 100
LOOK_SECONDS: Final = 300.0
_MAX_PAUSE: Final = 60.0


class Receiver:
    """One bot's way in. `base_url` is where the house is reached, for the webhook."""

    def __init__(self, config: TelegramConfig, api: Api, host: Host, *, base_url: str) -> None:
        self._config, self._api, self._host = config, api, host
        self._url = f"{base_url}/channels/telegram/{host.inbox_id}/webhook"
        self._webhook = config.by_webhook(base_url)
        self._pause = 1.0

    async def run(self) -> None:
        while True:
            try:
                await (self._watch() if self._webhook else self._poll())
            except ChannelError as error:
                await self._host.failed(error)
                asked = error.retry_after if isinstance(error, TemporaryFailure) else None
                await asyncio.sleep(asked if asked is not None else self._pause)
                self._pause = min(self._pause * 2, _MAX_PAUSE)

    def _is_well(self) -> None:
        self._pause = 1.0

    async def _poll(self) -> None:
        """Until something fails. A webhook that is set would keep the updates from us."""
        me = await self._api.call(GetMe())
        username = str(me.get("username", "")) if isinstance(me, dict) else ""
        await self._api.call(DeleteWebhook(drop_pending_updates=False))
        acknowledged: dict[str, int] = {}
        while True:
            asked = GetUpdates(limit=AT_ONCE, timeout=POLL_SECONDS, allowed_updates=updates.KINDS, **acknowledged)
            found = await self._api.call(asked, wait=POLL_SECONDS)
            if not isinstance(found, list):
                raise TemporaryFailure("Its updates are no list")
            if found:
                await self._accept(found, username or self._config.username)
            await self._host.succeeded()
            self._is_well()
            acknowledged = _behind(found)
            if found and not acknowledged:
                raise TemporaryFailure("Its updates bear no numbers, so that they come again and again")

    async def _accept(self, found: list[object], username: str) -> None:
        at, bot_id = now(), self._config.bot_id
        batch = [updates.raw(updates.encoded(one), bot_id=bot_id, username=username, now=at) for one in found]
        await self._host.accept(batch, cursor={"update_id": _behind(found).get("offset", 0) - 1})

    async def _watch(self) -> None:
        """Ask for the webhook, and look now and then how it fares."""
        if not self._url.startswith("https://") and not self._config.api_url:
            raise Misconfigured("A webhook needs HELPDESK_BASE_URL to begin with https://")
        told = now().timestamp()
        await self._set()
        while True:
            info = await self._api.call(GetWebhookInfo())
            if not isinstance(info, dict):
                raise TemporaryFailure("What it says of the webhook is no object")
            if info.get("url") != self._url:
                await self._set()
            failed_at = info.get("last_error_date")
            if isinstance(failed_at, int) and failed_at > told:
                told = failed_at
                await self._host.failed(Unreachable("Its webhooks do not reach HELPDESK_BASE_URL"))
            else:
                await self._host.succeeded()
            self._is_well()
            await asyncio.sleep(LOOK_SECONDS)

    async def _set(self) -> None:
        await self._api.call(
            SetWebhook(
                url=self._url,
                secret_token=self._config.secret,
                allowed_updates=updates.KINDS,
                max_connections=20,
            )
        )


def _behind(found: list[object]) -> dict[str, int]:
    """What to ask for next, so that these are not told again."""
    numbers = [one["update_id"] for one in found if isinstance(one, dict) and isinstance(one.get("update_id"), int)]
    return {"offset": max(numbers) + 1} if numbers else {}
