"""What a webhook did not bring: an outage, a subscription that the vendor switched off, an app that was not installed.

What is read becomes the items that webhooks would have brought, with the same positions, so that whatever came already
is stored once. Posts are read back as far as the newest `POSTS`; edits and deletions leave no trace to be read. Nothing
older than the inbox is taken.

The cursor is one time for each place, `{"feed": …, "messenger": …}`: up to when it was read through.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from connectors.facebook import events
from connectors.facebook.config import InstagramConfig, MetaConfig
from connectors.facebook.events import Item
from connectors.facebook.graph import Graph
from connectors.facebook.parse_comments import BY_VISITORS
from connectors.facebook.values import moment, part, parts, text
from helpdesk.channels import Host, PermissionMissing, RawInbound
from helpdesk.clock import now

POSTS: Final = 50
AT_ONCE: Final = 100
"""Items that are stored in one commit."""

PAGES: Final = 40
"""Lists behind one another that are read of one thing, at most."""

_OVERLAP: Final = timedelta(minutes=15)
"""What is read again: the vendor shows some things minutes after they happened."""

_COMMENT: Final = "id,message,from,created_time,parent{id},attachment,permalink_url"
_STREAM: Final = "comments.limit(50).filter(stream).order(reverse_chronological)"
_FEED: Final = f"id,message,from,created_time,permalink_url,status_type,{_STREAM}{{{_COMMENT}}}"
_ANSWER: Final = "id,text,from,username,timestamp"
_MEDIA: Final = f"id,timestamp,comments.limit(50){{{_ANSWER},replies.limit(50){{{_ANSWER}}}}}"
_MESSAGES: Final = "messages.limit(25){id,message,from,to,created_time,attachments}"

Reader = Callable[[Graph, MetaConfig, datetime], AsyncIterator[Item]]


async def reconcile(graph: Graph, config: MetaConfig, host: Host) -> None:
    """Read every place through since it was read last; one that the app may not read is left out.

    Raises a ChannelError. What was read before it is stored.
    """
    cursor = dict(await host.cursor())
    for place, read in _places(config).items():
        began = now()
        known = moment(cursor.get(place))
        if known is None:
            cursor[place] = began.isoformat()
            await host.accept([], cursor=cursor)
            continue
        try:
            rest = await _take(host, read(graph, config, known - _OVERLAP + graph.ahead))
        except PermissionMissing:
            continue
        cursor[place] = began.isoformat()
        await host.accept(rest, cursor=cursor)


async def _take(host: Host, items: AsyncIterator[Item]) -> list[RawInbound]:
    """Store them by and by; answers those that are left to be stored with the cursor."""
    batch: list[RawInbound] = []
    async for item in items:
        if len(batch) >= AT_ONCE:
            await host.accept(batch)
            batch = []
        batch.append(RawInbound(events.position(item), events.written(item), now()))
    return batch


def _places(config: MetaConfig) -> Mapping[str, Reader]:
    on_instagram: dict[str, Reader] = {"media": _media, "instagram": _instagram} if config.instagram_id else {}
    if isinstance(config, InstagramConfig):
        return on_instagram
    return {"feed": _feed, "messenger": _messenger, **on_instagram}


async def _feed(graph: Graph, config: MetaConfig, since: datetime) -> AsyncIterator[Item]:
    params = {"fields": _FEED, "limit": "10"}
    permission = "pages_read_user_content"
    async for page in graph.pages(f"{config.page_id}/feed", params, limit=POSTS // 10, permission=permission):
        for post in page:
            if _is_visitors(post, config) and _is_news(post, since):
                value = {"item": "status", "post_id": post.get("id"), "message": post.get("message")}
                yield _change(config.page_id, "page", "feed", _said(post, value))
            async for comment in _comments(graph, post, since):
                yield _change(config.page_id, "page", "feed", _comment(post, comment))


async def _comments(graph: Graph, post: Mapping[str, Any], since: datetime) -> AsyncIterator[Mapping[str, Any]]:
    """Those that are news, the newest first; the list in the post is its beginning."""
    shown = _below(post, "comments")
    for comment in shown:
        if _is_news(comment, since):
            yield comment
    if len(shown) < 50 or not _is_news(shown[-1], since):
        return
    params = {"fields": _COMMENT, "filter": "stream", "order": "reverse_chronological", "limit": "100"}
    async for page in graph.pages(f"{post.get('id')}/comments", params, limit=PAGES):
        for comment in page:
            if not _is_news(comment, since):
                return
            yield comment


def _comment(post: Mapping[str, Any], comment: Mapping[str, Any]) -> dict[str, Any]:
    parent = part(comment, "parent").get("id") or post.get("id")
    value = {"item": "comment", "comment_id": comment.get("id"), "post_id": post.get("id"), "parent_id": parent}
    shown = part(comment, "attachment")
    if shown:
        value["video" if "video" in text(shown.get("type")) else "photo"] = "there"
    return _said(post, value | {"message": comment.get("message")}, by=comment)


def _said(post: Mapping[str, Any], value: Mapping[str, Any], *, by: Mapping[str, Any] | None = None) -> dict[str, Any]:
    told = {"permalink_url": post.get("permalink_url"), "status_type": post.get("status_type")}
    return {**value, "verb": "add", "post": told, "from": (post if by is None else by).get("from")}


async def _media(graph: Graph, config: MetaConfig, since: datetime) -> AsyncIterator[Item]:
    params = {"fields": _MEDIA, "limit": "10"}
    permission = "instagram_manage_comments"
    async for page in graph.pages(f"{config.instagram_id}/media", params, limit=POSTS // 10, permission=permission):
        for post in page:
            for comment, parent in _answers(post):
                if _is_news(comment, since):
                    value = {"id": comment.get("id"), "text": comment.get("text"), "from": comment.get("from")}
                    value |= {"media": {"id": post.get("id")}, "parent_id": parent}
                    yield _change(config.instagram_id, "instagram", "comments", value)


def _answers(post: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], object]]:
    """Comments, and what answers them together with the id of what they answer."""
    for comment in _below(post, "comments"):
        yield comment, None
        for answer in _below(comment, "replies"):
            yield answer, comment.get("id")


def _messenger(graph: Graph, config: MetaConfig, since: datetime) -> AsyncIterator[Item]:
    return _messages(graph, config, since, platform="messenger")


def _instagram(graph: Graph, config: MetaConfig, since: datetime) -> AsyncIterator[Item]:
    return _messages(graph, config, since, platform="instagram")


async def _messages(graph: Graph, config: MetaConfig, since: datetime, *, platform: str) -> AsyncIterator[Item]:
    """Conversations, the last active first, and of each what is news."""
    object_, account = ("page", config.page_id) if platform == "messenger" else ("instagram", config.instagram_id)
    permission = "pages_messaging" if platform == "messenger" else "instagram_manage_messages"
    params = {"platform": platform, "fields": f"id,updated_time,{_MESSAGES}", "limit": "25"}
    async for page in graph.pages(f"{config.page_id}/conversations", params, limit=PAGES, permission=permission):
        for conversation in page:
            if not _is_news(conversation, since, name="updated_time"):
                return
            async for one in _of_conversation(graph, conversation, since):
                if _author(one) == account and not text(one.get("message")):
                    continue  # a file after a text of ours: without its token it would seem a message of its own
                event = _message(one, account)
                yield {"object": object_, "entry": account, "time": None, "list": "messaging", "event": event}


async def _of_conversation(
    graph: Graph, conversation: Mapping[str, Any], since: datetime
) -> AsyncIterator[Mapping[str, Any]]:
    shown = _below(conversation, "messages")
    for one in shown:
        if _is_news(one, since):
            yield one
    if len(shown) < 25 or not _is_news(shown[-1], since):
        return
    params = {"fields": _MESSAGES.partition("{")[2].rstrip("}"), "limit": "100"}
    async for page in graph.pages(f"{conversation.get('id')}/messages", params, limit=PAGES):
        for one in page:
            if not _is_news(one, since):
                return
            yield one


def _message(one: Mapping[str, Any], account: str) -> dict[str, Any]:
    author = _author(one)
    people = _below(one, "to")
    message: dict[str, Any] = {"mid": one.get("id"), "text": one.get("message")}
    if author == account:
        message["is_echo"] = True
    if files := _below(one, "attachments"):
        message["attachments"] = [{"type": _kind(file), "payload": {}} for file in files]
    return {
        "sender": {"id": author},
        "recipient": {"id": people[0].get("id") if people else None},
        "timestamp": one.get("created_time"),
        "message": message,
    }


def _kind(file: Mapping[str, Any]) -> str:
    kind = text(file.get("mime_type")).partition("/")[0]
    if "image_data" in file:
        return "image"
    return kind if kind in ("image", "video", "audio") else "video" if "video_data" in file else "file"


def _change(account: str, object_: str, field: str, value: Mapping[str, Any]) -> Item:
    event = {"field": field, "value": value}
    return {"object": object_, "entry": account, "time": None, "list": "changes", "event": event}


def _is_visitors(post: Mapping[str, Any], config: MetaConfig) -> bool:
    author = _author(post)
    return author != config.page_id if author else post.get("status_type") == BY_VISITORS


def _author(one: Mapping[str, Any]) -> str:
    """Empty where the app may not know."""
    found = part(one, "from").get("id")
    return str(found) if isinstance(found, str | int) else ""


def _is_news(one: Mapping[str, Any], since: datetime, *, name: str = "") -> bool:
    at = moment(one.get(name) if name else one.get("created_time") or one.get("timestamp"))
    return at is None or at >= since


def _below(one: Mapping[str, Any], edge: str) -> Sequence[Mapping[str, Any]]:
    return parts(part(one, edge), "data")
