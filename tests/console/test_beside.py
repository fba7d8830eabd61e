"""Beside a conversation: who writes, what was promised and why it stands so, and what is known; and the contacts."""

from __future__ import annotations

import re
import smtplib
from email.message import EmailMessage
from typing import Any

from tests.console.browser import PHONE, Desk

LONG = "A question whose subject does not end before the edge of the pane is reached"


def post(desk: Desk, subject: str, text: str, sender: str = "Mei Lin <mei@customer.example>") -> dict[str, Any]:
    """A customer's mail, filed when this returns."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = sender, "support@wallet.example", subject
    letter["Message-ID"] = f"<{subject.encode().hex()}@customer.example>"
    letter.set_content(text)
    with smtplib.SMTP("127.0.0.1", desk.stack.door) as door:
        door.send_message(letter)
    return desk.stack.conversation(subject)


def change(desk: Desk, path: str, **body: Any) -> None:
    """What a colleague changes meanwhile."""

    def changed() -> bool:
        etag = desk.stack.http.get(path).headers["ETag"]
        return desk.stack.http.patch(path, json=body, headers={"If-Match": etag}).status_code == 200

    desk.stack.until("changed by a colleague", changed)


def test_the_pane_says_who_writes_and_why_and_changes_what_is_known(desk: Desk) -> None:
    field = {"subject": "conversation", "type": "text"}
    desk.made("/custom-fields", {**field, "key": "order", "title": "Order"})
    desk.made("/custom-fields", {**field, "key": "explorer", "title": "Explorer", "type": "url"})
    desk.made("/custom-fields", {**field, "key": "lost", "title": "Lost money", "type": "boolean"})
    field = {"subject": "contact", "type": "multi_choice"}
    likes = {**field, "key": "likes", "title": "Likes", "options": ["Cards", "Loans"]}
    desk.made("/custom-fields", likes)
    post(desk, LONG, "Hello")
    found = post(desk, "Withdrawal stuck", "My withdrawal is pending since yesterday.")
    path = f"/conversations/{found['id']}"
    mina = desk.visit(f"/inbox/all/{found['id']}", device={"viewport": {"width": 1440, "height": 900}})
    pane = mina.page.get_by_role("complementary", name="Contact and details")
    pane.get_by_role("link", name="Mei Lin").wait_for()
    pane.get_by_role("link", name=re.compile(LONG)).wait_for()

    clock = pane.get_by_role("region", name="First response")
    clock.get_by_role("button", name="Why?").click()
    clock.get_by_text("around the clock, by “E-mail” (version 1).").wait_for()
    clock.get_by_text("Counted").first.wait_for()
    assert mina.faults() == []

    pane.get_by_text("was read from: ").wait_for()
    pane.get_by_label("Category").select_option(label="Account")
    pane.get_by_text("Corrected by an agent").wait_for()

    order = pane.get_by_label("Order")
    order.fill("A-1")
    change(desk, path, custom_fields={"lost": True})  # another field: both stand
    pane.get_by_label("Lost money").locator("option:checked", has_text="Yes").wait_for(state="attached")
    order.press("Enter")
    both = {"order": "A-1", "lost": True}
    desk.stack.until("kept", lambda: desk.stack.http.get(path).json()["custom_fields"] == both)
    order.fill("A-2")
    change(desk, path, custom_fields={"order": "B-9"})  # the same field: one is asked
    order.press("Enter")
    dialog = mina.page.get_by_role("dialog", name="Somebody changed this too")
    dialog.get_by_text("Order is now: B-9.").wait_for()
    dialog.get_by_role("button", name="Cancel").click()
    mina.idle()
    assert order.input_value() == "B-9"

    pane.get_by_label("Explorer").fill("not an address")
    pane.get_by_label("Explorer").press("Enter")
    pane.get_by_text("This is not accepted.").wait_for()
    pane.get_by_label("Explorer").press("Escape")
    assert pane.get_by_label("Explorer").input_value() == ""
    likes_group = pane.get_by_role("group", name="Likes")
    likes_group.locator("summary").click()
    likes_group.get_by_label("Loans").check()
    likes_group.locator("summary").get_by_text("Loans").wait_for()
    pane.get_by_role("button", name="Let somebody watch").click()
    mina.page.get_by_role("option", name="Eva Lin").click()
    pane.get_by_role("button", name="Remove Eva Lin").wait_for()
    change(desk, path, tags=["vip"])  # what happens is followed
    pane.get_by_role("link", name="vip").wait_for()
    assert mina.faults() == []
    mina.shot("beside")
    mina.forgive("412 (Precondition Failed)", "404 (Not Found)")  # somebody was faster; there is no draft yet
    mina.untroubled()


def test_a_contact_is_found_renamed_blocked_and_merged_with_himself(desk: Desk) -> None:
    post(desk, "A card", "Where is my card?", "Noor Haddad <noor@customer.example>")
    post(desk, "The same card", "Still no card", "noor.h@work.example")
    post(desk, "Another card", "And mine?", "mei@customer.example")
    sol = desk.visit("/contacts", as_="sol")
    page = sol.page
    page.get_by_role("searchbox").fill("nobody at all")
    page.get_by_text("Nobody found").wait_for()
    page.get_by_role("searchbox").fill("noor.h@work.example")
    page.get_by_role("link", name="noor.h@work.example").click()
    page.get_by_role("link", name="The same card").wait_for()
    page.get_by_label("Name", exact=True).fill("N. Haddad")
    page.get_by_label("Name", exact=True).press("Enter")
    page.get_by_role("heading", name="N. Haddad").wait_for()
    assert sol.idle().faults() == []

    page.get_by_role("button", name="More for this contact").click()
    page.get_by_role("menuitem", name="Block", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Block").click()
    page.get_by_role("article").get_by_text("Blocked").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("article").get_by_text("Blocked").wait_for(state="detached")

    page.get_by_role("button", name="More for this contact").click()
    page.get_by_role("menuitem", name="Merge with another contact").click()
    page.get_by_role("combobox", name="Find the other contact").fill("Noor")
    page.get_by_role("option", name="Noor Haddad").click()
    page.get_by_text("N. Haddad becomes part of Noor Haddad.").wait_for()
    page.get_by_role("button", name="Merge", exact=True).click()
    page.get_by_role("heading", name="Noor Haddad").wait_for()
    page.get_by_role("article").get_by_text("noor.h@work.example").wait_for()
    page.get_by_role("link", name="The same card").wait_for()
    page.get_by_role("button", name="Add an address").click()
    dialog = page.get_by_role("dialog")
    address = dialog.get_by_label("Address or handle")
    for typed, said in (("nowhere", "give one address"), ("mei@customer.example", "Another contact has this already.")):
        address.fill(typed)
        address.press("Enter")
        dialog.get_by_text(said).wait_for()
    assert sol.idle().faults() == []
    sol.shot("identity")
    address.fill("Noor@Home.example")
    address.press("Enter")
    dialog.wait_for(state="detached")
    added = page.get_by_role("listitem").filter(has_text="noor@home.example")
    assert added.get_by_text("Verified").count() == 0
    added.get_by_role("button", name="Remove noor@home.example").click()
    dialog.get_by_role("button", name="Remove", exact=True).click()
    added.wait_for(state="detached")
    page.get_by_role("button", name="Undo").last.click()
    added.wait_for()
    sol.shot("contact")
    sol.forgive("422", "409")
    sol.untroubled()


def test_on_a_phone_the_pane_lies_over_the_conversation(desk: Desk) -> None:
    found = post(desk, "From a phone", "Hello")
    eva = desk.visit(f"/inbox/all/{found['id']}", as_="eva", device=PHONE, theme="dark")
    page = eva.page
    assert not any("/sla" in one for one in eva.asked), "a pane that nobody sees asks nothing"
    page.get_by_role("heading", name="From a phone").wait_for()
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Contact and details").click()
    drawer = page.get_by_role("dialog", name="Contact and details")
    drawer.get_by_role("button", name="Why?").click()
    assert eva.idle().faults() == []
    eva.shot("phone")
    drawer.get_by_role("link", name="Mei Lin").click()
    page.get_by_role("heading", name="Mei Lin").wait_for()
    assert not page.get_by_role("dialog").count()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    eva.forgive("404 (Not Found)")  # there is no draft yet
    eva.untroubled()
