"""What the API answers, as the raw items that are kept: each holds one post or message, and only what it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from connectors.x.ids import identifier_or_empty
from connectors.x.values import things
from helpdesk.channels import RawInbound

POST: dict[str, Any] = {
    "tweet_fields": [
        "attachments",
        "author_id",
        "conversation_id",
        "created_at",
        "entities",
        "in_reply_to_user_id",
        "lang",
        "note_tweet",
        "referenced_tweets",
    ],
    "expansions": ["author_id", "attachments.media_keys", "referenced_tweets.id"],
    "media_fields": ["alt_text", "media_key", "preview_image_url", "type", "url", "variants"],
    "user_fields": ["created_at", "name", "profile_image_url", "public_metrics", "username", "verified_type"],
}
MESSAGE: dict[str, Any] = {
    "dm_event_fields": [
        "attachments",
        "created_at",
        "dm_conversation_id",
        "entities",
        "event_type",
        "participant_ids",
        "referenced_tweets",
        "sender_id",
        "text",
    ],
    "expansions": ["sender_id", "attachments.media_keys"],
    "media_fields": POST["media_fields"],
    "user_fields": POST["user_fields"],
}


def entries(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a page lists. Whatever is no object there is nothing that could be kept."""
    data = page.get("data")
    return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []


def more(page: Mapping[str, Any]) -> str:
    """The token of the next page, if there is one."""
    meta = page.get("meta")
    return str(meta.get("next_token") or "") if isinstance(meta, dict) else ""


def of_page(kind: str, page: Mapping[str, Any], *, own: str, at: datetime) -> list[RawInbound]:
    """`kind` is `post` or `dm`. An entry without a number is kept as well, to be shown as unreadable."""
    includes = page.get("includes")
    included = includes if isinstance(includes, dict) else {}
    return [item(kind, one, _named(one, included), own=own, at=at) for one in entries(page)]


def item(kind: str, data: Mapping[str, Any], includes: Mapping[str, Any], *, own: str, at: datetime) -> RawInbound:
    content = {"form": "v2", "kind": kind, "own": own, "data": data, "includes": includes}
    body = json.dumps(content, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
    number = identifier_or_empty(data.get("id"))
    prefix = {"post": "m", "dm": "dm", "deleted": "c;deleted"}[kind]
    return RawInbound(f"{prefix};{number}" if number else f"e;{sha256(body).hexdigest()}", body, at)


def _named(one: Mapping[str, Any], included: Mapping[str, Any]) -> dict[str, Any]:
    attachments = one.get("attachments")
    keys = attachments.get("media_keys") if isinstance(attachments, dict) else None
    referenced = things(one.get("referenced_tweets"))
    wanted = {
        "users": ("id", [one.get("author_id"), one.get("sender_id")]),
        "media": ("media_key", keys if isinstance(keys, list) else []),
        "tweets": ("id", [ref.get("id") for ref in referenced]),
    }
    found = {}
    for name, (key, values) in wanted.items():
        marks = set(map(_mark, values)) - {""}
        found[name] = [value for value in things(included.get(name)) if _mark(value.get(key)) in marks]
    return {name: some for name, some in found.items() if some}


def _mark(value: object) -> str:
    """A number or a key as a text, so that both spellings of a number are one; empty for anything else."""
    return str(value) if isinstance(value, str | int) else ""
