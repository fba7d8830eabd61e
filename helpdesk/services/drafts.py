"""What filing a batch has decided on, kept in memory, and then written in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import ring
from helpdesk.domain.admission import Admitted, here
from helpdesk.domain.events import ConversationCreated, DomainEvent
from helpdesk.domain.values import RawState
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversation_inboxes, conversation_links, conversations, participants
from helpdesk.models.events import audit
from helpdesk.models.inboxes import blobs as blob_rows
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import acknowledgements, attachments, deliveries, messages
from helpdesk.models.sla import escalations, sla_clocks
from helpdesk.models.social import inbound_media
from helpdesk.services import blobs, clock_rows, events, foreseen, intake, media, rows
from helpdesk.services.blobs import Staged
from helpdesk.services.foreseen import Filed
from helpdesk.services.house import Services
from helpdesk.services.intake import Arrival
from helpdesk.services.keys import Keys
from helpdesk.services.lookups import Known
from helpdesk.statements import Row, next_numbers
from helpdesk.writes import VERSION, Holding, Insert, NotHeld, Part, Update, write

_CHANGEABLE = [
    "id",
    "status",
    "seq",
    "message_count",
    "version",
    "last_incoming_seq",
    "preview",
    "last_message_direction",
    "last_activity_at",
    "updated_at",
    "waiting_since",
    "next_due_at",
    "due_soon_at",
    "sla_paused",
    "status_changed_at",
    "snoozed_until",
    "spam",
    "channel",
    "inbox_id",
    "contact_handle",
    "language",
]


class ClaimLost(Exception):
    """Another worker has the raw item by now. Nothing of the batch may be kept."""


@dataclass(slots=True)
class Drafts:
    """Rows by table, and what follows from them.

    `new` and `changed` are conversations by id, `files` the attachments of messages with the owner of their blobs,
    `handed_over` blobs with their new owners, `filed` the messages that subscribers may want to see beforehand.
    Raw items end `settled`, or were not stored before and have `arrived`.
    """

    services: Services
    session: AsyncSession
    keys: Keys
    inbox: Row
    known: Known
    arrival: Arrival | None
    now: datetime
    contacts: list[dict[str, Any]] = field(default_factory=list)
    identities: list[dict[str, Any]] = field(default_factory=list)
    new: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    changed: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    participants: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    files: list[tuple[UUID, str, Admitted, Sequence[Staged]]] = field(default_factory=list)
    blobs: list[dict[str, Any]] = field(default_factory=list)
    handed_over: dict[UUID, str] = field(default_factory=dict)
    audit: list[dict[str, Any]] = field(default_factory=list)
    clocks: list[dict[str, Any]] = field(default_factory=list)
    clocks_changed: list[dict[str, Any]] = field(default_factory=list)
    events: list[DomainEvent] = field(default_factory=list)
    filed: list[Filed] = field(default_factory=list)
    settled: list[dict[str, Any]] = field(default_factory=list)
    arrived: list[dict[str, Any]] = field(default_factory=list)

    def add_clocks(self, found: clock_rows.Difference) -> None:
        self.clocks += found.new
        self.clocks_changed += found.changed
        self.events += found.events

    async def write(self, *, final: bool) -> None:
        """Everything at once, with the end of the raw items. `final`: nothing else is to be done in the transaction.

        Raises `ClaimLost` when one of the items was another's by now, and `NotHeld`.
        """
        session, now = self.session, self.now
        numbers = self.known.numbers
        if len(numbers) < len(self.new):
            numbers += await next_numbers(session, len(self.new) - len(numbers))
        for conversation, number in zip(self.new.values(), numbers, strict=False):
            conversation["number"] = number
            self.events.insert(0, self._created(conversation))
        work = self._foreseen()
        files, waiting = await self._adopted(), self._waiting()
        await blobs.hand_over(session, self.keys, self.handed_over)
        touched = {**self.new, **self.changed}
        inboxes = [{"conversation_id": one, "inbox_id": self.inbox["id"]} for one in touched]
        told = events.outbox(session, [events.row(event, now=now) for event in self.events + work.events])
        last = final and foreseen.is_all(session, told.rows, self.filed)
        *_, count, settled = await self._together(
            last,
            Insert(contacts, self.contacts),
            Insert(contact_identities, self.identities),
            Insert(conversations, list(self.new.values())),
            Update(conversations, [{name: one[name] for name in _CHANGEABLE} for one in self.changed.values()]),
            Insert(sla_clocks, self.clocks),
            Update(sla_clocks, self.clocks_changed, by=clock_rows.KEY),
            Insert(conversation_inboxes, inboxes, unless=("conversation_id", "inbox_id")),
            Insert(participants, self.participants, unless=("conversation_id", "channel", "handle")),
            Insert(conversation_links, self.links, unless=("conversation_id", "related_id", "kind")),
            *self.known.threads.parts(),
            Insert(messages, self.messages + work.messages),
            Insert(blob_rows, self.blobs),
            Insert(attachments, files),
            Insert(inbound_media, waiting),
            Insert(deliveries, work.deliveries),
            Insert(acknowledgements, work.acknowledgements),
            Insert(escalations, work.escalations),
            Insert(audit, self.audit),
            told,
            Update(raw_items, self.settled, by=("id", "claim"), still=(("state", RawState.RECEIVED.value),)),
        )
        if settled < len(self.settled):
            raise ClaimLost
        events.told(session, told, count)
        foreseen.done(session, told.rows, self.filed)
        for name in (*work.rings, *(["media"] if waiting else [])):
            ring(session, name)

    async def _together(self, last: bool, *parts: Part) -> list[int]:
        """Write the parts, without a transaction where it is the `last` that is done and all depends on one thing.

        That is the lease of the inbox from which items arrive, or the claim of a single item: the statement sees it.
        What visitors of a live channel say is no item.
        """
        if self.arrival:
            stored = Insert(raw_items, self.arrived), intake.advanced(self.inbox["id"], self.arrival.cursor)
            holding = [self.arrival.holding, *self._as_they_were()]
            return await write(self.session, *stored, *parts, holding=holding, last=last)
        if len(self.settled) != 1:
            return await write(self.session, *parts)
        (item,) = self.settled
        held = {"id": item["id"], "claim": item["claim"], "state": RawState.RECEIVED.value}
        try:
            return await write(self.session, *parts, holding=[Holding(raw_items, held, written=True)], last=last)
        except NotHeld:
            raise ClaimLost from None

    def _as_they_were(self) -> list[Holding]:
        """That nobody has changed the conversations since they were looked at, where that locked none of them."""
        versions = self.known.versions
        return [
            Holding(conversations, {"id": one, VERSION: versions[one]}, written=True)
            for one in self.changed
            if one in versions
        ]

    def _foreseen(self) -> foreseen.Work:
        how: dict[str, Any] = {"inbox": self.inbox, "automatic": self.known.sent_to, "now": self.now}
        return foreseen.work(self.services, self.session, self.filed, **how)

    def _created(self, conversation: Row) -> ConversationCreated:
        return ConversationCreated(
            conversation_id=conversation["id"],
            seq=0,
            number=conversation["number"],
            channel=conversation["channel"],
            inbox_id=conversation["inbox_id"],
            contact_id=conversation["contact_id"],
        )

    async def _adopted(self) -> list[dict[str, Any]]:
        """The rows of all attachments. Blobs belong to the contact who sent them."""
        files = [
            (message_id, file, owner, blob)
            for message_id, owner, message, staged in self.files
            for file, blob in zip(here(message.files), staged, strict=True)
        ]
        identifiers = await self._blobs_for([(owner, blob) for *_, owner, blob in files])
        return [
            rows.attachment(message_id, file, blob_id=blob_id, size=blob.size, now=self.now)
            for (message_id, file, _, blob), blob_id in zip(files, identifiers, strict=True)
        ]

    def _waiting(self) -> list[dict[str, Any]]:
        """The rows of files that are still with the vendor."""
        return [
            media.waiting(
                message_id,
                self.inbox["id"],
                source=file.source,
                filename=file.filename,
                content_type=file.content_type,
                now=self.now,
            )
            for message_id, _, message, _ in self.files
            for file in message.files
            if file.is_elsewhere
        ]

    async def _blobs_for(self, owned: Sequence[tuple[str, Staged]]) -> list[UUID]:
        """The ids of their blobs. What their owners do not hold yet is written with the rest."""
        made, wanted = blobs.made(self.services, self.keys, owned, now=self.now)
        new = {f"contact:{contact['id']}" for contact in self.contacts}
        old = [digest for digest, row in made.items() if row["key_owner"] not in new]
        held = await blobs.held(self.session, old) if old else {}
        self.blobs = [row for digest, row in made.items() if digest not in held]
        return [held.get(digest) or made[digest]["id"] for digest in wanted]
