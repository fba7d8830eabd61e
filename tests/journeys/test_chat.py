"""A visit from the first word to the answer by mail: a browser on somebody else's site, a real fleet, real mail."""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.bench import chromium, require_browser
from tests.journeys.gate import Gate
from tests.journeys.mails import ATTACHMENT, answer
from tests.journeys.moving import Clock
from tests.journeys.sink import Sink, read
from tests.journeys.stack import Stack
from tests.peers.loopback import Loopback
from tests.peers.redis import Redis

if TYPE_CHECKING:
    from playwright.sync_api import Page

ANN = "ann@customer.example"
AWAY_SECONDS = 30.0
WHILE_AWAY = ("The network is busy today.", "Your transfer is in block 912345.", "It needs two more blocks.")
NOTE = "Between us: she is a large customer."
AFTERWARDS = "It has arrived: please look again."


class Site(Loopback):
    """The host's page, which has the one line."""

    line = ""

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        body = f"<!doctype html><html lang=en><title>Wallet</title><h1>Wallet</h1>{self.line}</html>".encode()
        request.send_response(200)
        request.send_header("Content-Type", "text/html; charset=utf-8")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


@dataclass
class House:
    """A fleet with a chat on somebody else's site, which goes on by the mail of `desk@wallet.example`."""

    stack: Stack
    site: Site
    gate: Gate
    clock: Clock
    sink: Sink


@pytest.fixture
def house(new_database: Any, redis: Redis, sink: Sink, tmp_path: Path) -> Iterator[House]:
    require_browser()
    clock = Clock(tmp_path / "offset", begin=datetime.now(UTC))
    given = {"database_url": new_database(), "redis_url": redis.url, "HELPDESK_CLOCK_FILE": str(clock.path)}
    with Site() as site, Stack(tmp_path, **given) as stack:
        stack.set_up()
        stack.start()
        stack.post_inbox(
            "Mail",
            address="desk@wallet.example",
            receive="smtp",
            smtp_url=sink.url,
            reply_address="desk+{token}@wallet.example",
        )
        settings = {"origins": [site.origin], "prechat": ["name*", "email", "account"]}
        chat = stack.http.post("/inboxes", json={"channel": "chat", "name": "Website", "settings": settings})
        assert chat.status_code == 201, chat.text
        with Gate(stack.port) as gate:
            url = f"http://127.0.0.1:{gate.port}/channels/chat/widget.js?inbox={chat.json()['id']}"
            site.line = f'<script type="module" src="{url}"></script>'
            yield House(stack, site, gate, clock, sink)


def test_a_visit_loses_its_connection_goes_on_by_mail_and_comes_back_as_one_conversation(house: House) -> None:
    stack = house.stack
    with chromium() as browser:
        context = browser.new_context(locale="en-GB", viewport={"width": 1000, "height": 800})
        page = context.new_page()
        page.goto(house.site.origin)
        _begin(page)
        conversation = _wait_for_ann(stack)
        _talk(stack, page, conversation)
        _upload(stack, page, conversation)
        _prove_address(house, page)
        _lose_the_network(house, page, conversation)
        page.close()
        letter = _mailed(house, conversation)
        _answer_by_mail(house, letter)
        again = context.new_page()
        again.goto(house.site.origin)
        again.get_by_role("button", name=re.compile("^Open chat")).click()
        log = again.get_by_role("log")
        log.get_by_text("Now I see it, thank you!").wait_for()
        _compare(stack, conversation, log.inner_text())
        context.close()
    assert len(stack.conversations()) == 1
    assert all("Traceback" not in process.said() for process in stack.processes.values()), stack.logs()


def _begin(page: Page) -> None:
    """The form, and the first message."""
    page.get_by_role("button", name="Open chat").click()
    page.get_by_label("Your name").fill("Ann")
    page.get_by_label("Account name").fill("ann-7")
    page.get_by_role("button", name="Start chat").click()
    _say(page, "Where is my transfer?")


def _say(page: Page, text: str) -> None:
    page.get_by_label("Write a message").fill(text)
    page.get_by_label("Write a message").press("Enter")


def _wait_for_ann(stack: Stack) -> str:
    (found,) = stack.until("the agent sees who is there", lambda: stack.conversations(status="open"))
    assert found["contact"]["name"] == "Ann"
    assert found["channel"] == "chat"
    stack.change(found["id"], assignee_id=stack.agent_id)
    return str(found["id"])


def _talk(stack: Stack, page: Page, conversation: str) -> None:
    log = page.get_by_role("log")
    stack.reply(conversation, NOTE, key="note", private=True)
    stack.reply(conversation, "Hello Ann, which network was it?", key="hello")
    log.get_by_text("Hello Ann, which network was it?").wait_for()
    _say(page, "TRC20, an hour ago.")
    stack.until("the agent reads it", lambda: "TRC20, an hour ago." in _texts(stack, conversation))


def _texts(stack: Stack, conversation: str) -> list[str]:
    return [one["text"] for one in stack.messages(conversation)]


def _upload(stack: Stack, page: Page, conversation: str) -> None:
    files = [{"name": "screen.png", "mimeType": "image/png", "buffer": ATTACHMENT}]
    page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]
    page.get_by_text("screen.png").first.wait_for()
    page.locator(".submit[aria-disabled=false]").wait_for()  # until then it is still on its way
    _say(page, "This is what I see.")

    def look() -> list[dict[str, Any]]:
        return [file for one in stack.messages(conversation) for file in one["attachments"]]

    (file,) = stack.until("the agent has the screenshot", look)
    assert file["filename"] == "screen.png"
    assert stack.http.get(f"/attachments/{file['id']}").content == ATTACHMENT


def _prove_address(house: House, page: Page) -> None:
    """The address is his once he has read what was sent there."""
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Transcript by e-mail").click()  # asks for an address first
    page.get_by_label("E-mail address").fill(ANN)
    page.get_by_role("button", name="Send code").click()
    (found,) = house.stack.until("the code is mailed", lambda: house.sink.to(ANN))
    code = re.search(r"\b\d{6}\b", _body(read(found.body)))
    assert code is not None
    page.get_by_label("6-digit code").fill(code[0])
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("6-digit code").wait_for(state="detached")
    house.sink.forget()


def _body(found: EmailMessage) -> str:
    part = found.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def _lose_the_network(house: House, page: Page, conversation: str) -> None:
    """Half a minute in a lift, in which both sides write."""
    stack, log = house.stack, page.get_by_role("log")
    house.gate.shut()
    begun = time.monotonic()
    for number, text in enumerate(WHILE_AWAY):
        stack.reply(conversation, text, key=f"away{number}")
    _say(page, "Are you still there?")
    time.sleep(max(0.0, begun + AWAY_SECONDS - time.monotonic()))
    assert log.get_by_text(WHILE_AWAY[0]).count() == 0
    house.gate.open()
    log.get_by_text(WHILE_AWAY[-1]).wait_for(timeout=60_000)
    stack.until("what he wrote meanwhile is there", lambda: "Are you still there?" in _texts(stack, conversation))
    _compare(stack, conversation, log.inner_text())


def _mailed(house: House, conversation: str) -> EmailMessage:
    """He has gone; what is answered then reaches him by mail, ten minutes later and once."""
    stack = house.stack
    stack.reply(conversation, AFTERWARDS, key="afterwards")
    time.sleep(2.0)
    assert house.sink.to(ANN) == [], "he may come back"
    house.clock.move(house.clock.now + timedelta(minutes=11))
    (found,) = stack.until("the answer is mailed", lambda: house.sink.to(ANN))
    letter = read(found.body)
    assert AFTERWARDS in _body(letter)
    assert WHILE_AWAY[0] not in _body(letter), "he has read that"
    assert NOTE not in letter.as_string()
    return letter


def _answer_by_mail(house: House, letter: EmailMessage) -> None:
    reply = answer(letter, "Now I see it, thank you!", sender=f"Ann <{ANN}>")
    with smtplib.SMTP("127.0.0.1", house.stack.door, timeout=10) as client:
        client.send_message(reply)


def _compare(stack: Stack, conversation: str, shown: str) -> None:
    """Everything that both said is shown, once, in the order in which it was said; and no note."""
    said = [one for one in stack.messages(conversation) if not one["private"] and one["author"]["kind"] != "system"]
    texts = [(one["new_text"] or one["text"]).strip() for one in said]
    places = [shown.find(text) for text in texts]
    assert -1 not in places, (texts, shown)
    assert places == sorted(places), shown
    assert all(shown.count(text) == 1 for text in texts), shown
    assert NOTE not in shown
