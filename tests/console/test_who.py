"""Several people at one browser, and what strangers write into an address: nobody is given what is another's."""

from __future__ import annotations

import pytest

from tests.console.browser import PASSWORD, Desk, Visit, address
from tests.console.test_timeline import post

ONLY_MINA = "private@wallet.example"
STORED = "async (store, id) => store.conversation(id).peek()?.subject ?? null"


def sign_in(visit: Visit, person: str) -> None:
    visit.page.get_by_label("E-mail address").fill(address(person))
    visit.page.get_by_label("Password").fill(PASSWORD)
    visit.page.get_by_role("button", name="Sign in").click()


@pytest.fixture(scope="module")
def secret(desk: Desk) -> str:
    """A conversation that mina may see and eva may not."""
    team = desk.made("/teams", {"name": "Board", "member_ids": [desk.ids["mina"]]})
    settings = {"address": ONLY_MINA, "receive": "smtp"}
    desk.made("/inboxes", {"channel": "email", "name": "Private", "settings": settings, "team_id": team["id"]})
    post(desk, "Merger", "At forty-two", to=ONLY_MINA)
    found: str = desk.stack.conversation("Merger")["id"]
    return found


def test_whoever_signs_in_after_another_finds_nothing_of_his(desk: Desk, secret: str) -> None:
    tab = desk.visit(f"/conversations/{secret}")
    tab.page.get_by_role("log").get_by_text("At forty-two").wait_for()
    assert tab.module("kernel/store.js", STORED, secret) == "Merger"
    tab.context.clear_cookies()
    # Whether it has been noticed by itself or not
    tab.page.evaluate("() => { const a = document.createElement('a'); a.href = '/contacts'; "
                      "document.body.append(a); a.click(); }")  # fmt: skip
    tab.page.wait_for_url("**/login?next=*")
    sign_in(tab, "eva")
    tab.page.get_by_role("button", name="Your account: Eva Lin").wait_for()
    assert tab.module("kernel/store.js", STORED, secret) is None


def test_another_person_in_one_tab_is_another_in_all(desk: Desk, secret: str) -> None:
    post(desk, "Common", "Where is it?")
    common = desk.stack.conversation("Common")["id"]
    first = desk.visit(f"/conversations/{common}")
    first.page.get_by_label("Your message").fill("Words of Mina")
    body = {"email": address("eva"), "password": PASSWORD}
    second = desk.visit("/search", context=first.context)
    second.page.evaluate("body => fetch('/api/v1/auth/login', {method: 'POST', body: JSON.stringify(body), "
                         "headers: {'Content-Type': 'application/json'}})", body)  # fmt: skip
    second.go("/search")
    second.page.get_by_role("button", name="Your account: Eva Lin").wait_for()
    first.page.get_by_role("button", name="Your account: Eva Lin").wait_for()
    first.idle()
    assert first.page.get_by_label("Your message").input_value() == ""
    drafts = "() => fetch('/api/v1/drafts').then((found) => found.json()).then(({items}) => items.length)"
    assert first.page.evaluate(drafts) == 0


def test_signing_out_is_signing_out_everywhere(desk: Desk) -> None:
    first = desk.visit("/login", as_="")
    sign_in(first, "ben")
    first.page.get_by_role("button", name="Your account: Ben Okafor").wait_for()
    second = desk.visit("/settings/account", as_="", context=first.context)
    first.page.get_by_role("button", name="Your account: Ben Okafor").click()
    first.page.get_by_role("menuitem", name="Sign out").click()
    second.page.wait_for_url("**/login?next=*", timeout=3_000)


def test_an_address_leads_nowhere_else_and_says_nothing_of_its_own(desk: Desk) -> None:
    mina = desk.visit("/inbox")
    asked: list[str] = []
    mina.page.on("request", lambda request: asked.append(request.url))
    for there in ("/%09/evil.example/phish", "//evil.example/"):
        mina.page.goto(f"{mina.url}/login?next={there}")
        mina.page.wait_for_function("() => !location.pathname.startsWith('/login')", timeout=5_000)
        mina.idle()
    assert not [one for one in asked if one.startswith(("http://evil", "https://evil"))]
    stranger = desk.visit("/#sso=Locked:_call_+1-555-0100", as_="")
    assert "555" not in stranger.page.get_by_role("alert").first.inner_text()
    for broken in ("/#invitation=%E0%A4%A", "/inbox/%E0%A4%A"):
        visit = desk.visit(broken)
        assert "%E0" not in visit.page.evaluate("location.hash")
        visit.forgive("422 (Unprocessable")
        visit.untroubled()


def test_what_is_written_is_on_the_server_when_one_signs_out_and_not_in_the_browser(desk: Desk, secret: str) -> None:
    post(desk, "On a shared computer", "Where is it?")
    asked = desk.stack.conversation("On a shared computer")["id"]
    tab = desk.visit("/login", as_="")
    sign_in(tab, "sol")
    tab.page.get_by_role("button", name="Your account: Sol Reyes").wait_for()
    tab.go(f"/conversations/{asked}")
    tab.page.get_by_label("Your message").fill("The customer's passport is lost")
    tab.page.get_by_role("button", name="Your account: Sol Reyes").click()
    tab.page.get_by_role("menuitem", name="Sign out").click()
    tab.page.wait_for_url("**/login")
    assert "passport" not in tab.page.evaluate("() => JSON.stringify(localStorage)")
    sign_in(tab, "sol")
    tab.page.get_by_role("button", name="Your account: Sol Reyes").wait_for()
    kept = "() => fetch('/api/v1/drafts').then((found) => found.json()).then(({items}) => items[0].content.text)"
    assert tab.page.evaluate(kept) == "The customer's passport is lost"
