"""What people are called: no event of a private message says it, but the list of conversations does.

Only those are looked at whose message has had the time to be filed, so that there is somebody to be named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from connectors.facebook import events
from connectors.facebook.config import InstagramConfig, MetaConfig
from connectors.facebook.events import Item
from connectors.facebook.graph import Graph
from connectors.facebook.send import PERMISSION
from connectors.facebook.values import moment, optional, part, parts, text
from helpdesk.channels import Host, PermanentFailure, PermissionMissing, RawInbound, Unreadable
from helpdesk.clock import now

SHOWN: Final = 50
"""Conversations that are looked at, the last active first."""

_SETTLED: Final = timedelta(seconds=30)
_FIRST: Final = timedelta(days=1)


class Names:
    """The names of one inbox's people."""

    def __init__(self, graph: Graph, config: MetaConfig) -> None:
        self._graph, self._config = graph, config
        self._until: datetime | None = None

    async def look(self, host: Host) -> None:
        """Hand over the names of who was active since the last look. Raises a ChannelError."""
        until = now() + self._graph.ahead - _SETTLED
        since = self._until or until - _FIRST
        found = [item for platform in self._platforms() for item in await self._people(platform, since, until)]
        if found:
            await host.accept([RawInbound(position(item), events.written(item), now()) for item in found])
        self._until = until

    def _platforms(self) -> list[str]:
        own = [] if isinstance(self._config, InstagramConfig) else ["facebook"]
        return [*own, "instagram"] if self._config.instagram_id else own

    async def _people(self, platform: str, since: datetime, until: datetime) -> list[Item]:
        params = {"platform": "messenger" if platform == "facebook" else platform, "limit": str(SHOWN)}
        params["fields"] = "id,updated_time,participants"
        path = f"{self._config.page_id}/conversations"
        try:
            answer = await self._graph.get(path, params, permission=PERMISSION[platform])
        except (PermissionMissing, PermanentFailure):  # they stay without names, and everything else goes on
            return []
        active = [one for one in parts(answer, "data") if since <= (moment(one.get("updated_time")) or since) < until]
        return [self._item(platform, one, who) for one in active for who in self._others(one)]

    def _others(self, conversation: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Id and name of whoever is not us."""
        found = []
        for one in parts(part(conversation, "participants"), "data"):
            try:
                person = optional(one.get("id"))
            except Unreadable:
                continue
            called = text(one.get("name")) or (f"@{text(one.get('username'))}" if one.get("username") else "")
            if called and person not in ("", self._config.page_id, self._config.instagram_id):
                found.append((person, called))
        return found

    def _item(self, platform: str, conversation: Mapping[str, Any], who: tuple[str, str]) -> Item:
        on_page = platform == "facebook"
        account = self._config.page_id if on_page else self._config.instagram_id
        about = {"object": "page" if on_page else "instagram", "entry": account}
        about["time"] = text(conversation.get("updated_time"))
        return {**about, "list": "people", "event": {"id": who[0], "name": who[1]}}


def position(item: Item) -> str:
    """One for each person, name and hour: whoever was nobody here an hour ago may be a contact by now."""
    called = hashlib.sha256(text(item["event"]["name"]).encode()).hexdigest()
    at = moment(item["time"])
    return f"n;{item['event']['id']};{called[:16]};{at:%Y%m%d%H}" if at else events.digest(events.written(item))
