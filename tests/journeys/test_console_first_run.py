"""From the first start's terminal to the first answer, as somebody does it who has a mailbox and a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

from tests.browser.bench import chromium, require_browser
from tests.console.browser import PASSWORD, Desk
from tests.journeys.mailbox import DovecotMailbox
from tests.journeys.mails import mail
from tests.journeys.sink import Sink, read
from tests.journeys.stack import Stack

LINK = re.compile(r"http://\S+(/#first-run=\S+)")


def test_the_terminals_link_leads_to_a_mailbox_a_live_mail_and_an_answer(
    tmp_path: Path, mailbox: Callable[[], DovecotMailbox], sink: Sink
) -> None:
    require_browser()
    box = mailbox()
    with chromium() as browser, Stack(tmp_path) as stack:
        stack.start()
        found = LINK.search(stack.processes["up"].said())
        assert found, stack.logs()
        visit = Desk(stack, browser).visit(found[1], as_="")
        page = visit.page
        assert page.url == f"{stack.url}/welcome", "the secret does not stay in the address"

        page.get_by_label("Your name").fill("Mina Park")
        page.get_by_label("E-mail address").fill("mina@wallet.example")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Go on").click()

        page.get_by_role("button", name="E-mail").click()
        page.get_by_label("Support address").fill("support@wallet.example")
        page.get_by_label("Server", exact=True).fill(f"127.0.0.1:{urlsplit(box.url).port}")
        page.get_by_label("Server: encryption").select_option(label="Not encrypted")
        page.get_by_label("User name", exact=True).fill(box.user)
        page.get_by_label("Password", exact=True).fill("a wrong one")
        page.get_by_label("Server for sending", exact=True).fill(f"127.0.0.1:{sink.port}")
        page.get_by_label("Server for sending: encryption").select_option(label="Not encrypted")
        page.get_by_label("Sign in for sending as for receiving").uncheck()
        page.get_by_role("button", name="Check and go on").click()
        page.get_by_text("Not everything works yet.").wait_for()
        page.get_by_text("Check user name and password.").wait_for()
        page.get_by_label("Password", exact=True).fill("secret")
        page.get_by_role("button", name="Check and go on").click()

        page.get_by_role("heading", name="The first conversation").wait_for()
        page.get_by_text("Write a mail to support@wallet.example").wait_for()
        question = mail("Where is my withdrawal?")
        box.deliver(bytes(question))
        page.get_by_text("It is here: Where is my withdrawal?").wait_for()
        page.get_by_role("link", name="Open it").click()
        page.get_by_role("heading", name="Where is my withdrawal?").wait_for()
        page.get_by_label("Your message").fill("It is on its way to you.")
        page.keyboard.press("Control+Enter")

        letter = stack.until("the customer has the answer", lambda: _answer(sink, "It is on its way to you."))
        assert letter["In-Reply-To"] == question["Message-ID"]
        visit.forgive("401 (Unauthorized)")
        visit.untroubled()


def _answer(sink: Sink, text: str) -> EmailMessage | None:
    return next((letter for letter in map(read, (one.body for one in sink.messages)) if text in str(letter)), None)
