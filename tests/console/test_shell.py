"""The console as a whole: coming in, the screens, the keys, and what a browser has to say of them."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import TYPE_CHECKING

from tests.console.browser import PASSWORD, Desk, address

if TYPE_CHECKING:
    from playwright.sync_api import Route


def post(desk: Desk, subject: str, text: str = "Where is it?") -> None:
    """A customer's mail, filed when this returns."""
    letter = EmailMessage()
    letter["From"], letter["To"] = "Mei Lin <mei@customer.example>", "support@wallet.example"
    letter["Subject"], letter["Message-ID"] = subject, f"<{subject.replace(' ', '.')}@customer.example>"
    letter.set_content(text)
    with smtplib.SMTP("127.0.0.1", desk.stack.door) as door:
        door.send_message(letter)
    desk.stack.conversation(subject)


def test_whoever_is_not_signed_in_signs_in_and_comes_to_where_he_wanted(desk: Desk) -> None:
    stranger = desk.visit("/settings/teams", as_="")
    assert stranger.page.url.endswith("/login?next=%2Fsettings%2Fteams")
    stranger.page.get_by_label("E-mail address").fill(address("ben"))
    stranger.page.get_by_label("Password").fill("a wrong password")
    stranger.page.get_by_role("button", name="Sign in").click()
    stranger.page.get_by_text("The address or the password is wrong.").wait_for()
    assert stranger.faults() == []
    stranger.page.get_by_label("Password").fill(PASSWORD)
    stranger.page.get_by_role("button", name="Sign in").click()
    stranger.page.get_by_role("heading", name="Teams", level=1).wait_for()
    stranger.page.get_by_role("button", name="Your account: Ben Okafor").wait_for()
    stranger.forgive("401 (Unauthorized)")
    stranger.untroubled()


def test_a_refusal_from_before_a_sign_in_does_not_sign_out_again(desk: Desk) -> None:
    ben = desk.visit("/inbox", as_="ben")
    page = ben.page
    held: list[Route] = []
    page.route("**/api/v1/me", lambda route: held.append(route) if len(held) < 2 else route.continue_())
    ben.context.clear_cookies()
    asks = "async ({ get }) => void ['/teams', '/tags'].map((path) => get(path, { limit: 7 }).catch(() => {}))"
    ben.module("kernel/api.js", asks)
    while len(held) < 2:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.get_by_label("E-mail address").fill(address("ben"))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Your account: Ben Okafor").wait_for()
    with page.expect_request("**/api/v1/me"):  # who is there now?
        held[1].fulfill(status=401, json={"type": "urn:helpdesk:problem:unauthenticated"})
    ben.idle()
    page.get_by_role("button", name="Your account: Ben Okafor").wait_for()
    ben.forgive("401 (Unauthorized)")
    ben.untroubled()


def test_the_secret_of_a_letter_does_not_stay_in_the_address(desk: Desk) -> None:
    invited = desk.visit("/#invitation=not-a-real-one", as_="")
    assert invited.page.url == f"{desk.stack.url}/invitation"
    invited.page.get_by_label("Password").fill(PASSWORD)
    invited.page.get_by_role("button", name="Save the password").click()
    invited.page.get_by_text("This link is not good any more.").wait_for()
    invited.forgive("401 (Unauthorized)", "404 (Not Found)")
    invited.untroubled()


def test_a_mail_comes_live_is_opened_by_keys_answered_and_resolved(desk: Desk) -> None:
    post(desk, "Earlier question")
    mina = desk.visit("/inbox")
    page = mina.page
    page.get_by_role("option", name="Earlier question").wait_for()
    post(desk, "Withdrawal is stuck")
    page.get_by_role("option", name="Withdrawal is stuck").wait_for()
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.get_by_role("heading", name="Withdrawal is stuck").wait_for()
    assert mina.idle().faults() == []
    page.get_by_label("Your message").fill("It is on its way.")
    page.keyboard.press("Control+Shift+Enter")
    page.get_by_role("log").get_by_text("It is on its way.").wait_for()
    page.get_by_role("option", name="Withdrawal is stuck").wait_for(state="detached")
    page.keyboard.press("Escape")  # out of the text
    page.keyboard.press("Escape")
    page.get_by_text("No conversation is open").wait_for()
    mina.untroubled()


def test_the_palette_and_the_overview_of_keys_say_what_can_be_done(desk: Desk) -> None:
    mina = desk.visit("/inbox", as_="eva")
    page = mina.page
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("rep")
    page.get_by_role("option", name="Reports").wait_for()
    assert mina.faults() == []
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Reports").wait_for()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    dialog.get_by_text("All commands").wait_for()
    assert not dialog.get_by_text("Live board").count(), "an agent has none"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Your account: Eva Lin").click()
    page.keyboard.press("?")
    assert not dialog.count(), "in a menu a letter chooses an entry, no more"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    dialog.get_by_label("Shortcuts of a single key").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.keyboard.press("Control+k")
    page.get_by_role("dialog", name="All commands").wait_for()
    mina.untroubled()


def test_what_is_not_there_is_said_and_the_way_back_shown(desk: Desk) -> None:
    nobody = "00000000-0000-7000-8000-000000000000"
    eva = desk.visit("/nothing", as_="eva")
    page = eva.page
    page.get_by_role("heading", name="There is no such page").wait_for()
    assert page.locator(".toasts").get_attribute("role") == "status", "readers know the place before its first word"
    eva.shot("no-such-page")
    page.get_by_role("main").get_by_role("link", name="Inbox").click()
    page.wait_for_url("**/inbox")
    for path, back in (("/contacts", "Contacts"), ("/settings/teams", "Teams")):
        eva.go(f"{path}/{nobody}")
        page.get_by_role("heading", name="It is no longer there, or you may not see it.").wait_for()
        page.locator(f".empty a[href='{path}']").get_by_text(back).click()
        page.wait_for_url(f"**{path}")
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as kept:
        page.get_by_role("button", name="Your account: Eva Lin").click()
        page.get_by_role("menuitemcheckbox", name="Denser lists").click()
    assert kept.value.json()["preferences"]["density"] == "dense", "as in the settings: with the account"
    eva.forgive("404 (Not Found)")
    eva.untroubled()
