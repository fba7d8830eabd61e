"""Whose verdict on the sender is believed. `mx.wallet.example` is ours; everything that others wrote must not count."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.email.parse import parse
from helpdesk.channels import Authentication, RawInbound

PASS = "Authentication-Results: mx.wallet.example; dmarc=pass header.from=customer.example"
FAIL = "Authentication-Results: mx.wallet.example; dmarc=fail header.from=customer.example"
BORDER = "Received: from out.customer.example (out.customer.example [192.0.2.7]) by mx.wallet.example; Mon, 2 Nov 2026"
SPOOFED_BORDER = "Received: from mx.wallet.example (unknown [198.51.100.9]) by mx.wallet.example; Mon, 2 Nov 2026"
DISGUISED = (
    "Received: from a(mx.wallet.example[127.0.0.1]) (unknown [198.51.100.9]) by mx.wallet.example; Mon",
    "Received: from [127.0.0.1] (unknown [198.51.100.9]) by mx.wallet.example; Mon",
    "Received: from unknown (HELO [127.0.0.1]) (198.51.100.9) by mx.wallet.example; Mon",
    "Received: from [198.51.100.9] (helo=[127.0.0.1]) by mx.wallet.example; Mon",
    "Received: from x ([198.51.100.9] helo=mx.wallet.example) by mx.wallet.example; Mon",
    "Received: from x (10.0.0.1.evil.example [198.51.100.9]) by mx.wallet.example; Mon",
    "Received: from x (mx.wallet.example.evil.example [198.51.100.9]) by mx.wallet.example; Mon",
    "Received: from mx.wallet.example (198.51.100.9) by mx.wallet.example; Mon",
    "Received: from mx.wallet.example",
)
LOCAL = "Received: from mx.wallet.example (localhost [127.0.0.1]) by store.wallet.example; Mon, 2 Nov 2026"
PRIVATE = "Received: from filter (filter.lan [10.1.2.3]) by store.wallet.example; Mon, 2 Nov 2026"
SISTER = "Received: from mx.wallet.example (mx.wallet.example [203.0.113.4]) by store.wallet.example; Mon, 2 Nov 2026"
OURSELVES = "Received: by 2002:a05:6a00:1 with SMTP id x; Mon, 2 Nov 2026"
THEIRS = "Received: from laptop (unknown [192.0.2.99]) by out.customer.example; Mon, 2 Nov 2026"
SENDER = "From: Mei <mei@customer.example>"


def verdict(*lines: str, hints: dict[str, Any] | None = None, authserv_id: str = "mx.wallet.example") -> Authentication:
    if not any(line.startswith("From:") for line in lines):
        lines = (*lines, SENDER)
    raw = RawInbound("1", "\r\n".join([*lines, "", "Hello."]).encode(), datetime(2026, 11, 2, tzinfo=UTC), hints or {})
    return parse(raw, {"address": "support@wallet.example", "authserv_id": authserv_id}).authentication


@pytest.mark.parametrize(
    "lines",
    [
        [PASS],
        [PASS, BORDER, THEIRS],
        [PASS, LOCAL, BORDER, THEIRS],
        [LOCAL, PASS, BORDER, THEIRS],
        [PRIVATE, PASS, BORDER],
        [SISTER, PASS, BORDER],
        [OURSELVES, BORDER, PASS, THEIRS],
        [BORDER, PASS, THEIRS],
        ["Received: from mx.wallet.example by store.wallet.example; Mon", BORDER, PASS, THEIRS],
    ],
    ids=[
        "alone",
        "on top",
        "above all hops",
        "after an inner hop",
        "private",
        "sister",
        "as Gmail",
        "as rspamd",
        "terse hop",
    ],
)
def test_our_own_verdict_counts_where_servers_write_it(lines: list[str]) -> None:
    assert verdict(*lines) is Authentication.PASS


@pytest.mark.parametrize(
    "lines",
    [
        [BORDER, PASS],
        [BORDER, THEIRS, PASS],
        [LOCAL, BORDER, THEIRS, PASS],
        [SPOOFED_BORDER, PASS],
        [SPOOFED_BORDER, LOCAL, PASS, THEIRS],
        [BORDER, LOCAL, PASS, THEIRS],
        [FAIL, BORDER, PASS, THEIRS],
        ["Authentication-Results: mx.wallet.example; spf=fail", BORDER, PASS, THEIRS],
        [BORDER, "Authentication-Results: mx.wallet.example; spf=fail", PASS, THEIRS],
    ],
    ids=[
        "brought along",
        "below",
        "below two",
        "HELO as ours",
        "HELO and a fake hop",
        "fake inner hop",
        "overruled",
        "ours above",
        "ours below",
    ],
)
def test_a_verdict_that_the_sender_brought_along_does_not_pass(lines: list[str]) -> None:
    assert verdict(*lines) is not Authentication.PASS


@pytest.mark.parametrize("border", DISGUISED)
def test_a_stranger_who_looks_like_one_of_us_is_still_the_border(border: str) -> None:
    assert verdict(border, LOCAL, PASS, THEIRS) is Authentication.NONE


def test_the_topmost_verdict_is_the_one() -> None:
    assert verdict(FAIL, PASS, BORDER) is Authentication.FAIL
    assert verdict(PASS, FAIL, BORDER) is Authentication.PASS


def test_a_field_without_a_dmarc_result_leaves_it_to_the_next() -> None:
    assert verdict("Authentication-Results: mx.wallet.example; spf=pass", PASS, BORDER) is Authentication.PASS


@pytest.mark.parametrize(
    "server", ["mx.wallet.example.evil.example", "xmx.wallet.example", "wallet.example", '"mx"', ""]
)
def test_only_the_exact_id_is_ours(server: str) -> None:
    assert verdict(PASS.replace("mx.wallet.example", server)) is Authentication.NONE


@pytest.mark.parametrize(
    "value",
    [
        "MX.Wallet.Example; dmarc=pass",
        "mx.wallet.example 1; dmarc=pass",
        '"mx.wallet.example"; dmarc = pass',
        "(our) mx.wallet.example; (ok) dmarc/1=Pass",
    ],
)
def test_spellings_of_a_verdict(value: str) -> None:
    assert verdict(f"Authentication-Results: {value}") is Authentication.PASS


@pytest.mark.parametrize(
    "value",
    [
        "dmarc=none",
        "dmarc=temperror",
        "dmarc=bestguesspass",
        "spf=pass (dmarc=pass)",
        'spf=pass reason="; dmarc=pass"',
        "spf=pass smtp.mailfrom=x; xdmarc=pass",
        "dmarc=pass header.from=other.example",
        "none",
    ],
)
def test_what_is_no_pass(value: str) -> None:
    assert verdict(f"Authentication-Results: mx.wallet.example; {value}") is Authentication.NONE


def test_the_judged_domain_may_be_spelt_in_either_way() -> None:
    judged = PASS.replace("customer.example", "xn--bcher-kva.example")
    assert verdict(judged, "From: a@bücher.example") is Authentication.PASS


def test_without_an_id_nobody_is_believed() -> None:
    assert verdict(PASS, authserv_id="") is Authentication.NONE


@pytest.mark.parametrize(("trusted", "wanted"), [(False, Authentication.NONE), (True, Authentication.PASS)])
def test_the_door_believes_it_only_from_trusted_peers(trusted: bool, wanted: Authentication) -> None:
    assert verdict(PASS, hints={"trusted_peer": trusted}) is wanted


def test_a_verdict_on_one_of_two_authors_is_none() -> None:
    assert verdict(PASS, SENDER, "From: x@evil.example") is Authentication.NONE
    assert verdict(PASS, "From: mei@customer.example, x@evil.example") is Authentication.NONE
