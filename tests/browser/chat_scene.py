"""A website with the chat on it, in a real browser, and an agent who answers by the API: both against a real server.

    with chromium() as browser, scene(folder) as desk:
        visit = desk.visit(browser)
        visit.open(); visit.begin(email="mei@customer.example"); visit.say("Hello")
        desk.answer(desk.conversation(), "Hello, Mei")
        visit.sees("Hello, Mei")

The website is of another origin than the desk, and as strict as a website can be: a policy that allows nothing but the
desk's module and connections, and Trusted Types, so that markup out of a string would be an error.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import OctKey

from tests.house import read
from tests.journeys.stack import Stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page

DESKTOP: Mapping[str, Any] = {"viewport": {"width": 1100, "height": 760}}
PHONE: Mapping[str, Any] = {"viewport": {"width": 390, "height": 760}, "has_touch": True, "is_mobile": True}
MAIL = "mei@customer.example"


@dataclass
class Visit:
    """One page of the website. `troubles` is all that the browser complained of."""

    page: Page
    troubles: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def context(self) -> BrowserContext:
        return self.page.context

    @property
    def panel(self) -> Locator:
        return self.page.locator(".panel")

    @property
    def writing(self) -> Locator:
        return self.page.locator(".compose textarea")

    @property
    def bubbles(self) -> Sequence[str]:
        return self.page.locator(".log .bubble").all_inner_texts()

    def complain(self, told: ConsoleMessage) -> None:
        self.troubles.append(f"{told.text} {told.location['url']}")

    def open(self) -> Visit:
        self.page.locator(".launcher").click()
        self.panel.wait_for()
        return self

    def begin(self, **given: str) -> Visit:
        """Fill in the form before the first message."""
        for name, value in {"email": MAIL, **given}.items():
            self.page.locator(f".prechat [name={name}]").fill(value)
        self.page.locator(".prechat .primary").click()
        self.writing.wait_for()
        return self

    def say(self, text: str, *, kept: bool = True) -> None:
        """Write and press Enter; `kept`: wait until the desk has it."""
        before = self.page.locator(".log .mine").count()
        self.writing.fill(text)
        self.writing.press("Enter")
        self.page.locator(".log .mine").nth(before).wait_for()
        if kept:
            self.page.locator(".mine[data-state=waiting]").first.wait_for(state="detached")

    def sees(self, text: str) -> None:
        self.page.locator(".log .bubble", has_text=text).last.wait_for()

    def reload(self) -> None:
        self.page.reload()
        self.page.locator(".launcher").wait_for()


class Website:
    """A site of one page, on loopback like the desk: a browser lets no page from elsewhere connect there."""

    def __init__(self) -> None:
        self.language, self.body, self.desk, self.inbox_id = "en", "", "", ""
        self.module = "widget.js"
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = site.page().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Security-Policy", site.policy())
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def widget(self) -> str:
        return f"{self.desk}/channels/chat/{self.module}?inbox={self.inbox_id}"

    def page(self) -> str:
        return (
            f'<!doctype html><html lang="{self.language}"><head><title>Harbor Wallet</title>'
            '<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width"></head>'
            f'<body>{self.body}<script type="module" src="{self.widget}"></script></body></html>'
        )

    def policy(self) -> str:
        """As little as the chat can do with. The icon is the page's own, lest the browser ask for one."""
        sockets = self.desk.replace("http", "ws")
        allowed = f"script-src {self.desk}; connect-src {self.desk} {sockets}; img-src data:"
        return f"default-src 'none'; {allowed}; require-trusted-types-for 'script'"


@dataclass
class Scene:
    """A running desk with a chat inbox, and the address of a website that may embed it."""

    stack: Stack
    website: Website
    inbox_id: str
    secret: str
    talked: set[str] = field(default_factory=set)

    def visit(
        self,
        browser: Browser,
        *,
        context: BrowserContext | None = None,
        language: str = "en",
        device: Mapping[str, Any] = DESKTOP,
        body: str = "<main><h1>Harbor Wallet</h1></main>",
        before: str = "",
        before_load: Callable[[Page], None] = lambda page: None,
    ) -> Visit:
        """Come to the website. `before` runs in the page before anything else, `before_load` here."""
        made = context or browser.new_context(
            **device,
            reduced_motion="reduce",
            locale="en",
            timezone_id="Asia/Taipei",
        )
        page = made.new_page()
        page.set_default_timeout(40_000)
        visit = Visit(page)
        page.on("pageerror", lambda error: visit.troubles.append(str(error)))
        page.on("console", lambda told: visit.complain(told) if told.type == "error" else None)
        page.on("request", lambda request: visit.asked.append(request.url))
        if before:
            page.add_init_script(before)
        before_load(page)
        self.website.body, self.website.language = body, language
        page.goto(f"{self.website.origin}/")
        page.locator(".launcher").wait_for()
        return visit

    # -- the agent --

    def conversation(self) -> str:
        """The id of the one that is new since this was last asked."""

        def look() -> list[str]:
            found = [one["id"] for one in self.stack.conversations(inbox_id=self.inbox_id)]
            return [one for one in found if one not in self.talked]

        new = self.stack.until("a new conversation", look)
        self.talked.update(new)
        return max(new)

    def answer(self, conversation_id: str, text: str, **more: Any) -> None:
        self.stack.reply(conversation_id, text, key=str(uuid4()), **more)

    def heard(self, conversation_id: str, count: int) -> list[dict[str, Any]]:
        """What the visitor has said there, once there are so many."""

        def look() -> list[dict[str, Any]] | None:
            found = [one for one in self.stack.messages(conversation_id) if one["type"] == "incoming"]
            return found if len(found) >= count else None

        return self.stack.until(f"{count} messages of the visitor", look)

    def present(self, conversation_id: str) -> None:
        """Wait until the desk knows that its visitor is there: only then is he asked for a rating where he is."""
        path = f"/conversations/{conversation_id}"
        self.stack.until("the visitor is there", lambda: self.stack.get(path)["contact_presence"]["online"])

    def said(self, conversation_id: str) -> list[str]:
        """What both have said there, as the desk has it."""
        found = [one for one in self.stack.messages(conversation_id) if one["type"] != "activity"]
        return [one["text"] for one in found if not one["private"]]

    def vouched(self, subject: str) -> str:
        """What the website's own server would sign for its user."""
        claims = {"aud": self.inbox_id, "sub": subject, "jti": uuid4().hex, "exp": int(time.time()) + 600}
        return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(self.secret), algorithms=["HS256"])

    def code(self, address: str) -> str:
        """The code in the newest letter to this address."""

        def look() -> str | None:
            for path in sorted(self.stack.outgoing.glob("*.eml"), key=lambda one: one.stat().st_mtime, reverse=True):
                letter = read(path.read_bytes())
                if address in str(letter["To"]):
                    body = letter.get_body(("plain",))
                    found = re.search(r"\b\d{6}\b", body.get_content() if body else "")
                    return found[0] if found else None
            return None

        return self.stack.until("a letter with a code", look)


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    secret = "a secret of the website, long enough"
    with Stack(folder, HELPDESK_DEMO_PAGE="true") as stack, Website() as website:
        stack.set_up()
        stack.start()
        stack.post_inbox("Mail", address="help@wallet.example", receive="smtp")
        settings = {"origins": website.origin, "identity_secret": secret, "prechat": "name, email*, category"}
        inbox = {"channel": "chat", "name": "Website", "settings": settings, "rating": "on"}
        made = stack.http.post("/inboxes", json=inbox)
        assert made.status_code == 201, made.text
        website.desk, website.inbox_id = stack.url, made.json()["id"]
        yield Scene(stack, website, website.inbox_id, secret)
