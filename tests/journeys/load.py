"""A small load of mails and replies, and the count at the end: nothing lost, nothing twice."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import count
from typing import Any

import httpx

from tests.journeys.mailbox import DovecotMailbox
from tests.journeys.mails import mail
from tests.journeys.sink import Sink
from tests.journeys.stack import PATIENCE, Stack

_serial = count(1)


class Load:
    """One inbox on a stack, what was written to it, and what was answered. Each mail has a customer of its own."""

    def __init__(self, stack: Stack, mailbox: DovecotMailbox, sink: Sink, **settings: Any) -> None:
        self.stack, self.mailbox, self.sink = stack, mailbox, sink
        self.address = f"desk{next(_serial)}@wallet.example"
        local = self.address.partition("@")[0]
        self.inbox_id = stack.post_inbox(
            local,
            address=self.address,
            receive="imap",
            imap_url=mailbox.url,
            smtp_url=sink.url,
            reply_address=f"{local}+{{token}}@wallet.example",
            **settings,
        )
        self.mails: list[str] = []
        self.replies: dict[str, str] = {}
        self._asked: list[tuple[str, str]] = []

    def read_once(self) -> None:
        """Wait until the mailbox has been read to its end: what comes from here on is new."""
        path = f"/inboxes/{self.inbox_id}"
        self.stack.until("the mailbox is read", lambda: self.stack.get(path)["last_success_at"])

    def write(self, number: int = 1, *, times: int = 1) -> list[str]:
        """So many mails, each delivered so often; their subjects."""
        subjects = [f"Payment {next(_serial)} of {self.address.partition('@')[0]}" for _ in range(number)]
        for subject in subjects:
            sender = f"customer{next(_serial)}@customer.example"
            body = mail(subject, sender=sender, to=self.address).as_bytes()
            for _ in range(times):
                self.mailbox.deliver(body)
        self.mails += subjects
        return subjects

    def conversations(self) -> dict[str, dict[str, Any]]:
        """By subject. A subject that is there twice is a mail that was filed twice."""
        found = self.stack.conversations(inbox_id=self.inbox_id)
        doubled = [subject for subject, times in Counter(one["subject"] for one in found).items() if times > 1]
        assert not doubled, f"filed twice: {doubled}"
        return {one["subject"]: one for one in found}

    def filed(self, *, seconds: float = PATIENCE) -> dict[str, dict[str, Any]]:
        """All conversations, once every mail is one."""

        def look() -> dict[str, dict[str, Any]] | None:
            found = self.conversations()
            return found if set(self.mails) <= set(found) else None

        return self.stack.until(f"{len(self.mails)} mails are filed", look, seconds=seconds)

    def answer(self, conversation: dict[str, Any]) -> None:
        """An agent's reply. When the connection dies of it, it is asked for again by `answer_again`."""
        asked = conversation["id"], f"Answer {next(_serial)}."
        self._asked.append(asked)
        with suppress(httpx.TransportError):
            self._ask(*asked)

    def answer_again(self) -> None:
        """Repeat what got no answer, under its key, as a client has to."""
        for asked in list(self._asked):
            self._ask(*asked)

    def _ask(self, conversation_id: str, text: str) -> None:
        sent = self.stack.reply(conversation_id, text, key=text)
        self.replies[sent["id"]] = conversation_id
        self._asked.remove((conversation_id, text))

    def outgoing(self) -> dict[str, dict[str, Any]]:
        """Everything that leaves, acknowledgements too, by message id."""
        return {
            message["id"]: message
            for conversation in self.conversations().values()
            for message in self.stack.messages(conversation["id"])
            if message["delivery"] is not None
        }

    def settled(self, *, seconds: float = PATIENCE) -> dict[str, dict[str, Any]]:
        """What leaves, once each conversation is acknowledged and nothing is on its way any more."""

        def look() -> dict[str, dict[str, Any]] | None:
            found = self.outgoing()
            going = [m for m in found.values() if m["delivery"]["status"] not in ("sent", "failed")]
            acknowledged = sum(m["auto_submitted"] is not None for m in found.values())
            missing = [m for m in self.replies if m not in found]
            return None if going or missing or acknowledged < len(self.mails) else found

        return self.stack.until("all has left", look, seconds=seconds)

    def begin_again(self) -> None:
        """Start what does the work, which is not running."""
        self.stack.start_one("worker" if self.stack.fleet else "up")

    def account(self, *, seconds: float = PATIENCE) -> None:
        """Each mail is one message, and each message that left came once.

        Twice, at most and byte for byte the same, only what was told to be uncertain.
        """
        self.answer_again()
        conversations = self.filed(seconds=seconds)
        assert set(conversations) == set(self.mails)
        for conversation in conversations.values():
            incoming = [m for m in self.stack.messages(conversation["id"]) if m["type"] == "incoming"]
            assert len(incoming) == 1, f"{conversation['subject']} holds {len(incoming)} mails"
        left = self.settled(seconds=seconds)
        assert {m["delivery"]["status"] for m in left.values()} == {"sent"}, left
        assert len(left) == len(self.mails) + len(self.replies)
        expected = {_bare(m["external_id"]) for m in left.values()}
        copies: dict[str, list[bytes]] = {}
        for message in self.sink.messages:
            copies.setdefault(_id_of(message.body), []).append(message.body)
        came = {one: bodies for one, bodies in copies.items() if one in expected}
        assert set(came) == expected, f"{len(expected - set(came))} never came\n{self.stack.logs()}"
        twice = {one: bodies for one, bodies in came.items() if len(bodies) > 1}
        uncertain = self._uncertain() if twice else set()
        for message in left.values():
            bodies = twice.get(_bare(message["external_id"]), [])
            assert not bodies or message["id"] in uncertain, f"it came twice without a doubt\n{self.stack.logs()}"
            assert len(bodies) in (0, 2), f"it came {len(bodies)} times"
            assert len(set(bodies)) < 2, "what is sent again has to be the same bytes"

    def _uncertain(self) -> set[str]:
        """The messages whose doubt was told."""
        return {
            event["data"]["message_id"]
            for conversation in self.conversations().values()
            for event in self.stack.every(f"/conversations/{conversation['id']}/events")
            if event["type"] == "message.uncertain"
        }

    def shown(self, status: str, *, seconds: float = PATIENCE) -> None:
        """Wait until some message that leaves is shown in this state."""
        self.stack.until(
            f"a message is {status}",
            lambda: [m for m in self.outgoing().values() if m["delivery"]["status"] == status],
            seconds=seconds,
        )


def _bare(message_id: str) -> str:
    return message_id.strip("<>")


def _id_of(body: bytes) -> str:
    for line in body.split(b"\r\n\r\n", 1)[0].split(b"\r\n"):
        if line.lower().startswith(b"message-id:"):
            found = line.split(b":", 1)[1].strip()
            if found:
                return _bare(found.decode())
    folded = body.split(b"\r\n\r\n", 1)[0].replace(b"\r\n ", b" ").lower()
    at = folded.find(b"message-id:")
    return _bare(folded[at:].split(b"\r\n")[0].split(b":", 1)[1].strip().decode())
