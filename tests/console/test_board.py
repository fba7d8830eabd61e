"""The live board and the alerts: what waits, who is there, and what calls somebody."""

from __future__ import annotations

from tests.console.browser import PASSWORD, PHONE, Desk
from tests.console.test_shell import post


def test_the_board_tells_what_waits_with_whom_and_leads_there(desk: Desk) -> None:
    post(desk, "Nobody has this")
    post(desk, "Ben has this")
    desk.stack.change(desk.stack.conversation("Ben has this")["id"], assignee_id=desk.ids["ben"])
    desk.made("/teams", {"name": "Averyveryverylongnameofateamwithoutanyspacebetween", "member_ids": []})
    (first_line,) = [one["id"] for one in desk.stack.every("/teams") if one["name"] == "First line"]
    sol = desk.visit("/board", as_="sol")
    page = sol.page
    page.get_by_role("link", name="Waiting for us 2").wait_for()
    page.get_by_role("link", name="Nobody has it 1 open").wait_for()
    teams = page.get_by_role("group", name="Teams")
    assert teams.get_by_role("row").count() == 3, "what is of no team is there only where there is something"
    row = teams.get_by_role("row", name="First line")
    waiting, _, queued, whole = (cell.inner_text() for cell in row.get_by_role("cell").all())
    assert (waiting, queued, whole) == ("2", "1", "2")
    assert page.get_by_role("row", name="Ben Okafor On duty").get_by_role("cell").all_inner_texts()[-2:] == ["1", "0"]
    assert sol.faults() == []
    row.get_by_role("link").click()
    page.get_by_role("option", name="Nobody has this").wait_for()
    assert page.url.endswith(f"/inbox/team-{first_line}")
    sol.untroubled()

    small = desk.visit("/board", as_="sol", theme="dark", language="zh-CN", device=PHONE)
    assert small.faults() == []
    assert small.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small.untroubled()

    ben = desk.visit("/board", as_="ben")
    ben.page.get_by_role("heading", name="The board is for supervisors").wait_for()
    assert not [one for one in ben.asked if one.startswith("/api/v1/board")]
    ben.untroubled()


def test_an_alert_comes_live_and_is_taken_by_keys(desk: Desk) -> None:
    elsewhere = desk.visit("/settings/account")
    mina = desk.visit("/alerts")
    page = mina.page
    rows = page.locator("main").get_by_role("listitem")
    before = rows.count()
    page.get_by_role("link", name=f"Alerts, {before} open").wait_for()
    body = {"email": "zoe@wallet.example", "name": "Zoe Marsh", "role": "supervisor", "password": PASSWORD}
    desk.made("/agents", body)
    rows.nth(before).wait_for()
    page.get_by_role("link", name=f"Alerts, {before + 1} open").wait_for()
    elsewhere.page.get_by_role("status").get_by_text("An alert calls you.").wait_for()
    elsewhere.untroubled()
    newest = rows.first
    newest.get_by_text("Somebody has another role now").wait_for()
    newest.get_by_text("Called: Mina Park").wait_for()
    newest.get_by_text("Changed: Zoe Marsh").wait_for()
    newest.get_by_text("Done by Mina Park").wait_for()
    assert mina.faults() == []
    newest.get_by_role("button", name="I have it").focus()
    page.keyboard.press("Enter")
    page.get_by_text("It is yours now.").wait_for()
    page.wait_for_function("n => document.querySelectorAll('main li').length === n", arg=before)
    assert page.evaluate("document.activeElement.tagName") in ("BUTTON", "H1"), "focus is not lost with the row"
    page.get_by_role("link", name="Somebody has it").click()
    page.get_by_text("Mina Park took it").wait_for()
    page.get_by_role("link", name="Over", exact=True).click()
    page.get_by_role("heading", name="Nothing here yet").wait_for()
    mina.untroubled()
