"""How the console is served: which addresses there are, what may be kept, and what the page may do."""

from __future__ import annotations

import gzip
import re

import httpx

from helpdesk.api.console import FOLDER, POLICY, Console, routes
from helpdesk.services.house import Services
from tests import factories


async def test_the_page_is_at_each_address_of_the_list_and_at_no_other(client: httpx.AsyncClient) -> None:
    for path in routes():
        there = re.sub(r":\w+", "0", path)
        answer = await client.get(there)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8"), there
        assert answer.headers["cache-control"] == "no-store"
    for path in ("/inboxes", "/inbox/", "/settings/a/b/c", "/console", "/console/", "/console/0/boot.js", "/boot.js"):
        assert (await client.get(path)).status_code == 404, path
    assert (await client.post("/inbox")).status_code == 405
    for path, kind in {
        "/nothing": "text/html",
        "/inboxes": "text/html",
        "/api/nothing": "json",
        "/h/x/y": "json",
    }.items():
        answer = await client.get(path, headers={"Accept": "text/html,*/*"})
        assert (answer.status_code, kind in answer.headers["content-type"]) == (404, True), path


async def test_what_the_page_names_is_there_for_good_and_packed(client: httpx.AsyncClient) -> None:
    page = (await client.get("/inbox")).text
    named = re.findall(r'(?:href|src)="(/console/[^"]+)"', page)
    # All at once: a browser fetches six at a time.
    first = ["boot.js", "base.css", "session/session.css", "shell/shell.js", "session/session.js", "icon.svg"]
    assert [one.split("/", 3)[3] for one in named] == first
    for address in named:
        answer = await client.get(address, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200, address
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "gzip"
    plain = await client.get(named[0], headers={"Accept-Encoding": "identity"})
    assert plain.content == gzip.decompress(Console().files["boot.js"].packed)


async def test_nothing_may_run_but_our_modules(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert "require-trusted-types-for 'script'" in POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", answer.text)


async def test_a_stranger_is_told_to_fetch_the_login_and_an_agent_his_area(
    client: httpx.AsyncClient, services: Services
) -> None:
    await factories.agent(services)
    stranger = (await client.get("/board")).text
    agent = (await client.get("/board", headers={"Cookie": "helpdesk=x"})).text
    assert "/session/session.js" in stranger
    assert "/board/board.js" not in stranger
    assert "/board/board.js" in agent
    assert (" data-session" in stranger, " data-session" in agent) == (False, True)


def test_every_area_has_its_module_its_style_and_its_texts() -> None:
    for area in set(routes().values()):
        for path in (f"{area}/{area}.js", f"{area}/{area}.css", f"text/en/{area}.json"):
            assert (FOLDER / path).is_file(), path


def test_what_a_module_imports_is_there() -> None:
    for path in FOLDER.rglob("*.js"):
        for name in re.findall(r'(?:from |import\()"(\.[^"]+)"', path.read_text("utf-8")):
            assert (path.parent / name).is_file(), f"{path.relative_to(FOLDER)}: {name}"
