"""A promise is broken while nobody answers: the supervisor is called, sees it on the board, and takes the alert."""

from __future__ import annotations

import smtplib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.browser.bench import chromium, require_browser
from tests.console.browser import furnished
from tests.journeys.mails import mail
from tests.journeys.moving import Clock
from tests.journeys.stack import Stack

MINUTE = timedelta(minutes=1)


def test_a_supervisor_is_called_for_a_broken_promise_and_takes_it(tmp_path: Path) -> None:
    require_browser()
    clock = Clock(tmp_path / "offset", begin=datetime.now(UTC))
    with chromium() as browser, Stack(tmp_path, HELPDESK_CLOCK_FILE=str(clock.path)) as stack:
        desk = furnished(stack, browser)
        with smtplib.SMTP("127.0.0.1", stack.door) as door:
            door.send_message(mail("Where is my withdrawal?"))
        found = stack.conversation("Where is my withdrawal?")
        (promise, *_) = stack.get(f"/conversations/{found['id']}/sla")["clocks"]
        due = datetime.fromisoformat(promise["due_at"])
        clock.move(due - 10 * MINUTE)
        sol = desk.visit("/board", as_="sol")
        page = sol.page
        page.get_by_role("link", name="Overdue 0").wait_for()
        page.get_by_role("link", name="Due soon 1").wait_for()

        clock.move(due + MINUTE)
        page.get_by_role("status").get_by_text("An alert calls you.").first.wait_for()
        page.get_by_role("link", name="Overdue 1").wait_for()
        page.get_by_role("link", name="Open alerts").click()
        row = page.locator("main").get_by_role("listitem").filter(has_text="An answer is overdue")
        row.get_by_text("First response", exact=True).wait_for()
        assert sol.faults() == []
        row.get_by_role("button", name="I have it").click()
        row.wait_for(state="detached")
        page.get_by_role("link", name="Somebody has it").click()
        row.get_by_text("Sol Reyes took it").wait_for()
        row.get_by_role("link", name=f"#{found['number']} Where is my withdrawal?").click()
        page.get_by_role("heading", name="Where is my withdrawal?").wait_for()

        (alert,) = stack.every("/alerts", severity="critical")
        assert (alert["status"], alert["acknowledged_by"]) == ("acknowledged", desk.ids["sol"])
        sol.untroubled()
