"""Whom the page of a handed-over conversation opens the chat for, in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import connectors.chat
from connectors.chat.handoff import page
from helpdesk.live import Opened, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Route

ORIGIN = "https://desk.example"
INBOX = UUID(int=7)
SCRIPT = (Path(connectors.chat.__file__).parent / "assets" / "handoff.js").read_text(encoding="utf-8")
WIDGET = "window.helpdesk = {chat: {open() { document.body.dataset.open = 1 }}}; document.body.dataset.ready = 1"


def is_open(context: BrowserContext, opened: Opened | None) -> bool:
    """Whether the widget was opened on the page, which is loaded with the policy that it is served with."""
    words: Any = {"language": "en", "title": "Used", "text": "Write to us", "style": "p{margin:0}"}
    document, headers = page(opened, inbox_id=INBOX, **words)

    def serve(route: Route) -> None:
        script = SCRIPT if "handoff.js" in route.request.url else WIDGET
        if route.request.resource_type == "document":
            route.fulfill(body=document, headers={**headers, "Content-Type": "text/html; charset=utf-8"})
        else:
            route.fulfill(body=script, content_type="text/javascript")

    shown = context.new_page()
    shown.route("**/*", serve)
    shown.goto(f"{ORIGIN}/h/link")
    shown.locator("body[data-ready]").wait_for()
    return bool(shown.evaluate("new Promise(done => setTimeout(() => done(document.body.dataset.open === '1')))"))


def test_only_who_has_the_session_here_finds_the_chat_open(browser: Browser) -> None:
    visitor = Visitor(UUID(int=1), INBOX, UUID(int=2), "visitor-1", True, "", "en", None)
    customer, stranger = browser.new_context(), browser.new_context()
    assert is_open(customer, Opened("the token", visitor, 0, datetime(2030, 5, 4, tzinfo=UTC)))
    assert is_open(customer, None), "he comes again"
    assert not is_open(stranger, None), "the chat would cover that the link was used"
    customer.close()
    stranger.close()
