"""Sends what answers a comment. The vendor knows no token of ours here: see `find_comments` for what that means."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from connectors.facebook.config import MetaConfig
from connectors.facebook.files import uploaded
from connectors.facebook.graph import Graph
from connectors.facebook.send import PERMISSION as MESSAGING
from connectors.facebook.values import INSTAGRAM, identity, taken
from helpdesk.channels import Composed, Receipt, TemporaryFailure, Unreadable
from helpdesk.clock import now

ANSWER: Final = {"facebook": "comments", "instagram": "replies"}
"""The edge of a comment that answers are added to."""

PERMISSION: Final = {"facebook": "pages_manage_engagement", "instagram": "instagram_manage_comments"}


async def send(
    graph: Graph,
    config: MetaConfig,
    composed: Composed,
    body: Mapping[str, Any],
    *,
    at_final: Callable[[], Awaitable[None]],
) -> Receipt:
    """Send what `compose_comments` froze. Raises a ChannelError."""
    if body["kind"] == "private_reply":
        return await _privately(graph, config, composed, body, at_final)
    platform = body["platform"]
    path, data = f"{body['target']}/{ANSWER[platform]}", {"message": body["text"]}
    if body["kind"] == "mention":
        path, data["media_id"] = f"{composed.sender}/mentions", body["post"]
        if body["target"] != body["post"]:
            data["comment_id"] = body["target"]
    if body["media"]:
        data["attachment_id"] = await _upload(graph, composed.sender, body["media"][0])
    await at_final()
    answer = await graph.post(path, data=data, permission=PERMISSION[platform], final=True)
    return receipt(composed, platform, taken(answer, "id"))


def receipt(composed: Composed, platform: str, external_id: str) -> Receipt:
    """Of a comment of ours; only a Page's have an address that follows from their id."""
    url = f"https://www.facebook.com/{external_id}" if platform == "facebook" else ""
    return Receipt(external_id, now(), composed.recipients, external_url=url)


async def _privately(
    graph: Graph,
    config: MetaConfig,
    composed: Composed,
    body: Mapping[str, Any],
    at_final: Callable[[], Awaitable[None]],
) -> Receipt:
    """His answer comes as a message, under the id that he has there, which the vendor tells now."""
    await at_final()
    answer = await graph.post(
        f"{config.page_id}/messages",
        json={
            "recipient": {"comment_id": body["target"]},
            "message": {"text": body["text"], "metadata": body["token"]},
        },
        permission=MESSAGING[body["platform"]],
        final=True,
    )
    prefix = prefix_of(composed)
    return Receipt(
        taken(answer, "message_id"),
        now(),
        composed.recipients,
        thread=f"dm:{prefix}{taken(answer, 'recipient_id')}",
    )


def prefix_of(composed: Composed) -> str:
    """What stands before ids of people in this inbox, by the one that this is for."""
    handle = composed.recipients[0] if composed.recipients else ""
    return INSTAGRAM if handle.startswith(INSTAGRAM) else ""


async def _upload(graph: Graph, page_id: str, media: Mapping[str, str]) -> str:
    """A picture that stands nowhere until a comment shows it."""
    given = {"source": uploaded(media)}
    answer = await graph.post(
        f"{page_id}/photos", data={"published": "false"}, files=given, permission="pages_manage_posts"
    )
    try:
        return identity(answer.get("id"))
    except Unreadable:
        raise TemporaryFailure("The vendor took a picture and did not say under which id") from None
