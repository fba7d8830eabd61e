"""The vendor's client as this house wants it: plain dictionaries, our connections and errors, no waiting of its own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tweepy.asynchronous.client import AsyncClient
from tweepy.errors import TweepyException

from connectors.x import auth, limits
from connectors.x.auth import TokenSource
from connectors.x.config import XConfig, origin
from connectors.x.session import OriginSession, Truncated
from helpdesk import net
from helpdesk.channels import AuthenticationFailed, House, TemporaryFailure, Uncertain
from helpdesk.clock import now
from helpdesk.net import safe_http

Final = Callable[[], Awaitable[None]]
_ODD = (TweepyException, ValueError, TypeError, AttributeError)
"""What the client makes of a refusal: its own exception, or whatever it stumbles over in an odd header."""

# It would write tokens and texts into a log that is set to tell everything.
logging.getLogger("tweepy").setLevel(logging.WARNING)


def build(**credentials: str | None) -> Any:
    """`credentials` are named as the client names them. Waiting for a limit would go on without a pause or an end."""
    return AsyncClient(**credentials, return_type=dict, wait_on_rate_limit=False)  # type: ignore[no-untyped-call]


class Client:
    """One account's. Keep one instance per inbox and process, and `close` it.

    Each call has a client and a session of its own: messages leave side by side, each with its own last moment.
    """

    def __init__(self, config: XConfig, house: House) -> None:
        self._config = config
        self._http = safe_http(house.guard)
        self._tokens = TokenSource(config, self._http, house) if config.oauth2 else None
        self._app_token = ""

    async def call(self, name: str, *args: Any, final: Final | None = None, **named: Any) -> dict[str, Any]:
        """A method of the client by its name. Raises a ChannelError.

        Only parameters that the client knows: it warns of any other, and goes on.
        """
        return await self._answered(lambda client, user: getattr(client, name)(*args, **named, **user), final)

    async def request(
        self,
        method: str,
        route: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        final: Final | None = None,
    ) -> dict[str, Any]:
        """A route that the client has no method for, or lets say less of than we want to. Raises a ChannelError."""

        async def made(client: Any, user: Mapping[str, bool]) -> dict[str, Any]:
            answer = await client.request(method, route, params=dict(params or {}), json=json, **user)
            found: dict[str, Any] = await answer.json()
            return found

        return await self._answered(made, final)

    async def request_as_app(self, method: str, route: str, *, json: Any = None) -> dict[str, Any]:
        """As the app itself, with a token that its key and secret are given. Raises a ChannelError."""
        if not self._app_token:
            self._app_token = await self._ask_as_app()
        client = build(bearer_token=self._app_token)
        client.session = session = OriginSession(self._http, origin(self._config))

        async def made() -> dict[str, Any]:
            answer = await client.request(method, route, params={}, json=json, user_auth=False)
            found: dict[str, Any] = await answer.json()
            return found

        try:
            return await self._told(made(), session)
        except AuthenticationFailed:
            self._app_token = ""
            raise

    async def _ask_as_app(self) -> str:
        config = self._config
        headers = {"Authorization": auth.basic(config.consumer_key, config.consumer_secret.get_secret_value())}
        try:
            body = await auth.post(
                self._http, f"{origin(config)}/oauth2/token", {"grant_type": "client_credentials"}, headers
            )
        except auth.Refused:
            raise AuthenticationFailed("The vendor does not accept consumer_key with its consumer_secret") from None
        return str(body.get("access_token") or "")

    async def _answered(
        self, made: Callable[[Any, Mapping[str, bool]], Awaitable[dict[str, Any]]], final: Final | None
    ) -> dict[str, Any]:
        once = _once(final) if final is not None else None
        for last in (False, True):
            token = await self._tokens.token() if self._tokens else ""
            client = self._build(token)
            client.session = session = OriginSession(self._http, origin(self._config), final=once)
            try:
                return await self._told(made(client, {"user_auth": not token}), session)
            except AuthenticationFailed:
                if last or self._tokens is None:
                    raise
                # An access token may end at any time; only a grant that gives no other has been withdrawn.
                self._tokens.forget(token)
        raise AssertionError

    def _build(self, token: str) -> Any:
        if token:
            return build(bearer_token=token)
        config = self._config
        return build(
            consumer_key=config.consumer_key,
            consumer_secret=config.consumer_secret.get_secret_value(),
            access_token=config.access_token.get_secret_value(),
            access_token_secret=config.access_token_secret.get_secret_value(),
        )

    async def _told(self, made: Awaitable[dict[str, Any]], session: OriginSession) -> dict[str, Any]:
        """What comes of a call, told in our words."""
        try:
            return await made
        except net.Unreachable as error:
            raise limits.unreachable(error, late=session.late) from None
        except Truncated:
            if session.late:
                raise Uncertain("The vendor's answer was cut") from None
            raise TemporaryFailure("The vendor's answer was cut") from None
        except _ODD:
            answer = session.answer
            if answer is None or 200 <= answer.status < 300:
                raise
            raise limits.meaning(answer.status, answer.headers, answer.problem, late=session.late, now=now()) from None

    async def close(self) -> None:
        await self._http.aclose()


def _once(final: Final) -> Final:
    """A request that is made again with a fresh token was refused the first time: its last moment has been told."""
    told = False

    async def tell() -> None:
        nonlocal told
        if not told:
            await final()
            told = True

    return tell
