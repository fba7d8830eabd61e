"""What the client in Python makes of what it is told: the log, the outbox and the codes, without a desk."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from helpdesk.chat_client.hearing import Hearing, Stopped, closed
from helpdesk.chat_client.log import Log
from helpdesk.chat_client.outbox import Outbox
from helpdesk.chat_client.requests import judge
from helpdesk.chat_client.values import Changes, Outgoing, Refused

HERE, THERE = "here", "there"


def item(seq: int, prev: int, *, place: str = HERE) -> dict[str, Any]:
    return {"type": "message.new", "conversation_id": place, "seq": seq, "prev_seq": prev, "message": {"id": str(seq)}}


class Desk:
    """Answers pages of what is in the conversation that is `home` by now, and counts them."""

    def __init__(self, **rooms: list[int]) -> None:
        self.rooms, self.home, self.pages, self.heard = rooms, HERE, 0, list[int]()
        self.log = Log(self.page, lambda frame: self.heard.append(frame["seq"]))

    async def page(self, query: Mapping[str, int]) -> Mapping[str, Any]:
        self.pages += 1
        seqs = self.rooms[self.home]
        wanted = [seq for seq in seqs if seq > query["after_seq"]]
        shown = [item(seq, ([0, *seqs])[seqs.index(seq)], place=self.home) for seq in wanted[:2]]
        return {"conversation_id": self.home, "head_seq": seqs[-1], "items": shown, "more": len(wanted) > 2}

    @property
    def seqs(self) -> list[int]:
        return [entry.seq for entry in self.log.entries]


@pytest.mark.parametrize(
    ("frames", "shown", "pages"),
    [
        ([item(1, 0), item(4, 1), item(5, 4)], [1, 4, 5], 0),  # a hole alone is no loss
        ([item(1, 0), item(5, 4)], [1, 4, 5, 7, 9], 2),  # one is missing
        ([item(9, 7)], [1, 4, 5, 7, 9], 3),  # all of them are
        ([item(1, 0), item(1, 0), item(4, 1), item(1, 0)], [1, 4], 0),  # told twice
        ([item(1, 0), item(5, 4), item(9, 7)], [1, 4, 5, 7, 9], 2),  # told late, after it was asked for
        ([item(2, 0, place=THERE)], [2, 3], 1),  # he is in another conversation
        ([item(1, 0), item(2, 0, place=THERE), item(3, 2, place=THERE)], [2, 3], 1),
    ],
)
async def test_nothing_is_missing_from_the_log_and_nothing_is_there_twice(
    frames: list[dict[str, Any]], shown: list[int], pages: int
) -> None:
    desk = Desk(here=[1, 4, 5, 7, 9], there=[2, 3])
    desk.log.conversation_id = HERE
    for frame in frames:
        desk.home = frame["conversation_id"]
        await desk.log.append(frame)
    assert (desk.seqs, desk.pages) == (shown, pages)
    assert len(desk.heard) == len(set(desk.heard))


async def test_a_page_of_another_conversation_begins_the_log_anew() -> None:
    desk = Desk(here=[1, 4, 5], there=[1, 2, 9])
    await desk.log.read_anew(HERE)
    assert desk.seqs == [1, 4, 5]
    desk.home = THERE
    await desk.log.reaches(9)
    assert (desk.log.conversation_id, desk.seqs) == (THERE, [1, 2, 9])
    await desk.log.is_in(None)
    assert (desk.log.conversation_id, desk.seqs) == (None, [])


@pytest.mark.parametrize(
    ("code", "means"),
    [
        (1000, Stopped()),
        (1001, Stopped()),
        (1012, Stopped()),
        (1006, ConnectionResetError()),
        (1011, ConnectionResetError()),
        (1013, ConnectionResetError()),
        (4000, ConnectionResetError()),
        (4008, ConnectionResetError()),
        (4001, Refused("session_refused")),
        (4003, Refused("origin_refused")),
        (4009, Refused("replaced")),
        (4029, Refused("rate_limited", retry_after=60.0)),
    ],
)
async def test_each_close_code_is_one_to_come_back_after_or_not(code: int, means: Exception) -> None:
    found = closed(code)
    assert (type(found), found.args) == (type(means), means.args)
    if isinstance(found, Refused) and isinstance(means, Refused):
        assert found.retry_after == means.retry_after
        assert found.for_good is (code != 4029)
    hearing = Hearing(Desk().log, lambda _: None)
    with pytest.raises(type(means)):
        await hearing.take({"type": "closed", "code": code})


def answer(status: int, problem: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if problem is None:
        return httpx.Response(status, headers=given, text="<html>Log in to the hotel</html>")
    return httpx.Response(status, headers={"Content-Type": "application/problem+json", **given}, json=problem)


@pytest.mark.parametrize(
    ("given", "code", "field", "retry_after"),
    [
        (answer(401, {"type": "urn:x:session_refused"}), "session_refused", "", None),
        (
            answer(422, {"type": "urn:x:bad_frame", "errors": [{"field": "prechat.name"}]}),
            "bad_frame",
            "prechat.name",
            None,
        ),
        (answer(429, {"type": "urn:x:rate_limited"}, Retry_After="7"), "rate_limited", "", 7.0),
        (answer(503, {"type": "urn:x:unavailable"}), "unavailable", "", 1.0),
        (answer(429), "refused", "", 1.0),
        (answer(502), "unavailable", "", None),
        (answer(413), "refused", "", None),
    ],
)
def test_a_problem_says_what_is_wrong_and_when_to_try_again(
    given: httpx.Response, code: str, field: str, retry_after: float | None
) -> None:
    with pytest.raises(Refused) as refused:
        judge(given)
    assert (refused.value.code, refused.value.field, refused.value.retry_after) == (code, field, retry_after)


def test_whoever_is_sent_elsewhere_has_not_reached_the_desk() -> None:
    with pytest.raises(ConnectionResetError):
        judge(answer(302, Location="https://hotel.example/"))


class Now(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return 0.0


async def outcome(outgoing: Outgoing) -> Any:
    try:
        return await asyncio.wait_for(asyncio.shield(outgoing.stored), 5)
    except Refused as error:
        return error.code


async def test_the_outbox_sends_each_until_it_is_known_before_it_sends_the_next() -> None:
    changes, sent = Changes(), list[str]()
    trouble: list[Exception | None] = [
        ConnectionResetError(),  # a
        TimeoutError(),
        None,
        Refused("internal"),  # b
        Refused("rate_limited", retry_after=0.001),
        None,
        Refused("text_too_long"),  # c
        None,  # d
    ]

    async def send(outgoing: Outgoing) -> Mapping[str, Any]:
        sent.append(outgoing.text)
        if error := trouble[len(sent) - 1]:
            raise error
        return {"text": outgoing.text}

    async with emptied(Outbox(send, lambda: True, changes, Now())) as outbox:
        put = [outbox.put(text, text, ()) for text in "abcd"]
        assert [await outcome(one) for one in put] == [{"text": "a"}, {"text": "b"}, "text_too_long", {"text": "d"}]
    assert "".join(sent) == "aaabbbcd"
    assert (len(outbox), changes.ended) == (0, None)


async def test_whoever_is_refused_himself_keeps_what_he_has_said_until_he_is_let_in() -> None:
    changes, let_in = Changes(), False

    async def send(_outgoing: Outgoing) -> Mapping[str, Any]:
        if not let_in:
            raise Refused("session_refused")
        return {}

    async with emptied(Outbox(send, lambda: True, changes, Now())) as outbox:
        put = outbox.put("a", "Hello?", ())
        with pytest.raises(Refused):
            await changes.until(lambda: False)
        assert outbox.bodies == [{"client_id": "a", "text": "Hello?"}]
        let_in, changes.ended = True, None
        changes.tell()
        assert await outcome(put) == {}


async def test_what_is_dropped_is_sent_by_nobody() -> None:
    ready = False
    async with emptied(Outbox(never, lambda: ready, Changes(), Now())) as outbox:
        put = [outbox.put(text, text, ()) for text in "ab"]
        put[0].stored.cancel()  # whoever waited for it has gone
        outbox.drop(Refused("session_refused"))
        assert (len(outbox), await outcome(put[1])) == (0, "session_refused")


async def never(_outgoing: Outgoing) -> Mapping[str, Any]:
    raise AssertionError


@asynccontextmanager
async def emptied(outbox: Outbox) -> AsyncIterator[Outbox]:
    """Somebody empties it meanwhile."""
    task = asyncio.create_task(outbox.empty())
    yield outbox
    assert not task.done()
    task.cancel()
