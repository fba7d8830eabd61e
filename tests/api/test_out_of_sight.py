"""What happens where an agent has no access changes nothing that he reads: no list, figure, search, stream, or job."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import pytest

from helpdesk import clock
from helpdesk.db import insert_rows
from helpdesk.models.conversations import conversation_links, conversation_watchers, drafts, mentions
from helpdesk.services.house import Services
from tests import factories
from tests.api import test_access_table as table
from tests.conftest import ON_ONE_DATABASE
from tests.house import House
from tests.searching import indexed
from workers.jobs import Jobs

WORD: Final = "zanzibar"
"""Said nowhere but out of sight."""
PUBLIC: Final = ("GET /health", "GET /metrics", "GET /docs", "GET /openapi.json", "GET /api/v1/service-hours")
"""What everybody may read tells how the house is, and names nobody."""
STREAM: Final = "GET /api/v1/stream"


def _asked(reference: dict[str, Any]) -> list[tuple[str, table.Row]]:
    """Each request that reads and is allowed, as it is, and looking for what is said out of sight."""
    found = []
    for key, row in table.TABLE.items():
        if not key.startswith("GET ") or key.startswith(PUBLIC) or not row.agent.startswith("200"):
            continue
        found.append((key, row))
        parameters = reference["paths"][key.partition(" ")[2]]["get"].get("parameters", ())
        words = [f"?q={WORD}", "?q=withdrawal"] if any(one["name"] == "q" for one in parameters) else []
        found += [(key, replace(row, query=query)) for query in words]
    found.append((f"{STREAM}/poll", replace(table.TABLE[f"{STREAM}/poll"], query="?wait=0&after=0")))
    return found


async def _read(client: httpx.AsyncClient, me: factories.Someone, ids: dict[str, str]) -> dict[str, str]:
    """All that he finds, without the time of day. How far the stream is shows that something was, and not what."""
    found = {}
    for key, row in _asked(client._transport.app.openapi()):
        answer = await table._ask(client, key, row, ids, me.headers)
        if not answer.is_success:
            continue
        text = re.sub(r"\d{4}-\d{2}-\d{2}T[0-9:.]+(Z|\+00:00)", "<time>", answer.text)
        text = re.sub(r'"(oldest|oldest_waiting)":\d+', r'"\1":0', text)
        if key.startswith(STREAM):
            text = re.sub(r'"position":\d+,"resync"', '"position":0,"resync"', re.sub(r"\bid: \d+", "id: 0", text))
        found[f"{key}{row.query}"] = text
    return found


async def _a_busy_day(
    client: httpx.AsyncClient, services: Services, ben: factories.Someone, desk: UUID, me: UUID, mine: UUID
) -> list[str]:
    """All kinds of things at Ben's desk, some with traces of who could see it once; the ids and words of it."""
    by, now = await table._actor(services, ben), clock.now()
    handle = f"{WORD}@customer.test"
    made = await factories.conversation(
        services, inbox_id=desk, handle=handle, name=WORD.title(), text=f"My withdrawal to {WORD}", tag=["seen"]
    )
    message_id = await factories.incoming(services, made, text=f"Where is {WORD}?", raw=b"Subject: withdrawal\r\n\r\nx")
    file = {"file": (f"{WORD}.txt", WORD.encode(), "text/plain")}
    uploaded = (await client.post(f"{table.V}/attachments", headers=ben.headers, files=file)).json()["id"]
    place, asked = f"{table.V}/conversations/{made}", ben.headers
    for method, url, body in (
        ("POST", f"{place}/messages", {"text": f"It is in {WORD}.", "attachment_ids": [uploaded]}),
        ("POST", f"{place}/messages", {"text": f"A note on {WORD}", "private": True, "mentions": [str(ben.id)]}),
        ("PATCH", place, {"assignee_id": str(ben.id), "priority": "urgent", "subject": WORD}),
        ("POST", f"{place}/presence", {"state": "viewing"}),
        ("PUT", f"{place}/draft", {"text": WORD}),
    ):
        headers = (
            {"If-Match": '"1"', "Idempotency-Key": uuid4().hex} if url != f"{place}/draft" else {"If-None-Match": "*"}
        )
        answer = await client.request(method, url, headers={**asked, **headers}, json=body)
        assert answer.is_success, answer.text
    await factories.alert(services, made, ben.id)
    kept = [await factories.job(services, by=by), await factories.view(services, by=by, name=WORD.title())]
    kept += [await factories.macro(services, by=by), await factories.canned_response(services, by=by, shortcut=WORD)]
    once = {"conversation_id": made, "agent_id": me}
    async with services.database.transaction() as session:
        named = {"message_id": message_id, **once, "created_at": now, "read_at": None}
        await insert_rows(session, mentions, [named])
        await insert_rows(session, conversation_watchers, [{**once, "added_by": None, "created_at": now}])
        await insert_rows(session, drafts, [{**once, "content": {"text": WORD}, "version": 1, "updated_at": now}])
        link = {"conversation_id": mine, "related_id": made, "kind": "split", "created_at": now}
        await insert_rows(session, conversation_links, [link])
    return [WORD, *map(str, (made, message_id, uploaded, *kept))]


async def _told(services: Services) -> None:
    async with House(services) as house:
        await house.relay()
    await indexed(services)


async def test_what_happens_at_anothers_desk_changes_nothing_that_an_agent_reads(
    client: httpx.AsyncClient, services: Services
) -> None:
    me, worlds = await table._world(services, "agent")
    own, ben = worlds["own"], await factories.agent(services)
    desk = await factories.inbox(services, members=[ben.id])
    await _told(services)
    # Once before it counts, so that his token has been used.
    await _read(client, me, own)
    await client._transport.app.state.touches.settle()
    before = await _read(client, me, own)
    asked = {f"{key}{row.query}" for key, row in _asked(client._transport.app.openapi())}
    assert asked == set(before), asked - set(before)
    said = await _a_busy_day(client, services, ben, desk, me.id, UUID(own["conversation_id"]))
    await _told(services)
    after = await _read(client, me, own)
    assert {key for key in before if before[key] != after[key]} == set()
    heard = {key: word for key, text in after.items() for word in said if f'"{word}' in text.lower()}
    assert not heard
    # There is something to hear of, for whoever sees it.
    bens = await _read(client, ben, {**own, **await _his(client, ben)})
    assert len([key for key, text in bens.items() if WORD in text.lower()]) >= 8


async def _his(client: httpx.AsyncClient, ben: factories.Someone) -> dict[str, str]:
    """The ids of what the access table asks for, of Ben's."""
    listed = (await client.get(f"{table.V}/conversations", headers=ben.headers)).json()["items"]
    return {"conversation_id": listed[0]["id"]}


@ON_ONE_DATABASE
@pytest.mark.parametrize("how", ["ids", "filter"])
async def test_a_job_says_of_what_is_out_of_sight_what_it_says_of_nothing(
    how: str, client: httpx.AsyncClient, services: Services
) -> None:
    me, worlds = await table._world(services, "agent", {"conversation_id"})
    told = []
    for one in (worlds["foreign"]["conversation_id"], str(uuid4())):
        number = await _number(client, services, one)
        asked: dict[str, Any] = {"ids": [one]}
        if how == "filter":
            asked = {"filter": {"field": "number", "op": "eq", "value": number}}
        body = {**asked, "set": {"priority": "urgent"}}
        started = await client.post(f"{table.V}/conversations/bulk", headers=me.headers, json=body)
        worker = Jobs(services, worker="test")
        while await worker.step():
            pass
        place = f"{table.V}/jobs/{started.json()['job_id']}"
        answers: Sequence[httpx.Response] = [
            await client.get(url, headers=me.headers) for url in (place, f"{place}/results")
        ]
        text = re.sub(r"\d{4}-\d{2}-\d{2}T[0-9:.]+Z", "<time>", "".join(answer.text for answer in answers))
        told.append(text.replace(started.json()["job_id"], "<job>").replace(one, "<id>"))
    assert told[0] == told[1]
    assert '"changed":1' not in told[0]


async def _number(client: httpx.AsyncClient, services: Services, conversation_id: str) -> int:
    """Its number as an administrator sees it, or one that nothing has."""
    boss = await factories.agent(services, role="admin")
    shown = await client.get(f"{table.V}/conversations/{conversation_id}", headers=boss.headers)
    return shown.json()["number"] if shown.is_success else 2**30
