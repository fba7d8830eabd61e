"""Looking at an account: nothing is skipped and nothing comes twice, whatever happens between two pages."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.x import budget
from connectors.x.budget import Budget
from connectors.x.poll import delay
from connectors.x.tests.desk import Crash, Host, polling
from connectors.x.tests.fake import US, FakeX
from helpdesk import clock
from helpdesk.channels import (
    AccessRevoked,
    BudgetSpent,
    ChangeKind,
    ChannelError,
    InboundChange,
    InboundMessage,
    PlanChanged,
    RateLimited,
    TemporaryFailure,
)

MENTIONS, MESSAGES = "GET /2/users/{id}/mentions", "GET /2/dm_events"


@pytest.fixture
async def x() -> AsyncIterator[FakeX]:
    with FakeX() as fake:
        yield fake


async def test_mentions_and_messages_come_in_once(x: FakeX) -> None:
    picture = x.world.picture()
    post = x.mention("ann", "@desk where is my money? &lt;3", media=[picture])
    event = x.dm("bob", "my number is 17")
    host = Host()
    async with polling(x, host):
        assert set(host.items) == {f"m;{post}", f"dm;{event}"}
    mention, message = host.parsed()
    assert isinstance(mention, InboundMessage)
    assert isinstance(message, InboundMessage)
    ann, bob = x.world.user("ann"), x.world.user("bob")
    assert (mention.external_id, mention.sender.handle, mention.sender.name) == (post, ann, "Ann")
    assert (mention.text, mention.visibility, mention.thread) == (
        "@desk where is my money? <3",
        "public",
        f"post:{post}",
    )
    assert mention.external_url == f"https://x.com/ann/status/{post}"
    assert mention.profile is not None
    assert mention.profile.followers == 12
    assert mention.attachments[0].source.startswith(x.origin)
    assert (message.text, message.visibility, message.thread) == ("my number is 17", "direct", f"dm:{bob}")
    async with polling(x, host):  # another worker takes over
        assert len(host.items) == 2
        assert host.place["user"] == {"id": US, "username": "desk"}


@pytest.mark.parametrize("commit", range(5))
async def test_a_crash_between_two_pages_loses_nothing(x: FakeX, commit: int) -> None:
    x.page = 2
    host, done = Host(), 0

    def crash() -> None:
        nonlocal done
        done += 1
        if done == commit + 2:
            raise Crash

    first = x.mention("ann", "@desk first")
    async with polling(x, host):
        assert set(host.items) == {f"m;{first}"}
    posts = {f"m;{x.mention('ann', f'@desk {number}')}" for number in range(5)}
    messages = {f"dm;{x.dm('bob', f'message {number}')}" for number in range(5)}
    done, host.obstacle = 0, crash
    with pytest.raises(Crash):
        async with polling(x, host):
            raise AssertionError("it has to crash")
    host.obstacle = lambda: None
    late = x.mention("ann", "@desk while nobody looked")
    async with polling(x, host):
        assert set(host.items) == {f"m;{first}", f"m;{late}", *posts, *messages}


async def test_what_is_seen_late_is_not_skipped(x: FakeX) -> None:
    """A number that was given in another place a moment earlier, and shown a moment later."""
    held = x.world.posts.pop(x.mention("ann", "@desk I was first"))
    host = Host()
    x.mention("bob", "@desk I was second")
    async with polling(x, host):
        assert len(host.items) == 1
    x.world.posts[held["id"]] = held
    async with polling(x, host):
        assert f"m;{held['id']}" in host.items


async def test_an_answer_that_mentions_nobody_is_found(x: FakeX) -> None:
    ours = x.world.post(US, "We are open again")
    answer = x.mention("ann", "Mine is still missing", answers=ours)
    x.world.post(x.world.user("bob"), "To somebody else", answers=answer)
    host = Host()
    async with polling(x, host):
        (found,) = host.parsed()
    assert isinstance(found, InboundMessage)
    assert (found.external_id, found.thread, found.in_reply_to) == (answer, f"post:{ours}", ours)
    assert found.post is not None
    assert found.post.own


async def test_a_deleted_post_is_noticed_and_a_locked_one_is_not(x: FakeX) -> None:
    gone, stays = x.mention("ann", "@desk in anger"), x.mention("ann", "@desk calmly")
    host = Host()
    async with polling(x, host):
        pass
    x.delete(gone)
    async with polling(x, host):
        change = host.parsed()[-1]
    assert isinstance(change, InboundChange)
    assert (change.kind, change.external_id) == (ChangeKind.DELETED, gone)
    assert list(host.place["recent"]) == [stays]


FAULTS = {
    "limit": (429, {"x-rate-limit-reset": "RESET"}, b"{}", RateLimited),
    "a page of a proxy": (503, {"Content-Type": "text/html"}, b"<html>Over capacity</html>", TemporaryFailure),
    "half a document": (200, {}, b'{"data":[{"id":"19', TemporaryFailure),
    "no such plan": (403, {}, b'{"reason":"client-not-enrolled"}', PlanChanged),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_told_the_other_sources_go_on_and_nothing_is_lost(x: FakeX, fault: str) -> None:
    status, headers, body, kind = FAULTS[fault]
    told = {name: value.replace("RESET", str(int(time.time()) + 30)) for name, value in headers.items()}
    x.fail(MENTIONS, status, told, body)
    post, event = x.mention("ann", "@desk hello"), x.dm("bob", "hello")
    host = Host()
    async with polling(x, host):
        assert [type(error) for error in host.errors] == [kind]
        assert f"dm;{event}" in host.items or await _comes(host, f"dm;{event}")
    async with polling(x, host):
        assert f"m;{post}" in host.items


async def _comes(host: Host, position: str) -> bool:
    """The other sources are looked at after the one that failed."""
    await host.until(lambda: position in host.items)
    return True


async def test_a_plan_without_search_wakes_nobody(x: FakeX) -> None:
    x.fail("GET /2/tweets/search/recent", 403, body=b'{"reason":"client-not-enrolled"}', times=9)
    host = Host()
    async with polling(x, host):
        assert host.wells == 1
    assert host.errors == []
    assert x.calls["GET /2/tweets/search/recent"] == 1


async def test_numbers_may_come_as_numbers(x: FakeX) -> None:
    data = {
        "id": 9007199254740993,
        "author_id": 9007199254740995,
        "text": "@desk hm",
        "conversation_id": 9007199254740993,
    }
    x.fail(MENTIONS, 200, body=json.dumps({"data": [data, {"text": "no number"}], "meta": {}}).encode())
    host = Host()
    async with polling(x, host):
        pass
    found = host.parsed_or_refused()
    assert isinstance(found[0], InboundMessage)
    assert (found[0].external_id, found[0].sender.handle) == ("9007199254740993", "9007199254740995")
    assert found[1] is None
    assert next(iter(host.items)) == "m;9007199254740993"


async def test_an_empty_page_with_others_behind_it_ends_nothing(x: FakeX) -> None:
    post = x.mention("ann", "@desk hello")
    token = f"{int(post) + 1:024d}"
    x.fail(MENTIONS, 200, body=json.dumps({"meta": {"result_count": 0, "next_token": token}}).encode())
    host = Host()
    async with polling(x, host):
        assert f"m;{post}" in host.items


@pytest.mark.parametrize("dms", [{}, {"since": "5"}])
async def test_an_empty_page_of_messages_with_others_behind_it_ends_nothing(x: FakeX, dms: dict[str, str]) -> None:
    event = x.dm("bob", "hello")
    token = f"{int(event) + 1:024d}"
    x.fail(MESSAGES, 200, body=json.dumps({"meta": {"result_count": 0, "next_token": token}}).encode())
    host = Host()
    host.place = {"dms": dms}
    async with polling(x, host):
        assert f"dm;{event}" in host.items


async def test_an_account_that_was_renamed_is_looked_for_by_its_new_name(x: FakeX) -> None:
    host = Host()
    host.place = {"user": {"id": US, "username": "old"}}
    async with polling(x, host, username=""):
        assert x.calls["GET /2/users/me"] == 1
    answer = x.mention("ann", "Not yet", answers=x.world.post(US, "We are open again"))
    async with polling(x, host, username=""):
        assert f"m;{answer}" in host.items
        assert host.place["user"] == {"id": US, "username": "desk"}


async def test_a_message_page_whose_token_has_ended_is_read_from_the_top(x: FakeX) -> None:
    event = x.dm("bob", "hello")
    host = Host()
    host.place = {"dms": {"since": "5", "newest": "7", "token": "old"}}
    x.fail(MESSAGES, 400, body=b'{"title":"Invalid Request"}')
    async with polling(x, host):
        assert f"dm;{event}" in host.items


async def test_the_months_reads_end_and_come_back(x: FakeX) -> None:
    for number in range(3):
        x.mention("ann", f"@desk {number}")
    host = Host()
    host.place = {"budget": {"month": f"{clock.now().astimezone(UTC):%Y-%m}", "reads": 98}}
    x.page = 2
    async with polling(x, host, monthly_reads=100):
        assert [type(error) for error in host.errors][:1] == [BudgetSpent]
        assert len(host.items) == 2
    host.place = {**host.place, "budget": {"month": "2026-01", "reads": 100}}
    async with polling(x, host, monthly_reads=100):
        assert len(host.items) == 3


# -- what needs no vendor


@pytest.mark.parametrize(
    ("error", "troubles", "seconds"),
    [
        (RateLimited("", retry_after=17), 1, 17),
        (RateLimited("", retry_after=1), 4, 40),
        (RateLimited(""), 1, 60),
        (RateLimited(""), 3, 240),
        (RateLimited(""), 500, 900),
        (TemporaryFailure(""), 1, 5),
        (TemporaryFailure(""), 9, 900),
        (AccessRevoked(""), 1, 300),
        (BudgetSpent("", retry_after=10.0**6), 1, 3600),
    ],
)
def test_patience_grows_and_has_an_end(error: ChannelError, troubles: int, seconds: float) -> None:
    assert delay(error, troubles) == seconds


def test_a_post_is_counted_once_a_day_and_a_month_begins_anew() -> None:
    at = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
    spent = Budget(100)
    spent.read(["1", "2", "2"], at)
    spent.read(["2", "3"], at)
    assert spent.kept() == {"month": "2026-11", "reads": 3}
    spent.read(["3"], at + timedelta(minutes=70))
    assert spent.kept() == {"month": "2026-12", "reads": 1}


def test_looks_become_rarer_as_more_is_read_than_the_month_has_room_for() -> None:
    middle = datetime(2026, 11, 16, tzinfo=UTC)
    waits = [Budget(10_000, month="2026-11", reads=reads).interval(60, 0, middle) for reads in (0, 5_000, 9_000)]
    assert waits == pytest.approx([60, 60, 108])
    assert Budget(10_000, month="2026-11", reads=1_900).interval(60, 0, middle.replace(day=1)) == 60
    assert Budget(10_000, month="2026-11", reads=9_900).interval(60, 0, middle.replace(day=2)) == pytest.approx(594)
    assert Budget(10_000, month="2026-11", reads=9_900).interval(300, 0, middle.replace(day=2)) == 900
    assert Budget(10_000).interval(60, 120, middle) == 120
    assert budget.quieter(0, 60, found=False, longest=120) == 120
    assert budget.quieter(120, 60, found=False, longest=120) == 120
    assert budget.quieter(120, 60, found=True, longest=120) == 0
