"""Hides others' comments under our posts. Whoever wrote one still sees it, and so do his friends."""

from __future__ import annotations

from connectors.facebook.comments import PERMISSION
from connectors.facebook.compose_comments import MENTION
from connectors.facebook.graph import Graph
from helpdesk.channels import PermanentFailure


async def hide(graph: Graph, external_id: str, *, hidden: bool) -> None:
    """Idempotent. Raises a ChannelError. Comments on a Page bear their post's id before their own."""
    if external_id.startswith(MENTION):
        raise PermanentFailure("What stands under somebody else's post can only be hidden by him")
    platform, name = ("facebook", "is_hidden") if "_" in external_id else ("instagram", "hide")
    await graph.post(external_id, data={name: "true" if hidden else "false"}, permission=PERMISSION[platform])
