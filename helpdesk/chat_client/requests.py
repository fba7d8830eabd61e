"""What a client asks by HTTP, and what the desk's answers mean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from helpdesk.chat_client.values import Refused

ANSWER_SECONDS: Final = 15.0


class Requests:
    """The routes below one address, asked with `token` where there is one."""

    def __init__(self, url: str, *, proxies: bool) -> None:
        self.base, self.token = f"{url.rstrip('/')}/channels/chat", ""
        self._http = httpx.AsyncClient(base_url=self.base, timeout=ANSWER_SECONDS, trust_env=proxies)

    async def call(self, method: str, path: str, **given: Any) -> Mapping[str, Any]:
        """Raises `Refused`, or what is raised when the network takes it."""
        answer = await self._http.request(method, path, headers=self._bearer, **given)
        judge(answer)
        try:
            found: Mapping[str, Any] = answer.json() if answer.content else {}
        except ValueError:  # a hotel's page, say
            raise ConnectionResetError from None
        return found

    async def file(self, path: str) -> bytes:
        answer = await self._http.get(path, headers=self._bearer)
        judge(answer)
        return answer.content

    @asynccontextmanager
    async def lines(self, path: str, query: Mapping[str, str], *, silence: float) -> AsyncIterator[AsyncIterator[str]]:
        """Of an answer that goes on. `silence`: after so many seconds without a word it counts as lost."""
        patience = httpx.Timeout(ANSWER_SECONDS, read=silence)
        async with self._http.stream("GET", path, params=query, headers=self._bearer, timeout=patience) as answer:
            if answer.is_error:
                await answer.aread()
            judge(answer)
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise ConnectionResetError
            yield answer.aiter_lines()

    async def close(self) -> None:
        await self._http.aclose()

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def judge(answer: httpx.Response) -> None:
    """Raises what a problem says. Proxies in between say theirs in other words, or send one elsewhere."""
    if answer.status_code < 300:
        return
    if answer.status_code < 400:
        raise ConnectionResetError
    told = answer.json() if answer.headers.get("content-type", "").startswith("application/problem+json") else {}
    code = str(told.get("type", "")).rpartition(":")[2] or ("unavailable" if answer.status_code >= 500 else "refused")
    wrong = next((one["field"] for one in told.get("errors", ())), "")
    waits = answer.headers.get("retry-after", "")
    again = answer.status_code in (429, 503)
    raise Refused(code, field=wrong, retry_after=float(waits) if waits.isdigit() else 1.0 if again else None)
