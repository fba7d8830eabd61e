"""Files: those that go out are uploaded before their post; those that came in are fetched afterwards."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from connectors.x.client import Client
from connectors.x.compose import IMAGES
from connectors.x.config import XConfig
from connectors.x.ids import identifier
from helpdesk import net
from helpdesk.channels import PermanentFailure, TemporaryFailure
from helpdesk.net import SafeHttp

HOSTS = ("pbs.twimg.com", "video.twimg.com")
FETCH_SECONDS = 60.0
PART_BYTES = 1_048_576
LONGEST_PAUSE, MOST_PAUSES = 5.0, 24


async def upload(client: Client, file: Mapping[str, str], *, public: bool) -> str:
    """The media id. Raises a ChannelError."""
    kind = file["content_type"]
    prefix = "tweet" if public else "dm"
    if kind in IMAGES:
        category = f"{prefix}_image"
        asked = {"media": file["body"], "media_category": category, "media_type": kind}
        return _id(await client.request("POST", "/2/media/upload", json=asked))
    category = f"{prefix}_gif" if kind == "image/gif" else f"{prefix}_video"
    body = base64.b64decode(file["body"])
    begun = {"media_category": category, "media_type": kind, "total_bytes": len(body)}
    media_id = _id(await client.request("POST", "/2/media/upload/initialize", json=begun))
    for index, start in enumerate(range(0, len(body), PART_BYTES)):
        part = base64.b64encode(body[start : start + PART_BYTES]).decode("ascii")
        asked_part = {"media": part, "segment_index": index}
        await client.request("POST", f"/2/media/upload/{media_id}/append", json=asked_part)
    await _until_ready(client, media_id, await client.request("POST", f"/2/media/upload/{media_id}/finalize"))
    return media_id


async def _until_ready(client: Client, media_id: str, answer: Mapping[str, Any]) -> None:
    for _ in range(MOST_PAUSES):
        data = answer.get("data")
        progress = data.get("processing_info") if isinstance(data, dict) else None
        state = progress.get("state") if isinstance(progress, dict) else None
        if state == "failed":
            raise PermanentFailure("The vendor cannot show one of the files")
        if state not in ("pending", "in_progress"):
            return
        wanted = progress.get("check_after_secs") if isinstance(progress, dict) else None
        await asyncio.sleep(min(float(wanted), LONGEST_PAUSE) if isinstance(wanted, int) and wanted > 0 else 1.0)
        params = {"command": "STATUS", "media_id": media_id}
        answer = await client.request("GET", "/2/media/upload", params=params)
    raise TemporaryFailure("The vendor takes long to prepare one of the files")


def _id(answer: Mapping[str, Any]) -> str:
    try:
        return identifier(answer["data"]["id"])
    except (KeyError, TypeError, ValueError):
        raise TemporaryFailure("The vendor's answer to an upload has no id") from None


async def fetch(http: SafeHttp, config: XConfig, source: str, *, max_bytes: int) -> bytes:
    """A file that somebody sent. Nobody is told who asks. Raises a ChannelError, a permanent one when it is gone."""
    parts = urlsplit(source)
    known = parts.scheme == "https" and parts.hostname in HOSTS
    if not known and (not config.api_url or f"{parts.scheme}://{parts.netloc}" != config.api_url):
        raise PermanentFailure("The file does not lie where the vendor keeps files")
    try:
        answer = await http.request("GET", source, max_bytes=max_bytes, timeout=FETCH_SECONDS)
    except net.Unreachable as error:
        if error.kind in (net.Kind.TOO_LARGE, net.Kind.BLOCKED):
            raise PermanentFailure("The file is too large") from None
        raise TemporaryFailure("The file cannot be fetched") from None
    if answer.status in (401, 403, 404, 410):
        raise PermanentFailure("The file is gone")
    if not answer.ok:
        raise TemporaryFailure(f"The file cannot be fetched (HTTP {answer.status})")
    return answer.body
