"""The console in a real browser, on a real server: who opens which page, and everything that the browser complained of.

    with opened(folder, browser) as desk:
        mina = desk.visit("/inbox/open", as_="mina", theme="dark", device=PHONE)
        mina.page.get_by_role("option").first.click()
        mina.idle()
        mina.untroubled()

A visitor signs in by the API, once for each person, and brings the cookie along. Pages are judged by what people can
name: roles and names, never classes. With HELPDESK_SHOTS, a folder outside of the repository, `shot` keeps pictures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from helpdesk.api.console import made
from tests.journeys.stack import PATIENCE, Stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

WIDE: Mapping[str, Any] = {"viewport": {"width": 1360, "height": 840}}
PHONE: Mapping[str, Any] = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}
PASSWORD = "a long enough password"
PEOPLE: Mapping[str, tuple[str, str]] = {
    "mina": ("Mina Park", "admin"),
    "sol": ("Sol Reyes", "supervisor"),
    "ben": ("Ben Okafor", "agent"),
    "eva": ("Eva Lin", "agent"),
}
"""Everybody at the desk: name and role. The address is the word, at wallet.example."""

_WATCH = """
addEventListener("securitypolicyviolation", (event) => console.error(
  `policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
addEventListener("unhandledrejection", (event) => console.error(`unhandled: ${event.reason}`));
"""
_FOLLOW = """path => {
  const link = Object.assign(document.createElement("a"), { href: path });
  document.body.append(link); link.click(); link.remove();
}"""
_IDLE = "() => globalThis.helpdeskIdle?.() && !document.querySelector('[aria-busy=true], .skeleton, .spinner')"


def address(person: str) -> str:
    return f"{person}@wallet.example"


@dataclass
class Visit:
    """One page of somebody. `troubles` is all that the browser complained of, `asked` every request but the stream."""

    page: Page
    url: str
    troubles: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def context(self) -> BrowserContext:
        return self.page.context

    def go(self, path: str) -> Visit:
        """By the address bar: everything is loaded anew."""
        self.page.goto(f"{self.url}{path}")
        return self.idle()

    def follow(self, path: str) -> Visit:
        """By a link: nothing is loaded anew. It may not have begun when this returns."""
        self.page.evaluate(_FOLLOW, path)
        return self

    def idle(self) -> Visit:
        """Wait until all that was begun is shown."""
        self.page.wait_for_function(_IDLE)
        return self

    def untroubled(self) -> None:
        assert not self.troubles, "\n".join(self.troubles)

    def forgive(self, *parts: str) -> None:
        """Leave out complaints that were called for, such as a refusal that is part of the story."""
        self.troubles = [one for one in self.troubles if not any(part in one for part in parts)]

    def module(self, path: str | Sequence[str], script: str, argument: Any = None) -> Any:
        """Run `async (exports, argument) => …` with those of the console's modules, as the page itself has them."""
        root = self.page.evaluate(
            "() => document.querySelector('script[src]').getAttribute('src').replace('boot.js', '')"
        )
        places = [made().place(one) for one in ([path] if isinstance(path, str) else path)]
        found = "Object.assign({}, ...await Promise.all(places.map(async ([file, word]) => { "
        found += "const all = await import(file); return word ? all[word] : all; })))"
        return self.page.evaluate(
            f"async ([places, argument]) => ({script})({found}, argument)",
            [[[root + file, word] for file, word in places], argument],
        )

    def faults(self) -> list[str]:
        """What axe-core finds serious or worse, each with where it is."""
        from axe_playwright_python.sync_playwright import Axe

        # The page's policy lets no foreign script in; the browser's own door is not bound by it.
        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    def shot(self, name: str) -> None:
        folder = os.environ.get("HELPDESK_SHOTS")
        if folder:
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"))


class Desk:
    """A running installation with people in it, and a browser."""

    def __init__(self, stack: Stack, browser: Browser) -> None:
        self.stack, self._browser = stack, browser
        self._cookies: dict[str, str] = {}
        self._languages: dict[str, str] = {}
        self.ids: dict[str, str] = {"mina": stack.agent_id}
        self.inbox_id = ""

    def fill(self) -> None:
        """An inbox that takes mail at the door, and colleagues who work in it."""
        for person, (name, role) in PEOPLE.items():
            if person not in self.ids:
                body = {"email": address(person), "name": name, "role": role, "password": PASSWORD}
                self.ids[person] = self.made("/agents", body)["id"]
        team = self.made("/teams", {"name": "First line", "member_ids": list(self.ids.values())})
        settings = {"address": "support@wallet.example", "receive": "smtp"}
        inbox = {"channel": "email", "name": "Support", "settings": settings, "team_id": team["id"]}
        self.inbox_id = self.made("/inboxes", inbox)["id"]

    def made(self, path: str, body: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        """What the API makes of it, as the administrator."""
        answer = self.stack.http.post(path, json=body, headers=headers)
        assert answer.status_code in (200, 201, 202), answer.text
        found: dict[str, Any] = answer.json()
        return found

    def cookie(self, person: str) -> str:
        if person not in self._cookies:
            with httpx.Client(base_url=self.stack.url, timeout=PATIENCE, trust_env=False) as http:
                body = {"email": address(person), "password": PASSWORD}
                answer = http.post("/api/v1/auth/login", json=body, headers={"Origin": self.stack.url})
                assert answer.status_code == 200, answer.text
                self._cookies[person] = answer.cookies["helpdesk"]
        return self._cookies[person]

    def _speak(self, person: str, language: str) -> None:
        path = f"/agents/{self.ids[person]}"
        etag = self.stack.http.get(path).headers["ETag"]
        changed = self.stack.http.patch(path, json={"locale": language}, headers={"If-Match": etag})
        assert changed.status_code == 200, changed.text
        self._languages[person] = language

    def browser(
        self,
        *,
        as_: str = "mina",
        device: Mapping[str, Any] = WIDE,
        theme: str = "light",
        language: str = "en",
    ) -> BrowserContext:
        """Somebody's own browser, with nothing in it but his session."""
        looks: Mapping[str, Any] = {"reduced_motion": "reduce", "color_scheme": theme, **device}
        context = self._browser.new_context(**looks, locale=language, timezone_id="Asia/Taipei")
        context.add_init_script(_WATCH)
        if as_:
            # The page need not be loaded anew to speak the account's language
            context.add_init_script(f"localStorage['helpdesk.language'] ??= {language!r}")
            context.add_cookies([{"name": "helpdesk", "value": self.cookie(as_), "url": self.stack.url}])
        return context

    def visit(
        self,
        path: str,
        *,
        as_: str = "mina",
        device: Mapping[str, Any] = WIDE,
        theme: str = "light",
        language: str = "en",
        context: BrowserContext | None = None,
    ) -> Visit:
        """Open a page; without `as_` as a stranger. A `context` is another tab of a browser that is open already."""
        if as_ and language != self._languages.get(as_, "en"):
            self._speak(as_, language)
        context = context or self.browser(as_=as_, device=device, theme=theme, language=language)
        page = context.new_page()
        page.set_default_timeout(40_000)
        visit = Visit(page, self.stack.url)
        page.on("pageerror", lambda error: visit.troubles.append(str(error)))
        page.on("console", lambda told: visit.troubles.append(told.text) if told.type == "error" else None)
        page.on("request", lambda request: visit.asked.append(request.url.removeprefix(self.stack.url)))
        return visit.go(path)


def furnished(stack: Stack, browser: Browser) -> Desk:
    """Start an installation that nothing is in yet, with everybody in it."""
    name, role = PEOPLE["mina"]
    person = ("--email", address("mina"), "--name", name, "--role", role, "--password-stdin")
    stack.agent_id = stack.tell("agent", "create", *person, given=PASSWORD)
    stack.token = stack.tell("token", "create", "--agent", address("mina"), "--name", "tests")
    stack.http.headers["Authorization"] = f"Bearer {stack.token}"
    stack.start()
    desk = Desk(stack, browser)
    desk.fill()
    return desk


@contextmanager
def opened(folder: Path, browser: Browser) -> Iterator[Desk]:
    """`helpdesk up` with everybody in it."""
    with Stack(folder) as stack:
        yield furnished(stack, browser)
