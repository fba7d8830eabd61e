"""Writing: nothing that is typed is lost, it is sent once, and taken back in time."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

from tests.console.browser import PASSWORD, PHONE, Desk, Visit, address

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Route


def asked(desk: Desk, subject: str) -> str:
    """The conversation that a customer's mail has begun."""
    letter = EmailMessage()
    letter["From"], letter["To"] = "Mei Lin <mei@customer.example>", "support@wallet.example"
    letter["Subject"], letter["Message-ID"] = subject, f"<{subject.replace(' ', '.')}@customer.example>"
    letter.set_content("Could you look?")
    with smtplib.SMTP("127.0.0.1", desk.stack.door) as door:
        door.send_message(letter)
    found: str = desk.stack.conversation(subject)["id"]
    return found


def text(visit: Visit) -> Locator:
    return visit.page.get_by_label("Your message")


def holds(visit: Visit, wanted: str) -> None:
    """Wait until the field has just this in it."""
    text(visit).wait_for()
    found = "wanted => document.querySelector('.composer textarea')?.value === wanted"
    visit.page.wait_for_function(found, arg=wanted)


def said(desk: Desk, conversation_id: str, *, private: bool = False) -> list[dict[str, Any]]:
    """What people of the desk have written there."""
    found = desk.stack.messages(conversation_id)
    return [one for one in found if one["author"]["kind"] == "agent" and one["private"] == private]


def test_what_is_typed_outlives_all_that_can_happen_to_a_page(desk: Desk) -> None:
    first, second = asked(desk, "Stuck since Monday"), asked(desk, "Wrong network")
    ben = desk.visit(f"/inbox/open/{first}", as_="ben")
    page = ben.page
    text(ben).fill("Half an answer")
    page.get_by_text("Draft kept").wait_for()

    page.get_by_role("option", name="Wrong network").click()
    page.get_by_role("heading", name="Wrong network").wait_for()
    holds(ben, "")
    page.get_by_role("option", name="Stuck since Monday").click()
    holds(ben, "Half an answer")

    text(ben).fill("Half an answer, and more")
    page.reload()  # before the server can have it
    holds(ben, "Half an answer, and more")
    drafts = "fetch('/api/v1/drafts').then((answer) => answer.text())"
    page.wait_for_function(f"async (text) => (await {drafts}).includes(text)", arg="Half an answer, and more")

    other = desk.visit(f"/conversations/{first}", as_="ben", context=ben.context)
    holds(other, "Half an answer, and more")
    text(other).fill("Written in the other window")
    holds(ben, "Written in the other window")
    other.untroubled()
    other.page.close()

    ben.context.set_offline(True)
    text(ben).fill("Sent without a network")
    text(ben).press("Control+Enter")
    page.get_by_text("No connection. It goes out by itself when it is back.").wait_for()
    assert text(ben).input_value() == "Sent without a network"
    ben.context.set_offline(False)
    page.get_by_role("log").get_by_text("Sent without a network").wait_for()
    holds(ben, "")
    assert [one["text"] for one in said(desk, first)] == ["Sent without a network"]
    ben.forgive("ERR_INTERNET_DISCONNECTED", "ERR_NETWORK_CHANGED", "Failed to fetch")

    page.goto(f"{desk.stack.url}/conversations/{second}")
    holds(ben, "")
    text(ben).fill("The session is over")
    ben.context.clear_cookies()  # before the server can have it; whatever is asked next leads to the login
    page.wait_for_url("**/login**")
    page.get_by_label("E-mail address").fill(address("ben"))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    holds(ben, "The session is over")
    ben.forgive("401 (Unauthorized)", "412 (Precondition Failed)")  # two windows keep the same letter
    ben.untroubled()


def test_a_mail_is_written_with_quick_replies_and_files_and_taken_back_before_it_leaves(desk: Desk) -> None:
    quick = {
        "shared": "everybody",
        "shortcut": "thanks",
        "title": "Thank you",
        "texts": {"en": "Thank you, {{contact.first_name}}."},
    }
    desk.made("/canned-responses", quick)
    here, there = asked(desk, "Lost phrase"), asked(desk, "Another matter")
    eva = desk.visit(f"/inbox/open/{here}", as_="eva")
    page = eva.page
    text(eva).wait_for()
    page.get_by_role("heading", name="Lost phrase").wait_for()  # keys are for what is known
    page.keyboard.press("r")
    page.keyboard.type("/tha")
    page.get_by_role("option", name="/thanks").wait_for()
    assert eva.faults() == []
    page.keyboard.press("Enter")
    holds(eva, "Thank you, Mei.")
    page.keyboard.press("Control+z")
    holds(eva, "/tha")
    page.keyboard.press("Control+y")
    page.get_by_role("button", name="Cc", exact=True).click()
    copied = page.get_by_role("textbox", name="Cc")
    copied.fill("ann@customer.example,")
    page.keyboard.press("Enter")
    page.get_by_text("ann@customer.example", exact=True).wait_for()
    assert copied.evaluate("input => input === document.activeElement"), "the next one can be typed"
    files = [{"name": name, "mimeType": "text/plain", "buffer": b"a file"} for name in ("one.txt", "two.txt")]
    page.locator(".composer input[type=file]").set_input_files(files)  # type: ignore[arg-type]
    page.get_by_role("option", name="Another matter").click()
    page.get_by_role("heading", name="Another matter").wait_for()
    page.get_by_role("option", name="Lost phrase").click()
    holds(eva, "Thank you, Mei.")
    page.get_by_role("button", name="Remove two.txt").click()
    going = page.get_by_role("list", name="Files to send")
    going.get_by_text("one.txt").wait_for()
    eva.shot("composer-files")
    text(eva).focus()
    page.keyboard.press("Control+Shift+Enter")
    page.get_by_text("Sent and resolved.").wait_for()
    holds(eva, "")
    (message,) = said(desk, here)
    assert [one["handle"] for one in message["cc"]] == ["ann@customer.example"]
    assert [one["filename"] for one in message["attachments"]] == ["one.txt"]
    assert desk.stack.get(f"/conversations/{here}")["status"] == "resolved"

    page.get_by_role("button", name="Take it back").click()
    page.get_by_text("Taken back; your text is here again.").wait_for()
    holds(eva, "Thank you, Mei.")
    going.get_by_text("one.txt").wait_for()
    assert desk.stack.get(f"/conversations/{here}")["status"] == "open"
    assert said(desk, here)[0]["delivery"]["status"] == "cancelled"
    assert not said(desk, there)
    eva.untroubled()


def test_a_note_is_a_sheet_of_its_own_and_calls_who_is_named(desk: Desk) -> None:
    here = asked(desk, "A matter for two")
    mina = desk.visit(f"/conversations/{here}", theme="dark", language="en", device=PHONE)
    page = mina.page
    text(mina).fill("What the customer will read")
    page.get_by_role("button", name="Note", exact=True).click()
    holds(mina, "")
    page.keyboard.type("Please look @ev")
    page.get_by_role("option", name="Eva Lin").click()
    holds(mina, "Please look @Eva Lin ")
    assert mina.faults() == []
    mina.shot("composer-note-phone")
    page.get_by_role("button", name="Save the note").click()
    holds(mina, "")
    (note,) = said(desk, here, private=True)
    assert note["text"] == "Please look @Eva Lin"
    assert not said(desk, here)
    watching = desk.stack.get(f"/conversations/{here}")["watchers"]
    assert [one["name"] for one in watching] == ["Eva Lin"], "who is called follows from then on"
    page.get_by_role("button", name="Answer", exact=True).click()
    holds(mina, "What the customer will read")
    mina.untroubled()


def test_conversations_are_merged_split_and_worked_on_by_macros(desk: Desk) -> None:
    macro = {"name": "Calm down", "description": "", "actions": [{"do": "priority", "to": "low"}]}
    desk.made("/macros", {"shared": "everybody", **macro})
    one, other = asked(desk, "Said once"), asked(desk, "Said twice")
    desk.made(f"/conversations/{one}/messages", {"text": "Two matters", "private": True}, **{"Idempotency-Key": "two"})
    sol = desk.visit(f"/conversations/{one}", as_="sol")
    page = sol.page
    page.get_by_role("heading", name="Said once").wait_for()
    page.get_by_role("log").get_by_text("Could you look?").wait_for()
    page.get_by_role("button", name="More actions", exact=True).first.click()
    page.get_by_role("menuitem", name="Run a macro").click()
    page.get_by_role("option", name="Calm down").click()
    page.get_by_role("dialog", name="Calm down").get_by_text("Low").wait_for()
    assert sol.faults() == []
    page.get_by_role("button", name="Run it").click()
    page.get_by_text("Calm down: done.").wait_for()
    assert desk.stack.get(f"/conversations/{one}")["priority"] == "low"

    page.get_by_role("button", name="More actions", exact=True).first.click()
    page.get_by_role("menuitem", name="Merge into another").click()
    page.get_by_role("dialog").get_by_role("option", name="Said twice").click()  # the list behind it has one too
    page.get_by_role("heading", name="Said twice").wait_for()
    assert desk.stack.get(f"/conversations/{one}")["merged_into_id"] == other
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("heading", name="Said once").wait_for()
    page.get_by_text("It stands by itself again.").wait_for()
    assert desk.stack.get(f"/conversations/{one}")["merged_into_id"] is None

    page.get_by_role("button", name="More actions", exact=True).first.click()
    page.get_by_role("menuitem", name="Split off messages").click()
    dialog = page.get_by_role("dialog", name="Split off messages")
    assert dialog.get_by_role("button", name="Split off", exact=True).is_disabled()
    dialog.get_by_role("checkbox").first.check()
    dialog.get_by_role("button", name="Split off", exact=True).click()
    page.get_by_text("A conversation of its own now.").wait_for()
    page.wait_for_url(lambda url: one not in url and other not in url)
    page.go_back()
    page.get_by_role("heading", name="Said once").wait_for()
    page.get_by_role("log").get_by_text("Two matters").wait_for()
    page.get_by_role("log").get_by_text("Could you look?").wait_for(state="detached")
    sol.untroubled()


def test_what_became_of_an_answer_is_found_out_before_it_goes_again(desk: Desk) -> None:
    """The desk had taken it, and only the answer was cut off; asked again, the desk was still at work on it."""
    here, there = asked(desk, "Half an answer came"), asked(desk, "Out of sight for a while")
    ben = desk.visit(f"/inbox/open/{here}", as_="ben")
    page = ben.page
    tries: list[str] = []

    def muddled(route: Route) -> None:
        tries.append(route.request.headers["idempotency-key"])
        if len(tries) == 1:
            route.fulfill(response=route.fetch(), body='{"id":')
        elif len(tries) < 5:
            route.fulfill(status=409, json={"type": "urn:helpdesk:problem:idempotency_running"})
        else:
            route.continue_()

    page.route(f"**/conversations/{here}/messages", muddled)
    ben.idle()
    text(ben).fill("Said once and for all")
    text(ben).press("Control+Enter")
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    holds(ben, "")
    assert [one["text"] for one in said(desk, here)] == ["Said once and for all"]
    assert len(tries) == 5
    assert len(set(tries)) == 1

    draft = f"**/conversations/{there}/draft"
    page.route(draft, lambda route: route.fulfill(status=404, json={"type": "urn:helpdesk:problem:not_found"}))
    page.get_by_role("option", name="Out of sight for a while").click()
    page.get_by_role("heading", name="Out of sight for a while").wait_for()
    holds(ben, "")
    with page.expect_response(draft):
        text(ben).fill("Not lost")
    page.get_by_role("option", name="Half an answer came").click()
    page.get_by_role("heading", name="Half an answer came").wait_for()
    page.reload()
    page.get_by_role("option", name="Out of sight for a while").click()
    holds(ben, "Not lost")
    ben.forgive("409 (Conflict)", "404 (Not Found)")
    ben.untroubled()
