"""What texts are found by and what queries ask for, how matches are ranked, and what a snippet shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpdesk.domain.search_folding import fold, places
from helpdesk.domain.search_ranking import Candidate, Score, in_order, rank
from helpdesk.domain.search_snippets import LENGTH, marked
from helpdesk.domain.search_terms import MAX_TERMS, Terms, terms_of, tokens_of

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
TXID = "0x9f3a2c7be14d5586a0c1d2e3f4051627384950617a8b9cadbecfd0e1f2031425"

SOME = (
    f"withdrawal Withdrew Wallets the USDT 500usdt 1,500.50 0.25 #123 123456 {TXID} iphone15 don't KYC-2211 "
    "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq mina.park@example.com e-mail Café ｆｅｅ v2.3.1 12.34abc 0x12 a_b_c "
    "提现没有到账 帳號被凍結 我的錢包 币 USDT提現 第3次 수수료 출금요청 サポート ถอนเงิน вывод"
)
WORDS = st.one_of(
    st.sampled_from(SOME.split()),
    st.text(st.characters(exclude_categories=["Zs", "Zl", "Zp", "Cc", "Cs"]), min_size=1, max_size=12),
)


def finds(query: str, text: str) -> bool:
    tokens = tokens_of(text)
    return all(any(token in tokens for token in term) for term in terms_of(query).terms)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8), st.data())
def test_any_word_of_a_text_finds_it_and_so_do_any_two(words: list[str], data: Any) -> None:
    text = " ".join(words)
    for query in (data.draw(st.sampled_from(words)), " ".join(data.draw(st.permutations(words))[:2])):
        assert finds(query, text), (query, terms_of(query))


@settings(max_examples=150, deadline=None)
@given(st.text("提现到账钱包的我转地址冻结没有了验证码錢包轉帳提現凍結", min_size=1, max_size=30), st.data())
def test_any_stretch_of_a_chinese_text_finds_it(text: str, data: Any) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    query = text[start : data.draw(st.integers(start + 1, len(text)))]
    assert finds(query, f"USDT{text}，好")


@pytest.mark.parametrize("length", [6, 7, 13, 20, 21, 40, 66])
def test_a_hash_is_found_by_its_beginning(length: int) -> None:
    assert finds(TXID[:length], f"see {TXID.upper().replace('X', 'x')}!")
    assert length < 8 or finds(TXID[2:length], f"see {TXID}!")
    assert not finds(TXID[: length - 1] + "z", f"see {TXID}!")


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("withdrawals", [("withdraw", "p:withdrawals")]),
        ("my wallet", [("wallet", "p:wallet")]),
        ("the", [("the",)]),
        ("我的钱包", [("钱包",)]),
        ("我的", [("我的",)]),
        ("的", [("的",)]),
        ("到帳", [("到账",)]),
        ("1,500.50", [("1500.5",)]),
        ("#0042", [("n:42", "0042")]),
        ("a@b.example", [("a@b.example",)]),
        ("数量1,5", [("数量",), ("1", "n:1"), ("5", "n:5")]),
        ("", []),
        (" ?! 😀", []),
    ],
)
def test_what_a_query_asks_for(query: str, terms: list[tuple[str, ...]]) -> None:
    assert list(terms_of(query).terms) == terms


def test_a_query_of_very_many_words_asks_for_the_first_of_them() -> None:
    assert len(terms_of(" ".join(f"word{n}x" for n in range(100))).terms) == MAX_TERMS


@pytest.mark.parametrize("evil", ["a.", "a@", "1,", "1.1", "a@a.", "aA", "#1", "0x", "现", "\u0301", "a-a@"])
def test_no_text_takes_long(evil: str) -> None:
    begun = perf_counter()
    tokens_of(evil * 20_000)
    marked(evil * 20_000, terms_of("a 现 1"))
    assert perf_counter() - begun < 4.0


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("É", "e"),
        ("Straße", "strasse"),
        ("ＵＳＤＴ", "usdt"),
        ("ﬁ", "fi"),
        ("łódź", "lodz"),
        ("й", "и"),
        ("が", "が"),
        ("錢", "钱"),
    ],
)
def test_letters_are_folded_one_by_one(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert len(places(text)) == len(folded) + 1


def candidate(n: int, *, title: str = "", codes: str = "", minutes: int = 0, message: bool = True) -> Candidate:
    message_id = UUID(int=100 + n) if message else None
    at = NOW + timedelta(minutes=minutes)
    return Candidate(n, message_id, UUID(int=n // 10), None, at, f" {title} ", f" {codes} ")


def test_exact_comes_before_the_subject_before_a_part_of_it_before_the_text_and_the_newest_first() -> None:
    terms = terms_of("fee 123456")
    given = [
        candidate(10, minutes=9),
        candidate(20, minutes=8, title="fee"),
        candidate(30, minutes=7, title="fee 123456"),
        candidate(40, codes="123456"),
        candidate(50, minutes=10),
        candidate(51, minutes=10),
    ]
    ordered = in_order(rank(given, terms))
    assert [(one.n, place.score) for place, one in ordered] == [
        (40, Score.EXACT),
        (30, Score.ALL_IN_TITLE),
        (20, Score.SOME_IN_TITLE),
        (51, Score.TEXT),
        (50, Score.TEXT),
        (10, Score.TEXT),
    ]


def test_a_conversation_is_shown_only_where_it_says_more_than_its_messages() -> None:
    alone, talk = candidate(10, title="fee", message=False), candidate(20, title="fee", message=False)
    message, number = candidate(21, title="fee"), candidate(22, codes="n:7", message=False)
    ordered = in_order(rank([alone, talk, message, number], terms_of("fee 7")))
    assert [one.n for _, one in ordered] == [22, 21, 10]


def hits(text: str, query: str) -> list[str]:
    return [part.text for part in marked(text, terms_of(query)) if part.hit]


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("She withdrew it, a withdrawal", "withdrawals", ["withdrew", "withdrawal"]),
        ("我的錢包轉帳失敗了", "转账失败", ["轉帳失敗"]),
        ("Straße ＵＳＤＴ", "usdt strasse", ["Straße", "ＵＳＤＴ"]),
        (f"tx {TXID}.", TXID[:8], [TXID]),
        ("mail mina@example.com now", "mina@example.com", ["mina@example.com"]),
        ("<b>fee</b>", "fee", ["fee"]),
        ("nothing", "fee", []),
    ],
)
def test_what_was_asked_for_is_marked(text: str, query: str, expected: list[str]) -> None:
    assert hits(text, query) == expected


def test_a_snippet_is_the_part_with_most_of_what_was_asked_for() -> None:
    text = "fee " + "x " * 300 + "the fee of my withdrawal\x00\n\n was high " + "y " * 300
    parts = marked(text, terms_of("withdrawal fee"))
    assert [part.text for part in parts if part.hit] == ["fee", "withdrawal"]
    assert (parts[0].text, parts[-1].text) == ("…", "…")
    assert len("".join(part.text for part in parts)) <= LENGTH + 2
    assert "withdrawal was high" in "".join(part.text for part in parts)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.text(max_size=12))
def test_marking_loses_nothing_of_a_short_text(text: str, query: str) -> None:
    parts = marked(text, terms_of(query), length=1000)
    whole = "".join(part.text for part in parts)
    assert whole == "".join(part.text for part in marked(text, Terms((), frozenset()), length=1000))
