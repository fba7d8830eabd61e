"""Reports in the console: their figures and how they are drawn, what is chosen in the address, and the same as CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import create_engine, insert

from helpdesk.models.rules import ratings
from tests.console.browser import PHONE, Desk
from tests.console.test_shell import post

STEPS = """(m) => [[0, "count"], [1, "count"], [7, "count"], [42, "count"], [130, "count"], [1, "share"],
  [100, "seconds"], [5000, "seconds"], [900000, "seconds"]].map(([most, unit]) => m.stepOf(most, unit))"""
PERIODS = """(m) => {
  const now = new Date(2026, 2, 18, 15, 30);
  const named = (query) => {
    const period = m.periodOf(new URLSearchParams(query), now);
    return [m.dayName(period.after), m.dayName(period.before), period.by, m.stepsOf(period).length];
  };
  return ["", "days=1", "days=7", "days=365", "days=5", "from=2026-01-31&to=2026-02-01",
    "from=2026-02-01&to=2026-01-31", "from=2026-01-01&to=2026-03-01", "from=soon&to=later"].map(named);
}"""


def test_figures_are_drawn_for_what_the_address_says_and_told_as_tables_and_csv(desk: Desk) -> None:
    for subject in ("Where is my card", "Card again"):
        post(desk, subject)
    desk.stack.reply(desk.stack.conversation("Card again")["id"], "In the post.", key="card", status="resolved")
    sol = desk.visit("/reports?days=7&by=agent", as_="sol")
    page = sol.page
    assert sol.module("kernel/chart.js", STEPS) == [1, 1, 2, 20, 50, 0.25, 30, 1800, 259200]
    assert sol.module("reports/figures.js", PERIODS) == [
        ["2026-02-19", "2026-03-18", "day", 28],
        ["2026-03-18", "2026-03-18", "day", 1],
        ["2026-03-12", "2026-03-18", "day", 7],
        ["2025-03-19", "2026-03-18", "month", 13],
        ["2026-02-19", "2026-03-18", "day", 28],
        ["2026-01-31", "2026-02-02", "day", 2],
        ["2026-02-19", "2026-03-18", "day", 28],
        ["2026-01-01", "2026-03-02", "week", 9],
        ["2026-02-19", "2026-03-18", "day", 28],
    ]
    figure = page.get_by_role("group", name="By day").first
    figure.focus()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("Messages in2", exact=True).wait_for()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("Messages in0", exact=True).wait_for()
    page.get_by_text("As a table").click()
    assert page.get_by_role("group", name="By day").nth(1).get_by_role("row").count() == 8
    assert page.get_by_role("group", name="Messages in: hours of the week").get_by_role("columnheader").count() == 24
    with page.expect_download() as download:
        page.get_by_role("link", name="Download volume-day.csv").click()
    lines = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))
    assert sum(int(line["received"]) for line in lines) == 2

    page.get_by_role("combobox", name="Inbox", exact=True).select_option(label="Support")
    page.wait_for_url(f"**/reports?days=7&by=agent&inbox_id={desk.inbox_id}")
    page.get_by_role("combobox", name="Team", exact=True).select_option(label="None")
    page.get_by_role("heading", name="Nothing in this time").wait_for()
    page.get_by_role("button", name="Show all").click()
    page.wait_for_url("**/reports?days=7&by=agent")
    page.get_by_role("link", name="Response times").click()
    page.wait_for_url("**/reports/response-times?days=7&by=agent")
    page.get_by_role("group", name="By agent").get_by_role("row", name="Mina Park First response 1").wait_for()

    page.get_by_role("combobox", name="Time", exact=True).select_option(label="Other days…")
    page.get_by_label("From").fill("2026-02-01")
    page.get_by_label("To", exact=True).fill("2026-01-01")
    page.get_by_role("button", name="Show", exact=True).click()
    assert page.get_by_label("To", exact=True).evaluate("one => one.validationMessage") == (
        "The first day is after the last one."
    )
    page.get_by_label("To", exact=True).fill("2026-02-03")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**/reports/response-times?by=agent&from=2026-02-01&to=2026-02-03")
    page.get_by_role("heading", name="Nothing in this time").wait_for()
    sol.untroubled()


def rated(desk: Desk, subject: str, score: int, comment: str) -> int:
    """A contact was asked and has answered; answers the number of the conversation."""
    about = desk.stack.conversation(subject)
    now = datetime.now(UTC)
    asked = {"resolved_at": now, "due_at": now, "asked_at": now, "expires_at": now + timedelta(days=9), "rated_at": now}
    ids = {"id": uuid4(), "event_id": uuid4(), "conversation_id": UUID(about["id"]), "inbox_id": UUID(desk.inbox_id)}
    ids |= {"contact_id": UUID(about["contact"]["id"]), "agent_id": UUID(desk.ids["ben"]), "digest": subject}
    words = {"channel": "email", "state": "asked", "outcome": "asked", "score": score, "comment": comment}
    engine = create_engine(f"sqlite:///{desk.stack.data / 'helpdesk.db'}")
    with engine.begin() as connection:
        connection.execute(insert(ratings).values(ids | asked | words))
    engine.dispose()
    return int(about["number"])


def test_what_contacts_said_leads_to_what_it_is_about(desk: Desk) -> None:
    for subject in ("Nobody came", "All is well"):
        post(desk, subject)
    number = rated(desk, "Nobody came", 2, "I had to ask twice.\nIt was late.")
    rated(desk, "All is well", 5, "")
    sol = desk.visit("/reports/ratings?days=7", as_="sol")
    said = sol.page.get_by_role("list", name="What was said").get_by_role("listitem")
    said.nth(1).wait_for()
    assert sol.faults() == []
    sol.page.get_by_label("Only with words").check()
    said.nth(1).wait_for(state="detached")
    sol.idle()
    assert "I had to ask twice." in said.inner_text()
    assert "Support · Ben Okafor" in said.inner_text()
    sol.page.get_by_label("Score", exact=True).select_option(label="5 of 5")
    sol.page.get_by_text("Nobody has said such a thing in this time.").wait_for()
    sol.page.get_by_label("Score", exact=True).select_option(label="2 of 5")
    said.get_by_role("link", name=f"#{number}").click()
    sol.page.get_by_role("heading", name="Nobody came").first.wait_for()
    sol.untroubled()


def test_each_report_is_without_fault_on_a_dark_phone_too(desk: Desk) -> None:
    sol = desk.visit("/reports/sla?days=7", as_="sol", theme="dark", language="zh-CN", device=PHONE)
    more = sol.page.get_by_role("button", name="筛选")
    assert not sol.page.get_by_role("combobox", name="客服").count(), (
        "what else can be chosen leaves the screen to the figures"
    )
    more.click()
    sol.page.get_by_role("combobox", name="客服").wait_for()
    more.click()
    assert sol.page.get_by_role("button", name="更多").get_attribute("aria-current") == "true"
    for link in sol.page.locator("nav.tabs a").all():
        link.click()
        assert sol.idle().faults() == []
        assert sol.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sol.untroubled()


def test_what_fails_says_so_and_is_tried_again(desk: Desk) -> None:
    ben = desk.visit("/reports/sla", as_="ben")
    ben.context.set_offline(True)
    ben.page.get_by_role("link", name="Backlog").click()
    ben.page.get_by_text("The desk cannot be reached.").wait_for()
    ben.context.set_offline(False)
    ben.page.get_by_role("button", name="Try again").click()
    ben.page.get_by_role("group", name="By inbox").wait_for()
    ben.forgive("ERR_INTERNET_DISCONNECTED")
    ben.untroubled()
