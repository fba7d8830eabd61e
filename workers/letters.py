"""Sends letters that are no messages of a conversation: to colleagues by whichever inbox can, to visitors by theirs."""

from __future__ import annotations

import asyncio
from uuid import UUID

from sqlalchemy import select

from helpdesk.channels import (
    Address,
    ChannelError,
    Composed,
    Composer,
    OutboundMessage,
    PermanentFailure,
    Uncertain,
)
from helpdesk.clock import now
from helpdesk.domain.values import InboxStatus
from helpdesk.models.inboxes import inboxes
from helpdesk.services.house import Services
from helpdesk.statements import Row
from workers.connections import Connections

INBOXES = 3
"""By so many a letter is tried to be sent, one after the other."""


class NotSent(Exception):
    """`kind` is a word for people; a permanent failure is not tried again."""

    def __init__(self, kind: str, *, permanent: bool) -> None:
        super().__init__(kind)
        self.kind, self.permanent = kind, permanent


class Letters:
    """The road that alerts, account links and visitors' codes share."""

    def __init__(self, services: Services, connections: Connections) -> None:
        self._services, self._connections = services, connections

    async def send(self, agent: Row, subject: str, text: str, *, letter_id: UUID) -> None:
        """By the first inbox that can: whoever is written to must not depend on one mailbox's password.

        Servers drop what they take for a repetition: another text needs another `letter_id`. Raises `NotSent`.
        """
        if not agent["active"]:
            raise NotSent("left", permanent=True)
        letter = OutboundMessage(
            message_id=letter_id,
            client_token=str(letter_id),
            to=(Address(agent["email"], agent["name"]),),
            subject=subject,
            text=text,
            created_at=now(),
            automatic=True,
            language=agent["locale"],
        )
        failures: list[NotSent] = []
        for inbox_id in await self._inboxes():
            try:
                await self.send_by(inbox_id, letter)
            except Uncertain as error:
                # In doubt it is sent again: two letters do less harm than none.
                raise NotSent(error.kind, permanent=False) from None
            except ChannelError as error:
                failures.append(NotSent(error.kind, permanent=isinstance(error, PermanentFailure)))
            else:
                return
        raise min(failures, key=lambda one: one.permanent, default=NotSent("no_inbox", permanent=False))

    async def send_by(self, inbox_id: UUID, letter: OutboundMessage) -> None:
        """Raises a `ChannelError`."""
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


async def _nothing_to_commit() -> None:
    """Such a letter may come twice."""
