"""The widget in Chromium, on a website of another origin, against a real desk with an agent who uses the API."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe

import connectors.chat
from tests.browser.chat_scene import DESKTOP, PHONE, Scene
from tests.browser.vectors import VECTORS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

ASSETS = Path(connectors.chat.__file__).parent / "assets"
PAINTED = "canvas.picture"
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")

# Words of the list, in its order: nobody's phrase.
PHRASE = "abandon ability able about above absent absorb abstract absurd abuse access accident"
SECRETS = (
    "\n".join(f"{at}. {word}" for at, word in enumerate(PHRASE.split(), 1)),
    " and ".join(PHRASE.split()),
    "的 一 是 在 不 了 有 和 人 这 中 大",
    "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
    "[" + ",".join(["17"] * 64) + "]",
    "my private key is " + "0123456789abcdef" * 4,
    "-----BEGIN PRIVATE KEY-----",
)
ORDINARY = (
    "Hello, I sent 0.5 ETH to my other wallet yesterday evening and it still shows as pending, what can I do about it?",
    "Please help me. My balance shows zero since the last update but the explorer shows all of my tokens.",
    "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 is my address, and I use the app on two phones with the same account",
    "The transaction is 0x" + "ab12" * 16,
    "https://explorer.example/tx/0x" + "ab12" * 16,
    "我昨天转了 0.5 个以太坊到另一个钱包，但是到现在还没有到账，请帮我看看是什么原因，谢谢。",
    "3198bc9c-6672-5ab3-d995-4942343ae5b6",
)
LINKS = (
    "javascript:alert(1) and JAVASCRIPT://x%0aalert(1) and data:text/html,<script>alert(1)</script>",
    "https://wallet.example@evil.example/ and https://wallet.example:pass@evil.example/",
    "https://w\u0430llet.example/login",
    "https://wallet.example/\u202egpj.exe and https://wallet.example/a?b=<img src=x onerror=alert(1)>",
    "see (https://wallet.example/help). Then http://plain.example/path?q=1&r=2#three, or file:///etc/passwd",
)


def bundles(texts: Sequence[str]) -> Iterator[str]:
    """All of them, in as few messages as there may be."""
    kept: list[str] = []
    for text in texts:
        if len("\n".join([*kept, text])) > 7000:
            yield "\n".join(kept)
            kept = []
        kept.append(text)
    yield "\n".join(kept)


def faults_of(page: Page, state: str) -> list[str]:
    """What axe-core calls serious or critical, in the shadow root as well, by day and by night."""
    faults = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        faults += [f"{state}, {scheme}: {one['id']} {node['target']}" for one in serious for node in one["nodes"]]
    return faults


def test_it_is_one_module_of_at_most_thirty_kilobytes() -> None:
    widget = (ASSETS / "widget.js").read_bytes()
    assert len(gzip.compress(widget, 9)) <= 30_000
    assert b"\nimport " not in widget


def test_a_conversation_goes_both_ways_on_another_site(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.say("My transfer is still pending")
    found = desk.conversation()
    desk.answer(found, "Which network was it on?")
    visit.sees("Which network was it on?")
    visit.say("On the main one")
    assert [one["text"] for one in desk.heard(found, 2)] == ["My transfer is still pending", "On the main one"]
    assert visit.bubbles == ["My transfer is still pending", "Which network was it on?", "On the main one"]
    assert not visit.troubles
    visit.context.close()


def test_a_note_is_never_seen(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.say("Hello there")
    found = desk.conversation()
    desk.answer(found, "He sounds upset", private=True)
    desk.answer(found, "Good morning")
    visit.sees("Good morning")
    visit.reload()
    visit.open().sees("Good morning")
    assert visit.bubbles == ["Hello there", "Good morning"]
    visit.context.close()


def test_what_both_wrote_while_the_network_was_away_comes_once_and_in_order(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.say("One")
    found = desk.conversation()
    visit.context.set_offline(True)
    visit.page.locator(".notice", has_text="No connection").wait_for()
    visit.say("Two", kept=False)
    visit.say("Three", kept=False)
    for text in ("First answer", "Second answer", "Third answer"):
        desk.answer(found, text)
    assert visit.page.locator(".mine[data-state=waiting]").count() == 2
    visit.context.set_offline(False)
    visit.page.locator(".mine[data-state=waiting]").first.wait_for(state="detached")
    visit.sees("Third answer")
    told = desk.said(found)
    assert told == ["One", "First answer", "Second answer", "Third answer", "Two", "Three"]
    assert visit.bubbles == told
    visit.reload()
    visit.open().sees("Three")
    assert visit.bubbles == told
    visit.context.close()


def test_what_was_not_sent_yet_is_sent_by_the_next_page(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.say("Before the lift")
    found = desk.conversation()
    visit.context.set_offline(True)
    visit.say("In the lift", kept=False)
    visit.page.close()
    visit.context.set_offline(False)
    again = desk.visit(browser, context=visit.context)
    assert [one["text"] for one in desk.heard(found, 2)] == ["Before the lift", "In the lift"]
    again.open().sees("In the lift")
    again.page.locator(".mine[data-state=waiting]").first.wait_for(state="detached")
    assert again.bubbles == ["Before the lift", "In the lift"]
    assert "In the lift" not in again.page.evaluate("JSON.stringify(localStorage)")
    again.context.close()


def test_files_are_pasted_dropped_and_chosen(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    picture = list(visit.page.screenshot())
    given = "const data = new DataTransfer(); data.items.add(new File([new Uint8Array(bytes)], name, {type}));"
    visit.writing.evaluate(
        f"(to, [bytes, name, type]) => {{ {given} to.dispatchEvent(new ClipboardEvent('paste', "
        "{clipboardData: data, bubbles: true, cancelable: true})) }",
        [picture, "pasted.png", "image/png"],
    )
    visit.panel.evaluate(
        f"(to, [bytes, name, type]) => {{ {given} to.dispatchEvent(new DragEvent('drop', "
        "{dataTransfer: data, bubbles: true, cancelable: true})) }",
        [list(b"dropped"), "dropped.txt", "text/plain"],
    )
    chosen = {"name": "chosen.log", "mimeType": "text/plain", "buffer": b"chosen"}
    visit.page.locator("input[type=file]").set_input_files([chosen])
    visit.page.locator(".submit[aria-disabled=false]").wait_for()
    assert visit.page.locator(".chips li").count() == 3
    visit.page.locator(".chips button").last.click()
    visit.say("Here they are")
    found = desk.conversation()
    (message,) = desk.heard(found, 1)
    # In the order in which they came to an end of their uploads, which all begin at once.
    assert {one["filename"] for one in message["attachments"]} == {"pasted.png", "dropped.txt"}
    visit.page.locator(PAINTED).wait_for()
    with visit.page.expect_download() as downloading:
        visit.page.locator(".file", has_text="dropped.txt").click()
    assert Path(downloading.value.path()).read_bytes() == b"dropped"
    assert downloading.value.suggested_filename == "dropped.txt"
    assert not visit.troubles
    visit.context.close()


def test_a_file_that_is_sent_and_not_yet_taken_is_waited_for(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    visit.page.route("**/attachments", hold)
    sent = "this.upload.onprogress({loaded: 7, total: 7}); was.call(this, form);"
    with_send = "const its = XMLHttpRequest.prototype, was = its.send; its.send ="
    visit.page.evaluate(f"() => {{ {with_send} function (form) {{ {sent} }} }}")
    chosen = {"name": "chosen.log", "mimeType": "text/plain", "buffer": b"chosen!"}
    visit.page.locator("input[type=file]").set_input_files([chosen])
    visit.page.locator(".chips li").wait_for()
    visit.writing.fill("Here it is")
    visit.writing.press("Enter")
    assert visit.writing.input_value() == "Here it is", "it waits for the file"
    held[0].continue_()
    visit.page.locator(".submit[aria-disabled=false]").wait_for()
    visit.writing.press("Enter")
    (message,) = desk.heard(desk.conversation(), 1)
    assert [one["filename"] for one in message["attachments"]] == ["chosen.log"]
    visit.context.close()


def test_no_token_is_in_any_address(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.say("Hello")
    desk.conversation()
    kept = visit.page.evaluate("JSON.stringify(localStorage)")
    token = json.loads(json.loads(kept)[f"helpdesk.chat.{desk.inbox_id}.session"])["token"]
    assert len(token) > 30
    assert visit.asked
    assert not [url for url in visit.asked if token in url]
    visit.context.close()


def test_two_tabs_are_one_conversation_and_what_is_unread_is_counted(desk: Scene, browser: Browser) -> None:
    one = desk.visit(browser).open().begin()
    one.say("From the first tab")
    found = desk.conversation()
    one.page.keyboard.press("Escape")
    other = desk.visit(browser, context=one.context)
    desk.answer(found, "To both tabs")
    other.page.locator(".badge", has_text="1").wait_for()
    told = other.page.locator(".launcher").get_attribute("aria-label")
    assert told == "Open chat. Unread messages: 1"
    assert other.page.evaluate("window.helpdesk.chat.unread") == 1
    other.open().say("From the second tab")
    one.page.locator(".badge").wait_for(state="hidden")
    one.open().sees("From the second tab")
    other.page.locator(".badge").wait_for(state="hidden")
    assert one.bubbles == other.bubbles == ["From the first tab", "To both tabs", "From the second tab"]
    one.context.close()


def test_who_writes_is_seen_on_both_sides(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.say("Is anyone there?")
    found = desk.conversation()
    path = f"/conversations/{found}"
    assert desk.stack.http.post(f"{path}/presence", json={"state": "typing"}).status_code == 200
    visit.page.locator(".writing", has_text="Mina is writing").wait_for()
    visit.writing.press_sequentially("I am still")
    desk.stack.until("the visitor writes", lambda: desk.stack.get(path)["contact_presence"]["typing"])
    desk.answer(found, "Yes")
    visit.sees("Yes")
    seq = desk.stack.messages(found)[-1]["seq"]
    desk.stack.until("it is read", lambda: desk.stack.get(path)["contact_presence"]["read_seq"] >= seq)
    visit.context.close()


@pytest.mark.parametrize("blocked", ["the socket", "the socket and the stream"])
def test_it_talks_where_something_in_between_blocks(desk: Scene, browser: Browser, blocked: str) -> None:
    visit = desk.visit(browser, before="window.WebSocket = class { constructor() { throw new Error() } }")
    if "stream" in blocked:
        visit.page.route("**/channels/chat/events*", lambda route: route.abort())
    visit.open().begin().say("Through the wall")
    found = desk.conversation()
    desk.answer(found, "And back")
    visit.sees("And back")
    used = [url.rpartition("/")[2].partition("?")[0] for url in visit.asked]
    assert "ws" not in used
    assert "events" in used
    assert any("wait=25" in url for url in visit.asked) == ("stream" in blocked)
    visit.context.close()


def test_the_enter_that_chooses_a_chinese_word_sends_nothing(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser, language="zh-CN").open().begin()
    visit.writing.focus()
    keyboard = visit.context.new_cdp_session(visit.page)
    keyboard.send("Input.imeSetComposition", {"text": "nihao", "selectionStart": 5, "selectionEnd": 5})
    enter = {"key": "Enter", "bubbles": True, "cancelable": True}
    for event in ({**enter, "isComposing": True}, {**enter, "keyCode": 229}):
        visit.writing.evaluate("(to, event) => to.dispatchEvent(new KeyboardEvent('keydown', event))", event)
    assert visit.page.locator(".bubble").count() == 0
    keyboard.send("Input.insertText", {"text": "你好"})
    assert visit.writing.input_value() == "你好"
    visit.writing.press("Shift+Enter")
    visit.writing.press_sequentially("请问")
    visit.writing.press("Enter")
    visit.sees("你好")
    (message,) = desk.heard(desk.conversation(), 1)
    assert message["text"] == "你好\n请问"
    visit.context.close()


def test_every_text_is_there_in_three_languages(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser)
    texts = visit.page.evaluate("async (url) => (await import(url)).TEXTS", desk.website.widget)
    assert len(texts) > 80
    for key, told in texts.items():
        assert len(told) == 3, key
        assert all(one.strip() for one in told), key
        places = {tuple(sorted(re.findall(r"\{\w+\}", one))) for one in told}
        assert len(places) == 1, key
    assert not [key for key, (english, *_) in texts.items() if re.search(r"[\u4e00-\u9fff]", english)]
    assert not [
        key for key, (_, *chinese) in texts.items() if not all(re.search(r"[\u4e00-\u9fff]", c) for c in chinese)
    ]
    visit.context.close()


@pytest.mark.parametrize(
    ("tag", "title"), [("zh-CN", "发送"), ("zh-Hans-HK", "发送"), ("zh-Hant-HK", "傳送"), ("de", "Send")]
)
def test_it_speaks_the_language_of_the_page(desk: Scene, browser: Browser, tag: str, title: str) -> None:
    """Or of the browser, where the page's is none of ours: this one's is English."""
    visit = desk.visit(browser, language=tag)
    assert visit.page.locator(".submit").get_attribute("title") == title
    visit.context.close()


def test_a_recovery_phrase_is_not_sent_without_asking(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.writing.fill("my words: " + PHRASE)
    visit.writing.press("Enter")
    asking = visit.page.get_by_role("alertdialog", name="Do not send this")
    asking.wait_for()
    assert (
        visit.page.evaluate("document.querySelector('helpdesk-chat').shadowRoot.activeElement.textContent")
        == "Delete it"
    )
    visit.page.keyboard.press("Escape")
    asking.wait_for(state="detached")
    assert visit.writing.input_value() == ""
    assert visit.page.locator(".bubble").count() == 0
    assert "ability" not in visit.page.evaluate("JSON.stringify(localStorage)")
    visit.say("Sorry about that")
    assert [one["text"] for one in desk.heard(desk.conversation(), 1)] == ["Sorry about that"]
    visit.context.close()


def test_secrets_are_told_from_what_people_write(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser)
    judge = "async ([url, texts]) => texts.map((await import(url)).secretIn)"
    secrets = [PHRASE, PHRASE.upper(), PHRASE.replace(" ", ", "), *(SECRETS)]
    found = visit.page.evaluate(judge, [desk.website.widget, secrets])
    assert [text for text, kind in zip(secrets, found, strict=True) if kind not in ("phrase", "key")] == []
    found = visit.page.evaluate(judge, [desk.website.widget, ORDINARY])
    assert [(text, kind) for text, kind in zip(ORDINARY, found, strict=True) if kind] == []
    assert visit.page.evaluate(judge, [desk.website.widget, ["0x" + "ab12" * 16]]) == ["maybe"]
    visit.context.close()


def test_hostile_texts_run_nothing_and_load_nothing(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin(name="<img src=x onerror=alert(1)>")
    dialogs: list[str] = []
    visit.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    texts = list(bundles([*VECTORS.values(), *LINKS]))
    visit.say(texts[0])
    found = desk.conversation()
    for text in texts:
        desk.answer(found, text)
    desk.answer(found, "That was all")
    visit.sees("That was all")
    inside = "document.querySelector('helpdesk-chat').shadowRoot.querySelector('.log')"
    names = visit.page.evaluate(f"[...new Set([...{inside}.querySelectorAll('*')].map(e => e.localName))].sort()")
    assert set(names) <= {"a", "div", "p", "span", "time", "svg", "path", "button"}
    links = visit.page.evaluate(f"[...{inside}.querySelectorAll('a')].map(a => [a.protocol, a.rel, a.target, a.text])")
    assert links
    assert {(scheme, rel, target) for scheme, rel, target, _ in links} <= {
        (scheme, "noopener noreferrer nofollow", "_blank") for scheme in ("http:", "https:")
    }
    assert not [shown for *_, shown in links if re.search(r"[\u202a-\u202e\u2066-\u2069]", shown)]
    assert [shown for *_, shown in links if "xn--" in shown], (
        "letters that look like others are shown as they are asked for"
    )
    assert visit.page.evaluate(f"{inside}.textContent").count("<script") > 5
    here = (desk.stack.url, desk.website.origin, desk.stack.url.replace("http", "ws"), "data:,")
    assert not [url for url in visit.asked if not url.startswith(here)]
    assert (dialogs, visit.troubles) == ([], [])
    visit.context.close()


def test_the_host_site_vouches_and_its_user_finds_his_chat_on_another_device(desk: Scene, browser: Browser) -> None:
    identify = "jwt => window.helpdesk.chat.identify(jwt)"
    home = desk.visit(browser)
    home.page.evaluate(identify, desk.vouched("user-7"))
    home.open().say("From my desk")
    found = desk.conversation()
    phone = desk.visit(browser, device=PHONE)
    phone.page.evaluate(identify, desk.vouched("user-7"))
    phone.open().sees("From my desk")
    phone.say("From the train")
    home.sees("From the train")
    assert len(desk.heard(found, 2)) == 2
    phone.page.evaluate("window.helpdesk.chat.logout()")
    phone.page.locator(".prechat").wait_for()
    assert phone.bubbles == []
    assert phone.page.evaluate("Object.keys(localStorage)") == []
    home.context.close()
    phone.context.close()


def test_the_keyboard_reaches_everything_and_comes_back(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser)
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    visit.panel.wait_for()
    focused = "document.querySelector('helpdesk-chat').shadowRoot.activeElement?.getAttribute('name')"
    assert visit.page.evaluate(focused) == "name"
    visit.page.keyboard.press("Escape")
    visit.panel.wait_for(state="hidden")
    assert visit.page.evaluate(focused.replace("getAttribute('name')", "className")) == "launcher"
    visit.context.close()


def test_on_a_phone_it_covers_the_screen_and_keeps_the_focus(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser, device=PHONE, body="<main><h1>Shop</h1><a href='#x'>Elsewhere</a></main>").open()
    box = visit.panel.bounding_box()
    assert box == {"x": 0, "y": 0, "width": 390, "height": 760}
    assert visit.panel.get_attribute("aria-modal") == "true"
    for _ in range(12):
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.localName") == "helpdesk-chat"
    small = visit.page.evaluate(
        "[...document.querySelector('helpdesk-chat').shadowRoot.querySelectorAll('button, input, select, textarea')]"
        ".filter(e => e.getClientRects().length).map(e => [e.outerHTML, e.getBoundingClientRect()])"
        ".filter(([, box]) => box.width < 44 || box.height < 44).map(([html]) => html)"
    )
    assert small == []
    visit.context.close()


def test_it_ends_is_rated_and_begins_again(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.say("Thank you, it works")
    found = desk.conversation()
    desk.present(found)
    desk.answer(found, "Glad to hear it", status="resolved")
    rating = visit.page.locator("form.rating")
    rating.locator("input[value='4']").check(force=True)
    rating.locator("textarea").fill("Quick")
    rating.locator(".primary").click()
    visit.page.locator(".notice", has_text="Thank you for your rating").wait_for()
    (rated,) = [one for one in desk.stack.every("/ratings") if one["conversation_id"] == found]
    assert (rated["score"], rated["comment"]) == (4, "Quick")
    visit.reload()
    visit.open().sees("Glad to hear it")
    assert rating.count() == 0
    visit.say("One more thing")
    assert desk.stack.get(f"/conversations/{found}")["status"] == "open"
    visit.page.get_by_role("button", name="More").click()
    visit.page.get_by_role("button", name="End chat").click()
    visit.page.get_by_role("alertdialog").get_by_role("button", name="End chat").click()
    visit.page.locator(".log .line", has_text="marked as solved").last.wait_for()
    desk.stack.until("it is over", lambda: desk.stack.get(f"/conversations/{found}")["status"] == "resolved")
    visit.context.close()


def test_an_address_is_proved_by_the_code_that_is_mailed(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin(email="lin@customer.example")
    visit.say("I have to go soon")
    desk.conversation()
    visit.page.get_by_role("button", name="More").click()
    visit.page.get_by_role("button", name="Get the answer by e-mail too").click()
    card = visit.page.locator("form.card")
    assert card.locator("[name=email]").input_value() == "lin@customer.example"
    card.locator(".primary").click()
    code = desk.code("lin@customer.example")
    wrong = "111111" if code != "111111" else "222222"
    card.locator("[name=code]").fill(wrong)
    card.locator(".primary").click()
    card.locator(".wrong", has_text="wrong or too old").wait_for()
    card.locator("[name=code]").fill(code)
    card.locator(".primary").click()
    card.wait_for(state="detached")
    visit.sees("I have to go soon")
    visit.page.get_by_role("button", name="More").click()
    visit.page.get_by_role("button", name="Transcript by e-mail").click()
    visit.page.locator(".notice", has_text="on its way").wait_for()
    visit.context.close()


@pytest.mark.parametrize(("language", "device"), [("en", DESKTOP), ("zh-CN", PHONE)], ids=["desktop", "phone"])
def test_no_state_has_a_serious_fault_of_accessibility(
    desk: Scene, browser: Browser, language: str, device: Mapping[str, Any]
) -> None:
    visit = desk.visit(browser, language=language, device=device)
    faults = [*faults_of(visit.page, "closed")]
    visit.open()
    visit.page.locator(".prechat .primary").click()
    faults += faults_of(visit.page, "form")
    visit.begin().say("https://wallet.example/help")
    found = desk.conversation()
    assert desk.stack.http.post(f"/conversations/{found}/presence", json={"state": "typing"}).status_code == 200
    desk.answer(found, "See https://wallet.example/help")
    visit.sees("See https")
    visit.page.locator("header .icon").first.click()
    visit.page.locator(".menu").wait_for()
    faults += faults_of(visit.page, "talk and menu")
    visit.page.locator(".menu button").nth(2).click()
    visit.page.locator("form.card [name=email]").wait_for()
    visit.page.locator("form.card .primary").click()
    visit.page.locator("form.card [name=code]").wait_for()
    faults += faults_of(visit.page, "code")
    visit.writing.fill(PHRASE)
    visit.writing.press("Enter")
    visit.page.get_by_role("alertdialog").wait_for()
    faults += faults_of(visit.page, "question")
    visit.page.keyboard.press("Escape")
    desk.present(found)
    desk.answer(found, "Done", status="resolved")
    visit.page.locator("form.rating").wait_for()
    faults += faults_of(visit.page, "rating")
    assert faults == []
    visit.context.close()


def test_closed_it_says_when_it_opens_and_takes_an_address(desk: Scene, browser: Browser) -> None:
    """The hours are made up, which no desk would be within a test: the rest of its answer is real."""
    hours = {"open": False, "next_open_at": "2030-01-07T01:00:00Z", "next_close_at": None}

    def closed(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "hours": hours, "attended": False, "prechat": []})

    visit = desk.visit(browser, before_load=lambda page: page.route("**/config", closed)).open()
    # 09:00 in Taipei, where this browser is.
    assert "9:00" in visit.page.locator(".status").inner_text()
    assert "January 7" in visit.page.locator(".status").inner_text()
    visit.page.locator("form.card [name=email]").wait_for()
    assert faults_of(visit.page, "closed hours") == []
    visit.context.close()


def test_the_demo_page_speaks_three_languages_and_has_no_fault(desk: Scene, browser: Browser) -> None:
    context = browser.new_context(reduced_motion="reduce", locale="en")
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda told: troubles.append(told.text) if told.type == "error" else None)
    for language in ("en", "zh-CN", "zh-TW"):
        page.goto(f"{desk.stack.url}/demo?lang={language}")
        page.locator(".launcher").wait_for()
        assert page.locator("main:visible").get_attribute("lang") == language
        assert page.evaluate("document.documentElement.lang") == language
        page.locator(f"main[lang={language}] [data-chat=open]").click()
        page.locator(".panel").wait_for()
        assert faults_of(page, language) == []
    assert troubles == []
    context.close()


def test_a_new_token_reaches_the_other_tab_and_a_spent_one_begins_anew(desk: Scene, browser: Browser) -> None:
    one = desk.visit(browser).open().begin()
    one.say("Before I logged in")
    found = desk.conversation()
    other = desk.visit(browser, context=one.context).open()
    other.sees("Before I logged in")
    one.page.evaluate("jwt => window.helpdesk.chat.identify(jwt)", desk.vouched("user-9"))
    desk.answer(found, "After you logged in")
    one.sees("After you logged in")
    other.sees("After you logged in")
    other.say("From the other tab")
    one.sees("From the other tab")
    session = f"helpdesk.chat.{desk.inbox_id}.session"
    spoil = (
        'key => localStorage.setItem(key, localStorage.getItem(key).replace(/"token":"[^"]+"/, \'"token":"spent"\'))'
    )
    other.page.close()
    one.page.evaluate(spoil, session)
    one.reload()
    one.open().page.locator(".notice", has_text="has ended").wait_for()
    one.page.locator(".prechat").wait_for()
    assert one.bubbles == []
    one.context.close()


def test_a_run_of_answers_is_not_read_faster_than_the_desk_listens(desk: Scene, browser: Browser) -> None:
    visit, told = desk.visit(browser), list[Any]()

    def note(frame: str | bytes) -> None:
        told.append(json.loads(frame))

    visit.page.on("websocket", lambda socket: socket.on("framesent", note))
    visit.open().begin()
    visit.say("Tell me everything")
    found, begun = desk.conversation(), time.monotonic()
    for number in range(45):
        desk.answer(found, f"Part {number}")
    visit.sees("Part 44")
    visit.page.wait_for_timeout(600)
    reads = [frame["seq"] for frame in told if frame["type"] == "read"]
    assert 0 < len(reads) <= 2 * (time.monotonic() - begun) + 2
    assert reads == sorted(reads)
    assert reads[-1] == desk.stack.http.get(f"/conversations/{found}").json()["contact_presence"]["read_seq"]
    visit.context.close()


def test_earlier_messages_are_read_when_they_are_asked_for(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.say("Number 0")
    found = desk.conversation()
    for number in range(1, 42):
        desk.answer(found, f"Number {number}")
    visit.sees("Number 41")
    visit.reload()
    visit.open().sees("Number 41")
    assert len(visit.bubbles) < 42
    visit.page.get_by_role("button", name="Earlier messages").click()
    visit.page.locator(".bubble", has_text=re.compile(r"^Number 0$")).wait_for()
    assert visit.bubbles == [f"Number {number}" for number in range(42)]
    visit.context.close()


def test_what_was_closed_stays_above_and_the_next_message_begins_anew(desk: Scene, browser: Browser) -> None:
    visit = desk.visit(browser).open().begin()
    visit.say("Where is it?")
    former = desk.conversation()
    desk.answer(former, "It is on its way", status="closed")
    visit.sees("It is on its way")
    visit.reload()
    visit.open().sees("It is on its way")
    visit.page.locator(".log .line", has_text="chat has ended").wait_for()
    visit.say("It has not come")
    assert desk.conversation() != former
    for _ in range(2):
        visit.sees("It has not come")
        assert visit.bubbles == ["Where is it?", "It is on its way", "It has not come"]
        visit.reload()
        visit.open()
    assert not visit.troubles
    visit.context.close()
