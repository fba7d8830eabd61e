"""Where each message of a batch belongs, and what it changes there. Nothing is written before all are decided on.

Messages of a batch see what the ones before them did (a new contact, a raised `seq`), since they share the drafts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Bounce
from helpdesk.db import new_id
from helpdesk.domain.admission import Admitted
from helpdesk.domain.clocks import OVER, Clock
from helpdesk.domain.events import (
    ContactCreated,
    ConversationStatusChanged,
    ConversationUpdated,
    MessageReceived,
)
from helpdesk.domain.matching import Candidate, Facts, Placement, place
from helpdesk.domain.values import REOPENED, SYSTEM, LinkKind, RawState, Status
from helpdesk.services import blobs, former, rows, sla, spam
from helpdesk.services.drafts import Drafts
from helpdesk.services.filed_clocks import FiledClocks, matters
from helpdesk.services.foreseen import Filed
from helpdesk.services.house import Services
from helpdesk.services.intake import Arrival
from helpdesk.services.keys import Keys
from helpdesk.services.lookups import FLOOD, Held, Known, KnownContact
from helpdesk.services.promises import Book
from helpdesk.services.reader import Failure
from helpdesk.statements import Row
from helpdesk.writes import NotHeld


@dataclass(frozen=True, slots=True)
class BounceNotice:
    """A bounce and the outgoing message that it is about."""

    bounce: Bounce
    original: Row


async def begin(
    services: Services,
    session: AsyncSession,
    keys: Keys,
    inbox: Row,
    known: Known,
    *,
    earliest: datetime,
    arrival: Arrival | None = None,
    now: datetime,
) -> Batch:
    """A batch of messages of one inbox, the first of which was received at `earliest`."""
    touched = [one["id"] for one in known.conversations.values() if matters(one, earliest) or known.shuns(one)]
    # Without a lock their clocks cannot be changed, and an arrival that would have to is refused.
    clocks = {} if known.versions else await sla.clocks_of(services, session, touched)
    book = await services.promises.book(session)
    return Batch(services, session, keys, inbox, known, book=book, clocks=clocks, arrival=arrival, now=now)


class Batch:
    """Decide for each message with `add`, then `write` once.

    `clocks` are those of the conversations at hand for which a message may mean something (`matters`).
    """

    def __init__(
        self,
        services: Services,
        session: AsyncSession,
        keys: Keys,
        inbox: Row,
        known: Known,
        *,
        book: Book,
        clocks: Mapping[UUID, Sequence[Clock]],
        arrival: Arrival | None = None,
        now: datetime,
    ) -> None:
        self._keys, self._inbox, self._known, self._now = keys, inbox, known, now
        self._continued_within = timedelta(days=services.settings.continue_days)
        self._clocks = FiledClocks(book, inbox, clocks, now=now)
        self._drafts = Drafts(services, session, keys, inbox, known, arrival, now)
        self.bounces: list[BounceNotice] = []

    def add(self, raw: Row, message: Admitted, staged: Sequence[blobs.Staged]) -> None:
        """Place one message. Duplicates and our own mail end here."""
        if (same := self._duplicate_of(raw, message)) is not None:
            self._settle(raw, RawState.DUPLICATE, message_id=same, error="")
            return
        if message.external_id in self._known.outgoing and message.bounce is None:
            own = self._known.outgoing[message.external_id]
            self._settle(raw, RawState.OWN, message_id=own["id"], error="own_message")
            return
        original = self._bounced(message)
        placement = self._placement(raw, message, original)
        contact = self._contact(message, placement, original)
        conversation = self._conversation(raw, message, placement, contact, original)
        message_id = self._write_message(raw, message, staged, placement, contact, conversation)
        if message.thread and placement.identifies and not placement.private and conversation["id"] != contact.flood:
            self._known.threads.lead(message, conversation["id"], now=self._now)
        self._remember(raw, message, message_id, conversation)
        self._settle(raw, RawState.FILED, message_id=message_id, owner=f"contact:{contact.contact_id}", error="")
        if original is not None and message.bounce is not None:
            self.bounces.append(BounceNotice(message.bounce, original))

    def add_said(self, message: Admitted, placement: Placement, *, files: int) -> tuple[Row, Row]:
        """What a visitor of a live channel says at this moment, for which there is no raw item.

        Its `files` are here already, and are put into it afterwards. Answers the conversation and the message.
        """
        said: dict[str, Any] = {"received_at": self._now, "backfilled": False, "hints": {}}
        contact = self._contact(message, placement, None)
        conversation = self._conversation(said, message, placement, contact, None)
        self._write_message(said, message, (), placement, contact, conversation)
        written = self._drafts.messages[-1]
        written["attachment_count"] = files
        return conversation, written

    def add_unreadable(self, raw: Row, failure: Failure) -> None:
        """A visible entry for what could not be read. It waits like any other mail: a person may be behind it."""
        contact = self._new_contact("", handle=str(raw["hints"].get("mail_from") or ""), identity=False)
        conversation = self._open(raw, contact, handle="", subject="", preview="", language="", quarantined=False)
        conversation["seq"] = conversation["message_count"] = conversation["last_incoming_seq"] = 1
        message_id = new_id()
        self._drafts.messages.append(
            rows.unreadable(message_id, conversation, raw, contact_id=contact.contact_id, reason=failure.reason)
            | {"created_at": self._now}
        )
        self._wait(conversation, raw)
        self._received(conversation, message_id, first=True, silent=True)
        self._drafts.filed.append(Filed(conversation, self._drafts.messages[-1], first=True, silent=True))
        self._settle(
            raw, RawState.FAILED, message_id=message_id, error=failure.reason, owner=f"contact:{contact.contact_id}"
        )

    # -- decisions --------------------------------------------------------------------------------------------------

    def _duplicate_of(self, raw: Row, message: Admitted) -> UUID | None:
        """The message that this one repeats, if any: the same bytes, or the same id with the same content."""
        held = self._known.digests.get(raw["digest"])
        if held is not None:
            return held
        # Where the vendor vouches for ids, one is one message, however it is described: by a webhook or when asked for.
        same = self._known.incoming.get(message.external_id, ()) if message.thread else self._same(message)
        return next((one.message_id for one in same if one.inbox_id == self._inbox["id"]), None)

    def _same(self, message: Admitted) -> list[Held]:
        """What we hold under the same id with the same content, in this inbox or another."""
        held = self._known.incoming.get(message.external_id, ())
        return [one for one in held if one.content_digest == message.content_digest]

    def _bounced(self, message: Admitted) -> Row | None:
        """Our message that a bounce is about. Its id is signed, so that only those it was sent to can know it."""
        if message.bounce is None:
            return None
        return next((found for i in message.bounce.original_ids if (found := self._known.outgoing.get(i))), None)

    def _placement(self, raw: Row, message: Admitted, original: Row | None) -> Placement:
        if original is not None:
            home = self._known.home(original["conversation_id"])
            return Placement(join=home, identifies=False, private=True, reasons=("bounce",))
        return place(
            Facts(
                sender=message.sender.handle.lower(),
                authentication=message.authentication,
                suspect=message.suspect,
                tokens=self._known.facts(message),
                colleague_sees=self._known.agents.get(message.sender.handle.lower()),
                **self._thread(raw, message),
            )
        )

    def _thread(self, raw: Row, message: Admitted) -> dict[str, Any]:
        """What matching wants to know of the author's thread: it may have been begun in this very batch."""
        if not message.thread:
            return {}
        begun = self._drafts.new.get(self._known.threads.place_of(message) or UUID(int=0))
        if begun is not None:
            there = Candidate(begun["id"], begun["status"], frozenset({message.sender.handle.lower()}))
            return {"thread": there}
        led = self._known.led(message)
        if led is None:
            return {}
        written = raw["received_at"] if raw["backfilled"] else self._now
        last = self._known.conversations[led.conversation_id]["last_activity_at"]
        return {"thread": led, "resting": last < written - self._continued_within}

    def _contact(self, message: Admitted, placement: Placement, original: Row | None) -> KnownContact:
        if original is not None and original["id"] in self._known.owners:
            # A bounce repeats what was written to him: erasing him must take it along.
            owner = self._known.owners[original["id"]]
            return KnownContact(UUID(owner.removeprefix("contact:")), message.sender.name)
        handle = message.sender.handle.lower()
        found = self._known.contacts.get(handle)
        if found is None:
            found = self._new_contact(message.sender.name, handle=handle, identity=placement.identifies)
            if placement.identifies and handle:
                self._known.contacts[handle] = found
        return found

    def _new_contact(self, name: str, *, handle: str, identity: bool) -> KnownContact:
        contact_id = new_id()
        sealed = self._keys.create(f"contact:{contact_id}")
        self._drafts.contacts.append(rows.contact(contact_id, name=name, sealed=sealed, now=self._now))
        if identity and handle:
            self._drafts.identities.append(
                rows.identity(contact_id, channel=self._inbox["channel"], handle=handle, display=name, now=self._now)
            )
        self._drafts.events.append(ContactCreated(contact_id=contact_id))
        return KnownContact(contact_id, name)

    def _conversation(
        self,
        raw: Row,
        message: Admitted,
        placement: Placement,
        contact: KnownContact,
        original: Row | None,
    ) -> dict[str, Any]:
        """The conversation's draft: the joined one's, or a new one's."""
        if placement.join is not None and placement.join in self._known.conversations:
            return self._change(placement.join)
        if placement.join is not None and placement.join in self._drafts.new:
            return self._drafts.new[placement.join]
        flooding = contact.started_lately >= FLOOD and not placement.private
        if flooding and contact.flood is not None:
            return self._drafts.new.get(contact.flood) or self._change(contact.flood)
        conversation = self._open(
            raw,
            contact,
            handle=message.sender.handle.lower(),
            subject=message.subject,
            preview=message.preview,
            language=message.language,
            quarantined=placement.quarantined or flooding,
        )
        if contact.blocked:
            conversation["spam"], conversation["status"] = True, Status.RESOLVED.value
        contact.started_lately += 1
        if flooding:
            contact.flood = conversation["id"]
        if placement.identifies and not placement.private and message.sender.handle:
            self._drafts.participants.append(
                rows.participant(conversation, message.sender, contact.contact_id, now=self._now)
            )
        links = list(placement.links)
        if original is not None and placement.join is not None:
            links.append((placement.join, LinkKind.MAY_BELONG_TO))
        links += [(same.conversation_id, LinkKind.SAME_MESSAGE) for same in self._same(message)]
        self._drafts.links += [
            {"conversation_id": conversation["id"], "related_id": other, "kind": kind.value, "created_at": self._now}
            for other, kind in dict.fromkeys(links)
        ]
        return conversation

    def _change(self, conversation_id: UUID) -> dict[str, Any]:
        draft = self._known.conversations[conversation_id]
        self._drafts.changed[conversation_id] = draft
        return draft

    def _open(
        self,
        raw: Row,
        contact: KnownContact,
        *,
        handle: str,
        subject: str,
        preview: str,
        language: str,
        quarantined: bool,
    ) -> dict[str, Any]:
        conversation = rows.conversation(
            new_id(),
            inbox=self._inbox,
            contact_id=contact.contact_id,
            handle=handle,
            subject=subject,
            preview=preview,
            language=language,
            quarantined=quarantined,
            activity=raw["received_at"] if raw["backfilled"] else self._now,
            now=self._now,
        )
        if raw["backfilled"]:
            conversation["created_at"] = raw["received_at"]
            if raw["hints"].get("over"):
                conversation["status"] = Status.RESOLVED.value
        self._drafts.new[conversation["id"]] = conversation
        return conversation

    # -- the message --------------------------------------------------------------------------------------------------

    def _write_message(
        self,
        raw: Row,
        message: Admitted,
        staged: Sequence[blobs.Staged],
        placement: Placement,
        contact: KnownContact,
        conversation: dict[str, Any],
    ) -> UUID:
        first = conversation["message_count"] == 0
        if contact.blocked and not placement.private:
            self._shun(conversation, contact)
        shunned = contact.blocked or conversation["spam"]
        automatic = message.automatic or raw["backfilled"] or message.suspect
        silent = bool(automatic or shunned or placement.private or placement.quarantined)
        conversation["seq"] += 1
        conversation["message_count"] += 1
        conversation["last_incoming_seq"] = conversation["seq"]
        message_id = new_id()
        reasons = list(placement.reasons)
        if any(held.inbox_id == self._inbox["id"] for held in self._known.incoming.get(message.external_id, ())):
            reasons.append("duplicate_message_id")
        if conversation["id"] == contact.flood:
            reasons.append("flood")
        if contact.blocked:
            reasons.append("blocked")
        self._drafts.messages.append(
            rows.incoming(
                message_id,
                message,
                conversation=conversation,
                inbox=self._inbox,
                raw=raw,
                contact_id=contact.contact_id,
                placement=placement,
                reasons=reasons,
                now=self._now,
            )
        )
        self._drafts.files.append((message_id, f"contact:{contact.contact_id}", message, staged))
        self._received(conversation, message_id, first=first, silent=silent)
        if not first or conversation["id"] in self._drafts.new:
            self._drafts.filed.append(Filed(conversation, self._drafts.messages[-1], first, silent))
        self._touch(conversation, raw, message, contact, silent=silent, private=placement.private)
        self._known.owners[message_id] = f"contact:{contact.contact_id}"
        self._drafts.audit += [self._security(action, conversation, message_id) for action in placement.security]
        return message_id

    def _touch(
        self,
        conversation: dict[str, Any],
        raw: Row,
        message: Admitted,
        contact: KnownContact,
        *,
        silent: bool,
        private: bool,
    ) -> None:
        """What the message changes in its conversation besides the counters."""
        conversation["updated_at"] = self._now
        if not raw["backfilled"]:
            conversation["last_activity_at"] = self._now
        conversation["last_message_direction"] = "incoming"
        conversation["preview"] = message.preview
        if not conversation["language"]:
            conversation["language"] = message.language
        if not private and contact.contact_id == conversation["contact_id"]:
            # Where the contact wrote last: there the next answer goes.
            conversation["channel"], conversation["inbox_id"] = self._inbox["channel"], self._inbox["id"]
            conversation["contact_handle"] = message.sender.handle.lower()
        if silent:
            return
        self._wait(conversation, raw)
        if conversation["status"] in REOPENED:
            before, conversation["status"] = conversation["status"], Status.OPEN.value
            conversation["snoozed_until"], conversation["status_changed_at"] = None, self._now
            conversation["version"] += 1
            conversation["seq"] += 1
            self._drafts.events.append(
                ConversationStatusChanged(
                    conversation_id=conversation["id"],
                    seq=conversation["seq"],
                    before=before,
                    after=Status.OPEN.value,
                    by="contact",
                )
            )

    def _shun(self, conversation: dict[str, Any], contact: KnownContact) -> None:
        """A matter of somebody who is blocked becomes spam when he writes again: as `services.spam` marks it.

        Raises `NotHeld` as `_wait` does. In somebody else's matter what he writes is silent, and no more.
        """
        if conversation["spam"] or contact.contact_id != conversation["contact_id"]:
            return
        if self._drafts.arrival and conversation["id"] in self._known.versions:
            raise NotHeld
        about = ("conversation", conversation["id"])
        noted = rows.audit_entry(spam.MARKED, by=SYSTEM, subject=about, now=self._now, **former.state_of(conversation))
        self._drafts.audit.append(noted)
        happened: dict[str, Any] = {"conversation_id": conversation["id"], "by": SYSTEM.kind.value}
        if conversation["status"] not in OVER:
            self._clocks.halt(conversation, self._now)
            conversation["seq"] += 1
            how = {"before": conversation["status"], "after": Status.RESOLVED.value, "seq": conversation["seq"]}
            self._drafts.events.append(ConversationStatusChanged(**happened, **how))
            conversation["status"], conversation["snoozed_until"] = Status.RESOLVED.value, None
            conversation["status_changed_at"] = self._now
        conversation["seq"] += 1
        conversation["version"] += 1
        conversation["spam"] = True
        changes = {"spam": [False, True]}
        self._drafts.events.append(ConversationUpdated(**happened, seq=conversation["seq"], changes=changes))

    def _wait(self, conversation: dict[str, Any], raw: Row) -> None:
        """Raises `NotHeld` for an arrival's conversation that was there before: clocks are changed under its lock."""
        if raw["backfilled"] or not matters(conversation, raw["received_at"]):
            return
        if self._drafts.arrival and conversation["id"] in self._known.versions:
            raise NotHeld
        self._clocks.wait(conversation, raw["received_at"])

    def _remember(self, raw: Row, message: Admitted, message_id: UUID, conversation: dict[str, Any]) -> None:
        self._known.digests[raw["digest"]] = message_id
        held = Held(message_id, conversation["id"], self._inbox["id"], message.content_digest)
        self._known.incoming.setdefault(message.external_id, []).append(held)

    def _received(self, conversation: dict[str, Any], message_id: UUID, *, first: bool, silent: bool) -> None:
        self._drafts.events.append(
            MessageReceived(
                conversation_id=conversation["id"],
                seq=conversation["seq"],
                message_id=message_id,
                inbox_id=self._inbox["id"],
                channel=self._inbox["channel"],
                first=first,
                silent=silent,
            )
        )

    def _security(self, action: str, conversation: dict[str, Any], message_id: UUID) -> dict[str, Any]:
        return rows.audit_entry(
            action, by=SYSTEM, subject=("conversation", conversation["id"]), now=self._now, message_id=str(message_id)
        )

    def _settle(self, raw: Row, state: RawState, *, message_id: UUID, error: str, owner: str = "") -> None:
        """Note the raw item's end. Its data key is handed over to `owner`, or to whose the message is that it repeats.

        Whoever was erased since has no key: then the data key ends here, and the bytes with it.
        """
        owner = owner or self._known.owners.get(message_id, "")
        place, before = f"raw:{raw['id']}", raw["key_owner"]
        data_key = self._keys.rewrap(raw["data_key"], owner=before, to=owner, row=place) if owner else b""
        owner = owner or before
        if raw["blob_id"] is not None and owner != raw["key_owner"]:
            self._drafts.handed_over[raw["blob_id"]] = owner
        end = {
            "id": raw["id"],
            "claim": raw["claim"],
            "state": state.value,
            "error": error,
            "message_id": message_id,
            "data_key": data_key,
            "key_owner": owner,
            "claimed_until": 0.0,
        }
        if self._drafts.arrival:
            self._drafts.arrived.append({**raw, **end})
        else:
            self._drafts.settled.append(end)

    async def write(self, *, last: bool = True) -> int:
        """Everything at once. Answers how many messages there are. Raises `ClaimLost` and `NotHeld`.

        `last`: nothing else is to be done in the transaction, but for what `bounces` ask for.
        """
        self._drafts.add_clocks(self._clocks.difference())
        await self._drafts.write(final=last and not self.bounces)
        return len(self._drafts.messages)
