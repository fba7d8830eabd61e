"""A visitor in a test, by the services as they are: he enters, proves an address, says something, and is answered.

chat = await Chat.begin(house)
await chat.answer("We have found it.")
"""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.live import Log, Visitor
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.visitors import visitor_codes, visits
from helpdesk.services import visitor_emails, visitor_log, visitor_messages, visitor_sessions
from helpdesk.services.house import Services
from tests import factories
from tests.house import Desk, House

MINA = "mina@customer.test"


async def prove(services: Services, visitor: Visitor) -> str:
    """With the code that no letter has told yet; answers the new token."""
    async with services.database.transaction() as session:
        mine = select(visitor_codes).where(visitor_codes.c.session_id == visitor.session_id)
        row = (await session.execute(mine)).mappings().one()
        code = services.keyring.open(row["sealed"], row=f"visitor_code:{row['id']}").decode()
        proved = await visitor_emails.prove(services, session, visitor, code, now=row["created_at"])
    assert proved is not None
    return proved.token


class Chat:
    """A visitor who has said something in a chat inbox, and named an address, which he has `proved` or not."""

    def __init__(self, house: House, visitor: Visitor) -> None:
        assert visitor.conversation_id is not None
        self.house, self.visitor, self.id = house, visitor, visitor.conversation_id
        self.inbox_id, self.contact_id = visitor.inbox_id, visitor.contact_id

    @classmethod
    async def begin(
        cls,
        house: House,
        *,
        address: str = MINA,
        proved: bool = True,
        continued_by: Desk | None = None,
        language: str = "en",
        now: datetime | None = None,
        inbox_id: UUID | None = None,
    ) -> Chat:
        services, at = house.services, now or clock.now()
        inbox_id = inbox_id or await factories.inbox(services, channel="chat")
        form: dict[str, Any] = {"identity": None, "name": "", "email": "", "language": language, "fields": {}}
        async with services.database.transaction() as session:
            if continued_by is not None:
                mine = update(inboxes).where(inboxes.c.id == inbox_id)
                await session.execute(mine.values(continued_by_id=continued_by.id))
            opened = await visitor_sessions.begin(services, session, inbox_id, **form, now=at)
            await visitor_emails.claim(services, session, opened.visitor, address, now=at)
        token = await prove(services, opened.visitor) if proved else opened.token
        async with services.database.transaction() as session:
            visitor = await visitor_sessions.find(services.database, token, now=at)
            await visitor_messages.say(
                services, session, visitor, client_id="1", text="Where is my withdrawal?", now=at
            )
        await house.relay()
        return cls(house, await visitor_sessions.find(services.database, token, now=clock.now()))

    async def prove(self) -> None:
        """The address that he has named so far is his."""
        self.visitor = await visitor_sessions.find(
            self.house.services.database, await prove(self.house.services, self.visitor), now=clock.now()
        )

    async def answer(self, text: str = "We have found it.", **draft: Any) -> None:
        await self.house.reply(self.id, text, **draft)

    async def set(self, **values: Any) -> None:
        async with self.house.services.database.transaction() as session:
            await session.execute(update(visits).where(visits.c.conversation_id == self.id).values(values))

    async def visit(self) -> Any:
        return await self.house.row(visits, visits.c.conversation_id == self.id)

    async def row(self) -> Any:
        return await self.house.row(conversations, conversations.c.id == self.id)

    async def log(self) -> Log:
        """What he reads of it, from the beginning."""
        return await visitor_log.after(self.house.services.database, self.visitor, self.id, 0, limit=100)


def words(letter: EmailMessage, kind: str = "plain") -> str:
    part = letter.get_body((kind,))
    assert part is not None
    return str(part.get_content())
