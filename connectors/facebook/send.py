"""Sends private messages: the text, then each file as a message of its own, which the vendor wants.

All of them are one message here, so only the last bears the token by which its echo says that it arrived. Files are
handed in before the final byte; what fails after the first part was taken is left to the look-up and to people.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from connectors.facebook.config import MetaConfig
from connectors.facebook.errors import OtherAppAnswers
from connectors.facebook.files import uploaded
from connectors.facebook.graph import Graph
from connectors.facebook.parse_messages import PART
from connectors.facebook.values import identity, taken
from helpdesk.channels import ChannelError, Composed, Receipt, TemporaryFailure, Uncertain, Unreadable
from helpdesk.clock import now

PERMISSION: Final = {"facebook": "pages_messaging", "instagram": "instagram_manage_messages"}


async def send(
    graph: Graph,
    config: MetaConfig,
    composed: Composed,
    body: Mapping[str, Any],
    *,
    at_final: Callable[[], Awaitable[None]],
) -> Receipt:
    """Raises a ChannelError."""
    contents: list[dict[str, Any]] = [{"text": body["text"]}] if body["text"].strip() else []
    contents += [await _upload(graph, config, body["platform"], media) for media in body["media"]]
    await at_final()
    first = ""
    for number, content in enumerate(contents, start=1):
        token = body["token"] if number == len(contents) else f"{body['token']}{PART}"
        try:
            answer = await _say(graph, config, composed, body, {**content, "metadata": token})
        except ChannelError as error:
            if not first:
                raise
            raise Uncertain("a part of the message was taken, and a file after it was not") from error
        first = first or taken(answer, "message_id")
    return Receipt(first, now(), composed.recipients)


async def _say(
    graph: Graph, config: MetaConfig, composed: Composed, body: Mapping[str, Any], message: Mapping[str, Any]
) -> dict[str, Any]:
    """One call, and another where some other app controlled the thread before: that was an answer, nothing was sent."""
    recipient = {"id": body["target"]}
    given = {"recipient": recipient, "messaging_type": "RESPONSE", "message": message}
    what: dict[str, Any] = {"permission": PERMISSION[body["platform"]], "recipient": composed.recipients[0]}
    path = f"{config.page_id}/messages"
    try:
        return await graph.post(path, json=given, final=True, **what)
    except OtherAppAnswers:
        await graph.post(f"{config.page_id}/take_thread_control", json={"recipient": recipient}, **what)
    return await graph.post(path, json=given, final=True, **what)


async def _upload(graph: Graph, config: MetaConfig, platform: str, media: Mapping[str, str]) -> dict[str, Any]:
    """A file that nobody sees until a message shows it. Answers that message's content."""
    kind = media["content_type"].partition("/")[0]
    kind = kind if kind in ("image", "video", "audio") else "file"
    message = {"attachment": {"type": kind, "payload": {"is_reusable": True}}}
    answer = await graph.post(
        f"{config.page_id}/message_attachments",
        data={"message": json.dumps(message)} | ({"platform": "instagram"} if platform == "instagram" else {}),
        files={"filedata": uploaded(media)},
        permission=PERMISSION[platform],
    )
    try:
        handed_in = identity(answer.get("attachment_id"))
    except Unreadable:
        raise TemporaryFailure("The vendor took a file and did not say under which id") from None
    return {"attachment": {"type": kind, "payload": {"attachment_id": handed_in}}}
