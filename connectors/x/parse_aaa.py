"""Events of account activity: their older shapes are put into those of the API, and read as what was polled is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from connectors.x import parse_v2
from connectors.x.ids import identifier, identifier_or_empty, made_at
from connectors.x.values import thing, things
from helpdesk.channels import ChangeKind, Inbound, InboundChange

Thing = Mapping[str, Any]

_CREATED: Final = "%a %b %d %H:%M:%S %z %Y"
_WHY: Final = {"favorite_events": "reaction"}


def parse(item: Thing, config: Thing) -> Inbound:
    """`item` is one of `envelopes`. Raises ValueError, KeyError or TypeError for what is no such item."""
    if item.get("stray"):
        return InboundChange(ChangeKind.NOTHING, why="unknown_account")
    kind, event = str(item.get("kind")), item.get("data")
    if kind not in ("post", "dm", "deleted"):
        return InboundChange(ChangeKind.NOTHING, why=_WHY.get(kind, "unknown_kind"))
    if not isinstance(event, dict):
        raise TypeError("an event is no object")
    if kind == "post" and isinstance(event.get("retweeted_status"), dict):
        return InboundChange(ChangeKind.NOTHING, why="repost")
    if kind == "dm" and event.get("type") != "message_create":
        return InboundChange(ChangeKind.NOTHING, why="unknown_kind")
    made = {"post": _post, "dm": _message, "deleted": _deleted}[kind](event, thing(item.get("users")))
    return parse_v2.parse({"form": "v2", "kind": kind, "own": item.get("own"), **made}, config)


def _post(event: Thing, users: Thing) -> dict[str, Any]:
    # A long post is told twice: shortened at the top, whole below.
    whole = thing(event.get("extended_tweet")) or event
    number, author = _number(event), thing(event.get("user"))
    parent = _number_of(event, "in_reply_to_status_id")
    media = list(_media(whole))
    data: dict[str, Any] = {
        "id": number,
        "text": str(whole.get("full_text") or event["text"]),
        "author_id": _number(author),
        "created_at": made_at(number).isoformat(),
        "entities": _entities(thing(whole.get("entities")), media),
        "referenced_tweets": [{"type": "replied_to", "id": parent}] if parent else [],
        # Where the thread begins is not told here as a rule; what it answers is the nearest to it.
        "conversation_id": _number_of(event, "conversation_id") or parent or number,
    }
    if quoted := _number_of(event, "quoted_status_id"):
        data["referenced_tweets"].append({"type": "quoted", "id": quoted})
    if whom := _number_of(event, "in_reply_to_user_id"):
        data["in_reply_to_user_id"] = whom
    if media:
        data["attachments"] = {"media_keys": [one["media_key"] for one in media]}
    return {"data": data, "includes": {"users": [_user(author)], "media": media}}


def _message(event: Thing, users: Thing) -> dict[str, Any]:
    message = event["message_create"]
    content = thing(message.get("message_data"))
    ends = [identifier(message["sender_id"]), identifier(message["target"]["recipient_id"])]
    attachment = thing(thing(content.get("attachment")).get("media"))
    media = list(_media({"extended_entities": {"media": [attachment]}})) if attachment else []
    number = identifier(event.get("id"))
    data: dict[str, Any] = {
        "id": number,
        "event_type": "MessageCreate",
        "text": str(content.get("text") or ""),
        "sender_id": ends[0],
        "participant_ids": ends,
        "dm_conversation_id": "-".join(sorted(ends, key=int)),
        "created_at": made_at(number).isoformat(),
        "entities": _entities(thing(content.get("entities")), media),
    }
    if media:
        data["attachments"] = {"media_keys": [one["media_key"] for one in media]}
    # Below X activity each account stands in a `data` of its own.
    people = [thing(users.get(end)) for end in ends]
    found = [_user(thing(one.get("data")) or one, number=end) for end, one in zip(ends, people, strict=True) if one]
    return {"data": data, "includes": {"users": found, "media": media}}


def _deleted(event: Thing, users: Thing) -> dict[str, Any]:
    return {"data": {"id": _number(event["status"])}, "includes": {}}


def _user(user: Thing, *, number: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": number or _number(user),
        "username": str(user.get("screen_name") or user.get("username") or ""),
        "name": str(user.get("name") or ""),
        "profile_image_url": str(user.get("profile_image_url_https") or ""),
        "verified_type": str(user.get("verified_type") or ("verified" if user.get("verified") is True else "none")),
    }
    counted = user.get("followers_count")
    if isinstance(counted, int) and not isinstance(counted, bool):
        found["public_metrics"] = {"followers_count": counted}
    if (made := _made(user)) is not None:
        found["created_at"] = made.isoformat()
    return found


def _made(user: Thing) -> datetime | None:
    try:
        if user.get("created_timestamp"):
            return datetime.fromtimestamp(int(user["created_timestamp"]) / 1000, UTC)
        return datetime.strptime(str(user["created_at"]), _CREATED)  # noqa: DTZ007 - the format has the zone
    except (KeyError, ValueError, TypeError, OverflowError, OSError):
        return None


def _entities(entities: Thing, media: list[dict[str, Any]]) -> dict[str, Any]:
    """The links: the vendor's short ones, and what they stand for."""
    links: list[tuple[Thing, Thing]] = [(one, {}) for one in things(entities.get("urls"))]
    links += [(one.pop("link"), {"media_key": one["media_key"]}) for one in media]
    return {"urls": [{"url": one.get("url"), "expanded_url": one.get("expanded_url"), **key} for one, key in links]}


def _media(holder: Thing) -> Iterator[dict[str, Any]]:
    for one in things(thing(holder.get("extended_entities") or holder.get("entities")).get("media")):
        number, kind = _number_of(one, "id"), str(one.get("type") or "photo")
        if not number:
            continue
        address = str(one.get("media_url_https") or "")
        found: dict[str, Any] = {"media_key": f"3_{number}", "type": kind}
        found |= {"url": address} if kind == "photo" else {"preview_image_url": address}
        found["variants"] = [
            {
                "bit_rate": variant.get("bitrate", 0),
                "content_type": variant.get("content_type"),
                "url": variant.get("url"),
            }
            for variant in things(thing(one.get("video_info")).get("variants"))
        ]
        found["link"] = one
        yield found


def _number(one: Thing) -> str:
    """Its own. Numbers stand there twice; the one that is a text is exact for every reader."""
    return identifier(one.get("id_str") or one.get("id"))


def _number_of(one: Thing, name: str) -> str:
    return identifier_or_empty(one.get(f"{name}_str")) or identifier_or_empty(one.get(name))
