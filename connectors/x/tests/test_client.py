"""What the vendor's refusals and broken answers become, before and after the last moment of a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from connectors.x import limits
from connectors.x.client import Client
from connectors.x.config import XConfig, origin, own_id
from connectors.x.tests.desk import Store, nothing
from connectors.x.tests.fake import US, FakeX
from helpdesk.channels import (
    AccessRevoked,
    BudgetSpent,
    ChannelError,
    Misconfigured,
    PermanentFailure,
    PermissionMissing,
    PlanChanged,
    RateLimited,
    TargetGone,
    TemporaryFailure,
    Uncertain,
    Unreachable,
)

PROBLEMS = "https://api.twitter.com/2/problems/"
WRITE, READ = "POST /2/tweets", "GET /2/users/{id}/mentions"
LIST = b'["what", "is", "this"]'
NOTHING: Mapping[str, str] = {}


@pytest.fixture
async def x() -> AsyncIterator[FakeX]:
    with FakeX() as fake:
        yield fake


def settings(x: FakeX, keys: str = "oauth1", **more: object) -> XConfig:
    return XConfig.model_validate({**getattr(x.tokens, keys), "api_url": x.origin, **more})


@pytest.fixture
async def client(x: FakeX) -> AsyncIterator[Client]:
    made = Client(settings(x), Store().house())
    yield made
    await made.close()


FAULTS: list[tuple[int, Mapping[str, str], bytes, type[ChannelError], type[ChannelError]]] = [
    # status, headers, body, what a read makes of it, what a write makes of it
    (429, {"x-rate-limit-reset": "4000000000"}, b"{}", RateLimited, RateLimited),
    (429, {"retry-after": "40"}, b"too fast", RateLimited, RateLimited),
    (429, NOTHING, b"", RateLimited, RateLimited),
    (429, {"x-rate-limit-reset": "soon"}, b"", RateLimited, RateLimited),
    (429, NOTHING, b'{"type":"%susage-capped","period":"Monthly"}' % PROBLEMS.encode(), BudgetSpent, BudgetSpent),
    (402, NOTHING, b'{"title":"CreditsDepleted"}', BudgetSpent, BudgetSpent),
    (403, NOTHING, b'{"reason":"client-not-enrolled"}', PlanChanged, PlanChanged),
    (403, NOTHING, b'{"type":"%soauth1-permissions"}' % PROBLEMS.encode(), PermissionMissing, PermissionMissing),
    (
        403,
        NOTHING,
        b'{"type":"%sunsupported-authentication"}' % PROBLEMS.encode(),
        PermissionMissing,
        PermissionMissing,
    ),
    (
        403,
        NOTHING,
        b'{"detail":"You attempted to reply to a Tweet that is deleted or not visible"}',
        TargetGone,
        TargetGone,
    ),
    (403, NOTHING, b"<html>", PermanentFailure, PermanentFailure),
    (
        403,
        NOTHING,
        b'{"detail":"You are not allowed to create a Tweet with duplicate content."}',
        limits.Duplicate,
        limits.Duplicate,
    ),
    (404, NOTHING, b"", TargetGone, TargetGone),
    (400, NOTHING, b'{"errors":[{"message":"no"}]}', PermanentFailure, PermanentFailure),
    (401, NOTHING, b"", AccessRevoked, AccessRevoked),
    (302, {"Location": "https://elsewhere.test/"}, b"", Misconfigured, Misconfigured),
    (500, NOTHING, LIST, TemporaryFailure, Uncertain),
    (502, NOTHING, b'{"errors":"all of them","error":{"a":1}}', TemporaryFailure, Uncertain),
    (503, {"Content-Type": "text/html"}, b"<html>Over capacity</html>", TemporaryFailure, Uncertain),
    (200, NOTHING, b'{"data":{"id":"19', TemporaryFailure, Uncertain),
    (200, NOTHING, b"", TemporaryFailure, Uncertain),
    (201, NOTHING, LIST, TemporaryFailure, Uncertain),
]


async def test_every_fault_is_told_in_our_words(x: FakeX, client: Client) -> None:
    for status, headers, body, read, written in FAULTS:
        x.fail(READ, status, headers, body)
        with pytest.raises(ChannelError) as told:
            await client.call("get_users_mentions", US, max_results=5)
        assert type(told.value) is read, (status, body)
        x.fail(WRITE, status, headers, body)
        with pytest.raises(ChannelError) as told:
            await client.call("create_tweet", text="hello", final=nothing)
        assert type(told.value) is written, (status, body)
        assert "what" not in str(told.value)
    assert x.sent == []


async def test_a_lost_connection_is_uncertain_only_once_something_left(x: FakeX, client: Client) -> None:
    x.fail(READ, 0)
    x.accept_then_cut(WRITE)
    with pytest.raises(Uncertain):
        await client.call("create_tweet", text="hello", final=nothing)
    assert len(x.sent) == 1
    gone = Client(settings(x, api_url="http://127.0.0.1:9"), Store().house())
    with pytest.raises((Unreachable, Misconfigured)):
        await gone.call("get_me")
    with pytest.raises((Unreachable, Misconfigured)):
        await gone.call("create_tweet", text="hello", final=nothing)
    await gone.close()


async def test_when_the_last_moment_may_not_pass_nothing_leaves(x: FakeX, client: Client) -> None:
    async def taken_over() -> None:
        raise RuntimeError("another worker has it")

    with pytest.raises(RuntimeError):
        await client.call("create_tweet", text="hello", final=taken_over)
    assert x.calls[WRITE] == 0


def test_how_long_a_limit_lasts() -> None:
    now = datetime.fromtimestamp(1_800_000_000, UTC)
    waits = {"1800000030": 30, "1799999000": 1, "4000000000": 86_400, "soon": None, "-5": None, "": None}
    for reset, seconds in waits.items():
        assert limits.patience({"x-rate-limit-reset": reset}, now) == seconds
    assert limits.patience({"retry-after": "7"}, now) == 7
    assert limits.until_next_month(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) == 60


def test_settings_are_whole_or_refused() -> None:
    four = {"consumer_key": "a", "consumer_secret": "b", "access_token": "17-c", "access_token_secret": "d"}
    assert own_id(XConfig.model_validate(four)) == "17"
    assert own_id(XConfig.model_validate({**four, "user_id": "18"})) == "18"
    assert own_id(XConfig.model_validate({**four, "access_token": "strange"})) == ""
    assert origin(XConfig.model_validate(four)) == "https://api.twitter.com"
    two = {"client_id": "a", "refresh_token": "b"}
    assert own_id(XConfig.model_validate(two)) == ""
    refused = [
        {},
        {**four, "access_token_secret": ""},
        {**four, **two},
        {**two, "webhook": True},
        {**four, "user_id": "me"},
        {**four, "api_url": "http://elsewhere.test"},
        {**four, "api_url": "https://elsewhere.test/path"},
        {**two, "oauth_redirect": "https://elsewhere.test:80/"},
        {**four, "post_length": 281},
        {**four, "password": "x"},
    ]
    for given in refused:
        with pytest.raises(ValidationError):
            XConfig.model_validate(given)
