"""Our own account as everybody sees it, for telling whoever pretends to be us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.facebook.config import InstagramConfig, MetaConfig
from connectors.facebook.graph import Graph
from helpdesk.channels import Profile


async def profile(graph: Graph, config: MetaConfig) -> Profile:
    """The Instagram account's in an inbox of its own, otherwise the Page's. Raises a ChannelError."""
    if isinstance(config, InstagramConfig):
        fields = "id,username,name,followers_count,profile_picture_url"
        found = await graph.get(config.instagram_id, {"fields": fields}, permission="instagram_basic")
        name = _text(found, "username")
        return Profile(
            config.instagram_id,
            name,
            _text(found, "name"),
            url=f"https://www.instagram.com/{name}/" if name else "",
            followers=_count(found.get("followers_count")),
            avatar_url=_text(found, "profile_picture_url"),
        )
    fields = "id,name,username,link,followers_count,verification_status,picture.type(large){url}"
    found = await graph.get(config.page_id, {"fields": fields}, permission="pages_read_engagement")
    return Profile(
        config.page_id,
        _text(found, "username"),
        _text(found, "name"),
        url=_text(found, "link"),
        followers=_count(found.get("followers_count")),
        verified=_text(found, "verification_status").lower().removeprefix("not_verified"),
        avatar_url=_picture(found.get("picture")),
    )


def _picture(value: object) -> str:
    data = value.get("data") if isinstance(value, dict) else None
    return _text(data, "url") if isinstance(data, dict) else ""


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
