"""Filter trees: what they may say, and that what is wrong is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from helpdesk.domain.contents import Wrong
from helpdesk.domain.filter_fields import FIELDS, ME, MESSAGE_FIELDS, Relative
from helpdesk.domain.filter_tree import EVERYTHING, Either, Every, Leaf, Not, is_personal, leaves, mentions, parse

ONE = UUID(int=1)


def leaf(field: Any, op: Any, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


OPEN = leaf("status", "eq", "open")


def nested(depth: int) -> Any:
    return OPEN if depth == 0 else {"not": nested(depth - 1)}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, EVERYTHING),
        (OPEN, Leaf("status", "eq", "open")),
        (
            {"all": [OPEN, {"any": [OPEN]}]},
            Every((Leaf("status", "eq", "open"), Either((Leaf("status", "eq", "open"),)))),
        ),
        ({"not": OPEN}, Not(Leaf("status", "eq", "open"))),
        (leaf("assignee_id", "in", ["me", None, str(ONE)]), Leaf("assignee_id", "in", (ME, None, ONE))),
        (leaf("created_at", "after", {"ago": 60}), Leaf("created_at", "after", Relative(-60))),
        (leaf("next_due_at", "before", {"in": 60}), Leaf("next_due_at", "before", Relative(60))),
        (
            leaf("created_at", "before", "2026-11-02T10:00:00+08:00"),
            Leaf("created_at", "before", datetime(2026, 11, 2, 2, tzinfo=UTC)),
        ),
        (leaf("category", "missing", True), Leaf("category", "missing", True)),
        (leaf("custom_fields.plan", "in", ["pro", 3, True]), Leaf("custom_fields.plan", "in", ("pro", 3.0, True))),
        (leaf("custom_fields.since", "gt", "2026-01-31"), Leaf("custom_fields.since", "gt", "2026-01-31")),
        (leaf("mentioned", "eq", "me"), Leaf("mentioned", "eq", ME)),
    ],
)
def test_a_tree_is_read_as_it_is_written(content: Any, expected: Any) -> None:
    assert parse(content) == expected


@pytest.mark.parametrize(
    ("content", "field", "reason"),
    [
        ([], "filter", "not an object"),
        ({"every": []}, "filter", "give one of all, any, not"),
        ({"all": [OPEN], "any": [OPEN]}, "filter", "give one of"),
        ({"all": []}, "all", "give 1 to 50"),
        ({"any": {}}, "any", "not a list"),
        ({"all": [OPEN, {"not": {}}]}, "all.1.not", "give one of"),
        ({"all": [OPEN, leaf("colour", "eq", "red")]}, "all.1.field", "use one of status,"),
        (leaf(["status"], "eq", "open"), "field", "use one of"),
        (leaf("message.text", "contains", "seed"), "field", "use one of"),
        (leaf("custom_fields.", "eq", "a"), "field", "use one of"),
        (leaf('custom_fields.a"b', "eq", "a"), "field", "use one of"),
        ({"field": "status", "op": "eq"}, "value", "needed"),
        (OPEN | {"more": 1}, "more", "no such field"),
        (leaf("status", "contains", "op"), "op", "use one of eq, ne, in, not_in"),
        (leaf("status", "missing", True), "op", "use one of"),
        (leaf("status", ["eq"], "open"), "op", "use one of"),
        (leaf("status", "eq", "lost"), "value", "use one of open,"),
        (leaf("status", "in", "open"), "value", "not a list"),
        (leaf("status", "in", []), "value", "give 1 to 100"),
        (leaf("tag", "in", ["a"] * 101), "value", "give 1 to 100"),
        (leaf("tag", "in", ["a", ""]), "value.1", "use 1 to 60"),
        (leaf("tag", "eq", "a\x00"), "value", "use 1 to 60"),
        (leaf("subject", "contains", "x" * 201), "value", "use 1 to 200"),
        (leaf("inbox_id", "eq", "me"), "value", "use an id"),
        (leaf("inbox_id", "eq", None), "value", "use an id"),
        (leaf("contact_id", "in", [7]), "value.0", "use an id"),
        (leaf("mentioned", "eq", str(ONE)), "value", "use one of me"),
        (leaf("unread", "eq", "yes"), "value", "true or false"),
        (leaf("category", "missing", 1), "value", "true or false"),
        (leaf("number", "gt", True), "value", "whole number"),
        (leaf("number", "gt", 2**31), "value", "whole number"),
        (leaf("created_at", "before", "2026-11-02T10:00:00"), "value", "a time with a zone"),
        (leaf("created_at", "before", 5), "value", "a time with a zone"),
        (leaf("created_at", "before", {"ago": 1, "in": 1}), "value", "give either"),
        (leaf("created_at", "before", {"ago": -1}), "value.ago", "whole number"),
        (leaf("created_at", "before", {"days": 1}), "value.days", "no such field"),
        (leaf("custom_fields.plan", "gt", "pro"), "value", "a number, or a date"),
        (leaf("custom_fields.plan", "gt", True), "value", "a number, or a date"),
        (leaf("custom_fields.plan", "eq", float("inf")), "value", "fifteen digits"),
        (leaf("custom_fields.plan", "eq", None), "value", "use 1 to 200"),
        (leaf("custom_fields.plan", "contains", 3), "value", "use 1 to 200"),
        (nested(6), "not.not.not.not.not", "nest at most 5"),
        ({"all": [{"any": [OPEN] * 50}, OPEN]}, "filter", "at most 50 conditions"),
    ],
)
def test_what_a_tree_cannot_say_is_named(content: Any, field: str, reason: str) -> None:
    with pytest.raises(Wrong, match=reason) as caught:
        parse(content)
    assert caught.value.field == field


def test_a_place_is_where_the_tree_stands_in_what_was_given() -> None:
    with pytest.raises(Wrong) as caught:
        parse({"all": [leaf("status", "eq", "lost")]}, place="filter")
    assert caught.value.field == "filter.all.0.value"


def test_five_levels_and_fifty_conditions_are_let_through() -> None:
    assert len(list(leaves(parse({"all": [OPEN] * 50})))) == 50
    assert list(leaves(parse(nested(5)))) == [Leaf("status", "eq", "open")]


def test_rules_may_speak_of_a_message() -> None:
    found = parse(leaf("message.text", "contains_any", ["seed phrase", "助记词"]), messages=True)
    assert found == Leaf("message.text", "contains_any", ("seed phrase", "助记词"))


@pytest.mark.parametrize("name", [*FIELDS, *MESSAGE_FIELDS])
def test_no_field_takes_what_is_of_no_type(name: str) -> None:
    field = {**FIELDS, **MESSAGE_FIELDS}[name]
    for op in field.ops:
        with pytest.raises(Wrong):
            parse(leaf(name, op, {"$ne": 1}), messages=True)


def test_ids_are_named_with_their_place_and_kind() -> None:
    tree = parse(
        {
            "all": [
                leaf("assignee_id", "in", ["me", None, str(ONE)]),
                {"not": leaf("inbox_id", "eq", str(ONE))},
                leaf("team_id", "missing", True),
                {"any": [leaf("message.inbox_id", "eq", str(ONE)), leaf("tag", "eq", "a")]},
            ]
        },
        messages=True,
    )
    assert list(mentions(tree, "filter")) == [
        ("filter.all.0.value.2", "agent", ONE),
        ("filter.all.1.not.value", "inbox", ONE),
        ("filter.all.3.any.0.value", "inbox", ONE),
    ]


@pytest.mark.parametrize(
    ("content", "personal"),
    [
        (OPEN, False),
        (leaf("assignee_id", "eq", None), False),
        (leaf("assignee_id", "missing", True), False),
        (leaf("category", "eq", "me"), False),
        ({"not": leaf("assignee_id", "in", [None, "me"])}, True),
        (leaf("unread", "eq", False), True),
        (leaf("watched", "ne", "me"), True),
    ],
)
def test_it_is_known_whether_the_answer_depends_on_who_asks(content: Any, personal: bool) -> None:
    assert is_personal(parse(content)) is personal
