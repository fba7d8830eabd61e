"""Reads back whether a private message arrived, when nobody said so.

The vendor shows the latest messages of a conversation, by text, author and time, and not the token that went along:
that comes with the echo, if a webhook brings it. The times are by its clock, whose distance from ours its answers tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from connectors.facebook.config import MetaConfig
from connectors.facebook.graph import Graph
from connectors.facebook.send import PERMISSION
from connectors.facebook.values import identity, moment, part, parts, plain
from helpdesk.channels import Composed, Receipt, Uncertain
from helpdesk.clock import now

SHOWN: Final = 20
"""Messages of a conversation that the vendor shows."""

_PLATFORM: Final = {"facebook": "messenger", "instagram": "instagram"}
_EARLIER: Final = timedelta(seconds=5)
"""By how much it may seem older than it is: seconds are cut off, and an answer takes its time."""


async def find(graph: Graph, config: MetaConfig, composed: Composed, body: Mapping[str, Any]) -> Receipt | None:
    """None: it is surely not there. Raises Uncertain where that cannot be told, or another ChannelError."""
    messages = await _latest(graph, config, body)
    since = datetime.fromisoformat(body["created_at"]) + graph.ahead - _EARLIER
    recent = [one for one in messages if _at(one) >= since]
    ours = [one for one in recent if str(part(one, "from").get("id")) != body["target"]]
    files = [one for one in ours if parts(part(one, "attachments"), "data") and not plain(one.get("message"))]
    text = plain(body["text"])
    said = [one for one in ours if text and plain(one.get("message")) == text]
    if (bool(said) or not text) and len(files) >= len(body["media"]):
        first = said or files
        return Receipt(identity(first[-1].get("id")), now(), composed.recipients)
    if said or (files and body["media"]):
        raise Uncertain("a part of the message is there")
    if len(messages) >= SHOWN and len(recent) == len(messages):
        raise Uncertain("so much was written since that it would not be shown any more")
    return None


async def _latest(graph: Graph, config: MetaConfig, body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The newest first."""
    answer = await graph.get(
        f"{config.page_id}/conversations",
        {
            "user_id": body["target"],
            "platform": _PLATFORM[body["platform"]],
            "fields": f"id,messages.limit({SHOWN}){{id,message,from,created_time,attachments}}",
        },
        permission=PERMISSION[body["platform"]],
    )
    conversations = parts(answer, "data")
    if not conversations:  # he has written to us, so there is one
        raise Uncertain("the conversation is not shown")
    return list(parts(part(conversations[0], "messages"), "data"))


def _at(one: Mapping[str, Any]) -> datetime:
    """Raises Uncertain: what has no time may be the one."""
    found = moment(one.get("created_time"))
    if found is None:
        raise Uncertain("a message is shown without its time")
    return found
