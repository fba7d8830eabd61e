"""`inbox check`: token, account, permissions and webhook, each with what to do. Nothing is posted anywhere."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any
from uuid import UUID

from connectors.facebook import subscription
from connectors.facebook.config import InstagramConfig, MetaConfig
from connectors.facebook.graph import Graph
from connectors.facebook.send import PERMISSION
from connectors.facebook.values import part
from helpdesk.channels import ChannelError, Check, Misconfigured


async def confirm(graph: Graph, config: MetaConfig) -> Mapping[str, Any]:
    """The token's own account. Raises Misconfigured where that is not the Page, or another ChannelError."""
    found = await graph.get("me", {"fields": "id,name,instagram_business_account"}, permission="pages_show_list")
    if str(found.get("id")) != config.page_id:
        raise Misconfigured("page_token is not the token of the Page that page_id names: make one for this Page")
    return found


async def check(graph: Graph, config: MetaConfig, *, base_url: str, inbox_id: UUID) -> Sequence[Check]:
    found: Mapping[str, Any] = {}
    try:
        found = await confirm(graph, config)
    except ChannelError as error:
        return [Check("token", ok=False, detail=str(error))]
    checks = [Check("token", ok=True), _instagram(config, found)]
    platforms = ["instagram"] if isinstance(config, InstagramConfig) else ["facebook"]
    platforms += ["instagram"] if config.instagram_id and "instagram" not in platforms else []
    for platform in platforms:
        wanted = {"platform": "messenger" if platform == "facebook" else platform, "limit": "1"}
        asked = graph.get(f"{config.page_id}/conversations", wanted, permission=PERMISSION[platform])
        checks.append(await _tried(f"messages of {platform}", asked))
    return [*checks, await _subscribed(graph, config), _address(base_url, inbox_id)]


async def _tried(name: str, asked: Awaitable[object]) -> Check:
    try:
        await asked
    except ChannelError as error:
        return Check(name, ok=False, detail=str(error))
    return Check(name, ok=True)


def _instagram(config: MetaConfig, found: Mapping[str, Any]) -> Check:
    there = str(part(found, "instagram_business_account").get("id", ""))
    if config.instagram_id in ("", there):
        return Check("instagram", ok=True, detail="" if config.instagram_id else "instagram_id is not set")
    detail = f"the Page's Instagram account is {there}" if there else "no Instagram account is connected to the Page"
    return Check("instagram", ok=False, detail=f"{detail}: set instagram_id to it, or connect the account first")


async def _subscribed(graph: Graph, config: MetaConfig) -> Check:
    try:
        missing = await subscription.wanting(graph, config)
    except ChannelError as error:
        return Check("webhook fields", ok=False, detail=str(error))
    if missing:
        detail = f"the app is not subscribed to {', '.join(missing)} of the Page: start a worker, which subscribes it"
        return Check("webhook fields", ok=False, detail=detail)
    return Check("webhook fields", ok=True)


def _address(base_url: str, inbox_id: UUID) -> Check:
    """Nobody but the vendor can tell whether it gets through: what to enter is told."""
    url = f"{base_url.rstrip('/')}/channels/facebook/{inbox_id}/webhook"
    if url.startswith("https://"):
        return Check("webhook", ok=True, detail=f"enter {url} as the callback URL of the app, with verify_token")
    return Check("webhook", ok=False, detail="the vendor posts to https:// only: set HELPDESK_BASE_URL")
