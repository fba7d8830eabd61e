"""Posts and messages to one alone, in the console: who will read an answer is seen, chosen, and never mistaken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from connectors.facebook.tests import signed
from connectors.facebook.tests.fake import PAGE, SECRET, TOKEN, VERIFY, FakeGraph
from connectors.telegram.tests import fake
from connectors.telegram.tests.fake import FakeBots
from connectors.x.tests.fake import FakeX
from tests.browser.bench import chromium, require_browser
from tests.console.browser import Desk, Visit, furnished
from tests.console.test_composer import holds, text
from tests.journeys.moving import Clock
from tests.journeys.stack import Stack

WALLET = "0x52908400098527886E0F7030069857D2E4169EE7"
ANN, MEI = "3383290475046708", "3383290475046709"


@dataclass
class Vendors:
    """The other side of three channels, and our inboxes for them."""

    desk: Desk
    x: FakeX
    graph: FakeGraph
    bots: FakeBots
    page_id: str = ""

    def add(self) -> None:
        page = {"page_token": TOKEN, "app_secret": SECRET, "verify_token": VERIFY, "page_id": PAGE}
        self._inbox("x", "Wallet on X", self.x.origin, **self.x.tokens.oauth1, username="desk", poll_seconds=1)
        self._inbox("telegram", "Bot", self.bots.origin, bot_token=fake.TOKEN, username=fake.USERNAME)
        self.page_id = self._inbox("facebook", "Page", self.graph.origin, **page)

    def _inbox(self, channel: str, name: str, there: str, **settings: Any) -> str:
        given = {"channel": channel, "name": name, "settings": {**settings, "api_url": there}}
        return str(self.desk.made("/inboxes", given)["id"])

    def tell(self, **lists: list[Any]) -> None:
        body = signed.written(signed.webhook("page", PAGE, time=1_795_000_000_000, **lists))
        headers = {"X-Hub-Signature-256": signed.signature(SECRET, body)}
        url = f"{self.desk.stack.url}/channels/facebook/{self.page_id}/webhook"
        assert httpx.post(url, content=body, headers=headers, trust_env=False).status_code == 200

    def ask(self) -> dict[str, str]:
        """Four people write: the ids of their conversations, by their first word."""
        self.x.mention("ann", "@desk where is my withdrawal?")
        self.tell(changes=[self.graph.comments(self.graph.posts("A new version"), ANN, "Scam! Where is it?")])
        self.tell(messaging=[self.graph.writes(MEI, "Hello, a question")])
        self.bots.say("Anybody there?", date=int(datetime.now(UTC).timestamp()))
        stack = self.desk.stack
        stack.until("all have written", lambda: len(stack.conversations()) == 4)
        return {one["preview"].split()[0]: one["id"] for one in stack.conversations()}


def public_is_guarded_and_cut(mina: Visit, vendors: Vendors) -> None:
    page, line = mina.page, mina.page.get_by_role("log")
    page.get_by_role("button", name="Public", pressed=True).wait_for()
    assert page.get_by_text("where is my withdrawal?").count() == 2, "in the list and in the line: the post is it"
    text(mina).fill(f"We sent it to {WALLET}.")
    told = page.get_by_role("alert").filter(has_text="contains personal data")
    told.get_by_role("button", name=WALLET).wait_for()  # while it is written
    page.keyboard.press("Control+Enter")
    told.get_by_role("button", name="Answer directly instead").wait_for()
    told.get_by_role("button", name="Take it out").click()
    holds(mina, "We sent it to ….")
    told.wait_for(state="detached")
    page.get_by_text(" of 280").wait_for()

    text(mina).fill("We are sorry. " * 30)
    page.get_by_text("2 posts").click()
    posts = page.locator(".composer-count").get_by_role("listitem")
    assert [one.split()[-3:] for one in posts.all_inner_texts()] == [["269", "of", "280"], ["157", "of", "280"]]
    mina.shot("social-posts")
    assert mina.faults() == []
    text(mina).press("Control+Enter")
    holds(mina, "")
    line.get_by_text("2/2").wait_for()
    vendors.desk.stack.until("both are posted", lambda: len(vendors.x.sent) == 2)
    page.wait_for_function("() => document.querySelectorAll('.delivery')[1]?.innerText.includes('Sent')")


def a_comment_is_hidden_and_answered_once_alone(mina: Visit, vendors: Vendors) -> None:
    page, line = mina.page, mina.page.get_by_role("log")
    line.get_by_role("link", name="Open the post").wait_for()
    for entry, now in (("Hide it from the public", True), ("Show it to the public again", False)):
        page.get_by_role("button", name="Actions for this message").click()
        page.get_by_role("menuitem", name=entry).click()
        line.get_by_text("Hidden", exact=True).wait_for(state="visible" if now else "detached")
        assert [one.hidden for one in vendors.graph.things.values() if one.author == ANN] == [now]
    line.get_by_text("Hidden from the public, or shown again").wait_for()

    page.get_by_role("button", name="Direct").click()
    text(mina).fill(f"It went to {WALLET}.")
    page.keyboard.press("Control+Enter")

    line.get_by_text("Direct", exact=True).wait_for()
    vendors.desk.stack.until("it has arrived", lambda: vendors.graph.said == [f"It went to {WALLET}."])
    # A second one is not possible, and what was meant for one alone does not go to everybody.
    over = page.get_by_text("A direct answer is not possible now.")
    over.wait_for()
    text(mina).fill("And one more thing")
    assert page.get_by_role("button", name="Send", exact=True).is_disabled()
    mina.shot("social-direct-over")
    page.get_by_role("button", name="Answer in public").click()
    over.wait_for(state="detached")
    page.get_by_text("Everybody can read it").wait_for()
    text(mina).press("Control+Enter")
    vendors.desk.stack.until("it is posted", lambda: vendors.graph.answers == ["And one more thing"])


def test_who_reads_an_answer_is_seen_and_chosen(tmp_path: Path) -> None:
    require_browser()
    clock = Clock(tmp_path / "offset", begin=datetime.now(UTC))
    opened = Stack(tmp_path, HELPDESK_CLOCK_FILE=str(clock.path))
    with FakeX() as x, FakeGraph() as graph, FakeBots() as bots, chromium() as browser, opened as stack:
        desk = furnished(stack, browser)
        vendors = Vendors(desk, x, graph, bots)
        vendors.add()
        places = vendors.ask()
        mina = desk.visit(f"/inbox/open/{places['@desk']}")
        page = mina.page
        public_is_guarded_and_cut(mina, vendors)
        page.get_by_role("option", name="Scam! Where is it?").click()
        a_comment_is_hidden_and_answered_once_alone(mina, vendors)

        page.get_by_role("option", name="Anybody there?").click()
        page.get_by_text("Telegram by Bot").wait_for()
        assert page.get_by_role("button", name="Direct").count() == 0, "nobody else could read it"
        text(mina).fill("Yes.")
        page.keyboard.press("Control+Enter")
        stack.until("it is said", lambda: [one.text for one in bots.sent] == ["Yes."])
        page.get_by_role("log").get_by_text("Sent", exact=True).wait_for()

        page.get_by_role("option", name="Hello, a question").click()
        page.get_by_text("time left to answer").wait_for()
        clock.move(clock.now + timedelta(hours=25))
        mina.forgive("422 (Unprocessable")  # the guard
        mina.untroubled()
        # Sessions are over by then as well: she who comes in now has begun a new one.
        sol = desk.visit(f"/conversations/{places['Hello,']}", as_="sol")
        sol.page.get_by_text("The time to answer here is over.").wait_for()
        text(sol).fill("Too late")
        assert sol.page.get_by_role("button", name="Send", exact=True).is_disabled()
        sol.shot("social-over")
        sol.untroubled()
