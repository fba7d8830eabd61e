"""A made-up channel for tests of the core: a wall on which people write, to everybody or to us.

Items are JSON with the fields of an `InboundMessage`, or of an `InboundChange` where there is a `kind`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from helpdesk.channels import (
    Address,
    Authentication,
    Capabilities,
    ChangeKind,
    Channel,
    ChannelError,
    Composed,
    Host,
    House,
    Inbound,
    InboundAttachment,
    InboundChange,
    InboundMessage,
    Length,
    OutboundMessage,
    Post,
    Profile,
    RawInbound,
    Receipt,
    Uncertain,
    Unreadable,
)
from helpdesk.clock import now
from helpdesk.services.house import Services


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = ""
    limit: int = 100


class State:
    """What all walls of a test share: what was sent, and how the vendor behaves."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        """By external id, in order."""
        self.hidden: dict[str, bool] = {}
        self.cut_after_accepting = False
        self.cannot_look: Exception | None = None
        self.refusal: ChannelError | None = None
        self.says_the_same = False
        """It gives no token back: what was sent is found by its words."""
        self.thread = ""
        """Where answers to what is sent will come in."""
        self.media: dict[str, bytes | ChannelError] = {}
        """What `fetch` gives for a source, or raises."""
        self.own = Profile("us", "wallet", "Wallet")

    def refuse(self, error: ChannelError | None) -> None:
        self.refusal = error


WALL = State()


class Wall:
    """The connector of one inbox."""

    def __init__(self, config: BaseModel, house: House) -> None:
        self._inbox_id = house.inbox_id

    async def run(self, host: Host) -> None:
        await asyncio.Event().wait()

    def compose(self, message: OutboundMessage) -> Composed:
        target = message.in_reply_to or (message.to[0].handle if message.to else "")
        body = {"kind": message.visibility, "target": target, "text": message.text, "token": message.client_token}
        recipients = tuple(person.handle for person in message.to)
        return Composed("", json.dumps(body, sort_keys=True).encode(), "us", recipients)

    async def send(self, message: OutboundMessage | Composed, *, at_final: Callable[[], Awaitable[None]]) -> Receipt:
        assert isinstance(message, Composed)
        if WALL.refusal is not None:
            raise WALL.refusal
        await at_final()
        external_id = f"wall-{len(WALL.sent) + 1}"
        WALL.sent.append((external_id, json.loads(message.body)))
        if WALL.cut_after_accepting:
            raise Uncertain("the connection died")
        return self._receipt(external_id, message)

    async def find_sent(self, message: Composed) -> Receipt | None:
        if WALL.cannot_look is not None:
            raise WALL.cannot_look
        wanted = json.loads(message.body)
        same = [
            key for key, body in WALL.sent if body == wanted or (WALL.says_the_same and _said(body) == _said(wanted))
        ]
        return self._receipt(same[0], message) if same else None

    async def hide(self, external_id: str, *, hidden: bool) -> None:
        if WALL.refusal is not None:
            raise WALL.refusal
        WALL.hidden[external_id] = hidden

    async def fetch(self, source: str, *, max_bytes: int) -> bytes:
        found = WALL.media[source]
        if isinstance(found, ChannelError):
            raise found
        return found

    async def profile(self) -> Profile:
        return WALL.own

    def _receipt(self, external_id: str, message: Composed) -> Receipt:
        url = f"https://wall.test/{external_id}"
        return Receipt(external_id, now(), message.recipients, external_url=url, thread=WALL.thread)


def _said(body: Mapping[str, Any]) -> tuple[str, str]:
    return body["target"], body["text"]


def parse(raw: RawInbound, config: Mapping[str, Any]) -> Inbound:
    try:
        given = dict(json.loads(raw.body))
        if "kind" in given:
            at = given.pop("at", None)
            kind = ChangeKind(given.pop("kind"))
            return InboundChange(kind, at=datetime.fromisoformat(at) if at else None, **given)
        made = {"post": Post, "profile": Profile, "sender": Address, "recipient": Address}
        given |= {name: made[name](**given[name]) for name in made if given.get(name)}
        given["attachments"] = tuple(InboundAttachment(body=b"", **one) for one in given.get("attachments", ()))
        given.setdefault("new_text", given["text"])
        return InboundMessage(**given, authentication=Authentication.PASS)
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable("unreadable") from error


def measure(text: str, visibility: str, config: Mapping[str, Any]) -> Length:
    return Length(len(text), int(config.get("limit", 100)) if visibility == "public" else 1000)


CHANNEL = Channel(
    name="wall",
    title="Wall",
    capabilities=Capabilities(
        attachments=True,
        public_replies=True,
        chains=True,
        hide=True,
        reply_window=timedelta(hours=24),
        private_reply_window=timedelta(days=7),
    ),
    config="tests.social.vendor:Config",
    connector="tests.social.vendor:Wall",
    parse="tests.social.vendor:parse",
    address_key="name",
    measure="tests.social.vendor:measure",
)


def with_wall(services: Services) -> Services:
    """The same services with this channel, which is empty."""
    WALL.__init__()  # type: ignore[misc]
    return replace(services, channels={**services.channels, CHANNEL.name: CHANNEL})
