"""What is done to a conversation by a dialog, each used as people use it and judged by what the API then says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from typing import TYPE_CHECKING, Any

import httpx

from tests.console.browser import Desk, Visit
from tests.console.test_composer import asked, holds, said, text

if TYPE_CHECKING:
    from playwright.sync_api import Locator

SECRET = "a secret of the host site, 32 and more"


def chosen(visit: Visit, entry: str) -> Locator:
    """The dialog behind an entry of the conversation's menu."""
    visit.page.get_by_role("button", name="More actions", exact=True).first.click()
    visit.page.get_by_role("menuitem", name=entry).click()
    return visit.page.get_by_role("dialog")


def test_a_conversation_is_given_on_handed_over_and_put_away(desk: Desk) -> None:
    settings = {"identity_secret": SECRET}
    chat = desk.made("/inboxes", {"channel": "chat", "name": "Website", "settings": settings})["id"]
    second = desk.made("/teams", {"name": "Second line", "member_ids": [desk.ids["eva"], desk.ids["mina"]]})["id"]
    stuck = asked(desk, "Funds are stuck")
    path = f"/conversations/{stuck}"
    mina = desk.visit(path)
    page = mina.page
    page.get_by_role("heading", name="Funds are stuck").wait_for()

    dialog = chosen(mina, "Transfer")
    dialog.get_by_label("Note for them").fill("He has sent the hash.")
    dialog.get_by_role("button", name="Transfer it").click()
    dialog.get_by_text("Please fill this in.").wait_for()
    assert dialog.get_by_label("Team").evaluate("field => field === document.activeElement")
    dialog.get_by_label("Team").select_option(label="Second line")
    dialog.get_by_label("Colleague").select_option(label="Eva Lin")
    desk.stack.change(stuck, priority="high")  # a colleague, meanwhile
    assert mina.faults() == []
    mina.shot("transfer")
    dialog.get_by_role("button", name="Transfer it").click()
    page.get_by_text("Transferred.").wait_for()
    found = desk.stack.get(path)
    assert (found["team"]["id"], found["assignee"]["id"], found["priority"]) == (second, desk.ids["eva"], "high")
    (note,) = said(desk, stuck, private=True)
    assert note["text"] == "He has sent the hash."
    page.get_by_role("log").get_by_text("He has sent the hash.").wait_for()

    dialog = chosen(mina, "Invite to a chat")
    dialog.get_by_label("Language").select_option(label="English")
    assert mina.faults() == []
    mina.shot("hand-over")
    dialog.get_by_role("button", name="Invite").click()
    page.get_by_text("The invitation is on its way.").wait_for()
    (invitation,) = said(desk, stuck)
    assert invitation["visibility"] == "direct"
    page.get_by_role("log").get_by_text(invitation["text"][:20]).wait_for()

    dialog = chosen(mina, "Spam")
    dialog.get_by_label("Block Mei Lin as well").check()
    mina.shot("spam")
    dialog.get_by_role("button", name="Mark it").click()
    page.get_by_text("Marked as spam.", exact=True).wait_for()
    contact = f"/contacts/{found['contact']['id']}"
    assert (desk.stack.get(path)["spam"], desk.stack.get(contact)["blocked"]) == (True, True)
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("It is back in the lists.").wait_for()
    desk.stack.until("let in again", lambda: not desk.stack.get(contact)["blocked"])
    assert not desk.stack.get(path)["spam"]
    chosen(mina, "Spam").get_by_role("button", name="Mark it").click()
    page.get_by_text("Marked as spam.", exact=True).wait_for()
    chosen(mina, "Not spam")
    desk.stack.until("back in the lists", lambda: not desk.stack.get(path)["spam"])
    mina.forgive("412 (Precondition Failed)")
    mina.untroubled()

    visited = visitor(desk, chat)
    sol = desk.visit(f"/conversations/{visited}", as_="sol", language="zh-CN")
    page, transcript = sol.page, f"**/conversations/{visited}/transcript"
    page.get_by_role("log").get_by_text("Where is it?").wait_for()
    refusal = {"type": "urn:helpdesk:problem:something_new", "detail": "the gate is shut"}
    page.route(transcript, lambda route: route.fulfill(status=409, json=refusal))
    mail_it(sol)
    toast = page.get_by_role("status").filter(has_text="操作未成功")
    assert not toast.get_by_text("the gate is shut").is_visible(), "English, and for those who want it"
    toast.get_by_text("系统提示").click()
    toast.get_by_text("the gate is shut").wait_for()
    sol.shot("folded")
    page.unroute(transcript)
    mail_it(sol)
    page.get_by_text("聊天记录已发出。").wait_for()
    letters = [one["text"] for one in desk.stack.messages(visited) if one["author"]["kind"] == "system"]
    assert any("Where is it?" in one for one in letters)
    sol.forgive("409 (Conflict)")
    sol.untroubled()


def mail_it(visit: Visit) -> None:
    visit.page.get_by_role("button", name="更多操作", exact=True).first.click()
    visit.page.get_by_role("menuitem", name="发送聊天记录").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="发送").click()


def visitor(desk: Desk, inbox_id: str) -> str:
    """The conversation of somebody whom the host site vouches for, with an address."""
    claims = {"aud": inbox_id, "sub": "4711", "jti": "once", "exp": int(time.time()) + 600}
    parts = [{"alg": "HS256"}, {**claims, "name": "Ann", "email": "ann@customer.example"}]
    encoded = ".".join(_b64(json.dumps(one).encode()) for one in parts)
    signed = f"{encoded}.{_b64(hmac.new(SECRET.encode(), encoded.encode(), hashlib.sha256).digest())}"
    with httpx.Client(base_url=f"{desk.stack.url}/channels/chat", trust_env=False) as site:
        begun = site.post(f"/{inbox_id}/sessions", json={"identity": signed})
        assert begun.status_code == 201, begun.text
        site.headers["Authorization"] = f"Bearer {begun.json()['token']}"
        told = site.post("/messages", json={"client_id": "1", "text": "Where is it?"})
        assert told.status_code == 201, told.text
        found: str = told.json()["conversation_id"]
        return found


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_of_two_drafts_that_differ_none_is_lost(desk: Desk) -> None:
    here = asked(desk, "Two windows")
    path = f"/api/v1/conversations/{here}/draft"
    ben = desk.visit(f"/inbox/open/{here}", as_="ben")
    other = desk.visit(f"/inbox/open/{here}", as_="ben", context=ben.context)
    with httpx.Client(base_url=desk.stack.url, trust_env=False, headers={"Origin": desk.stack.url}) as http:
        http.cookies.set("helpdesk", desk.cookie("ben"))

        def kept() -> Any:
            found = http.get(path)
            return found.json()["content"]["text"] if found.status_code == 200 else None

        def elsewhere(words: str) -> None:
            """On another device, of which no window is told."""
            match = {"If-Match": http.get(path).headers["ETag"]}
            assert http.put(path, json={"text": words}, headers=match).status_code == 200

        text(ben).fill("Begun")
        holds(other, "Begun")
        other.page.route(f"**{path}", lambda route: route.abort())
        text(other).fill("Written without a network")
        text(ben).fill("Written in the first window")
        differ = other.page.get_by_text("Something else was kept in another window:")
        differ.wait_for()
        assert other.faults() == []
        other.shot("drafts")
        other.page.unroute(f"**{path}")
        other.page.get_by_role("button", name="Keep mine").click()
        holds(ben, "Written without a network")
        assert kept() == "Written without a network"

        for take, wanted in (("Take both", "On the phone 0\n\nHere 0"), ("Take that", "On the phone 1")):
            turn = re.findall(r"\d", wanted)[0]
            elsewhere(f"On the phone {turn}")
            text(ben).fill(f"Here {turn}")
            ben.page.get_by_role("button", name=take).click()
            holds(ben, wanted)
            desk.stack.until("both are as one", lambda wanted=wanted: kept() == wanted)  # type: ignore[misc]
    assert not said(desk, here)
    for visit in (ben, other):
        visit.forgive("412 (Precondition Failed)", "404 (Not Found)", "ERR_FAILED")
        visit.untroubled()
