"""The pages of the house: who signs on from elsewhere, who did what, what takes long, what was taken along."""

from __future__ import annotations

import json
from pathlib import Path

from tests.console.browser import PHONE, Desk
from tests.console.test_settings_inboxes import saved, send
from tests.console.test_shell import post
from tests.peers.token_server import CLIENT_ID, CLIENT_SECRET, TokenServer

PAGES = ("sso/new", "audit", "jobs", "exports")


def test_a_provider_is_added_and_the_audit_says_who_did_it(desk: Desk) -> None:
    mina = desk.visit("/settings/sso/new")
    page = mina.page
    assert page.get_by_label("Redirect URI").input_value() == f"{desk.stack.url}/api/v1/auth/sso/callback"
    page.get_by_label("Name", exact=True).fill("Wallet ID")
    page.get_by_label("Issuer").fill("https://id.wallet.example")
    page.get_by_label("Client ID").fill("desk")
    page.get_by_label("Client secret").fill("from the provider")
    page.get_by_label("Whose addresses").fill("wallet.example\nnobody@wallet.example")
    send(page, "Create")
    page.get_by_label("Whose addresses").and_(page.locator("[aria-invalid=true]")).wait_for()
    page.get_by_label("Whose addresses").fill("wallet.example")
    send(page, "Create")
    saved(page)
    (made,) = desk.stack.every("/sso-providers")
    assert (made["has_secret"], made["domains"], made["enabled"]) == (True, ["wallet.example"], True)
    page.get_by_label("The provider gave no secret").check()
    page.get_by_label("Client secret").wait_for(state="hidden")
    send(page, "Save")
    saved(page)
    assert desk.stack.get(f"/sso-providers/{made['id']}")["has_secret"] is False

    few = ("limit=50", "limit=3")
    page.route("**/api/v1/audit?*", lambda route: route.continue_(url=route.request.url.replace(*few)))
    mina.go("/settings/audit")
    page.get_by_label("To what").select_option(label="Sign-on providers")
    page.wait_for_url("**/settings/audit?subject_type=sso_provider")
    rows = page.get_by_role("list", name="Audit log").get_by_role("listitem")
    mina.idle()
    rows.filter(has_text="Fields: secret").wait_for()
    assert [row.locator("p").first.inner_text() for row in rows.all()] == [
        "Mina Park changed the sign-on provider Wallet ID",
        "Mina Park created the sign-on provider Wallet ID",
    ]
    rows.last.get_by_text("Details").click()
    rows.last.get_by_text("https://id.wallet.example").wait_for()
    page.get_by_label("By whom").select_option(label="Ben Okafor")
    page.get_by_text("Nothing was done that all of these filters fit.").wait_for()
    page.get_by_role("button", name="Show all").click()
    page.get_by_text("created the agent Mina Park").wait_for()  # the first of all: it goes on by itself
    assert rows.count() == len(desk.stack.every("/audit"))
    assert mina.idle().faults() == []
    mina.forgive("422 (Unprocessable")
    mina.untroubled()


def test_what_takes_long_is_followed_and_what_is_taken_along_is_written_down(desk: Desk) -> None:
    for subject in ("Fees", "Swap"):
        post(desk, subject)
    ids = [desk.stack.conversation(subject)["id"] for subject in ("Fees", "Swap")]
    foreign = desk.ids["ben"]
    job = desk.made("/conversations/bulk", {"ids": [*ids, foreign], "set": {"priority": "high"}})["job_id"]
    mina = desk.visit("/settings/jobs")
    page = mina.page
    page.get_by_role("link", name="Many conversations at once").click()
    page.wait_for_url(f"**/settings/jobs/{job}")
    page.get_by_text("3 of 3", exact=True).wait_for()
    page.get_by_role("link", name="Fees").wait_for()
    told = page.get_by_role("list", name="What became of each").get_by_role("listitem").all_inner_texts()
    assert sorted(one.split()[-1] for one in told) == ["changed", "changed", "refused"]

    # One that goes on for long enough to be ended by somebody.
    going = {**desk.stack.get(f"/jobs/{job}"), "state": "running", "done": 1, "finished_at": None}
    ended = {**going, "state": "failed", "error": "cancelled"}
    page.route("**/api/v1/jobs?*", lambda route: route.fulfill(json={"items": [going], "next_cursor": None}))
    page.route("**/cancel", lambda route: route.fulfill(json=ended))
    mina.go(f"/settings/jobs/{job}")
    send(page, "End the job")
    page.get_by_role("dialog").get_by_role("button", name="End the job").click()
    page.get_by_text("Ended early").first.wait_for()
    mina.untroubled()
    page.unroute_all()

    sol = desk.visit("/settings/exports?status=open&q=Swap", as_="sol")
    page = sol.page
    assert not page.get_by_role("heading", name="Taken along lately").count(), "the audit is the administrators'"
    page.get_by_role("combobox", name="Format").select_option(label="JSON Lines, for programs")
    page.get_by_label("With all messages").check()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export", exact=True).click()
    lines = [json.loads(line) for line in Path(download.value.path()).read_text("utf-8").splitlines()]
    assert [next(iter(line)) for line in lines] == ["conversation", "message", "end"]
    assert lines[0]["conversation"]["subject"] == "Swap"
    page.get_by_label("Begun from").fill("2026-02-02")
    page.get_by_label("Begun until").fill("2026-01-01")
    page.get_by_text("The first day is after the last one.").wait_for()
    assert page.get_by_text("Export", exact=True).last.evaluate("one => one.closest('a').href") == ""
    sol.untroubled()


def test_the_pages_of_the_house_are_without_fault_on_a_phone_and_not_for_everybody(desk: Desk) -> None:
    desk.stack.http.get("/exports/conversations", params={"status": "snoozed"}).raise_for_status()
    mina = desk.visit("/settings", device=PHONE, theme="dark")
    for path in PAGES:
        mina.follow(f"/settings/{path}").page.wait_for_url(f"**/settings/{path}")
        mina.idle()
        wide = mina.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert (mina.faults(), wide) == ([], 0), path
    mina.page.get_by_text("Mina Park · Conversations · 0 lines").wait_for()
    mina.untroubled()
    ben = desk.visit("/settings/jobs", as_="ben")
    ben.page.get_by_role("heading", name="No jobs").wait_for()
    for name in ("Single sign-on", "Audit log", "Exports"):
        assert not ben.page.get_by_role("link", name=name).count()
    ben.untroubled()


def test_a_mailbox_is_consented_to_in_the_browser_and_a_webhook_told_again(desk: Desk) -> None:
    with TokenServer() as issuer:
        settings = {"address": "billing@wallet.example", "receive": "imap", "imap_url": "imaps://imap.wallet.example"}
        settings |= {"auth": "xoauth2", "oauth_provider": "custom", "oauth_scope": "mail", "oauth_client_id": CLIENT_ID}
        settings |= {"oauth_client_secret": CLIENT_SECRET, "oauth_token_url": issuer.url("/token")}
        settings |= {"oauth_authorize_url": issuer.url("/authorize"), "imap_user": "billing"}
        body = {"channel": "email", "name": "Billing", "settings": settings, "state": "paused"}
        inbox = desk.made("/inboxes", body)["id"]
        mina = desk.visit(f"/settings/inboxes/{inbox}")
        send(mina.page, "Ask for consent")
        mina.page.get_by_text("Consent is given, and stored.").wait_for()
        assert mina.page.url == f"{desk.stack.url}/settings/inboxes/{inbox}?consent=granted"
        assert "oauth_refresh_token" in desk.stack.get(f"/inboxes/{inbox}")["secrets"]
        issuer.status = 400
        send(mina.page, "Ask for consent")
        mina.page.get_by_text("The provider granted nothing.").wait_for()
        assert mina.idle().faults() == []

    page = mina.page
    url = "https://crm.customer.example/hook"
    hook = desk.made("/webhooks", {"name": "CRM", "url": url, "events": ["conversation.created"]})["id"]
    mina.go(f"/settings/webhooks/{hook}")
    send(page, "Tell again what happened")
    page.get_by_text("Please fill this in.").wait_for()
    page.get_by_label("From").fill("2026-01-01T09:00:00")
    send(page, "Tell again what happened")
    page.get_by_role("status").get_by_text("told again.").wait_for()
    assert mina.idle().faults() == []
    page.get_by_role("link", name="Show progress").click()
    page.get_by_role("heading", name="Events told again to a webhook").wait_for()
    mina.untroubled()
