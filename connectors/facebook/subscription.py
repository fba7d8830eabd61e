"""Which events the vendor posts: for each Page it has to be told once that the app wants them."""

from __future__ import annotations

from typing import Final

from connectors.facebook.config import MetaConfig
from connectors.facebook.graph import Graph
from connectors.facebook.values import parts
from helpdesk.channels import PermissionMissing

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
    """Fields that the Page is not subscribed to. Raises a ChannelError."""
    there = await _subscribed(graph, config)
    return [name for name in FIELDS if name not in there]


async def subscribe(graph: Graph, config: MetaConfig) -> None:
    """Ask for what is wanting; what others have asked for stays. Raises a ChannelError.

    Where the app may not, a person has to do it, and `inbox check` says so: what comes meanwhile is read back.
    """
    try:
        there = await _subscribed(graph, config)
        if there.issuperset(FIELDS):
            return
        wanted = ",".join(sorted({*FIELDS, *there}))
        path = f"{config.page_id}/subscribed_apps"
        await graph.post(path, data={"subscribed_fields": wanted}, permission=PERMISSION)
    except PermissionMissing:
        pass


async def _subscribed(graph: Graph, config: MetaConfig) -> set[str]:
    params = {"fields": "subscribed_fields"}
    answer = await graph.get(f"{config.page_id}/subscribed_apps", params, permission=PERMISSION)
    lists = [app.get("subscribed_fields") for app in parts(answer, "data")]
    return {name for names in lists if isinstance(names, list) for name in names if isinstance(name, str)}
