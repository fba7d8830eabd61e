"""One e-mail inbox, as the core uses it. Each method hands on to the module that does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from connectors.email import authorize as oauth_grant
from connectors.email import backfill as imap_backfill
from connectors.email import imap, outgoing_files
from connectors.email.compose import compose
from connectors.email.config import EmailConfig
from connectors.email.delivery_check import check_delivery
from connectors.email.imap_check import check_imap
from connectors.email.imap_sent import append_sent, find_sent
from connectors.email.oauth import TokenSource
from connectors.email.smtp import Sender
from helpdesk.channels import (
    ChannelError,
    Check,
    Composed,
    Consent,
    Host,
    House,
    Misconfigured,
    OutboundMessage,
    Receipt,
)
from helpdesk.clock import now
from helpdesk.net import SafeHttp, safe_http

SAY_WELL_SECONDS = 60.0


class EmailConnector:
    """Keep one instance per inbox and process, and `close` it. Connections are opened when they are first needed."""

    def __init__(self, config: EmailConfig, house: House) -> None:
        self._config = config
        self._house = house
        self._http: SafeHttp | None = None
        self._tokens: TokenSource | None = None
        if config.auth == "xoauth2":
            self._http = safe_http(house.guard)
            self._tokens = TokenSource(config, self._http, house.save_secrets, house.stored_secrets)
        server = config.smtp
        self._sender = Sender(config, server, house.guard, self._tokens) if server is not None else None

    async def run(self, host: Host) -> None:
        """Poll the mailbox; an inbox of the door has nothing to fetch, since the door serves all inboxes at once."""
        if self._config.receive == "imap":
            await imap.receive(self._config, host, self._tokens)
            return
        while True:
            await host.succeeded()
            await asyncio.sleep(SAY_WELL_SECONDS)

    def compose(self, message: OutboundMessage) -> Composed:
        return compose(self._config, message)

    async def send(self, message: OutboundMessage | Composed, *, at_final: Callable[[], Awaitable[None]]) -> Receipt:
        """By SMTP, or into a file where no `smtp_url` is set."""
        composed = message if isinstance(message, Composed) else await asyncio.to_thread(self.compose, message)
        if self._sender is not None:
            return await self._sender.send(composed, at_final=at_final)
        await at_final()
        await asyncio.to_thread(outgoing_files.write, self._house.outgoing, composed)
        return Receipt(composed.external_id, now(), accepted=composed.recipients)

    async def find_sent(self, message: Composed) -> Receipt | None:
        """An uncertain message, looked for where the provider or an earlier `file_sent` would have put a copy.

        Only a provider that files what it takes (Gmail, Microsoft 365) makes this an answer; None says nothing.
        """
        if self._sender is None:
            path = outgoing_files.path_of(self._house.outgoing, message)
            there = await asyncio.to_thread(path.exists)
            return Receipt(message.external_id, now(), accepted=message.recipients) if there else None
        if not self._config.sent_mailbox:
            return None
        try:
            sent_at = await find_sent(self._config, self._house.guard, self._tokens, message_id=message.external_id)
        except ChannelError:
            return None
        return Receipt(message.external_id, sent_at, accepted=message.recipients) if sent_at is not None else None

    async def file_sent(self, message: Composed) -> None:
        """A copy in `sent_mailbox`, when one is set. Raises a ChannelError."""
        if self._config.sent_mailbox:
            await append_sent(
                self._config, self._house.guard, self._tokens, body=message.body, message_id=message.external_id
            )

    async def check(self, *, send: bool = False) -> Sequence[Check]:
        checks = await check_imap(self._config, self._house.guard, self._tokens)
        if self._sender is None:
            checks.append(Check("smtp", ok=True, detail="smtp_url is not set: outgoing mail is written to files"))
        else:
            checks += await self._sender.check()
        if send:
            checks.append(await check_delivery(self._config, self._house.guard, self._tokens, self._sender))
        return checks

    async def authorize(self, tell: Callable[[str], None]) -> Mapping[str, str]:
        async with safe_http(self._house.guard) as http:
            return await oauth_grant.authorize(self._config, http, tell)

    def consent_url(self, asked: Consent) -> str:
        return oauth_grant.consent_url(self._config, asked)

    async def redeem(self, code: str, asked: Consent) -> Mapping[str, str]:
        async with safe_http(self._house.guard) as http:
            return await oauth_grant.redeem(self._config, http, code, asked)

    async def backfill(
        self, host: Host, *, since: datetime | None, dry_run: bool, tell: Callable[[int, int], None]
    ) -> int:
        if self._config.imap is None:
            raise Misconfigured("imap_url is not set: there is no mailbox to read older mail from")
        return await imap_backfill.backfill(self._config, host, self._tokens, since=since, dry_run=dry_run, tell=tell)

    async def close(self) -> None:
        if self._sender is not None:
            await self._sender.close()
        if self._http is not None:
            await self._http.aclose()
