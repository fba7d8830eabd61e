"""What can be done to a conversation: one vocabulary for ladders, macros, automation and many conversations at once.

An action is kept as JSON, `{"do": word, ...}`, in settings that outlive the code that wrote them: `check` holds it to
its form before it is stored, `read` makes a value of what was let through.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final, Literal
from uuid import UUID

from helpdesk.domain import templates
from helpdesk.domain.contents import Wrong, fields, identifier, identifiers, items, names, under, whole, words
from helpdesk.domain.contents import word as one_of
from helpdesk.domain.values import Priority, Status

WHO: Final = ("assignee", "team", "lead", "supervisors", "admins", "watchers")
SEVERITIES: Final = ("info", "warning", "critical")
PRIORITIES: Final = tuple(priority.word for priority in Priority)
STATUSES: Final = tuple(status.value for status in Status)
ME: Final = "me"
"""In place of an agent's id: whoever has the action done."""

MOST_ACTIONS: Final = 20
MOST_TAGS: Final = 30
LONGEST_TAG: Final = 60
LONGEST_NOTE, LONGEST_VALUE, LONGEST_REPLY = 2000, 2000, 10_000
LEAST_SNOOZE, MOST_SNOOZE = 60, 366 * 86_400
_LEAST_WAIT, _MOST_WAIT = 60, 7 * 86_400


@dataclass(frozen=True, slots=True)
class Alert:
    """Call people. Without an acknowledgement in time the next level is called; with None nobody is asked for one."""

    do: ClassVar[str] = "alert"
    who: tuple[str, ...]
    agent_ids: tuple[UUID, ...]
    severity: str
    acknowledge: timedelta | None


@dataclass(frozen=True, slots=True)
class Assign:
    """To an agent, to `ME`, or to nobody."""

    do: ClassVar[str] = "assign"
    agent_id: UUID | Literal["me"] | None


@dataclass(frozen=True, slots=True)
class HandOver:
    """To a team, or to none."""

    do: ClassVar[str] = "team"
    team_id: UUID | None


@dataclass(frozen=True, slots=True)
class Watch:
    """Have agents follow the conversation."""

    do: ClassVar[str] = "watch"
    agent_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Prioritise:
    do: ClassVar[str] = "priority"
    to: Priority


@dataclass(frozen=True, slots=True)
class Post:
    """Tell a webhook."""

    do: ClassVar[str] = "webhook"
    webhook_id: UUID


@dataclass(frozen=True, slots=True)
class Note:
    """Write a note for colleagues."""

    do: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True, slots=True)
class SetStatus:
    """`snooze` is for how long, with the status `snoozed` and with no other."""

    do: ClassVar[str] = "status"
    to: Status
    snooze: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Categorise:
    """None takes the category away."""

    do: ClassVar[str] = "category"
    to: str | None


@dataclass(frozen=True, slots=True)
class Tag:
    """Tags that are neither added nor removed stay."""

    do: ClassVar[str] = "tag"
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetField:
    """A custom field of the conversation; None takes its value away."""

    do: ClassVar[str] = "custom_field"
    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the contact: with a text of its own or with a canned response, one of the two."""

    do: ClassVar[str] = "reply"
    text: str | None = None
    canned_response_id: UUID | None = None


Action = Alert | Assign | HandOver | Watch | Prioritise | Post | Note | SetStatus | Categorise | Tag | SetField | Reply

OF_LADDERS: Final = ("alert", "assign", "team", "watch", "priority", "webhook", "note")
OF_MACROS: Final = ("assign", "team", "watch", "priority", "status", "category", "tag", "custom_field", "note", "reply")
OF_RULES: Final = (*OF_MACROS, "alert", "webhook")
OF_BULK: Final = ("assign", "team", "watch", "priority", "status", "category", "tag", "custom_field", "reply")
"""No notes, and replies by canned response only: a job keeps ids and settings, never what somebody wrote."""


def read(given: Mapping[str, Any]) -> Action:
    """An action from content that `check` let through, in this version or in an earlier one."""
    return _READERS[given["do"]](given)


def check(value: Any, place: str, *, allowed: Collection[str], me: bool = False) -> None:
    """Raise `Wrong` unless this is one of the `allowed` actions. `me`: there is somebody whom the word stands for.

    Whether the ids are anybody's is not known here: `mentions` names them.
    """
    do = one_of(value.get("do") if isinstance(value, Mapping) else None, under(place, "do"), allowed)
    needed, optional, verify = _CHECKS[do]
    given = fields(value, place, needed=("do", *needed), optional=optional)
    if do == Assign.do and given["agent_id"] == ME and not me:
        raise Wrong(under(place, "agent_id"), "use an id: nobody runs this, whom “me” could mean")
    verify(given, place)


def check_all(
    value: Any, place: str, *, allowed: Collection[str], least: int = 1, most: int = MOST_ACTIONS, me: bool = False
) -> None:
    """Raise `Wrong` unless this is a list of so many `allowed` actions."""
    for number, action in enumerate(items(value, place, least=least, most=most)):
        check(action, under(place, number), allowed=allowed, me=me)


def mentions(given: Sequence[Mapping[str, Any]], place: str = "actions") -> Iterator[tuple[str, str, UUID]]:
    """Whatever else of the house checked actions name: field, kind of thing, id."""
    for number, action in enumerate(given):
        here = under(place, number)
        for kind in ("agent", "team", "webhook", "canned_response"):
            named = action.get(f"{kind}_id")
            if named is not None and named != ME:
                yield under(here, f"{kind}_id"), kind, UUID(named)
        for count, agent_id in enumerate(action.get("agent_ids", ())):
            yield f"{here}.agent_ids.{count}", "agent", UUID(agent_id)


def tags(given: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """What checked actions give to a conversation."""
    return frozenset(name for one in given if one["do"] == Tag.do for name in one.get("add", ()))


def _alert(given: Mapping[str, Any]) -> Alert:
    return Alert(
        who=tuple(given["who"]),
        agent_ids=tuple(map(UUID, given.get("agent_ids", ()))),
        severity=given["severity"],
        acknowledge=_span(given["acknowledge_seconds"]),
    )


def _span(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _id(given: Any) -> UUID | None:
    return None if given is None else UUID(given)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Action]]] = {
    Alert.do: _alert,
    Assign.do: lambda given: Assign("me" if given["agent_id"] == ME else _id(given["agent_id"])),
    HandOver.do: lambda given: HandOver(_id(given["team_id"])),
    Watch.do: lambda given: Watch(tuple(map(UUID, given["agent_ids"]))),
    Prioritise.do: lambda given: Prioritise(Priority.of(given["to"])),
    Post.do: lambda given: Post(UUID(given["webhook_id"])),
    Note.do: lambda given: Note(given["text"]),
    SetStatus.do: lambda given: SetStatus(Status(given["to"]), _span(given.get("snooze_seconds"))),
    Categorise.do: lambda given: Categorise(given["to"]),
    Tag.do: lambda given: Tag(tuple(given.get("add", ())), tuple(given.get("remove", ()))),
    SetField.do: lambda given: SetField(given["key"], given["value"]),
    Reply.do: lambda given: Reply(given.get("text"), _id(given.get("canned_response_id"))),
}


def _check_alert(given: Mapping[str, Any], place: str) -> None:
    who = words(given["who"], under(place, "who"), WHO)
    if not identifiers(given.get("agent_ids", ()), under(place, "agent_ids")) and not who:
        raise Wrong(under(place, "who"), "an alert has to call somebody")
    one_of(given["severity"], under(place, "severity"), SEVERITIES)
    if given["acknowledge_seconds"] is not None:
        wait = under(place, "acknowledge_seconds")
        whole(given["acknowledge_seconds"], wait, least=_LEAST_WAIT, most=_MOST_WAIT)


def _check_id(name: str, *, empty: tuple[Any, ...] = ()) -> Callable[[Mapping[str, Any], str], None]:
    """That a field holds an id, or one of what may stand in its place."""

    def verify(given: Mapping[str, Any], place: str) -> None:
        if given[name] not in empty:
            identifier(given[name], under(place, name))

    return verify


def _check_text(value: Any, place: str, longest: int) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > longest or "\x00" in value:
        raise Wrong(place, f"use 1 to {longest} characters")
    return value


def _check_status(given: Mapping[str, Any], place: str) -> None:
    to, seconds = one_of(given["to"], under(place, "to"), STATUSES), given.get("snooze_seconds")
    here = under(place, "snooze_seconds")
    if (to == Status.SNOOZED) != (seconds is not None):
        raise Wrong(here, "is needed with the status snoozed" if seconds is None else "is only for the status snoozed")
    if seconds is not None:
        whole(seconds, here, least=LEAST_SNOOZE, most=MOST_SNOOZE)


def _check_tags(given: Mapping[str, Any], place: str) -> None:
    many: Mapping[str, int] = {"longest": LONGEST_TAG, "most": MOST_TAGS}
    add, remove = (names(given.get(name, ()), under(place, name), **many) for name in ("add", "remove"))
    if not add and not remove:
        raise Wrong(under(place, "add"), "name a tag to add, or one to remove")
    for number, tag in enumerate(remove):
        if tag in add:
            raise Wrong(f"{under(place, 'remove')}.{number}", "this tag is added as well")


def _check_field(given: Mapping[str, Any], place: str) -> None:
    """Only its form: which keys and values there are is a setting, asked where the action is stored."""
    _check_text(given["key"], under(place, "key"), LONGEST_TAG)
    value, here = given["value"], under(place, "value")
    for one in value if isinstance(value, list) else [value]:
        if one is not None and not isinstance(one, str | bool | int | float):
            raise Wrong(here, "use a text, a number, true or false, a list of texts, or null")
        if isinstance(one, str) and (len(one) > LONGEST_VALUE or "\x00" in one):
            raise Wrong(here, f"use at most {LONGEST_VALUE} characters")


def _check_reply(given: Mapping[str, Any], place: str) -> None:
    text, canned = given.get("text"), given.get("canned_response_id")
    if (text is None) == (canned is None):
        raise Wrong(under(place, "text"), "give a text or a canned response, one of the two")
    if canned is not None:
        identifier(canned, under(place, "canned_response_id"))
    else:
        templates.check(_check_text(text, under(place, "text"), LONGEST_REPLY), under(place, "text"))


_Check = tuple[tuple[str, ...], tuple[str, ...], Callable[[Mapping[str, Any], str], object]]
_CHECKS: Final[Mapping[str, _Check]] = {
    Alert.do: (("who", "severity", "acknowledge_seconds"), ("agent_ids",), _check_alert),
    Assign.do: (("agent_id",), (), _check_id("agent_id", empty=(ME, None))),
    HandOver.do: (("team_id",), (), _check_id("team_id", empty=(None,))),
    Watch.do: (("agent_ids",), (), lambda given, at: identifiers(given["agent_ids"], under(at, "agent_ids"), least=1)),
    Prioritise.do: (("to",), (), lambda given, place: one_of(given["to"], under(place, "to"), PRIORITIES)),
    Post.do: (("webhook_id",), (), _check_id("webhook_id")),
    Note.do: (("text",), (), lambda given, place: _check_text(given["text"], under(place, "text"), LONGEST_NOTE)),
    SetStatus.do: (("to",), ("snooze_seconds",), _check_status),
    Categorise.do: (
        ("to",),
        (),
        lambda given, place: given["to"] is None or _check_text(given["to"], under(place, "to"), LONGEST_TAG),
    ),
    Tag.do: ((), ("add", "remove"), _check_tags),
    SetField.do: (("key", "value"), (), _check_field),
    Reply.do: ((), ("text", "canned_response_id"), _check_reply),
}
