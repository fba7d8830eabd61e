"""Sends invitations and links to new passwords. Whoever sends one makes the link, and nothing else ever knows it."""

from __future__ import annotations

from uuid import uuid5

import structlog

from helpdesk.clock import now
from helpdesk.domain import account_texts
from helpdesk.logs import fault
from helpdesk.services import account_links
from helpdesk.services.account_links import Letter
from helpdesk.services.house import Services
from workers.connections import Connections
from workers.letters import Letters, NotSent

log = structlog.get_logger()


class AccountLetters:
    """One letter at a time: they are few."""

    def __init__(self, services: Services, connections: Connections) -> None:
        self._services, self._letters = services, Letters(services, connections)

    async def step(self) -> int:
        """Claim the next, send it with no transaction open, record it. Answers whether there was any."""
        async with self._services.database.transaction() as session:
            letter = await account_links.claim(session, now=now())
        if letter is None:
            return 0
        try:
            await self._send(letter)
        except NotSent as error:
            await self._failed(letter, error.kind, permanent=error.permanent)
            log.warning("account_letter.failed", kind=error.kind)
        except Exception as error:  # whatever it is, the letter is tried again and the loop goes on
            log.error("account_letter.failed", **fault(error))
            await self._failed(letter, "internal", permanent=False)
        else:
            async with self._services.database.transaction() as session:
                await account_links.sent(session, letter)
        return 1

    async def _send(self, letter: Letter) -> None:
        link = account_links.address_of(self._services.settings.base_url, letter.purpose, letter.plain)
        minutes = int(account_links.LIFE[letter.purpose].total_seconds() // 60)
        language = letter.agent["locale"]
        subject, text = account_texts.compose(letter.purpose, link=link, minutes=minutes, language=language)
        letter_id = uuid5(letter.id, str(letter.attempts))
        await self._letters.send(letter.agent, subject, text, letter_id=letter_id)

    async def _failed(self, letter: Letter, error: str, *, permanent: bool) -> None:
        async with self._services.database.transaction() as session:
            await account_links.failed(session, letter, error=error, permanent=permanent, now=now())
