"""Handing a conversation on: with its note or not at all, to somebody who can answer, and never across another one."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import func, select

from helpdesk import clock
from helpdesk.models.messages import messages
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.services.test_visitor_messages import begin, say

V = "/api/v1"


def matching(someone: factories.Someone, version: int) -> dict[str, str]:
    return {**someone.headers, "If-Match": f'"{version}"'}


async def test_a_colleague_is_given_it_with_a_note_that_mentions_him(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, ben, dora = [await factories.agent(services, name=name) for name in ("Anna", "Ben", "Dora")]
    payments = await factories.team(services, members=[ben.id])
    desk = await factories.inbox(services, members=[anna.id, ben.id])
    chat = await factories.conversation(services, inbox_id=desk, assignee_id=anna.id)
    url = f"{V}/conversations/{chat}"
    body: dict[str, Any] = {"team_id": str(payments), "assignee_id": str(ben.id), "note": "The fee is the question."}
    given = await client.post(f"{url}/transfer", headers=matching(anna, 1), json=body)
    assert given.status_code == 200
    shown = given.json()
    assert (shown["assignee"]["id"], shown["team"]["id"], shown["version"]) == (str(ben.id), str(payments), 2)
    (mention,) = (await client.get(f"{V}/me/mentions", headers=ben.headers)).json()["items"]
    assert (mention["preview"], mention["author"]["name"]) == ("The fee is the question.", "Anna")
    late = await client.post(f"{url}/transfer", headers=matching(anna, 1), json=body | {"note": "Again."})
    assert (late.status_code, late.json()["version"]) == (412, 2)
    queued = await client.post(f"{url}/transfer", headers=matching(ben, 2), json={"team_id": str(payments)})
    assert (queued.json()["assignee"], queued.json()["team"]["id"]) == (None, str(payments))
    assert (await client.post(f"{url}/transfer", headers=matching(dora, 3), json=body)).status_code == 404


@ON_ONE_DATABASE
async def test_what_is_refused_leaves_neither_note_nor_change(client: httpx.AsyncClient, services: Services) -> None:
    anna, dora = await factories.agent(services), await factories.agent(services)
    desk = await factories.inbox(services, members=[anna.id])
    open_, closed = [await factories.conversation(services, inbox_id=desk, status=s) for s in ("open", "closed")]
    refusals: list[tuple[Any, dict[str, Any], int, str]] = [
        (open_, {}, 422, "assignee_id"),
        (open_, {"assignee_id": str(dora.id)}, 422, "assignee_id"),
        (open_, {"assignee_id": str(open_)}, 404, ""),
        (open_, {"team_id": str(open_)}, 404, ""),
        (closed, {"assignee_id": str(anna.id)}, 409, ""),
    ]
    for chat, body, status, field in refusals:
        url = f"{V}/conversations/{chat}"
        refused = await client.post(f"{url}/transfer", headers=matching(anna, 1), json=body | {"note": "Yours."})
        fields = [one["field"] for one in refused.json().get("errors", ())]
        assert (refused.status_code, fields) == (status, [field] if field else []), body
        shown = (await client.get(url, headers=anna.headers)).json()
        assert (shown["version"], shown["assignee"]) == (1, None)
    async with services.database.reading() as session:
        assert await session.scalar(select(func.count()).where(messages.c.private)) == 0


async def test_of_two_who_answer_a_visitor_at_once_one_is_told_and_nobodys_chat_changes_hands(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, ben = await factories.agent(services), await factories.agent(services)
    site = await factories.inbox(services, channel="chat", members=[anna.id, ben.id])
    token = await begin(services, site, now=clock.now())
    chat = (await say(services, token, now=clock.now())).conversation_id
    url = f"{V}/conversations/{chat}"
    mine = await client.patch(url, headers=matching(anna, 1), json={"assignee_id": str(anna.id)})
    assert mine.status_code == 200
    answers = []
    for who in (ben, anna):
        keyed = {**who.headers, "Idempotency-Key": uuid4().hex}
        answers.append(await client.post(f"{url}/messages", headers=keyed, json={"text": "Hello!", "seen_seq": 1}))
    assert [one.status_code for one in answers] == [201, 409]
    assert answers[1].json()["type"].endswith(":conversation_moved")
    assert [one["id"] for one in answers[1].json()["messages"]] == [answers[0].json()["id"]]
    assert (await client.get(url, headers=anna.headers)).json()["assignee"]["id"] == str(anna.id)
    over = await client.patch(url, headers=matching(ben, 2), json={"assignee_id": str(ben.id)})
    late = await client.patch(url, headers=matching(anna, 2), json={"assignee_id": str(anna.id)})
    assert (over.status_code, late.status_code) == (200, 412)
