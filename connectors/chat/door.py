"""Who may come in: by which origin, with which token, how fast. The same for every transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from uuid import UUID

from connectors.chat import origins
from connectors.chat.config import ChatConfig
from connectors.chat.rates import ADDRESS_RATES, RATES, RateLimited, Rates, Seats, network
from helpdesk.channels import Misconfigured
from helpdesk.errors import HelpdeskError
from helpdesk.live import LiveHost, LiveInbox, SessionRefused, Subscription, Visitor

MOST_TOKEN: Final = 200
_STRANGERS, _STRANGERS_EACH = 2000, 200
"""Sockets that have not said who they are: of this process, and of one address."""
_GUESTS_EACH = 500
"""Connections of one address in any case; the host says how many there may be of all."""
_FULL_SECONDS = 30
_FILES, _FILES_EACH = 64, 16
"""Files that are on their way, and in memory until then: of this process, and of one session."""


class OriginRefused(HelpdeskError):
    slug, status, title = "origin_refused", 403, "This site is not on the list of the inbox"


class QueryRefused(HelpdeskError):
    """Addresses end up in logs and histories. What was in this one is no secret any more."""

    slug, status, title = "query_refused", 400, "The address has what does not belong there; a token goes elsewhere"


class Door:
    """What all transports of one process share: rates, and who is at the door."""

    def __init__(self, host: LiveHost) -> None:
        self.host = host
        self.rates = Rates()
        self.strangers = Seats(most=_STRANGERS, each=_STRANGERS_EACH)
        self._guests = Seats(most=host.most_connected, each=_GUESTS_EACH, spare=True)
        self._files = Seats(most=_FILES, each=_FILES_EACH)
        self._own = origins.own(host.base_url)

    async def check_origin(self, origin: str | None, inbox_id: object = None) -> None:
        """Raises `OriginRefused` unless the inbox has it on its list; before one is known, any of ours will do.

        Apps name none. `null`, which a page in a sandbox or from a file says, is on no list.
        """
        if origin is None or origin in self._own:
            return
        found = await self.host.inboxes()
        if not any(origin in config_of(one).origins for one in found if inbox_id in (None, one.inbox_id)):
            raise OriginRefused

    async def visitor(self, token: str) -> Visitor:
        """Raises `SessionRefused`."""
        if not token or len(token) > MOST_TOKEN or not token.isascii():
            raise SessionRefused
        return await self.host.visitor(token)

    def take(self, visitor: Visitor, kind: str) -> None:
        """Raises `RateLimited`."""
        self.rates.take(visitor.session_id, kind, RATES[kind])

    def take_at(self, address: str, kind: str) -> None:
        """The same for an address. Raises `RateLimited`."""
        self.rates.take(network(address), kind, ADDRESS_RATES[kind])

    @asynccontextmanager
    async def subscribe(
        self, address: str, visitor: Visitor, *, after: int, conversation_id: UUID | None
    ) -> AsyncIterator[Subscription]:
        """Have him read along, from this address. Raises `RateLimited` where too many do, and what the host raises."""
        whose = network(address)
        if not self._guests.sit(whose):
            raise RateLimited(extra={"retry_after": _FULL_SECONDS})
        try:
            async with self.host.subscribe(visitor, after=after, conversation_id=conversation_id) as line:
                yield line
        finally:
            self._guests.rise(whose)

    def take_file(self, visitor: Visitor) -> Callable[[], None]:
        """One more that he is sent; what is answered has to be called at its end. Raises `RateLimited`."""
        whose = str(visitor.session_id)
        if not self._files.sit(whose):
            raise RateLimited(extra={"retry_after": 2})
        return partial(self._files.rise, whose)


def config_of(inbox: LiveInbox) -> ChatConfig:
    if not isinstance(inbox.config, ChatConfig):
        raise Misconfigured("this is not an inbox of the chat")
    return inbox.config


def origin_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """What the browser says, None of an app. Raises `OriginRefused` for one that says it twice."""
    found = [value for name, value in headers if name == b"origin"]
    if len(found) > 1:
        raise OriginRefused
    return found[0].decode("latin-1") if found else None


def bearer(header: str) -> str:
    """The token of an Authorization header. Raises `SessionRefused`."""
    kind, _, token = header.partition(" ")
    if kind.lower() != "bearer":
        raise SessionRefused
    return token.strip()
