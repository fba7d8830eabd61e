"""Calls of the Graph API. The token travels in a header and never in a URL, since URLs end in logs.

Each call bears a proof, made of the token with the app's secret, so that a stolen token alone is of no use.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from connectors.facebook.config import MetaConfig
from connectors.facebook.errors import Refusal
from helpdesk import net
from helpdesk.channels import ChannelError, Misconfigured, TemporaryFailure, Uncertain, Unreachable
from helpdesk.clock import now

MAX_ANSWER: Final = 4 * 1024 * 1024
SECONDS: Final = 20.0
UPLOAD_SECONDS: Final = 120.0


class Graph:
    """One inbox's calls. Each answers a JSON object or raises a ChannelError.

    `permission` is what the call needs, told to people when it is missing. `final`: it does something that must not be
    done twice, so that whatever is not an answer is `Uncertain`. `recipient` is who is named where he is refused.
    """

    def __init__(self, config: MetaConfig, http: net.SafeHttp) -> None:
        self._base, self._http = config.base_url, http
        token = config.page_token.get_secret_value()
        secret = config.app_secret.get_secret_value()
        self._headers = {"Authorization": f"Bearer {token}"}
        self._proof = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        self.ahead = timedelta()
        """How far the vendor's clock is ahead of ours, as of its last answer."""

    async def get(self, path: str, params: Mapping[str, str] | None = None, *, permission: str = "") -> dict[str, Any]:
        return await self._call("GET", path, params=params, permission=permission)

    async def post(
        self, path: str, *, permission: str = "", final: bool = False, recipient: str = "", **what: Any
    ) -> dict[str, Any]:
        """`what`: `json`, `data`, `files` or `params`."""
        return await self._call("POST", path, permission=permission, final=final, recipient=recipient, **what)

    async def pages(
        self, path: str, params: Mapping[str, str], *, limit: int, permission: str = ""
    ) -> AsyncIterator[list[Any]]:
        """The lists behind one another, at most `limit` of them. The vendor's own links hold the token."""
        given = dict(params)
        for _ in range(limit):
            answer = await self.get(path, given, permission=permission)
            data, paging = answer.get("data"), answer.get("paging")
            yield data if isinstance(data, list) else []
            cursors = paging.get("cursors") if isinstance(paging, dict) and paging.get("next") else None
            after = cursors.get("after") if isinstance(cursors, dict) else None
            if not isinstance(after, str):
                return
            given["after"] = after

    async def _call(
        self,
        method: str,
        path: str,
        *,
        permission: str,
        final: bool = False,
        recipient: str = "",
        params: Mapping[str, str] | None = None,
        **what: Any,
    ) -> dict[str, Any]:
        try:
            answer = await self._http.request(
                method,
                f"{self._base}/{path}",
                headers=self._headers,
                params={**(params or {}), "appsecret_proof": self._proof},
                max_bytes=MAX_ANSWER,
                timeout=UPLOAD_SECONDS if what.get("files") else SECONDS,
                **what,
            )
        except net.Unreachable as error:
            raise _unreachable(error, final=final) from None
        self._note_time(answer)
        if not answer.ok:
            raise Refusal(answer).channel_error(permission=permission, final=final, recipient=recipient)
        try:
            found = answer.json()
        except net.Unreachable:
            found = None
        if not isinstance(found, dict):
            raise _no_answer("The vendor's answer is no JSON object", final=final)
        return found

    def _note_time(self, answer: net.Response) -> None:
        try:
            self.ahead = parsedate_to_datetime(answer.headers.get("date", "")).astimezone(UTC) - now()
        except (ValueError, TypeError):
            pass  # the last one stands


def _unreachable(error: net.Unreachable, *, final: bool) -> ChannelError:
    if error.kind is net.Kind.BLOCKED:
        return Misconfigured("The vendor's address is not one that connections may go to")
    if final and error.sent:
        return Uncertain("the connection died before the vendor answered")
    return Unreachable("The vendor cannot be reached")


def _no_answer(detail: str, *, final: bool) -> ChannelError:
    return Uncertain(detail) if final else TemporaryFailure(detail)
