"""Search: what is found by which words, in which order, by whom, and what a query cannot do."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows
from helpdesk.dialects import Prepared
from helpdesk.domain.events import ConversationAssigned, ConversationCreated, ConversationUpdated, MessageCreated
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind
from helpdesk.errors import Invalid
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversation_inboxes, conversations
from helpdesk.models.events import events
from helpdesk.models.messages import messages
from helpdesk.models.search import search_rows, search_state
from helpdesk.services import following, search_indexing
from helpdesk.services.contacts import edit
from helpdesk.services.events import row as event_row
from helpdesk.services.house import Services
from helpdesk.services.paging import Page
from helpdesk.services.search import Found, Kind, newest_conversations, search, understand
from helpdesk.services.search_store import FIRST, _stretches, newest
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.searching import indexed, walked
from tests.services.search_queries import ODD, QUERIES, TALKS
from workers.search import Searching

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
BOTH = (Kind.MESSAGE, Kind.CONTACT)


async def tell(services: Services, *happened: Any) -> None:
    """Events with their positions, as the relay leaves them."""
    async with services.database.transaction() as session:
        last = await session.scalar(select(func.max(events.c.position))) or 0
        rows = [event_row(event, now=NOW) | {"position": last + 1 + i} for i, event in enumerate(happened)]
        await insert_rows(session, events, rows)


async def tell_of(services: Services, conversation_id: UUID) -> None:
    """What filing would have told of it and its messages."""
    async with services.database.reading() as session:
        query = select(conversations).where(conversations.c.id == conversation_id)
        talk = (await session.execute(query)).mappings().one()
        said = select(messages).where(messages.c.conversation_id == conversation_id).order_by(messages.c.id)
        written = (await session.execute(said)).mappings().all()
    about = {name: talk[name] for name in ("number", "contact_id", "channel", "inbox_id")}
    told = [
        MessageCreated(message_id=one["id"], inbox_id=one["inbox_id"], private=one["private"], by="agent")
        for one in written
    ]
    await tell(services, ConversationCreated(conversation_id=conversation_id, **about), *told)


async def talk(services: Services, inbox_id: UUID, *, text: str = "My withdrawal", **given: Any) -> UUID:
    """A conversation that is in the index."""
    made = await factories.conversation(services, inbox_id=inbox_id, text=text, now=given.pop("now", NOW), **given)
    await tell_of(services, made)
    await indexed(services)
    return made


async def years_pass(services: Services) -> None:
    """As many rows as fill a few stretches come and go, so that what was is among the older ones."""
    async with services.database.transaction() as session:
        await session.execute(update(search_state).values(newest=search_state.c.newest + (1 << 16)))


async def desk(services: Services, inbox_id: UUID) -> dict[UUID, str]:
    """`TALKS`, each message a minute after the one before; answers what everything is called."""
    names: dict[UUID, str] = {}
    at = NOW
    for name, (person, handle, subject, said) in TALKS.items():
        made = await factories.conversation(
            services, inbox_id=inbox_id, handle=handle, name=person, subject=subject, messages=0, now=at
        )
        names[made] = name
        for number, words in enumerate(said, 1):
            at += timedelta(minutes=1)
            private = words.startswith("#")
            message_id = await factories.incoming(services, made, text=words.lstrip("#> "), private=private, now=at)
            names[message_id] = f"{name}/{number}"
        async with services.database.reading() as session:
            contact = select(conversations.c.contact_id).where(conversations.c.id == made)
            names[(await session.execute(contact)).scalar_one()] = f"@{name}"
        await tell_of(services, made)
        await indexed(services)
        await years_pass(services)
    return names


def called(found: Found, names: dict[UUID, str]) -> list[str]:
    them = [hit.candidate for hit in found.hits]
    return [names[key] for one in them if (key := one.message_id or one.conversation_id or one.contact_id)]


async def ask(services: Services, q: str, *, by: Actor = SYSTEM, page: Page | None = None, **how: Any) -> Found:
    return await search(services, by, q, kinds=how.pop("kinds", BOTH), page=page or Page(limit=10), **how)


async def ids(services: Services, q: str, *, by: Actor = SYSTEM, **how: Any) -> set[UUID | None]:
    """The conversations that are found."""
    return {hit.candidate.conversation_id for hit in (await ask(services, q, by=by, kinds=[Kind.MESSAGE], **how)).hits}


async def refused(services: Services, query: str) -> list[str]:
    """The fields for which a query is refused; none if it is answered."""
    try:
        await ask(services, query)
    except Invalid as error:
        return [one.field for one in error.errors]
    return []


async def test_every_query_finds_what_it_has_to_in_the_order_that_it_has_to(services: Services) -> None:
    names = await desk(services, await factories.inbox(services))
    wrong = {}
    for query, expected in QUERIES.items():
        found = called(await ask(services, query), names)
        if found != list(expected):
            wrong[query] = found
    assert wrong == {}
    assert len(QUERIES) >= 60
    for query in ODD:
        assert await refused(services, query) in ([], ["q"]), query


async def test_nobody_finds_what_he_may_not_see(services: Services) -> None:
    anna, ben = await factories.agent(services), await factories.agent(services)
    hers, his = [await factories.inbox(services, members=[one.id]) for one in (anna, ben)]
    own = await talk(services, hers, name="Wilma Withdrawal")
    foreign = await talk(services, his, name="Fremd Withdrawal", text="my withdrawal of 7777")
    given = await talk(services, his, assignee_id=anna.id, name="Third")
    actor = Actor(AuthorKind.AGENT, id=anna.id, inbox_ids=(hers,))
    assert await ids(services, "withdrawal", by=actor) == {own, given}
    assert await ids(services, "withdrawal") == {own, given, foreign}
    people = await ask(services, "withdrawal", by=actor, kinds=[Kind.CONTACT])
    assert [hit.contact["name"] for hit in people.hits if hit.contact] == ["Wilma Withdrawal"]
    for query in ("7777", "fremd"):
        nothing = await ask(services, query, by=actor)
        assert (nothing.hits, nothing.next_cursor, nothing.truncated) == ([], None, False)
    # Not even that there would be more: what he may see is counted, and nothing else.
    terms = await understand("withdrawal")
    assert [(await newest(services, by, terms, most=4))[1] for by in (actor, SYSTEM)] == [False, True]
    assert await newest_conversations(services, actor, "withdrawal", limit=9) == ([given, own], False)
    assert await newest_conversations(services, SYSTEM, "withdrawal", limit=1) == ([given], True)


async def test_what_comes_into_somebodys_sight_is_found_by_him_and_what_leaves_it_no_more(services: Services) -> None:
    anna = await factories.agent(services)
    hers, his = await factories.inbox(services, members=[anna.id]), await factories.inbox(services)
    team = await factories.team(services, members=[anna.id])
    actor = Actor(AuthorKind.AGENT, id=anna.id, inbox_ids=(hers,), team_ids=(team,))
    assigned, routed, touched, taken = [await talk(services, his, messages=2) for _ in range(4)]
    own = await talk(services, hers)
    assert await ids(services, "withdrawal", by=actor) == {own}
    by: dict[str, Any] = {"by": "agent", "team_id": None, "assignee_id": None}
    async with services.database.transaction() as session:
        for made, values in ((assigned, {"assignee_id": anna.id}), (routed, {"team_id": team})):
            await session.execute(update(conversations).where(conversations.c.id == made).values(values))
        await insert_rows(session, conversation_inboxes, [{"conversation_id": touched, "inbox_id": hers}])
        away = {"conversation_id": own, "seq": messages.c.seq + 10}
        await session.execute(update(messages).where(messages.c.conversation_id == taken).values(away))
    await tell(services, *(ConversationAssigned(conversation_id=one, **by) for one in (assigned, routed, touched)))
    shown = (await ask(services, "withdrawal", kinds=[Kind.MESSAGE], page=Page(limit=50))).hits
    assert taken not in {one.conversation["id"] for one in shown if one.conversation and one.message}
    await tell_of(services, own)
    await indexed(services)
    assert await ids(services, "withdrawal", by=actor) == {assigned, routed, touched, own}
    async with services.database.transaction() as session:
        await session.execute(update(conversations).values(assignee_id=None, team_id=None))
    assert await ids(services, "withdrawal", by=actor) == {touched, own}, "whatever the index says"


async def test_spam_is_found_by_those_who_ask_for_it(services: Services) -> None:
    inbox = await factories.inbox(services)
    wanted, spam = await talk(services, inbox), await talk(services, inbox, spam=True)
    assert await ids(services, "withdrawal") == {wanted}
    assert await ids(services, "withdrawal", spam=True) == {wanted, spam}


async def test_what_takes_too_long_is_asked_of_the_newest_only_and_given_up_after_that(services: Services) -> None:
    made = await talk(services, await factories.inbox(services))
    terms = await understand("withdrawal")
    quick, more = await newest(services, SYSTEM, terms, seconds=(0.0, 5.0))
    assert ({one.conversation_id for one in quick}, more) == ({made}, True)
    assert await newest(services, SYSTEM, terms, seconds=(0.0, 0.0)) == ([], True)


async def test_a_read_ends_when_its_time_is_over_and_leaves_the_connection_usable(services: Services) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i < 0"
    database = services.database
    prepared = database.prepared("endless", lambda: text(endless).columns())
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await database.fetch(prepared, {}, seconds=0.1)
    assert await database.fetch(database.prepared("one", lambda: select(func.abs(-1))), {}, seconds=5.0)


async def test_what_goes_is_found_no_more(services: Services) -> None:
    inbox = await factories.inbox(services)
    gone, kept = await talk(services, inbox), await talk(services, inbox)
    async with services.database.transaction() as session:
        await session.execute(delete(conversations).where(conversations.c.id == gone))
    assert await ids(services, "withdrawal") == {kept}
    assert [one.conversation_id for one in (await newest(services, SYSTEM, await understand("withdrawal")))[0]] == [
        kept,
        kept,
    ]


async def test_a_new_subject_is_found_and_the_old_one_no_more(services: Services) -> None:
    made = await talk(services, await factories.inbox(services), messages=0)
    async with services.database.transaction() as session:
        await session.execute(update(conversations).values(subject="退款"))
    await tell(services, ConversationUpdated(conversation_id=made, changes={"subject": ["Withdrawal", "退款"]}, by="x"))
    await indexed(services)
    assert (await ids(services, "退款"), await ids(services, "withdrawal")) == ({made}, set())


async def test_what_the_desk_sends_by_itself_is_not_found(services: Services) -> None:
    inbox_id = await factories.inbox(services)
    made = await factories.conversation(services, inbox_id=inbox_id, text="never tell your 助记词", now=NOW)
    automatic = {"auto_submitted": "auto-replied"}
    for kind, found in (("outgoing", set[UUID]()), ("incoming", {made})):
        async with services.database.transaction() as session:
            await session.execute(update(messages).values(type=kind, **automatic))
        await walked(services)
        assert await ids(services, "助记词") == found


async def test_a_contact_is_found_by_his_new_name(services: Services) -> None:
    await talk(services, await factories.inbox(services), name="Old Name")
    async with services.database.transaction() as session:
        before = (await session.execute(select(contacts))).mappings().one()
        changed = {"name": "吴先生"}
        await edit(session, before, changed, by=SYSTEM, now=NOW)
        last = select(func.max(events.c.position)).scalar_subquery()
        mine = events.c.type == "contact.updated"
        await session.execute(update(events).where(mine).values(position=last + 1))
    await indexed(services)
    found = [len((await ask(services, q, kinds=[Kind.CONTACT])).hits) for q in ("old", "吳")]
    assert found == [0, 1]


async def test_events_that_are_told_twice_change_nothing(services: Services) -> None:
    made = await talk(services, await factories.inbox(services))
    async with services.database.reading() as session:
        before = (await session.execute(select(search_rows).order_by(search_rows.c.n))).all()
    await tell_of(services, made)
    await indexed(services)
    async with services.database.reading() as session:
        assert (await session.execute(select(search_rows).order_by(search_rows.c.n))).all() == before
    assert await ids(services, "withdrawal") == {made}


async def test_what_two_workers_found_is_written_once(services: Services) -> None:
    made = await factories.conversation(services, inbox_id=await factories.inbox(services))
    await tell_of(services, made)
    async with services.database.reading() as session:
        ahead = await following.look(session, search_indexing.FOLLOWER)
    assert ahead.found is not None
    came = []
    for _ in range(2):
        async with services.database.transaction() as session:
            came.append(await following.keep(session, search_indexing.FOLLOWER, ahead, search_indexing.take_in))
    assert (came, len(ahead.found.entries)) == ([2, 0], 3)
    other = Searching(services, worker="another")
    assert await other.step() == 0, "nothing is left for anybody"


async def test_a_walk_finds_what_was_there_before_and_numbers_it_as_older(services: Services) -> None:
    inbox = await factories.inbox(services)
    old = [await factories.conversation(services, inbox_id=inbox, text=f"withdrawal {n}", now=NOW) for n in range(3)]
    live = await talk(services, inbox)
    assert await ids(services, "withdrawal") == {live}
    await walked(services)
    found, _ = await newest_conversations(services, SYSTEM, "withdrawal", limit=9)
    assert found == [live, *reversed(old)]
    async with services.database.reading() as session:
        state = (await session.execute(select(search_state))).mappings().one()
        numbers = (await session.execute(select(search_rows.c.n))).scalars().all()
        people = await session.scalar(select(func.count()).select_from(contacts))
    assert (state["rebuild"], state["newest"], state["oldest"]) == (False, max(numbers), min(numbers))
    assert min(numbers) < FIRST < max(numbers)
    assert len(numbers) == 4 + 4 + people, "each message, conversation and contact has one"


async def test_a_walk_keeps_nothing_that_changed_while_it_looked(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = Actor(AuthorKind.AGENT, id=(await factories.agent(services)).id)
    made = await factories.conversation(services, inbox_id=await factories.inbox(services), text="My withdrawal")
    look, meanwhile = search_indexing._scopes, list[asyncio.Task[None]]()

    async def given_to_anna() -> None:
        async with services.database.transaction() as session:
            await session.execute(update(conversations).values(assignee_id=anna.id))
        await tell(services, ConversationAssigned(conversation_id=made, by="agent", team_id=None, assignee_id=anna.id))
        await indexed(services)

    async def looked(session: AsyncSession, wanted: Collection[UUID]) -> dict[UUID, str]:
        found = await look(session, wanted)
        if wanted and not meanwhile:
            meanwhile.append(asyncio.create_task(given_to_anna()))
            await asyncio.wait(meanwhile, timeout=0.3)
        return found

    monkeypatch.setattr(search_indexing, "_scopes", looked)
    await walked(services)
    await meanwhile[0]
    assert await ids(services, "withdrawal", by=anna) == {made}


async def test_whoever_becomes_interested_misses_nothing_that_happens_from_then_on(services: Services) -> None:
    happened = ConversationAssigned(conversation_id=uuid4(), by="agent", team_id=None, assignee_id=None)

    async def nobody_yet(_: AsyncSession) -> bool:
        await tell(services, happened)
        return False

    follower = replace(search_indexing.FOLLOWER, name="late", interested=nobody_yet)
    async with services.database.reading() as session:
        assert (await following.look(session, follower)).end == 0


async def test_pages_follow_each_other_whatever_comes_meanwhile(services: Services, client: httpx.AsyncClient) -> None:
    anna = await factories.agent(services, role="admin")
    inbox = await factories.inbox(services)
    made = await talk(services, inbox, text="<b>withdrawal</b> of 5", messages=5)
    seen: list[str] = []
    url = "/api/v1/search?q=withdrawals&kind=message&limit=2"
    cursor = ""
    while cursor is not None:
        answer = await client.get(url + (f"&cursor={cursor}" if cursor else ""), headers=anna.headers)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        seen += [item["message"]["id"] for item in body["items"]]
        if not cursor:
            await talk(services, inbox, now=NOW + timedelta(hours=1))
        cursor = body["next_cursor"]
    assert (len(seen), len(set(seen))) == (5, 5)
    item = body["items"][0]
    assert (item["kind"], item["conversation"]["id"], item["contact"]) == ("message", str(made), None)
    assert item["title"] == [{"text": "Withdrawal", "hit": True}]
    assert item["snippet"] == [
        {"text": "<b>", "hit": False},
        {"text": "withdrawal", "hit": True},
        {"text": "</b> of 5", "hit": False},
    ]
    other = await client.get("/api/v1/search?q=fee&cursor=" + "x" * 20, headers=anna.headers)
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "cursor")


@ON_ONE_DATABASE
async def test_numbers_notes_and_contacts_are_shown_as_what_they_are(
    services: Services, client: httpx.AsyncClient
) -> None:
    anna = await factories.agent(services, role="admin")
    inbox = await factories.inbox(services)
    made = await factories.conversation(services, inbox_id=inbox, handle="wu@example.cn", name="吳先生", messages=0)
    await factories.incoming(services, made, text="內部備註", private=True, now=NOW)
    await tell_of(services, made)
    await indexed(services)

    async def first(q: str) -> Any:
        return (await client.get("/api/v1/search", params={"q": q}, headers=anna.headers)).json()["items"][0]

    number, note, contact = await first("#1"), await first("内部"), await first("吴")
    assert (number["kind"], number["message"], number["conversation"]["number"]) == ("conversation", None, 1)
    assert (note["kind"], note["message"]["private"]) == ("message", True)
    assert note["snippet"][0] == {"text": "內部", "hit": True}
    assert (contact["kind"], contact["conversation"]) == ("contact", None)
    assert contact["contact"]["handles"] == [{"channel": "email", "handle": "wu@example.cn"}]


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "q"),
        ("?q=", "q"),
        ("?q=%20", "q"),
        ("?q=%F0%9F%98%80", "q"),
        ("?q=%00", "q"),
        (f"?q={'x' * 10_000}", "q"),
        ("?q=fee&kind=agent", "kind"),
        ("?q=fee&spam=maybe", "spam"),
        ("?q=fee&limit=101", "limit"),
        ("?q=fee&q=fee", "q"),
        ("?q=fee&sort=at", "sort"),
    ],
)
async def test_a_bad_question_is_refused_with_the_field(
    services: Services, client: httpx.AsyncClient, query: str, field: str
) -> None:
    anna = await factories.agent(services)
    answer = await client.get(f"/api/v1/search{query}", headers=anna.headers)
    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, [field])


async def test_search_is_narrowed_to_some_conversations_and_times(
    services: Services, client: httpx.AsyncClient
) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    hers, other = [await factories.inbox(services, members=[anna.id]) for _ in range(2)]
    his = await factories.inbox(services, members=[bert.id])
    start = NOW - timedelta(days=9)
    rows: list[dict[str, Any]] = [
        {"inbox_id": hers, "status": "pending"},
        {"inbox_id": other, "status": "resolved"},
        {"inbox_id": his, "status": "open"},
    ]
    made = [
        await factories.conversation(services, now=start + timedelta(days=n), handle=f"zoltan{n}@customer.test", **row)
        for n, row in enumerate(rows)
    ]
    await walked(services)
    second = (await client.get(f"/api/v1/conversations/{made[1]}", headers=anna.headers)).json()
    between = (start + timedelta(hours=12)).isoformat().replace("+00:00", "Z")
    expected = {
        "": {0, 1},
        "&status=pending": {0},
        "&status=pending&status=resolved": {0, 1},
        f"&inbox_id={other}&inbox_id={his}": {1},
        f"&contact_id={second['contact']['id']}": {1},
        f"&conversation_id={made[0]}&conversation_id={made[2]}": {0},
        f"&after={between}": {1},
        f"&before={between}": {0},
        f"&before={between}&status=resolved": set(),
    }
    for query, found in expected.items():
        answer = await client.get(f"/api/v1/search?q=withdrawal&kind=message{query}", headers=anna.headers)
        assert answer.status_code == 200, answer.text
        ids = {made.index(UUID(one["conversation"]["id"])) for one in answer.json()["items"]}
        assert ids == found, query
    narrowed = await client.get("/api/v1/search?q=zoltan1&status=resolved", headers=anna.headers)
    assert narrowed.json()["items"] == [], "a contact has no status"
    refused = await client.get("/api/v1/search?q=zoltan1&kind=contact&status=open", headers=anna.headers)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "kind")


@ON_ONE_DATABASE
async def test_a_token_that_may_not_read_contacts_finds_none(services: Services, client: httpx.AsyncClient) -> None:
    bot = await factories.agent(services, role="admin", kind="bot", scopes=["conversations:read"])
    await talk(services, await factories.inbox(services), name="Withdrawal")
    answer = await client.get("/api/v1/search?q=withdrawal", headers=bot.headers)
    assert {item["kind"] for item in answer.json()["items"]} == {"message"}
    refused = await client.get("/api/v1/search?q=withdrawal&kind=contact", headers=bot.headers)
    assert refused.status_code == 403


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_no_question_reads_the_rows_from_end_to_end(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the tables too dear to be read whole, as large ones are."""
    agent = Actor(AuthorKind.AGENT, id=uuid4(), inbox_ids=(uuid4(),), team_ids=(uuid4(),))
    asked: list[tuple[Prepared, list[Any]]] = []
    fetch = services.database.fetch

    async def noted(statement: Prepared, values: Mapping[str, Any], **how: Any) -> Any:
        asked.append((statement, statement.arguments(values)))
        return await fetch(statement, values, **how)

    async with services.database.transaction() as session:
        await session.execute(insert(search_state).values(name="search", newest=3 * FIRST, oldest=FIRST, rebuild=False))
    monkeypatch.setattr(services.database, "fetch", noted)
    for actor in (agent, SYSTEM):
        await ask(services, "stuck withdrawal", by=actor)
    plans = []
    async with services.database.reading() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        driver: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        for statement, arguments in asked:
            if "search_rows" in statement.sql:
                rows = await driver.fetch(f"EXPLAIN {statement.sql}", *arguments)
                plans.append("\n".join(row[0] for row in rows))
    assert len(plans) == 4
    for plan in plans:
        assert plan.count("Bitmap Index Scan on ix_search_rows_tokens") == 4, plan
        assert "Seq Scan" not in plan, plan


def test_every_row_is_asked_in_one_group_the_newest_first() -> None:
    for rows in (0, 1, 8_191, 8_192, 50_000, 131_072, 500_000, 1_500_000, 7_000_000):
        for before in (0, 5, 100_000, 131_071):
            oldest, newest_one = FIRST - before, FIRST - before + rows
            groups, below = _stretches(newest_one, oldest)
            asked = []
            for word in [word for words in groups for word in words]:
                size = 1 << (17 if word.startswith("##") else 13)
                asked.append((int(word.lstrip("#"), 16) * size, size))
            assert asked[0][0] <= newest_one < sum(asked[0])
            assert all(sum(later) == start for (start, _), later in pairwise(asked)), "one below the other"
            assert asked[-1][0] == below if below is not None else asked[-1][0] <= oldest < sum(asked[-1])
