"""Two agents write in one conversation at once: each learns of the other before anything is said twice."""

from __future__ import annotations

from pathlib import Path

from tests.browser.bench import chromium, require_browser
from tests.console.browser import opened
from tests.console.test_composer import asked, holds, said, text


def test_who_answers_second_reads_the_first_answer_and_then_decides(tmp_path: Path) -> None:
    require_browser()
    with chromium() as browser, opened(tmp_path, browser) as desk:
        here = asked(desk, "Two want to help")
        ben = desk.visit(f"/conversations/{here}", as_="ben")
        eva = desk.visit(f"/conversations/{here}", as_="eva")
        text(ben).fill("It leaves today.")
        eva.page.get_by_text("Ben Okafor is writing an answer too").wait_for()
        text(eva).fill("It is stuck with the bank.")
        ben.page.get_by_text("Eva Lin is writing an answer too").wait_for()

        text(ben).press("Control+Enter")
        holds(ben, "")
        eva.page.get_by_text("1 message arrived while you wrote").wait_for()
        text(eva).press("Control+Enter")
        anyway = eva.page.get_by_role("button", name="Send all the same")
        anyway.wait_for()
        assert eva.faults() == []
        eva.shot("collide")
        assert [one["text"] for one in said(desk, here)] == ["It leaves today."]
        holds(eva, "It is stuck with the bank.")
        anyway.click()
        holds(eva, "")
        assert [one["text"] for one in said(desk, here)] == ["It leaves today.", "It is stuck with the bank."]
        eva.forgive("409 (Conflict)")

        # What is decided elsewhere is seen at both screens.
        desk.stack.change(here, priority="urgent", status="resolved")
        for visit in (ben, eva):
            visit.page.get_by_role("button", name="Reopen").wait_for()
            visit.untroubled()
