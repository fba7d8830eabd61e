"""Talks to OpenID providers: where they answer, their keys, and the exchange of a code. No transaction is open.

All of it passes the guard, is bounded in time and size, and follows no redirect. What providers publish is kept for an
hour; a token that no kept key fits has the keys read again, since providers change them when they like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from helpdesk.domain import openid
from helpdesk.domain.openid import Key, Metadata, Person, Refused, UnknownKey
from helpdesk.errors import Unavailable
from helpdesk.net import SafeHttp, Unreachable

log = structlog.get_logger()

SECONDS: Final = 10.0
KEEP: Final = timedelta(hours=1)
_MOST_KEPT: Final = 100
_MOST_BYTES: Final = 262_144


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are at a provider. `secret` is empty for a client that has none."""

    issuer: str
    client_id: str
    secret: str = field(repr=False)
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class _Kept:
    metadata: Metadata
    keys: tuple[Key, ...]
    until: datetime


class Providers:
    """What providers have published, by issuer."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    async def metadata(self, http: SafeHttp, issuer: str, *, now: datetime) -> Metadata:
        """Raises `Unavailable` while the provider does not answer, or answers what is of no use."""
        return (await self._published(http, issuer, now=now)).metadata

    async def person(
        self,
        http: SafeHttp,
        client: Client,
        *,
        code: str,
        verifier: str,
        nonce: str,
        domains: Sequence[str],
        now: datetime,
    ) -> Person:
        """Whom the provider vouches for in exchange for a code. Raises `Refused`, and `Unavailable` as `metadata`."""
        published = await self._published(http, client.issuer, now=now)
        token = await _exchange(http, client, published.metadata, code=code, verifier=verifier)
        try:
            claims = openid.claims_of(token, published.keys)
        except UnknownKey:
            claims = openid.claims_of(token, (await self._read(http, client.issuer, now=now)).keys)
        expected: dict[str, Any] = {"issuer": client.issuer, "client_id": client.client_id, "nonce": nonce}
        return openid.judge(claims, **expected, domains=domains, now=now)

    async def _published(self, http: SafeHttp, issuer: str, *, now: datetime) -> _Kept:
        kept = self._kept.get(issuer)
        return kept if kept is not None and now < kept.until else await self._read(http, issuer, now=now)

    async def _read(self, http: SafeHttp, issuer: str, *, now: datetime) -> _Kept:
        try:
            metadata = openid.read_metadata(issuer, await _get(http, openid.discovery_url(issuer)))
            keys = openid.read_keys(await _get(http, metadata.jwks_uri))
        except Refused as refused:
            log.warning("sso.provider_unusable", reason=refused.reason)
            raise _unavailable() from None
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        found = self._kept[issuer] = _Kept(metadata, keys, now + KEEP)
        return found


PROVIDERS: Final = Providers()
"""One for the process: what they publish is the same for everybody."""


def _unavailable() -> Unavailable:
    return Unavailable("the identity provider does not answer as it should; try again", slug="provider_unavailable")


async def _get(http: SafeHttp, url: str) -> Any:
    try:
        answer = await http.request("GET", url, headers={"Accept": "application/json"}, max_bytes=_MOST_BYTES)
        if answer.status == 200:
            return answer.json()
        log.warning("sso.provider_unusable", reason="status", status=answer.status)
    except Unreachable as error:
        log.warning("sso.provider_unusable", reason=str(error.kind))
    raise _unavailable()


async def _exchange(http: SafeHttp, client: Client, metadata: Metadata, *, code: str, verifier: str) -> str:
    """The ID token. Of what the provider says of a refusal nothing is kept."""
    given: dict[str, str] = {"code": code, "verifier": verifier, "redirect_uri": client.redirect_uri}
    form, headers = openid.token_request(metadata, client_id=client.client_id, secret=client.secret, **given)
    try:
        answer = await http.request("POST", metadata.token_endpoint, data=form, headers=headers, max_bytes=_MOST_BYTES)
        body = answer.json() if answer.ok else {}
    except Unreachable as error:
        log.warning("sso.provider_unusable", reason=str(error.kind))
        raise _unavailable() from None
    if answer.status >= 500:
        log.warning("sso.provider_unusable", reason="status", status=answer.status)
        raise _unavailable()
    token = body.get("id_token") if isinstance(body, Mapping) else None
    if not isinstance(token, str):
        raise Refused("code")
    return token
