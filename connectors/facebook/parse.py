"""Items of webhooks become messages and changes: of the account that the inbox is for, and of no other.

In an inbox of a Page, people of Instagram have `instagram:` before their ids: the two count for themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.facebook import events, parse_comments, parse_messages
from connectors.facebook.events import Item
from connectors.facebook.values import INSTAGRAM, identity, part, text
from helpdesk.channels import ChangeKind, Inbound, InboundChange, RawInbound, Unreadable


def page(raw: RawInbound, config: Mapping[str, Any]) -> Inbound:
    """Of an inbox of a Page, which may take its Instagram account's as well."""
    item = _item(raw)
    if item["object"] == "instagram" and _is_ours(item, config.get("instagram_id")):
        return _read(item, config, prefix=INSTAGRAM)
    if item["object"] == "page" and _is_ours(item, config.get("page_id")):
        return _read(item, config)
    return _not_ours(item)


def instagram(raw: RawInbound, config: Mapping[str, Any]) -> Inbound:
    """Of an inbox of an Instagram account."""
    item = _item(raw)
    if item["object"] == "instagram" and _is_ours(item, config.get("instagram_id")):
        return _read(item, config)
    return _not_ours(item)


def _item(raw: RawInbound) -> Item:
    try:
        found = json.loads(raw.body)
    except (ValueError, RecursionError):
        raise Unreadable("what the vendor posted is no JSON") from None
    if not isinstance(found, dict) or not found.keys() >= {"object", "entry", "list", "event"}:
        raise Unreadable("what the vendor posted has none of the known shapes")
    return found


def _is_ours(item: Item, account: object) -> bool:
    return bool(account) and item["entry"] == account


def _not_ours(item: Item) -> InboundChange:
    why = "unknown_account" if item["object"] in ("page", "instagram") else "unknown_kind"
    return InboundChange(ChangeKind.NOTHING, why=why)


def _read(item: Item, config: Mapping[str, Any], *, prefix: str = "") -> Inbound:
    if (event := events.message_event(item)) is not None:
        return parse_messages.parse(item, event, prefix=prefix)
    if item["list"] == "changes":
        return parse_comments.parse(item, config, prefix=prefix)
    if item["list"] == "people":
        who = part(item, "event")
        return InboundChange(ChangeKind.NAMED, handle=prefix + identity(who.get("id")), text=text(who.get("name")))
    return InboundChange(ChangeKind.NOTHING, why="unknown_kind")
