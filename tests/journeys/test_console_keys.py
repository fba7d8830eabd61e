"""A morning's work without a mouse: in, through the list, an answer, done, the next one."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.bench import chromium, require_browser
from tests.console.browser import PASSWORD, Desk, address, opened

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAME = """() => { const one = document.activeElement;
  return one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent; }"""
RING = """() => { const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2; }"""


def post(desk: Desk, subject: str) -> None:
    letter = EmailMessage()
    letter["From"], letter["To"] = "Mei Lin <mei@customer.example>", "support@wallet.example"
    letter["Subject"], letter["Message-ID"] = subject, f"<{subject.replace(' ', '.')}@customer.example>"
    letter.set_content("Where is it?")
    with smtplib.SMTP("127.0.0.1", desk.stack.door) as door:
        door.send_message(letter)
    desk.stack.conversation(subject)


def tab_to(page: Page, name: str) -> None:
    """Go on by Tab until something of that name has the focus, which must be seen."""
    for _ in range(20):
        if name in page.evaluate(NAME):
            assert page.evaluate(RING), f"{name} has the focus, and nobody sees it"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not come to {name}")


def test_somebody_signs_in_answers_resolves_and_goes_on_by_keys_alone(tmp_path: Path) -> None:
    require_browser()
    with chromium() as browser, opened(tmp_path, browser) as desk:
        for subject in ("Third question", "Second question", "First question"):
            post(desk, subject)
        visit = desk.visit("/inbox", as_="")
        page, keys = visit.page, visit.page.keyboard
        tab_to(page, "E-mail address")
        keys.type(address("ben"))
        tab_to(page, "Password")
        keys.type(PASSWORD)
        keys.press("Enter")

        page.get_by_role("option", name="First question").wait_for()
        keys.press("j")
        keys.press("Enter")
        page.get_by_role("heading", name="First question").wait_for()
        page.get_by_role("log").get_by_text("Where is it?").wait_for()
        keys.press("r")
        page.wait_for_function("() => document.activeElement.tagName === 'TEXTAREA'")
        keys.type("It is on its way.")
        keys.press("Control+Enter")
        page.get_by_role("log").get_by_text("It is on its way.").wait_for()
        keys.press("Escape")
        keys.press("e")
        page.get_by_role("option", name="First question").wait_for(state="detached")
        keys.press("j")
        page.get_by_role("heading", name="Second question").wait_for()
        keys.press("a")
        page.get_by_role("combobox", name="Assign to").wait_for()
        keys.press("Enter")
        page.get_by_text("1 assigned to Ben Okafor").wait_for()
        keys.press("k")
        keys.press("j")
        page.get_by_role("heading", name="Third question").wait_for()
        keys.press("Escape")
        page.get_by_text("No conversation is open").wait_for()
        keys.press("g")
        keys.press("m")
        page.get_by_role("heading", name="Mine", exact=True).wait_for()
        page.wait_for_function("() => document.querySelectorAll('[role=option]').length === 1")
        page.get_by_role("option", name="Second question").wait_for()
        visit.forgive("401 (Unauthorized)")
        visit.untroubled()

        answered = desk.stack.conversation("First question")
        assert answered["status"] == "resolved"
        said = [one["text"] for one in desk.stack.messages(answered["id"])]
        assert "It is on its way." in said
