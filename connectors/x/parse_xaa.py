"""Events of X activity: posts and messages are as the API has them, so they are read as what was polled is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.x import parse_v2
from helpdesk.channels import ChangeKind, Inbound, InboundChange


def parse(item: Mapping[str, Any], config: Mapping[str, Any]) -> Inbound:
    """`item` is one of `envelopes`. Raises ValueError, KeyError or TypeError for what is no such item."""
    if item.get("stray"):
        return InboundChange(ChangeKind.NOTHING, why="unknown_account")
    if item.get("kind") not in ("post", "dm", "deleted"):
        return InboundChange(ChangeKind.NOTHING, why="unknown_kind")
    data = dict(item["data"])
    parent = data.pop("in_reply_to_tweet_id", None)
    if parent and not data.get("referenced_tweets"):
        data["referenced_tweets"] = [{"type": "replied_to", "id": parent}]
    return parse_v2.parse({**item, "form": "v2", "data": data}, config)
