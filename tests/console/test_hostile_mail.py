"""Hostile HTML by mail, seen in the console itself: as text, and as it was sent in the frame of each message.

Whatever the sanitiser makes the same of is sent once. Ten to a mail, each mail from the door to the reader's window;
the names and subjects of the mails are hostile too. Seen is what the browser wanted to ask for, where its frames went,
what it complained of, and what each document holds.
"""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from email.message import EmailMessage
from functools import partial
from typing import TYPE_CHECKING

from helpdesk.domain.html import sanitise
from tests.browser.bench import Verdict, inspect
from tests.browser.test_html_in_chromium import alike, shared_vectors
from tests.browser.vectors import VECTORS
from tests.console.browser import Desk

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Page

TOGETHER = 10
SENDERS = 5
NAME = "<img src=x onerror=alert(1)>"
UNLIKE_A_FILE = "<svg onload=alert(1)>.png"

TOLD = """
for (const name of ["alert", "confirm", "prompt"]) globalThis[name] = () => console.error(`ran: ${name}`);
"""

AS_SENT = """async () => {
  const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const loaded = [];
  for (const message of [...document.querySelectorAll("article.message")]) {
    message.scrollIntoView();
    message.querySelector("[aria-haspopup=menu]").click();
    const found = [...document.querySelectorAll("[role=menuitem]")]
      .find((one) => one.textContent === "Show as it was sent");
    if (found) found.click(); else document.querySelector("[popover=auto]").hidePopover();
    await drawn();
    const frame = message.querySelector("iframe");
    if (!frame) continue;
    loaded.push(new Promise((done) => frame.addEventListener("load", done)));
    frame.scrollIntoView();
  }
  await Promise.all(loaded);
}"""

STRANGE = """() => [...document.querySelectorAll("*")].flatMap((one) => {
  const wrong = [...one.attributes].filter(({name, value}) =>
    name.startsWith("on") || name === "srcdoc" || /^\\s*javascript:/i.test(value)).map(({name}) => name);
  const loads = one.hasAttribute("src") && !["IFRAME", "IMG"].includes(one.tagName);
  const active = ["SCRIPT", "BASE", "OBJECT", "EMBED", "FORM", "STYLE", "LINK"].includes(one.tagName);
  if (one.closest("[role=log]") && (loads || active)) wrong.push("active");
  return wrong.map((what) => `${one.tagName} ${what}`);
})"""


def bundles(vectors: Sequence[str]) -> list[list[str]]:
    """Ten together. What swallows all that follows it, such as an open comment, comes last."""
    swallows = [one for one in vectors if sanitise(f"{one}<hr>").html.count("<hr") <= sanitise(one).html.count("<hr")]
    quiet = [one for one in vectors if one not in set(swallows)]
    count = max(len(swallows), -(-len(vectors) // TOGETHER))
    found: list[list[str]] = [[] for _ in range(count)]
    for at, one in enumerate([*quiet, *swallows]):
        found[at % count if at < len(quiet) else (at - len(quiet)) % count].append(one)
    return found


def letter_of(sender: int, turn: int, vectors: Sequence[str], answers: str) -> EmailMessage:
    letter = EmailMessage()
    letter["From"] = f'"{NAME}" <sender{sender}@customer.example>'
    letter["To"], letter["Subject"] = "support@wallet.example", f"sender{sender} <script>alert(1)</script>"
    letter["Message-ID"] = f"<{sender}.{turn}@customer.example>"
    if answers:
        letter["In-Reply-To"] = letter["References"] = answers
    # In the text as the signs that they are; a null or a carriage return is no part of a mail's text.
    letter.set_content("\n".join(" ".join(one.replace("\0", "").split()) for one in vectors), cte="base64")
    letter.add_alternative("<hr>".join(one.replace("\0", "") for one in vectors), subtype="html", cte="base64")
    letter.add_attachment(b"no picture", maintype="image", subtype="png", filename=UNLIKE_A_FILE)
    return letter


def send(desk: Desk, mails: Sequence[Sequence[str]]) -> list[str]:
    """Each sender's mails are one conversation, all but the first answers to ours; the conversations' ids."""
    ids, answers = [], [""] * SENDERS
    with smtplib.SMTP("127.0.0.1", desk.stack.door) as door:
        for at, vectors in enumerate(mails):
            sender, turn = at % SENDERS, at // SENDERS
            if turn == 1:
                ids.append(desk.stack.until("the first one", partial(_begun, desk, f"sender{sender} ")))
                desk.stack.reply(ids[-1], "Once more, please.", key=f"{sender}")
                answers[sender] = desk.stack.delivered(ids[-1])[-1]["external_id"]
            door.send_message(letter_of(sender, turn, vectors, answers[sender]))
    desk.stack.until("all mails", lambda: sum(_came(desk, one) for one in ids) == len(mails) or None)
    return ids


def _begun(desk: Desk, subject: str) -> str | None:
    return next((str(one["id"]) for one in desk.stack.conversations() if one["subject"].startswith(subject)), None)


def _came(desk: Desk, conversation: str) -> int:
    return sum(one["type"] == "incoming" for one in desk.stack.messages(conversation))


def verdict_of(verdicts: dict[str, Verdict], url: str) -> Verdict | None:
    return verdicts.setdefault(url, Verdict()) if url.endswith("/html") else None


def test_hostile_mails_do_nothing_in_the_console(desk: Desk) -> None:
    shared = shared_vectors()
    vectors = [shared[keys[0]] for keys in alike().values()] or list(VECTORS.values())
    mails = bundles(vectors)
    ids = send(desk, mails)
    mina = desk.visit("/inbox/all")
    mina.context.add_init_script(TOLD)
    page, frames = mina.page, 0
    windows: list[str] = []

    def asks(dialog: Dialog) -> None:
        mina.troubles.append(f"asked: {dialog.message}")
        dialog.dismiss()

    def opens(other: Page) -> None:
        windows.append(other.url)

    page.on("dialog", asks)
    page.on("popup", opens)
    session = mina.context.new_cdp_session(page)
    for conversation in ids:
        verdicts: dict[str, Verdict] = {}
        mina.go(f"/conversations/{conversation}")
        page.get_by_role("article").first.wait_for()
        page.evaluate(AS_SENT)
        assert page.evaluate(STRANGE) == []
        inspect(session, partial(verdict_of, verdicts))
        frames += len(verdicts)
        assert {url: one for url, one in verdicts.items() if not one.clean} == {}
        assert {one.url for one in page.frames if one.parent_frame} == set(verdicts)
    assert frames == len(mails)
    assert windows == []
    away = [one for one in mina.asked if not one.startswith(("/", "data:", "blob:"))]
    assert away == []
    # The page that watches is refused its storage within the frames, as anybody is.
    mina.forgive("allow-same-origin")
    mina.untroubled()
