"""A mail as the core gets it: who wrote it, what it says, what is attached, and what may be believed of it."""

from __future__ import annotations

import base64
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.email.parse import parse
from helpdesk.channels import Authentication, Automatic, InboundMessage, RawInbound, Unreadable

CONFIG: dict[str, Any] = {
    "address": "support@wallet.example",
    "reply_address": "support+{token}@wallet.example",
    "authserv_id": "mx.wallet.example",
    "trusted_forwarders": ["help@oldbrand.example", "partner.example"],
}
TOKEN = "abcdefghijklmnopqrstuvwxyz234567abcd"
OTHER = "234567abcdefghijklmnopqrstuvwxyzabcd"


def mail(
    *lines: str | bytes, body: str | bytes = "Hello.\r\n", sender: str = "Mei Chen <mei@customer.example>"
) -> bytes:
    """A mail of header lines and a body; From is there unless `sender` is empty."""
    head = [line if isinstance(line, bytes) else line.encode() for line in lines]
    if sender:
        head.insert(0, f"From: {sender}".encode())
    return b"\r\n".join(head) + b"\r\n\r\n" + (body if isinstance(body, bytes) else body.encode())


def read(data: bytes, hints: Mapping[str, Any] | None = None, **config: Any) -> InboundMessage:
    raw = RawInbound("1", data, datetime(2026, 11, 2, 9, tzinfo=UTC), hints or {})
    return parse(raw, {**CONFIG, **config})


def multipart(kind: str, *parts: tuple[str, str | bytes], boundary: str = "edge") -> tuple[str, bytes]:
    """A Content-Type line and the body for it; each part is (header lines, content)."""
    body = b""
    for header, content in parts:
        body += b"--" + boundary.encode() + b"\r\n" + header.encode() + b"\r\n\r\n"
        body += (content if isinstance(content, bytes) else content.encode()) + b"\r\n"
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"', body + b"--" + boundary.encode() + b"--\r\n"


def _unclosed(depth: int) -> bytes:
    """Multiparts inside each other, `b0` the outermost, none of them closed."""
    return b"From: a@b.example\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (number, number) for number in range(depth)
    ) + b"\n"  # fmt: skip


def _siblings(count: int) -> bytes:
    """Multiparts beside each other whose boundaries never come."""
    return b"From: a@b.example\nContent-Type: multipart/mixed; boundary=o\n\n" + b"".join(
        b"--o\nContent-Type: multipart/mixed; boundary=i%d\n\nhi\n" % number for number in range(count)
    )


def test_importing_it_brings_in_nothing_heavy() -> None:
    code = "import sys, connectors.email.parse; print(*sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    heavy = {
        "asyncio",
        "email",
        "pydantic",
        "httpx",
        "charset_normalizer",
        "tnefparse",
        "sqlalchemy",
        "fastapi",
        "socket",
    }
    assert not heavy & set(done.stdout.split())


class TestWhoWroteIt:
    def test_the_sender_is_the_from_address_and_nobody_else(self) -> None:
        message = read(mail("Reply-To: thief@elsewhere.example", "Sender: robot@elsewhere.example"))
        assert message.sender.handle == "mei@customer.example"
        assert message.sender.name == "Mei Chen"
        assert [each.handle for each in message.reply_to] == ["thief@elsewhere.example"]
        assert message.notes == ("reply_to_differs", "sender_header_differs")

    def test_the_domain_is_folded_and_the_local_part_is_not(self) -> None:
        assert read(mail(sender="<Mei.Chen@Customer.EXAMPLE>")).sender.handle == "Mei.Chen@customer.example"

    def test_both_spellings_of_an_international_domain_are_one_handle(self) -> None:
        assert read(mail(sender="a@xn--bcher-kva.example")).sender.handle == "a@bücher.example"
        assert read(mail(sender="a@bücher.example")).sender.handle == "a@bücher.example"
        assert read(mail(sender="a@xn--99999999.example")).sender.handle.startswith("a@")

    @pytest.mark.parametrize(
        ("lines", "suspect"),
        [
            (["From: a@one.example", "From: b@two.example"], ("several_from",)),
            (["From: a@one.example, b@two.example"], ("several_from",)),
            (["From: <a@one.example> <b@two.example>"], ("several_from",)),
            (["From: friends: a@one.example;"], ("group_from",)),
            (["From: undisclosed:;"], ("no_from",)),
            (["From: just a name"], ("no_from",)),
            (["Subject: nobody"], ("no_from",)),
        ],
    )
    def test_odd_from_lines_make_a_mail_suspect(self, lines: list[str], suspect: tuple[str, ...]) -> None:
        assert set(suspect) <= set(read(mail(*lines, sender="")).suspect)

    @pytest.mark.parametrize(
        ("sender", "handle", "name"),
        [
            ('"Chen, Mei" <mei@customer.example>', "mei@customer.example", "Chen, Mei"),
            ("mei@customer.example (Mei Chen)", "mei@customer.example", "Mei Chen"),
            ("=?gb2312?B?w7fLyQ==?= <mei@customer.example>", "mei@customer.example", "梅松"),
            ('"=?utf-8?q?M=C3=A9i?=" <mei@customer.example>', "mei@customer.example", "Méi"),
            ("'Mei' <mei@customer.example>", "mei@customer.example", "Mei"),
            ("support@wallet.example <thief@evil.example>", "thief@evil.example", "support@wallet.example"),
            ("<@relay.example,@two.example:mei@customer.example>", "mei@customer.example", ""),
            ("Mei (at (home)) Chen <mei@customer.example>", "mei@customer.example", "Mei Chen"),
            ('"unterminated <mei@customer.example>', "", "unterminated <mei@customer.example>"),
        ],
    )
    def test_forms_of_an_author(self, sender: str, handle: str, name: str) -> None:
        found = read(mail(sender=sender)).sender
        assert (found.handle, " ".join(found.name.split())) == (handle, name)

    def test_our_control_fields_in_inbound_mail_mean_nothing(self) -> None:
        plain = read(mail("Message-ID: <a@b.example>"))
        assert read(mail("Message-ID: <a@b.example>", "X-Helpdesk-Agent: 1", "X-Helpdesk-Conversation: 7")) == plain


class TestIds:
    def test_the_message_id_is_the_external_id(self) -> None:
        assert read(mail("Message-ID: <one@customer.example>")).external_id == "one@customer.example"

    @pytest.mark.parametrize("line", ["X-Nothing: 1", "Message-ID: <>", f"Message-ID: <{'x' * 2000}@y>"])
    def test_a_digest_stands_in_for_a_missing_message_id(self, line: str) -> None:
        found = read(mail(line)).external_id
        assert found.startswith("sha256-")
        assert found == read(mail(line)).external_id
        assert found != read(mail(line, body="Another.")).external_id

    def test_references_are_read_in_order_and_folded_ones_are_joined(self) -> None:
        message = read(mail("References: <a@x>\r\n <b@x>", "In-Reply-To: Your mail of Monday <c@x>"))
        assert message.references == ("a@x", "b@x")
        assert message.in_reply_to == "c@x"

    def test_tokens_come_from_the_address_first_and_then_from_the_newest_answered_mail(self) -> None:
        third = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
        message = read(
            mail(
                f"To: Support <SUPPORT+{TOKEN.upper()}@Wallet.Example>",
                f"In-Reply-To: <{OTHER}.aaaaaaaaaaaaaaaaaaaaaaaa@wallet.example>",
                f"References: <{third}.aaaaaaaaaa@wallet.example> <{OTHER}.aaaaaaaaaaaa@wallet.example>",
            )
        )
        assert message.tokens == (("address", TOKEN), ("message_id", OTHER), ("message_id", third))

    @pytest.mark.parametrize("field", ["Cc", "Delivered-To", "X-Original-To"])
    def test_a_token_is_found_wherever_the_recipient_is_named(self, field: str) -> None:
        assert read(mail(f"{field}: support+{TOKEN}@wallet.example")).tokens == (("address", TOKEN),)

    def test_a_token_is_found_in_the_envelope(self) -> None:
        hints = {"recipients": [f"support+{TOKEN}@wallet.example"]}
        assert read(mail(), hints).tokens == (("address", TOKEN),)

    def test_what_only_looks_like_a_token_is_none(self) -> None:
        message = read(
            mail(
                f"To: support+{TOKEN}x@wallet.example, support+{TOKEN}@elsewhere.example, x+{TOKEN}@wallet.example",
                f"In-Reply-To: <{TOKEN}@wallet.example>",
                "Subject: [#1234] help",
            )
        )
        assert message.tokens == ()

    def test_tokens_are_capped(self) -> None:
        ids = " ".join(
            f"<{number:036d}.aaaaaaaa@w>".translate(str.maketrans("01", "ab")) for number in range(10**5, 10**5 + 150)
        )
        assert len(read(mail(f"References: {ids}")).tokens) <= 50


class TestWhatItSays:
    def test_a_plain_mail_is_separated_from_its_quotation(self) -> None:
        message = read(
            mail(
                body="It works now.\r\n\r\nOn Mon, 2 Nov 2026 at 10:00, Support <s@wallet.example> wrote:\r\n"
                "> Try again.\r\n"
            )
        )
        assert message.new_text.strip() == "It works now."
        assert "Try again." in message.quoted
        assert "Try again." in message.text
        assert message.html is None

    def test_of_two_alternatives_both_are_kept(self) -> None:
        kind, body = multipart(
            "alternative",
            ("Content-Type: text/plain; charset=utf-8", "Grüße"),
            ("Content-Type: text/html; charset=utf-8", "<p>Grüße</p>"),
        )
        message = read(mail(kind, body=body))
        assert message.text.strip() == "Grüße"
        assert message.html is not None
        assert "<p>Grüße</p>" in message.html
        assert message.attachments == ()

    def test_html_alone_is_read_as_text(self) -> None:
        message = read(mail("Content-Type: text/html; charset=utf-8", body="<p>One</p><p>Two &amp; three</p>"))
        assert message.text.split("\n") == ["One", "", "Two & three"]
        assert "Two & three" in message.new_text

    def test_text_parts_in_a_row_are_joined_and_a_named_one_is_a_file(self) -> None:
        kind, body = multipart(
            "mixed",
            ("Content-Type: text/plain", "Before."),
            ("Content-Type: image/png\r\nContent-Transfer-Encoding: base64", base64.b64encode(b"\x89PNG")),
            ("Content-Type: text/plain", "After."),
            ("Content-Type: text/plain; name=log.txt", "a log"),
        )
        message = read(mail(kind, body=body))
        assert message.text == "Before.\nAfter."
        assert [(each.filename, each.content_type) for each in message.attachments] == [
            ("attachment-1.png", "image/png"),
            ("log.txt", "text/plain"),
        ]

    def test_plain_text_beside_html_is_in_the_html_too(self) -> None:
        kind, body = multipart(
            "mixed",
            ("Content-Type: text/html", "<p>The mail.</p>"),
            ("Content-Type: text/plain", "A <footer> of the list"),
        )
        message = read(mail(kind, body=body))
        assert message.html is not None
        assert "A &lt;footer&gt; of the list" in message.html
        assert "A <footer> of the list" in message.text
        assert "The mail." in message.text

    def test_flowed_text_is_unwrapped_and_quotes_stay_quotes(self) -> None:
        body = "This is one \r\nparagraph.\r\n>> quoted \r\n>> twice\r\n> once\r\n-- \r\nMei\r\n"
        message = read(mail("Content-Type: text/plain; format=flowed", body=body))
        assert message.text.split("\n")[:5] == ["This is one paragraph.", ">> quoted twice", "> once", "-- ", "Mei"]

    def test_delsp_takes_the_blank_that_broke_chinese_lines(self) -> None:
        message = read(
            mail("Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes", body="转账 \r\n没到\r\n")
        )
        assert message.text.strip() == "转账没到"

    def test_a_mail_without_a_boundary_still_shows_its_words_and_keeps_them_as_a_file(self) -> None:
        message = read(mail('Content-Type: multipart/mixed; boundary="gone"', body="Please help.\r\n"))
        assert message.text.strip() == "Please help."
        assert [each.body.strip() for each in message.attachments] == [b"Please help."]

    def test_a_boundary_written_differently_is_found(self) -> None:
        body = "--Edge\r\nContent-Type: text/plain\r\n\r\nOne.\r\n--Edge\r\n\r\nTwo.\r\n--Edge--\r\n"
        assert read(mail("Content-Type: multipart/mixed; boundary=edge", body=body)).text.split() == ["One.", "Two."]

    def test_a_mail_that_was_cut_off_is_shown_as_far_as_it_goes_and_its_last_text_is_a_file_too(self) -> None:
        kind, body = multipart("alternative", ("", "One."), ("Content-Type: text/html", "<p>One, and m"))
        message = read(mail(kind, body=body[: body.rindex(b"\r\n--edge")]))
        assert message.text.strip() == "One."
        assert message.html is not None
        assert "One, and m" in message.html
        assert [(each.content_type, each.body) for each in message.attachments] == [("text/html", b"<p>One, and m")]

    def test_blank_lines_that_were_cut_off_are_no_file(self) -> None:
        message = read(mail("Content-Type: multipart/mixed; boundary=a", body="--a\r\n\r\nOne.\r\n--a\r\n\r\n\r\n"))
        assert (message.text.strip(), message.attachments) == ("One.", ())

    @pytest.mark.parametrize("end", ["--edge--\r\n", "--edge-", "--edge-- \r\n\r\n"])
    def test_an_end_without_its_line_break_or_its_last_hyphen_is_an_end(self, end: str) -> None:
        body = f"--edge\r\n\r\nOne.{'' if end.endswith('-') else ' '}" + ("\r\n" if end == "--edge-" else "") + end
        message = read(mail("Content-Type: multipart/mixed; boundary=edge", body=body))
        assert (message.text.strip(), message.attachments) == ("One.", ())

    def test_a_delimiter_with_something_behind_it_is_one(self) -> None:
        body = "--edge\r\n\r\nOne.\r\n--edge;x\r\n\r\nTwo.\r\n--edge--\r\n"
        assert read(mail("Content-Type: multipart/mixed; boundary=edge", body=body)).text.split() == ["One.", "Two."]

    def test_header_lines_without_a_content_are_no_part(self) -> None:
        body = "--edge\r\n--edge\r\nContent-Type: text/html\r\n--edge\r\n\r\nOne.\r\n--edge--\r\n"
        message = read(mail("Content-Type: multipart/mixed; boundary=edge", body=body))
        assert (message.text, message.html, message.attachments) == ("One.", None, ())

    def test_words_under_the_label_of_base64_are_shown_as_they_stand(self) -> None:
        message = read(mail("Content-Transfer-Encoding: base64", body="Dear Sir,\r\nplease help.\r\n"))
        assert message.text.split("\n")[:2] == ["Dear Sir,", "please help."]
        assert [each.body[:9] for each in message.attachments] == [b"Dear Sir,"]

    def test_a_mail_cut_off_inside_two_multiparts_stays_together_if_it_can_be_read_as_it_stands(self) -> None:
        inner = 'Content-Type: multipart/alternative; boundary="in"'
        body = f"--out\r\n{inner}\r\n\r\n--in\r\n\r\nOne.\r\n--out\r\n\r\nTwo.\r\n"
        message = read(mail("Content-Type: multipart/mixed; boundary=out", body=body))
        assert message.text.split() == ["One.", "--out", "Two."]
        assert [each.body.split() for each in message.attachments] == [[b"One.", b"--out", b"Two."]]

    @pytest.mark.parametrize("end", ["", "--out--\r\n"])
    def test_a_file_after_an_inner_part_that_was_never_closed_is_a_file(self, end: str) -> None:
        inner = 'Content-Type: multipart/alternative; boundary="in"'
        file = "Content-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n"
        body = f"--out\r\n{inner}\r\n\r\n--in\r\n\r\nOne.\r\n--out\r\n{file}{end}"
        message = read(mail("Content-Type: multipart/mixed; boundary=out", body=body))
        assert message.text.strip() == "One."
        assert [(each.filename, each.body) for each in message.attachments] == [("a.png", b"\x89PNG")]

    def test_an_inner_boundary_that_begins_like_the_outer_one_is_its_own(self) -> None:
        inner = 'Content-Type: multipart/alternative; boundary="X_alt"'
        body = f"--X\r\n{inner}\r\n\r\n--X_alt\r\n\r\nOne.\r\n--X_alt--\r\n--X\r\n\r\nTwo.\r\n--X--\r\n"
        message = read(mail("Content-Type: multipart/mixed; boundary=X", body=body))
        assert (message.text.split(), message.attachments) == (["One.", "Two."], ())

    def test_an_outer_boundary_ends_an_inner_part_that_was_never_closed(self) -> None:
        inner = 'Content-Type: multipart/alternative; boundary="in"'
        body = f"--out\r\n{inner}\r\n\r\n--in\r\n\r\nOne.\r\n--out\r\n\r\nTwo.\r\n--out--\r\n"
        assert read(mail("Content-Type: multipart/mixed; boundary=out", body=body)).text.split() == ["One.", "Two."]

    def test_a_boundary_that_begins_like_another_is_another(self) -> None:
        inner = 'Content-Type: multipart/mixed; boundary="Apple-1"'
        body = f"--Apple-10\r\n{inner}\r\n\r\n--Apple-1\r\n\r\nOne.\r\n--Apple-1--\r\n--Apple-10\r\n\r\nTwo.\r\n"
        assert read(mail("Content-Type: multipart/mixed; boundary=Apple-10", body=body)).text.split() == [
            "One.",
            "Two.",
        ]

    def test_the_subject_is_decoded_once(self) -> None:
        twice = base64.b64encode(b"=?utf-8?q?a=0D=0ABcc:_x@evil.example?=").decode()
        assert read(mail(f"Subject: =?utf-8?b?{twice}?=")).subject == "=?utf-8?q?a=0D=0ABcc:_x@evil.example?="

    def test_no_control_character_is_left_in_a_subject(self) -> None:
        assert read(mail("Subject: =?utf-8?q?a=0D=0ABcc:_x?=")).subject == "a  Bcc: x"

    def test_a_missing_blank_line_does_not_eat_the_text(self) -> None:
        data = b"From: a@b.example\r\nSubject: hi\r\nDear support,\r\nI lost my phone.\r\n"
        assert read(data).text.split("\n")[:2] == ["Dear support,", "I lost my phone."]

    def test_a_folded_line_that_lost_its_indentation_does_not_end_the_header(self) -> None:
        trace = b"Received: from a\r\nby b with ESMTP id 1\r\nfor <x@y>; Mon\r\n"
        data = trace + b"From: a@b.example\r\nSubject: hi\r\n\r\nText."
        message = read(data)
        assert (message.sender.handle, message.subject, message.text) == ("a@b.example", "hi", "Text.")

    def test_an_envelope_line_before_the_header_is_skipped(self) -> None:
        message = read(b"From mei@x Mon Nov  2 09:00:00 2026\n" + mail("Subject: hi"))
        assert (message.subject, message.sender.handle) == ("hi", "mei@customer.example")

    @pytest.mark.parametrize("data", [b"", b"\r\n \r\n"])
    def test_an_empty_mail_says_so_in_a_sentence(self, data: bytes) -> None:
        with pytest.raises(Unreadable, match="empty"):
            read(data)


class TestCharsets:
    @pytest.mark.parametrize(
        ("label", "codec", "text"),
        [
            ("gb2312", "gb18030", "您好，囍字钱包转账未到账"),
            ("gbk", "gb18030", "您好，钱包转账未到账"),
            ("utf-8", "gb18030", "您好，我的钱包转账一直没有到账，请帮忙看一下"),
            ("", "gb18030", "您好，我的钱包转账一直没有到账，请帮忙看一下"),
            ("us-ascii", "utf-8", "您好，钱包"),
            ("iso-8859-1", "utf-8", "您好，钱包"),
            ("gb2312", "utf-8", "您好，钱包转账未到账"),
            ("gbk", "gb18030", "联通"),
            ("iso-8859-1", "gb18030", "您好，我的钱包转账一直没有到账，order 123"),
            ("iso-8859-1", "cp1252", "ÄÖ Ünëïcödé Straße"),
            ("us-ascii", "gb18030", "您好，我的钱包转账一直没有到账"),
            ("big5", "big5", "您好，錢包轉帳沒有到帳"),
            ("", "big5", "您好，我的錢包轉帳一直沒有到帳，請幫忙看一下"),
            ("iso-2022-jp", "iso2022_jp", "こんにちは、送金が届きません"),
            ("", "iso2022_jp", "こんにちは、送金が届きません"),
            ("shift_jis", "cp932", "こんにちは①"),
            ("ks_c_5601-1987", "cp949", "안녕하세요 뷁"),
            ("koi8-r", "koi8-r", "Здравствуйте, деньги не пришли"),
            ("", "cp1251", "Здравствуйте, деньги не пришли"),
            ("windows-1252", "cp1252", "Grüße – „schön“ €"),
            ("iso-8859-1", "cp1252", "Grüße – „schön“ €"),
            ("", "cp1252", "Schöne Grüße aus Köln"),
            ("utf-7", "utf-7", "Grüße"),
            ("utf-16", "utf-16", "Hello 钱包"),
            ("no-such-charset", "utf-8", "钱包"),
            ("punycode", "utf-8", "钱包"),
        ],
    )
    def test_text_is_read_whatever_it_says_it_is(self, label: str, codec: str, text: str) -> None:
        kind = f"Content-Type: text/plain; charset={label}" if label else "X-Charset: none"
        encoded = base64.b64encode(text.encode(codec))
        assert read(mail(kind, "Content-Transfer-Encoding: base64", body=encoded)).text == text

    def test_html_may_name_its_charset_itself(self) -> None:
        body = '<html><head><meta charset="koi8-r"></head><body>Привет</body></html>'.encode("koi8-r")
        assert read(mail("Content-Type: text/html", body=body)).text == "Привет"

    def test_a_guess_is_noted(self) -> None:
        assert "charset_guessed" in read(mail(body="您好".encode("gb18030"))).notes
        assert read(mail("Content-Type: text/plain; charset=gb2312", body="您好".encode("gb18030"))).notes == ()

    def test_characters_cut_in_two_by_encoded_words_are_whole_again(self) -> None:
        data = "转账没有到账".encode()
        first, second = (base64.b64encode(piece).decode() for piece in (data[:4], data[4:]))
        assert read(mail(f"Subject: =?utf-8?B?{first}?=\r\n =?UTF-8?B?{second}?=")).subject == "转账没有到账"

    def test_raw_bytes_in_a_header_are_read(self) -> None:
        assert read(mail("Subject: 转账没有到账".encode("gb18030"))).subject == "转账没有到账"
        assert read(mail("Subject: 转账没有到账".encode())).subject == "转账没有到账"

    @pytest.mark.parametrize(
        ("disposition", "name"),
        [
            ("attachment; filename*=utf-8''%E9%92%B1%E5%8C%85.png", "钱包.png"),
            ("attachment; filename*0*=utf-8''%E9%92%B1; filename*1*=%E5%8C%85; filename*2=.png", "钱包.png"),
            ("attachment; filename==?gb2312?B?x66w/A==?=.png", "钱包.png"),
            ('attachment; filename="a;b.png"', "a;b.png"),
            ("attachment; filename=two words.png; size=3", "two words.png"),
            ('attachment; filename="C:\\\\Users\\\\mei\\\\x.png"', "x.png"),
            ('attachment; filename="../../etc/passwd"', "passwd"),
            ('attachment; filename=""', "attachment-1.png"),
        ],
    )
    def test_file_names(self, disposition: str, name: str) -> None:
        kind, body = multipart(
            "mixed",
            ("Content-Type: text/plain", "See file."),
            (f"Content-Type: image/png\r\nContent-Disposition: {disposition}", "png"),
        )
        assert [each.filename for each in read(mail(kind, body=body)).attachments] == [name]


class TestWhatIsAttached:
    def test_an_inline_image_keeps_its_content_id(self) -> None:
        kind, body = multipart(
            "related",
            ("Content-Type: text/html", '<p>Look: <img src="cid:shot@x"></p>'),
            ("Content-Type: image/png\r\nContent-ID: <shot@x>\r\nContent-Transfer-Encoding: base64", b"iVBORw=="),
        )
        [image] = read(mail(kind, body=body)).attachments
        assert (image.inline, image.content_id, image.body) == (True, "shot@x", b"\x89PNG")

    def test_an_attached_mail_is_a_file_named_after_its_subject(self) -> None:
        kind, body = multipart(
            "mixed",
            ("Content-Type: text/plain", "Forwarded."),
            ("Content-Type: message/rfc822", b"Subject: Old / mail\r\nFrom: x@y.example\r\n\r\nInner."),
        )
        [attached] = read(mail(kind, body=body)).attachments
        assert attached.filename == "mail.eml"
        assert attached.body.endswith(b"Inner.")

    def test_an_invitation_is_noted(self) -> None:
        kind, body = multipart(
            "alternative",
            ("Content-Type: text/plain", "Let us talk."),
            ("Content-Type: text/calendar; method=REQUEST", "BEGIN:VCALENDAR\r\nEND:VCALENDAR"),
        )
        message = read(mail(kind, body=body))
        assert message.notes == ("calendar",)
        assert [each.filename for each in message.attachments] == ["attachment-1.ics"]
        assert message.automatic is None

    @pytest.mark.parametrize(
        ("kind", "note"),
        [
            ("multipart/signed; protocol=application/pgp-signature", "signed"),
            ("multipart/encrypted; protocol=application/pgp-encrypted", "encrypted"),
        ],
    )
    def test_protected_mail_is_shown_as_what_it_is(self, kind: str, note: str) -> None:
        _, body = multipart("mixed", ("Content-Type: text/plain", "Words."))
        assert note in read(mail(f"Content-Type: {kind}; boundary=edge", body=body)).notes

    @pytest.mark.parametrize(("what", "note"), [("enveloped-data", "encrypted"), ("signed-data", "signed")])
    def test_smime_says_which_it_is(self, what: str, note: str) -> None:
        message = read(mail(f"Content-Type: application/pkcs7-mime; smime-type={what}; name=smime.p7m", body="AAAA"))
        assert message.notes == (note,)
        assert [each.filename for each in message.attachments] == ["smime.p7m"]

    def test_pgp_in_the_text_is_seen(self) -> None:
        assert read(mail(body="-----BEGIN PGP MESSAGE-----\r\n\r\nabc\r\n")).notes == ("encrypted",)

    def test_a_uuencoded_file_in_the_text_becomes_an_attachment(self) -> None:
        message = read(mail(body="See below.\r\n\r\nbegin 644 key.bin\r\n#86)C\r\n`\r\nend\r\nBye.\r\n"))
        assert [(each.filename, each.body) for each in message.attachments] == [("key.bin", b"abc")]
        assert "begin" not in message.text
        assert "Bye." in message.text

    @pytest.mark.parametrize(
        ("encoding", "body", "content"),
        [
            ("base64", b"YWJj\r\nZGVm", b"abcdef"),
            ("base64", b"YWI=\r\nY2Q=", b"abcd"),
            ("base64", b"YWJjZA", b"abcd"),
            ("base64", b"YWI=\r\n-- \r\nA list, with a footer", b"ab"),
            ("base64", b"YWJj!!ZGVm\r\n-- \r\n", b"abcdef"),
            ("quoted-printable", b"a=3Db=\r\nc   \r\nd=ZZ", b"a=bc\nd=ZZ"),
            ("x-uuencode", b"begin 644 x\r\n#86)C\r\n`\r\nend", b"abc"),
            ("7bit", b"abc", b"abc"),
            ("nonsense", b"abc", b"abc"),
        ],
    )
    def test_transfer_encodings_sound_and_broken(self, encoding: str, body: bytes, content: bytes) -> None:
        data = mail(f"Content-Transfer-Encoding: {encoding}", "Content-Type: application/pdf; name=a.pdf", body=body)
        [attached] = read(data).attachments
        assert attached.body.replace(b"\r\n", b"\n").startswith(content)

    def test_winmail_dat_is_opened(self) -> None:
        def attribute(level: int, kind: int, content: bytes) -> bytes:
            return struct.pack("<BII", level, kind, len(content)) + content + struct.pack("<H", sum(content) & 0xFFFF)

        inside = (
            struct.pack("<IH", 0x223E9F78, 1)
            + attribute(2, 0x00069002, b"\x00" * 14)
            + attribute(2, 0x00018010, b"report.txt\x00")
            + attribute(2, 0x0006800F, b"inside")
        )
        data = mail(
            "Content-Type: application/ms-tnef; name=winmail.dat",
            "Content-Transfer-Encoding: base64",
            body=base64.encodebytes(inside),
        )
        message = read(data)
        assert message.notes == ("tnef",)
        assert [(each.filename, each.body) for each in message.attachments] == [("report.txt", b"inside")]

    @pytest.mark.parametrize(
        "inside", [b"", b"\x78\x9f\x3e\x22", b"\x78\x9f\x3e\x22" + b"\xff" * 400, b"nothing of the kind"]
    )
    def test_a_broken_winmail_dat_stays_a_file(self, inside: bytes) -> None:
        data = mail("Content-Type: application/ms-tnef; name=winmail.dat", body=inside or b"\x00")
        assert [each.filename for each in read(data).attachments] == ["winmail.dat"]


class TestLimits:
    def test_too_many_parts_are_cut_and_noted(self) -> None:
        kind, body = multipart("mixed", *[("Content-Type: text/plain", "x")] * 2000)
        message = read(mail(kind, body=body))
        assert "truncated" in message.notes
        assert message.text.startswith("x")

    def test_a_mail_inside_a_mail_inside_a_mail_has_an_end(self) -> None:
        head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(5000))
        assert "truncated" in read(b"From: a@b.example\r\n" + head).notes

    def test_a_header_without_an_end_is_cut(self) -> None:
        message = read(b"From: a@b.example\r\nSubject: " + b"x" * 2_000_000 + b"\r\n\r\nHello.")
        assert message.sender.handle == "a@b.example"
        assert len(message.subject) <= 2000

    def test_a_text_without_an_end_is_cut(self) -> None:
        message = read(mail(body=b"word " * 1_000_000))
        assert len(message.text) == 1_000_000
        assert message.notes == ("truncated",)

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(mail(body=b"\n" * 100_000 + b"x", sender="MAILER-DAEMON@b.example"), id="blank lines"),
            pytest.param(_unclosed(28) + b"--b0\n" * 50_000, id="lines of the outermost"),
            pytest.param(_unclosed(28) + b"--b0z\n" * 50_000, id="lines like the outermost"),
            pytest.param(_unclosed(28) + b"--b27z\n" * 50_000, id="lines like the innermost"),
            pytest.param(_unclosed(28) + b"a--b27--b" * 30_000, id="ends within lines"),
            pytest.param(_siblings(400) + b"--q\n" * 50_000, id="inner multiparts that never open"),
        ],
    )
    def test_delimiters_without_end_are_read_in_time(self, data: bytes) -> None:
        start = time.process_time()
        read(data)
        assert time.process_time() - start < 2.0

    def test_what_the_transport_cut_is_noted(self) -> None:
        assert read(mail(), {"truncated": 60_000_000}).notes == ("truncated",)

    def test_nul_characters_do_not_come_through(self) -> None:
        message = read(mail("Subject: a\x00b", body="one\x00two"))
        assert (message.text, message.subject) == ("onetwo", "ab")


class TestTrustedForwarders:
    FORWARD = (
        "Please see below.\r\n\r\n---------- Forwarded message ---------\r\nFrom: Li Wei <li.wei@customer.example>\r\n"
        "Date: Mon, 2 Nov 2026 at 09:00\r\nSubject: Locked out\r\nTo: <help@oldbrand.example>\r\n\r\n"
        "I am locked out.\r\n"
    )
    PASSED = "Authentication-Results: mx.wallet.example; dmarc=pass header.from=oldbrand.example"

    def test_a_mail_that_a_trusted_forwarder_passed_on_belongs_to_its_author(self) -> None:
        message = read(mail(self.PASSED, body=self.FORWARD, sender="help@oldbrand.example"))
        assert (message.sender.handle, message.sender.name) == ("li.wei@customer.example", "Li Wei")
        assert message.new_text.strip() == "I am locked out."
        assert "forwarded_by_trusted" in message.notes
        assert message.authentication is Authentication.NONE

    def test_a_chinese_author_of_a_forwarded_mail_keeps_the_name(self) -> None:
        body = self.FORWARD.replace("Li Wei", "李伟")
        message = read(
            mail(self.PASSED, "Content-Type: text/plain; charset=utf-8", body=body, sender="help@oldbrand.example")
        )
        assert message.sender.name == "李伟"

    def test_a_whole_domain_can_be_trusted(self) -> None:
        passed = self.PASSED.replace("oldbrand", "partner")
        assert read(mail(passed, body=self.FORWARD, sender="x@partner.example")).sender.name == "Li Wei"

    @pytest.mark.parametrize(
        ("line", "sender"),
        [("X-None: 1", "help@oldbrand.example"), (PASSED.replace("oldbrand", "other"), "x@other.example")],
    )
    def test_nobody_else_speaks_for_another(self, line: str, sender: str) -> None:
        message = read(mail(line, body=self.FORWARD, sender=sender))
        assert message.sender.handle == sender
        assert "forwarded_by_trusted" not in message.notes


class TestMachines:
    @pytest.mark.parametrize(
        ("lines", "kind"),
        [
            (["Auto-Submitted: auto-replied (vacation)"], Automatic.AUTO_REPLY),
            (["Auto-Submitted: auto-generated"], Automatic.BULK),
            (["Auto-Submitted: no"], None),
            (["Precedence: bulk"], Automatic.BULK),
            (["Precedence: junk"], Automatic.BULK),
            (["Precedence: list"], Automatic.LIST),
            (["Precedence: auto_reply"], Automatic.AUTO_REPLY),
            (["Precedence: first-class"], None),
            (["List-Id: <news.example>"], Automatic.LIST),
            (["List-Unsubscribe: <mailto:x@y.example>"], Automatic.BULK),
            (["X-Auto-Response-Suppress: DR, OOF, AutoReply"], Automatic.BULK),
            (["X-Auto-Response-Suppress: None"], None),
            (["X-Autoreply: yes"], Automatic.AUTO_REPLY),
            (["X-Autorespond: away"], Automatic.AUTO_REPLY),
            (["Return-Path: <>"], Automatic.AUTO_REPLY),
            (["Subject: Automatic reply: Your ticket"], Automatic.AUTO_REPLY),
            (["Subject: =?utf-8?b?6Ieq5Yqo5Zue5aSNOiDkvaDlpb0=?="], Automatic.AUTO_REPLY),
            (["Subject: Out of office"], Automatic.AUTO_REPLY),
            (["Subject: My automatic reply is broken"], None),
            (["Content-Type: text/calendar; method=REPLY"], Automatic.AUTO_REPLY),
        ],
    )
    def test_signs_of_a_program(self, lines: list[str], kind: Automatic | None) -> None:
        assert read(mail(*lines)).automatic is kind

    @pytest.mark.parametrize(
        ("sender", "kind"),
        [
            ("noreply@shop.example", Automatic.NO_REPLY),
            ("Shop <no-reply+77@shop.example>", Automatic.NO_REPLY),
            ("do_not_reply@shop.example", Automatic.NO_REPLY),
            ("orders-noreply@shop.example", Automatic.NO_REPLY),
            ("mailer-daemon@shop.example", Automatic.NO_REPLY),
            ("postmaster@shop.example", Automatic.NO_REPLY),
            ("bounces+x=y@shop.example", Automatic.NO_REPLY),
            ("norepl@shop.example", None),
            ("nora.reply@shop.example", None),
            ("mei@noreply.example", None),
        ],
    )
    def test_senders_that_nobody_reads(self, sender: str, kind: Automatic | None) -> None:
        assert read(mail(sender=sender)).automatic is kind

    def test_the_null_sender_of_the_envelope_is_a_machine(self) -> None:
        assert read(mail(), {"mail_from": ""}).automatic is Automatic.AUTO_REPLY
        assert read(mail(), {"mail_from": "mei@customer.example"}).automatic is None
