"""A conversation's time line: what is read in it, what moves by itself, and what does not deceive its reader."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.browser import Desk, Visit
from tests.journeys.sink import Sink

if TYPE_CHECKING:
    from playwright.sync_api import Route

FACE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)
"""A picture of one pixel."""


SUPPORT = "support@wallet.example"


def post(
    desk: Desk, subject: str, text: str, *, to: str = SUPPORT, answers: str = "", html: str = "", pictures: int = 0
) -> None:
    letter = EmailMessage()
    letter["From"], letter["To"] = "Mei Lin <mei@customer.example>", to
    letter["Subject"], letter["Message-ID"] = subject, f"<{abs(hash((subject, text)))}@customer.example>"
    if answers:
        letter["In-Reply-To"] = letter["References"] = answers
    letter.set_content(text)
    if html:
        letter.add_alternative(html, subtype="html")
    for at in range(pictures):
        letter.add_attachment(FACE, maintype="image", subtype="png", filename=f"face {at}.png")
    with smtplib.SMTP("127.0.0.1", desk.stack.door) as door:
        door.send_message(letter)


def change(desk: Desk, conversation: str, **body: Any) -> None:
    desk.stack.change(conversation, **body)


@pytest.fixture(scope="module")
def stuck(desk: Desk) -> str:
    """A mail with a layout, pictures and links, a note, our answer, and the customer's own."""
    text = "See https://status.wallet.example/tx?id=1, and https://xn--pple-43d.example/login (really)."
    html = f"<table><tr><td><h1>Stuck</h1>{text}</td></tr></table>"
    html += "<div class=gmail_quote>On Sunday Support wrote:<blockquote type=cite>Once more?</blockquote></div>"
    post(desk, "Withdrawal is stuck", text, html=html, pictures=2)
    found: str = desk.stack.conversation("Withdrawal is stuck")["id"]
    change(desk, found, priority="high", tags=["vip"], assignee_id=desk.ids["ben"])
    desk.stack.reply(found, "@Ben Okafor look at the ledger", key="note", private=True, mentions=[desk.ids["ben"]])
    desk.stack.reply(found, "We look into it.", key="ours")
    ours = next(one["external_id"] for one in desk.stack.delivered(found) if one["text"] == "We look into it.")
    post(desk, "Re: Withdrawal is stuck", "Thank you.\n\nOn Monday you wrote:\n> We look into it.\n", answers=ours)
    desk.stack.until("the answer", lambda: len(_incoming(desk, found)) == 2 or None)
    return found


def _incoming(desk: Desk, conversation: str) -> list[dict[str, Any]]:
    return [one for one in desk.stack.messages(conversation) if one["type"] == "incoming"]


def test_what_is_written_what_is_quoted_and_what_an_address_hides(desk: Desk) -> None:
    """The pure parts, in one page."""
    page = desk.visit("/inbox")
    quotes = """(m) => [
      m.quotesOf({text: "Yes.\\n\\n> No?", new_text: "Yes."}),
      m.quotesOf({text: "A  b\\r\\nc\\n\\nOn Monday:\\n> x", new_text: "A b\\nc"}),
      m.quotesOf({text: "Above\\n> x\\nBelow", new_text: "Below"}).rest.length,
      m.quotesOf({text: "Other words", new_text: "The layout's", html: "<p>"}).rest,
      m.quotesOf({text: "Only this", new_text: ""}).shown,
      m.beginning("a\\n".repeat(500)).split("\\n").length,
    ]"""
    assert page.module("conversation/quotes.js", quotes) == [
        {"shown": "Yes.", "rest": "> No?"},
        {"shown": "A b\nc", "rest": "On Monday:\n> x"},
        15,
        "",
        "Only this",
        40,
    ]
    links = """(m) => ["mnchen-3ya", "pple-43d", "fiqs8s", "!", "a-"].map(m.decoded).concat([
      "Go to https://a.example/x_(y). Or (http://b.example/?q=1)! Not javascript:alert(1) or ftp://c.example",
      "https://good.example@evil.example/ and https://\\u0430pple.example, \\u202ehttps://d.example/\\u202egpj.exe",
    ].map((text) => m.withLinks(text, {outside: true}).map((one) => one.href ?? one.textContent ?? one)))"""
    found = page.module("conversation/links.js", links)
    assert found[:5] == ["münchen", "аpple", "中国", None, "a"]
    assert found[5] == [
        "Go to ", "https://a.example/x_(y)", ". Or (", "http://b.example/?q=1",
        ")! Not javascript:alert(1) or ftp://c.example",
    ]  # fmt: skip
    assert found[6] == [
        "", "https://good.example@evil.example/", "evil.example", " and ", "https://xn--pple-43d.example/",
        "аpple.example · xn--pple-43d.example", ", \u202e", "https://d.example/", "\u202egpj.exe",
    ]  # fmt: skip
    heights = (
        "(m) => ['', 'line\\n'.repeat(50), '中'.repeat(400)].map((text) => m.heightOf({text, html: '<tr><tr>'}, 700))"
    )
    short, long, wide = page.module("conversation/mail.js", heights)
    assert short == 120 < wide < long
    page.untroubled()


def test_a_conversation_is_read_as_one_line(desk: Desk, stuck: str) -> None:
    mina = desk.visit(f"/conversations/{stuck}")
    page, line = mina.page, mina.page.get_by_role("log")
    line.get_by_text("Thank you.").wait_for()
    assert line.get_by_text("We look into it.", exact=True).count() == 1, "what is quoted is folded"
    line.get_by_role("button", name="Show what is quoted").click()
    line.get_by_text("On Monday you wrote:").wait_for()
    line.get_by_text("Priority: High").first.wait_for()
    line.get_by_text("Assigned to Ben Okafor").wait_for()
    assert line.locator(".mention").inner_text() == "@Ben Okafor"
    assert mina.idle().faults() == []
    desk.stack.until("it is read", lambda: not _seen(desk, mina, stuck)["unread"])

    # A customer's link asks first, and says the host in both ways.
    line.get_by_role("link", name="https://xn--pple-43d.example/login").click()
    asked = page.get_by_role("dialog", name="Open a link from the customer?")
    asked.get_by_text("аpple.example", exact=True).wait_for()
    asked.get_by_text("This name mixes letters").wait_for()
    asked.get_by_text("https://xn--pple-43d.example/login").wait_for()
    assert mina.faults() == []
    page.keyboard.press("Escape")

    # Pictures one after the other, by keys, and back to where we were.
    line.get_by_role("button", name="Picture face 0.png").click()
    shown = page.get_by_role("dialog", name="Picture face 0.png")
    shown.get_by_text("1 of 2").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_role("dialog", name="Picture face 1.png").get_by_text("2 of 2").wait_for()
    assert mina.faults() == []
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Picture face 0.png"

    # As it was sent: in a frame that may do nothing.
    line.get_by_role("button", name="Show as it was sent").first.click()
    frame = line.get_by_title("Mail from Mei Lin as it was sent")
    assert frame.get_attribute("sandbox") == "allow-popups"
    before = frame.bounding_box()
    frame.content_frame.get_by_role("heading", name="Stuck").wait_for()
    assert frame.content_frame.get_by_text("Once more?").is_hidden()
    frame.content_frame.get_by_text("Quoted text").click()
    frame.content_frame.get_by_text("Once more?").wait_for()
    line.get_by_role("button", name="Show more", exact=True).click()
    desk.stack.until("it is higher", lambda: _height(frame) > before["height"] or None)  # type: ignore[index]
    # On paper: what was said and nothing to press; what a frame would cut off stands there as text.
    page.emulate_media(media="print")
    frame.wait_for(state="hidden")
    paper = line.locator(".mail-paper")
    assert "Stuck" in paper.inner_text()
    assert page.locator(".button:visible").count() == page.get_by_role("navigation").count() == 0
    mina.forgive("allow-same-origin")
    mina.untroubled()


def _seen(desk: Desk, visit: Visit, conversation: str) -> dict[str, Any]:
    found: dict[str, Any] = visit.page.evaluate(
        "async (id) => (await fetch(`/api/v1/conversations/${id}`)).json()", conversation
    )
    return found


def _height(frame: Any) -> float:
    return float(frame.bounding_box()["height"])


def test_it_is_changed_in_one_step_and_others_changes_are_not_undone(desk: Desk, stuck: str) -> None:
    mina = desk.visit(f"/inbox/all/{stuck}")
    page = mina.page
    page.get_by_role("button", name="Assigned to: Ben Okafor").click()
    page.get_by_role("combobox", name="Assign to").fill("eva")
    page.keyboard.press("Enter")  # sooner than the list has followed
    page.get_by_role("button", name="Assigned to: Eva Lin").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Assigned to: Ben Okafor").wait_for()

    # Nothing of the same was changed: ours is made on top of it without a word. Otherwise we are asked.
    page.route("**/api/v1/stream", lambda route: route.abort())
    for priority, title in (("urgent", None), ("low", "Somebody changed this meanwhile")):
        mina.go(f"/inbox/all/{stuck}")
        page.get_by_role("button", name="Priority:").wait_for()
        change(desk, stuck, **({"tags": ["vip", "late"]} if title is None else {"priority": "high"}))
        page.get_by_role("button", name="Priority:").click()
        page.get_by_role("menuitemcheckbox", name=priority.capitalize()).click()
        if title:
            asked = page.get_by_role("dialog", name=title)
            asked.get_by_text("Priority is now: High.").wait_for()
            asked.get_by_role("button", name="Change it all the same").click()
        page.get_by_role("button", name=f"Priority: {priority.capitalize()}").wait_for()
    now = desk.stack.get(f"/conversations/{stuck}")
    assert (now["priority"], sorted(now["tags"])) == ("low", ["late", "vip"])
    mina.forgive("412 (Precondition Failed)", "ERR_FAILED")
    mina.untroubled()


def test_a_reader_further_up_keeps_his_place(desk: Desk) -> None:
    post(desk, "A long story", "Once upon a time.")
    story = desk.stack.conversation("A long story")["id"]
    for at in range(70):
        desk.stack.reply(story, f"Part {at}. " + "And so on. " * (at % 7 * 12), key=f"part {at}", private=True)
    sol = desk.visit(f"/conversations/{story}", as_="sol")
    page, line = sol.page, sol.page.get_by_role("log")
    line.get_by_text("Part 69.").wait_for()
    assert not line.get_by_text("Part 3.").count()
    # What became of one further back is no page of its own: alone it would hide all between.
    early = desk.stack.messages(story)[2]["id"]
    again = "await timeline(id).again(message); return timeline(id).messages.peek().length"
    again = f"async ({{timeline}}, [id, message]) => {{ {again}; }}"
    assert sol.module("conversation/timeline.js", again, [story, early]) == 50
    at_end = "e => e.scrollHeight - e.scrollTop - e.clientHeight < 2"
    desk.stack.until("the end is in sight", lambda: line.evaluate(at_end))

    # What comes while the end is in sight comes into sight; further up it is told of, and nothing moves.
    desk.stack.reply(story, "The end comes near.", key="near", private=True)
    line.get_by_text("The end comes near.").wait_for()
    desk.stack.until("it is in sight", lambda: line.evaluate(at_end))
    line.hover()
    page.mouse.wheel(0, -30_000)
    older = "e => e.querySelectorAll('article').length > 60"
    desk.stack.until("older ones are there", lambda: line.evaluate(older))
    top = "e => [...e.querySelectorAll('article')].find(a => a.getBoundingClientRect().bottom > 200).dataset.seq"
    page.wait_for_function("() => globalThis.helpdeskIdle()")
    reads = line.evaluate(top)
    desk.stack.reply(story, "And another.", key="another", private=True)
    desk.stack.reply(story, "And the last.", key="last", private=True)
    below = page.get_by_role("button", name="2 new messages")
    below.wait_for()
    assert line.evaluate(top) == reads
    below.click()
    desk.stack.until("the end is in sight", lambda: line.evaluate(at_end))

    # A message by its address, however old.
    first = desk.stack.messages(story)[0]["seq"]
    sol.go(f"/conversations/{story}?message={first}")
    line.get_by_text("Once upon a time.").wait_for()
    found = page.locator(f"article[data-seq='{first}']")
    desk.stack.until("it is in sight", lambda: found.evaluate("e => e.getBoundingClientRect().top > 0"))
    sol.untroubled()


def test_what_was_not_sent_says_why_and_is_sent_again(desk: Desk) -> None:
    with Sink() as sink:
        settings = {"address": "billing@wallet.example", "receive": "smtp", "smtp_url": sink.url}
        desk.made("/inboxes", {"channel": "email", "name": "Billing", "settings": settings})
        post(desk, "A bill", "What is this?", to="billing@wallet.example")
        bill = desk.stack.conversation("A bill")["id"]
        desk.stack.delivered(bill)
        sink.server.reply("rcpt", "550 5.1.1 nobody of that name", times=1)
        mina = desk.visit(f"/conversations/{bill}")
        desk.stack.reply(bill, "It is your bill.", key="bill")
        said = mina.page.get_by_role("article").filter(has_text="It is your bill.")
        said.get_by_text("Not sent").wait_for()
        said.get_by_text("The recipient's address is not accepted. Check it.").wait_for()
        assert mina.faults() == []
        said.get_by_role("button", name="Send again").click()
        said.get_by_text("Sent", exact=True).wait_for()
        mina.untroubled()


def test_nothing_is_sent_before_it_is_known_where_it_goes(desk: Desk) -> None:
    """A mail would go at once, without its Cc and past the time to take it back: Enter breaks the line until then."""
    post(desk, "Quicker than the network", "Could you look?")
    here = desk.stack.conversation("Quicker than the network")["id"]
    ben = desk.visit("/inbox/open", as_="ben")
    page = ben.page
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"**/api/v1/conversations/{here}", hold)
    page.goto(f"{ben.url}/conversations/{here}")
    field = page.get_by_label("Your message")
    field.fill("Hello,")
    field.press("Enter")
    field.press("Control+Enter")
    assert field.input_value() == "Hello,\n"
    send = page.get_by_role("button", name="Send", exact=True)
    assert send.is_disabled()
    for route in held:
        route.continue_()
    page.unroute_all()
    send.click()
    page.get_by_role("button", name="Take it back").wait_for()
    ben.untroubled()
