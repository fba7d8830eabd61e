"""Proving an address by a code: to whom it says what, how often, and what comes with it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, update
from structlog.testing import capture_logs

from helpdesk import clock
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.errors import Conflict, Invalid, TooMany
from helpdesk.live import Identity, ItemKind, Opened, SessionRefused, Visitor
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.events import audit
from helpdesk.models.inboxes import inboxes
from helpdesk.models.visitors import visitor_codes, visitor_sessions
from helpdesk.services import contact_merging, visitor_emails, visitor_log, visitor_messages
from helpdesk.services import visitor_sessions as sessions
from helpdesk.services.house import Services
from helpdesk.wiring import open_guard
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.house import Desk, House, mail
from tests.journeys.sink import read
from tests.peers.smtp_sink import SmtpSink
from workers.connections import Connections
from workers.visitor_letters import VisitorLetters

MINA = "mina@customer.test"
MINUTE = timedelta(minutes=1)


class Lobby:
    """A chat inbox that is continued by the inbox whose server is `sink`."""

    def __init__(self, house: House, inbox_id: UUID, desk: Desk, sink: SmtpSink) -> None:
        self.house, self.services, self.inbox_id, self.desk, self.sink = house, house.services, inbox_id, desk, sink
        self.connections = Connections(house.services, open_guard(house.services.settings))
        self._letters = VisitorLetters(house.services, self.connections)

    async def enter(self, language: str = "en") -> Visitor:
        async with self.services.database.transaction() as session:
            how: dict[str, Any] = {"identity": None, "name": "", "email": "", "fields": {}}
            opened = await sessions.begin(
                self.services, session, self.inbox_id, **how, language=language, now=clock.now()
            )
        return opened.visitor

    async def claim(self, visitor: Visitor, email: str = MINA, *, now: datetime | None = None) -> None:
        async with self.services.database.transaction() as session:
            await visitor_emails.claim(self.services, session, visitor, email, now=now or clock.now())

    async def prove(self, visitor: Visitor, code: str, *, now: datetime | None = None) -> Opened | None:
        async with self.services.database.transaction() as session:
            return await visitor_emails.prove(self.services, session, visitor, code, now=now or clock.now())

    async def mailed(self) -> list[tuple[str, str]]:
        """Whom codes were sent to since the last call, and which."""
        before = len(self.sink.messages)
        while await self._letters.step():
            pass
        found = []
        for one in self.sink.messages[before:]:
            part = read(one.body).get_body(("plain",))
            assert part is not None
            code = re.search(r"\b\d{6}\b", part.get_content())
            assert code
            (to,) = one.recipients
            found.append((to, code[0]))
        return found

    async def code(self, visitor: Visitor, email: str = MINA) -> str:
        await self.claim(visitor, email)
        ((to, code),) = await self.mailed()
        assert to == email
        return code


@pytest.fixture
async def lobby(services: Services) -> AsyncIterator[Lobby]:
    async with House(services) as house, SmtpSink() as sink:
        desk = await house.inbox(smtp_url=sink.url())
        inbox_id = await factories.inbox(services, channel="chat")
        opened = Lobby(house, inbox_id, desk, sink)
        yield opened
        await opened.connections.close()


def other_than(code: str, by: int = 1) -> str:
    return f"{(int(code) + by) % 10**6:06d}"


async def test_the_right_code_makes_the_address_his_and_his_token_another(lobby: Lobby) -> None:
    visitor = await lobby.enter("zh-TW")
    with capture_logs() as logs:
        code = await lobby.code(visitor)
    (row,) = await lobby.house.rows(visitor_codes)
    assert (row["sealed"], row["sent_at"] is not None) == (None, True)
    assert code not in str(dict(row)) + str(logs)
    letter = read(lobby.sink.messages[0].body)
    assert letter["Subject"] == "您的線上客服驗證碼"
    assert (str(letter["To"]), letter["Auto-Submitted"]) == (MINA, "auto-generated")
    old = await lobby.house.row(visitor_sessions)
    opened = await lobby.prove(visitor, code)
    assert opened is not None
    assert (opened.visitor.email, opened.visitor.identified, opened.visitor.contact_id) == (
        MINA,
        True,
        visitor.contact_id,
    )
    now = await lobby.house.row(visitor_sessions)
    assert now["digest"] != old["digest"]
    assert (await sessions.find(lobby.services.database, opened.token, now=clock.now())).session_id == now["id"]
    identity = await lobby.house.row(contact_identities, contact_identities.c.handle == MINA)
    assert (identity["contact_id"], identity["verified"]) == (visitor.contact_id, True)
    assert [one["action"] for one in await lobby.house.rows(audit, audit.c.subject_type == "contact")][-1] == (
        "visitor.email_proved"
    )
    assert await lobby.prove(opened.visitor, code) is None, "a code is good once"


async def test_whoever_proves_an_address_becomes_the_contact_who_has_it(lobby: Lobby) -> None:
    await lobby.house.receive(lobby.desk, mail(MINA, dmarc="pass"))
    (known,) = await lobby.house.conversations()
    visitor = await lobby.enter()
    opened = await lobby.prove(visitor, await lobby.code(visitor))
    assert opened is not None
    assert opened.visitor.contact_id == known["contact_id"]
    elsewhere = await lobby.enter()
    again = await lobby.prove(elsewhere, await lobby.code(elsewhere))
    assert again is not None
    assert again.visitor.contact_id == known["contact_id"]
    identity = await lobby.house.row(contact_identities, contact_identities.c.handle == MINA)
    assert (identity["contact_id"], identity["verified"]) == (known["contact_id"], True)


async def test_a_code_proves_for_whom_the_site_has_vouched_meanwhile(lobby: Lobby) -> None:
    """Both were asked at the same moment: the session is not led back to whom it was before."""
    before = await lobby.enter()
    code = await lobby.code(before)
    async with lobby.services.database.transaction() as session:
        how: dict[str, Any] = {"identity": None, "name": "", "email": "", "language": "en", "fields": {}}
        user = Identity("mina-7", "once", clock.now() + timedelta(hours=1))
        there = await sessions.begin(
            lobby.services, session, lobby.inbox_id, **how | {"identity": user}, now=clock.now()
        )
        again = Identity("mina-7", "twice", clock.now() + timedelta(hours=1))
        await sessions.identify(lobby.services, session, before, again, now=clock.now())
    opened = await lobby.prove(before, code)
    assert opened is not None
    assert (opened.visitor.contact_id, opened.visitor.handle) == (there.visitor.contact_id, there.visitor.handle)
    identity = await lobby.house.row(contact_identities, contact_identities.c.handle == MINA)
    assert identity["contact_id"] == there.visitor.contact_id


async def test_his_history_shows_on_another_device_after_the_code_and_not_before(lobby: Lobby) -> None:
    async def log(visitor: Visitor) -> list[str]:
        found = await visitor_log.after(lobby.services.database, visitor, history, 0, limit=10)
        return [item.data["text"] for item in found.items if item.kind is ItemKind.MESSAGE]

    at_home = await lobby.enter()
    known = await lobby.prove(at_home, await lobby.code(at_home))
    assert known is not None
    async with lobby.services.database.transaction() as session:
        said = await visitor_messages.say(
            lobby.services, session, known.visitor, client_id="1", text="My recovery phrase is safe.", now=clock.now()
        )
    history = said.conversation_id
    # An impostor names the address, guesses, and says something of his own.
    impostor = await lobby.enter()
    code = await lobby.code(impostor)
    assert await lobby.prove(impostor, other_than(code)) is None
    async with lobby.services.database.transaction() as session:
        own = await visitor_messages.say(
            lobby.services, session, impostor, client_id="1", text="It is me.", now=clock.now()
        )
    assert own.conversation_id != history
    assert await log(impostor) == []
    assert (impostor.email, impostor.conversation_id, impostor.identified) == ("", None, False)
    away = await lobby.enter()
    opened = await lobby.prove(away, await lobby.code(away))
    assert opened is not None
    assert opened.visitor.conversation_id == history
    assert await log(opened.visitor) == ["My recovery phrase is safe."]


async def test_two_who_prove_one_address_at_once_are_one(lobby: Lobby) -> None:
    first, second = await lobby.enter(), await lobby.enter()
    codes = [await lobby.code(one) for one in (first, second)]
    opened = await asyncio.gather(lobby.prove(first, codes[0]), lobby.prove(second, codes[1]))
    assert len({one.visitor.contact_id for one in opened if one is not None}) == 1
    assert None not in opened


async def test_whom_an_agent_takes_him_for_opens_nothing_to_him(lobby: Lobby) -> None:
    """Whether the address was his before the agent merged him or is his since then, on each of his devices."""
    first, second = await lobby.enter(), await lobby.enter()
    opened = await lobby.prove(first, await lobby.code(first))
    other = await factories.contact(lobby.services)
    boss = await factories.agent(lobby.services, role="admin")
    by = Actor(AuthorKind.AGENT, boss.id, "Anna", Role.ADMIN)
    async with lobby.services.database.transaction() as session:
        for one in (first, second):
            await contact_merging.merge(session, one.contact_id, into=other, version=None, by=by, now=clock.now())
    again, late = await lobby.enter(), await lobby.prove(second, await lobby.code(second, "late@customer.test"))
    proved = await lobby.prove(again, await lobby.code(again))
    third = await lobby.enter()
    later = await lobby.prove(third, await lobby.code(third, "late@customer.test"))
    assert opened is not None
    assert proved is not None
    assert late is not None
    assert later is not None
    assert (opened.visitor.contact_id, proved.visitor.contact_id) == (first.contact_id, first.contact_id)
    assert (late.visitor.contact_id, later.visitor.contact_id) == (second.contact_id, second.contact_id)
    # To the desk both are the other one's, until an agent takes that back.
    held = await lobby.house.rows(contact_identities, contact_identities.c.channel == "email")
    assert {row["contact_id"] for row in held} == {other}
    async with lobby.services.database.transaction() as session:
        row = await lobby.house.row(contacts, contacts.c.id == second.contact_id)
        await contact_merging.unmerge(session, second.contact_id, version=row["version"], by=by, now=clock.now())
    identity = await lobby.house.row(contact_identities, contact_identities.c.handle == "late@customer.test")
    assert identity["contact_id"] == second.contact_id


async def test_nor_does_an_address_for_which_the_host_site_vouches(lobby: Lobby) -> None:
    async def log_in(number: int, email: str) -> Visitor:
        who = Identity("user 7", f"proof {number}", clock.now() + MINUTE, email=email)
        how: dict[str, Any] = {"identity": who, "name": "", "email": "", "language": "en", "fields": {}}
        async with lobby.services.database.transaction() as session:
            opened = await sessions.begin(lobby.services, session, lobby.inbox_id, **how, now=clock.now())
        return opened.visitor

    visitor, other = await log_in(1, MINA), await factories.contact(lobby.services)
    boss = await factories.agent(lobby.services, role="admin")
    by = Actor(AuthorKind.AGENT, boss.id, "Anna", Role.ADMIN)
    async with lobby.services.database.transaction() as session:
        await contact_merging.merge(session, visitor.contact_id, into=other, version=None, by=by, now=clock.now())
    for number, email in ((2, MINA), (3, "another@customer.test"), (4, "another@customer.test")):
        again = await log_in(number, email)
        assert (again.contact_id, again.email) == (visitor.contact_id, email)


async def test_five_attempts_are_all_that_a_code_has(lobby: Lobby) -> None:
    visitor = await lobby.enter()
    code = await lobby.code(visitor)
    for attempt in range(visitor_emails.ATTEMPTS):
        assert await lobby.prove(visitor, other_than(code, attempt + 1)) is None
    assert await lobby.prove(visitor, code) is None
    assert (await lobby.house.row(visitor_codes))["attempts"] == visitor_emails.ATTEMPTS + 1
    fresh = await lobby.code(visitor)
    assert await lobby.prove(visitor, fresh) is not None


async def test_many_attempts_at_once_are_counted_one_by_one(lobby: Lobby) -> None:
    visitor = await lobby.enter()
    code = await lobby.code(visitor)
    tried = [other_than(code, by) for by in range(1, 12)]
    assert set(await asyncio.gather(*(lobby.prove(visitor, one) for one in tried))) == {None}
    assert await lobby.prove(visitor, code) is None


async def test_a_late_code_an_older_one_and_another_sessions_prove_nothing(lobby: Lobby) -> None:
    visitor, other = await lobby.enter(), await lobby.enter()
    assert await lobby.prove(visitor, "000000") is None, "nothing was asked for"
    first = await lobby.code(visitor)
    assert await lobby.prove(other, first) is None
    second = await lobby.code(visitor)
    if first != second:
        assert await lobby.prove(visitor, first) is None
    assert await lobby.prove(visitor, second, now=clock.now() + visitor_emails.LIFE) is None
    assert await lobby.prove(visitor, "") is None
    assert await lobby.prove(visitor, "１２３４５６" * 1000) is None
    assert await lobby.prove(visitor, second) is not None


async def test_what_is_asked_for_too_often_is_refused_or_goes_nowhere(lobby: Lobby) -> None:
    visitor = await lobby.enter()
    for _ in range(visitor_emails.PER_SESSION):
        await lobby.claim(visitor)
    with pytest.raises(TooMany) as refused:
        await lobby.claim(visitor)
    assert 0 < refused.value.extra["retry_after"] <= visitor_emails.LIFE.total_seconds() + 1
    # Another session is told nothing of it, and the mailbox is left alone.
    for _ in range(3):
        await lobby.claim(await lobby.enter())
    assert len(await lobby.mailed()) == visitor_emails.PER_EMAIL
    await lobby.claim(visitor, now=clock.now() + visitor_emails.LIFE + MINUTE)
    assert await lobby.mailed() == []
    late = await lobby.enter()
    await lobby.claim(late, now=clock.now() + timedelta(hours=1) + MINUTE)
    rows = await lobby.house.rows(visitor_codes, visitor_codes.c.session_id == late.session_id)
    assert [row["digest"] != "" for row in rows] == [True]


async def test_a_code_that_goes_nowhere_leaves_the_one_before_as_it_is(lobby: Lobby) -> None:
    visitor = await lobby.enter()
    code = await lobby.code(visitor)
    await lobby.claim(visitor, lobby.desk.address)
    assert await lobby.mailed() == [], "our own mailbox is nobody's"
    assert await lobby.prove(visitor, code) is not None


async def test_nothing_tells_whether_an_address_is_known(lobby: Lobby) -> None:
    """The same answer after the same work, statement by statement, whether it is known, new, or mailed too often."""
    await lobby.house.receive(lobby.desk, mail(MINA, dmarc="pass"))
    for _ in range(visitor_emails.PER_EMAIL):
        await lobby.claim(await lobby.enter(), "pestered@customer.test")
    done = []
    for email in (MINA, "nobody@customer.test", "pestered@customer.test"):
        visitor = await lobby.enter()
        with statements(lobby.services) as told:
            await lobby.claim(visitor, email)
            assert await lobby.prove(visitor, "not it") is None
        done.append(told)
    assert len(done[0]) > 8
    assert done[0] == done[1] == done[2]
    rows = await lobby.house.rows(visitor_sessions)
    assert {row["claimed_email"] != "" and row["email"] == "" for row in rows} == {True}


@contextmanager
def statements(services: Services) -> Iterator[list[str]]:
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    engine = services.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)


@ON_ONE_DATABASE
@pytest.mark.parametrize("email", ["", "mina", "Mina <mina@customer.test>", "a@b.test,c@d.test", "mina@customer"])
async def test_what_is_no_address_is_refused(lobby: Lobby, email: str) -> None:
    with pytest.raises(Invalid) as refused:
        await lobby.claim(await lobby.enter(), email)
    assert [error.field for error in refused.value.errors] == ["email"]


@ON_ONE_DATABASE
async def test_who_has_left_and_whom_no_mail_can_reach_is_told_so(lobby: Lobby) -> None:
    visitor = await lobby.enter()
    async with lobby.services.database.transaction() as session:
        await sessions.log_out(session, visitor, now=clock.now())
    with pytest.raises(SessionRefused):
        await lobby.claim(visitor)
    silent = await factories.inbox(lobby.services, channel="chat")
    async with lobby.services.database.transaction() as session:
        await session.execute(update(inboxes).where(inboxes.c.channel == "email").values(deleted_at=clock.now()))
    lobby.inbox_id = silent
    with pytest.raises(Conflict) as refused:
        await lobby.claim(await lobby.enter())
    assert refused.value.problem == "not_continued"


async def test_a_letter_that_was_not_taken_is_tried_again_and_one_that_is_too_late_is_not(lobby: Lobby) -> None:
    visitor = await lobby.enter()
    await lobby.claim(visitor)
    lobby.sink.reply("dot", "451 4.3.0 later", times=1)
    assert await lobby.mailed() == []
    async with lobby.services.database.transaction() as session:
        await session.execute(update(visitor_codes).values(next_attempt_at=clock.now()))
    ((_, code),) = await lobby.mailed()
    assert await lobby.prove(visitor, code) is not None
    await lobby.claim(visitor)
    async with lobby.services.database.transaction() as session:
        await session.execute(update(visitor_codes).values(expires_at=clock.now()))
    assert await lobby.mailed() == []
    assert all(row["sealed"] is None for row in await lobby.house.rows(visitor_codes))
