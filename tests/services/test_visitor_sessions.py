"""Visitors' sessions: whose token it is, for how long, and who its visitor has shown himself to be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import RowMapping, Table, select, update

from helpdesk import clock
from helpdesk.db import new_id
from helpdesk.domain.values import Actor, AuthorKind
from helpdesk.errors import NotFound
from helpdesk.live import Identity, IdentityRefused, Opened, SessionRefused, Visitor
from helpdesk.models.contacts import contact_identities, contact_merges, contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.events import audit
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.visitors import visitor_sessions, visits
from helpdesk.services import contact_merging, visitor_log, visitor_messages
from helpdesk.services import visitor_sessions as sessions
from helpdesk.services.digests import digest_of
from helpdesk.services.house import Services
from tests import factories

NOW = datetime(2026, 11, 23, 9, tzinfo=clock.now().tzinfo)


def mina(proof: str = "", **given: Any) -> Identity:
    """What the host site says of her."""
    given = {"subject": "mina-7", "expires_at": NOW + timedelta(hours=1)} | given
    return Identity(proof=proof or str(new_id()), **given)


async def begin(services: Services, inbox_id: UUID, *, at: datetime = NOW, **given: Any) -> Opened:
    given = {"identity": None, "name": "", "email": "", "language": "en", "fields": {}} | given
    async with services.database.transaction() as session:
        return await sessions.begin(services, session, inbox_id, **given, now=at)


async def identify(services: Services, visitor: Visitor, identity: Identity, *, at: datetime = NOW) -> Opened:
    async with services.database.transaction() as session:
        return await sessions.identify(services, session, visitor, identity, now=at)


async def say(services: Services, opened: Opened, text: str = "Where is my withdrawal?", *, at: datetime = NOW) -> UUID:
    visitor = await sessions.find(services.database, opened.token, now=at)
    async with services.database.transaction() as session:
        said = await visitor_messages.say(
            services, session, visitor, client_id=str(new_id()), text=text, attachment_ids=(), now=at
        )
    return said.conversation_id


async def rows(services: Services, table: Table, *where: Any) -> list[RowMapping]:
    async with services.database.reading() as session:
        return list((await session.execute(select(table).where(*where))).mappings())


async def test_a_stranger_is_a_contact_of_his_own_and_what_he_claims_stays_a_claim(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    fields = {"account": "mina\u202e7", "wallet_address": "0xabc", "empty": " "}
    given = {"name": "Mina\n", "email": "mina@customer.test", "language": "zh-TW", "fields": fields}
    opened = await begin(services, desk, **given)
    (row,), (contact,), (identity,) = [
        await rows(services, t) for t in (visitor_sessions, contacts, contact_identities)
    ]
    assert opened.visitor == await sessions.find(services.database, opened.token, now=NOW)
    assert (opened.visitor.identified, opened.visitor.email, opened.visitor.conversation_id) == (False, "", None)
    assert (row["digest"], row["claimed_email"], row["email"]) == (digest_of(opened.token), given["email"], "")
    assert row["fields"] == {"account": "mina7", "wallet_address": "0xabc", "claimed_email": given["email"]}
    assert (contact["name"], contact["language"], contact["id"]) == ("Mina", "zh-TW", opened.visitor.contact_id)
    assert (identity["channel"], identity["handle"], identity["verified"]) == ("chat", opened.visitor.handle, False)
    assert opened.visitor.handle.startswith("visitor-")
    assert len(opened.token) >= 43
    assert opened.token not in str(row)


async def test_a_conversation_that_he_began_is_the_one_that_his_next_message_joins(services: Services) -> None:
    desk, other = await factories.inbox(services, channel="chat"), await factories.inbox(services, channel="chat")
    opened, stranger = await begin(services, desk), await begin(services, other)
    begun = await say(services, opened)
    assert (await sessions.find(services.database, opened.token, now=NOW)).conversation_id == begun
    assert (await sessions.find(services.database, stranger.token, now=NOW)).conversation_id is None
    later = NOW + timedelta(days=15)
    assert (await sessions.find(services.database, opened.token, now=later)).conversation_id is None


async def test_what_the_form_asked_is_noted_for_the_agents_once_and_its_category_given(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    fields = {"category": "account", "wallet_address": "0xabc"}
    opened = await begin(services, desk, email="mina@customer.test", fields=fields)
    begun = await say(services, opened)
    await say(services, opened, "Hello?", at=NOW + timedelta(minutes=1))
    said = await rows(services, messages, messages.c.conversation_id == begun)
    assert [one["text"] for one in said if one["private"]] == [
        "E-mail (as he says, not proved): mina@customer.test\nWallet address: 0xabc"
    ]
    (conversation,) = await rows(services, conversations)
    assert conversation["category"] == "account"
    assert [one["new_text"] for one in said if not one["private"]] == ["Where is my withdrawal?", "Hello?"]


async def test_the_host_site_names_the_same_contact_on_every_device(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    phone = await begin(services, desk, identity=mina(name="Mina K."), name="somebody")
    begun = await say(services, phone)
    laptop = await begin(services, desk, identity=mina())
    other = await begin(services, desk, identity=mina(subject="jonas-3"))
    assert (laptop.visitor.contact_id, laptop.visitor.handle) == (phone.visitor.contact_id, phone.visitor.handle)
    assert (laptop.visitor.conversation_id, other.visitor.conversation_id) == (begun, None)
    assert laptop.visitor.identified
    assert other.visitor.contact_id != phone.visitor.contact_id
    assert phone.visitor.handle.startswith("user-")
    assert "mina-7" not in phone.visitor.handle
    assert [one["name"] for one in await rows(services, contacts, contacts.c.id == phone.visitor.contact_id)] == [
        "Mina K."
    ]
    elsewhere = await begin(services, await factories.inbox(services, channel="chat"), identity=mina())
    assert elsewhere.visitor.contact_id != phone.visitor.contact_id


async def test_a_statement_is_good_once(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    opened, stranger = await begin(services, desk, identity=mina("once")), await begin(services, desk)
    with pytest.raises(IdentityRefused):
        await begin(services, desk, identity=mina("once"))
    with pytest.raises(IdentityRefused):
        await identify(services, stranger.visitor, mina("once"))
    assert await sessions.find(services.database, stranger.token, now=NOW) == stranger.visitor
    assert await sessions.find(services.database, opened.token, now=NOW) == opened.visitor


async def test_whoever_logs_in_takes_what_he_said_along_and_gets_another_token(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    known = await begin(services, desk, identity=mina())
    stranger = await begin(services, desk)
    begun = await say(services, stranger)
    after = await identify(services, stranger.visitor, mina())
    assert after.visitor.session_id == stranger.visitor.session_id
    assert (after.visitor.contact_id, after.visitor.conversation_id) == (known.visitor.contact_id, begun)
    assert (await sessions.find(services.database, known.token, now=NOW)).conversation_id == begun
    with pytest.raises(SessionRefused):
        await sessions.find(services.database, stranger.token, now=NOW)
    (merged,) = await rows(services, contact_merges)
    assert (merged["contact_id"], merged["into_id"]) == (stranger.visitor.contact_id, known.visitor.contact_id)
    assert merged["merged_by"] is None
    noted = await rows(services, audit, audit.c.action == "contact.merged")
    assert [(one["actor_kind"], one["subject_id"]) for one in noted] == [("contact", stranger.visitor.contact_id)]
    log = await visitor_log.before(services.database, after.visitor, begun, None, limit=10)
    assert [item.data["text"] for item in log.items] == ["Where is my withdrawal?"]


async def test_whoever_logs_in_for_the_first_time_stays_the_contact_that_he_was(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    stranger = await begin(services, desk, name="The captain")
    begun = await say(services, stranger)
    after = await identify(services, stranger.visitor, mina(name="Mina"))
    assert (after.visitor.contact_id, after.visitor.conversation_id) == (stranger.visitor.contact_id, begun)
    assert [one["name"] for one in await rows(services, contacts)] == ["Mina"]
    assert await rows(services, contact_merges) == []
    again = await identify(services, after.visitor, mina())
    assert again.visitor == replace(after.visitor, digest=digest_of(again.token))
    assert again.token != after.token


async def test_whoever_has_said_nothing_is_not_merged_only_known(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    known, stranger = await begin(services, desk, identity=mina()), await begin(services, desk)
    after = await identify(services, stranger.visitor, mina())
    assert after.visitor.contact_id == known.visitor.contact_id
    assert await rows(services, contact_merges) == []
    owners = {one["contact_id"] for one in await rows(services, contact_identities)}
    assert owners == {known.visitor.contact_id}


async def test_somebody_else_on_the_same_device_begins_anew(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    opened = await begin(services, desk, identity=mina())
    begun = await say(services, opened)
    jonas = await identify(services, opened.visitor, mina(subject="jonas-3"))
    assert jonas.visitor.session_id != opened.visitor.session_id
    assert jonas.visitor.conversation_id is None
    with pytest.raises(SessionRefused):
        await sessions.find(services.database, opened.token, now=NOW)
    assert (await begin(services, desk, identity=mina())).visitor.conversation_id == begun


async def test_who_proved_an_address_and_who_logs_in_under_another_may_be_two_at_one_computer(
    services: Services,
) -> None:
    desk = await factories.inbox(services, channel="chat")
    proved = await begin(services, desk)
    begun = await say(services, proved)
    async with services.database.transaction() as session:
        mine = update(visitor_sessions).where(visitor_sessions.c.id == proved.visitor.session_id)
        await session.execute(mine.values(email="mina@customer.test"))
    visitor = await sessions.find(services.database, proved.token, now=NOW)
    assert visitor.identified
    jonas = await identify(services, visitor, mina(subject="jonas-3", email="jonas@customer.test"))
    assert jonas.visitor.conversation_id is None
    assert (await rows(services, conversations, conversations.c.id == begun))[0]["contact_id"] == visitor.contact_id


async def test_an_address_that_the_site_vouches_for_is_its_owners(services: Services) -> None:
    mail = await factories.inbox(services)
    desk = await factories.inbox(services, channel="chat")
    owner = await factories.contact(services, handle="mina@customer.test")
    fresh = await begin(services, desk, identity=mina(subject="jonas-3", email="Jonas@Customer.test"))
    begun = await begin(services, desk, identity=mina())
    conversation = await say(services, begun)
    vouched = await begin(services, desk, identity=mina(email="mina@customer.test"))
    assert (vouched.visitor.contact_id, vouched.visitor.email) == (owner, "mina@customer.test")
    assert vouched.visitor.conversation_id == conversation
    handles = {one["handle"]: one for one in await rows(services, contact_identities)}
    assert handles["jonas@customer.test"]["contact_id"] == fresh.visitor.contact_id
    assert handles["mina@customer.test"]["contact_id"] == handles[begun.visitor.handle]["contact_id"] == owner
    assert handles["jonas@customer.test"]["verified"]
    assert handles["mina@customer.test"]["verified"]
    ours = (await rows(services, inboxes, inboxes.c.id == mail))[0]["handle"]
    assert (await begin(services, desk, identity=mina(subject="x", email=ours))).visitor.email == ""


async def test_an_address_of_another_user_of_the_site_stays_his(services: Services) -> None:
    await factories.inbox(services)
    desk = await factories.inbox(services, channel="chat")
    app = await factories.inbox(services, channel="chat")
    before = await begin(services, desk, identity=mina(email="desk@customer.test"))
    begun = await say(services, before, "My seed is gone.")
    after = await begin(services, desk, identity=mina(subject="jonas-3", email="desk@customer.test"))
    assert (after.visitor.email, after.visitor.conversation_id) == ("", None)
    assert after.visitor.contact_id != before.visitor.contact_id
    again = await begin(services, desk, identity=mina(email="mina@customer.test"))
    assert (again.visitor.email, again.visitor.conversation_id) == ("mina@customer.test", begun)
    # In the app she is known by another handle, and by her address all the same.
    elsewhere = await begin(services, app, identity=mina(email="mina@customer.test"))
    assert elsewhere.visitor.contact_id == before.visitor.contact_id


async def test_an_address_is_nobodys_where_nothing_goes_on_by_mail(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    opened = await begin(services, desk, identity=mina(email="mina@customer.test"))
    assert opened.visitor.email == ""
    assert {one["channel"] for one in await rows(services, contact_identities)} == {"chat"}


async def test_whom_an_agent_takes_a_visitor_for_opens_nothing_to_him(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    known, stranger = await begin(services, desk, identity=mina()), await begin(services, desk)
    hers, his = await say(services, known, "My seed is gone."), await say(services, stranger, "I am Mina.")
    await merge(services, stranger.visitor.contact_id, into=known.visitor.contact_id)
    visitor = await sessions.find(services.database, stranger.token, now=NOW)
    assert visitor.conversation_id == his
    assert await say(services, stranger, "Where is it?", at=NOW + timedelta(minutes=1)) == his
    log = await visitor_log.before(services.database, visitor, his, None, limit=10)
    assert [item.data["text"] for item in log.items] == ["I am Mina.", "Where is it?"]
    assert (await visitor_log.before(services.database, visitor, hers, None, limit=10)).items == ()
    mine = await sessions.find(services.database, known.token, now=NOW)
    assert mine.conversation_id == hers
    # Once he is shown to be her, what he said is hers.
    after = await identify(services, visitor, mina())
    assert after.visitor.contact_id == known.visitor.contact_id


async def test_a_user_is_himself_whomever_an_agent_takes_him_for(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    victim, opened = (
        await begin(services, desk, identity=mina(subject="jonas-3")),
        await begin(services, desk, identity=mina()),
    )
    secret, begun = await say(services, victim, "My seed is gone."), await say(services, opened)
    await merge(services, opened.visitor.contact_id, into=victim.visitor.contact_id)
    laptop = await begin(services, desk, identity=mina())
    assert (laptop.visitor.contact_id, laptop.visitor.conversation_id) == (opened.visitor.contact_id, begun)
    assert (await begin(services, desk, identity=mina(subject="jonas-3"))).visitor.conversation_id == secret


async def merge(services: Services, contact_id: UUID, *, into: UUID) -> None:
    """As an agent does it."""
    by = Actor(AuthorKind.AGENT, id=new_id())
    async with services.database.transaction() as session:
        await contact_merging.merge(session, contact_id, into=into, version=None, by=by, now=NOW)


async def test_a_token_is_good_for_its_inbox_until_it_is_not_used_any_more_or_spent(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    opened, other = await begin(services, desk), await begin(services, desk)
    ids = [opened.visitor.session_id, other.visitor.session_id, new_id()]
    seen = NOW + timedelta(days=29)
    await sessions.find(services.database, opened.token, now=seen)
    assert await sessions.still(services.database, ids, now=NOW + timedelta(days=31)) == {ids[0]: opened.visitor.digest}
    await sessions.find(services.database, opened.token, now=NOW + timedelta(days=58))
    for bad in ("", "x" * 43, other.token, opened.token[:-1], opened.token + "A"):
        with pytest.raises(SessionRefused):
            await sessions.find(services.database, bad, now=NOW + timedelta(days=58))
    async with services.database.transaction() as session:
        await sessions.log_out(session, opened.visitor, now=NOW)
    assert await sessions.still(services.database, ids, now=NOW) == {ids[1]: other.visitor.digest}
    with pytest.raises(SessionRefused):
        await sessions.find(services.database, opened.token, now=NOW)
    with pytest.raises(SessionRefused):
        await identify(services, opened.visitor, mina())


async def test_that_a_session_is_used_is_written_once_a_minute(services: Services) -> None:
    opened = await begin(services, await factories.inbox(services, channel="chat"))
    for seconds, last in ((30, 0), (90, 90), (120, 90), (150, 150)):
        await sessions.find(services.database, opened.token, now=NOW + timedelta(seconds=seconds))
        (row,) = await rows(services, visitor_sessions)
        assert row["last_seen_at"] == NOW + timedelta(seconds=last)
        assert row["expires_at"] == row["last_seen_at"] + sessions.LIFE


@pytest.mark.parametrize("gone", [{"state": "paused"}, {"deleted_at": NOW}])
async def test_an_inbox_that_takes_no_visitors_ends_their_sessions(services: Services, gone: dict[str, Any]) -> None:
    desk = await factories.inbox(services, channel="chat")
    opened = await begin(services, desk)
    async with services.database.transaction() as session:
        await session.execute(update(inboxes).where(inboxes.c.id == desk).values(gone))
    assert await sessions.still(services.database, [opened.visitor.session_id], now=NOW) == {}
    with pytest.raises(SessionRefused):
        await sessions.find(services.database, opened.token, now=NOW)
    with pytest.raises(NotFound):
        await begin(services, desk)
    with pytest.raises(NotFound):
        await begin(services, await factories.inbox(services))


async def test_two_tabs_that_log_in_at_once_end_as_one_contact(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    known, stranger = await begin(services, desk, identity=mina()), await begin(services, desk)
    begun = await say(services, stranger)
    both = await asyncio.gather(*(identify(services, stranger.visitor, mina()) for _ in range(2)))
    fresh = await asyncio.gather(*(begin(services, desk, identity=mina(subject="new")) for _ in range(2)))
    assert {one.visitor.contact_id for one in both} == {known.visitor.contact_id}
    assert {one.visitor.conversation_id for one in both} == {begun}
    assert len({one.visitor.contact_id for one in fresh}) == 1
    good = [one for one in both if await is_good(services, one.token)]
    assert len(good) == 1, "the other token was spent by the one that came after it"


async def test_of_two_who_use_one_statement_at_once_one_is_refused(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    stranger, identity = await begin(services, desk), mina("once")
    ends = await asyncio.gather(
        begin(services, desk, identity=identity),
        identify(services, stranger.visitor, identity),
        return_exceptions=True,
    )
    assert sorted(type(end).__name__ for end in ends) == ["IdentityRefused", "Opened"]


async def test_a_message_and_a_login_at_once_wait_for_each_other_and_lose_nothing(services: Services) -> None:
    desk = await factories.inbox(services, channel="chat")
    known, stranger = await begin(services, desk, identity=mina()), await begin(services, desk)
    begun = await say(services, stranger)
    async with asyncio.timeout(20):
        after, *said = await asyncio.gather(
            identify(services, stranger.visitor, mina()),
            *(say_as(services, stranger.visitor, f"number {n}") for n in range(4)),
        )
    assert set(said) == {begun}
    log = await visitor_log.before(services.database, after.visitor, begun, None, limit=20)
    assert len([item for item in log.items if item.data["text"].startswith("number")]) == 4
    assert after.visitor.contact_id == known.visitor.contact_id


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_first_message_of_whoever_logs_in_at_that_moment_is_his(services: Services) -> None:
    """Begun by who he was, and unknown to whoever he is: he would never see it, nor what it is answered."""
    desk = await factories.inbox(services, channel="chat")
    known, stranger = await begin(services, desk, identity=mina()), await begin(services, desk)
    async with services.database.transaction() as session:
        how: dict[str, Any] = {"client_id": "a", "text": "Where is my withdrawal?", "now": NOW}
        said = await visitor_messages.say(services, session, stranger.visitor, **how)
        logging_in = asyncio.create_task(identify(services, stranger.visitor, mina()))
        await asyncio.wait([logging_in], timeout=0.3)
    after = (await logging_in).visitor
    assert (after.contact_id, after.conversation_id) == (known.visitor.contact_id, said.conversation_id)
    log = await visitor_log.before(services.database, after, said.conversation_id, None, limit=20)
    assert [item.data["text"] for item in log.items] == ["Where is my withdrawal?"]
    (conversation,) = await rows(services, conversations)
    assert conversation["contact_id"] == after.contact_id


async def say_as(services: Services, visitor: Visitor, text: str) -> UUID:
    visitor = replace(visitor, conversation_id=None)
    async with services.database.transaction() as session:
        said = await visitor_messages.say(
            services, session, visitor, client_id=str(new_id()), text=text, attachment_ids=(), now=NOW
        )
    return said.conversation_id


async def is_good(services: Services, token: str) -> bool:
    try:
        await sessions.find(services.database, token, now=NOW)
    except SessionRefused:
        return False
    return True


async def test_a_missed_chat_of_whoever_logs_in_with_an_address_is_due_by_mail(services: Services) -> None:
    await factories.inbox(services)
    desk = await factories.inbox(services, channel="chat")
    stranger = await begin(services, desk)
    begun = await say(services, stranger)
    async with services.database.transaction() as session:
        await session.execute(update(visits).where(visits.c.conversation_id == begun).values(missed=True))
    await identify(services, stranger.visitor, mina(email="mina@customer.test"))
    assert [one["mail_due_at"] for one in await rows(services, visits)] == [NOW]
