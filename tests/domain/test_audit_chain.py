"""The chain over the audit as arithmetic: what a digest covers, and what does not go unnoticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from helpdesk.domain.audit_chain import BEGINNING, Broken, Link, canonical, entry, follow, link

AT = datetime(2026, 11, 2, 10, 0, 0, 5, tzinfo=UTC)
Row = dict[str, Any]


def row(number: int, **given: Any) -> Row:
    found = {
        "id": UUID(int=number),
        "occurred_at": AT + timedelta(seconds=number),
        "actor_kind": "agent",
        "actor_id": UUID(int=99),
        "action": "team.updated",
        "subject_type": "team",
        "subject_id": None,
        "data": {"b": ["é", 1.5], "a": None},
    }
    return found | given


def chain(count: int) -> list[Row]:
    at, rows = BEGINNING, []
    for number in range(1, count + 1):
        at = link(at, row(number))
        rows.append(row(number) | {"position": at.position, "digest": at.digest})
    return rows


def test_an_entry_has_one_spelling_whatever_the_zone_and_the_order() -> None:
    there = AT.astimezone(timezone(timedelta(hours=8)))
    found = canonical(entry(row(1, occurred_at=there, data={"a": None, "b": ["é", 1.5]}), 1))
    assert found == canonical(entry(row(1, occurred_at=AT), 1))
    assert found.decode() == (
        '{"action":"team.updated","actor_id":"00000000-0000-0000-0000-000000000063","actor_kind":"agent",'
        '"data":{"a":null,"b":["\\u00e9",1.5]},"id":"00000000-0000-0000-0000-000000000001",'
        '"occurred_at":"2026-11-02T10:00:00.000005Z","position":1,"subject_id":null,"subject_type":"team"}'
    )


def test_the_digest_can_be_computed_by_anybody_from_what_is_exported() -> None:
    before = bytes(32)
    for one in chain(3):
        shown = json.loads(json.dumps(entry(one, one["position"])))
        text = json.dumps(shown, sort_keys=True, separators=(",", ":"))
        before = sha256(before + text.encode()).digest()
        assert before.hex() == one["digest"]


def test_a_chain_that_nobody_touched_is_whole_from_any_place() -> None:
    rows = chain(5)
    assert follow(BEGINNING, rows, {}) == Link(5, rows[4]["digest"])
    assert follow(Link(2, rows[1]["digest"]), rows[2:], {4: {rows[3]["digest"]}}) == Link(5, rows[4]["digest"])
    assert follow(BEGINNING, [], {}) == BEGINNING


def _changed(rows: list[Row]) -> None:
    rows[2]["data"] = {"a": None, "b": ["é", 1.50001]}


def _removed(rows: list[Row]) -> None:
    del rows[2]


def _swapped(rows: list[Row]) -> None:
    rows[2], rows[3] = rows[3] | {"position": 3}, rows[2] | {"position": 4}


def _written_anew(rows: list[Row]) -> None:
    """From the third on, by somebody who knows how the chain is made."""
    at = Link(2, rows[1]["digest"])
    for number in range(2, 5):
        at = link(at, rows[number] | {"actor_id": None})
        rows[number] |= {"actor_id": None, "digest": at.digest}


@pytest.mark.parametrize(
    ("touch", "reason"),
    [(_changed, "changed"), (_removed, "gap"), (_swapped, "changed"), (_written_anew, "anchor")],
)
def test_whatever_is_done_to_the_third_entry_is_found_there(touch: Callable[[list[Row]], None], reason: str) -> None:
    rows = chain(5)
    anchors = {3: {rows[2]["digest"]}}
    touch(rows)
    assert follow(BEGINNING, rows, anchors) == Broken(3, reason)
