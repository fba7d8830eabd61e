"""Two who do something to one conversation at the same moment, and what has to be true whoever of them was faster.

Each has an application of his own with an engine of its own, as in two processes: what one of them holds in memory
keeps nobody else from writing. `Race.run` brings about one such moment and raises `AssertionError` where its end is
none that the race allows, or where the rows do not tell one story. Nothing here needs pytest.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
from sqlalchemy import RowMapping, Table

from helpdesk.app import create_app
from helpdesk.domain.events import MessageFailed, MessageSent, MessageUncertain
from helpdesk.domain.values import DeliveryStatus, MessageType
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.messages import deliveries, messages
from helpdesk.services.house import Services
from tests import factories
from tests.house import MX, House, read
from tests.peers.smtp_sink import SmtpSink

URL: Final = "/api/v1"
APART: Final = 0.004
"""Seconds by which one of the two is behind the other at most: about what a request takes."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: who he is, and his own application."""

    client: httpx.AsyncClient
    who: factories.Someone
    house: House

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> str:
        """The status, and the problem if there was one: `200`, `409 conversation_closed`."""
        given = {**self.who.headers, "If-Match": '"1"', "Idempotency-Key": uuid4().hex}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        # httpx sends no header without a value.
        given = {name: value for name, value in given.items() if value}
        answer = await self.client.request(method, f"{URL}/{path}", headers=given, json=body)
        if answer.is_success:
            return str(answer.status_code)
        return f"{answer.status_code} {answer.json()['type'].rpartition(':')[2]}"


@dataclass
class Track:
    """Where races are run: a desk with an inbox, and two administrators at it."""

    services: Services
    left: Side
    right: Side
    inbox: UUID
    sink: SmtpSink
    random: Random
    macro: UUID | None = None
    chat: UUID | None = None
    ends: dict[str, Counter[str]] = field(default_factory=dict)
    """How often each race ended in which way."""

    async def rows(self, table: Table, *where: Any) -> Sequence[RowMapping]:
        return await self.left.house.rows(table, *where)

    async def deliver(self) -> None:
        """Both send what is due, at once, until nothing is."""
        while sum(await asyncio.gather(self.left.house.deliver(), self.right.house.deliver())):
            pass


@asynccontextmanager
async def open_track(one: Services, other: Services, *, seed: int) -> AsyncIterator[Track]:
    """`one` and `other` are over the same database, and do not know of each other."""
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(SmtpSink())
        sides = []
        for name, services in (("left", one), ("right", other)):
            house = await stack.enter_async_context(House(services, worker=name))
            app = create_app(services)
            stack.push_async_callback(app.state.touches.settle)
            stack.push_async_callback(app.state.hub.close)
            transport = httpx.ASGITransport(app)
            client = await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://desk.test")
            )
            sides.append(Side(client, await factories.agent(one, role="admin"), house))
        desk = await factories.inbox(one, smtp_url=sink.url(), authserv_id=MX)
        await factories.policy(one)
        yield Track(one, *sides, desk, sink, Random(seed))


Scene = dict[str, Any]
"""What a race is about: `id` is its conversation, `other` another one, `free` the places that a split may free."""
Runner = Callable[[Track, Side, Scene], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class Race:
    """`ends` are the pairs of answers that there may be, with the conversation's version after each.

    With `alike`, the two ask for the same: which of them wins is the same end.
    """

    left: Runner
    right: Runner
    ends: Mapping[tuple[str, str], int]
    alike: bool = False
    scene: Callable[[Track], Awaitable[Scene]]
    after: Callable[[Track, Scene, tuple[str, str]], Awaitable[None]] | None = None

    async def run(self, track: Track, name: str) -> None:
        scene = await self.scene(track)
        ahead = track.random.uniform(-APART, APART)
        left, right = await asyncio.gather(
            _later(max(0.0, -ahead), self.left, track, track.left, scene),
            _later(max(0.0, ahead), self.right, track, track.right, scene),
        )
        end = (min(left, right), max(left, right)) if self.alike else (left, right)
        assert end in self.ends, f"{name} ended with {end}"
        track.ends.setdefault(name, Counter())[" / ".join(end)] += 1
        ids = [value for key, value in scene.items() if key in ("id", "other")]
        for row in await track.rows(conversations, conversations.c.id.in_(ids)):
            await _one_story(track, row, free=scene.get("free", frozenset()))
            if row["id"] == scene["id"]:
                assert row["version"] == self.ends[end], f"{name}, {end}: version {row['version']}"
        if self.after is not None:
            await self.after(track, scene, end)


async def _later(seconds: float, run: Runner, track: Track, side: Side, scene: Scene) -> str:
    await asyncio.sleep(seconds)
    return await run(track, side, scene)


_OF_ITS_MESSAGE: Final = (MessageSent.type, MessageFailed.type, MessageUncertain.type)
"""Told with the place of a message that has its own event there."""


async def _one_story(track: Track, row: RowMapping, *, free: Set[int]) -> None:
    """Places without gaps and none twice, a row that is what its events say, and one delivery for each answer.

    What is answered in a chat is read there, and needs none.
    `free` are places whose messages may have gone elsewhere.
    """
    told = await track.rows(
        events, events.c.conversation_id == row["id"], events.c.seq > 0, events.c.type.not_in(_OF_ITS_MESSAGE)
    )
    said = await track.rows(messages, messages.c.conversation_id == row["id"])
    places = [one["seq"] for one in told]
    assert len(places) == len(set(places)), f"two events in one place: {sorted(places)}"
    taken = {*places, *(one["seq"] for one in said)}
    assert taken | free >= set(range(1, row["seq"] + 1)) >= taken, "a place is missing, or one too many"
    assert row["message_count"] == len(said)
    _as_told(row, sorted(told, key=lambda one: one["seq"]))
    public = [one for one in said if one["type"] == MessageType.OUTGOING and not one["private"]]
    assert {one["delivery_status"] for one in public if one["channel"] == "chat"} <= {DeliveryStatus.SENT}
    answers = {one["id"] for one in public if one["channel"] != "chat"}
    queued = await track.rows(deliveries, deliveries.c.message_id.in_(answers))
    assert {one["message_id"] for one in queued} == answers
    ended = [one["seq"] for one in told if one["data"].get("after") == "closed"]
    late = [one["seq"] for one in said if ended and one["seq"] > ended[-1]]
    assert row["status"] != "closed" or not late, "something was written into a closed conversation"


def _as_told(row: RowMapping, told: Sequence[RowMapping]) -> None:
    """The last event about a field names the value that it has."""
    last: dict[str, Any] = {}
    for one in told:
        data = one["data"]
        match one["type"]:
            case "conversation.status_changed":
                last["status"] = data["after"]
            case "conversation.assigned":
                last["assignee_id"] = data["assignee_id"]
            case "conversation.merged":
                last["merged_into_id"] = data["into_id"]
            case "conversation.updated":
                last |= {name: pair[1] for name, pair in data["changes"].items() if name in ("priority", "spam")}
    shown = {name: str(row[name]) if isinstance(row[name], UUID) else row[name] for name in last}
    assert shown == last


async def sent_once(track: Track) -> int:
    """Send all that is due; answers how much left, each of it once, and nothing that was taken back."""
    await track.deliver()
    sent = await track.rows(deliveries, deliveries.c.status == DeliveryStatus.SENT.value)
    left = Counter(str(read(mail.body)["Message-ID"]) for mail in track.sink.messages)
    assert left == Counter(f"<{one['external_id']}>" for one in sent)
    return len(sent)
