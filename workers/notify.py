"""Sends what alerts have to say: to agents by a channel that carries letters, to rooms by their chat tool's door."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import structlog
from sqlalchemy import RowMapping, select

from helpdesk.channels import (
    Address,
    ChannelError,
    Composed,
    Composer,
    LeaseLost,
    OutboundMessage,
    PermanentFailure,
    Uncertain,
)
from helpdesk.clock import now
from helpdesk.crypto import CannotOpen
from helpdesk.domain import alert_texts
from helpdesk.domain.alert_texts import Matter
from helpdesk.domain.values import InboxStatus
from helpdesk.logs import fault
from helpdesk.models.inboxes import inboxes
from helpdesk.net import Guard, safe_http
from helpdesk.services import alert_routes, notices
from helpdesk.services.house import Services
from helpdesk.services.notices import Bundle
from helpdesk.statements import Row
from workers.connections import Connections

log = structlog.get_logger()

SECONDS = 15.0
INBOXES = 3
"""By so many a letter is tried to be sent, one after the other."""


class _Failed(Exception):
    """`kind` is a word for people; a permanent failure is not tried again."""

    def __init__(self, kind: str, *, permanent: bool) -> None:
        super().__init__(kind)
        self.kind, self.permanent = kind, permanent


class Notifier:
    """One address at a time: letters to colleagues are few, since what is due to one leaves in one."""

    def __init__(self, services: Services, guard: Guard, connections: Connections, *, worker: str) -> None:
        self._services, self._connections, self._worker = services, connections, worker
        self._http = safe_http(guard, timeout=SECONDS)
        self.held: set[UUID] = set()

    async def step(self) -> int:
        """Claim what is due for one address, send it with no transaction open, record it. Answers whether there was."""
        seconds = self._services.settings.lease_seconds
        async with self._services.database.transaction() as session:
            bundle = await notices.claim(session, worker=self._worker, lease_seconds=seconds, now=now())
            book = await self._services.promises.book(session)
        if bundle is None:
            return 0
        self.held.update(bundle.ids)
        try:
            await self._deliver(bundle, zone=book.default.timetable.calendar.zone)
        finally:
            self.held.difference_update(bundle.ids)
        return 1

    async def _deliver(self, bundle: Bundle, *, zone: str) -> None:
        try:
            await self._send(bundle, zone=zone)
        except _Failed as error:
            await self._record(notices.failed, bundle, error=error.kind, permanent=error.permanent)
            log.warning("notice.failed", kind=error.kind, count=len(bundle.ids))
        except Exception as error:  # whatever it is, the notice is tried again and the loop goes on
            log.error("notice.failed", **fault(error))
            await self._record(notices.failed, bundle, error="internal", permanent=False)
        else:
            await self._record(notices.sent, bundle)

    async def _record(self, verb: Any, bundle: Bundle, **what: Any) -> None:
        try:
            async with self._services.database.transaction() as session:
                await verb(session, bundle, now=now(), **what)
        except LeaseLost:
            log.warning("notice.taken_over", count=len(bundle.ids))

    async def _send(self, bundle: Bundle, *, zone: str) -> None:
        person = bundle.agent or bundle.route
        assert person is not None
        matters = [self._matter(alert) for alert in bundle.alerts]
        subject, text = alert_texts.compose(matters, language=person["locale"], zone=zone, now=now())
        if bundle.agent is not None:
            await self._mail(bundle, bundle.agent, subject, text)
        else:
            await self._post(person, f"{subject}\n{text}")

    async def _post(self, route: RowMapping, text: str) -> None:
        if not route["enabled"]:
            raise _Failed("disabled", permanent=True)
        try:
            await alert_routes.post(self._http, alert_routes.open_route(self._services, route), text, now=now())
        except alert_routes.PostFailed as error:
            raise _Failed(error.kind, permanent=error.permanent) from None
        except CannotOpen:
            raise _Failed("secret_lost", permanent=True) from None

    def _matter(self, alert: Row) -> Matter:
        data = alert["data"]
        due = data.get("due_at")
        channel = self._services.channels.get(alert["channel"] or "")
        return Matter(
            kind=alert["kind"],
            severity=alert["severity"],
            number=alert["number"],
            channel=channel.title if channel else "",
            clock=alert["clock_kind"],
            due_at=datetime.fromisoformat(due) if due else None,
            reply_pending=bool(data.get("reply_pending")),
            acknowledge=alert["reach"]["acknowledge_seconds"] is not None and alert["status"] == "open",
            data=data,
        )

    async def _mail(self, bundle: Bundle, agent: Row, subject: str, text: str) -> None:
        """By the first inbox that can: whoever is called must not depend on one mailbox's password."""
        if not agent["active"]:
            raise _Failed("left", permanent=True)
        together = uuid5(bundle.ids[0], ",".join(map(str, bundle.ids)))
        letter = OutboundMessage(
            message_id=together,  # another one where others have joined: servers drop what they take for a repetition
            client_token=str(together),
            to=(Address(agent["email"], agent["name"]),),
            subject=subject,
            text=text,
            created_at=now(),
            automatic=True,
            language=agent["locale"],
        )
        failures: list[_Failed] = []
        for inbox_id in await self._inboxes():
            try:
                await self._deliver_by(inbox_id, letter)
            except Uncertain as error:
                # In doubt it is sent again: two letters about one alert do less harm than none.
                raise _Failed(error.kind, permanent=False) from None
            except ChannelError as error:
                failures.append(_Failed(error.kind, permanent=isinstance(error, PermanentFailure)))
            else:
                return
        raise min(failures, key=lambda one: one.permanent, default=_Failed("no_inbox", permanent=False))

    async def _deliver_by(self, inbox_id: UUID, letter: OutboundMessage) -> None:
        connector = await self._connections.get(inbox_id)
        message: OutboundMessage | Composed = letter
        if isinstance(connector, Composer):
            message = await asyncio.to_thread(connector.compose, letter)
        await connector.send(message, at_final=_nothing_to_commit)

    async def _inboxes(self) -> list[UUID]:
        """The one that the setting names, then the oldest active ones of a channel that carries letters."""
        channels = [channel.name for channel in self._services.channels.values() if channel.capabilities.letters]
        named = inboxes.c.handle == self._services.settings.alert_from.lower()
        query = (
            select(inboxes.c.id)
            .where(inboxes.c.channel.in_(channels), inboxes.c.deleted_at.is_(None))
            .where(inboxes.c.state == InboxStatus.ACTIVE.value)
            .order_by(named.desc(), inboxes.c.created_at, inboxes.c.id)
        )
        async with self._services.database.reading() as session:
            return list((await session.execute(query.limit(INBOXES))).scalars())

    async def close(self) -> None:
        await self._http.aclose()


async def _nothing_to_commit() -> None:
    """A letter to a colleague may come twice."""
