"""A long answer as several posts: nothing is lost, nothing that belongs together is cut, and all of it is numbered."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from helpdesk.domain.chains import MOST, chain


def of(limit: int) -> Callable[[str], bool]:
    return lambda text: len(text) <= limit


def bare(parts: list[str]) -> str:
    """What was written, without marks and without the white space at which it was cut."""
    return "".join("".join(part.rpartition(" ")[0].split()) for part in parts)


def test_what_fits_is_left_alone() -> None:
    assert chain("Thank you.", of(10)) == ["Thank you."]


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("One sentence here. Another one.", 24, ["One sentence here. 1/2", "Another one. 2/2"]),
        ("First part.\n\nSecond. Third.", 20, ["First part. 1/2", "Second. Third. 2/2"]),
        ("aaa bbb ccc ddd", 11, ["aaa bbb 1/2", "ccc ddd 2/2"]),
        ("abcdefghijkl", 10, ["abcdef 1/2", "ghijkl 2/2"]),
        ("我们正在处理。请稍等一下。", 12, ["我们正在处理。 1/2", "请稍等一下。 2/2"]),
        ("See https://help.test/a/b now, please", 29, ["See https://help.test/a/b 1/2", "now, please 2/2"]),
        ("请看https://help.test/abc谢谢你", 25, ["请看 1/3", "https://help.test/abc 2/3", "谢谢你 3/3"]),
        ("Read wallet.test/fees first", 26, ["Read wallet.test/fees 1/2", "first 2/2"]),
        ("Read wallet.test/fees first", 22, ["Read 1/3", "wallet.test/fees 2/3", "first 3/3"]),
    ],
)
def test_it_is_cut_where_a_reader_would_pause(text: str, limit: int, parts: list[str]) -> None:
    assert chain(text, of(limit)) == parts


@pytest.mark.parametrize("whole", ["👨‍👩‍👧‍👦", "👍🏽", "🇹🇼", "e\u0301", "1️⃣"])
def test_what_is_drawn_as_one_character_stays_whole(whole: str) -> None:
    for before in range(6):
        found = chain("x" * before + whole * 8, of(len(whole) * 3 + 5))
        assert found is not None
        assert all(part.rpartition(" ")[0].strip("x").replace(whole, "") == "" for part in found)


def test_an_address_on_the_web_is_never_cut() -> None:
    address = "https://help.test/" + "a" * 40
    for filler in range(1, 60, 7):
        found = chain("w" * filler + " " + address + " " + "z" * 30, of(70))
        assert found is not None
        assert sum(address in part for part in found) == 1
    assert chain(f"See {address}", of(40)) is None, "it does not fit anywhere"


def test_there_are_no_more_parts_than_anybody_reads() -> None:
    words = "word " * 1000
    assert chain(words, of(100)) is None
    found = chain(words[: 90 * MOST], of(100))
    assert found is not None
    assert 10 <= len(found) <= MOST
    assert [part.rpartition(" ")[2] for part in found] == [f"{n}/{len(found)}" for n in range(1, len(found) + 1)]


def test_nothing_is_lost_whatever_is_written() -> None:
    dice = random.Random(7)
    pieces = ["word", "。", "你好", " ", "\n\n", "a.", "https://x.test/y", "👍🏽", "e\u0301", "…", ".", "@mina", "\r\n"]
    for _ in range(150):
        text = "".join(dice.choices(pieces, k=dice.randrange(20, 120)))
        found = chain(text, of(40))
        if found is not None and len(found) > 1:
            assert bare(found) == "".join(text.split())
            assert max(map(len, found)) <= 40


@pytest.mark.parametrize("text", ["a" * 60_000, "a.b" * 20_000, "http://" * 8_000, "-" * 60_000, "?! " * 20_000])
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    chain(text, of(2500))
    assert time.process_time() - began < 1.5
