"""Sending: a few connections per inbox, kept for a moment, and what an outcome means for the message."""

from __future__ import annotations

import asyncio

from connectors.email.config import EmailConfig, Server
from connectors.email.oauth import TokenSource
from connectors.email.outgoing_headers import addr_spec
from connectors.email.smtp_login import open_session
from connectors.email.smtp_session import AtFinal, SmtpSession, Waits
from helpdesk.channels import ChannelError, Check, Composed, Receipt, TemporaryFailure
from helpdesk.clock import now
from helpdesk.net import Guard

CONNECTIONS = 3
"""At once, per inbox: large providers start to refuse at five to ten per account, and other programs use it too."""
IDLE_SECONDS = 30.0
MESSAGES_PER_CONNECTION = 50


class Sender:
    """Sends through one submission server. Share one instance per inbox; `close` it."""

    def __init__(
        self,
        config: EmailConfig,
        server: Server,
        guard: Guard,
        tokens: TokenSource | None = None,
        *,
        waits: Waits | None = None,
        idle: float = IDLE_SECONDS,
    ) -> None:
        self._config = config
        self._server = server
        self._guard = guard
        self._tokens = tokens
        self._waits = waits or Waits()
        self._idle = idle
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._parked: list[SmtpSession] = []
        self._timer: asyncio.TimerHandle | None = None

    async def send(self, message: Composed, *, at_final: AtFinal) -> Receipt:
        """Deliver to every recipient that is not in `accepted` yet.

        `at_final` is awaited right before the final dot. Raises Unreachable and the other TemporaryFailures (nothing
        was taken, try again), RecipientRefused and PermanentFailure (nothing was, nothing will be),
        AuthenticationFailed, Misconfigured, Uncertain when the connection died after the final dot, and whatever
        `at_final` raises. Recipients that were refused while others were not are in the receipt.
        """
        if set(message.recipients) <= set(message.accepted):
            return Receipt(message.external_id, now(), accepted=message.accepted)
        async with self._slots:
            session = await self._begin(message)
            try:
                outcome = await session.deliver(message, at_final)
            finally:
                self._park(session)
        return Receipt(
            external_id=message.external_id,
            sent_at=now(),
            accepted=(*message.accepted, *outcome.accepted),
            refused=outcome.refused,
        )

    async def _begin(self, message: Composed) -> SmtpSession:
        """A connection with MAIL FROM accepted.

        One that was used before may be at the end of its welcome (421, or dropped). Nothing has been sent at this
        point, so a fresh one is tried before that counts as a failure.
        """
        session = await self._ready()
        try:
            await self._mail_from(session, message)
        except TemporaryFailure:
            self._park(session)
            if not session.sent:
                raise
            session.abort()
        except BaseException:
            self._park(session)
            raise
        else:
            return session
        session = await self._open()
        try:
            await self._mail_from(session, message)
        except BaseException:
            self._park(session)
            raise
        return session

    async def _mail_from(self, session: SmtpSession, message: Composed) -> None:
        await session.begin(message, sender=message.sender, instead=addr_spec(self._config.address))

    async def _ready(self) -> SmtpSession:
        while self._parked:
            session = self._parked.pop()
            if session.usable and await session.reset():
                return session
            session.abort()
        return await self._open()

    async def _open(self) -> SmtpSession:
        return await open_session(self._config, self._server, self._guard, self._tokens, self._waits)

    def _park(self, session: SmtpSession) -> None:
        if not session.usable or session.sent >= MESSAGES_PER_CONNECTION:
            session.farewell()
            return
        loop = asyncio.get_running_loop()
        session.parked_at = loop.time()
        self._parked.append(session)
        if self._timer is None:
            self._timer = loop.call_later(self._idle, self._sweep)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        old = [session for session in self._parked if session.parked_at + self._idle <= loop.time() + 0.01]
        self._parked = [session for session in self._parked if session not in old]
        for session in old:
            session.farewell()
        if self._parked:
            self._timer = loop.call_later(self._idle, self._sweep)

    async def check(self) -> list[Check]:
        """Connection, encryption and login. Never raises a ChannelError."""
        secured = {"implicit": "TLS", "starttls": "STARTTLS", "none": "not encrypted: use smtps:// or smtp+starttls://"}
        try:
            session = await self._open()
        except ChannelError as error:
            step = "smtp.login" if error.kind == "authentication" else "smtp.connect"
            return [Check(step, ok=False, detail=error.detail)]
        self._park(session)
        checks = [Check("smtp.connect", ok=True, detail=secured[self._server.tls])]
        if self._config.smtp_user or self._config.auth == "xoauth2":
            checks.append(Check("smtp.login", ok=True))
        return checks

    async def close(self) -> None:
        """Let go of the connections that lie idle."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        parked, self._parked = self._parked, []
        for session in parked:
            session.farewell()
        # One turn of the loop, so that the transports are closed before the loop may be.
        await asyncio.sleep(0)
