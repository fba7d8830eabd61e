"""What a public text may not say about a contact, and what it may."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence
from typing import Any

import pytest

from helpdesk.domain.personal_data import found_in

HASH = "9b0f" * 16
HANDLES: Sequence[str] = ("mina.park@customer.test", "minasecret", "visitor-8f21ab", "77120934")
MINA: Any = {"names": ["Mina Park", "Mina"], "handles": HANDLES}


@pytest.mark.parametrize(
    "text",
    [
        "Please write to mina@example.com today",
        "write to mina.park+1@mail.example.co.uk.",
        "写信到mina@example.com谢谢",
        "ｍｉｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ",
        "mi\u200bna@exam\u200bple.com",
        "mina at example dot com",
        "mina [at] example [dot] com",
        "mina(at)example.com",
        "mina @ example.com",
        "mina@example。com",
        "mina@exam\u034fple.com",
        "mina@exa\u0301mple.com",
        "https://desk.test/?email=mina%40example.com",
    ],
)
def test_an_address_of_mail_is_found(text: str) -> None:
    assert [one.kind for one in found_in(text)] == ["email"]


@pytest.mark.parametrize(
    "text",
    [
        "We call +49 30 1234567 now",
        "+14155552671",
        "(415) 555-2671, please",
        "0044 20 7946 0958",
        "020 7946 0958",
        "电话13812345678",
        "＋８６ 138 1234 5678",
        "030/1234-5678",
        "+1\u2011415\u2011555\u20112671",
        "0.5 to 0171 2345678 please",
        "您好，13812345678",
        "Tel.03012345678",
        "+٤٩ ١٧١ ٢٣٤٥٦٧٨",
        "1\ufe0f\u20e33\ufe0f\u20e38\ufe0f\u20e312345678",
        "https://chat.test/4915112345678",
    ],
)
def test_a_number_of_a_telephone_is_found(text: str) -> None:
    assert [one.kind for one in found_in(text)] == ["phone"]


@pytest.mark.parametrize(
    "address",
    [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0X52908400098527886E0F7030069857D2E4169EE7",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
        "TJRabPrwbZy45sbavfcjinPJC18kjpRTv8",
        "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh",
        "cosmos1fl48vsnmsdzcv85q5d2q4z5ajdha8yu34mf0eh",
        "So11111111111111111111111111111111111111112",
        "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
        "EQCD39VS5jcptHL8vMjEXrzGaRcCVYto7HUn4bpAOg8xqB2N",
        "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
        "mina-park.eth",
    ],
)
def test_the_address_of_a_wallet_is_found(address: str) -> None:
    text = f"地址{address}，or https://explorer.test/a/{address}?x=1"
    assert [(one.kind, text[one.start : one.end]) for one in found_in(text)] == [("address", address)] * 2


@pytest.mark.parametrize(
    "digest",
    [HASH, f"0x{HASH}", "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQkjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW"],
)
def test_the_hash_of_a_transaction_is_found(digest: str) -> None:
    assert [one.kind for one in found_in(f"See https://scan.test/tx/{digest}.")] == ["transaction_hash"]


@pytest.mark.parametrize(
    "text",
    [
        "Hi Mina, we are on it",
        "hi MINA!",
        "Ｍｉｎａ：hello",
        "Míná, hello",
        "Dear Mr. Park",
        "mi\u00adna",
        "You are minasecret elsewhere",
        "your user 77120934",
        "you were visitor-8f21ab",
        "mina.park, then",
    ],
)
def test_his_names_are_found(text: str) -> None:
    assert [one.kind for one in found_in(text, **MINA)] == ["name"]


def test_a_name_that_is_an_address_names_by_what_is_before_its_sign() -> None:
    found = found_in("We test this with every customer, mina7", names=["mina7@customer.test"])
    assert [(one.kind, one.start) for one in found] == [("name", 34)]


@pytest.mark.parametrize("text", ["王小明您好", "您好，小明先生", "請王小明回覆"])
def test_a_chinese_name_needs_no_space_around_it(text: str) -> None:
    assert [one.kind for one in found_in(text, names=["王小明"])] == ["name"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Thank you for writing. We have sent you a direct message, please look there.",
        "Your withdrawal of 0.12345678 BTC from 2026-05-01 12:30 is on its way (ticket #1234567890).",
        "It took 12.345.678 units, 1500 USDT, 99.99999% and 19345678 blocks since 01.05.2026.",
        "Look at status.example.com or https://status.example.com/incidents/20260501-withdrawals",
        "The minaret in the parking lot is not a name, and no visitor is",
        "Version 12.4.1, error 40412345, from 192.168.100.200",
        "abcdefghijklmnopqrstuvwxyzabcdef is_a_very_long_name_of_a_file-and-more_of_it-indeed",
        "我们已经私信您，请查收。工单号 482913",
        "Your order 1234567890 and ticket no. 2026-1234567 are done, 订单号1234567890已发货",
        "Read https://help.desk.test/hc/en-us/articles/360012345678-How-to",
    ],
)
def test_what_says_nothing_of_anybody_passes(text: str) -> None:
    assert found_in(text, **MINA) == []


def test_what_is_known_where_it_is_read_may_be_said() -> None:
    allowed = ["@mina.lee", "help@desk.test", "@wallet_desk"]
    text = "Hi @mina.lee, @Wallet_Desk answers at help@desk.test."
    assert found_in(text, names=["mina"], handles=["mina.lee"], allowed=allowed) == []
    assert found_in("请联系help@desk.test谢谢，请看@wallet_desk的主页", names=["wallet_desk"], allowed=allowed) == []
    # A longer one that begins alike is another one's.
    assert [one.kind for one in found_in("Hi @mina.leeds, xhelp@desk.test", names=["leeds"], allowed=allowed)] == [
        "name",
        "email",
    ]


@pytest.mark.parametrize("name", ["미나", "ガク", "Mína"])
def test_a_name_is_the_same_in_pieces(name: str) -> None:
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, f"안녕 {name}님")
        assert [one.kind for one in found_in(text, names=[name])] == ["name"]


@pytest.mark.parametrize(
    "name", ["Crypto King", "Wallet", "Will", "I lost all the money in my wallet", "钱包", "Please Help"]
)
def test_everyday_words_name_nobody(name: str) -> None:
    assert (
        found_in("Please wait: we will look after your wallet, the money and all crypto in my 钱包", names=[name]) == []
    )


def test_a_place_is_of_the_text_as_it_was_written() -> None:
    text = "①② ﬁrst: ｍｉｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ and Mina"
    places = [(one.kind, text[one.start : one.end]) for one in found_in(text, names=["Mina"])]
    assert places == [("email", "ｍｉｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ"), ("name", "Mina")]


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1 ",
        "a.",
        "a@",
        "a at ",
        "1-",
        "0x",
        "https://a/a/",
        "order ",
        "%40",
        "a@a.",
        "１",
        "+1(",
        "a(at)a",
        "mina ",
    ],
)
def test_a_long_text_takes_no_longer_for_being_odd(piece: str) -> None:
    began = time.thread_time()
    found_in(piece * (15_000 // len(piece)), **MINA)
    assert time.thread_time() - began < 1
