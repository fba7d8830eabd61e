"""A rule is made in the browser, tried on what came before, switched on, and acts on the next mail."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from pathlib import Path

from tests.browser.bench import chromium, require_browser
from tests.console.browser import Desk, opened


def post(desk: Desk, subject: str, text: str) -> str:
    """A customer's mail; answers the id of its conversation."""
    letter = EmailMessage()
    letter["From"], letter["To"] = "Mei Lin <mei@customer.example>", "support@wallet.example"
    letter["Subject"], letter["Message-ID"] = subject, f"<{subject.replace(' ', '.')}@customer.example>"
    letter.set_content(text)
    with smtplib.SMTP("127.0.0.1", desk.stack.door) as door:
        door.send_message(letter)
    return str(desk.stack.conversation(subject)["id"])


def test_a_rule_is_made_tried_and_acts(tmp_path: Path) -> None:
    require_browser()
    with chromium() as browser, opened(tmp_path, browser) as desk:
        before = post(desk, "Is it safe", "Somebody asked for my recovery phrase.")
        mina = desk.visit("/settings/rules")
        page = mina.page
        page.get_by_role("link", name="New rule").click()
        page.get_by_label("Name", exact=True).fill("Recovery phrases are urgent")
        page.get_by_role("button", name="Condition").click()
        page.get_by_label("What is asked").select_option(label="the message's text")
        mina.idle()  # the other fields of its row are made for it
        page.get_by_role("combobox", name="Value").fill("recovery phrase")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Condition", exact=True).click()
        page.get_by_label("What is asked").last.select_option(label="the channel")
        mina.idle()  # the other fields of its row are made for it
        page.get_by_role("combobox", name="Value").last.fill("mail")
        page.get_by_role("option", name="E-mail").wait_for()
        page.keyboard.press("Enter")
        page.get_by_role("combobox", name="Action").select_option(label="set the priority to")
        mina.idle()  # the other fields of its row are made for it
        page.get_by_role("combobox", name="Priority").select_option(label="Urgent")
        page.get_by_role("button", name="Action", exact=True).click()
        page.get_by_role("combobox", name="Action").last.select_option(label="change the tags")
        mina.idle()  # the other fields of its row are made for it
        page.get_by_role("combobox", name="Add tags").fill("phishing")
        page.keyboard.press("Enter")
        page.get_by_label("Switched on").uncheck()
        page.get_by_role("button", name="Create").click()

        page.get_by_role("button", name="Show where it would act").click()
        page.get_by_text("It would have acted 1 time.").wait_for()
        assert page.get_by_role("link", name="Conversation 1").get_attribute("href") == f"/conversations/{before}"
        page.get_by_label("Switched on").check()
        page.get_by_role("button", name="Save").click()
        desk.stack.until(
            "the rule is on", lambda: desk.stack.http.get("/automation-rules").json()["items"][0]["enabled"]
        )

        page.get_by_role("link", name="Inbox", exact=True).click()
        page.get_by_role("option", name="Is it safe").wait_for()
        after = post(desk, "They want my words", "They want my recovery phrase, too.")
        row = page.get_by_role("option", name="They want my words")
        row.get_by_text("Urgent").wait_for()
        found = desk.stack.http.get(f"/conversations/{after}").json()
        assert (found["priority"], found["tags"]) == ("urgent", ["phishing"])
        assert desk.stack.http.get(f"/conversations/{before}").json()["priority"] == "normal"

        mina.go("/settings/rules")
        page.get_by_role("link", name="Recovery phrases are urgent").click()
        page.get_by_role("heading", name="What it did last").wait_for()
        page.get_by_text("Done", exact=True).wait_for()
        mina.untroubled()
