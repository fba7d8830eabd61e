"""One stream for all tabs of a browser, what comes in its place, and what people are told when there is none."""

from __future__ import annotations

from tests.console.browser import PHONE, Desk
from tests.console.test_shell import post

STREAM = "/api/v1/stream"


def test_tabs_share_a_stream_which_the_next_one_takes_over(desk: Desk) -> None:
    first = desk.visit("/inbox")
    second = desk.visit("/inbox", context=first.context)
    post(desk, "Seen in both tabs")
    for tab in (first, second):
        tab.page.get_by_role("option", name="Seen in both tabs").wait_for()
    assert (STREAM in first.asked, STREAM in second.asked) == (True, False)
    first.page.close()
    post(desk, "Seen in the tab that is left")
    second.page.get_by_role("option", name="Seen in the tab that is left").wait_for()
    assert STREAM in second.asked
    second.untroubled()


def test_where_no_stream_comes_through_it_is_asked_again_and_again(desk: Desk) -> None:
    context = desk.browser(as_="eva", device=PHONE)
    context.route(f"**{STREAM}", lambda route: route.abort())
    eva = desk.visit("/inbox", as_="eva", context=context)
    with eva.page.expect_request(lambda asked: "/stream/poll?after=" in asked.url, timeout=30_000):
        pass
    post(desk, "Told by poll")
    eva.page.get_by_role("option", name="Told by poll").wait_for()
    context.set_offline(True)
    eva.page.get_by_text("No connection. What you write is kept here until it is back.").wait_for()
    context.set_offline(False)
    eva.page.get_by_text("No connection.").wait_for(state="detached")
    eva.page.get_by_role("button", name="More").click()
    eva.page.get_by_role("menuitem", name="Settings").click()
    eva.page.wait_for_url("**/settings")
    assert eva.faults() == []
    eva.forgive("net::ERR")
    eva.untroubled()
