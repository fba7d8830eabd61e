"""A webhook is registered with the vendor, who asks whether we are there, and polling goes on beneath."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.x import crc, webhooks
from connectors.x.client import Client
from connectors.x.config import XConfig
from connectors.x.tests.desk import Host, Store, connector, polling
from connectors.x.tests.fake import FakeX
from helpdesk.channels import Misconfigured
from helpdesk.db import new_id
from tests.peers.loopback import Loopback


class Door(Loopback):
    """The house, as the vendor sees it from outside: whoever asks at any address is answered, unless it is `shut`."""

    def __init__(self, secret: str) -> None:
        super().__init__()
        self.secret, self.shut, self.asked = secret, False, 0

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        (challenge,) = parse_qs(urlsplit(request.path).query)["crc_token"]
        body = json.dumps({"response_token": crc.answer(self.secret, challenge)}).encode()
        request.send_response(503 if self.shut else 200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


@pytest.fixture
def x() -> Iterator[FakeX]:
    with FakeX() as fake:
        yield fake


@pytest.fixture
def door(x: FakeX) -> Iterator[Door]:
    with Door(x.tokens.oauth1["consumer_secret"]) as made:
        yield made


@pytest.fixture
async def client(x: FakeX) -> AsyncIterator[Client]:
    made = Client(XConfig(**x.tokens.oauth1, api_url=x.origin), Store().house())
    yield made
    await made.close()


async def test_a_webhook_is_registered_once(x: FakeX, door: Door, client: Client) -> None:
    inbox_id = new_id()
    for _ in range(2):
        await webhooks.ensure(client, door.origin, inbox_id)
    (known,) = x.webhooks.values()
    assert known["url"] == f"{door.origin}/channels/x/{inbox_id}/webhook"
    assert x.subscribed == {known["id"]}
    assert (x.calls["POST /2/webhooks"], x.calls["GET /2/webhooks"], door.asked) == (1, 2, 1)
    # An app may have a single one, which does for another inbox.
    await webhooks.ensure(client, door.origin, new_id())
    assert list(x.webhooks.values()) == [known]


async def test_one_that_failed_for_long_is_tried_again(x: FakeX, door: Door, client: Client) -> None:
    inbox_id = new_id()
    await webhooks.ensure(client, door.origin, inbox_id)
    (known,) = x.webhooks.values()
    known["valid"] = False
    await webhooks.ensure(client, door.origin, inbox_id)
    assert known["valid"]


async def test_who_is_not_reached_from_outside_is_told_so(x: FakeX, door: Door, client: Client) -> None:
    door.shut = True
    with pytest.raises(Misconfigured, match="HELPDESK_BASE_URL"):
        await webhooks.ensure(client, door.origin, new_id())
    assert x.webhooks == {}


async def test_polling_goes_on_where_no_webhook_can_be_had(x: FakeX, door: Door) -> None:
    x.fail("GET /2/webhooks", 403, body=b'{"title": "Forbidden", "reason": "client-not-enrolled"}', times=2)
    x.mention("ann", "@desk hello")
    host = Host()
    async with polling(x, host, webhook=True):
        await host.until(lambda: len(host.items) == 1)
    assert host.errors == []
    desk = connector(x, webhook=True)
    checks = {check.name: check for check in await desk.check()}
    assert (checks["mentions"].ok, checks["webhook"].ok) == (True, False)
    assert checks["webhook"].detail.endswith("what it would bring is polled")
    await desk.close()
