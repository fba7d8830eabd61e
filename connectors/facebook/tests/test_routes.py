"""Webhooks: signed over the bytes, handed out by account, and taken only when they are stored."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from connectors.facebook.config import InstagramConfig, MetaConfig
from connectors.facebook.parse import page
from connectors.facebook.routes import MAX_BODY, routes
from connectors.facebook.tests.fake import INSTAGRAM, PAGE, SECRET, TOKEN, VERIFY
from connectors.facebook.tests.signed import post, signature, webhook, written
from helpdesk.channels import InboundMessage, InboxView, RawInbound
from helpdesk.errors import NotFound

OTHER_PAGE = "200"


class Stored:
    """A `WebhookHost` that keeps what it is given by inbox and position, unless it is `down`."""

    base_url = "https://desk.test"

    def __init__(self, *views: InboxView) -> None:
        self.views = {view.inbox_id: view for view in views}
        self.items: dict[UUID, dict[str, RawInbound]] = {view.inbox_id: {} for view in views}
        self.strangers: list[str] = []
        self.commits = 0
        self.down = False

    async def inbox(self, inbox_id: UUID) -> InboxView:
        if inbox_id not in self.views:
            raise NotFound
        return self.views[inbox_id]

    async def inboxes(self) -> Sequence[InboxView]:
        return list(self.views.values())

    async def accept(self, inbox_id: UUID, batch: Sequence[RawInbound]) -> int:
        if self.down:
            raise OSError("the database is away")
        self.commits += 1
        known = self.items[inbox_id]
        new = [raw for raw in batch if raw.position not in known]
        known.update({raw.position: raw for raw in new})
        return len(new)

    async def unknown_account(self, inbox_id: UUID, account: str) -> None:
        self.strangers.append(account)


def _view(channel: str = "facebook", *, active: bool = True, **given: str) -> InboxView:
    secrets = {"page_token": TOKEN, "app_secret": SECRET, "verify_token": VERIFY}
    model = MetaConfig if channel == "facebook" else InstagramConfig
    return InboxView(uuid4(), model.model_validate({"page_id": PAGE, **secrets, **given}), channel, active=active)


@pytest.fixture
def own() -> InboxView:
    return _view(instagram_id=INSTAGRAM)


@pytest.fixture
def host(own: InboxView) -> Stored:
    return Stored(own, _view(page_id=OTHER_PAGE, active=False), _view(page_id="300", app_secret="another"))


@pytest.fixture
async def client(host: Stored) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(routes(host), prefix="/channels/facebook")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://desk.test") as opened:
        yield opened


def _said(text: str, mid: str, *, sender: str = "7001", account: str = PAGE) -> dict[str, object]:
    people = {"sender": {"id": sender}, "recipient": {"id": account}}
    return {**people, "timestamp": 1_795_000_000_000, "message": {"mid": mid, "text": text}}


def _texts(host: Stored, inbox: InboxView) -> list[str]:
    found = [page(raw, inbox.config.model_dump()) for raw in host.items[inbox.inbox_id].values()]
    return [one.text for one in found if isinstance(one, InboundMessage)]


async def test_the_address_proves_itself_to_the_vendor(client: httpx.AsyncClient, own: InboxView) -> None:
    path = f"/channels/facebook/{own.inbox_id}/webhook"
    asked = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "1158201444"}
    answer = await client.get(path, params=asked)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    wrong = [
        {"hub.verify_token": "x"},
        {"hub.verify_token": ""},
        {"hub.verify_token": "\u00e4"},
        {"hub.mode": "delete"},
    ]
    statuses = [(await client.get(path, params=asked | one)).status_code for one in wrong]
    assert statuses == [403, 403, 403, 400]
    assert (await client.get(f"/channels/facebook/{uuid4()}/webhook", params=asked)).status_code == 404


@pytest.mark.parametrize("escaped", [True, False])
async def test_the_signature_is_over_the_bytes_as_they_came(
    client: httpx.AsyncClient, host: Stored, own: InboxView, escaped: bool
) -> None:
    payload = webhook("page", PAGE, messaging=[_said("Où est mon argent? 钱在哪里 😀 a/b", "m1")])
    answer = await post(client, own.inbox_id, payload, secret=SECRET, escaped=escaped)
    assert answer.status_code == 200
    assert _texts(host, own) == ["Où est mon argent? 钱在哪里 😀 a/b"]


async def test_what_is_not_signed_is_refused(client: httpx.AsyncClient, host: Stored, own: InboxView) -> None:
    path = f"/channels/facebook/{own.inbox_id}/webhook"
    body = written(webhook("page", PAGE, messaging=[_said("Hello", "m1")]))
    good = signature(SECRET, body)
    refused = [
        ({}, 401),
        ({"X-Hub-Signature": "sha1=0000"}, 401),
        ({"X-Hub-Signature-256": ""}, 401),
        ({"X-Hub-Signature-256": good.removeprefix("sha256=")}, 403),
        ({"X-Hub-Signature-256": signature("another", body)}, 403),
        ({"X-Hub-Signature-256": signature(SECRET, body + b" ")}, 403),
        ({"X-Hub-Signature-256": "sha256=\u00e4".encode()}, 403),
    ]
    for headers, status in refused:
        assert (await client.post(path, content=body, headers=headers)).status_code == status
    assert (await client.post(f"/channels/facebook/{uuid4()}/webhook", content=body)).status_code == 404
    large = b" " * (MAX_BODY + 1)
    assert (await client.post(path, content=large, headers={"X-Hub-Signature-256": good})).status_code == 413
    assert host.commits == 0


async def test_nothing_is_said_to_be_taken_before_it_is_stored(
    client: httpx.AsyncClient, host: Stored, own: InboxView
) -> None:
    payload = webhook("page", PAGE, messaging=[_said("Hello", "m1"), _said("Anybody?", "m2")])
    host.down = True
    assert (await post(client, own.inbox_id, payload, secret=SECRET)).status_code == 503
    host.down = False
    for _ in range(2):
        assert (await post(client, own.inbox_id, payload, secret=SECRET)).status_code == 200
    assert _texts(host, own) == ["Hello", "Anybody?"]


async def test_an_apps_events_go_to_the_inboxes_of_their_accounts(
    client: httpx.AsyncClient, host: Stored, own: InboxView
) -> None:
    _, paused, foreign = host.views.values()
    entries = [
        webhook("page", account, messaging=[_said(f"for {account}", f"m{account}", account=account)])["entry"][0]
        for account in (PAGE, OTHER_PAGE, "300", "400", "0")
    ]
    answer = await post(client, own.inbox_id, {"object": "page", "entry": entries}, secret=SECRET)
    assert answer.status_code == 200
    # Another app's inbox gets nothing by this app's signature. What nobody has is kept where it came in, and told.
    assert set(host.items[own.inbox_id]) == {f"m;m{PAGE}", "m;m300", "m;m400", "m;m0"}
    assert _texts(host, own) == [f"for {PAGE}"]
    assert _texts(host, paused) == [f"for {OTHER_PAGE}"]
    assert host.items[foreign.inbox_id] == {}
    assert host.strangers == ["300", "400"]


async def test_an_account_with_an_inbox_of_its_own_is_not_in_its_pages_too(
    client: httpx.AsyncClient, host: Stored, own: InboxView
) -> None:
    payload = webhook("instagram", INSTAGRAM, messaging=[_said("Hi", "m1", account=INSTAGRAM)])
    await post(client, own.inbox_id, payload, secret=SECRET)
    assert _texts(host, own) == ["Hi"]
    alone = _view("instagram", instagram_id=INSTAGRAM)
    host.views[alone.inbox_id], host.items[alone.inbox_id] = alone, {}
    payload = webhook("instagram", INSTAGRAM, messaging=[_said("Hi again", "m2", account=INSTAGRAM)])
    await post(client, own.inbox_id, payload, secret=SECRET)
    assert list(host.items[alone.inbox_id]) == ["m;m2"]
    assert _texts(host, own) == ["Hi"]


async def test_doubled_and_shuffled_batches_store_each_event_once(
    client: httpx.AsyncClient, host: Stored, own: InboxView
) -> None:
    events = [_said(f"line {n}", f"m{n}", sender=str(n % 3)) for n in range(20)]
    marks = [
        {"sender": {"id": "1"}, "recipient": {"id": PAGE}, "read": {"watermark": 1_795_000_000_000 + n}}
        for n in range(3)
    ]
    shuffled = random.Random(7)
    for _ in range(6):
        batch = shuffled.sample([*events, *marks], 14)
        payload = webhook("page", PAGE, time=shuffled.randrange(10**12), messaging=[*batch, batch[0]])
        assert (await post(client, own.inbox_id, payload, secret=SECRET)).status_code == 200
    await post(client, own.inbox_id, webhook("page", PAGE, messaging=[*events, *marks]), secret=SECRET)
    assert sorted(_texts(host, own)) == sorted(f"line {n}" for n in range(20))
    assert len(host.items[own.inbox_id]) == 23


@pytest.mark.parametrize(
    "payload",
    [
        [],
        {"object": "page"},
        {"object": "page", "entry": []},
        {"object": "page", "entry": [17]},
        {"object": "page", "entry": [{"id": PAGE, "messaging": [None, 3]}]},
        {"object": "page", "entry": [{"id": 1.5, "messaging": "x"}]},
        {"object": "permissions", "entry": [{"id": "17", "changed_fields": ["email"]}]},
        {"object": "page", "entry": [{"id": PAGE, "changes": [{"field": "leadgen", "value": {}}]}]},
    ],
    ids=json.dumps,
)
async def test_odd_payloads_are_kept(client: httpx.AsyncClient, host: Stored, own: InboxView, payload: object) -> None:
    assert (await post(client, own.inbox_id, payload, secret=SECRET)).status_code == 200
    kept = host.items[own.inbox_id]
    assert kept
    assert all(position.startswith("e;") for position in kept)
    assert _texts(host, own) == []
    assert host.strangers == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"entry": 1e999, "a": "\\ud83d"}'])
async def test_signed_bytes_that_are_no_json_are_kept_too(
    client: httpx.AsyncClient, host: Stored, own: InboxView, body: bytes
) -> None:
    headers = {"X-Hub-Signature-256": signature(SECRET, body)}
    answer = await client.post(f"/channels/facebook/{own.inbox_id}/webhook", content=body, headers=headers)
    assert answer.status_code == 200
    assert len(host.items[own.inbox_id]) == 1
