"""One chat inbox, as the workers use it: there is nothing to fetch, and what is in the log is delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from connectors.chat.config import ChatConfig
from helpdesk.channels import Check, Composed, Host, House, OutboundMessage, PermanentFailure, Receipt
from helpdesk.clock import now

_SAY_WELL_SECONDS: Final = 60.0


class ChatConnector:
    """Visitors come by the routes (`connectors.chat.routes`), in the processes that serve them."""

    def __init__(self, config: ChatConfig, _house: House) -> None:
        self._config = config

    async def run(self, host: Host) -> None:
        """The other side is our own server: as long as this runs, the inbox is well."""
        while True:
            await host.succeeded()
            await asyncio.sleep(_SAY_WELL_SECONDS)

    async def send(self, message: OutboundMessage | Composed, *, at_final: Callable[[], Awaitable[None]]) -> Receipt:
        """At once: visitors read the log itself, and have been rung when it was written."""
        if isinstance(message, Composed):
            raise PermanentFailure("nothing is composed for a chat")
        await at_final()
        return Receipt(message.client_token, now(), accepted=tuple(one.handle for one in message.to))

    async def check(self, *, send: bool = False) -> Sequence[Check]:
        """There is no other side to try: this says what the settings come to."""
        sites, config = len(self._config.origins), self._config
        embedded = f"{sites} origin{'s' if sites > 1 else ''} may embed it"
        way = "HS256" if config.identity_secret.get_secret_value() else "EdDSA"
        return [
            Check("origins", ok=True, detail=embedded if sites else "none: only apps and the demo page may use it"),
            Check("identity", ok=True, detail=f"signed by the host site ({way})" if config.vouched else "not vouched"),
        ]
