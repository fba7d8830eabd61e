"""Sends what alerts have to say: to agents by a channel that carries letters, to rooms by their chat tool's door."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import structlog
from sqlalchemy import RowMapping

from helpdesk.channels import LeaseLost
from helpdesk.clock import now
from helpdesk.crypto import CannotOpen
from helpdesk.domain import alert_texts
from helpdesk.domain.alert_texts import Matter
from helpdesk.logs import fault
from helpdesk.net import Guard, safe_http
from helpdesk.services import alert_routes, notices
from helpdesk.services.house import Services
from helpdesk.services.notices import Bundle
from helpdesk.statements import Row
from workers.connections import Connections
from workers.letters import Letters, NotSent

log = structlog.get_logger()

SECONDS = 15.0


class Notifier:
    """One address at a time: letters to colleagues are few, since what is due to one leaves in one."""

    def __init__(self, services: Services, guard: Guard, connections: Connections, *, worker: str) -> None:
        self._services, self._letters, self._worker = services, Letters(services, connections), worker
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
        except NotSent as error:
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
            # Another id where others have joined: the letter says more then.
            together = uuid5(bundle.ids[0], ",".join(map(str, bundle.ids)))
            await self._letters.send(bundle.agent, subject, text, letter_id=together)
        else:
            await self._post(person, f"{subject}\n{text}")

    async def _post(self, route: RowMapping, text: str) -> None:
        if not route["enabled"]:
            raise NotSent("disabled", permanent=True)
        try:
            await alert_routes.post(self._http, alert_routes.open_route(self._services, route), text, now=now())
        except alert_routes.PostFailed as error:
            raise NotSent(error.kind, permanent=error.permanent) from None
        except CannotOpen:
            raise NotSent("secret_lost", permanent=True) from None

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

    async def close(self) -> None:
        await self._http.aclose()
