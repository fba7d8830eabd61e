"""A post or a message on its way, once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from connectors.x.client import Client
from connectors.x.compose import opened
from connectors.x.find import find, receipt
from connectors.x.ids import identifier
from connectors.x.limits import Duplicate
from connectors.x.media import upload
from helpdesk.channels import Composed, Receipt, Uncertain
from helpdesk.clock import now


async def send(
    client: Client, own: str, username: str, message: Composed, *, at_final: Callable[[], Awaitable[None]]
) -> Receipt:
    """Raises a ChannelError. Files go first: what is uploaded and never posted is seen by nobody."""
    wanted = opened(message)
    public = wanted["kind"] == "post"
    files = [await upload(client, one, public=public) for one in wanted["media"]]
    text = wanted["text"] or None
    try:
        if public:
            answer = await client.call(
                "create_tweet",
                text=text,
                in_reply_to_tweet_id=wanted["target"],
                media_ids=files or None,
                final=at_final,
            )
        else:
            answer = await client.call(
                "create_direct_message",
                participant_id=wanted["target"],
                text=text,
                media_id=files[0] if files else None,
                final=at_final,
            )
    except Duplicate:
        found = await find(client, own, username, message)
        if found is None:
            raise
        return found
    try:
        number = identifier(answer["data"]["id" if public else "dm_event_id"])
    except (KeyError, TypeError, ValueError):
        raise Uncertain("The vendor's answer has no id") from None
    return receipt(message, number, username, sent_at=now())
