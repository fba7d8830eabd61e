"""The closed sets of words that rows, routes and rules share. All are stored as text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final
from uuid import UUID


class Status(StrEnum):
    """`snoozed` counts as open for clocks; `closed` is final."""

    OPEN = "open"
    PENDING = "pending"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"
    CLOSED = "closed"


REOPENED: Final = frozenset({Status.PENDING, Status.SNOOZED, Status.RESOLVED})
"""A message of the contact opens these, and an answer that did not arrive."""


class Priority(IntEnum):
    """Stored as its rank, so that sorting needs no table; shown by its name."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    URGENT = 3

    @property
    def word(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Priority:
        return cls[word.upper()]


class MessageType(StrEnum):
    INCOMING = "incoming"
    OUTGOING = "outgoing"
    ACTIVITY = "activity"


class AuthorKind(StrEnum):
    CONTACT = "contact"
    AGENT = "agent"
    BOT = "bot"
    SYSTEM = "system"


class Visibility(StrEnum):
    DIRECT = "direct"
    PUBLIC = "public"


class DeliveryStatus(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    CANCELLED = "cancelled"


class RawState(StrEnum):
    """`duplicate`: byte for byte or in content a message that is already filed; `own`: sent by us; `kept`: it tells of
    other messages and is none, or is shown nowhere."""

    RECEIVED = "received"
    FILED = "filed"
    DUPLICATE = "duplicate"
    OWN = "own"
    KEPT = "kept"
    FAILED = "failed"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Role(StrEnum):
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


class TeamRole(StrEnum):
    """A lead is called when the team's promise is broken."""

    MEMBER = "member"
    LEAD = "lead"


class Duty(StrEnum):
    """`auto` is as the schedules say."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class TokenKind(StrEnum):
    AGENT = "agent"
    BOT = "bot"


class Scope(StrEnum):
    CONVERSATIONS_READ = "conversations:read"
    CONVERSATIONS_WRITE = "conversations:write"
    CONTACTS_READ = "contacts:read"
    CONTACTS_WRITE = "contacts:write"
    SOCIAL_WRITE = "social:write"
    SETTINGS_WRITE = "settings:write"
    REPORTS_READ = "reports:read"


class LinkKind(StrEnum):
    MAY_BELONG_TO = "may_belong_to"
    FOLLOWS = "follows"
    SAME_MESSAGE = "same_message"
    MERGED = "merged"
    SPLIT = "split"


class InboxStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something. `inbox_ids` and `team_ids` are what an agent may see; they mean nothing with `sees_all`.

    `scopes` is None for a console session, which may do whatever the role may. `verified_at` is when its password was
    last given, which some changes want to be lately.
    """

    kind: AuthorKind
    id: UUID | None = None
    name: str = ""
    role: Role = Role.AGENT
    inbox_ids: tuple[UUID, ...] = ()
    team_ids: tuple[UUID, ...] = ()
    scopes: frozenset[str] | None = None
    session_id: UUID | None = None
    verified_at: datetime | None = None

    @property
    def sees_all(self) -> bool:
        return self.kind is AuthorKind.SYSTEM or self.role in {Role.ADMIN, Role.SUPERVISOR}


SYSTEM = Actor(AuthorKind.SYSTEM, name="system", role=Role.ADMIN)
