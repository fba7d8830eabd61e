"""Hostile inputs by the way that a customer's mail takes: raw bytes in, and what agents and recipients get out."""

from __future__ import annotations

import asyncio
import json
import re
import smtplib
import time
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.email import door
from connectors.email.parse import parse
from helpdesk.app import create_app
from helpdesk.channels import RawInbound
from helpdesk.clock import now
from helpdesk.domain.admission import admit
from helpdesk.domain.html import page, sanitise
from helpdesk.domain.media_types import UNKNOWN
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import attachments, deliveries
from helpdesk.services.house import Services
from tests import factories
from tests.browser.bench import Verdicts, judge_pages, require_browser
from tests.browser.vectors import RUNNING, VECTORS
from tests.conftest import BASE_URL, SHARED
from tests.house import Desk, House, mail
from workers.hosts import DoorHost

MINA = "mina@customer.test"


def shared(name: str) -> list[dict[str, Any]]:
    path = SHARED / "attack" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shared(name), reason=f"../shared/attack/{name}.jsonl is not here")


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


@pytest.fixture
async def desk(house: House) -> Desk:
    return await house.inbox()


# -- HTML -------------------------------------------------------------------------------------------------------------


async def pages_of(house: House, desk: Desk, vectors: dict[str, str]) -> dict[str, tuple[str, dict[str, str]]]:
    """Each vector's page as the API hands it out, after a mail brought it in. Every id gets one, or this fails.

    A mail holds one vector, so that none can swallow another; of those that are the same once sanitised, one is sent.
    """
    same: dict[str, list[str]] = {}
    for key, html in vectors.items():
        same.setdefault(sanitise(html).html, []).append(key)
    firsts = [keys[0] for keys in same.values()]
    for at in range(0, len(firsts), 200):
        batch = enumerate(firsts[at : at + 200], at)
        await house.post(
            desk, *(mail(f"s{n}@customer.test", "", html=vectors[key], message_id=f"v{n}@x.test") for n, key in batch)
        )
    while await house.process():
        pass
    found = {firsts[int(row["external_id"][1:].partition("@")[0])]: row for row in await house.incoming()}
    assert set(found) == set(firsts)
    anna = await factories.agent(house.services, role="admin")
    transport = httpx.ASGITransport(create_app(house.services))
    shown: dict[str, tuple[str, dict[str, str]]] = {}
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=anna.headers) as client:
        for key, row in found.items():
            answer = await client.get(f"/api/v1/messages/{row['id']}/html")
            assert answer.status_code == 200
            assert "script-src" not in answer.headers["content-security-policy"]
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            shown[key] = (answer.text, dict(answer.headers))
    return {key: shown[keys[0]] for keys in same.values() for key in keys}


async def judged(pages: dict[str, tuple[str, dict[str, str]]]) -> Verdicts:
    return await asyncio.to_thread(judge_pages, pages)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_our_vectors_in_a_mail_do_nothing(house: House, desk: Desk) -> None:
    require_browser()
    (await judged(await pages_of(house, desk, VECTORS))).assert_clean(list(VECTORS))


@needs("xss")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_shared_vector_in_a_mail_does_nothing(house: House, desk: Desk) -> None:
    """What has become another page on its way than the sanitiser alone makes of it is judged here.

    The others are judged by `tests/browser`, letter for letter and without the headers that protect them here.
    """
    require_browser()
    vectors = {f"shared-{row['id']}": row["payload"] for row in shared("xss")}
    pages = await pages_of(house, desk, vectors)
    assert set(pages) == set(vectors)
    others = {key: shown for key, shown in pages.items() if shown[0] != page(sanitise(f"{vectors[key]}\n").html)}
    (await judged(others)).assert_clean(list(others))


async def test_the_same_vectors_run_when_nothing_stands_between() -> None:
    require_browser()
    bare = {"Content-Type": "text/html; charset=utf-8"}
    pages = {f"{at}": (f"<!doctype html><meta charset=utf-8><body>{html}", bare) for at, html in enumerate(RUNNING)}
    verdicts = await asyncio.to_thread(judge_pages, pages, held=True)
    assert len(verdicts.ran) >= 0.9 * len(RUNNING)


# -- headers ----------------------------------------------------------------------------------------------------------

OWN_VALUES = (
    "Hi\r\nBcc: victim@evil.test",
    "Hi\nBcc: victim@evil.test",
    "Hi\rBcc: victim@evil.test",
    "Hi\u2028Bcc: victim@evil.test\u0085X: y",
    "=?utf-8?q?Hi=0D=0ABcc:_victim@evil.test?=",
    "=?utf-8?b?SGkNCkJjYzogdmljdGltQGV2aWwudGVzdA==?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3FHi=3D0D=3D0ABcc=3A_victim=40evil.test=3F=3D?=",
    'a" <victim@evil.test>, "b',
    "\u202ekcab\u2066",
    "a@b.test>\r\nRCPT TO:<victim@evil.test",
)
_UNFIT = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_ALLOWED = {
    "date", "from", "reply-to", "to", "subject", "message-id", "in-reply-to", "references", "auto-submitted",
    "x-auto-response-suppress", "precedence", "mime-version", "content-type", "content-transfer-encoding",
}  # fmt: skip


def header_values() -> list[str]:
    return [*OWN_VALUES, *(row["value"] for row in shared("header_values"))]


def hostile(at: int, value: str) -> list[bytes]:
    """Mails that bring one value in, as it is and behind each of the encodings that headers know."""
    import base64
    from urllib.parse import quote

    raw = value.encode("utf-8", "surrogatepass")
    word = f"=?utf-8?b?{base64.b64encode(raw).decode()}?="
    quoted = "=?utf-8?q?" + "".join(f"={byte:02X}" for byte in raw) + "?="
    extended = f"attachment; filename*=utf-8''{quote(raw, safe='')}"
    found = []
    for form, spelt in enumerate((value, word, quoted)):
        sender = f"{spelt} <sender{at}.{form}@customer.test>"
        disposition = f'attachment; filename="{spelt}"' if form else extended
        files = [(disposition, "text/plain", b"content")]
        found.append(mail(sender, f"Number {at} {form}", subject=spelt, message_id=f"h{at}.{form}@x.test", files=files))
    return found


def assert_harmless(message: EmailMessage, recipients: list[str]) -> None:
    """No header and no recipient that we did not mean."""
    names = [name.lower() for name in list(message)]
    assert set(names) <= _ALLOWED
    assert len(names) == len(set(names))
    found = [one.addr_spec for name in ("To", "Cc", "Bcc") for one in getattr(message[name], "addresses", ())]
    assert found == recipients


async def test_values_with_line_breaks_stay_values(house: House, desk: Desk) -> None:
    values = header_values()
    mails = [one for at, value in enumerate(values) for one in hostile(at, value)]
    await house.receive(desk, *mails)
    stored = await house.incoming()
    assert len(stored) == len(mails)
    for row in await house.conversations():
        assert not _UNFIT.search(row["subject"] + row["contact_handle"])
        assert len(row["subject"]) <= 500
    for row in stored:
        assert not _UNFIT.search(row["subject"] + row["author_name"])
        assert len(row["author_name"]) <= 120
    files = await house.rows(attachments)
    # A value may end the header where it stands as it is; encoded, it must not.
    counts = {row["external_id"]: row["attachment_count"] for row in stored}
    encoded = [f"h{at}.{form}@x.test" for at in range(len(values)) for form in (1, 2)]
    assert {one: counts.get(one) for one in encoded} == dict.fromkeys(encoded, 1)
    for row in files:
        assert not re.search(r'[/\\<>:"|?*\r\n]', row["filename"])
        assert not _UNFIT.search(row["filename"])
    # Acknowledgements have left; now an agent answers each of them.
    acknowledged = house.outgoing()
    answered = [row for row in await house.conversations() if row["contact_handle"]]
    for row in answered:
        await house.reply(row["id"], "Thank you.")
    await house.drain()
    answers = house.outgoing()
    sent = await house.rows(deliveries)
    assert len(answers) == len(answered) == len([row for row in sent if not row["automatic"]])
    assert len(answers) >= len(values)
    assert len(acknowledged) >= len(values)
    handles = {row["id"]: row["contact_handle"] for row in answered}
    of = {
        row["id"]: handles[row["conversation_id"]]
        for row in await house.messages()
        if row["conversation_id"] in handles
    }
    assert all(row["recipients"] == [of[row["message_id"]]] for row in sent)
    wanted = {row["external_id"]: row["recipients"] for row in sent}
    for message in (*acknowledged, *answers):
        assert_harmless(message, wanted[message["Message-ID"].strip().strip("<>")])


# -- the door ---------------------------------------------------------------------------------------------------------

OWN_SMUGGLERS = (
    "x\n.\nMAIL FROM:<a@b.test>\nRCPT TO:<support@wallet.test>\nDATA\nSubject: two\n\ny\n",
    "x\r\n.\rMAIL FROM:<a@b.test>\r\n",
    "x\r.\r\nMAIL FROM:<a@b.test>\r\n",
    "x\n.\r\nMAIL FROM:<a@b.test>\r\n",
    "x\r\n.\nMAIL FROM:<a@b.test>\r\n",
    "x\r\n.\0\r\nMAIL FROM:<a@b.test>\r\n",
)


def talk(port: int, body: bytes) -> None:
    """One mail by SMTP: what ends the mail is said as RFC 5321 wants it, whatever `body` pretends."""
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as peer:
        peer.ehlo("peer.test")
        peer.docmd("MAIL FROM:<sender@customer.test>")
        peer.docmd("RCPT TO:<support@wallet.test>")
        code, _ = peer.docmd("DATA")
        assert code == 354
        head = b"From: sender@customer.test\r\nTo: support@wallet.test\r\nSubject: One\r\n\r\n"
        peer.send(head + body + b"\r\n.\r\n")
        peer.getreply()
        peer.sock.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_nothing_smuggles_a_second_mail_through_the_door(house: House, desk: Desk) -> None:
    bodies = [*OWN_SMUGGLERS, *(row["body"] for row in shared("smtp_smuggling_bodies"))]
    settings = {"smtp_bind": "127.0.0.1:0", "lmtp_bind": "", "trusted_peers": []}
    host = DoorHost(house.services, house.guard, channel="email", settings=settings)
    async with door.serve(host) as opened:
        port = int(opened.addresses["smtp"].rpartition(":")[2])
        for at, body in enumerate(bodies):
            # A single dot on a line of its own is doubled by whoever sends; RFC 5321 section 4.5.2.
            stuffed = re.sub(rb"(?m)(?:(?<=\r\n)|\A)\.", b"..", body.encode() + b" %d" % at)
            before = len(await house.rows(raw_items))
            await asyncio.to_thread(talk, port, stuffed)
            assert len(await house.rows(raw_items)) - before <= 1, body
        taken = len(await house.rows(raw_items))
    await house.drain()
    assert taken >= len(bodies) // 3
    found = await house.incoming()
    assert len(found) == taken
    assert {row["subject"] for row in found} == {"One"}
    assert {row["contact_handle"] for row in await house.conversations()} == {"sender@customer.test"}


# -- file names -------------------------------------------------------------------------------------------------------

OWN_NAMES = (
    "../../up.txt", "..\\..\\up.ini", "/etc/passwd", "C:\\boot.ini", "a\r\nX-Header: y.txt", 'a";filename="b.html',
    "\u202egnp.exe", "a.png\0.html", "", ".", "..", "CON", "x" * 400 + ".pdf", "<img src=x onerror=alert(1)>.png",
)  # fmt: skip


async def test_file_names_are_harmless_in_rows_and_headers(house: House, desk: Desk) -> None:
    from urllib.parse import quote

    names = [*OWN_NAMES, *(row["name"] for row in shared("attachment_filenames"))]
    mails = []
    for at, name in enumerate(names):
        encoded = f"attachment; filename*=utf-8''{quote(name.encode('utf-8', 'surrogatepass'), safe='')}"
        files = [(encoded, "text/html", b"<script>alert(1)</script>")]
        mails.append(mail(f"sender{at}@customer.test", "With a file.", files=files))
    await house.receive(desk, *mails)
    found = await house.rows(attachments)
    assert len(found) == len(names)
    anna = await factories.agent(house.services, role="admin")
    transport = httpx.ASGITransport(create_app(house.services))
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=anna.headers) as client:
        for row in found:
            assert 0 < len(row["filename"]) <= 120
            assert not re.search(r'[/\\<>:"|?*]', row["filename"])
            assert not _UNFIT.search(row["filename"])
            answer = await client.get(f"/api/v1/attachments/{row['id']}")
            assert answer.status_code == 200
            assert answer.headers["content-disposition"].startswith("attachment")
            assert answer.headers["content-type"].partition(";")[0] in {UNKNOWN, "text/plain", "text/csv"}
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in answer.headers["content-security-policy"]
            names_of = {name.lower() for name in answer.headers}
            assert not names_of & {"x-header", "set-cookie", "location"}
    folder = Path(house.services.settings.data)
    stored = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert stored <= {"blobs", "outgoing"}


# -- what makes parsers slow ------------------------------------------------------------------------------------------

OWN_SLOW = {
    "own angle": "<" * 60_000,
    "own words": "=?utf-8?q?" * 6_000,
    "own quotes": '"\\' * 30_000,
    "own groups": "a:" * 30_000,
    "own commas": "," * 60_000,
    "own re": "Re: Fwd: " * 7_000,
    "own wrote": "On Mon, wrote:\n> " * 4_000,
    "own chinese": "在 2026年 写道：" * 6_000,
    "own table": "<table><td>" * 6_000,
    "own semicolons": ";" * 60_000,
    "own cjk quote": "------------------ 原始邮件 ------------------\n" * 1_500,
}
HEADERS = (
    "From", "To", "Cc", "Reply-To", "Sender", "Subject", "Message-ID", "In-Reply-To", "References", "Date", "Received",
    "Authentication-Results", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Content-ID",
    "Return-Path", "Auto-Submitted", "Precedence", "List-Id", "X-Auto-Response-Suppress", "Delivered-To",
    "X-Failed-Recipients", "X-Unknown",
)  # fmt: skip
BUDGET = 0.2
CONFIG = {
    "address": "support@wallet.test", "reply_address": "support+{token}@wallet.test", "authserv_id": "mx.wallet.test",
    "trusted_forwarders": ["customer.test"],
}  # fmt: skip


def slow_mails(name: str, text: str) -> dict[str, bytes]:
    """One input in each place of a mail that anything looks into."""
    found = {}
    flat = text.replace("\r", " ").replace("\n", " ")
    for header in HEADERS:
        base = "" if header == "From" else f"From: {MINA}\r\n"
        given = f"{header}: {flat}\r\n".encode("utf-8", "replace")
        folded = f"{header}: {text}".replace("\n", "\r\n ").encode("utf-8", "replace") + b"\r\n"
        found[f"{header}"] = base.encode() + given + b"\r\nbody\r\n"
        if folded != given:
            found[f"{header} folded"] = base.encode() + folded + b"\r\nbody\r\n"
    head = f"From: {MINA}\r\nTo: support@wallet.test\r\nSubject: slow\r\nMIME-Version: 1.0\r\n".encode()
    body = text.encode("utf-8", "replace")
    found["text"] = head + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + body
    found["html"] = head + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + body
    found["html attribute"] = head + b'Content-Type: text/html; charset=utf-8\r\n\r\n<a href="' + body + b'">x</a>'
    found["html style"] = head + b'Content-Type: text/html; charset=utf-8\r\n\r\n<p style="' + body + b'">x</p>'
    found["daemon"] = b"From: MAILER-DAEMON@x.test\r\nSubject: Undelivered\r\nReturn-Path: <>\r\n\r\n" + body
    found["report"] = (
        b"From: MAILER-DAEMON@x.test\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\n\r\n" + body + b"\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" + body + b"\r\n--b--\r\n"
    )
    found["part header"] = (
        head + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment; filename="
        + flat.encode("utf-8", "replace") + b"\r\n\r\nx\r\n--b--\r\n"
    )  # fmt: skip
    return found


def slow_inputs() -> dict[str, str]:
    return {**OWN_SLOW, **{row["name"]: row["input"] for row in shared("redos_inputs")}}


@pytest.mark.parametrize("name", sorted(slow_inputs()))
def test_no_input_makes_reading_slow(name: str) -> None:
    """CPU time of reading and admitting, at its best of three: the machine's other work is not the parser's."""
    judged, late = 0, {}
    text = slow_inputs()[name]
    parse(RawInbound("warm", mail(MINA, html="<p>x"), now()), CONFIG)
    for place, body in slow_mails(name, text).items():
        raw = RawInbound("1", body, now(), {"mail_from": MINA, "recipients": ["support@wallet.test"]})
        taken = []
        for _ in range(3):
            started = time.process_time()
            admit(parse(raw, CONFIG))
            taken.append(time.process_time() - started)
            if taken[-1] < BUDGET:
                break
        judged += 1
        if min(taken) >= BUDGET:
            late[place] = round(min(taken), 3)
    assert judged >= len(HEADERS) + 7
    assert not late
