"""The widget in Chromium, on a website of another origin, against a real desk with an agent who uses the API."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import connectors.chat
from tests.browser.bench import chromium, require_browser
from tests.browser.chat_scene import PHONE, Scene, scene

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ASSETS = Path(connectors.chat.__file__).parent / "assets"
PAINTED = "canvas.picture"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require_browser()
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("widget")) as made:
        yield made


def test_it_is_one_module_of_at_most_thirty_kilobytes() -> None:
    widget = (ASSETS / "widget.js").read_bytes()
    assert len(gzip.compress(widget, 9)) <= 30_000
    assert b"\nimport " not in widget


def test_a_conversation_goes_both_ways_on_another_site(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.say("My transfer is still pending")
    found = desk.conversation()
    desk.answer(found, "Which network was it on?")
    visit.sees("Which network was it on?")
    visit.say("On the main one")
    assert [one["text"] for one in desk.heard(found, 2)] == ["My transfer is still pending", "On the main one"]
    assert visit.bubbles == ["My transfer is still pending", "Which network was it on?", "On the main one"]
    assert not visit.troubles
    visit.context.close()


def test_a_note_is_never_seen(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.say("Hello there")
    found = desk.conversation()
    desk.answer(found, "He sounds upset", private=True)
    desk.answer(found, "Good morning")
    visit.sees("Good morning")
    visit.reload()
    visit.open().sees("Good morning")
    assert visit.bubbles == ["Hello there", "Good morning"]
    visit.context.close()
