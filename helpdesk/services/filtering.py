"""Filter trees as SQL: the one meaning that lists, views, counts, bulk changes and rules share.

Conditions are over `conversations`, and correlate with that alone, whatever else their query joins. They hold or do
not hold, also where a column is empty: NULL is spelled out, so that `not` turns a condition around completely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    and_,
    exists,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from helpdesk.dialects import among, kept
from helpdesk.domain.filter_fields import CUSTOM, ME, Kind, Relative, field_of
from helpdesk.domain.filter_tree import Either, Every, Leaf, Node, Not, leaves
from helpdesk.domain.filters import SlaState, like
from helpdesk.domain.values import Actor, AuthorKind, MessageType, Priority
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import (
    conversation_reads,
    conversation_tags,
    conversation_watchers,
    conversations,
    drafts,
    mentions,
)
from helpdesk.models.messages import messages
from helpdesk.models.rules import ratings
from helpdesk.models.social import conversation_threads, posts, social_accounts

Condition = ColumnElement[bool]
_Make = Callable[[Leaf, Actor, datetime], Condition]

_C: Final = conversations.c
_M: Final = messages.c
_ONE: ColumnElement[int] = literal_column("1")
# As ix_conversations_custom says it, for the few that have any.
_HAS_CUSTOM: Final[Condition] = literal_column("conversations.custom_fields <> '{}'", Boolean())
_COMPUTED: Final[Mapping[str, ColumnElement[Any]]] = {
    "message.text": func.coalesce(func.nullif(_M.new_text, ""), _M.text, type_=_M.text.type),
    "message.has_attachments": _M.attachment_count > 0,
}


def condition(node: Node, *, actor: Actor, now: datetime) -> Condition:
    """On `conversations`. `me` is the actor; one without an id has read, watches and is mentioned in nothing.

    Raises ValueError for a tree that speaks of a message.
    """
    if any(leaf.field.startswith("message.") for leaf in leaves(node)):
        raise ValueError("a condition on messages is asked with message_condition")
    return _condition(node, actor, now)


def message_condition(node: Node, *, actor: Actor, now: datetime) -> Condition:
    """On `conversations` and `messages`, which the query joins: what the tree says of a message is said of that row."""
    return _condition(node, actor, now)


def names_spam(node: Node) -> bool:
    """Whether the tree says itself what is to become of spam, which is otherwise left out."""
    return any(leaf.field == "spam" for leaf in leaves(node))


def _condition(node: Node, actor: Actor, now: datetime) -> Condition:
    match node:
        case Every(nodes):
            return and_(true(), *(_condition(one, actor, now) for one in nodes))
        case Either(nodes):
            return or_(false(), *(_condition(one, actor, now) for one in nodes))
        case Not(inner):
            return not_(_condition(inner, actor, now))
        case Leaf(name):
            special = _SPECIAL.get(name)
            make = special or (_custom if name.startswith(CUSTOM) else _BY_KIND[field_of(name).kind])
            return make(node, actor, now)


def _column(name: str) -> ColumnElement[Any]:
    if name in _COMPUTED:
        return _COMPUTED[name]
    return _M[name.removeprefix("message.")] if name.startswith("message.") else _C[name]


def _there(column: ColumnElement[Any], found: Condition, *, empty: bool) -> Condition:
    """False, not unknown, where a column that may be empty is."""
    return and_(column.is_not(None), found) if empty else found


def _equal(leaf: Leaf, actor: Actor, column: ColumnElement[Any], item: Any, empty: bool) -> Condition:
    """`eq ne in not_in missing` on a column that can use its index for one value."""
    if leaf.op == "missing":
        return column.is_(None) if leaf.value else column.is_not(None)
    given = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    some = [one for one in (_value(leaf.field, one, actor) for one in given) if one is not None]
    parts: list[Condition] = []
    if some:
        parts.append(_there(column, column == some[0] if len(some) == 1 else among(column, some, item), empty=empty))
    if None in given:
        parts.append(column.is_(None))
    found = or_(false(), *parts)
    return not_(found) if leaf.op in ("ne", "not_in") else found


def _value(name: str, given: Any, actor: Actor) -> Any:
    if name == "priority":
        return int(Priority.of(given))
    # Whoever has no id is nobody's assignee: an id that nobody has, and not None, which would find what is nobody's.
    return (actor.id or UUID(int=0)) if given == ME and field_of(name).me else given


def _words(leaf: Leaf, actor: Actor, _now: datetime) -> Condition:
    item = {"priority": "int"}.get(leaf.field, "uuid" if field_of(leaf.field).kind is Kind.ID else "text")
    return _equal(leaf, actor, _column(leaf.field), item, field_of(leaf.field).empty)


def _contains(column: ColumnElement[Any], leaf: Leaf) -> Condition:
    wanted = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    if leaf.op == "eq":
        return or_(false(), column == leaf.value)
    return or_(false(), *(column.ilike(like(one), escape="\\") for one in wanted))


def _order(column: ColumnElement[Any], leaf: Leaf) -> Condition:
    value = leaf.value
    made: Mapping[str, Condition] = {
        "gt": column > value,
        "gte": column >= value,
        "lt": column < value,
        "lte": column <= value,
    }
    return made[leaf.op]


def _numbers(leaf: Leaf, actor: Actor, _now: datetime) -> Condition:
    column = _column(leaf.field)
    return _order(column, leaf) if leaf.op[0] in "gl" else _equal(leaf, actor, column, "int", False)


def _times(leaf: Leaf, _actor: Actor, now: datetime) -> Condition:
    column, value = _column(leaf.field), leaf.value
    if leaf.op == "missing":
        return column.is_(None) if value else column.is_not(None)
    at = now + timedelta(seconds=value.seconds) if isinstance(value, Relative) else value
    found = column < at if leaf.op == "before" else column >= at
    return _there(column, found, empty=field_of(leaf.field).empty)


def _flags(leaf: Leaf, _actor: Actor, _now: datetime) -> Condition:
    column = _column(leaf.field)
    if leaf.op == "missing":
        return column.is_(None) if leaf.value else column.is_not(None)
    return _there(column, column if leaf.value else not_(column), empty=field_of(leaf.field).empty)


def _custom(leaf: Leaf, actor: Actor, _now: datetime) -> Condition:
    """Each value is compared with what is kept under the key as its own type."""
    key = leaf.field.removeprefix(CUSTOM)

    def of(kind: type) -> ColumnElement[Any]:
        return kept(_C.custom_fields, key, kind)

    if leaf.op == "missing":
        nothing = and_(*(of(kind).is_(None) for kind in (str, float, bool)))
        return nothing if leaf.value else and_(_HAS_CUSTOM, not_(nothing))
    given = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    if leaf.op.startswith("contains"):
        found = _there(of(str), _contains(of(str), leaf), empty=True)
    elif leaf.op[0] in "gl":
        found = _there(of(type(leaf.value)), _order(of(type(leaf.value)), leaf), empty=True)
    else:
        found = or_(false(), *(_there(of(type(one)), of(type(one)) == one, empty=True) for one in given))
    return not_(found) if leaf.op in ("ne", "not_in") else and_(_HAS_CUSTOM, found)


def _of(query: Select[Any]) -> Condition:
    return exists(query.correlate(conversations))


def _tags(leaf: Leaf, _actor: Actor, _now: datetime) -> Condition:
    mine = select(_ONE).select_from(conversation_tags).where(conversation_tags.c.conversation_id == _C.id)
    if leaf.op == "missing":
        return not_(_of(mine)) if leaf.value else _of(mine)
    wanted: Sequence[str] = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    found = _of(mine.where(among(conversation_tags.c.tag, wanted, "text")))
    return not_(found) if leaf.op in ("ne", "not_in") else found


def _sla(leaf: Leaf, _actor: Actor, now: datetime) -> Condition:
    """As `domain.filters.sla_state` answers it."""
    due, soon = _C.next_due_at, _C.due_soon_at
    ahead, near = and_(due.is_not(None), due >= now), and_(soon.is_not(None), soon <= now)
    states: Mapping[str, Condition] = {
        SlaState.BREACHED: and_(due.is_not(None), due < now),
        SlaState.DUE_SOON: and_(ahead, near),
        SlaState.OK: and_(ahead, not_(near)),
        SlaState.PAUSED: and_(due.is_(None), _C.sla_paused),
        SlaState.NONE: and_(due.is_(None), not_(_C.sla_paused)),
    }
    wanted = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    found = or_(false(), *(states[word] for word in wanted))
    return not_(found) if leaf.op in ("ne", "not_in") else found


def _blocked(leaf: Leaf, _actor: Actor, _now: datetime) -> Condition:
    found = _of(select(_ONE).select_from(contacts).where(contacts.c.id == _C.contact_id, contacts.c.blocked))
    return found if leaf.value else not_(found)


def unread(agent_id: ColumnElement[UUID]) -> Condition:
    """The contact wrote more than this agent has read."""
    r = conversation_reads.c
    mine = select(r.seq).where(r.agent_id == agent_id, r.conversation_id == _C.id).correlate(conversations)
    return _C.last_incoming_seq > func.coalesce(mine.scalar_subquery(), 0)


def _unread(leaf: Leaf, actor: Actor, _now: datetime) -> Condition:
    if actor.id is None:
        return false() if leaf.value else true()
    found = unread(literal(actor.id, _C.id.type))
    return found if leaf.value else not_(found)


def _own(leaf: Leaf, actor: Actor, _now: datetime) -> Condition:
    table = {"mentioned": mentions, "watched": conversation_watchers, "drafted": drafts}[leaf.field]
    mine = select(_ONE).select_from(table).where(table.c.agent_id == literal(actor.id, _C.id.type))
    found = false() if actor.id is None else _of(mine.where(table.c.conversation_id == _C.id))
    return not_(found) if leaf.op == "ne" else found


def _answered(leaf: Leaf, _actor: Actor, _now: datetime) -> Condition:
    """Somebody of the house has written to the contact, by hand and not to colleagues only."""
    found = _of(
        select(_ONE)
        .select_from(messages)
        .where(
            _M.conversation_id == _C.id,
            _M.type == MessageType.OUTGOING.value,
            _M.author_kind.in_([AuthorKind.AGENT.value, AuthorKind.BOT.value]),
            _M.private.is_(False),
            _M.auto_submitted.is_(None),
        )
    )
    return not_(found) if leaf.value else found


def _rating(leaf: Leaf, actor: Actor, _now: datetime) -> Condition:
    """A score that the contact has given; of several resolutions, any."""
    score = ratings.c.score
    given = select(_ONE).select_from(ratings).where(ratings.c.conversation_id == _C.id, score.is_not(None))
    if leaf.op == "missing":
        return not_(_of(given)) if leaf.value else _of(given)
    return _any_of(leaf, given, score, "int")


def _any_of(leaf: Leaf, some: Select[Any], column: ColumnElement[Any], item: Any) -> Condition:
    """`eq ne in not_in gt gte lt lte` of any of these rows."""
    if leaf.op[0] in "gl":
        return _of(some.where(_order(column, leaf)))
    wanted = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    found = _of(some.where(among(column, wanted, item)))
    return not_(found) if leaf.op in ("ne", "not_in") else found


def _visibility(leaf: Leaf, _actor: Actor, _now: datetime) -> Condition:
    """The contact wrote there so that everybody, or only we, can read it; in one conversation it may be both."""
    his = select(_ONE).select_from(messages).where(_M.conversation_id == _C.id, _M.type == MessageType.INCOMING.value)
    return _any_of(leaf, his, _M.visibility, "text")


def _account(leaf: Leaf, _actor: Actor, _now: datetime) -> Condition:
    """What the channel shows everybody of the account that the contact wrote from."""
    a = social_accounts.c
    column, item = {"followers": (a.followers, "bigint"), "verified": (a.verified, "text")}[leaf.field]
    his = select(_ONE).select_from(social_accounts)
    his = his.where(a.channel == _C.channel, a.external_id == _C.contact_handle)
    his = his.where(column.is_not(None) if leaf.field == "followers" else column != "")
    if leaf.op == "missing":
        return not_(_of(his)) if leaf.value else _of(his)
    return _any_of(leaf, his, column, item)


def _post(leaf: Leaf, _actor: Actor, _now: datetime) -> Condition:
    """It was written under the post that has this id on its channel."""
    t = conversation_threads.c
    under = select(_ONE).select_from(conversation_threads.join(posts, posts.c.id == t.post_id))
    under = under.where(t.conversation_id == _C.id)
    if leaf.op == "missing":
        return not_(_of(under)) if leaf.value else _of(under)
    return _any_of(leaf, under, posts.c.external_id, "text")


def _merged(leaf: Leaf, _actor: Actor, _now: datetime) -> Condition:
    return _C.merged_into_id.is_not(None) if leaf.value else _C.merged_into_id.is_(None)


_BY_KIND: Final[Mapping[Kind, _Make]] = {
    Kind.WORD: _words,
    Kind.NAME: _words,
    Kind.ID: _words,
    Kind.TEXT: lambda leaf, _actor, _now: _contains(_column(leaf.field), leaf),
    Kind.NUMBER: _numbers,
    Kind.TIME: _times,
    Kind.FLAG: _flags,
    Kind.OWN: _own,
}
_SPECIAL: Final[Mapping[str, _Make]] = {
    "tag": _tags,
    "sla": _sla,
    "contact_blocked": _blocked,
    "unread": _unread,
    "merged": _merged,
    "first_response": _answered,
    "rating": _rating,
    "visibility": _visibility,
    "followers": _account,
    "verified": _account,
    "post_id": _post,
}
