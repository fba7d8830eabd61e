"""The story end to end, on each kind of installation: a customer is acknowledged, answered, and heard again."""

from __future__ import annotations

import signal
import smtplib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import needed
from tests.journeys.conftest import required
from tests.journeys.mailbox import Mailbox, PymapMailbox
from tests.journeys.mails import ATTACHMENT, CHINESE, answer, mail
from tests.journeys.sink import Sink, read
from tests.journeys.stack import Stack
from tests.peers import dovecot as dovecot_server
from tests.peers import postfix as postfix_server
from tests.peers.postfix import Postfix
from tests.peers.pymap_server import Pymap

CUSTOMER = "lilei@customer.example"
NOTE = "Between us: check hot wallet 7 before answering."
REPLY = "您好，这笔转账已到账，请刷新钱包。"


@dataclass(frozen=True)
class Setting:
    """A kind of installation, and its peers."""

    stack: Stack
    mailbox: Mailbox
    sink: Sink
    smtp_url: str


_KINDS = {
    "up, SQLite": (),
    "up, SQLite, Redis, pymap": ("redis", "pymap"),
    "fleet, PostgreSQL": ("postgres",),
    "fleet, PostgreSQL, Redis, Postfix": ("postgres", "redis", "postfix"),
}


@pytest.fixture(params=_KINDS.values(), ids=_KINDS)
def setting(request: pytest.FixtureRequest, tmp_path: Path, sink: Sink) -> Iterator[Setting]:
    parts: tuple[str, ...] = request.param
    with ExitStack() as opened:
        redis_url = request.getfixturevalue("redis").url if "redis" in parts else ""
        database_url = request.getfixturevalue("new_database")() if "postgres" in parts else ""
        mailbox: Mailbox
        if "pymap" in parts or (not parts and dovecot_server.BINARY is None and not required()):
            mailbox = PymapMailbox(opened.enter_context(Pymap()))
        else:
            mailbox = request.getfixturevalue("mailbox")()
        smtp_url = sink.url
        if "postfix" in parts:
            if reason := postfix_server.missing():
                needed(f"Postfix ({reason})")
            relay = opened.enter_context(Postfix(next_hop=f"smtp:[127.0.0.1]:{sink.port}"))
            smtp_url = f"smtp://127.0.0.1:{relay.port}"
        # As users run it, on either database: what a redis or other servers add is nothing to its beginning.
        cold = not redis_url
        stack = opened.enter_context(Stack(tmp_path, database_url=database_url, redis_url=redis_url, cold=cold))
        stack.set_up()
        yield Setting(stack, mailbox, sink, smtp_url)


def test_a_customer_is_acknowledged_answered_and_heard_again(setting: Setting) -> None:
    stack, mailbox, sink = setting.stack, setting.mailbox, setting.sink
    inbox_id = stack.add_inbox(
        "Desk",
        address="support@wallet.example",
        display_name="Wallet Support",
        receive="imap",
        imap_url=mailbox.url,
        smtp_url=setting.smtp_url,
        reply_address="support+{token}@wallet.example",
        sent_mailbox="Sent",
        poll_seconds="600",  # only IDLE can have woken the reader
    )
    stack.start()
    door_id = stack.post_inbox("Door", address="help@wallet.example", receive="smtp")
    stack.until("the mailbox is read", lambda: _works(stack, inbox_id))

    first = mail("USDT 没有到账", CHINESE, sender=f"李雷 <{CUSTOMER}>", attachment=ATTACHMENT)
    mailbox.deliver(first.as_bytes())
    conversation = stack.conversation("USDT 没有到账")
    _shown_as_it_was_written(stack, conversation, inbox_id)
    stack.until("the mail is marked as read", lambda: mailbox.seen(str(first["Message-ID"])))

    acknowledged = _arrived(setting, 1)
    _acknowledges(acknowledged, sink, conversation, to=first)

    sent = _answer(stack, conversation)
    replied = _arrived(setting, 2)
    _answers(replied, first)
    stack.until("a copy is in Sent", lambda: [read(b)["Message-ID"] for b in mailbox.sent()])
    assert [read(body)["Message-ID"] for body in mailbox.sent()] == [replied["Message-ID"]]
    assert next(m for m in stack.delivered(conversation["id"]) if m["id"] == sent["id"])["sent_at"]

    mailbox.deliver(answer(replied, "谢谢，看到了！", sender=f"李雷 <{CUSTOMER}>").as_bytes())
    heard = stack.until("the answer comes in", lambda: _incoming(stack, conversation["id"], 2))
    assert heard[-1]["new_text"].strip() == "谢谢，看到了！"
    assert heard[-1]["in_reply_to"] == str(replied["Message-ID"]).strip("<>")
    assert len(stack.conversations()) == 1

    _by_the_door(stack, door_id)
    assert [m for m in sink.messages if NOTE.encode() in m.body or b"hot wallet" in m.body] == []
    assert len(sink.messages) == 2, "each of them left once, and the note never"
    for name in list(stack.processes):
        said = stack.processes[name].said
        assert stack.kill(name, signal.SIGTERM) == 0, stack.logs()
        assert "Traceback" not in said(), said()


def _works(stack: Stack, inbox_id: str) -> bool:
    return bool(stack.get(f"/inboxes/{inbox_id}")["last_success_at"])


def _shown_as_it_was_written(stack: Stack, conversation: dict[str, Any], inbox_id: str) -> None:
    assert conversation["contact"]["handle"] == CUSTOMER
    assert conversation["contact"]["name"] == "李雷"
    assert (conversation["status"], conversation["channel"]) == ("open", "email")
    assert conversation["inbox_id"] == inbox_id
    assert conversation["language"] == "zh-CN"
    (shown,) = _incoming(stack, conversation["id"], 1)
    assert "320 USDT" in shown["new_text"]
    assert "请耐心等待" not in shown["new_text"]
    assert "请耐心等待" in shown["text"]
    (file,) = shown["attachments"]
    assert (file["filename"], file["content_type"], file["size"]) == ("截图.png", "image/png", len(ATTACHMENT))
    assert stack.http.get(f"/attachments/{file['id']}").content == ATTACHMENT


def _incoming(stack: Stack, conversation_id: str, count: int) -> list[dict[str, Any]]:
    found = [m for m in stack.messages(conversation_id) if m["type"] == "incoming"]
    return found if len(found) >= count else []


def _arrived(setting: Setting, count: int) -> EmailMessage:
    """The `count`-th mail that reached the customer."""
    found = setting.stack.until(
        f"{count} mails at the customer's",
        lambda: sorted(setting.sink.to(CUSTOMER), key=lambda m: m.connection)[count - 1 : count],
    )
    return read(found[0].body)


def _acknowledges(found: EmailMessage, sink: Sink, conversation: dict[str, Any], *, to: EmailMessage) -> None:
    (envelope,) = sink.messages
    assert envelope.sender == "", "an automatic mail has the null return path"
    assert found["Auto-Submitted"] == "auto-replied"
    assert found["X-Auto-Response-Suppress"] == "All"
    assert found["Precedence"] == "auto_reply"
    assert found["In-Reply-To"] == to["Message-ID"]
    assert str(to["Message-ID"]) in str(found["References"])
    assert f"#{conversation['number']}" in str(found["Subject"])
    text = _text(found)
    assert f"#{conversation['number']}" in text
    assert "24 小时" in text
    assert "助记词" in text
    assert "USDT" not in found.as_string(), "nothing of the inbound text is repeated"


def _text(found: EmailMessage) -> str:
    body = found.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def _answer(stack: Stack, conversation: dict[str, Any]) -> dict[str, Any]:
    """What an agent does: list, read, note, take, reply; the reply twice, since the first answer may have been lost."""
    assert [one["id"] for one in stack.conversations(assignee_id="none")] == [conversation["id"]]
    shown = stack.http.get(f"/conversations/{conversation['id']}")
    note = stack.reply(conversation["id"], NOTE, key="note", private=True)
    assert note["private"]
    assert note["delivery"] is None
    taken = stack.http.patch(
        f"/conversations/{conversation['id']}",
        json={"assignee_id": stack.agent_id},
        headers={"If-Match": shown.headers["ETag"]},
    )
    assert taken.status_code == 200, taken.text
    assert taken.json()["assignee"]["id"] == stack.agent_id
    once = stack.reply(conversation["id"], REPLY, key="answer", html=f"<p><b>{REPLY}</b></p>")
    again = stack.reply(conversation["id"], REPLY, key="answer", html=f"<p><b>{REPLY}</b></p>")
    assert once["id"] == again["id"]
    return once


def _answers(found: EmailMessage, first: EmailMessage) -> None:
    assert found["In-Reply-To"] == first["Message-ID"]
    assert str(found["References"]).split()[-1] == first["Message-ID"]
    assert "<support+" in str(found["Reply-To"])
    assert "Auto-Submitted" not in found
    assert REPLY in _text(found)
    html = found.get_body(("html",))
    assert html is not None
    assert f"<b>{REPLY}</b>" in html.get_content()


def _by_the_door(stack: Stack, inbox_id: str) -> None:
    """The built-in door takes mail for its inbox, keeps out what is for nobody, and the answer is a file."""
    coming = mail("Lost phone", "What now?\n", sender="zoe@customer.example", to="help@wallet.example")
    with smtplib.SMTP("127.0.0.1", stack.door, timeout=10) as client:
        client.send_message(coming)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("zoe@customer.example", ["nobody@wallet.example"], coming.as_bytes())
    conversation = stack.conversation("Lost phone")
    assert conversation["inbox_id"] == inbox_id
    files: Callable[[], list[Path]] = lambda: sorted(stack.outgoing.glob("*.eml"))  # noqa: E731
    stack.until("the acknowledgement is written to a file", files)
    assert [read(path.read_bytes())["In-Reply-To"] for path in files()] == [coming["Message-ID"]]
