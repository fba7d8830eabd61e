"""What somebody types as his address is one plain mailbox, the same as mail from there is filed under, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.email.addresses import handle
from connectors.email.outgoing_headers import addr_spec
from helpdesk.domain.mail_addresses import handle_of


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("mina@customer.test", "mina@customer.test"),
        ("  Mina.Lee+chat@Customer.TEST ", "mina.lee+chat@customer.test"),
        ("o'brien@customer.test", "o'brien@customer.test"),
        ("a..b.@docomo.test", "a..b.@docomo.test"),
        ("mina@müller.test", "mina@müller.test"),
        ("mina@xn--mller-kva.test", "mina@müller.test"),
        ("李@例子.test", "李@例子.test"),
    ],
)
def test_an_address_becomes_the_handle_that_mail_from_it_is_filed_under(typed: str, found: str) -> None:
    assert handle_of(typed) == found
    assert handle(addr_spec(found)).lower() == found


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "mina",
        "@customer.test",
        "mina@",
        "mina@localhost",
        "mina@customer..test",
        "mina@-customer.test",
        "mina@customer.test,other@customer.test",
        "Mina <mina@customer.test>",
        '"mina lee"@customer.test',
        "mina@customer.test\r\nBcc: other@customer.test",
        "mi na@customer.test",
        "mina\u202e@customer.test",
        "mina@cust\u200bomer.test@other.test",
        "mina@[192.0.2.1]",
        "mina@192.0.2.1:25",
        "x" * 65 + "@customer.test",
        "mina@" + "a." * 130 + "test",
        "mina@xn--\u00fc.test",
        "=?utf-8?q?mina?=@customer.test\n",
    ],
)
def test_what_is_not_one_plain_mailbox_is_refused(typed: str) -> None:
    assert handle_of(typed.replace("=?utf-8?q?mina?=", "mi(na")) is None


@given(st.text(max_size=80) | st.from_regex(r"[a-z.+\-\x80-\xff]{1,20}@[a-zA-Z0-9.\-\xc0-\xff]{1,40}", fullmatch=True))
def test_whatever_is_taken_can_be_written_to_and_is_found_again(typed: str) -> None:
    found = handle_of(typed)
    if found is not None:
        assert handle_of(found) == found
        assert handle(addr_spec(found)).lower() == found
