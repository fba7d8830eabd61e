"""The inbox: a list that follows what happens, filters that stand in the address, and what is done to many at once."""

from __future__ import annotations

import re
import smtplib
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.browser import Desk, Visit

if TYPE_CHECKING:
    from playwright.sync_api import Locator

ROWS = 56


@pytest.fixture(scope="module")
def ids(desk: Desk) -> dict[str, str]:
    """More conversations than a page of the list has, "Question 0" the oldest, by subject."""
    return {f"Question {number}": begun(desk, f"Question {number}") for number in range(ROWS)}


def begun(desk: Desk, subject: str, name: str = "Mei Lin") -> str:
    contact = {"handle": f"{subject.replace(' ', '.')}@customer.example", "name": name}
    body = {"inbox_id": desk.inbox_id, "contact": contact, "subject": subject, "text": "Where is it?"}
    return str(desk.made("/conversations", body)["id"])


def changed(desk: Desk, conversation_id: str, **fields: Any) -> None:
    path = f"/conversations/{conversation_id}"
    etag = desk.stack.http.get(path).headers["ETag"]
    answer = desk.stack.http.patch(path, json=fields, headers={"If-Match": etag})
    assert answer.status_code == 200, answer.text


def post(desk: Desk, subject: str) -> None:
    """A customer's mail."""
    letter = EmailMessage()
    letter["From"], letter["To"] = "Ava Chen <ava@customer.example>", "support@wallet.example"
    letter["Subject"], letter["Message-ID"] = subject, f"<{subject.replace(' ', '.')}@customer.example>"
    letter.set_content("Where is it?")
    with smtplib.SMTP("127.0.0.1", desk.stack.door) as door:
        door.send_message(letter)


def row(visit: Visit, subject: str) -> Locator:
    return visit.page.get_by_role("option").filter(has=visit.page.get_by_text(subject, exact=True))


def pages(visit: Visit) -> list[str]:
    """Every page of the list that was asked for, apart from single rows."""
    return [one for one in visit.asked if one.startswith("/api/v1/conversations?") and "&id=" not in one]


def test_rows_are_put_where_the_api_sorts_them(desk: Desk) -> None:
    """The order of the console is the API's, ties, empty values and fractions of seconds included."""
    mina = desk.visit("/inbox")
    script = """(m, [sort, items]) => {
      const by = new Map(items.map((one) => [one.id, one]));
      const shuffled = items.toSorted((a, b) => (a.n < b.n ? 1 : -1));
      const all = m.arranged([], shuffled, m.orderOf(sort), (id) => by.get(id), true);
      const moved = { ...items[0], ...items.at(-1), id: items[0].id };
      by.set(moved.id, moved);
      return [all, m.arranged(all, [moved], m.orderOf(sort), (id) => by.get(id), false).indexOf(moved.id)];
    }"""
    times = ["2026-01-02T00:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z"]
    latest = [
        {"id": name, "n": n, "last_activity_at": at} for n, (name, at) in enumerate(zip("dcba", times, strict=True))
    ]
    order, place = mina.module("inbox/order.js", script, ["-last_activity_at", latest])
    assert (order, place) == (["d", "c", "b", "a"], 2)
    due = [{"id": "a", "n": 3, "next_due_at": times[3]}, {"id": "b", "n": 1, "next_due_at": times[0]}]
    due += [{"id": "c", "n": 2, "next_due_at": None}, {"id": "d", "n": 0, "next_due_at": None}]
    assert mina.module("inbox/order.js", script, ["next_due_at", due])[0] == ["a", "b", "c", "d"]
    ranks = [{"id": "b", "n": 0, "priority": "urgent"}, {"id": "a", "n": 2, "priority": "urgent"}]
    ranks += [{"id": "c", "n": 1, "priority": "low"}]
    assert mina.module("inbox/order.js", script, ["-priority", ranks])[0] == ["b", "a", "c"]
    late = "(m, [one, at]) => m.slaOf(one, Date.parse(at))"
    one = {"sla_state": "ok", "due_soon_at": times[2], "next_due_at": times[0]}
    states = [
        mina.module("inbox/row.js", late, [one, at])
        for at in ("2025-12-31T00:00Z", "2026-01-01T12:00Z", "2026-01-03T00:00Z")
    ]
    assert states == ["ok", "due_soon", "breached"]
    mina.untroubled()


def test_the_list_follows_by_asking_for_rows_and_keeps_its_place(desk: Desk, ids: dict[str, str]) -> None:
    mina = desk.visit("/inbox/open")
    page, listed = mina.page, mina.page.get_by_role("listbox", name="Conversations")
    row(mina, "Question 55").wait_for()
    assert len(pages(mina)) == 1, "the page asks for the list once"
    # At the top what comes is let in, what changes is written anew, what is done with elsewhere goes.
    post(desk, "From outside")
    row(mina, "From outside").wait_for()
    changed(desk, ids["Question 54"], priority="urgent")
    row(mina, "Question 54").get_by_text("Urgent").wait_for()
    changed(desk, ids["Question 53"], status="resolved")
    row(mina, "Question 53").wait_for(state="detached")
    assert len(pages(mina)) == 1, "after that for rows alone"
    # Further down nothing moves: what comes waits, what goes leaves no gap that the reader would see.
    listed.evaluate("list => { list.scrollTop = 68 * 20 }")
    row(mina, "Question 33").wait_for()
    before = row(mina, "Question 33").bounding_box()
    changed(desk, ids["Question 52"], status="resolved")
    post(desk, "While reading")
    page.get_by_role("button", name="1 new").wait_for()
    assert row(mina, "Question 33").bounding_box() == before
    page.get_by_role("button", name="1 new").click()
    row(mina, "While reading").wait_for()
    assert listed.evaluate("list => list.scrollTop") == 0
    # The end is reached page by page.
    page.wait_for_function(
        "() => { const list = document.querySelector('[role=listbox]'); list.scrollTop = 1e6; "
        "return list.innerText.includes('Question 0\\n') }"
    )
    mina.untroubled()


def test_filters_stand_in_the_address_and_can_be_kept_as_a_view(desk: Desk, ids: dict[str, str]) -> None:
    changed(desk, ids["Question 3"], priority="high", assignee_id=desk.ids["ben"])
    changed(desk, ids["Question 4"], priority="high", status="pending")
    mina = desk.visit("/inbox/open")
    page = mina.page
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("menuitemcheckbox", name="Priority").click()
    page.get_by_role("checkbox", name="High").check()
    row(mina, "Question 4").wait_for()
    assert page.get_by_role("option").count() == 2
    page.keyboard.press("Escape")
    assert page.url.endswith("/inbox/open?priority=high")
    assert mina.faults() == []
    page.get_by_role("button", name="Save as a view").click()
    page.get_by_label("Name").fill("Loud ones")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="Loud ones").wait_for()
    row(mina, "Question 3").wait_for()
    changed(desk, ids["Question 5"], priority="high")
    row(mina, "Question 5").wait_for()
    page.go_back()
    page.get_by_role("button", name="Remove Priority: High").click()
    row(mina, "Question 55").wait_for()
    page.get_by_role("button", name="Order").click()
    page.get_by_role("menuitemcheckbox", name="Oldest first").click()
    row(mina, "Question 0").wait_for()
    page.goto(f"{mina.url}/inbox/{ids['Question 0']}")
    page.get_by_text("This view does not exist").wait_for()
    mina.forgive("404", "422")
    mina.untroubled()


def test_what_is_done_to_many_tells_how_it_went_and_can_be_taken_back(desk: Desk, ids: dict[str, str]) -> None:
    eva = desk.visit("/inbox/open?sort=created_at", as_="eva")
    page = eva.page
    row(eva, "Question 0").wait_for()
    page.get_by_role("listbox").focus()
    for key in ("ArrowDown", "x", "Shift+ArrowDown", "Shift+ArrowDown"):
        page.keyboard.press(key)
    page.get_by_role("heading", name="3 selected").wait_for()
    assert eva.faults() == []
    page.keyboard.press("a")
    page.get_by_role("combobox", name="Assign to").fill("ben")
    page.get_by_role("option", name="Ben Okafor", exact=True).wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("3 assigned to Ben Okafor").wait_for()
    row(eva, "Question 1").get_by_label("Assigned to Ben Okafor").wait_for()
    page.get_by_role("button", name="Undo").click()
    row(eva, "Question 1").get_by_label("Assigned to Ben Okafor").wait_for(state="detached")
    page.keyboard.press("e")
    page.get_by_text("3 resolved").wait_for()
    row(eva, "Question 0").wait_for(state="detached")
    # One alone: at once on the screen, by its version, and back again.
    changed(desk, ids["Question 6"], priority="low")  # somebody was faster
    row(eva, "Question 6").click(position={"x": 20, "y": 34})
    page.keyboard.press("m")
    row(eva, "Question 6").get_by_label("Assigned to Eva Lin").wait_for()
    page.get_by_text("1 assigned to Eva Lin").wait_for()
    page.keyboard.press("#")
    page.get_by_text("1 marked as spam").wait_for()
    row(eva, "Question 6").wait_for(state="detached")
    page.get_by_role("button", name="Undo").last.click()
    row(eva, "Question 6").wait_for()
    # All that an address asks for: counted, asked, and where it can be, taken back.
    page.goto(f"{eva.url}/inbox/resolved?assignee_id=none")
    row(eva, "Question 0").wait_for()
    page.get_by_role("listbox").focus()
    for key in ("ArrowDown", "x"):
        page.keyboard.press(key)
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Everything that matches").click()
    dialog = page.get_by_role("dialog", name="that match")
    count = re.sub(r"\D", "", dialog.get_by_role("heading").inner_text())
    assert int(count) >= 3
    dialog.get_by_role("option", name="Spam").click()
    assert eva.faults() == []
    eva.shot("whole")
    page.get_by_role("button", name=f"Change all {count}").click()
    page.get_by_text(f"{count} marked as spam").wait_for()
    row(eva, "Question 0").wait_for(state="detached")
    page.get_by_role("button", name="Undo").last.click()
    row(eva, "Question 0").wait_for()
    # Of a view that is gone that is nothing, and not everything.
    page.goto(f"{eva.url}/inbox/00000000-0000-7000-8000-000000000000")
    page.get_by_text("This view does not exist").wait_for()
    page.keyboard.press("Control+k")
    page.keyboard.type("everything that matches")
    page.get_by_role("dialog").get_by_role("option", name="Everything that matches").click()
    page.get_by_text("Nothing matches.").wait_for()
    eva.forgive("404", "412")  # somebody was faster, which nobody need hear of
    eva.untroubled()


def test_an_input_method_and_a_dialog_keep_the_keys_for_themselves(desk: Desk, ids: dict[str, str]) -> None:
    mina = desk.visit("/inbox/mine")
    page = mina.page
    page.get_by_text("Nothing to do here").wait_for()
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.get_by_role("heading", name="Open", exact=True).wait_for()
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("j")
    page.keyboard.press("s")
    page.get_by_role("dialog", name="Snooze until").wait_for()
    page.keyboard.type("xe")
    page.get_by_role("heading", name="Open", exact=True).wait_for()
    page.keyboard.press("Escape")
    active = mina.page.get_by_role("listbox").get_attribute("aria-activedescendant")
    page.evaluate(
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', "
        "{key: 'Enter', keyCode: 229, isComposing: true, bubbles: true}))"
    )
    assert page.url.endswith("/inbox/open")
    assert active
    mina.untroubled()
