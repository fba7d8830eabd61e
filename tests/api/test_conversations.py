"""Listing, reading and changing conversations."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from helpdesk import clock
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.services.house import Services
from tests import factories
from tests.searching import walked

URL = "/api/v1/conversations"


async def numbers(client: httpx.AsyncClient, someone: factories.Someone, query: str = "") -> list[int]:
    answer = await client.get(f"{URL}?{query}", headers=someone.headers)
    assert answer.status_code == 200, answer.text
    return [item["number"] for item in answer.json()["items"]]


async def test_an_agent_lists_what_his_inboxes_his_teams_and_he_himself_have(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    team = await factories.team(services, members=[anna.id])
    hers = await factories.inbox(services, members=[anna.id])
    his = await factories.inbox(services, members=[bert.id])
    in_her_inbox = await factories.conversation(services, inbox_id=hers)
    of_her_team = await factories.conversation(services, inbox_id=his, team_id=team)
    assigned = await factories.conversation(services, inbox_id=his, assignee_id=anna.id)
    foreign = await factories.conversation(services, inbox_id=his)
    found = (await client.get(URL, headers=anna.headers)).json()["items"]
    assert {UUID(item["id"]) for item in found} == {in_her_inbox, of_her_team, assigned}
    assert (await client.get(f"{URL}/{foreign}", headers=anna.headers)).status_code == 404
    boss = await factories.agent(services, role="supervisor")
    assert len(await numbers(client, boss)) == 4


async def test_an_inbox_of_a_team_is_open_to_the_team_alone(client: httpx.AsyncClient, services: Services) -> None:
    anna, bert, carl = [await factories.agent(services) for _ in range(3)]
    first, second = [await factories.team(services, members=[one.id]) for one in (anna, bert)]
    for team, members in ((first, []), (second, [carl.id]), (None, [])):
        inbox_id = await factories.inbox(services, team_id=team, members=members)
        await factories.conversation(services, inbox_id=inbox_id, team_id=None)
    assert await numbers(client, anna, "sort=created_at") == [1, 3]
    assert await numbers(client, bert, "sort=created_at") == [2, 3]
    assert await numbers(client, carl, "sort=created_at") == [2, 3]
    listed = (await client.get("/api/v1/inboxes", headers=anna.headers)).json()["items"]
    assert len(listed) == 2
    contacts = (await client.get("/api/v1/contacts", headers=anna.headers)).json()["items"]
    assert len(contacts) == 2


async def test_a_conversation_that_moved_to_another_inbox_stays_in_sight_of_the_first(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    hers, his = [await factories.inbox(services, members=[one.id]) for one in (anna, bert)]
    touched = await factories.conversation(services, inbox_id=hers)
    async with services.database.transaction() as session:
        await session.execute(conversations.update().where(conversations.c.id == touched).values(inbox_id=his))
    assert len(await numbers(client, anna)) == 1
    assert await numbers(client, anna, f"inbox_id={hers}") == []


async def test_pages_follow_each_other_without_a_gap_while_rows_move(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    start = clock.now() - timedelta(hours=1)
    made = [
        await factories.conversation(services, inbox_id=desk, now=start + timedelta(minutes=i // 2), messages=0)
        for i in range(7)
    ]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await client.get(f"{URL}?limit=2{cursor}", headers=anna.headers)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
        await factories.incoming(services, UUID(seen[0]))
    assert len(seen) == len(set(seen)) == len(made)
    assert set(seen) == {str(one) for one in made}


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("-last_activity_at", [4, 3, 2, 1]),
        ("created_at", [1, 2, 3, 4]),
        ("-priority", [3, 1, 4, 2]),
        ("next_due_at", [4, 2, 1, 3]),
        ("waiting_since", [2, 4, 1, 3]),
    ],
)
async def test_each_sort_holds_over_its_pages_and_puts_empty_values_last(
    sort: str, order: list[int], client: httpx.AsyncClient, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    now = clock.now() - timedelta(days=1)
    minute = timedelta(minutes=1)
    rows: list[dict[str, Any]] = [
        {"priority": 2, "next_due_at": None, "waiting_since": None},
        {"priority": 0, "next_due_at": now + 9 * minute, "waiting_since": now},
        {"priority": 3, "next_due_at": None, "waiting_since": None},
        {"priority": 1, "next_due_at": now + minute, "waiting_since": now + minute},
    ]
    for i, row in enumerate(rows):
        await factories.conversation(services, inbox_id=desk, now=now + i * minute, messages=0, **row)
    found: list[int] = []
    cursor = ""
    for _ in range(6):
        page = (await client.get(f"{URL}?limit=1&sort={sort}{cursor}", headers=anna.headers)).json()
        found += [item["number"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == order
    assert await numbers(client, anna, f"sort={sort}") == order


async def test_each_filter_narrows_and_values_of_one_are_alternatives(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, desk, other = (
        await factories.agent(services),
        await factories.inbox(services),
        await factories.inbox(services),
    )
    team = await factories.team(services)
    now = clock.now() - timedelta(days=2)
    day = timedelta(days=1)
    mina = await factories.contact(services, handle="mina@customer.test", name="Mina Park")
    make = factories.conversation
    await make(services, inbox_id=desk, handle="mina@customer.test", now=now, status="pending", tag=["vip", "new"])
    two: dict[str, Any] = {"assignee_id": anna.id, "team_id": team, "category": "fees", "priority": 3}
    await make(services, inbox_id=other, handle="mina.two@customer.test", now=now + day, **two)
    three: dict[str, Any] = {"subject": "100% lost_in", "tag": ["new"], "name": "Omar"}
    await make(services, inbox_id=desk, handle="mina.three@customer.test", now=now + 2 * day, **three)
    await walked(services)
    expected = {
        "status=pending": [1],
        "status=pending&status=open": [3, 2, 1],
        "channel=email": [3, 2, 1],
        "channel=chat": [],
        f"inbox_id={other}": [2],
        f"inbox_id={other}&inbox_id={desk}": [3, 2, 1],
        "assignee_id=me": [2],
        f"assignee_id={anna.id}": [2],
        "assignee_id=none": [3, 1],
        "assignee_id=none&assignee_id=me": [3, 2, 1],
        f"team_id={team}": [2],
        "team_id=none": [3, 1],
        "priority=urgent": [2],
        "priority=urgent&priority=normal": [3, 2, 1],
        "category=fees": [2],
        "tag=vip": [1],
        "tag=vip&tag=new": [3, 1],
        f"contact_id={mina}": [1],
        "q=mina": [3, 2, 1],
        "q=Mina%20Park": [1],
        "q=100%25": [3],
        "q=nothing": [],
        "q=2": [2],
        f"created_after={(now + day).isoformat().replace('+00:00', 'Z')}": [3, 2],
        f"created_before={(now + day).isoformat().replace('+00:00', 'Z')}": [1],
        f"updated_after={(now + day).isoformat().replace('+00:00', 'Z')}": [3, 2],
        "status=open&tag=new&q=lost": [3],
    }
    assert {query: await numbers(client, anna, query) for query in expected} == expected


async def test_rows_are_asked_for_by_id_within_what_the_list_asks_and_one_may_see(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    hers = await factories.inbox(services, members=[anna.id])
    his = await factories.inbox(services, members=[bert.id])
    start = clock.now() - timedelta(days=1)
    rows: list[dict[str, Any]] = [{}, {"status": "pending"}, {"spam": True}, {"inbox_id": his}, {}]
    made = [
        await factories.conversation(services, messages=0, now=start + timedelta(hours=i), **{"inbox_id": hers} | row)
        for i, row in enumerate(rows)
    ]
    asked = "&".join(f"id={one}" for one in (*made[:4], made[0]))
    assert await numbers(client, anna, asked) == [3, 2, 1]
    assert await numbers(client, anna, f"{asked}&spam=false&status=open") == [1]
    assert await numbers(client, anna, f"{asked}&id={anna.id}&sort=created_at&limit=2") == [1, 2]
    tree = "%7B%22field%22:%22status%22,%22op%22:%22eq%22,%22value%22:%22pending%22%7D"
    assert await numbers(client, anna, f"{asked}&filter={tree}") == [2]
    assert await numbers(client, bert, asked) == [4]


async def test_sla_states_are_shown_and_asked_for_alike(client: httpx.AsyncClient, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    now = clock.now()
    hour = timedelta(hours=1)
    for since, due in ((now - hour, now + 23 * hour), (now - 20 * hour, now + 4 * hour), (now - 25 * hour, now - hour)):
        await factories.conversation(
            services, inbox_id=desk, now=since, messages=0, waiting_since=since, next_due_at=due
        )
    await factories.conversation(services, inbox_id=desk, messages=0, waiting_since=None, next_due_at=None)
    shown = (await client.get(f"{URL}?sort=created_at", headers=anna.headers)).json()["items"]
    assert {item["number"]: item["sla_state"] for item in shown} == {1: "ok", 2: "due_soon", 3: "breached", 4: "none"}
    assert await numbers(client, anna, "sla=due_soon") == [2]
    assert await numbers(client, anna, "sla=breached") == [3]
    assert await numbers(client, anna, "sla=breached&sla=due_soon&sort=created_at") == [3, 2]
    assert await numbers(client, anna, "sla=paused") == []
    assert await numbers(client, anna, "sla=paused&sla=breached") == [3]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("colour=red", "colour"),
        ("status=lost", "status"),
        ("sort=seq", "sort"),
        ("sla=ok", "sla"),
        ("limit=101", "limit"),
        ("limit=0", "limit"),
        ("limit=2&limit=3", "limit"),
        ("inbox_id=1", "inbox_id"),
        ("id=none", "id"),
        ("&".join(["id=0198c0de-0000-7000-8000-000000000001"] * 101), "id"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-01-01T00:00:00", "created_after"),
        ("cursor=abc", "cursor"),
        ("q=%00", "q"),
        ("q=%ff", "query"),
    ],
)
async def test_what_cannot_be_asked_is_422_and_named(
    query: str, field: str, client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services)
    answer = await client.get(f"{URL}?{query}", headers=anna.headers)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_cursor_works_only_for_the_sort_and_the_list_it_came_from(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, desk = await factories.agent(services, role="supervisor"), await factories.inbox(services)
    for _ in range(2):
        await factories.conversation(services, inbox_id=desk, messages=0)
    cursor = (await client.get(f"{URL}?limit=1", headers=anna.headers)).json()["next_cursor"]
    assert (await client.get(f"{URL}?cursor={cursor}", headers=anna.headers)).status_code == 200
    for wrong in (
        f"{URL}?sort=created_at&cursor={cursor}",
        f"/api/v1/contacts?cursor={cursor}",
        f"{URL}?cursor={cursor}x",
    ):
        assert (await client.get(wrong, headers=anna.headers)).status_code == 422


async def test_a_change_needs_the_version_that_was_read(client: httpx.AsyncClient, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    url = f"{URL}/{await factories.conversation(services, inbox_id=desk)}"
    read = await client.get(url, headers=anna.headers)
    assert read.headers["etag"] == '"1"'
    await factories.custom_field(services, "chain")
    change = {"status": "pending", "priority": "high", "tags": ["b", "a", "b"], "custom_fields": {"chain": "eth"}}
    assert (await client.patch(url, headers=anna.headers, json=change)).status_code == 428
    for strange in ("1", "*", 'W/"1"', '""', '"x"'):
        answer = await client.patch(url, headers={**anna.headers, "If-Match": strange}, json=change)
        assert answer.status_code == 428, strange
    assert (await client.patch(url, headers={**anna.headers, "If-Match": '"2"'}, json=change)).status_code == 412
    done = await client.patch(url, headers={**anna.headers, "If-Match": '"1"'}, json=change)
    assert done.status_code == 200
    assert done.headers["etag"] == '"2"'
    shown = done.json()
    assert (shown["status"], shown["priority"], shown["tags"]) == ("pending", "high", ["a", "b"])
    assert shown["custom_fields"] == {"chain": "eth"}
    same = await client.patch(url, headers={**anna.headers, "If-Match": '"2"'}, json={"priority": "high"})
    assert same.headers["etag"] == '"2"'


async def test_of_two_agents_who_change_the_same_version_one_is_told(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    desk = await factories.inbox(services)
    url = f"{URL}/{await factories.conversation(services, inbox_id=desk)}"
    answers = await asyncio.gather(
        *(
            client.patch(url, headers={**one.headers, "If-Match": '"1"'}, json={"assignee_id": str(one.id)})
            for one in (anna, bert)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    winner = next(answer for answer in answers if answer.status_code == 200).json()
    assert (await client.get(url, headers=anna.headers)).json()["assignee"] == winner["assignee"]


async def test_each_change_is_an_event_with_a_seq_of_its_own(client: httpx.AsyncClient, services: Services) -> None:
    anna, desk, team = await factories.agent(services), await factories.inbox(services), await factories.team(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    change = {"assignee_id": str(anna.id), "team_id": str(team), "status": "resolved", "subject": "Solved"}
    headers = {**anna.headers, "If-Match": '"1"'}
    shown = (await client.patch(f"{URL}/{identifier}", headers=headers, json=change)).json()
    assert shown["seq"] == 4
    assert shown["version"] == 2
    found = (await client.get(f"{URL}/{identifier}/events?limit=2", headers=anna.headers)).json()
    rest = (await client.get(f"{URL}/{identifier}/events?cursor={found['next_cursor']}", headers=anna.headers)).json()
    happened = found["items"] + rest["items"]
    assert [(event["type"], event["seq"]) for event in happened] == [
        ("conversation.assigned", 2),
        ("conversation.status_changed", 3),
        ("conversation.updated", 4),
    ]
    after = {"assignee_id": str(anna.id), "team_id": str(team), "by": f"agent:{anna.id}"}
    assert happened[0]["data"] == after | {"assignee_before": None, "team_before": None, "reason": None}
    assert happened[2]["data"]["changes"] == {"subject": ["Withdrawal", "Solved"]}

    async def asked(query: str) -> list[int]:
        answer = await client.get(f"{URL}/{identifier}/events?{query}", headers=anna.headers)
        assert answer.status_code == 200, answer.text
        return [event["seq"] for event in answer.json()["items"]]

    page = (await client.get(f"{URL}/{identifier}/events?order=desc&limit=1", headers=anna.headers)).json()
    assert [event["seq"] for event in page["items"]] == [4]
    assert await asked(f"order=desc&cursor={page['next_cursor']}") == [3, 2]
    assert await asked("types=conversation.assigned,conversation.updated&order=desc") == [4, 2]
    at = happened[0]["occurred_at"]
    assert (await asked(f"after={at}"), await asked(f"before={at}")) == ([2, 3, 4], [])
    wrong = await client.get(f"{URL}/{identifier}/events?types=presence", headers=anna.headers)
    assert wrong.json()["errors"][0]["field"] == "types"


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"status": "lost"}, 422, "status"),
        ({"status": None}, 422, "status"),
        ({"priority": None}, 422, "priority"),
        ({"status": "snoozed"}, 422, "snoozed_until"),
        ({"snoozed_until": "2001-01-01T00:00:00Z"}, 422, "snoozed_until"),
        ({"snoozed_until": "2101-01-01T00:00:00"}, 422, "snoozed_until"),
        ({"status": "open", "snoozed_until": "2101-01-01T00:00:00Z"}, 422, "snoozed_until"),
        ({"seq": 9}, 422, "seq"),
        ({"version": 9}, 422, "version"),
        ({"contact_id": "0198c0de-0000-7000-8000-000000000001"}, 422, "contact_id"),
        ({"subject": "a\nb"}, 422, "subject"),
        ({"subject": "a\u0000b"}, 422, "subject"),
        ({"tags": ["x" * 61]}, 422, "tags.0"),
        ({"custom_fields": {"a": {"b": 1}}}, 422, None),
        ({"assignee_id": "0198c0de-0000-7000-8000-000000000001"}, 404, None),
        ({"team_id": "0198c0de-0000-7000-8000-000000000001"}, 404, None),
    ],
)
async def test_what_cannot_be_changed_is_refused_and_changes_nothing(
    change: dict[str, Any], status: int, field: str | None, client: httpx.AsyncClient, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    url = f"{URL}/{await factories.conversation(services, inbox_id=desk)}"
    answer = await client.patch(url, headers={**anna.headers, "If-Match": '"1"'}, json=change)
    assert answer.status_code == status, answer.text
    if field:
        assert field in [error["field"] for error in answer.json()["errors"]]
    assert (await client.get(url, headers=anna.headers)).json()["version"] == 1


async def test_snoozing_takes_a_time_and_waking_up_takes_it_away(client: httpx.AsyncClient, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    url = f"{URL}/{await factories.conversation(services, inbox_id=desk)}"
    until = {"snoozed_until": "2101-01-01T00:00:00Z"}
    shown = (await client.patch(url, headers={**anna.headers, "If-Match": '"1"'}, json=until)).json()
    assert (shown["status"], shown["snoozed_until"]) == ("snoozed", "2101-01-01T00:00:00Z")
    woken = await client.patch(url, headers={**anna.headers, "If-Match": '"2"'}, json={"status": "open"})
    assert woken.json()["snoozed_until"] is None


async def test_closed_is_final(client: httpx.AsyncClient, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    url = f"{URL}/{await factories.conversation(services, inbox_id=desk, status='closed')}"
    answer = await client.patch(url, headers={**anna.headers, "If-Match": '"1"'}, json={"status": "open"})
    assert answer.status_code == 409
    assert answer.json()["type"].endswith(":conversation_closed")
    tagged = await client.patch(url, headers={**anna.headers, "If-Match": '"1"'}, json={"tags": ["late"]})
    assert tagged.status_code == 200


async def test_who_gives_a_conversation_away_sees_it_once_more_and_then_no_longer(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    desk = await factories.inbox(services, members=[bert.id])
    url = f"{URL}/{await factories.conversation(services, inbox_id=desk, assignee_id=anna.id)}"
    answer = await client.patch(url, headers={**anna.headers, "If-Match": '"1"'}, json={"assignee_id": str(bert.id)})
    assert answer.status_code == 200
    assert (await client.get(url, headers=anna.headers)).status_code == 404


async def test_an_agent_starts_a_conversation_and_the_contact_is_found_again(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    body = {"inbox_id": str(desk), "contact": {"name": "Mina", "handle": "Mina@Customer.test"}}
    body |= {"subject": "Your withdrawal", "text": "We found it.", "status": "pending"}
    first = await client.post(URL, headers={**anna.headers, "Idempotency-Key": "k"}, json=body)
    assert first.status_code == 201
    again = await client.post(URL, headers={**anna.headers, "Idempotency-Key": "k"}, json=body)
    assert again.json() == first.json()
    shown = first.json()
    assert (shown["status"], shown["last_message_direction"], shown["message_count"]) == ("pending", "outgoing", 1)
    assert shown["contact"]["handle"] == "mina@customer.test"
    assert first.headers["location"] == f"{URL}/{shown['id']}"
    second = (await client.post(URL, headers=anna.headers, json=body)).json()
    assert second["contact"]["id"] == shown["contact"]["id"]
    assert second["number"] != shown["number"]
    async with services.database.reading() as session:
        found = await session.execute(select(events.c.type).where(events.c.conversation_id == UUID(shown["id"])))
        assert set(found.scalars()) == {"conversation.created", "message.created", "conversation.status_changed"}


async def test_participants_come_go_and_return(client: httpx.AsyncClient, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    url = f"{URL}/{await factories.conversation(services, inbox_id=desk)}/participants"
    partner = {"handle": "Partner@Customer.test", "name": "Partner"}
    added = (await client.post(url, headers=anna.headers, json=partner)).json()
    assert added["version"] == 2
    assert [p["handle"] for p in added["participants"]][-1] == "partner@customer.test"
    assert (await client.post(url, headers=anna.headers, json=partner)).json()["version"] == 2
    gone_url = f"{url}?handle=partner@customer.test"
    assert (await client.delete(gone_url, headers=anna.headers)).status_code == 428
    gone = await client.delete(gone_url, headers={**anna.headers, "If-Match": '"2"'})
    assert len(gone.json()["participants"]) == 1
    assert (await client.delete(gone_url, headers={**anna.headers, "If-Match": '"3"'})).status_code == 404
    back = (await client.post(url, headers=anna.headers, json=partner)).json()
    assert len(back["participants"]) == 2


async def test_related_conversations_are_shown_only_when_they_may_be_seen(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    hers, his = [await factories.inbox(services, members=[one.id]) for one in (anna, bert)]
    one, seen, unseen = [await factories.conversation(services, inbox_id=i) for i in (hers, hers, his)]
    async with services.database.transaction() as session:
        for other in (seen, unseen):
            row = {"conversation_id": one, "related_id": other, "kind": "follows", "created_at": clock.now()}
            await session.execute(factories.conversation_links.insert().values(row))
    shown = (await client.get(f"{URL}/{one}", headers=anna.headers)).json()
    assert [related["id"] for related in shown["related"]] == [str(seen)]
