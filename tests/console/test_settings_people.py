"""Coming in, one's own account, and the settings of people, time, rules and programs."""

from __future__ import annotations

import base64
import hmac
import struct
import time
from typing import TYPE_CHECKING, Any

from tests.console.browser import PASSWORD, PHONE, Desk, Visit, address

if TYPE_CHECKING:
    from playwright.sync_api import Page

SPAM = {"field": "spam", "op": "eq", "value": True}
SEVEN = {"field": "number", "op": "eq", "value": 7}
TREES: list[dict[str, Any]] = [
    {},
    {"field": "status", "op": "eq", "value": "open"},
    {"field": "message.text", "op": "contains_any", "value": ["seed phrase", "助记词"]},
    {"field": "subject", "op": "eq", "value": "Refund"},
    {"field": "assignee_id", "op": "missing", "value": True},
    {"field": "waiting_since", "op": "before", "value": {"ago": 7200}},
    {"field": "next_due_at", "op": "before", "value": {"in": 90}},
    {"field": "rating", "op": "lte", "value": 2},
    {"field": "message.sender_verified", "op": "eq", "value": False},
    {"field": "mentioned", "op": "ne", "value": "me"},
    {"field": "number", "op": "in", "value": [1, 2]},
    {"field": "created_at", "op": "after", "value": "2026-01-31T09:00:00Z"},
    {"all": [{"field": "tag", "op": "not_in", "value": ["vip", "press"]}, SPAM]},
    {
        "any": [
            {"not": {"field": "priority", "op": "eq", "value": "low"}},
            {"not": {"any": [SPAM, {"field": "rating", "op": "gt", "value": 1}]}},
            {"all": [{"field": "custom_fields.old", "op": "gt", "value": 3}, SEVEN]},
        ]
    },
]
PAGES = (
    *("account", "agents", "teams/new", "hours", "policies", "rules/new", "webhooks/new", "tokens/new"),
    *("duty/new", "escalation/new", "alert-routes/new"),
)


def code(secret: str) -> str:
    """What an authenticator shows now (RFC 6238)."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30), "sha1")
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at : at + 4]) & 0x7FFFFFFF) % 1_000_000:06}"


def sign_in(page: Page, person: str, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail address").fill(address(person))
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def saved(visit: Visit) -> None:
    """What was sent is taken, and said to be."""
    visit.page.get_by_role("status").get_by_text("Saved.").last.wait_for()
    visit.idle()


def test_an_invited_colleague_comes_in_and_sets_up_a_second_step(desk: Desk) -> None:
    mina = desk.visit("/settings/agents/new")
    page = mina.page
    page.get_by_label("Name", exact=True).fill("Noor Haddad")
    page.get_by_label("E-mail address").fill(address("noor"))
    page.get_by_label("Role").select_option(label="Supervisor")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("The link").input_value()
    page.get_by_role("link", name="Noor Haddad").get_by_text("Not joined yet").wait_for()
    mina.forgive("404 (Not Found)")  # there was no invitation yet
    mina.untroubled()

    noor = desk.visit(link.removeprefix(desk.stack.url), as_="")
    page = noor.page
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Save the password").click()
    page.get_by_text("At least 10 characters.").last.wait_for()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Save the password").click()
    page.wait_for_url("**/login")
    sign_in(page, "noor")
    page.get_by_role("button", name="Your account: Noor Haddad").wait_for()

    noor.go("/settings/account")
    page.get_by_role("button", name="Set up the second step").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Current password").fill(PASSWORD)
    dialog.get_by_role("button", name="Go on").click()
    dialog.get_by_role("img", name="Scan this").wait_for()
    secret = dialog.get_by_label("Or type this in").input_value()
    dialog.get_by_label("Code").fill(code(secret))
    dialog.get_by_role("button", name="Confirm").click()
    recovery = dialog.get_by_label("All codes").input_value().split()
    assert len(recovery) == 10
    dialog.get_by_role("button", name="I have kept them").click()
    page.get_by_role("button", name="New recovery codes").wait_for()

    page.get_by_role("button", name="Your account: Noor Haddad").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.wait_for_url("**/login")
    sign_in(page, "noor")
    page.get_by_label("Code").fill(recovery[0])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Your account: Noor Haddad").wait_for()
    noor.forgive("401 (Unauthorized)", "422 (Unprocessable")
    noor.untroubled()


def test_the_password_is_asked_for_once_however_many_want_it(desk: Desk) -> None:
    sol = desk.visit("/settings/account", as_="sol")
    page = sol.page
    page.evaluate("globalThis.given = null")
    asking = (
        "m => m.loadArea('session').then(s => { Promise.all([s.proveAgain(), s.proveAgain()]).then(x => (given = x)) })"
    )
    sol.module("kernel/router.js", asking)
    dialog = page.get_by_role("dialog", name="Your password once more")
    dialog.get_by_label("Password").fill("not this one")
    dialog.get_by_role("button", name="Go on").click()
    dialog.get_by_text("The address or the password is wrong.").wait_for()
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Go on").click()
    page.wait_for_function("() => given?.length === 2")
    assert page.evaluate("given") == [True, True]
    sol.forgive("403 (Forbidden)")
    sol.untroubled()


def test_looks_are_kept_with_the_account(desk: Desk) -> None:
    eva = desk.visit("/settings/account", as_="eva")
    page = eva.page
    page.get_by_label("Appearance").select_option(label="Dark")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
    page.get_by_label("Shortcuts of a single key").uncheck()
    page.get_by_label("Name").fill("Eva Lin-Chen")
    page.get_by_label("Language").select_option(label="繁體中文")
    page.get_by_role("button", name="Save").first.click()
    page.get_by_role("heading", name="個人帳戶").wait_for()
    again = desk.visit("/settings/account", as_="eva", language="zh-TW")
    assert again.page.evaluate("document.documentElement.dataset.theme") == "dark"
    kept = again.page.evaluate("async () => (await fetch('/api/v1/me')).json()")
    assert (kept["name"], kept["locale"]) == ("Eva Lin-Chen", "zh-TW")
    assert (kept["preferences"]["theme"], kept["preferences"]["shortcuts"]) == ("dark", False)
    eva.untroubled()


def test_a_filter_is_read_and_written_as_it_was(desk: Desk) -> None:
    mina = desk.visit("/settings/rules/new")
    reading = "(m, trees) => trees.map((value) => m.conditions({ value, name: 'if', personal: true }).read())"
    assert mina.module("settings/conditions.js", reading, TREES) == TREES
    mina.untroubled()


def test_teams_hours_and_promises_are_made_as_they_are_said(desk: Desk, api: Any) -> None:
    mina = desk.visit("/settings/teams/new")
    page = mina.page
    page.get_by_label("Name", exact=True).fill("Night")
    page.get_by_role("combobox", name="Members", exact=True).fill("Ben")
    page.get_by_role("option", name="Ben Okafor").wait_for()
    page.keyboard.press("Enter")
    page.get_by_label("To whom").select_option(label="Whoever has least to do")
    page.get_by_role("button", name="Create").click()
    saved(mina)
    team = next(one for one in api("/teams")["items"] if one["name"] == "Night")
    assert (team["member_ids"], team["routing"]["method"]) == ([desk.ids["ben"]], "least_busy")

    mina.go("/settings/hours/new")
    page.get_by_label("Name", exact=True).fill("Taipei")
    page.get_by_label("Monday").fill("9-12, 13:30–18:00")
    page.get_by_role("button", name="Tuesday to Friday as Monday").click()
    page.get_by_label("Holidays").fill("2026-10-10 國慶日")
    page.get_by_label("Days with other hours").fill("2026-12-31 09:00-12:00 Last day\n2027-01-02 - Bridge day")
    page.get_by_role("button", name="Create").click()
    saved(mina)
    hours = api(f"/business-hours/{page.url.rpartition('/')[2]}")
    assert hours["weekly"] == [[["09:00", "12:00"], ["13:30", "18:00"]]] * 5 + [[], []]
    assert hours["holidays"] == [{"date": "2026-10-10", "name": "國慶日"}]
    assert [one["hours"] for one in hours["overrides"]] == [[["09:00", "12:00"]], []]

    mina.go("/settings/policies/new")
    page.get_by_label("Name", exact=True).fill("Press")
    page.get_by_role("button", name="Urgent").click()
    page.get_by_label("First response", exact=True).fill("2")
    page.get_by_role("button", name="Warning", exact=True).click()
    page.get_by_label("Part of the time").last.fill("90")
    page.get_by_role("button", name="Create").click()
    saved(mina)
    policy = api(f"/sla-policies/{page.url.rpartition('/')[2]}")
    assert (policy["priorities"], policy["targets"]["first_response"]) == (["urgent"], 7200)
    assert [one["fraction"] for one in policy["warnings"]] == [0.75, 0.9]
    mina.untroubled()


def test_secrets_are_shown_once_and_taken_back(desk: Desk, api: Any) -> None:
    mina = desk.visit("/settings/tokens/new")
    page = mina.page
    page.get_by_label("Name", exact=True).fill("Importer")
    page.get_by_role("button", name="read contacts").click()
    page.get_by_role("button", name="Create").click()
    assert page.get_by_label("The token").input_value().startswith("hd_")
    made = next(one for one in api("/tokens?agent_id=all")["items"] if one["name"] == "Importer")
    assert made["scopes"] == ["contacts:read"]
    page.get_by_role("button", name="Take back").click()
    page.get_by_role("dialog").get_by_role("button", name="Take back").click()
    page.get_by_text("Taken back.").wait_for()
    assert "Importer" not in [one["name"] for one in api("/tokens?agent_id=all")["items"]]

    mina.go("/settings/webhooks/new")
    page.get_by_label("Name", exact=True).fill("CRM")
    page.get_by_label("Address").fill("https://crm.customer.example/hook")
    page.get_by_role("button", name="Create").click()
    page.get_by_text("With it, receivers prove that a message is ours.").wait_for()
    assert page.get_by_role("textbox", name="Secret").input_value().startswith("whsec_")
    mina.go(page.url.removeprefix(desk.stack.url))
    page.get_by_role("button", name="Change the secret").wait_for()
    assert not page.get_by_role("textbox", name="Secret").count()
    mina.untroubled()


def test_an_agent_may_look_and_every_page_is_without_fault_on_a_phone(desk: Desk) -> None:
    rule = {"name": "Thanks", "when": {"events": ["message.received"]}, "do": [{"do": "tag", "add": ["thanks"]}]}
    made = desk.made("/automation-rules", rule)
    ben = desk.visit(f"/settings/rules/{made['id']}", as_="ben")
    ben.page.get_by_text("You can look at this.").wait_for()
    assert not ben.page.get_by_role("button", name="Save").count()
    assert (
        not ben.page.get_by_role("link", name="Webhooks").or_(ben.page.get_by_role("link", name="Alert routes")).count()
    )
    assert ben.page.get_by_role("link", name="Duty rosters").count()
    assert ben.faults() == []
    ben.untroubled()
    mina = desk.visit("/settings/account", device=PHONE, theme="dark")
    for path in PAGES:
        mina.follow(f"/settings/{path}").page.wait_for_url(f"**/settings/{path}")
        mina.idle()
        wide = mina.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert (mina.faults(), wide) == ([], 0), path
