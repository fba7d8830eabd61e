"""What the house hands to the routes of channels, over the services.

`live.LiveHost` to those of a live one, `channels.WebhookHost` to those that vendors call. Each call is one transaction
and reads the clock once. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import select

from helpdesk.channels import Channel, InboxView, RawInbound
from helpdesk.clock import now
from helpdesk.domain.actions import Alert
from helpdesk.domain.values import InboxStatus
from helpdesk.errors import HelpdeskError, NotFound
from helpdesk.live import Feedback, Identity, LiveInbox, Log, Opened, ProofRefused, Said, Subscription, Upload, Visitor
from helpdesk.logs import fault
from helpdesk.models.inboxes import inboxes
from helpdesk.services import (
    alerts,
    intake,
    live_inboxes,
    transcripts,
    visitor_emails,
    visitor_endings,
    visitor_log,
    visitor_messages,
    visitor_sessions,
    visitor_uploads,
    visits,
)
from helpdesk.services.alerts import Subject
from helpdesk.services.house import Services
from helpdesk.services.inbox_settings import load_config
from helpdesk.services.keys import Keys
from helpdesk.services.visiting import PER_PROCESS, VisitorHub
from helpdesk.services.visitor_filing import SaidMeanwhile

log = structlog.get_logger()

_FRESH: Final = 2.0
"""Seconds for which what is known of the inboxes is taken to be so."""

_UNKNOWN: Final = 0.2
"""… before it is said of one that there is none: what comes first for a new inbox must not bounce."""

_WARNING: Final = Alert(who=("admins",), agent_ids=(), severity="warning", acknowledge=None)


class VisitorHost:
    """One live channel of this process."""

    def __init__(self, services: Services, visitors: VisitorHub, channel: Channel) -> None:
        settings = services.settings
        self.base_url = settings.base_url
        self.max_upload_bytes = settings.max_upload_mb * 1024 * 1024
        self.most_connected = PER_PROCESS
        self.demo = settings.demo_page or settings.env != "production"
        self._services, self._database, self._visitors = services, services.database, visitors
        self._channel, self._reading = channel, asyncio.Lock()
        self._inboxes: Mapping[UUID, LiveInbox] = {}
        self._fresh_until = 0.0

    # -- inboxes ------------------------------------------------------------------------------------------------------

    async def inboxes(self) -> Sequence[LiveInbox]:
        return list((await self._known()).values())

    async def inbox(self, inbox_id: UUID) -> LiveInbox:
        known = await self._known()
        if inbox_id not in known:
            raise NotFound("there is no such inbox")
        return known[inbox_id]

    async def _known(self) -> Mapping[UUID, LiveInbox]:
        async with self._reading:
            if time.monotonic() >= self._fresh_until:
                found = await live_inboxes.read(self._services, self._channel, now=now())
                self._inboxes = {one.inbox_id: one for one in found}
                self._fresh_until = time.monotonic() + _FRESH
        return self._inboxes

    # -- who is there -------------------------------------------------------------------------------------------------

    async def open(
        self,
        inbox_id: UUID,
        *,
        identity: Identity | None,
        name: str,
        email: str,
        language: str,
        fields: Mapping[str, str],
    ) -> Opened:
        await self.inbox(inbox_id)
        said = {"name": name, "email": email, "language": language}
        async with self._database.transaction() as session:
            opened = await visitor_sessions.begin(
                self._services, session, inbox_id, identity=identity, **said, fields=fields, now=now()
            )
        return await self._told(opened)

    async def visitor(self, token: str) -> Visitor:
        return await visitor_sessions.find(self._database, token, now=now())

    async def identify(self, visitor: Visitor, identity: Identity) -> Opened:
        async with self._database.transaction() as session:
            opened = await visitor_sessions.identify(self._services, session, visitor, identity, now=now())
        return await self._told(opened)

    async def log_out(self, visitor: Visitor) -> None:
        async with self._database.transaction() as session:
            await visitor_sessions.log_out(session, visitor, now=now())

    async def _told(self, opened: Opened) -> Opened:
        """With the head of what he may see, which can be read now that it is committed who he is."""
        if opened.visitor.conversation_id is None:
            return opened
        log = await self.log_before(opened.visitor, None, limit=1)
        return replace(opened, head_seq=log.head_seq)

    # -- what is said -------------------------------------------------------------------------------------------------

    async def say(
        self,
        visitor: Visitor,
        *,
        client_id: str,
        text: str,
        attachment_ids: Sequence[UUID],
        feedback: Feedback | None = None,
    ) -> Said:
        what = {"client_id": client_id, "text": text, "attachment_ids": attachment_ids, "feedback": feedback}
        try:
            return await self._say(visitor, **what)
        except SaidMeanwhile:
            return await self._say(visitor, **what)

    async def _say(self, visitor: Visitor, **what: Any) -> Said:
        async with self._database.transaction() as session:
            return await visitor_messages.say(self._services, session, visitor, **what, now=now())

    async def log_after(self, visitor: Visitor, seq: int, *, limit: int) -> Log:
        return await visitor_log.after(self._database, visitor, visitor.conversation_id, seq, limit=limit)

    async def log_before(self, visitor: Visitor, seq: int | None, *, limit: int) -> Log:
        return await visitor_log.before(self._database, visitor, visitor.conversation_id, seq, limit=limit)

    async def read(self, visitor: Visitor, seq: int) -> None:
        async with self._database.transaction() as session:
            await visits.read(session, visitor, seq, now=now())

    async def typing(self, visitor: Visitor, *, ttl: float) -> None:
        at = now()
        async with self._database.transaction() as session:
            await visits.typing(session, visitor, until=at + timedelta(seconds=ttl) if ttl > 0 else None, now=at)

    def subscribe(
        self, visitor: Visitor, *, after: int, conversation_id: UUID | None
    ) -> AbstractAsyncContextManager[Subscription]:
        return self._visitors.subscribe(visitor, after=after, conversation_id=conversation_id)

    # -- by e-mail ----------------------------------------------------------------------------------------------------

    async def claim_email(self, visitor: Visitor, email: str) -> None:
        async with self._database.transaction() as session:
            await visitor_emails.claim(self._services, session, visitor, email, now=now())

    async def prove_email(self, visitor: Visitor, code: str) -> Opened:
        async with self._database.transaction() as session:
            opened = await visitor_emails.prove(self._services, session, visitor, code, now=now())
        if opened is None:  # only now: the attempt is counted
            raise ProofRefused
        return await self._told(opened)

    async def send_transcript(self, visitor: Visitor) -> None:
        await transcripts.ask(self._services, visitor, now=now())

    # -- how it ends --------------------------------------------------------------------------------------------------

    async def rate(self, visitor: Visitor, *, score: int, comment: str) -> None:
        async with self._database.transaction() as session:
            await visitor_endings.rate(self._services, session, visitor, score=score, comment=comment, now=now())

    async def leave(self, visitor: Visitor) -> None:
        async with self._database.transaction() as session:
            await visitor_endings.leave(self._services, session, visitor, now=now())

    # -- files --------------------------------------------------------------------------------------------------------

    async def upload(self, visitor: Visitor, *, filename: str, content_type: str, body: bytes) -> Upload:
        given = {"filename": filename, "content_type": content_type}
        return await visitor_uploads.store(self._services, visitor, **given, body=body, now=now())

    async def file(self, visitor: Visitor, attachment_id: UUID) -> tuple[Upload, bytes]:
        return await visitor_uploads.read(self._services, visitor, attachment_id)


class VendorHost:
    """The channels of one folder in this process, for the routes that vendors call."""

    def __init__(self, services: Services, channels: Sequence[Channel]) -> None:
        self.base_url = services.settings.base_url
        self._services, self._names = services, [channel.name for channel in channels]
        self._keys: dict[UUID, Keys] = {}
        self._reading = asyncio.Lock()
        self._inboxes: Mapping[UUID, InboxView] = {}
        self._read_at = -_FRESH

    async def inbox(self, inbox_id: UUID) -> InboxView:
        for seconds in (_FRESH, _UNKNOWN):
            if (found := (await self._known(seconds)).get(inbox_id)) is not None:
                return found
        raise NotFound("there is no such inbox")

    async def inboxes(self) -> Sequence[InboxView]:
        return list((await self._known(_FRESH)).values())

    async def _known(self, seconds: float) -> Mapping[UUID, InboxView]:
        """The inboxes as they were at most `seconds` ago."""
        async with self._reading:
            begun = time.monotonic()
            if begun - self._read_at >= seconds:
                self._inboxes, self._read_at = await self._read(), begun
        return self._inboxes

    async def _read(self) -> Mapping[UUID, InboxView]:
        query = select(inboxes).where(inboxes.c.channel.in_(self._names), inboxes.c.deleted_at.is_(None))
        async with self._services.database.reading() as session:
            rows = (await session.execute(query)).mappings().all()
        found = {}
        for row in rows:
            try:
                config = load_config(self._services, row)
            except (HelpdeskError, ValueError) as error:  # one that cannot be opened must not close the others
                log.error("inbox.cannot_be_opened", inbox_id=str(row["id"]), **fault(error))
                continue
            active = row["state"] == InboxStatus.ACTIVE.value
            found[row["id"]] = InboxView(row["id"], config, row["channel"], row["handle"], active)
        return found

    async def accept(self, inbox_id: UUID, batch: Sequence[RawInbound]) -> int:
        keys = self._keys.setdefault(inbox_id, Keys(self._services.keyring))
        return await intake.take(self._services, keys, inbox_id, batch, now=now())

    async def unknown_account(self, inbox_id: UUID, account: str) -> None:
        subject = Subject(f"unknown_account:{inbox_id}:{sha256(account.encode()).hexdigest()[:16]}", "unknown_account")
        data = {"inbox_id": str(inbox_id), "account": account}
        async with self._services.database.transaction() as session:
            await alerts.call(self._services, session, subject, [_WARNING], None, data=data, now=now())
