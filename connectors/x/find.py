"""Whether a post or message whose answer was lost is there: ours, with the same text, below the same post."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors.x import items
from connectors.x.client import Client
from connectors.x.compose import opened
from connectors.x.ids import identifier, identifier_or_empty
from connectors.x.parse_v2 import text_of
from connectors.x.profile import moment
from helpdesk.channels import Composed, Receipt, Uncertain
from helpdesk.clock import now

CLOCKS = timedelta(seconds=60)
"""How far the vendor's clock may be behind ours."""
_LEADING = re.compile(r"(?:@\w{1,15}\s+)+")
_SCHEME = re.compile(r"https?://(?:www\.)?|/(?=\s|$)", re.IGNORECASE)
MOST_PAGES = 10
PAGE = 100


async def find(client: Client, own: str, username: str, message: Composed) -> Receipt | None:
    """None where it surely is not. Raises Uncertain where there is too much to look through, and ChannelErrors."""
    wanted = opened(message)
    begun = datetime.fromisoformat(wanted["created_at"]) - CLOCKS
    token: str | None = None
    for _ in range(MOST_PAGES):
        page = await _page(client, own, wanted, token)
        for one in items.entries(page):
            if _is(one, wanted, own, begun):
                return receipt(message, identifier(one["id"]), username, sent_at=moment(one["created_at"]) or now())
        times = [moment(one.get("created_at")) for one in items.entries(page)]
        token = items.more(page) or None
        if not token or any(at is not None and at < begun for at in times):
            return None
    raise Uncertain("there is too much to look through")


async def _page(client: Client, own: str, wanted: Mapping[str, Any], token: str | None) -> dict[str, Any]:
    if wanted["kind"] == "post":
        fields: dict[str, Any] = {
            "tweet_fields": ["author_id", "created_at", "entities", "note_tweet", "referenced_tweets"]
        }
        since = wanted["target"]
        return await client.call(
            "get_users_tweets", own, since_id=since, max_results=PAGE, pagination_token=token, **fields
        )
    fields = {"dm_event_fields": ["attachments", "created_at", "entities", "event_type", "sender_id", "text"]}
    return await client.call(
        "get_direct_message_events",
        participant_id=wanted["target"],
        max_results=PAGE,
        pagination_token=token,
        **fields,
    )


def _is(one: Mapping[str, Any], wanted: Mapping[str, Any], own: str, begun: datetime) -> bool:
    at = moment(one.get("created_at"))
    if at is None or at < begun or not identifier_or_empty(one.get("id")):
        return False
    if not _same(one, wanted):
        return False
    if wanted["kind"] == "dm":
        return identifier_or_empty(one.get("sender_id")) == own
    references = one.get("referenced_tweets")
    return any(
        isinstance(ref, dict)
        and ref.get("type") == "replied_to"
        and identifier_or_empty(ref.get("id")) == wanted["target"]
        for ref in (references if isinstance(references, list) else [])
    )


def _same(one: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return _bare(text_of(one, attached=bool(wanted["media"]))) == _bare(wanted["text"])


def _bare(text: str) -> str:
    """Without what the vendor adds or changes: whom an answer is for, how a link is written, how spaces are."""
    whole = unicodedata.normalize("NFC", text).strip()
    return " ".join(_SCHEME.sub("", _LEADING.sub("", whole, count=1) if _LEADING.match(whole) else whole).split())


def receipt(message: Composed, number: str, username: str, *, sent_at: datetime) -> Receipt:
    """Answers to a post name it, and not always the post at the top; those to a message come in by whom it is for."""
    wanted = opened(message)
    public = wanted["kind"] == "post"
    return Receipt(
        number,
        sent_at,
        accepted=message.recipients,
        external_url=f"https://x.com/{username or 'i'}/status/{number}" if public else "",
        thread=f"post:{number}" if public else f"dm:{wanted['target']}",
    )
