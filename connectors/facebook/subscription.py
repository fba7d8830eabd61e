"""Which events the vendor posts: for each Page it has to be told once that the app wants them."""

from __future__ import annotations

from typing import Final

from connectors.facebook.config import MetaConfig
from connectors.facebook.graph import Graph
from connectors.facebook.values import parts

FIELDS: Final = (
    "feed",
    "mention",
    "message_deliveries",
    "message_echoes",
    "message_edits",
    "message_reactions",
    "message_reads",
    "messages",
    "messaging_handovers",
    "messaging_postbacks",
    "standby",
)
PERMISSION: Final = "pages_manage_metadata"


async def wanting(graph: Graph, config: MetaConfig) -> list[str]:
    """Fields that no app of this token is subscribed to. Raises a ChannelError."""
    answer = await graph.get(
        f"{config.page_id}/subscribed_apps", {"fields": "subscribed_fields"}, permission=PERMISSION
    )
    lists = [app.get("subscribed_fields") for app in parts(answer, "data")]
    there = {str(name) for names in lists if isinstance(names, list) for name in names}
    return [name for name in FIELDS if name not in there]


async def subscribe(graph: Graph, config: MetaConfig) -> None:
    """Ask for all of them, once. Raises a ChannelError."""
    if await wanting(graph, config):
        await graph.post(
            f"{config.page_id}/subscribed_apps", data={"subscribed_fields": ",".join(FIELDS)}, permission=PERMISSION
        )
