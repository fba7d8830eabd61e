"""A chat is answered while a mail is being written: the mail waits as it was left, and the visitor does not."""

from __future__ import annotations

from pathlib import Path

from tests.browser.bench import chromium, require_browser
from tests.browser.chat_scene import Scene, Website
from tests.console.browser import opened
from tests.console.test_composer import asked, holds, said, text

MAIL = "Dear Mei,\n\nthe first half of a long answer"


def test_a_chat_comes_in_between_and_the_mail_is_still_there(tmp_path: Path) -> None:
    require_browser()
    with chromium() as browser, opened(tmp_path, browser) as desk, Website() as website:
        chat = {"channel": "chat", "name": "Website", "settings": {"origins": website.origin, "prechat": "email*"}}
        website.desk, website.inbox_id = desk.stack.url, desk.made("/inboxes", chat)["id"]
        written = asked(desk, "A long story")
        mina = desk.visit(f"/inbox/open/{written}")
        page = mina.page
        text(mina).fill(MAIL)

        visitor = Scene(desk.stack, website, website.inbox_id, "").visit(browser).open().begin()
        visitor.say("Are you there?")
        page.get_by_role("option", name="Are you there?").click()
        page.get_by_role("log").get_by_text("Are you there?").wait_for()
        holds(mina, "")
        text(mina).fill("I am.")
        visitor.page.get_by_text("Mina Park").first.wait_for()  # writes, as the visitor sees
        text(mina).press("Enter")
        visitor.sees("I am.")
        holds(mina, "")
        visitor.say("Thank you")
        page.get_by_role("log").get_by_text("Thank you").wait_for()

        page.get_by_role("option", name="A long story").click()
        holds(mina, MAIL)
        text(mina).press("Control+End")
        page.keyboard.type(" and the second half.")
        page.keyboard.press("Control+Enter")
        holds(mina, "")
        (message,) = said(desk, written)
        assert message["text"] == f"{MAIL} and the second half."
        mina.untroubled()
        assert visitor.troubles == []
