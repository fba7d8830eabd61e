"""The widget and the demo page as they are served, and an inbox of the chat on the command line."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import StringIO

import httpx
import pytest

from connectors.chat.pages import PLACE
from connectors.chat.static import FOLDER
from helpdesk.app import create_app
from helpdesk.commands import demo, inboxes
from helpdesk.errors import Invalid
from helpdesk.services.house import Services
from tests.chat.wire import inbox
from tests.conftest import BASE_URL, ON_ONE_DATABASE


@ON_ONE_DATABASE
@pytest.mark.parametrize(("name", "most"), [("widget.js", 30_000), ("feedback.js", 10_000)])
async def test_widget_and_form_are_small_modules_that_any_site_may_load_and_keep_for_a_while(
    name: str, most: int, client: httpx.AsyncClient
) -> None:
    address = f"/channels/chat/{name}"
    answer = await client.get(f"{address}?inbox=x&v=3", headers={"Origin": "https://any.example"})
    assert (answer.status_code, answer.content) == (200, (FOLDER / name).read_bytes())
    headers = answer.headers
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"].startswith("public, max-age=300")
    assert headers["content-encoding"] == "gzip"
    assert int(headers["content-length"]) <= most
    again = await client.get(address, headers={"If-None-Match": headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", headers["etag"])
    plain = await client.get(address, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content
    assert (await client.get("/channels/chat/demo.html")).status_code == 404
    assert (await client.get("/channels/chat/..%2fconfig.py")).status_code == 404


@ON_ONE_DATABASE
async def test_the_demo_page_embeds_the_oldest_inbox_under_the_strictest_policy(
    client: httpx.AsyncClient, services: Services
) -> None:
    assert (await client.get("/demo")).status_code == 404
    app = create_app(services)
    first, second = await inbox(services), await inbox(services)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL) as fresh:
        answer = await fresh.get("/demo?lang=zh-TW")
    assert answer.status_code == 200
    assert f'src="/channels/chat/widget.js?inbox={first}"' in answer.text
    assert str(second) not in answer.text
    assert PLACE not in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|style=", answer.text)


@ON_ONE_DATABASE
@pytest.mark.parametrize(("asked", "status"), [(False, 404), (True, 200)])
async def test_in_production_the_demo_page_is_shown_when_asked_for(
    asked: bool, status: int, services: Services
) -> None:
    settings = services.settings.model_copy(update={"env": "production", "demo_page": asked})
    house = replace(services, settings=settings)
    await inbox(house)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(house)), base_url=BASE_URL) as client:
        assert (await client.get("/demo")).status_code == status


@ON_ONE_DATABASE
async def test_the_demo_has_a_chat_and_says_where(services: Services) -> None:
    for _ in range(2):
        lines = await demo.prepare(services, services.settings)
        assert f"demo: chat at {BASE_URL}/demo" in lines
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(services)), base_url=BASE_URL) as client:
        found = re.search(r"widget\.js\?inbox=([0-9a-f-]{36})", (await client.get("/demo")).text)
        assert found is not None
        config = (await client.get(f"/channels/chat/{found[1]}/config")).json()
    assert [field["name"] for field in config["prechat"]] == ["name", "email", "category"]
    assert config["continued"] is True


@ON_ONE_DATABASE
async def test_an_inbox_of_the_chat_is_added_shown_and_checked_as_on_the_command_line(services: Services) -> None:
    settings = services.settings
    assert {"origins", "identity_secret", "prechat"} <= json.loads(inboxes.schema("chat"))["properties"].keys()
    given = ["origins=https://wallet.example", "prechat=name*,category"]
    read = inboxes.read_settings(given, "identity_secret", StringIO("s" * 40 + "\n"))
    (inbox_id,) = await inboxes.add(settings, channel="chat", name="Website", given=read)
    lines, well = await inboxes.check(settings, inbox_id, send=False)
    assert (lines, well) == (
        ["ok   origins: 1 origin may embed it", "ok   identity: signed by the host site (HS256)"],
        True,
    )
    with pytest.raises(Invalid, match=r"settings\.origins: leave out what follows the host"):
        await inboxes.add(settings, channel="chat", name="Website", given={"origins": "https://wallet.example/"})
    assert "s" * 40 not in str(await inboxes.listing(settings))
    with pytest.raises(Invalid, match="username: what follows @ is a file, which cannot be read"):
        inboxes.read_settings(["username=@desk"], None, StringIO())
