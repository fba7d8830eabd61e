"""`inbox check`: token, account, permissions and webhook, each with what to do. Nothing is posted anywhere."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from uuid import UUID

from connectors.facebook import subscription
from connectors.facebook.config import InstagramConfig, MetaConfig
from connectors.facebook.graph import Graph
from connectors.facebook.send import PERMISSION
from connectors.facebook.values import part
from helpdesk.channels import ChannelError, Check, Misconfigured


async def confirm(graph: Graph, config: MetaConfig) -> None:
    """Whether the token is the Page's own. Raises Misconfigured, or another ChannelError."""
    found = await graph.get("me", {"fields": "id,name"}, permission="pages_show_list")
    if str(found.get("id")) != config.page_id:
        raise Misconfigured("page_token is not the token of the Page that page_id names: make one for this Page")


async def check(graph: Graph, config: MetaConfig, *, base_url: str, inbox_id: UUID) -> Sequence[Check]:
    token = await _tried("token", confirm(graph, config))
    if not token.ok:
        return [token]
    checks = [token]
    if not isinstance(config, InstagramConfig):
        checks += await _places(graph, config, "facebook", f"{config.page_id}/feed", "pages_read_user_content")
    if config.instagram_id:
        checks.append(await _tried("instagram", _connected(graph, config)))
        checks += await _places(graph, config, "instagram", f"{config.instagram_id}/media", "instagram_manage_comments")
    return [*checks, await _tried("webhook fields", _subscribed(graph, config)), _address(base_url, inbox_id)]


async def _tried(name: str, asked: Awaitable[object]) -> Check:
    try:
        await asked
    except ChannelError as error:
        return Check(name, ok=False, detail=str(error))
    return Check(name, ok=True)


async def _places(graph: Graph, config: MetaConfig, platform: str, posts: str, permission: str) -> list[Check]:
    """Whether messages and comments can be read."""
    wanted = {"platform": "messenger" if platform == "facebook" else platform, "limit": "1"}
    messages = graph.get(f"{config.page_id}/conversations", wanted, permission=PERMISSION[platform])
    comments = graph.get(posts, {"fields": "id", "limit": "1"}, permission=permission)
    return [
        await _tried(f"messages of {platform}", messages),
        await _tried(f"comments of {platform}", comments),
    ]


async def _connected(graph: Graph, config: MetaConfig) -> None:
    wanted = {"fields": "id,instagram_business_account"}
    found = await graph.get(config.page_id, wanted, permission="instagram_basic")
    there = str(part(found, "instagram_business_account").get("id", ""))
    if there != config.instagram_id:
        which = f"The Page's Instagram account is {there}" if there else "No Instagram account is connected to the Page"
        raise Misconfigured(f"{which}: set instagram_id to it, or connect the account first")


async def _subscribed(graph: Graph, config: MetaConfig) -> None:
    missing = await subscription.wanting(graph, config)
    if missing:
        names = ", ".join(missing)
        raise Misconfigured(f"The app is not subscribed to {names} of the Page: a running worker subscribes it")


def _address(base_url: str, inbox_id: UUID) -> Check:
    """Nobody but the vendor can tell whether it gets through: what to enter is told."""
    url = f"{base_url.rstrip('/')}/channels/facebook/{inbox_id}/webhook"
    if url.startswith("https://"):
        return Check("webhook", ok=True, detail=f"enter {url} as the callback URL of the app, with verify_token")
    return Check("webhook", ok=False, detail="the vendor posts to https:// only: set HELPDESK_BASE_URL")
