"""The one list of events. Names are public: the stream, webhooks and rules use them.

Each is a frozen dataclass; its fields, besides `conversation_id` and `seq`, become the event's `data`. They carry ids
and words, never bodies: whoever may read more fetches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainEvent:
    """Something that happened. `seq` is the message's or the change's place in its conversation."""

    type: ClassVar[str]
    conversation_id: UUID | None = None
    seq: int | None = None

    def data(self) -> dict[str, Any]:
        own = _own_fields(type(self))
        return {name: str(value) if isinstance(value := getattr(self, name), UUID) else value for name in own}


_own: dict[type[DomainEvent], tuple[str, ...]] = {}


def _own_fields(kind: type[DomainEvent]) -> tuple[str, ...]:
    found = _own.get(kind)
    if found is None:
        found = _own[kind] = tuple(f.name for f in fields(kind) if f.name not in {"conversation_id", "seq"})
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationCreated(DomainEvent):
    type = "conversation.created"
    number: int
    channel: str
    inbox_id: UUID
    contact_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationUpdated(DomainEvent):
    """`changes` maps a field to `[before, after]`."""

    type = "conversation.updated"
    changes: Mapping[str, Any]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationAssigned(DomainEvent):
    """Whoever had it before is told as well, though it may be out of his sight now (`services.feed`).

    `reason` is why routing did it: `routed`, or the absence for which it took it back. Others need none.
    """

    type = "conversation.assigned"
    assignee_id: UUID | None
    team_id: UUID | None
    assignee_before: UUID | None = None
    team_before: UUID | None = None
    by: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationStatusChanged(DomainEvent):
    type = "conversation.status_changed"
    before: str
    after: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(DomainEvent):
    """A message of a contact. `first` says that it opened the conversation, `silent` that nothing may answer it."""

    type = "message.received"
    message_id: UUID
    inbox_id: UUID
    channel: str
    first: bool
    silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCreated(DomainEvent):
    """A message or note that we wrote. `mentions` are the agents whom a note names."""

    type = "message.created"
    message_id: UUID
    inbox_id: UUID
    private: bool
    by: str
    mentions: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent(DomainEvent):
    type = "message.sent"
    message_id: UUID
    inbox_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFailed(DomainEvent):
    type = "message.failed"
    message_id: UUID
    inbox_id: UUID
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUncertain(DomainEvent):
    type = "message.uncertain"
    message_id: UUID
    inbox_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationMerged(DomainEvent):
    """The conversation went into another one; `into_id` is empty when it came back out."""

    type = "conversation.merged"
    into_id: UUID | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaEvent(DomainEvent):
    """Something about a clock: `kind` and `cycle` say which. Times are RFC 3339, and true however late it was seen."""

    kind: str
    cycle: int
    policy_id: UUID
    due_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaWarning(SlaEvent):
    """`threshold` counts the policy's warnings from one; those before it that were slept through are left out."""

    type = "sla.warning"
    threshold: int
    warned_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaBreached(SlaEvent):
    """`reply_pending`: somebody has answered, and the channel has not taken it yet."""

    type = "sla.breached"
    breached_at: str
    detected_at: str
    reply_pending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaMet(SlaEvent):
    """The clock ended; `late` says that the promise had been broken by then."""

    type = "sla.met"
    ended_at: str
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationAdvanced(DomainEvent):
    """`step` counts from one. `late_seconds` is how long after its time it was taken."""

    type = "escalation.advanced"
    rule_id: UUID
    kind: str
    cycle: int
    step: int
    actions: list[str]
    late_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRaised(DomainEvent):
    """Also when it calls the next `level`; `agent_ids` are those called at this one."""

    type = "alert.raised"
    alert_id: UUID
    kind: str
    severity: str
    level: int
    agent_ids: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAcknowledged(DomainEvent):
    type = "alert.acknowledged"
    alert_id: UUID
    agent_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertResolved(DomainEvent):
    """What it was about is over."""

    type = "alert.resolved"
    alert_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactCreated(DomainEvent):
    type = "contact.created"
    contact_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactUpdated(DomainEvent):
    """`fields` of the contact were changed, by hand or since his channel told what he is called."""

    type = "contact.updated"
    contact_id: UUID
    fields: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactMerged(DomainEvent):
    """The contact turned out to be another one; `into_id` is empty when he came back out."""

    type = "contact.merged"
    contact_id: UUID
    into_id: UUID | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxFailing(DomainEvent):
    type = "inbox.failing"
    inbox_id: UUID
    kind: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRecovered(DomainEvent):
    type = "inbox.recovered"
    inbox_id: UUID


ALL: Mapping[str, type[DomainEvent]] = {
    event.type: event
    for event in (
        ConversationCreated,
        ConversationUpdated,
        ConversationAssigned,
        ConversationStatusChanged,
        ConversationMerged,
        MessageReceived,
        MessageCreated,
        MessageSent,
        MessageFailed,
        MessageUncertain,
        SlaWarning,
        SlaBreached,
        SlaMet,
        EscalationAdvanced,
        AlertRaised,
        AlertAcknowledged,
        AlertResolved,
        ContactCreated,
        ContactUpdated,
        ContactMerged,
        InboxFailing,
        InboxRecovered,
    )
}
