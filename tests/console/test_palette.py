"""Finding: by the palette what can be done and gone to, by the search what was said."""

from __future__ import annotations

import pytest

from tests.console.browser import Desk


@pytest.fixture(scope="module")
def found(desk: Desk) -> str:
    """Three conversations of one contact, known to the search; the id of the first one."""
    contact = {"handle": "priya@customer.example", "name": "Priya Raghunathan"}
    texts = {
        "Ledger is empty": "My zephyr is gone",
        "提现没有到账": "订单 88213 的 zephyr",
        "Old matter": "Nothing of it",
    }
    made = [
        desk.made("/conversations", {"inbox_id": desk.inbox_id, "contact": contact, "subject": subject, "text": text})
        for subject, text in texts.items()
    ]
    desk.stack.until("the search knows them", lambda: len(desk.stack.get("/search", q="zephyr")["items"]) >= 2 or None)
    return str(made[0]["id"])


def test_the_palette_finds_commands_conversations_and_people(desk: Desk, found: str) -> None:
    mina = desk.visit("/inbox")
    page = mina.page
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="All commands")
    box.wait_for()
    page.keyboard.type("go to unass")  # the focus is there by itself; all words count, in any order
    page.get_by_role("option", name="Unassigned").wait_for()
    assert mina.faults() == []
    page.keyboard.press("Enter")
    page.wait_for_url("**/inbox/unassigned")
    page.keyboard.press("Control+k")
    assert page.get_by_role("option").filter(has_text="Unassigned").first.get_attribute("aria-selected") == "true"
    box.fill("priya")
    page.get_by_role("option", name="Priya Raghunathan Contact").wait_for()
    box.fill("提现")
    page.get_by_role("option", name="提现没有到账").last.wait_for()
    box.fill("zzqqzz")
    page.get_by_role("dialog").get_by_text("Nothing found").wait_for()
    box.fill("ledger")
    page.get_by_role("dialog").get_by_role("option", name="Ledger is empty").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Ledger is empty").wait_for()
    assert page.url.endswith(f"/conversations/{found}")
    mina.untroubled()


def test_what_was_found_is_marked_and_walked_through_by_the_arrows(desk: Desk, found: str) -> None:
    mina = desk.visit("/search")
    page = mina.page
    page.get_by_text("#123 finds a conversation by its number.").wait_for()
    page.keyboard.type("zephyr")
    page.get_by_text("2 found").wait_for()
    assert page.url.endswith("/search?q=zephyr")
    assert set(page.locator("main mark").all_inner_texts()) == {"zephyr"}
    assert mina.faults() == []
    page.get_by_role("link", name="Contacts").last.click()
    page.get_by_text("Nothing found").wait_for()
    page.get_by_role("searchbox").fill("priya")
    page.get_by_role("link", name="Priya Raghunathan").wait_for()
    page.go_back()
    page.get_by_role("link", name="Ledger is empty").wait_for()
    page.get_by_role("searchbox").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/conversations/*?message=1")
    mina.untroubled()
