"""The page on which a conversation goes on that came from elsewhere: what it holds, and what it lets nobody do."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from connectors.chat.handoff import page
from helpdesk.live import Opened, Visitor

INBOX = UUID(int=7)
WORDS: Any = {"language": "en", "title": "Open <now>", "text": "A & B", "style": "p{margin:0}"}


def opened(handle: str) -> Opened:
    visitor = Visitor(UUID(int=1), INBOX, UUID(int=2), handle, True, "", "en", None)
    return Opened("the token", visitor, 0, datetime(2026, 5, 4, tzinfo=UTC))


def held(document: str) -> Any:
    (found,) = re.findall(r'<script type="application/json" id="handoff">(.*?)</script>', document)
    return json.loads(found)


def test_the_session_is_where_the_widget_looks_for_it() -> None:
    document, _ = page(opened("visitor-1"), inbox_id=INBOX, **WORDS)
    told = held(document)
    assert told["inbox"] == str(INBOX)
    assert (told["session"]["token"], told["session"]["visitor"]["id"]) == ("the token", "visitor-1")
    assert told["session"]["expires_at"] == "2026-05-04T00:00:00Z"


def test_whoever_comes_again_is_handed_no_session() -> None:
    document, _ = page(None, inbox_id=INBOX, **WORDS)
    assert held(document)["session"] is None
    assert "the token" not in document


def test_the_widget_does_not_cover_what_the_page_says() -> None:
    document, headers = page(None, inbox_id=INBOX, **WORDS)
    (style,) = re.findall(r"<style>(.*?)</style>", document)
    assert "padding-right:26rem" in style
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in headers["Content-Security-Policy"]


def test_nothing_that_is_shown_ends_an_element() -> None:
    document, headers = page(opened("</script><script>alert(1)//<!--"), inbox_id=INBOX, **WORDS)
    assert held(document)["session"]["visitor"]["id"] == "</script><script>alert(1)//<!--"
    assert document.count("</script>") == 2
    assert "<h1>Open &lt;now&gt;</h1><p>A &amp; B</p>" in document
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; " in policy
    assert "unsafe" not in policy
