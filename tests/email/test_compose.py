"""Outgoing mail: what is composed, that it is the same each time, and that no value becomes a header or a recipient."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.policy import default
from email.utils import getaddresses
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.email.compose import compose
from connectors.email.config import EmailConfig
from connectors.email.outgoing_texts import flowed
from connectors.email.parse import parse
from helpdesk.channels import (
    Address,
    OutboundAttachment,
    OutboundMessage,
    PermanentFailure,
    Quote,
    RawInbound,
    RecipientRefused,
)

SHARED = Path(__file__).resolve().parents[3] / "shared"
TOKEN = "abcdefghijklmnopqrstuvwxyz234567abcd"
AT = datetime(2025, 3, 3, 14, 5, 6, 789, tzinfo=UTC)
CONFIG = EmailConfig(
    address="support@wallet.test", display_name="Wallet Support", reply_address="support+{token}@wallet.test"
)
ANN = Address("ann@customer.test", "Ann")
PLAIN = {"date", "from", "to", "subject", "message-id", "mime-version", "content-type"}
THREAD = {"reply-to", "in-reply-to", "references"}


def outbound(**changes: Any) -> OutboundMessage:
    message = OutboundMessage(
        message_id=UUID("0195a000-0000-7000-8000-000000000001"),
        client_token="token-1",
        to=(ANN,),
        text="Hello Ann,\n\nit is on its way.",
        created_at=AT,
        subject="Where is it?",
    )
    return replace(message, **changes)


def built(config: EmailConfig = CONFIG, **changes: Any) -> Message:
    return message_from_bytes(compose(config, outbound(**changes)).body)


def modern(config: EmailConfig = CONFIG, **changes: Any) -> EmailMessage:
    found = message_from_bytes(compose(config, outbound(**changes)).body, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def shown(value: str | None) -> str:
    return str(make_header(decode_header(value or "")))


def body(mail: Message, subtype: str) -> str:
    for part in mail.walk():
        if part.get_content_type() == f"text/{subtype}" and not part.get_filename():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            return payload.decode().replace("\r\n", "\n")
    raise AssertionError(subtype)


def well_formed(data: bytes) -> None:
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert b"\r" not in data.replace(b"\r\n", b"")
    assert max(map(len, data.split(b"\r\n"))) <= 998


# -- the envelope and the thread


def test_a_reply_carries_its_thread_its_token_and_one_re() -> None:
    composed = compose(
        CONFIG,
        outbound(token=TOKEN, in_reply_to="q2@customer.test", references=("q1@customer.test", "<q2@customer.test>")),
    )
    mail = message_from_bytes(composed.body)
    assert mail["Subject"] == "Re: Where is it?"
    assert mail["In-Reply-To"] == "<q2@customer.test>"
    assert mail["References"] == "<q1@customer.test> <q2@customer.test>"
    assert " ".join(mail["Reply-To"].split()) == f"Wallet Support <support+{TOKEN}@wallet.test>"
    assert mail["From"] == "Wallet Support <support@wallet.test>"
    assert mail["To"] == "Ann <ann@customer.test>"
    assert mail["Date"] == "Mon, 03 Mar 2025 14:05:06 +0000"
    assert mail["Message-ID"] == f"<{composed.external_id}>"
    assert re.fullmatch(rf"{TOKEN}\.[a-z2-7]{{24}}@wallet\.test", composed.external_id)
    assert composed.sender == "support@wallet.test"
    assert composed.recipients == ("ann@customer.test",)


def test_without_a_token_there_is_no_reply_to_and_the_id_is_the_nonce_alone() -> None:
    composed = compose(CONFIG, outbound())
    assert message_from_bytes(composed.body)["Reply-To"] is None
    assert re.fullmatch(r"[a-z2-7]{24}@wallet\.test", composed.external_id)


def test_composing_twice_gives_the_same_bytes_and_another_message_gives_another_id() -> None:
    files = (OutboundAttachment("a.txt", "text/plain", b"hi"),)
    one = compose(CONFIG, outbound(attachments=files, html="<p>x</p>"))
    assert one == compose(CONFIG, outbound(attachments=files, html="<p>x</p>"))
    assert one.external_id != compose(CONFIG, outbound(client_token="token-2")).external_id


def test_bcc_is_in_the_envelope_only_and_nobody_is_in_it_twice() -> None:
    composed = compose(
        CONFIG,
        outbound(cc=(Address("bob@customer.test"), Address("ANN@customer.test")), bcc=(Address("eve@customer.test"),)),
    )
    assert composed.recipients == ("ann@customer.test", "bob@customer.test", "eve@customer.test")
    assert b"eve@" not in composed.body
    assert message_from_bytes(composed.body)["Cc"] == "bob@customer.test"


def test_a_mail_to_bcc_alone_has_a_to_that_tells_nothing() -> None:
    composed = compose(CONFIG, outbound(to=(), bcc=(ANN,)))
    assert message_from_bytes(composed.body)["To"] == "undisclosed-recipients:;"
    assert composed.recipients == ("ann@customer.test",)


def test_long_threads_keep_the_first_reference_and_the_newest() -> None:
    ids = tuple(f"m{n}@customer.test" for n in range(100))
    found = built(in_reply_to=ids[-1], references=ids)["References"].split()
    assert len(found) == 20
    assert found[0] == "<m0@customer.test>"
    assert found[1:] == [f"<{one}>" for one in ids[-19:]]


def test_what_is_no_message_id_is_left_out_of_the_thread() -> None:
    mail = built(
        in_reply_to=f"sha256-{'ab' * 32}",
        references=("a b@x.test", "<a@x.test>\r\nBcc: v@x.test", "ok@x.test", "<<a@b>>", "bare"),
    )
    assert mail["In-Reply-To"] is None
    assert mail["References"] == "<ok@x.test> <bare>"


@pytest.mark.parametrize(
    ("given_subject", "subject"),
    [
        ("Lost", "Re: Lost"),
        ("Re: Lost", "Re: Lost"),
        ("RE: re: Lost", "Re: Lost"),
        ("回复：回覆: Aw: Lost", "Re: Lost"),
        ("Re[4]: Lost", "Re: Lost"),
        ("Return: Lost", "Re: Return: Lost"),
        ("", "Re:"),
    ],
)
def test_the_subject_has_re_once(given_subject: str, subject: str) -> None:
    assert shown(built(subject=given_subject, in_reply_to="a@b.test")["Subject"]) == subject


def test_automatic_mail_says_so_and_has_a_null_sender() -> None:
    quote = Quote("Ann", "secret", None, AT)
    composed = compose(
        EmailConfig(address="support@wallet.test", signature="Wallet"),
        outbound(automatic=True, in_reply_to="q@customer.test", subject="We have it", quote=quote),
    )
    mail = message_from_bytes(composed.body)
    assert composed.sender == ""
    assert composed.automatic
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["X-Auto-Response-Suppress"] == "All"
    assert mail["Precedence"] == "auto_reply"
    assert mail["Subject"] == "We have it"
    assert mail["In-Reply-To"] == mail["References"] == "<q@customer.test>"
    assert "secret" not in body(mail, "plain")


# -- what a person reads


def test_text_and_html_say_the_same_and_html_is_escaped() -> None:
    mail = built(text="a < b\n& so on\n\nnext", token=TOKEN)
    assert mail.get_content_type() == "multipart/alternative"
    assert body(mail, "plain") == "a < b\n& so on\n\nnext\n"
    assert "<p>a &lt; b<br>\n&amp; so on</p>\n<p>next</p>" in body(mail, "html")


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("en", "On Mon, 3 Mar 2025 at 14:05 UTC, Ann wrote:"),
        ("zh-CN", "Ann 于 2025年3月3日 14:05 (UTC) 写道："),
        ("zh-TW", "Ann 於 2025年3月3日 14:05 (UTC) 寫道："),
        ("zh-Hant", "Ann 於 2025年3月3日 14:05 (UTC) 寫道："),
        ("fr", "On Mon, 3 Mar 2025 at 14:05 UTC, Ann wrote:"),
    ],
)
def test_history_is_quoted_under_a_line_in_the_readers_language(language: str, line: str) -> None:
    quote = Quote("Ann", "Where is it?\n> older", "<p>Where is <b>it</b>?</p>", AT.astimezone(UTC))
    mail = built(EmailConfig(address="s@w.test", signature="Wallet\nSupport"), quote=quote, language=language)
    assert body(mail, "plain").endswith(f"\n\n-- \nWallet\nSupport\n\n{line}\n> Where is it?\n>> older\n")
    html = body(mail, "html")
    assert line in html
    assert "<blockquote" in html
    assert "<p>Where is <b>it</b>?</p>\n</blockquote>" in html
    assert "Wallet<br>\nSupport" in html


@pytest.mark.parametrize("language", ["en", "zh-CN", "zh-TW"])
@pytest.mark.parametrize("html", [None, "<p>It is <b>on its way</b>.</p>"])
def test_what_we_send_is_taken_apart_again_by_what_we_read(language: str, html: str | None) -> None:
    config = CONFIG.model_copy(update={"signature": "Wallet Support\nwww.wallet.test"})
    quote = Quote("Ann Lee", "Where is it?\n\nPlease.", None, AT)
    composed = compose(
        config, outbound(text="It is on its way.", html=html, quote=quote, language=language, token=TOKEN)
    )
    settings = config.model_dump(mode="json")
    found = parse(RawInbound("1", composed.body, AT), settings)
    assert found.external_id == composed.external_id
    assert found.new_text == "It is on its way."
    assert "www.wallet.test" in found.signature
    assert "Where is it?" in found.quoted
    answer = f"From: ann@customer.test\r\nIn-Reply-To: <{composed.external_id}>\r\n\r\nThanks\r\n".encode()
    by_id = parse(RawInbound("2", answer, AT), settings)
    assert by_id.tokens == (("message_id", TOKEN),)
    by_address = parse(RawInbound("3", answer, AT, {"recipients": [f"support+{TOKEN}@wallet.test"]}), settings)
    assert by_address.tokens == (("address", TOKEN), ("message_id", TOKEN))


def test_inline_images_go_beside_the_html_and_files_outside() -> None:
    image = OutboundAttachment("logo.png", "image/png", b"\x89PNG", inline=True, content_id="logo@x")
    file = OutboundAttachment("提现记录.pdf", "application/pdf", b"%PDF" * 100)
    mail = built(html='<p><img src="cid:logo@x"></p>', attachments=(image, file))
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    parts = list(modern(html="<p></p>", attachments=(image, file)).walk())
    assert parts[5]["Content-ID"] == "<logo@x>"
    assert parts[5].get_content_disposition() == "inline"
    assert parts[6].get_filename() == "提现记录.pdf"
    assert parts[6].get_payload(decode=True) == b"%PDF" * 100


def test_an_inline_image_without_html_to_show_it_is_a_file() -> None:
    image = OutboundAttachment("logo.png", "image/png", b"\x89PNG", inline=True, content_id="logo@x")
    assert built(attachments=(image,)).get_content_type() == "multipart/mixed"


@pytest.mark.parametrize("claimed", ["message/rfc822", "multipart/mixed; boundary=x", "text", "a/b\r\nX: y", ""])
def test_types_that_cannot_be_sent_as_base64_are_sent_as_bytes(claimed: str) -> None:
    mail = built(attachments=(OutboundAttachment("a.eml", claimed, b"x"),))
    assert list(mail.walk())[-1].get_content_type() == "application/octet-stream"


@pytest.mark.parametrize("text", ["a" * 5000, "字" * 3000, "é" + "b " * 3000, "a\x00b\x0bc\x1bd", "\ud800x", ".\n.\n"])
def test_any_text_travels_in_short_7bit_lines(text: str) -> None:
    composed = compose(CONFIG, outbound(text=text, html=f"<p>{text}</p>"))
    well_formed(composed.body)
    assert composed.body.isascii()


def test_a_text_that_holds_the_boundary_does_not_end_its_part() -> None:
    boundary = built().get_boundary()
    mail = built(text=f"--{boundary}\n\n--{boundary}--")
    assert mail.get_boundary() != boundary
    assert len(list(mail.walk())) == 3


def _unflow(text: str) -> str:
    """RFC 3676 section 4.1, read from the other side; depth by marks."""
    out: list[tuple[int, str]] = []
    soft = False
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        if soft and out and out[-1][0] == depth:
            out[-1] = (depth, out[-1][1] + content)
        else:
            out.append((depth, content))
        soft = content.endswith(" ") and content != "-- "
    return "\n".join(("> " if depth else "") * depth + content for depth, content in out)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab >F字\n", max_size=400))
def test_flowed_text_reads_as_it_was_written(text: str) -> None:
    wanted = "\n".join(line.rstrip(" ") if line != "-- " else line for line in text.split("\n"))
    wanted = "\n".join(re.sub(r"^(?:> ?)+", lambda m: "> " * m[0].count(">"), line) for line in wanted.split("\n"))
    result = flowed(text)
    strip = "\n".join(line.rstrip(" ") for line in _unflow(result).split("\n"))
    assert strip == "\n".join(line.rstrip(" ") for line in wanted.split("\n"))


def test_lines_are_wrapped_and_space_stuffed() -> None:
    lines = flowed("From here on " + "word " * 40 + "\n indented\n-- \nme").split("\n")
    assert all(len(line) <= 77 for line in lines)
    assert lines[0].startswith(" From here")
    assert lines[0].endswith(" ")
    assert lines[-3:] == ["  indented", "-- ", "me"]


# -- injection


def hostile_values() -> list[str]:
    own = [
        "a\r\nBcc: x@evil.test",
        "a\u2028Bcc: x@evil.test",
        "a\x85Bcc: x@evil.test",
        "a\x1cBcc: x@evil.test",
        "=?utf-8?b?=0D=0ABcc:_x?= =?gb18030?q?=0A?=",
        "==??utf-8?q?=0D=0A?=",
        "\u202etest.live\u2069",
        "x\ud800y\U000e0041",
        '\\"\r\n\\',
        "(comment) <x@evil.test>",
        ";:,<>@[]",
        "=?utf-8?q?" + "=?" * 40,
        "a\tb\n\tc",
        "漢" * 300,
        " ",
    ]
    path = SHARED / "attack" / "header_values.jsonl"
    if path.exists():
        own += [json.loads(line)["value"] for line in path.read_text(encoding="utf-8").split("\n") if line]
    return own


@pytest.mark.parametrize("value", hostile_values())
def test_no_value_becomes_a_header_or_a_recipient(value: str) -> None:
    config = CONFIG.model_copy(update={"display_name": value, "signature": value})
    attachments = (
        OutboundAttachment(value, value, b"x"),
        OutboundAttachment(value, "image/png", b"x", inline=True, content_id=value),
    )
    composed = compose(
        config,
        outbound(
            subject=value,
            author=value,
            to=(Address("ann@customer.test", value),),
            text=value,
            html="<p>x</p>",
            in_reply_to=value,
            references=(value,),
            attachments=attachments,
            quote=Quote(value, value, None, AT),
            language=value,
            token=TOKEN,
        ),
    )
    assert composed.recipients == ("ann@customer.test",)
    well_formed(composed.body)
    assert composed.body.isascii()
    mail = message_from_bytes(composed.body)
    names = [name.lower() for name in mail.keys()]  # noqa: SIM118 - each occurrence, not each name
    assert len(names) == len(set(names))
    assert set(names) <= PLAIN | THREAD
    assert all(re.fullmatch(r"<[\x21-\x7e]+>", mail[name]) for name in THREAD - {"reply-to"} if name in mail)
    assert [a for _, a in getaddresses([mail["To"]])] == ["ann@customer.test"]
    # A receiver that decodes once more, as the standard library's newer policy does, sees nothing else.
    again = message_from_bytes(composed.body, policy=default)
    assert [name.lower() for name in again.keys()] == names  # noqa: SIM118
    for shown_value in again.values():
        assert not set("\r\n\x00\u2028\u2029\u202e") & set(str(shown_value))
    for part in mail.walk():
        assert {name.lower() for name in part.keys()} <= PLAIN | THREAD | {  # noqa: SIM118
            "content-transfer-encoding",
            "content-disposition",
            "content-id",
        }
    assert len(list(mail.walk())) in {6, 7}


@pytest.mark.parametrize("value", hostile_values())
def test_no_hostile_value_is_an_address(value: str) -> None:
    for handle in (value, f"{value}@customer.test", f"ann@{value}", f"ann@customer.test{value}"):
        recipients, refused = _attempt(handle)
        assert refused in ((), (handle,))
        assert len(recipients) <= 2
        assert all(re.fullmatch(r"[^\s<>,;:\"]+@[\x21-\x7e]+", one) for one in recipients)


def _attempt(handle: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        return compose(CONFIG, outbound(to=(ANN, Address(handle)))).recipients, ()
    except RecipientRefused as error:
        return (), tuple(refusal.recipient for refusal in error.refusals if refusal.permanent)


@pytest.mark.parametrize(
    "value", ["Grüße aus Köln", "提现一直失败 " * 20, "😀" * 60, 'He said "hi", twice', "x" * 8000, "a  b\t c"]
)
def test_a_subject_and_a_name_are_read_back_as_they_were(value: str) -> None:
    mail = modern(subject=value)
    wanted = " ".join(value.split())
    assert mail["Subject"] == wanted[:500]
    # Python 3.11's newer policy puts spaces between the encoded words of a name, against RFC 2047 section 6.2.
    [(name, _)] = getaddresses([built(to=(Address("ann@customer.test", value),))["To"]])
    assert shown(name) == wanted[:120].rstrip()


@pytest.mark.parametrize(
    ("handle", "written"),
    [
        ("Ann.Lee+tag@Customer.TEST", "Ann.Lee+tag@customer.test"),
        ("ann..lee.@provider.test", "ann..lee.@provider.test"),
        ("o'brien@bücher.test", "o'brien@xn--bcher-kva.test"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_addresses_are_written_in_one_form(handle: str, written: str) -> None:
    assert compose(CONFIG, outbound(to=(Address(handle, "A"),))).recipients == (written,)


def test_only_an_address_that_needs_it_makes_the_header_utf8() -> None:
    composed = compose(CONFIG, outbound(to=(Address("用户@例子.test", "用户"),)))
    assert composed.recipients == ("用户@xn--fsqu00a.test",)
    assert "<用户@xn--fsqu00a.test>".encode() in composed.body
    head, _, rest = composed.body.partition(b"\r\n\r\n")
    assert not head.isascii()
    assert rest.isascii()


def test_a_message_to_nobody_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="no recipient"):
        compose(CONFIG, outbound(to=()))


def test_the_date_is_utc_whatever_zone_it_came_in() -> None:
    later = AT.astimezone(UTC) + timedelta(hours=1)
    assert built(created_at=later)["Date"] == "Mon, 03 Mar 2025 15:05:06 +0000"


def test_a_large_file_is_composed_quickly() -> None:
    data = bytes(range(256)) * 40_000
    mail = built(attachments=(OutboundAttachment("big.bin", "application/zip", data),))
    assert list(mail.walk())[-1].get_payload(decode=True) == data
