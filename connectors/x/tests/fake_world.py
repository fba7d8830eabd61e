"""What the made-up vendor holds – accounts, posts, messages – and how it is shown by `fields` and `expansions`."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any, Final

from helpdesk import clock

Thing = dict[str, Any]
Query = Mapping[str, str]

_EPOCH: Final = 1_288_834_974_657
"""Milliseconds: where the times inside ids begin."""

_ALWAYS: Final = {
    "tweet": {"id", "text", "edit_history_tweet_ids"},
    "user": {"id", "name", "username"},
    "dm_event": {"id", "event_type", "text"},
    "media": {"media_key", "type"},
}
_EXPANDED: Final = {
    "author_id": "users",
    "in_reply_to_user_id": "users",
    "sender_id": "users",
    "participant_ids": "users",
    "entities.mentions.username": "users",
    "referenced_tweets.id.author_id": "users",
    "referenced_tweets.id": "tweets",
    "attachments.media_keys": "media",
}


class World:
    """Ids are beyond 2**53, as the vendor's are, and hold the time. `us` is the account that the tests' inbox is of."""

    def __init__(self, origin: str, us: str) -> None:
        self.origin, self.us = origin, us
        self.lock = threading.RLock()
        self.users: dict[str, Thing] = {}
        self.posts: dict[str, Thing] = {}
        self.messages: dict[str, Thing] = {}
        self.media: dict[str, Thing] = {}
        self.hidden: dict[str, bool] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        """What lies at the origin: pictures by their path, with their type."""
        self._number = count(1)
        self.user("desk", "The Desk", id=us)

    def next_id(self, at: datetime | None = None) -> str:
        """What is made later has the larger one, also within a millisecond."""
        made = int((at or clock.now()).timestamp() * 1000) - _EPOCH
        return str((made << 22) + next(self._number))

    def user(self, username: str, name: str = "", *, followers: int = 12, **more: Any) -> str:
        """The id of the account that is called so now; made where there is none."""
        for known in self.users.values():
            if known["username"] == username:
                return str(known["id"])
        counted = {"following_count": 1, "tweet_count": 1, "listed_count": 0, "followers_count": followers}
        shown = {"id": self.next_id(), "username": username, "name": name or username.title()}
        shown |= {"created_at": "2019-05-04T10:00:00.000Z", "verified": False, "verified_type": "none"}
        shown |= {"profile_image_url": f"{self.origin}/avatars/{username}.png", "public_metrics": counted, **more}
        self.users[shown["id"]] = shown
        return str(shown["id"])

    def post(
        self,
        author: str,
        text: str,
        *,
        answers: str = "",
        media: Sequence[str] = (),
        at: datetime | None = None,
        long: str = "",
    ) -> str:
        """`author` is an id, `media` are keys; `long` is the whole text of a post that was shortened."""
        found: Thing = {
            "id": self.next_id(at),
            "text": text,
            "author_id": author,
            "created_at": _stamp(at),
            "lang": "en",
        }
        found |= {"edit_history_tweet_ids": [found["id"]], "conversation_id": found["id"]}
        if answers and answers in self.posts:
            parent = self.posts[answers]
            found |= {"conversation_id": parent["conversation_id"], "in_reply_to_user_id": parent["author_id"]}
        if answers:
            found["referenced_tweets"] = [{"type": "replied_to", "id": answers}]
        names = [(one.start(), one.end(), one[1]) for one in re.finditer(r"@(\w{1,15})", long or text)]
        if names:
            found["entities"] = {"mentions": [self._mention(*name) for name in names]}
        if media:
            found["attachments"] = {"media_keys": list(media)}
        if long:
            found["note_tweet"] = {"text": long}
        with self.lock:
            self.posts[found["id"]] = found
        return str(found["id"])

    def _mention(self, start: int, end: int, username: str) -> Thing:
        known = next((user["id"] for user in self.users.values() if user["username"] == username), None)
        return {"start": start, "end": end, "username": username, **({"id": known} if known else {})}

    def message(
        self, sender: str, other: str, text: str, *, media: Sequence[str] = (), at: datetime | None = None
    ) -> str:
        ends = sorted((sender, other), key=int)
        found: Thing = {"id": self.next_id(at), "event_type": "MessageCreate", "created_at": _stamp(at)}
        found |= {"sender_id": sender, "dm_conversation_id": "-".join(ends)}
        found |= {"text": text} if text else {}
        found |= {"attachments": {"media_keys": list(media)}} if media else {}
        with self.lock:
            self.messages[found["id"]] = found
        return str(found["id"])

    def picture(self, body: bytes = b"\x89PNG\r\n\x1a\n", content_type: str = "image/png") -> str:
        """The key of a photo that posts and messages may carry."""
        key, path = f"3_{self.next_id()}", f"/media/{self.next_id()}.png"
        self.files[path] = (content_type, body)
        self.media[key] = {"media_key": key, "type": "photo", "url": self.origin + path, "width": 1, "height": 1}
        return key

    # -- how it is shown ----------------------------------------------------------------------------------------------

    def listed(self, kind: str, things: Iterable[Thing], query: Query, *, limit: int) -> Thing:
        """A page of them, the newest first."""
        least, most = query.get("since_id", "0"), query.get("until_id", "9" * 19)
        token = query.get("pagination_token") or query.get("next_token") or "9" * 24
        since = query.get("start_time", "")
        wanted = [
            one
            for one in sorted(things, key=lambda one: int(one["id"]), reverse=True)
            if int(least) < int(one["id"]) < min(int(most), int(token)) and one["created_at"] >= since
        ]
        page = wanted[:limit]
        meta: Thing = {"result_count": len(page)}
        if page and kind == "tweet":
            meta |= {"newest_id": page[0]["id"], "oldest_id": page[-1]["id"]}
        if len(wanted) > len(page):
            meta["next_token"] = f"{int(page[-1]['id']):024d}"
        return {**self.shown(kind, page, query), "meta": meta}

    def shown(self, kind: str, things: Sequence[Thing], query: Query) -> Thing:
        """With only the fields that were asked for: who forgets to ask does not get."""
        answer: Thing = {"data": [_cut(kind, one, query) for one in things]} if things else {}
        asked = [name for name in query.get("expansions", "").split(",") if name]
        beside: dict[str, dict[str, Thing]] = {}
        for name in asked:
            found = self._expanded(name, things)
            beside.setdefault(_EXPANDED[name], {}).update({key: one for key, one in found if one is not None})
        kinds = {"users": "user", "tweets": "tweet", "media": "media"}
        included = {name: [_cut(kinds[name], one, query) for one in found.values()] for name, found in beside.items()}
        if any(included.values()):
            answer["includes"] = {name: found for name, found in included.items() if found}
        return answer

    def _expanded(self, name: str, things: Sequence[Thing]) -> list[tuple[str, Thing | None]]:
        referenced = [ref["id"] for one in things for ref in one.get("referenced_tweets", [])]
        if name == "referenced_tweets.id":
            return [(key, self.posts.get(key)) for key in referenced]
        if name == "referenced_tweets.id.author_id":
            authors = [self.posts[key]["author_id"] for key in referenced if key in self.posts]
            return [(key, self.users.get(key)) for key in authors]
        if name == "attachments.media_keys":
            keys = [key for one in things for key in one.get("attachments", {}).get("media_keys", [])]
            return [(key, self.media.get(key)) for key in keys]
        if name == "entities.mentions.username":
            ids = [who.get("id", "") for one in things for who in one.get("entities", {}).get("mentions", [])]
            return [(key, self.users.get(key)) for key in ids]
        if name == "participant_ids":
            ids = [key for one in things for key in one.get("dm_conversation_id", "").split("-")]
            return [(key, self.users.get(key)) for key in ids]
        return [(one[name], self.users.get(one[name])) for one in things if name in one]


def _cut(kind: str, thing: Thing, query: Query) -> Thing:
    wanted = _ALWAYS[kind] | set(query.get(f"{kind}.fields", "").split(","))
    return {name: value for name, value in thing.items() if name in wanted}


def _stamp(at: datetime | None) -> str:
    return (at or clock.now()).strftime("%Y-%m-%dT%H:%M:%S.000Z")
