"""What is exported opens in a spreadsheet as it was written, and runs nothing there."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from helpdesk.domain.csv_cells import cell, harmless, line
from tests.conftest import SHARED

DANGEROUS = "=+-@\t\r\n＝＋－＠"


def shared_cells() -> list[str]:
    path = SHARED / "attack" / "csv_cells.jsonl"
    return [json.loads(one)["cell"] for one in path.read_bytes().splitlines()] if path.exists() else []


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+49 151",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        " =1",
        "\u200b=1",
        "\u3000＝1",
        '"=1',
        "−1",
        "\ufeff@x",
        "|x",
    ],
)
def test_what_could_begin_a_formula_gets_an_apostrophe(text: str) -> None:
    assert harmless(text) == "'" + text


@pytest.mark.parametrize("text", ["", "a=b", "米娜 <mina@example.com>", "0x=1", "50 % off"])
def test_other_texts_are_left_as_they_are(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.skipif(not shared_cells(), reason="../shared/attack/csv_cells.jsonl is not here")
def test_no_shared_sample_begins_a_cell_or_leaves_its_own() -> None:
    for text in shared_cells():
        ((before, read, after),) = csv.reader(io.StringIO(line(["a", text, "b"]), newline=""))
        assert (before, after) == ("a", "b")
        assert read in (text, "'" + text)
        assert not read.lstrip(" \u200b").startswith(tuple(DANGEROUS)), ascii(text)


def test_values_of_ours_are_written_so_that_they_are_added_up_and_sorted() -> None:
    at = datetime(2026, 3, 1, 20, 0, tzinfo=timezone(timedelta(hours=8)))
    found = [cell(one) for one in (None, True, -5, 1.5, at, date(2026, 3, 1))]
    assert found == ["", "true", "-5", "1.5", at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "2026-03-01"]


def test_a_line_is_read_back_as_it_was_given() -> None:
    given = ['say "hi"', "two\r\nlines", "a;b", " led by a space", "", "末尾"]
    assert list(csv.reader(io.StringIO(line(given), newline=""))) == [given]
    assert "\x00" not in line(["a\x00b"])
