"""Who is called when, what happens step by step, and what a promise said before."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.console.browser import Desk, Visit

THIS_YEAR = datetime.now(UTC).year
HOLIDAYS = f"""BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//wallet//EN
BEGIN:VEVENT
UID:1
DTSTART;VALUE=DATE:{THIS_YEAR + 1}0228
SUMMARY:Peace Memorial Day
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def saved(visit: Visit) -> None:
    """What was sent is taken, and said to be."""
    visit.page.get_by_role("status").get_by_text("Saved.").last.wait_for()
    visit.page.get_by_role("button", name="Close").last.click()
    visit.idle()


def test_who_is_called_is_said_and_changed(desk: Desk, api: Any) -> None:
    mina = desk.visit("/settings/duty/new")
    page = mina.page
    page.get_by_text("No rosters yet").wait_for()
    page.get_by_label("Name", exact=True).fill("Weekdays")
    shift = page.get_by_role("group", name="Shifts")
    shift.get_by_role("combobox", name="Who").fill("Ben")
    page.get_by_role("option", name="Ben Okafor").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Create").click()
    saved(mina)
    page.get_by_role("button", name="Day", exact=True).click()
    page.get_by_label("Date", exact=True).fill("2026-12-24")
    page.get_by_role("button", name="Save").click()
    other = page.get_by_role("group", name="Other days")
    other.get_by_text("at least 1").wait_for()  # nobody was named yet
    other.get_by_role("combobox", name="Who").fill("Eva")
    page.get_by_role("option", name="Eva Lin").wait_for()
    page.keyboard.press("Enter")
    other.get_by_label("Hours").fill("10-14")
    assert mina.faults() == []
    mina.shot("duty")
    page.get_by_role("button", name="Save").click()
    saved(mina)
    roster = api("/duty")["items"][0]
    assert roster["shifts"] == [{"agent_ids": [desk.ids["ben"]], "weekly": [[["09:00", "18:00"]]] * 5 + [[], []]}]
    assert roster["overrides"] == [
        {"date": "2026-12-24", "agent_ids": [desk.ids["eva"]], "hours": [["10:00", "14:00"]]}
    ]
    page.get_by_role("link", name="New roster").click()
    page.get_by_label("What it is").select_option(label="Whom to call when nobody is on duty")
    page.get_by_label("Name", exact=True).fill("Last resort")
    page.get_by_role("combobox", name="Who is called").fill("Sol")
    page.get_by_role("option", name="Sol Reyes").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Create").click()
    saved(mina)
    assert api("/duty/now")["fallback"] == [{"id": desk.ids["sol"], "name": "Sol Reyes"}]
    page.get_by_text("Sol Reyes would be called.").or_(page.get_by_text("On duty now: Ben Okafor.")).wait_for()

    page.get_by_role("link", name="Alert routes").click()
    page.get_by_text("Let alerts appear where your team talks").wait_for()
    page.get_by_role("link", name="New route").click()
    page.get_by_label("Name", exact=True).fill("Night watch")
    page.get_by_label("Tool").select_option(label="Telegram")
    page.get_by_label("Bot token").fill("123")
    page.get_by_label("Room").fill("-100200300")
    page.get_by_role("button", name="Create").click()
    page.get_by_text("this is no token of a bot").wait_for()
    page.get_by_label("Bot token").fill("123456:ABCDEFGHIJKLMNOP")
    page.get_by_role("button", name="Create").click()
    saved(mina)
    page.get_by_label("Which alerts").select_option(label="Only critical ones")
    page.get_by_role("button", name="Save").click()
    saved(mina)
    mina.shot("alert-routes")
    route = api("/alert-routes")["items"][0]
    assert (route["kind"], route["address"], route["severity"]) == ("telegram", ["bot_token", "chat_id"], "critical")
    page.get_by_role("button", name="Post a test").click()
    page.get_by_text("Not posted:").wait_for()
    mina.forgive("422 (Unprocessable")
    mina.untroubled()


def test_a_ladder_is_climbed_in_its_steps_and_goes_back_to_what_it_was(desk: Desk, api: Any) -> None:
    mina = desk.visit("/settings/escalation/new")
    page = mina.page
    page.get_by_label("Name", exact=True).fill("Press is waiting")
    page.get_by_role("button", name="First response").click()
    page.get_by_role("button", name="Step", exact=True).click()
    second = page.get_by_role("group", name="Steps").last
    second.get_by_label("After", exact=True).fill("2")
    second.get_by_role("combobox", name="Action", exact=True).select_option(label="set the priority to")
    page.get_by_role("button", name="Create").click()
    saved(mina)
    ladder = api(f"/escalation-rules/{page.url.rpartition('/')[2]}")
    assert (ladder["anchor"], ladder["clocks"]) == ("breach", ["first_response"])
    assert [(one["after"], one["actions"][0]["do"]) for one in ladder["steps"]] == [(0, "alert"), (7200, "priority")]

    page.get_by_label("It begins when").select_option(label="a complaint is raised")
    second.get_by_role("combobox", name="Priority", exact=True).select_option(label="Urgent")
    page.get_by_role("button", name="Save").click()
    saved(mina)
    assert api(f"/escalation-rules/{ladder['id']}")["clocks"] == []
    page.get_by_text("Versions", exact=True).click()
    page.get_by_text("Version 2").click()
    changed = page.get_by_role("listitem").filter(has_text="Version 2")
    changed.get_by_text("a complaint is raised").wait_for()
    assert changed.locator("del").all_inner_texts() == [
        "a promise is broken",
        "First response",
        "set the priority to High",
    ]
    assert changed.locator("ins").all_inner_texts() == ["a complaint is raised", "set the priority to Urgent"]
    assert "Mina Park" in changed.inner_text()
    assert mina.faults() == []
    changed.scroll_into_view_if_needed()
    mina.shot("versions")
    page.get_by_text("Version 1").click()
    page.get_by_text("This is how it began.").wait_for()
    page.get_by_role("button", name="Go back to this").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back to this").click()
    saved(mina)
    again = api(f"/escalation-rules/{ladder['id']}")
    assert (again["version"], again["steps"], again["clocks"]) == (3, ladder["steps"], ladder["clocks"])
    assert page.get_by_label("It begins when").evaluate("one => one.selectedOptions[0].text") == "a promise is broken"
    mina.untroubled()


def test_holidays_come_out_of_a_file_and_are_seen_coming(desk: Desk, api: Any, tmp_path: Path) -> None:
    hours = api("/business-hours")["items"][0]["id"]
    mina = desk.visit(f"/settings/hours/{hours}")
    page = mina.page
    page.get_by_label("From", exact=True).select_option(label="a calendar file")
    file = tmp_path / "holidays.ics"
    file.write_bytes(HOLIDAYS.encode())
    page.get_by_label("File (.ics)").set_input_files(file)
    page.get_by_label("Years").fill("")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("status").filter(has_text=f"{THIS_YEAR + 1}-02-28 Peace Memorial Day").wait_for()
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("listitem").filter(has_text="Peace Memorial Day").get_by_text(
        f"February 28, {THIS_YEAR + 1}"
    ).wait_for()
    mina.idle()
    assert {"date": f"{THIS_YEAR + 1}-02-28", "name": "Peace Memorial Day"} in api(f"/business-hours/{hours}")[
        "holidays"
    ]
    page.get_by_text("Versions", exact=True).click()
    page.get_by_text("Version 2").click()
    page.get_by_role("listitem").filter(has_text="Version 2").locator("ins").get_by_text(
        "Peace Memorial Day"
    ).wait_for()
    assert mina.faults() == []
    page.get_by_role("heading", name="Coming up").scroll_into_view_if_needed()
    mina.shot("hours")
    mina.untroubled()


def test_a_condition_names_a_moment_as_the_clock_of_whoever_looks_has_it(desk: Desk, api: Any) -> None:
    old = {"field": "created_at", "op": "before", "value": "2026-01-31T09:00:00Z"}
    rule = {
        "name": "Old ones",
        "if": old,
        "when": {"events": ["message.received"]},
        "do": [{"do": "tag", "add": ["old"]}],
    }
    made = desk.made("/automation-rules", rule)
    mina = desk.visit(f"/settings/rules/{made['id']}")
    page = mina.page
    at = page.get_by_label("Value", exact=True)
    assert at.input_value() == "2026-01-31T17:00"  # in Taipei
    at.fill("2026-02-01T00:00")
    page.get_by_label("How it is compared").select_option(label="after")
    page.get_by_role("button", name="Save").click()
    saved(mina)
    assert api(f"/automation-rules/{made['id']}")["if"] == old | {"op": "after", "value": "2026-01-31T16:00:00Z"}
    mina.shot("rules")
    page.get_by_label("How it is compared").select_option(label="longer ago than")
    mina.idle()
    assert page.get_by_label("Value", exact=True).input_value() == "1"
    mina.untroubled()
