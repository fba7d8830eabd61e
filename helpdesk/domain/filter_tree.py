"""What conversations are asked for beyond plain parameters: a tree of conditions, of closed fields, checked whole.

{"all": [{"field": "status", "op": "in", "value": ["open", "pending"]},
         {"any": [{"field": "assignee_id", "op": "eq", "value": null}, {"field": "tag", "op": "eq", "value": "vip"}]},
         {"not": {"field": "last_activity_at", "op": "before", "value": {"ago": 86400}}}]}

Views keep such trees, lists and bulk changes are narrowed by them, automation rules ask them of what has just happened.
`services.filtering` makes SQL of them. Every condition is true or false, also of a field that is empty: `not` has no
third answer to turn around.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

from helpdesk.domain.contents import Wrong, flag, items, under
from helpdesk.domain.contents import fields as object_of
from helpdesk.domain.contents import word as one_of
from helpdesk.domain.filter_fields import (
    CUSTOM,
    FIELDS,
    LISTS,
    ME,
    MESSAGE_FIELDS,
    READERS,
    Kind,
    field_of,
    is_custom,
)

DEEPEST: Final = 5
MOST_LEAVES: Final = 50
MOST_VALUES: Final = 100


@dataclass(frozen=True, slots=True)
class Leaf:
    """`value` is of the field's type, a tuple of such for `in`, `not_in` and `contains_any`; `ME` stands for an id."""

    field: str
    op: str
    value: Any


@dataclass(frozen=True, slots=True)
class Every:
    """All of these hold. Of none they do."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of these holds."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    node: Node


Node = Leaf | Every | Either | Not

EVERYTHING: Final = Every(())


def parse(content: Any, *, messages: bool = False, place: str = "") -> Node:
    """The tree that JSON `content` says; an empty object asks for nothing. With `messages` it may speak of one.

    Raises `Wrong` naming the place within `content`, itself at `place`.
    """
    if isinstance(content, Mapping) and not content:
        return EVERYTHING
    found = _node(content, place, deep=0, messages=messages)
    if sum(1 for _ in leaves(found)) > MOST_LEAVES:
        raise Wrong(place or "filter", f"use at most {MOST_LEAVES} conditions")
    return found


def leaves(node: Node) -> Iterator[Leaf]:
    return (leaf for _, leaf in _placed(node, ""))


def required(node: Node) -> list[Leaf]:
    """The leaves that hold wherever the tree does."""
    if isinstance(node, Every):
        return [leaf for one in node.nodes for leaf in required(one)]
    return [node] if isinstance(node, Leaf) else []


def mentions(node: Node, place: str = "") -> Iterator[tuple[str, str, UUID]]:
    """Whatever else of the house the tree names: field, kind of thing (`agent contact inbox team`), id."""
    for at, leaf in _placed(node, place):
        thing = field_of(leaf.field).thing
        if not thing or leaf.op == "missing":
            continue
        at = under(at, "value")
        many = isinstance(leaf.value, tuple)
        for number, one in enumerate(leaf.value if many else (leaf.value,)):
            if isinstance(one, UUID):
                yield (under(at, number) if many else at), thing, one


def categories_in(node: Node, place: str = "") -> Iterator[tuple[str, str | None]]:
    """The categories that the tree names, and where."""
    for at, leaf in _placed(node, place):
        if leaf.field != "category" or leaf.op == "missing":
            continue
        at = under(at, "value")
        if isinstance(leaf.value, tuple):
            yield from ((under(at, number), one) for number, one in enumerate(leaf.value))
        else:
            yield at, leaf.value


def is_personal(node: Node) -> bool:
    """Whether its answer depends on who asks; a rule, which is nobody, cannot ask this."""
    return any(
        leaf.field == "unread"
        or field_of(leaf.field).kind is Kind.OWN
        or (field_of(leaf.field).me and ME in (leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)))
        for leaf in leaves(node)
    )


def _placed(node: Node, place: str) -> Iterator[tuple[str, Leaf]]:
    match node:
        case Leaf():
            yield place, node
        case Not():
            yield from _placed(node.node, under(place, "not"))
        case Every() | Either():
            word = "all" if isinstance(node, Every) else "any"
            for number, one in enumerate(node.nodes):
                yield from _placed(one, under(under(place, word), number))


def _node(content: Any, place: str, *, deep: int, messages: bool) -> Node:
    if not isinstance(content, Mapping):
        raise Wrong(place or "filter", "this is not an object")
    if "field" in content:
        return _leaf(content, place, messages=messages)
    if len(content) != 1 or not content.keys() <= {"all", "any", "not"}:
        raise Wrong(place or "filter", "give one of all, any, not; or field, op and value")
    if deep == DEEPEST:
        raise Wrong(place, f"nest at most {DEEPEST} deep")
    ((word, inner),) = content.items()
    at, read = under(place, word), partial(_node, deep=deep + 1, messages=messages)
    if word == "not":
        return Not(read(inner, at))
    nodes = tuple(
        read(one, under(at, number)) for number, one in enumerate(items(inner, at, least=1, most=MOST_LEAVES))
    )
    return Every(nodes) if word == "all" else Either(nodes)


def _leaf(content: Mapping[str, Any], place: str, *, messages: bool) -> Leaf:
    given = object_of(content, place, needed=("field", "op", "value"))
    name, at = given["field"], under(place, "value")
    if not is_custom(name):
        known = (*FIELDS, *MESSAGE_FIELDS) if messages else tuple(FIELDS)
        if name not in known:
            raise Wrong(under(place, "field"), f"use one of {', '.join(known)}, {CUSTOM}KEY")
    field = field_of(name)
    op = one_of(given["op"], under(place, "op"), field.ops)
    if op == "missing":
        return Leaf(name, op, flag(given["value"], at))
    read = READERS[field.kind]
    if op not in LISTS:
        return Leaf(name, op, read(given["value"], at, field, op))
    found = items(given["value"], at, least=1, most=MOST_VALUES)
    return Leaf(name, op, tuple(read(one, under(at, number), field, op) for number, one in enumerate(found)))
