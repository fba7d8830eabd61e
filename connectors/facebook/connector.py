"""One inbox, as the core uses it. Each method hands on to the module that does it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from connectors.facebook import (
    check,
    comments,
    compose_comments,
    find,
    find_comments,
    media,
    moderate,
    names,
    profile,
    reconcile,
    send,
    subscription,
)
from connectors.facebook.compose import body_of, compose
from connectors.facebook.config import MetaConfig
from connectors.facebook.graph import Graph
from helpdesk.channels import (
    ChannelError,
    Check,
    Composed,
    Host,
    House,
    OutboundMessage,
    Profile,
    Receipt,
    TemporaryFailure,
)
from helpdesk.net import safe_http

LOOK_SECONDS: Final = 600.0
"""Between two looks at whether the token still serves, and at what no webhook brought: they just stop coming."""

NAMES_SECONDS: Final = 60.0
"""Between two looks at what people are called."""

LONGEST_PAUSE_SECONDS: Final = 300.0
LONGEST_WAIT_SECONDS: Final = 3600.0
"""Where the vendor says when to ask again."""

FIRST_PAUSE_SECONDS: Final = 5.0


class MetaConnector:
    """Keep one instance per inbox and process, and `close` it. Connections are opened when they are first needed."""

    def __init__(self, config: MetaConfig, house: House) -> None:
        self._config, self._house = config, house
        self._http = safe_http(house.guard)
        self._graph = Graph(config, self._http)

    async def run(self, host: Host) -> None:
        """Webhooks bring nearly everything: this sees to it that they come, and reads what they did not bring."""
        pause, subscribed, look_at = FIRST_PAUSE_SECONDS, False, 0.0
        people = names.Names(self._graph, self._config)
        while True:
            try:
                if time.monotonic() >= look_at:
                    await check.confirm(self._graph, self._config)
                    if not subscribed:
                        await subscription.subscribe(self._graph, self._config)
                        subscribed = True
                    await reconcile.reconcile(self._graph, self._config, host)
                    look_at = time.monotonic() + LOOK_SECONDS
                await people.look(host)
            except ChannelError as error:
                await host.failed(error)
                asked = error.retry_after if isinstance(error, TemporaryFailure) else None
                await asyncio.sleep(min(asked, LONGEST_WAIT_SECONDS) if asked else pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                await host.succeeded()
                pause = FIRST_PAUSE_SECONDS
                await asyncio.sleep(NAMES_SECONDS)

    def compose(self, message: OutboundMessage) -> Composed:
        return compose(self._config, message)

    async def send(self, message: OutboundMessage | Composed, *, at_final: Callable[[], Awaitable[None]]) -> Receipt:
        composed = message if isinstance(message, Composed) else await asyncio.to_thread(self.compose, message)
        body = body_of(composed)
        sender = comments.send if body["kind"] in compose_comments.KINDS else send.send
        return await sender(self._graph, self._config, composed, body, at_final=at_final)

    async def find_sent(self, message: Composed) -> Receipt | None:
        body = body_of(message)
        finder = find_comments.find if body["kind"] in compose_comments.KINDS else find.find
        return await finder(self._graph, self._config, message, body)

    async def hide(self, external_id: str, *, hidden: bool) -> None:
        await moderate.hide(self._graph, external_id, hidden=hidden)

    async def fetch(self, source: str, *, max_bytes: int) -> bytes:
        return await media.fetch(self._graph, self._http, self._config, source, max_bytes=max_bytes)

    async def profile(self) -> Profile:
        return await profile.profile(self._graph, self._config)

    async def check(self, *, send: bool = False) -> Sequence[Check]:
        inbox_id, base_url = self._house.inbox_id, self._house.base_url
        return await check.check(self._graph, self._config, base_url=base_url, inbox_id=inbox_id)

    async def close(self) -> None:
        await self._http.aclose()
