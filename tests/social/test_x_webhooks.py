"""The webhook of X in the house: what it brings is believed, handed to whom it is for, and filed once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from connectors.x import crc, items
from connectors.x.tests import fake_activity
from connectors.x.tests.fake import FakeX
from connectors.x.tests.fake_auth import Tokens
from connectors.x.tests.fake_world import World
from helpdesk import clock
from helpdesk.channels import RawInbound
from helpdesk.db import new_id
from helpdesk.hosting import VendorHost
from helpdesk.models.alerts import alerts
from helpdesk.models.inboxes import inboxes, raw_items
from helpdesk.services import intake
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.house import House

US, OTHERS = "1001", "2002"
SECRET = Tokens(US).oauth1["consumer_secret"]
HEADER = "x-twitter-webhooks-signature"


@dataclass
class Desk:
    """Two inboxes of one app, the house that they are in, and what the vendor knows."""

    house: House
    client: httpx.AsyncClient
    world: World
    ours: UUID
    others: UUID

    async def post(self, envelope: Any, *, signature: str | None = None, inbox_id: UUID | None = None) -> int:
        body = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
        headers = {HEADER: crc.signature(SECRET, body) if signature is None else signature}
        path = f"/channels/x/{inbox_id or self.ours}/webhook"
        given = {name: value.encode("latin-1") for name, value in headers.items() if value}
        answer = await self.client.post(path, content=body, headers=given)
        return answer.status_code

    async def held(self, inbox_id: UUID | None = None) -> list[str]:
        where = raw_items.c.inbox_id == (inbox_id or self.ours)
        return [row["position"] for row in await self.house.rows(raw_items, where)]

    async def poll(self, post_id: str) -> int:
        """What polling would have brought."""
        query = {name.replace("_fields", ".fields"): ",".join(values) for name, values in items.POST.items()}
        page = self.world.shown("tweet", [self.world.posts[post_id]], query)
        batch = items.of_page("post", page, own=US, at=clock.now())
        services = self.house.services
        staged = await intake.stage(services, batch)
        async with services.database.transaction() as session:
            keys = Keys(services.keyring)
            how: dict[str, Any] = {"inbox_id": self.ours, "staged": staged, "cursor": None, "now": clock.now()}
            return len(await intake.accept(services, session, keys, batch, **how))


@pytest.fixture
async def desk(services: Services, client: httpx.AsyncClient) -> AsyncIterator[Desk]:
    world = World("https://x.test", US)
    ours, others = [
        await factories.inbox(services, channel="x", **Tokens(number).oauth1, username=name, webhook=True)
        for number, name in ((US, "desk"), (OTHERS, "others"))
    ]
    async with House(services) as house:
        yield Desk(house, client, world, ours, others)


async def test_what_comes_by_both_ways_is_filed_once(desk: Desk) -> None:
    ann = desk.world.user("ann", "Ann")
    first, second = [desk.world.post(ann, f"@desk {word}") for word in ("one", "two")]
    # Late and in the wrong order, twice, at the same time, and polled meanwhile.
    assert await desk.poll(first) == 1
    assert await desk.post(fake_activity.posted(desk.world, second, first)) == 200
    both = fake_activity.posted(desk.world, first), fake_activity.posted(desk.world, second)
    assert await asyncio.gather(*(desk.post(one) for one in both * 2)) == [200] * 4
    assert await desk.poll(second) == 0
    assert sorted(await desk.held()) == sorted([f"m;{first}", f"m;{second}"])
    await desk.house.drain()
    assert sorted(row["text"] for row in await desk.house.incoming()) == ["@desk one", "@desk two"]
    assert await desk.held(desk.others) == []


async def test_a_mention_and_a_message_are_told_apart(desk: Desk) -> None:
    ann = desk.world.user("ann", "Ann")
    post = desk.world.post(ann, "@desk help")
    event = desk.world.message(ann, US, "my number is 17")
    envelope = {**fake_activity.posted(desk.world, post), **fake_activity.written(desk.world, event)}
    assert await desk.post(envelope) == 200
    await desk.house.drain()
    found = {row["visibility"]: row for row in await desk.house.incoming()}
    assert (found["public"]["external_id"], found["direct"]["external_id"]) == (post, event)
    assert found["public"]["conversation_id"] != found["direct"]["conversation_id"]


@ON_ONE_DATABASE
async def test_an_app_has_one_webhook_for_all_its_accounts(desk: Desk) -> None:
    post = desk.world.post(desk.world.user("ann"), "@others hello")
    envelope = {**fake_activity.posted(desk.world, post), "for_user_id": OTHERS}
    assert await desk.post(envelope, inbox_id=desk.ours) == 200
    assert (await desk.held(), await desk.held(desk.others)) == ([], [f"m;{post}"])
    async with desk.house.services.database.transaction() as session:
        await session.execute(update(inboxes).where(inboxes.c.id == desk.others).values(state="paused"))
    assert await desk.post({**envelope, "tweet_delete_events": [{"status": {"id": post}}]}) == 200
    assert sorted(await desk.held(desk.others)) == [f"c;deleted;{post}", f"m;{post}"]


@ON_ONE_DATABASE
async def test_what_is_for_nobody_here_is_kept_and_told_of_and_becomes_no_message(desk: Desk) -> None:
    post = desk.world.post(desk.world.user("ann"), "@somebody hello")
    envelope = {**fake_activity.posted(desk.world, post), "for_user_id": "3003"}
    assert [await desk.post(envelope) for _ in range(2)] == [200, 200]
    await desk.house.drain()
    (position,) = await desk.held()
    assert position.startswith("e;")
    assert await desk.house.conversations() == []
    assert [row["kind"] for row in await desk.house.rows(alerts)] == ["unknown_account"]


@ON_ONE_DATABASE
async def test_another_apps_secret_opens_nothing_here(desk: Desk, services: Services) -> None:
    keys = {**Tokens(US).oauth1, "consumer_secret": "another-secret"}
    stranger = await factories.inbox(services, channel="x", **keys, username="stranger", webhook=True)
    post = desk.world.post(desk.world.user("ann"), "@desk hello")
    envelope = fake_activity.posted(desk.world, post)
    assert await desk.post(envelope, inbox_id=stranger) == 403
    assert await desk.post(envelope) == 200
    assert (await desk.held(stranger), await desk.held()) == ([], [f"m;{post}"])


@ON_ONE_DATABASE
async def test_who_does_not_know_the_secret_brings_nothing(desk: Desk, services: Services) -> None:
    envelope = fake_activity.posted(desk.world, desk.world.post(desk.world.user("ann"), "@desk hello"))
    body = json.dumps(envelope).encode()
    assert await desk.post(body, signature="") == 401
    for wrong in ("sha256=", "sha256=AAAA", crc.signature("", body), crc.signature(SECRET, body + b" "), "gehéim"):
        assert await desk.post(body, signature=wrong) == 403
    assert await desk.post(b"{" + b" " * 1024 * 1024) == 413
    assert await desk.post(envelope, inbox_id=new_id()) == 404
    # An inbox without the app's secret has no webhook: what is signed with nothing would be anybody's.
    keys = {"client_id": "c", "refresh_token": "r"}
    bare = await factories.inbox(services, channel="x", **keys, username="bare")
    assert await desk.post(body, inbox_id=bare, signature=crc.signature("", body)) == 404
    assert (await desk.client.get(f"/channels/x/{bare}/webhook", params={"crc_token": "a"})).status_code == 404
    assert await desk.held() == []


@ON_ONE_DATABASE
async def test_an_answered_challenge_signs_no_body(desk: Desk) -> None:
    async def asked(challenge: str) -> httpx.Response:
        return await desk.client.get(f"/channels/x/{desk.ours}/webhook", params={"crc_token": challenge})

    found = await asked("NjNlZDY4MmYtNjg5Zi00")
    assert found.json() == {"response_token": crc.signature(SECRET, b"NjNlZDY4MmYtNjg5Zi00")}
    for odd in ("", '{"for_user_id":"1001"}', " {}", "a" * 257):
        assert (await asked(odd)).status_code == 400
    signature = (await asked("17")).json()["response_token"]
    assert await desk.post(b"17", signature=signature) == 403
    assert await desk.held() == []


@ON_ONE_DATABASE
async def test_what_nobody_understands_is_kept(desk: Desk) -> None:
    for odd in (b"{", b'{"for_user_id": "1001", "party_events": [{"id": 5}]}', b'{"a":' * 100_000):
        assert await desk.post(odd) == 200
    assert len(await desk.held()) == 3
    await desk.house.drain()
    # Two are no events: an agent sees that something came that nobody could read.
    assert [(row["text"], row["sender_verified"]) for row in await desk.house.messages()] == [("", None)] * 2


@ON_ONE_DATABASE
async def test_nothing_is_said_to_be_taken_that_is_not_stored(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(self: VendorHost, inbox_id: UUID, batch: list[RawInbound]) -> int:
        raise OSError("the database is away")

    envelope = fake_activity.posted(desk.world, desk.world.post(desk.world.user("ann"), "@desk hello"))
    with monkeypatch.context() as patch:
        patch.setattr(VendorHost, "accept", away)
        assert await desk.post(envelope) == 503
    assert await desk.held() == []
    assert await desk.post(envelope) == 200
    assert len(await desk.held()) == 1


@dataclass
class Talk:
    """One inbox with the vendor behind it, so that answers leave."""

    desk: Desk
    x: FakeX
    ann: str

    async def say(self, text: str, *, answers: str = "", polled: bool = False) -> str:
        post = self.x.world.post(self.ann, text, answers=answers)
        await (self.desk.poll(post) if polled else self.desk.post(fake_activity.posted(self.x.world, post)))
        await self.desk.house.drain()
        return post

    async def told(self) -> list[tuple[str, str]]:
        return [(row["type"], row["text"]) for row in await self.desk.house.messages() if row["type"] != "activity"]


@pytest.fixture
async def talk(services: Services, client: httpx.AsyncClient) -> AsyncIterator[Talk]:
    with FakeX() as x:
        ours = await factories.inbox(services, channel="x", **x.tokens.oauth1, username="desk", api_url=x.origin)
        async with House(services) as house:
            yield Talk(Desk(house, client, x.world, ours, ours), x, x.world.user("ann", "Ann"))


async def test_an_answer_to_our_answer_joins_whatever_brings_it(talk: Talk) -> None:
    root = await talk.say("@desk where is my money?")
    (conversation,) = await talk.desk.house.conversations()
    await talk.desk.house.reply(conversation["id"], "We look into it.")
    await talk.desk.house.drain()
    (answer,) = talk.x.sent
    assert answer["referenced_tweets"] == [{"type": "replied_to", "id": root}]
    # A webhook names what is answered, polling the post at the top.
    await talk.say("@desk since yesterday!", answers=answer["id"])
    await talk.say("@desk hello?", answers=answer["id"], polled=True)
    assert [row["id"] for row in await talk.desk.house.conversations()] == [conversation["id"]]
    # What we said ourselves comes back, early and late and twice.
    for _ in range(2):
        assert await talk.desk.post(fake_activity.posted(talk.x.world, answer["id"])) == 200
        await talk.desk.house.drain()
    assert await talk.told() == [
        ("incoming", "@desk where is my money?"),
        ("outgoing", "We look into it."),
        ("incoming", "@desk since yesterday!"),
        ("incoming", "@desk hello?"),
    ]


async def test_a_complaint_in_many_posts_is_one_and_whoever_joins_in_has_his_own(talk: Talk) -> None:
    world = talk.x.world
    second = await talk.say("@desk and", answers=await talk.say("@desk my money"))
    third = await talk.say("@desk nobody answers", answers=second)
    fourth = world.post(talk.ann, "@desk I have written before", answers=third)
    fifth = world.post(talk.ann, "@desk and again", answers=fourth)
    ben = world.post(world.user("ben"), "@desk mine too", answers=third)
    carl = world.post(world.user("carl"), "@desk and mine", answers=fifth)
    assert await talk.desk.post(fake_activity.posted(world, fourth, fifth, ben, carl)) == 200
    await talk.desk.house.drain()
    numbers = {row["id"]: row["number"] for row in await talk.desk.house.conversations()}
    first, *others = sorted(numbers.values())
    found = {row["external_id"]: numbers[row["conversation_id"]] for row in await talk.desk.house.incoming()}
    assert [found[post] for post in (second, third, fourth, fifth)] == [first] * 4
    assert sorted([found[ben], found[carl]]) == others


@ON_ONE_DATABASE
async def test_what_is_gone_may_be_told_before_what_it_was(talk: Talk) -> None:
    post = talk.x.world.post(talk.ann, "@desk my number is 17")
    assert await talk.desk.post(fake_activity.gone(talk.x.world, post, talk.ann)) == 200
    await talk.desk.house.drain()
    assert await talk.told() == []
    assert await talk.desk.post(fake_activity.posted(talk.x.world, post)) == 200
    await talk.desk.house.drain()
    (message,) = await talk.desk.house.incoming()
    assert message["deleted_at"] is not None


@ON_ONE_DATABASE
async def test_what_others_write_in_our_name_is_shown_where_it_stands(talk: Talk) -> None:
    root = await talk.say("@desk where is my money?")
    elsewhere = talk.x.world.post(US, "On its way!", answers=root)
    assert await talk.desk.post(fake_activity.posted(talk.x.world, elsewhere)) == 200
    await talk.desk.house.drain()
    assert await talk.told() == [("incoming", "@desk where is my money?"), ("outgoing", "On its way!")]
