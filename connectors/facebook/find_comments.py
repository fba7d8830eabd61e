"""Reads back whether an answer under a post arrived, when nobody said so.

The vendor keeps no token of ours on a comment, so it is known by its text, its author, its time and what it hangs
under. An answer to an answer is hung beside that one by the vendor: under the same comment there may be one of the
same words for somebody else, and then only a person can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from connectors.facebook.comments import ANSWER, PERMISSION, prefix_of, receipt
from connectors.facebook.config import MetaConfig
from connectors.facebook.graph import Graph
from connectors.facebook.values import identity, plain
from helpdesk.channels import Composed, Receipt, TargetGone, Uncertain
from helpdesk.clock import now

PAGES: Final = 10
_FIELDS: Final = {
    "facebook": "id,message,from,created_time",
    "instagram": "id,text,from,user,timestamp",
}
_PARENT: Final = {"facebook": "parent{id}", "instagram": "parent_id"}
_EARLIER: Final = timedelta(seconds=60)
"""By how much a comment may seem older than what it was made of: clocks differ, and seconds are cut."""


async def find(graph: Graph, config: MetaConfig, composed: Composed, body: Mapping[str, Any]) -> Receipt | None:
    """None: it is surely not there. Raises Uncertain where that cannot be told, or another ChannelError."""
    if body["kind"] == "mention":
        raise Uncertain("What answers a mention cannot be looked up")
    try:
        if body["kind"] == "private_reply":
            return await _find_private(graph, config, composed, body)
        return await _find_public(graph, composed, body)
    except TargetGone:
        raise Uncertain("What was answered is not there any more, and answers are gone with it") from None


async def _find_public(graph: Graph, composed: Composed, body: Mapping[str, Any]) -> Receipt | None:
    platform, target = body["platform"], body["target"]
    parent = "" if target == body["post"] else await _parent(graph, platform, target)
    found = await _ours(graph, composed, body, parent or target)
    if found is not None and parent:
        raise Uncertain("An answer with these words is there, and may be one to somebody else")
    return receipt(composed, platform, found) if found else None


async def _parent(graph: Graph, platform: str, target: str) -> str:
    """The comment that the vendor hangs answers to this one under, or empty where it takes answers itself."""
    answer = await graph.get(target, {"fields": f"id,{_PARENT[platform]}"}, permission=PERMISSION[platform])
    given = answer.get("parent") if platform == "facebook" else {"id": answer.get("parent_id")}
    found = given.get("id") if isinstance(given, dict) else None
    return identity(found) if found else ""


async def _ours(graph: Graph, composed: Composed, body: Mapping[str, Any], below: str) -> str | None:
    """The id of the comment of ours below `below` that says the same and is not older than the message.

    Raises Uncertain where there are too many to read, or one with the same words whose author is not told.
    """
    platform, text = body["platform"], plain(body["text"])
    params = {"fields": _FIELDS[platform], "limit": "100"}
    if platform == "facebook":
        params["order"] = "reverse_chronological"
    path, read, strangers = f"{below}/{ANSWER[platform]}", 0, False
    async for page in graph.pages(path, params, limit=PAGES, permission=PERMISSION[platform]):
        read += 1
        since = datetime.fromisoformat(body["created_at"]) - _EARLIER + graph.ahead
        same = [one for one in page if plain(one.get("message") or one.get("text")) == text and _at(one) >= since]
        ours = [one for one in same if composed.sender in _by(one)]
        if ours:
            return identity(max(ours, key=_at).get("id"))
        strangers = strangers or bool(same)
        if not page or (platform == "facebook" and _at(page[-1]) < since):
            read = 0
            break
    if strangers or read == PAGES:
        raise Uncertain("There are answers of which it cannot be told whose they are")
    return None


async def _find_private(
    graph: Graph, config: MetaConfig, composed: Composed, body: Mapping[str, Any]
) -> Receipt | None:
    """The vendor takes one for each comment; where it names the conversation, it is looked at there."""
    if body["platform"] != "facebook":
        raise Uncertain("Whether a comment was answered privately cannot be looked up")
    answer = await graph.get(
        body["target"], {"fields": "id,private_reply_conversation{id}"}, permission="pages_read_engagement"
    )
    given = answer.get("private_reply_conversation")
    if not isinstance(given, dict):
        return None
    params = {"fields": "id,message,from,to,created_time", "limit": "25"}
    async for page in graph.pages(f"{identity(given.get('id'))}/messages", params, limit=1):
        for one in page:
            if config.page_id in _by(one) and plain(one.get("message")) == plain(body["text"]):
                thread = f"dm:{prefix_of(composed)}{_whom(one)}" if _whom(one) else ""
                return Receipt(identity(one.get("id")), now(), composed.recipients, thread=thread)
    raise Uncertain("The comment was answered privately, but not in these words")


def _by(one: Mapping[str, Any]) -> set[str]:
    """The ids of whoever wrote it: Instagram tells our own account's as `user`."""
    return {str(who.get("id")) for who in (one.get("from"), one.get("user")) if isinstance(who, dict)}


def _whom(one: Mapping[str, Any]) -> str:
    given = one.get("to")
    people = given.get("data") if isinstance(given, dict) else None
    return str(people[0]["id"]) if people else ""


def _at(one: Mapping[str, Any]) -> datetime:
    """Raises Uncertain for a comment without a time: it may be the one."""
    try:
        return datetime.fromisoformat(str(one.get("created_time") or one.get("timestamp")))
    except ValueError:
        raise Uncertain("The vendor shows an answer without a time") from None
