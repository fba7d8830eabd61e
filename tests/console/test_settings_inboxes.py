"""The settings by their frame, and the inboxes in it: made, tried, paused, changed by two at once, taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.console.browser import PHONE, Desk
from tests.journeys.stack import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGES = ("canned", "macros", "views", "tags", "categories", "fields")


def saved(page: Page) -> None:
    """What was sent is stored, and the word of it taken away again."""
    page.get_by_text("Saved.", exact=True).wait_for()
    page.get_by_role("status").get_by_role("button", name="Close").first.click()


def send(page: Page, word: str) -> None:
    page.get_by_role("button", name=word, exact=True).click()


def greets(page: Page, words: str) -> None:
    page.wait_for_function("words => document.querySelector('[name=\"settings.greeting\"]').value === words", arg=words)


def changed(desk: Desk, path: str, **body: Any) -> None:
    """By somebody else, meanwhile."""
    etag = desk.stack.http.get(path).headers["ETag"]
    answer = desk.stack.http.patch(path, json=body, headers={"If-Match": etag})
    assert answer.status_code == 200, answer.text


def test_an_inbox_is_made_after_its_channel_was_chosen_tried_and_paused(desk: Desk) -> None:
    mina = desk.visit("/settings/inboxes")
    page = mina.page
    page.get_by_role("link", name="New inbox").click()
    page.get_by_role("link", name="E-mail").click()
    page.get_by_label("How mail comes in").select_option("imap")
    send(page, "Create")
    assert page.evaluate("document.activeElement.name") == "name"
    assert page.get_by_text("Please fill this in.").count() == 2
    page.get_by_label("Name", exact=True).fill("Complaints")
    page.get_by_label("Support address").fill("complaints@wallet.example")
    page.get_by_label("User name", exact=True).fill("complaints")
    send(page, "Create")
    # The API says it of the settings as a whole; it stands at the one that is meant.
    page.get_by_label("Server", exact=True).and_(page.locator(":focus")).wait_for()
    page.get_by_label("Server", exact=True).fill(f"imap://127.0.0.1:{free_port()}")
    page.get_by_label("Password", exact=True).fill("secret")
    send(page, "Check now")
    page.get_by_text("Not everything works yet.").wait_for()
    assert page.get_by_label("Server: encryption").input_value() == "imap", "an address that was pasted is taken apart"
    page.get_by_label("Server", exact=True).fill("")
    page.get_by_label("How mail comes in").select_option("smtp")
    send(page, "Create")
    saved(page)
    page.get_by_text("Everything works.").wait_for()
    row = page.get_by_role("link", name="Complaints")
    assert row.get_attribute("aria-current") == "true"
    send(page, "Pause")
    page.get_by_role("button", name="Resume").wait_for()
    row.get_by_text("Paused").wait_for()
    assert mina.idle().faults() == []
    made = next(one for one in desk.stack.every("/inboxes") if one["name"] == "Complaints")
    assert (made["state"], made["settings"]["receive"], made["secrets"]) == ("paused", "smtp", ["imap_password"])

    # What is stored is never shown; left empty it stays.
    page.get_by_label("Name of the sender").fill("Wallet support")
    send(page, "Save")
    saved(page)
    kept = desk.stack.get(f"/inboxes/{made['id']}")
    assert (kept["settings"]["display_name"], kept["secrets"]) == ("Wallet support", ["imap_password"])

    send(page, "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    row.wait_for(state="detached")
    assert page.url.endswith("/settings/inboxes")
    mina.forgive("422 (Unprocessable")
    mina.untroubled()


def test_what_two_change_at_once_both_stand_or_one_is_chosen(desk: Desk) -> None:
    inbox = desk.made("/inboxes", {"channel": "chat", "name": "Site", "settings": {"greeting": "Hi"}})["id"]
    mina = desk.visit(f"/settings/inboxes/{inbox}")
    page = mina.page
    changed(desk, f"/inboxes/{inbox}", settings={"greeting": "Welcome"})
    page.get_by_label("Name", exact=True).first.fill("Our site")
    send(page, "Save")
    page.get_by_text("Both changes stand.").wait_for()
    page.get_by_role("heading", name="Our site", exact=True).wait_for()
    greets(page, "Welcome")

    changed(desk, f"/inboxes/{inbox}", settings={"greeting": "Good day"})
    page.get_by_label("Greeting, English").fill("Hello")
    send(page, "Save")
    page.get_by_role("alert").get_by_text("Greeting, English").wait_for()
    assert mina.faults() == []
    send(page, "Take theirs")
    greets(page, "Good day")

    page.get_by_label("Greeting, English").fill("Never saved")
    page.get_by_role("link", name="Tags", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert page.get_by_label("Greeting, English").input_value() == "Never saved"
    page.get_by_role("link", name="Tags", exact=True).click()
    send(page, "Leave")
    page.get_by_role("heading", name="Tags", level=1).wait_for()
    mina.forgive("412 (Precondition Failed)")
    mina.untroubled()


def test_words_actions_and_filters_are_kept_as_they_were_put_together(desk: Desk) -> None:
    mina = desk.visit("/settings/canned/new")
    page = mina.page
    page.get_by_label("Title").fill("Ask for the network")
    page.get_by_label("Shortcut", exact=True).fill("network")
    page.get_by_label("English").fill("Hello ")
    send(page, "Customer's first name")
    page.get_by_label("For whom").select_option(label="Everybody")
    send(page, "Create")
    saved(page)
    canned = desk.stack.every("/canned-responses")[0]
    assert (canned["texts"], canned["shared"]) == ({"en": "Hello {{contact.first_name}}"}, "everybody")

    for path, name in (("macros", "Done"), ("views", "All of it")):
        mina.go(f"/settings/{path}/new")
        page.get_by_label("Name").fill(name)
        send(page, "Create")
        saved(page)
        page.get_by_role("heading", name=name).wait_for()
    assert desk.stack.every("/macros")[0]["actions"] == [{"do": "status", "to": "resolved", "snooze_seconds": None}]

    mina.go("/settings/fields/new")
    page.get_by_label("Name").fill("Network")
    page.get_by_label("Key").fill("network")
    page.get_by_label("Kind").select_option(label="One of several")
    page.get_by_label("What can be chosen").fill("TRC20\n\n ERC20 ")
    send(page, "Create")
    saved(page)
    assert desk.stack.every("/custom-fields")[0]["options"] == ["TRC20", "ERC20"]

    mina.go("/settings/categories/new")
    page.get_by_label("Key").fill("bridge")
    for language in ("English", "简体中文", "繁體中文"):
        page.get_by_label(language).fill("Bridge")
    send(page, "Create")
    saved(page)
    page.get_by_role("link", name="Bridge").wait_for()
    mina.untroubled()


def test_whoever_may_only_look_sees_all_of_it_on_a_phone(desk: Desk) -> None:
    desk.made("/tags", {"name": "x" * 60})
    ben = desk.visit("/settings", as_="ben", language="zh-CN", theme="dark", device=PHONE)
    for path in PAGES:
        ben.page.locator(f'a[href="/settings/{path}"]').first.click()
        ben.idle()
        assert ben.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        ben.page.locator("a.settings-up").click()
    assert ben.page.locator('a[href="/settings/inboxes"]').count() == 0
    ben.page.locator('a[href="/settings/tags"]').first.click()
    ben.page.get_by_role("link", name="x" * 60).click()
    assert ben.page.get_by_label("名称").is_disabled()
    assert ben.idle().faults() == []
    ben.untroubled()
