"""Whatever comes in, what goes out can be stored: no exception but Unreadable, no half characters, no NUL."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.email.parse import parse
from helpdesk.channels import RawInbound, Unreadable

CONFIG = {
    "address": "support@wallet.example",
    "reply_address": "support+{token}@wallet.example",
    "authserv_id": "mx.wallet.example",
    "trusted_forwarders": ["customer.example"],
}
NAMES = [
    b"From", b"To", b"Cc", b"Subject", b"Message-ID", b"References", b"Content-Type", b"Content-Transfer-Encoding",
    b"Content-Disposition", b"Content-ID", b"Authentication-Results", b"Received", b"Auto-Submitted",
    b"Return-Path",
]  # fmt: skip
VALUES = [
    b"a@customer.example", b"\"a\\", b"(((", b"<<@", b"=?utf-7?q?+2AA-?=", b"=?gb2312?b?x66w?=", b"=?x?q?\xff?=",
    b"\xff\xfe\x80", b"multipart/mixed; boundary=x", b"multipart/report; report-type=delivery-status; boundary=x",
    b"message/rfc822", b"message/delivery-status", b"text/html; charset=utf-7",
    b"text/plain; charset=utf-16; format=flowed", b"t\xe9/xt", b"application/ms-tnef",
    b"text/calendar; method=REPLY", b"base64", b"quoted-printable", b"x-uuencode",
    b"attachment; filename*0*=utf-7'x'%2B2AA-; filename*99=\x00", b"mx.wallet.example; dmarc=pass (",
    b"from x (a [1.2.3.4]) by y", b"<>", b"<a b@c>", b"MAILER-DAEMON@x", b"\x00", b"",
]  # fmt: skip
BODIES = [
    b"--x\r\n", b"--x--\r\n", b"\r\n", b"\r", b"+2AA-", b"=3D=\r\n=ZZ", b"begin 644 a\r\n#86)C\r\nend\r\n",
    b"<p>\x00hi</p>", b"\xd8\x00\xff", b"{\"Message\": \"{\\\"notificationType\\\": \\\"Bounce\\\"}\"}",
    b"\x78\x9f\x3e\x22\x00\x00\x01", b"> quoted \r\n",
    b"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n",
    b"On Monday, X <a@b.example> wrote:\r\n", b"\x1b$B",
    b"---------- Forwarded message ---------\r\nFrom: a <a@b.example>\r\nSubject: x\r\n\r\n",
    b"<lost@far.example>: 550 unknown\r\n",
]  # fmt: skip

header = st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.binary(max_size=40)).map(
    lambda pair: pair[0] + b": " + pair[1].replace(b"\n", b" ").replace(b"\r", b" ") + b"\r\n"
)
block = st.lists(header | st.sampled_from(BODIES) | st.binary(max_size=30), max_size=12).map(b"".join)
mails = st.lists(block, min_size=1, max_size=5).map(b"\r\n".join)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield str(value)
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            yield from _strings(getattr(value, each.name))
    elif isinstance(value, tuple):
        for one in value:
            yield from _strings(one)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mails)
def test_every_mail_is_read_or_refused_and_what_is_read_can_be_stored(data: bytes) -> None:
    try:
        message = parse(RawInbound("1", data, datetime(2026, 11, 2, tzinfo=UTC), {}), CONFIG)
    except Unreadable:
        return
    for text in _strings(message):
        text.encode("utf-8")
        assert "\x00" not in text
