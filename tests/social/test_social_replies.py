"""Replies of integrations: by the id of what they answer, once, and with an end that can be asked for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update

from helpdesk import clock
from helpdesk.channels import PermanentFailure
from helpdesk.db import insert_rows
from helpdesk.models.conversations import conversations, participants
from helpdesk.models.messages import messages
from helpdesk.models.sla import sla_clocks
from helpdesk.models.social import conversation_threads
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.house import Desk
from tests.social.vendor import WALL
from tests.social.wall_story import Wall, wall


@pytest.fixture
async def story(services: Services) -> AsyncIterator[Wall]:
    async with wall(services) as opened:
        yield opened


async def _read(story: Wall, reply_id: str) -> dict[str, object]:
    found = await story.client.get(f"/api/v1/social/replies/{reply_id}", headers=story.bot.headers)
    assert found.status_code == 200, found.text
    return dict(found.json())


async def test_a_reply_is_posted_below_what_it_answers(story: Wall) -> None:
    made = await story.reply()
    assert made.status_code == 201, made.text
    shown = made.json()
    assert (shown["author"]["kind"], shown["visibility"], shown["in_reply_to"]) == ("bot", "public", story.asked)
    assert [part["status"] for part in shown["parts"]] == ["queued"]
    await story.house.deliver()
    ((external_id, sent),) = WALL.sent
    assert (sent["target"], sent["kind"]) == (story.asked, "public")
    told = await _read(story, shown["id"])
    assert (told["status"], told["external_id"]) == ("sent", external_id)
    assert told["external_url"] == f"https://wall.test/{external_id}"
    assert await story.told() == ["message.sent"]


async def test_a_line_that_is_cut_after_the_vendor_took_it_leaves_one_post(story: Wall) -> None:
    WALL.cut_after_accepting = True
    made = (await story.reply(key="one")).json()
    await story.house.deliver()
    assert (await _read(story, made["id"]))["status"] == "uncertain"
    again = await story.reply(key="one")
    assert (again.status_code, again.json()) == (201, made)
    WALL.cut_after_accepting = False
    for _ in range(3):
        await story.house.deliver()
    assert (await _read(story, made["id"]))["status"] == "sent"
    assert len(WALL.sent) == len(await story.outgoing()) == 1
    assert await story.told() == ["message.uncertain", "message.sent"]


async def test_the_same_key_is_one_reply_and_another_body_under_it_is_refused(story: Wall) -> None:
    made = await story.reply(key="one")
    assert (await story.reply(key="one")).json() == made.json()
    other = await story.reply("Something else.", key="one")
    assert (other.status_code, other.json()["type"]) == (422, "urn:helpdesk:problem:idempotency_key_reused")
    assert len(await story.outgoing()) == 1


@ON_ONE_DATABASE
async def test_what_may_not_be_said_there_is_refused_with_a_reason(story: Wall) -> None:
    stranger = await factories.inbox(story.services, channel="wall", name="others")
    refusals = (
        ({"in_reply_to": "nobody-wrote-this"}, 404, "reply_target_unknown"),
        ({"inbox_id": str(stranger)}, 404, "reply_target_unknown"),
        ({"inbox_id": str(story.conversation_id)}, 404, "not_found"),
        ({"text": "Write to mina.park@wallet.test, please."}, 422, "personal_data_in_public"),
        ({"text": "word " * 1000}, 422, "text_too_long"),
        ({"text": " "}, 422, "invalid"),
    )
    for body, status, slug in refusals:
        found = await story.reply(**body)
        assert (found.status_code, found.json()["type"]) == (status, f"urn:helpdesk:problem:{slug}"), body
    async with story.services.database.transaction() as session:
        await session.execute(update(conversations).values(status="closed"))
    assert (await story.reply()).json()["type"].endswith(":conversation_closed")
    assert await story.outgoing() == []


@ON_ONE_DATABASE
async def test_it_takes_the_scope_the_key_and_ones_own_inbox(story: Wall) -> None:
    body = {"inbox_id": str(story.inbox_id), "in_reply_to": story.asked, "text": "Hello"}
    nothing = await factories.agent(story.services, kind="bot", scopes=["conversations:write"])
    assert (await story.post("social/replies", body, by=nothing)).status_code == 403
    without = await story.client.post("/api/v1/social/replies", json=body, headers=story.bot.headers)
    assert (without.status_code, without.json()["type"]) == (400, "urn:helpdesk:problem:idempotency_key_required")
    other = await factories.agent(story.services)
    foreign = await factories.inbox(story.services, channel="wall", name="theirs", members=[other.id])
    me = await factories.agent(story.services, kind="bot", scopes=["social:write"])
    for inbox_id in (foreign, story.conversation_id):
        found = await story.post("social/replies", {**body, "inbox_id": str(inbox_id)}, by=me)
        assert (found.status_code, found.json()["detail"]) == (404, "there is no such inbox")
    made = (await story.reply()).json()
    found = await story.client.get(f"/api/v1/social/replies/{made['id']}", headers=me.headers)
    assert found.status_code == 404, "it is another's"


async def test_a_reply_that_fails_says_so(story: Wall) -> None:
    WALL.refuse(PermanentFailure("never"))
    made = (await story.reply("We have found your withdrawal. " * 8)).json()
    await story.house.deliver()
    told = await _read(story, made["id"])
    assert (told["status"], told["error"]) == ("failed", "refused")
    assert [part["status"] for part in told["parts"]] == ["failed", "queued", "queued"]  # type: ignore[attr-defined]
    assert await story.told() == ["message.failed"]


@pytest.mark.parametrize("count", ["off", "on"])
async def test_a_bots_reply_ends_clocks_only_where_the_inbox_says_so(services: Services, count: str) -> None:
    async with wall(services, integration_replies_count=count) as story:
        await factories.policy(story.services)
        said = {"external_id": "in-1", "sender": {"handle": "4712", "name": "Bert"}, "text": "My money is gone"}
        said |= {"thread": "post:18", "visibility": "public"}
        await story.house.receive(Desk(story.inbox_id, "us"), json.dumps(said).encode())
        made = (await story.reply(in_reply_to="in-1")).json()
        await story.house.deliver()
        ended = await story.house.rows(sla_clocks, sla_clocks.c.kind == "first_response")
        assert [str(clock["ended_by"]) for clock in ended] == [made["id"] if count == "on" else "None"]
        bert = (await story.house.conversations())[-1]
        assert (bert["waiting_since"] is None) is (count == "on")


async def test_in_a_merged_conversation_it_goes_to_whoever_wrote_what_it_answers(story: Wall) -> None:
    now = clock.now()
    bert = await factories.contact(story.services, handle="4712", name="Bert", channel="wall")
    async with story.services.database.transaction() as session:
        row = {"inbox_id": story.inbox_id, "conversation_id": story.conversation_id, "post_id": None, "created_at": now}
        await insert_rows(session, conversation_threads, [{**row, "handle": "4712", "thread": "dm:4712"}])
        person = {"conversation_id": story.conversation_id, "channel": "wall", "handle": "4712", "name": "Bert"}
        person |= {"contact_id": bert, "added_by": None, "created_at": now, "removed_at": None}
        await insert_rows(session, participants, [person])
    asked = await factories.incoming(story.services, story.conversation_id, thread="dm:4712")
    async with story.services.database.transaction() as session:
        await session.execute(update(messages).where(messages.c.id == asked).values(author_id=bert))
    made = await story.reply(in_reply_to=f"<{asked}@customer.test>", visibility="direct")
    assert made.status_code == 201, made.text
    await story.house.deliver()
    assert [one["to"] for one in await story.outgoing()] == [[{"handle": "4712", "name": ""}]]


@ON_ONE_DATABASE
async def test_what_would_be_posted_is_shown_before_and_written_nowhere(story: Wall) -> None:
    body = {"inbox_id": str(story.inbox_id), "conversation_id": str(story.conversation_id)}
    text = "We have found your withdrawal. " * 4 + "Mina, write to mina@customer.test."
    shown = (await story.post("social/preview", {**body, "text": text})).json()
    assert shown["visibility"] == "public", "as she wrote last"
    assert [part["text"].rpartition(" ")[2] for part in shown["parts"]] == ["1/2", "2/2"]
    assert all(part["used"] == len(part["text"]) <= part["limit"] == 100 for part in shown["parts"])
    assert {one["kind"] for one in shown["personal_data"]} == {"email", "name"}
    direct = (await story.post("social/preview", {**body, "text": text, "visibility": "direct"})).json()
    assert ([part["limit"] for part in direct["parts"]], direct["personal_data"]) == ([1000], [])
    desk = str(await factories.inbox(story.services))
    mail = (await story.post("social/preview", {"inbox_id": desk, "text": text})).json()
    assert mail["parts"] == [{"text": text, "used": len(text), "limit": None, "unit": "characters"}]
    refused = await story.post("social/preview", {**body, "text": "word " * 1000})
    assert refused.json()["type"].endswith(":text_too_long")
    assert await story.outgoing() == []
