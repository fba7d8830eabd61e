"""Where the Bot API is spoken to: the library types the calls, the guard's client carries them.

Answers stay plain JSON. One field of a newer version that the library does not know would otherwise make a message that
was sent look as if it was not, and one odd update would stop all that wait behind it. The token is in the address of
each call, so no address is ever part of an error.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.methods import GetFile, TelegramMethod

from connectors.telegram.config import TelegramConfig
from connectors.telegram.errors import Answer, unreachable
from helpdesk import net
from helpdesk.channels import PermanentFailure, TemporaryFailure

MAX_ANSWER = 32 * 1024 * 1024
ANSWER_SECONDS = 30.0
UPLOAD_SECONDS = 120.0


def server(api_url: str) -> TelegramAPIServer:
    """The vendor's own, or the one at `api_url`."""
    return TelegramAPIServer.from_base(api_url) if api_url else PRODUCTION


class Api:
    """One bot's calls. Keep one instance per inbox and process, and `close` it."""

    def __init__(self, config: TelegramConfig, guard: net.Guard) -> None:
        self._token, self._server = config.token, server(config.api_url)
        self._http = net.safe_http(guard, max_bytes=MAX_ANSWER, timeout=ANSWER_SECONDS)

    async def call(
        self,
        method: TelegramMethod[Any],
        *,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        at_final: Callable[[], Awaitable[None]] | None = None,
        recipient: str = "",
        wait: float = 0.0,
    ) -> Any:
        """The `result` as it came. Raises a ChannelError.

        `files` are named in the call as `attach://NAME`. `at_final` is awaited right before the request leaves, and
        makes whatever is no answer `Uncertain`. `wait`: seconds for which the other side was asked to hold the call.
        """
        fields = method.model_dump(mode="json", exclude_unset=True, warnings=False)
        given: dict[str, Any] = {"json": fields}
        if files:
            given = {"data": {name: _form(value) for name, value in fields.items()}, "files": files}
        final = at_final is not None
        if at_final is not None:
            await at_final()
        url = self._server.api_url(self._token, method.__api_method__)
        seconds = (UPLOAD_SECONDS if files else ANSWER_SECONDS) + wait
        try:
            answer = Answer.read(await self._http.request("POST", url, **given, timeout=seconds))
        except net.Unreachable as error:
            raise unreachable(error, final=final) from None
        if not answer.ok:
            raise answer.error(final=final, recipient=recipient)
        return answer.result

    async def fetch(self, file_id: str, *, max_bytes: int) -> bytes:
        """A file's bytes. Raises a ChannelError, a permanent one where they cannot be had."""
        found = await self.call(GetFile(file_id=file_id))
        path = found.get("file_path") if isinstance(found, dict) else None
        if not isinstance(path, str) or not path or path.startswith("/") or ".." in path.split("/"):
            raise PermanentFailure("The file has no address any more")
        try:
            response = await self._http.request(
                "GET", self._server.file_url(self._token, path), max_bytes=max_bytes, timeout=UPLOAD_SECONDS
            )
        except net.Unreachable as error:
            if error.kind is net.Kind.TOO_LARGE:
                raise PermanentFailure("The file is larger than what is kept") from None
            raise unreachable(error, final=False) from None
        if response.status in (400, 403, 404, 410):
            raise PermanentFailure("The file is not there any more")
        if not response.ok:
            raise TemporaryFailure(f"The file cannot be had now (HTTP {response.status})")
        return response.body

    async def close(self) -> None:
        await self._http.aclose()


def _form(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
