"""Mails the codes by which visitors prove their addresses."""

from __future__ import annotations

import structlog

from helpdesk.channels import Address, ChannelError, OutboundMessage, PermanentFailure
from helpdesk.clock import now
from helpdesk.domain import visitor_texts
from helpdesk.logs import fault
from helpdesk.services import visitor_emails
from helpdesk.services.house import Services
from helpdesk.services.visitor_emails import CodeLetter
from workers.connections import Connections
from workers.letters import Letters

log = structlog.get_logger()

_MINUTES = int(visitor_emails.LIFE.total_seconds() // 60)


class VisitorLetters:
    """One letter at a time: they are small, and few."""

    def __init__(self, services: Services, connections: Connections) -> None:
        self._services, self._letters = services, Letters(services, connections)

    async def step(self) -> int:
        """Claim the next, send it with no transaction open, record it. Answers whether there was any."""
        async with self._services.database.transaction() as session:
            letter = await visitor_emails.claim_letter(self._services, session, now=now())
        if letter is None:
            return 0
        try:
            await self._send(letter)
        except PermanentFailure as error:
            log.warning("visitor_letter.failed", kind=error.kind)
        except ChannelError as error:
            log.warning("visitor_letter.failed", kind=error.kind)
            return await self._failed(letter)
        except Exception as error:  # whatever it is, the letter is tried again and the loop goes on
            log.error("visitor_letter.failed", **fault(error))
            return await self._failed(letter)
        async with self._services.database.transaction() as session:
            await visitor_emails.letter_sent(session, letter, now=now())
        return 1

    async def _send(self, letter: CodeLetter) -> None:
        said = visitor_texts.code(letter.language, code=letter.plain, minutes=_MINUTES)
        mail = OutboundMessage(
            # Tried again it is the same letter, and a server that has it already need not show it twice.
            message_id=letter.id,
            client_token=str(letter.id),
            to=(Address(letter.email),),
            subject=said.subject,
            text=said.text,
            created_at=now(),
            automatic=True,
            language=visitor_texts.language_of(letter.language),
        )
        await self._letters.send_by(letter.inbox_id, mail)

    async def _failed(self, letter: CodeLetter) -> int:
        async with self._services.database.transaction() as session:
            await visitor_emails.letter_failed(session, letter, now=now())
        return 1
