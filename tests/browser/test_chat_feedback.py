"""The feedback form in Chromium, from the widget and by its own line, and what the agents then have."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import connectors.chat
from tests.browser.chat_scene import DESKTOP, MAIL, PHONE, Scene
from tests.browser.test_chat_widget import PHRASE, faults_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route

FORM = Path(connectors.chat.__file__).parent / "assets" / "feedback.js"
TAKE = "const data = new DataTransfer(); data.items.add(new File([new Uint8Array(bytes)], name, {type}));"
PASTE = (
    f"(to, [bytes, name, type]) => {{ {TAKE} to.dispatchEvent(new ClipboardEvent('paste', "
    "{clipboardData: data, bubbles: true, cancelable: true})) }"
)
DROP = PASTE.replace("ClipboardEvent('paste', {clipboardData", "DragEvent('drop', {dataTransfer")
# A screen of this browser's own making: what is really asked of the user, no test can answer.
SCREEN = """
navigator.mediaDevices.getDisplayMedia = async () => {
  const canvas = document.createElement("canvas");
  const paint = () => canvas.getContext("2d").fillRect(0, 0, 64, 48);
  [canvas.width, canvas.height] = [64, 48];
  setInterval(paint, 50);
  paint();
  return (globalThis.screenShown = canvas.captureStream(20));
};
"""


class Form:
    """The form on a page, by what a user sees of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.dialog = page.locator("helpdesk-feedback dialog")

    def asked(self, **given: str) -> Form:
        """Open it by the widget's public function."""
        self.page.evaluate("(given) => { window.helpdesk.chat.feedback(given) }", given)
        self.field("category").wait_for()
        return self

    def field(self, name: str) -> Locator:
        return self.dialog.locator(f"[name={name}]")

    def fill(self, text: str, *, email: str = MAIL) -> Form:
        self.field("category").select_option(index=1)
        self.field("text").fill(text)
        if self.field("email").is_visible():
            self.field("email").fill(email)
        return self

    def paste(self, name: str = "pasted.png") -> Form:
        self.field("text").evaluate(PASTE, [list(self.page.screenshot()), name, "image/png"])
        self.dialog.locator(".chips li", has_text=name).wait_for()
        return self

    def send(self) -> Form:
        self.dialog.locator("[type=submit]").click()
        return self

    def thanked(self) -> Form:
        self.dialog.locator(".done h3").wait_for()
        return self


def alone(desk: Scene, browser: Browser, *, before: str = "") -> Page:
    """A page of the website with no chat, only the form's own line and a button."""
    page = browser.new_context(**DESKTOP, reduced_motion="reduce", locale="en").new_page()
    page.set_default_timeout(15_000)
    if before:
        page.add_init_script(before)
    website = desk.website
    website.language, website.module = "en", "feedback.js"
    website.body = "<main><h1>Harbor Wallet</h1><button data-helpdesk-feedback>Give feedback</button></main>"
    try:
        page.goto(f"{website.origin}/")
    finally:
        website.module = "widget.js"
    return page


def kept(desk: Scene) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The newest conversation, its one message, and the words of its notes."""
    found = desk.conversation()
    (message,) = desk.heard(found, 1)
    notes = [one["text"] for one in desk.stack.messages(found) if one["private"]]
    return desk.stack.get(f"/conversations/{found}"), message, "\n".join(notes)


def token_of(context: BrowserContext) -> str:
    (origin,) = [one for one in context.storage_state()["origins"] if one["localStorage"]]
    (session,) = [one["value"] for one in origin["localStorage"] if one["name"].endswith(".session")]
    found: str = json.loads(session)["token"]
    return found


def test_it_is_one_small_module_without_markup_out_of_strings() -> None:
    code = FORM.read_bytes()
    assert len(gzip.compress(code, 9)) <= 10_000
    assert b"\nimport " not in code
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacentHTML|\beval\b|document\.write", code)


def test_every_text_is_there_in_three_languages(desk: Scene, browser: Browser) -> None:
    page = alone(desk, browser)
    read = "async (name) => (await import(new URL(name, document.querySelector('script').src))).TEXTS"
    texts, shared = page.evaluate(read, "feedback.js"), page.evaluate(read, "widget.js")
    for key, told in texts.items():
        assert len(told) == 3, key
        assert all(one.strip() for one in told), key
        assert len({tuple(sorted(re.findall(r"\{\w+\}", one))) for one in told}) == 1, key
        assert not re.search(r"[\u4e00-\u9fff]", told[0]), key
        assert all(re.search(r"[\u4e00-\u9fff]", one) for one in told[1:]), key
    used = set(re.findall(r"\b(?:t|note)\(\"(\w+)\"", FORM.read_text(encoding="utf-8")))
    assert used <= {*texts, *shared}
    assert {"secretText", "secretSend", "maybeText", "maybeSend", "trouble", "slower"} <= set(shared)
    assert page.locator(".launcher").count() == 0
    page.context.close()


def test_feedback_with_a_pasted_screenshot_reaches_the_agents_whole(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser)
    form = Form(visit.page).asked(appVersion="3.2.1 (beta)").fill("The balance flickers").paste()
    facts = form.dialog.locator("#facts li").all_inner_texts()
    assert facts[0] == "App version: 3.2.1 (beta)"
    device = facts[1].removeprefix("Device: ")
    assert "Linux" in device
    chosen = form.field("category").input_value()
    assert not [one for one in visit.asked if one.endswith(("/sessions", "/attachments", "/feedback"))]
    form.send().thanked()
    found, message, notes = kept(desk)
    assert (found["tags"], found["category"]) == (["feedback"], chosen)
    assert message["text"] == "The balance flickers"
    (file,) = message["attachments"]
    assert (file["filename"], file["content_type"]) == ("pasted.png", "image/png")
    assert "3.2.1 (beta)" in notes
    assert device in notes
    # What the agents answer is read in the chat of the same page, which goes on with the session.
    desk.answer(found["id"], "Which phone is it?")
    form.dialog.locator(".done .primary").click()
    visit.open().sees("Which phone is it?")
    assert not visit.troubles
    visit.context.close()


def test_it_uses_the_session_of_the_chat_and_asks_nothing_twice(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.say("Hello")
    chat = desk.conversation()
    before = token_of(visit.context)
    form = Form(visit.page).asked()
    assert not form.field("email").is_visible()
    form.fill("I like it").send().thanked()
    assert token_of(visit.context) == before
    found, _, _ = kept(desk)
    assert found["id"] != chat
    assert found["contact"]["id"] == desk.stack.get(f"/conversations/{chat}")["contact"]["id"]
    assert not visit.troubles
    visit.context.close()


def test_when_the_answer_is_lost_the_same_feedback_goes_again_and_is_kept_once(desk: Scene, browser: Browser) -> None:
    page = alone(desk, browser)
    sent: list[dict[str, Any]] = []

    def lose_the_first(route: Route) -> None:
        sent.append(route.request.post_data_json)
        if len(sent) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/feedback", lose_the_first)
    page.get_by_role("button", name="Give feedback").click()
    form = Form(page)
    form.field("category").wait_for()
    form.fill("It was lost on the way").paste().send()
    form.dialog.locator(".trouble", has_text="No connection").wait_for()
    assert form.field("text").input_value() == "It was lost on the way"
    assert form.dialog.locator("[type=submit]").inner_text() == "Try again"
    form.send().thanked()
    assert sent[0] == sent[1]
    _, message, _ = kept(desk)
    assert len(message["attachments"]) == 1
    told = [one["id"] for one in desk.stack.conversations(inbox_id=desk.inbox_id)]
    assert set(told) == desk.talked
    page.context.close()


def test_by_its_own_line_the_keyboard_does_it_all_and_comes_back(desk: Scene, browser: Browser) -> None:
    page = alone(desk, browser)
    page.evaluate("document.documentElement.dataset.helpdeskAppVersion = '7.0'")
    troubles: list[str] = []
    page.on("console", lambda told: troubles.append(told.text) if told.type == "error" else None)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    form = Form(page)
    focused = "document.querySelector('helpdesk-feedback').shadowRoot.activeElement.id"
    page.locator("#category:focus").wait_for()
    page.keyboard.press("Escape")
    assert not form.dialog.is_visible()
    assert page.evaluate("document.activeElement.textContent") == "Give feedback"
    page.keyboard.press("Enter")
    page.locator("#category:focus").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("By keyboard")
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == "email":
            break
    page.keyboard.type("not an address")
    page.keyboard.press("Enter")
    assert form.dialog.locator("#e-email").inner_text() == "Please check the address."
    assert form.field("email").get_attribute("aria-describedby") == "e-email"
    form.field("email").fill(MAIL)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    form.thanked()
    assert page.evaluate("document.querySelector('helpdesk-feedback').shadowRoot.activeElement.tagName") == "H3"
    _, message, notes = kept(desk)
    assert message["text"] == "By keyboard"
    # The technical details were switched off.
    assert "7.0" not in notes
    assert troubles == []
    page.context.close()


def test_screenshots_are_taken_dropped_and_chosen_and_nothing_else_is(desk: Scene, browser: Browser) -> None:
    page = alone(desk, browser, before=SCREEN)
    page.get_by_role("button", name="Give feedback").click()
    form = Form(page)
    form.field("category").wait_for()
    picture = page.screenshot()
    form.dialog.evaluate(DROP, [list(b"#!/bin/sh"), "run.sh", "text/x-sh"])
    assert form.dialog.locator("fieldset .wrong").inner_text() == "run.sh is not a picture."
    form.dialog.evaluate(DROP, [list(picture), "dropped.png", "image/png"])
    form.dialog.locator("input[type=file]").set_input_files(
        [{"name": "chosen.png", "mimeType": "image/png", "buffer": picture}]
    )
    form.dialog.get_by_role("button", name="Take a screenshot").click()
    form.dialog.locator(".chips li", has_text="screenshot.png").wait_for()
    assert page.evaluate("screenShown.getTracks().map((track) => track.readyState)") == ["ended"]
    form.dialog.get_by_role("button", name="Remove chosen.png").click()
    form.fill("Three pictures, less one").send().thanked()
    _, message, _ = kept(desk)
    assert [one["filename"] for one in message["attachments"]] == ["dropped.png", "screenshot.png"]
    page.context.close()


def test_a_recovery_phrase_is_not_sent_without_asking(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser)
    form = Form(visit.page).asked(text=PHRASE)
    form.fill(PHRASE).send()
    form.dialog.locator("#e-text", has_text="recovery phrase").wait_for()
    assert not [one for one in visit.asked if one.endswith(("/sessions", "/feedback"))]
    form.field("text").fill("Twelve words are asked for in a strange place")
    form.send().thanked()
    _, message, _ = kept(desk)
    assert message["text"] == "Twelve words are asked for in a strange place"
    visit.context.close()


def test_a_session_that_the_desk_has_ended_is_replaced_by_a_new_one(desk: Scene, browser: Browser) -> None:
    page = alone(desk, browser)
    spent = {"token": "x" * 43, "visitor": {}, "expires_at": "2030-01-01T00:00:00Z", "subject": ""}
    key = f"helpdesk.chat.{desk.inbox_id}.session"
    page.evaluate("([key, value]) => localStorage.setItem(key, value)", [key, json.dumps(spent)])
    page.get_by_role("button", name="Give feedback").click()
    form = Form(page)
    form.field("category").wait_for()
    form.fill("After a long time").paste().send()
    # The inbox asks everybody who is new for an address.
    form.field("email").wait_for()
    form.field("email").fill(MAIL)
    form.send().thanked()
    _, message, _ = kept(desk)
    assert len(message["attachments"]) == 1
    assert token_of(page.context) != spent["token"]
    page.context.close()


@pytest.mark.parametrize(("language", "device"), [("en", DESKTOP), ("zh-CN", PHONE)], ids=["desktop", "phone"])
def test_no_state_has_a_serious_fault_of_accessibility(
    desk: Scene, browser: Browser, language: str, device: Mapping[str, Any]
) -> None:
    visit = desk.visit(browser, language=language, device=device)
    form = Form(visit.page).asked(appVersion="3.2.1")
    faults = faults_of(visit.page, "form")
    form.send()
    form.dialog.locator("#e-category").wait_for()
    faults += faults_of(visit.page, "what is missing")
    form.fill(PHRASE).paste().send()
    form.dialog.locator("#e-text button").wait_for()
    faults += faults_of(visit.page, "question")
    form.fill("It is hard to read")
    visit.context.set_offline(True)
    form.send()
    form.dialog.locator(".trouble").wait_for()
    faults += faults_of(visit.page, "no connection")
    visit.context.set_offline(False)
    form.send().thanked()
    faults += faults_of(visit.page, "thanks")
    assert faults == []
    desk.conversation()
    visit.context.close()


def test_the_demo_page_has_a_button_for_it(desk: Scene, browser: Browser) -> None:
    context = browser.new_context(reduced_motion="reduce", locale="en")
    page = context.new_page()
    page.goto(f"{desk.stack.url}/demo?lang=zh-TW")
    page.locator(".launcher").wait_for()
    page.get_by_role("button", name="意見回饋").click()
    form = Form(page)
    form.field("category").wait_for()
    assert form.dialog.locator("#facts li").first.inner_text() == "應用程式版本：Demo 1.0"
    assert faults_of(page, "demo") == []
    context.close()
