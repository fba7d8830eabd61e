"""Exports: all that is asked for and seen, in pages that nobody holds, with an end that tells it from a part."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from sqlalchemy import delete, select, update

from helpdesk import clock
from helpdesk.app import create_app
from helpdesk.domain.filters import ConversationFilter
from helpdesk.domain.values import SYSTEM
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.events import audit
from helpdesk.services import exporting, listing
from helpdesk.services.exporting import Conversation, End, Message, Part
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import BASE_URL, ON_ONE_DATABASE

URL = "/api/v1/exports/conversations"


@pytest.fixture
async def boss(services: Services) -> factories.Someone:
    return await factories.agent(services, role="supervisor")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two conversations and of three messages: what is shown of few holds for many."""
    monkeypatch.setattr(exporting, "PAGE", 2)
    monkeypatch.setattr(exporting, "_MESSAGES", 3)


async def _exported(client: httpx.AsyncClient, someone: factories.Someone, url: str, **asked: Any) -> list[Any]:
    answer = await client.get(url, headers=someone.headers, params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [orjson.loads(line) for line in answer.content.splitlines()]


async def _source(services: Services, **asked: Any) -> exporting.Source:
    filters = ConversationFilter(**asked)
    return exporting.of_conversations(await listing.question(services, SYSTEM, filters, tree=None, now=clock.now()))


async def test_each_conversation_is_followed_by_its_messages_and_all_by_the_end(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone, small: None
) -> None:
    desk = await factories.inbox(services)
    counts = [1, 0, 4, 7, 0]
    made = [await factories.conversation(services, inbox_id=desk, messages=count, tag=["b", "a"]) for count in counts]
    lines = await _exported(client, boss, URL, messages="true")
    found: list[tuple[str, list[int]]] = []
    for line in lines[:-1]:
        if "conversation" in line:
            found.append((line["conversation"]["id"], []))
        else:
            assert line["message"]["conversation_id"] == found[-1][0]
            found[-1][1].append(line["message"]["seq"])
    assert found == [(str(one), list(range(1, count + 1))) for one, count in zip(made, counts, strict=True)]
    assert lines[-1] == {"end": True, "count": 5, "last": str(made[-1]), "more": False}
    (shown,) = (await client.get("/api/v1/conversations?limit=1&sort=created_at", headers=boss.headers)).json()["items"]
    first = lines[0]["conversation"]
    assert {name: first[name] for name in shown if name != "unread"} == {
        k: v for k, v in shown.items() if k != "unread"
    }
    assert (first["spam"], first["merged_into_id"], first["custom_fields"]) == (False, None, {})
    (message,) = (await client.get(f"/api/v1/conversations/{made[0]}/messages", headers=boss.headers)).json()["items"]
    assert lines[1]["message"] == {"conversation_id": str(made[0]), **message}


async def test_pages_are_small_and_stand_still_while_rows_move(services: Services, small: None) -> None:
    desk = await factories.inbox(services)
    made = [await factories.conversation(services, inbox_id=desk, messages=0) for _ in range(6)]
    seen: list[UUID] = []
    async for some in exporting.read_conversations(services, await _source(services), Part(), messages=False):
        assert len(some) <= 2, "there is never more than a page"
        if isinstance(some[0], End):
            assert some == [End(5, made[-1], False)]
            continue
        seen += [one.row[0] for one in some if isinstance(one, Conversation)]
        if len(seen) == 2:
            async with services.database.transaction() as session:
                # The first becomes the newest, one that was not read yet goes, and a new one comes.
                now = clock.now() + timedelta(hours=1)
                moved = update(conversations).where(conversations.c.id == made[0])
                await session.execute(moved.values(last_activity_at=now, updated_at=now, status="resolved"))
                await session.execute(delete(conversations).where(conversations.c.id == made[3]))
            await factories.conversation(services, inbox_id=desk, messages=0)
    assert seen == [*made[:3], *made[4:]]


async def test_a_part_says_where_it_goes_on(services: Services, small: None) -> None:
    desk = await factories.inbox(services)
    made = [await factories.conversation(services, inbox_id=desk, messages=0) for _ in range(5)]
    after: UUID | None = None
    seen: list[UUID] = []
    ends: list[tuple[int, bool]] = []
    for _ in range(3):
        part = Part(after=after, most=2)
        found = [
            one
            async for some in exporting.read_conversations(services, await _source(services), part, messages=True)
            for one in some
        ]
        assert isinstance(found[-1], End)
        seen += [one.row[0] for one in found[:-1] if isinstance(one, Conversation)]
        ends.append((found[-1].count, found[-1].more))
        after = found[-1].last
    assert seen == made
    assert ends == [(2, True), (2, True), (1, False)]
    assert await exporting.count(services, await _source(services), Part()) == 5


async def test_an_export_finds_what_the_list_finds(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    desk, other = await factories.inbox(services), await factories.inbox(services)
    vip = await factories.conversation(services, inbox_id=desk, tag=["vip"], priority=3)
    await factories.conversation(services, inbox_id=desk, status="resolved")
    spam = await factories.conversation(services, inbox_id=other, spam=True)
    mine = await factories.conversation(services, inbox_id=other, assignee_id=boss.id, text="Seed phrase lost")
    tree = (
        '{"any": [{"field": "tag", "op": "eq", "value": "vip"}, {"field": "assignee_id", "op": "eq", "value": "me"}]}'
    )
    view = await factories.view(
        services,
        by=SYSTEM,
        shared="everybody",
        content={"field": "priority", "op": "eq", "value": "urgent"},
    )
    for asked, found in (
        ({"filter": tree}, [vip, mine]),
        ({"filter": tree, "inbox_id": str(desk)}, [vip]),
        ({"assignee_id": "me", "status": "open"}, [mine]),
        ({"view_id": str(view)}, [vip]),
        ({"spam": "true"}, [spam]),
        ({"after": str(vip), "tag": "vip"}, []),
    ):
        lines = await _exported(client, boss, URL, **asked)
        assert [line["conversation"]["id"] for line in lines[:-1]] == [str(one) for one in found], asked
        if "after" not in asked:
            listed = (await client.get("/api/v1/conversations", headers=boss.headers, params=asked)).json()["items"]
            assert {one["id"] for one in listed} == {str(one) for one in found}, asked
    unknown = await client.get(URL, headers=boss.headers, params={"view_id": str(uuid4())})
    assert unknown.status_code == 404


async def test_csv_opens_in_excel_and_runs_nothing(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    await factories.custom_field(services, "chain")
    desk = await factories.inbox(services)
    made = await factories.conversation(
        services, inbox_id=desk, name="李雷", subject="=HYPERLINK(1)", custom_fields={"chain": "+ETH"}, tag=["b", "a"]
    )
    answer = await client.get(URL, headers=boss.headers, params={"format": "csv"})
    assert answer.headers["content-disposition"] == 'attachment; filename="conversations.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbfid,number,subject,")
    head, row, end = csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))
    cells = dict(zip(head, row, strict=True))
    assert (cells["id"], cells["subject"], cells["custom_fields.chain"]) == (str(made), "'=HYPERLINK(1)", "'+ETH")
    assert (cells["contact.name"], cells["tags"], cells["assignee.name"]) == ("李雷", "a; b", "")
    assert (end[:3], len(end)) == (["#end", "1", ""], len(head))
    bare = await client.get(URL, headers=boss.headers, params={"format": "csv", "bom": "false"})
    assert bare.content.startswith(b"id,number")
    refused = await client.get(URL, headers=boss.headers, params={"format": "csv", "messages": "true"})
    assert [error["field"] for error in refused.json()["errors"]] == ["messages"]


async def test_contacts_are_exported_with_every_handle(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone, small: None
) -> None:
    made = [await factories.contact(services, handle=f"{name}@customer.test") for name in ("a", "b", "c")]
    async with services.database.transaction() as session:
        merged = update(contacts).where(contacts.c.id == made[1]).values(merged_into_id=made[0])
        await session.execute(merged)
    url = "/api/v1/exports/contacts"
    lines = await _exported(client, boss, url)
    handles = [[each["handle"] for each in line["contact"]["identities"]] for line in lines[:-1]]
    assert handles == [["a@customer.test"], ["c@customer.test"]]
    assert lines[-1] == {"end": True, "count": 2, "last": str(made[2]), "more": False}
    assert len(await _exported(client, boss, url, handle="C@customer.test")) == 2
    later = (clock.now() + timedelta(hours=1)).isoformat()
    assert len(await _exported(client, boss, url, created_after=later)) == 1
    text = (
        await client.get(url, headers=boss.headers, params={"format": "csv", "handle": "c@customer.test"})
    ).text.splitlines()
    assert text[1].startswith(f"{made[2]},Mina,,false,email:c@customer.test,")
    assert text[2].startswith("#end,1,")


@ON_ONE_DATABASE
async def test_who_takes_what_along_stands_in_the_audit_and_what_he_looked_for_does_not(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    await factories.conversation(services, inbox_id=await factories.inbox(services))
    tree = '{"field": "subject", "op": "contains", "value": "mina@customer.test"}'
    await _exported(client, boss, URL, status="open", q="withdrawal", filter=tree, messages="true")
    async with services.database.reading() as session:
        query = select(audit.c.action, audit.c.actor_id, audit.c.data).where(audit.c.subject_type == "export")
        began, ended = (await session.execute(query.order_by(audit.c.id))).all()
    assert began == (
        "export.started",
        boss.id,
        {
            "what": "conversations",
            "format": "jsonl",
            "asked": {"filter": True, "q": True, "status": ["open"]},
            "fields": ["subject"],
        },
    )
    assert tuple(ended)[::2] == ("export.ended", {"count": 0, "whole": True})


@ON_ONE_DATABASE
@pytest.mark.parametrize("messages_sent", [1, 2], ids=["before the first line", "behind it"])
async def test_whoever_goes_away_stops_it(
    services: Services, boss: factories.Someone, small: None, messages_sent: int
) -> None:
    desk = await factories.inbox(services)
    for _ in range(6):
        await factories.conversation(services, inbox_id=desk, messages=0)
    app, sent = create_app(services), list[bytes]()
    read: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not read:
            read.append(True)
            return {"type": "http.request", "body": b"", "more_body": False}
        while len(sent) < messages_sent:
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def through(scope: Any, _receive: Any, _send: Any) -> None:
        await app(scope, receive, send)
        await _send({"type": "http.response.start", "status": 200, "headers": []})
        await _send({"type": "http.response.body", "body": b""})

    async with httpx.AsyncClient(transport=httpx.ASGITransport(through), base_url=BASE_URL) as client:
        await client.get(URL, headers=boss.headers)
    assert b'"end"' not in b"".join(sent)
    async with services.database.reading() as session:
        data = await session.scalar(select(audit.c.data).where(audit.c.action == "export.ended"))
    assert data is not None
    assert (data["whole"], data["count"] < 6) == (False, True)
    await app.state.hub.close()
    await app.state.touches.settle()


@ON_ONE_DATABASE
async def test_exports_are_few_and_not_for_agents(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await factories.agent(services)
    narrow = await factories.agent(services, role="admin", scopes=["contacts:read"])
    for someone in (anna, narrow):
        assert (await client.get(URL, headers=someone.headers)).status_code == 403
    monkeypatch.setattr(exporting, "PER_WINDOW", 1)
    assert (await client.get(URL, headers=boss.headers)).status_code == 200
    again = await client.get(URL, headers=boss.headers)
    assert (again.status_code, int(again.headers["retry-after"]) > 0) == (429, True)
    wrong: Sequence[tuple[str, str]] = (("format", "xml"), ("after", "first"), ("filter", "[]"), ("sort", "created_at"))
    for name, value in wrong:
        refused = await client.get(URL, headers=boss.headers, params={name: value})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, name)


@ON_ONE_DATABASE
async def test_messages_come_in_steps_however_many_there_are(services: Services, small: None) -> None:
    made = await factories.conversation(services, inbox_id=await factories.inbox(services), messages=8)
    steps = [
        some async for some in exporting.read_conversations(services, await _source(services), Part(), messages=True)
    ]
    assert [len(some) for some in steps] == [4, 3, 2, 1]
    assert [one.row["seq"] for some in steps for one in some if isinstance(one, Message)] == list(range(1, 9))
    assert isinstance(steps[0][0], Conversation)
    assert steps[-1] == [End(1, made, False)]
