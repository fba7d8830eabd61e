"""What is said under posts: the changes `feed` and `mention` of a Page, `comments` and `mentions` of Instagram.

An item is one change with what stood around it: `{"object", "entry", "time", "event": {"field", "value"}}`. One author
under one post is one conversation; what he wrote on the Page himself is a post that he is the first to speak under.
Nothing is asked of the vendor here: what a mention says, which comes with ids alone, is a file to be fetched later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectors.facebook.values import identity, moment, optional, part, text
from helpdesk.channels import (
    Address,
    Authentication,
    ChangeKind,
    Inbound,
    InboundAttachment,
    InboundChange,
    InboundMessage,
    Post,
    Profile,
    Unreadable,
)

PAGE_FIELDS: Final = frozenset({"feed", "mention"})
FIELDS: Final = PAGE_FIELDS | {"comments", "live_comments", "mentions"}

_POSTS: Final = frozenset({"post", "status", "photo", "video", "share", "link", "album", "note"})
_CHANGES: Final = {
    "edit": ChangeKind.EDITED,
    "edited": ChangeKind.EDITED,
    "remove": ChangeKind.DELETED,
    "delete": ChangeKind.DELETED,
    "hide": ChangeKind.HIDDEN,
    "unhide": ChangeKind.SHOWN,
}
BY_VISITORS: Final = "wall_post"
"""The `status_type` of what others wrote on a Page; its id begins with the Page's like that of the Page's own."""


def parse(item: Mapping[str, Any], config: Mapping[str, Any], *, prefix: str = "") -> Inbound:
    """One change as a message or as what became of one. `prefix` stands before ids of people.

    Raises Unreadable where an id is missing or none.
    """
    event = part(item, "event")
    value, field = part(event, "value"), text(event.get("field"))
    if field in PAGE_FIELDS:
        return _page(item, value, config, prefix)
    if field == "mentions":
        return _mention(value, prefix)
    if field in FIELDS:
        return _comment(value, config, prefix)
    return InboundChange(ChangeKind.NOTHING, why="unknown_kind")


def position(item: Mapping[str, Any]) -> str:
    """Where a change stands in its inbox, the same however it came; empty where only its own bytes can say that.

    A second deletion of one comment says nothing new, but it may be edited and hidden as often as anyone likes.
    """
    try:
        found = parse(item, {})
    except Unreadable:
        return ""
    if isinstance(found, InboundMessage):
        return f"m;{found.external_id}"
    return f"c;deleted;{found.external_id}" if found.kind == ChangeKind.DELETED else ""


def _page(item: Mapping[str, Any], value: Mapping[str, Any], config: Mapping[str, Any], prefix: str) -> Inbound:
    kind, verb = str(value.get("item", "")), str(value.get("verb", ""))
    if kind in ("reaction", "like"):
        return InboundChange(ChangeKind.NOTHING, why="reaction")
    if kind != "comment" and kind not in _POSTS:
        return InboundChange(ChangeKind.NOTHING, why="unknown_kind")
    post_id = identity(value.get("post_id"))
    external_id = identity(value.get("comment_id")) if kind == "comment" else post_id
    author = _page_author(value, prefix)
    ours = _is(author, config.get("page_id"), prefix)
    if ours and kind != "comment":
        return InboundChange(ChangeKind.NOTHING, why="own_post")
    if verb in _CHANGES:
        return InboundChange(
            _CHANGES[verb],
            external_id=external_id,
            thread=f"post:{post_id}",
            handle=author.handle,
            text=text(value.get("message")),
            at=moment(item.get("time")) or moment(value.get("created_time")),
        )
    if verb != "add":
        return InboundChange(ChangeKind.NOTHING, why="unknown_kind")
    parent = optional(value.get("parent_id"))
    return _message(
        external_id,
        author,
        prefix,
        text=_page_text(value, kind),
        # Under his own post he answers nobody; we do.
        in_reply_to=parent if ours or parent != post_id else "",
        attachments=_page_files(value, kind, external_id),
        external_url=f"https://www.facebook.com/{external_id}",
        thread=f"post:{post_id}",
        post=_page_post(value, kind, post_id, config),
        profile=Profile(author.handle, "", author.name) if author.handle and not ours else None,
        written_by_us=ours,
    )


def _page_author(value: Mapping[str, Any], prefix: str) -> Address:
    """Who wrote it; without a handle where the app may not know."""
    given = part(value, "from")
    found = optional(given.get("id")) or optional(value.get("sender_id"))
    return Address(prefix + found if found else "", text(given.get("name") or value.get("sender_name")))


def _is(author: Address, own: object, prefix: str) -> bool:
    return bool(own) and author.handle == f"{prefix}{own}"


def _page_post(value: Mapping[str, Any], kind: str, post_id: str, config: Mapping[str, Any]) -> Post:
    given = part(value, "post")
    on_our_page = post_id.partition("_")[0] == config.get("page_id")
    return Post(
        post_id,
        url=text(given.get("permalink_url")) or f"https://www.facebook.com/{post_id}",
        text="" if kind == "comment" else text(value.get("message")),
        own=kind == "comment" and on_our_page and given.get("status_type") != BY_VISITORS,
    )


def _page_text(value: Mapping[str, Any], kind: str) -> str:
    """His words, and below them what he links to unless that is the file itself."""
    said, link = text(value.get("message")), text(value.get("link"))
    if not link or link in said or kind in ("photo", "video"):
        return said
    return f"{said}\n{link}".strip()


def _page_files(value: Mapping[str, Any], kind: str, external_id: str) -> tuple[InboundAttachment, ...]:
    """Files by the id of what they hang on: their own addresses are long, and good for some days only."""
    if kind == "comment":
        if value.get("video"):
            return (_file("comment", external_id, "video/mp4"),)
        return (_file("comment", external_id, "image/jpeg"),) if value.get("photo") else ()
    if kind == "video":
        return (_file("post", f"{external_id}#0", "video/mp4"),)
    photos = value.get("photos")
    count = min(len(photos), 20) if isinstance(photos, list) else int(kind == "photo" or bool(value.get("photo")))
    return tuple(_file("post", f"{external_id}#{number}", "image/jpeg") for number in range(count))


def _file(kind: str, source: str, content_type: str) -> InboundAttachment:
    return InboundAttachment("", content_type, b"", source=f"{kind}:{source}")


def _comment(value: Mapping[str, Any], config: Mapping[str, Any], prefix: str) -> Inbound:
    external_id = identity(value.get("id"))
    media_id = identity(part(value, "media").get("id"))
    author, profile = _instagram_author(value, prefix)
    ours = _is(author, config.get("instagram_id"), prefix)
    return _message(
        external_id,
        author,
        prefix,
        text=text(value.get("text")),
        in_reply_to=optional(value.get("parent_id")),
        thread=f"post:{media_id}",
        post=Post(media_id, own=True),
        profile=None if ours else profile,
        written_by_us=ours,
    )


def _mention(value: Mapping[str, Any], prefix: str) -> Inbound:
    """Our name under, or in, what others posted. It is answered by another call than a comment, hence its own ids.

    The comment may be one on a post of ours as well, which then comes by itself and with its words.
    """
    media_id = optional(value.get("media_id")) or identity(part(value, "media").get("id"))
    comment_id = optional(value.get("comment_id")) or optional(value.get("id"))
    author, profile = _instagram_author(value, prefix)
    return _message(
        f"mention:{comment_id or media_id}",
        author,
        prefix,
        text=text(value.get("text")),
        attachments=() if value.get("text") else (_words(comment_id, media_id),),
        thread=f"mention:{media_id}",
        post=Post(media_id),
        profile=profile,
    )


def _words(comment_id: str, media_id: str) -> InboundAttachment:
    """What was said, as a file that is fetched: only the vendor can tell it."""
    source = f"comment:{comment_id}" if comment_id else f"post:{media_id}"
    return InboundAttachment("mention.txt", "text/plain", b"", source=f"mention:{source}")


def _instagram_author(value: Mapping[str, Any], prefix: str) -> tuple[Address, Profile | None]:
    given = part(value, "from")
    found, name = optional(given.get("id")), text(given.get("username"))
    if not found:
        return Address("", f"@{name}" if name else ""), None
    url = f"https://www.instagram.com/{name}/" if name else ""
    return Address(prefix + found, f"@{name}" if name else ""), Profile(prefix + found, name, url=url)


def _message(external_id: str, author: Address, prefix: str, *, text: str, **what: Any) -> InboundMessage:
    """Public. Whom the vendor does not name is a stranger in each of his comments: he could be anybody."""
    hidden = not author.handle
    return InboundMessage(
        external_id=external_id,
        sender=Address(f"{prefix}unknown:{external_id}", author.name) if hidden else author,
        text=text,
        new_text=text,
        authentication=Authentication.NONE if hidden else Authentication.PASS,
        notes=("author_hidden",) if hidden else (),
        visibility="public",
        **what,
    )
