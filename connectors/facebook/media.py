"""Fetches files of messages and comments: their addresses are long and good for some days, so each is asked for anew.

    comment:ID      the file of a comment
    post:ID#2       the third file of a post
    mention:...     what was said where our name fell, in `comment:ID` or in the caption of `post:ID`
    MID#0           the first file of a message

The servers of files are not the Graph API: no token goes there. What a URL in an answer may name is still little, since
whoever writes to us chooses some of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from connectors.facebook.compose_comments import MENTION
from connectors.facebook.config import MetaConfig
from connectors.facebook.graph import Graph
from connectors.facebook.values import part, text
from helpdesk import net
from helpdesk.channels import PermanentFailure, TargetGone, TemporaryFailure, Unreachable

MEDIA_HOSTS: Final = (".fbcdn.net", ".cdninstagram.com", ".fbsbx.com")
_HOPS: Final = 3
_SECONDS: Final = 60.0
_GONE: Final = frozenset({401, 403, 404, 410})
_URLS: Final = (
    ("image_data", "url"),
    ("video_data", "url"),
    ("file_url",),
    ("source",),
    ("media", "source"),
    ("media", "image", "src"),
)
"""Where an attachment keeps the address of its file; a video's picture comes last."""

_MENTIONED: Final = {
    "comment": ("mentioned_comment.comment_id", "text", "media{permalink}"),
    "post": ("mentioned_media.media_id", "caption", "permalink"),
}
"""How a mention is asked for, what holds its words, and its place."""


async def fetch(graph: Graph, http: net.SafeHttp, config: MetaConfig, source: str, *, max_bytes: int) -> bytes:
    """Raises a ChannelError, a permanent one where the file is gone or too large."""
    if source.startswith(MENTION):
        return await _mentioned(graph, config, source.removeprefix(MENTION))
    files = await _files(graph, source)
    number = source.rpartition("#")[2]
    index = int(number) if "#" in source and number.isdigit() else 0
    url = _url(files[index]) if index < len(files) else ""
    if not url:
        raise TargetGone("The file is not there any more")
    return await _download(http, config, url, max_bytes)


async def _mentioned(graph: Graph, config: MetaConfig, source: str) -> bytes:
    """The words as a text, with who said them and where."""
    kind, _, external_id = source.partition(":")
    asked, words, place = _MENTIONED[kind]
    fields = {"fields": f"{asked}({external_id}){{id,username,{words},{place}}}"}
    answer = await graph.get(config.instagram_id, fields, permission="instagram_manage_comments")
    found = part(answer, asked.partition(".")[0])
    if not found:
        raise TargetGone("What was said is not there any more")
    url = text(found.get("permalink")) or text(part(found, "media").get("permalink"))
    return f"@{text(found.get('username'))}: {text(found.get(words))}\n{url}\n".encode("utf-8", "replace")


async def _files(graph: Graph, source: str) -> list[Mapping[str, Any]]:
    kind, _, external_id = source.partition(":")
    if kind == "comment":
        answer = await graph.get(external_id, {"fields": "id,attachment"}, permission="pages_read_engagement")
        return _dicts([answer.get("attachment")])
    if kind == "post":
        fields = {"fields": "id,attachments{media,type,subattachments}"}
        answer = await graph.get(external_id.partition("#")[0], fields, permission="pages_read_engagement")
        shown = _data(answer.get("attachments"))
        return [one for whole in shown for one in (_data(whole.get("subattachments")) or [whole])]
    answer = await graph.get(source.partition("#")[0], {"fields": "id,attachments"}, permission="pages_messaging")
    return _data(answer.get("attachments"))


def _data(value: object) -> list[Mapping[str, Any]]:
    found = value.get("data") if isinstance(value, dict) else None
    return _dicts(found) if isinstance(found, list) else []


def _dicts(values: list[Any]) -> list[Mapping[str, Any]]:
    return [one for one in values if isinstance(one, dict)]


def _url(file: Mapping[str, Any]) -> str:
    for path in _URLS:
        found: Any = file
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str) and found:
            return found
    return ""


async def _download(http: net.SafeHttp, config: MetaConfig, url: str, max_bytes: int) -> bytes:
    for _ in range(_HOPS):
        if not _may_fetch(url, config):
            raise PermanentFailure("The file is at a place that nothing is fetched from")
        try:
            answer = await http.request("GET", url, max_bytes=max_bytes, timeout=_SECONDS)
        except net.Unreachable as error:
            raise _failed(error) from None
        if answer.ok:
            return answer.body
        if answer.status in _GONE:
            raise TargetGone("The file is not there any more")
        if not 300 <= answer.status < 400:
            raise TemporaryFailure(f"The file could not be fetched (HTTP {answer.status})")
        url = _led(url, answer.headers.get("location", ""))
    raise PermanentFailure("The file is led on from place to place")


def _led(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def _may_fetch(url: str, config: MetaConfig) -> bool:
    """The vendor's servers of files, by TLS; or the origin that the inbox is set to speak to."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if config.api_url and (parts.scheme, parts.netloc) == urlsplit(config.api_url)[:2]:
        return True
    return parts.scheme == "https" and host.endswith(MEDIA_HOSTS)


def _failed(error: net.Unreachable) -> PermanentFailure | Unreachable:
    if error.kind is net.Kind.TOO_LARGE:
        return PermanentFailure("The file is larger than is taken here")
    if error.kind is net.Kind.BLOCKED:
        return PermanentFailure("The file is at a place that nothing is fetched from")
    return Unreachable("The file could not be fetched")
