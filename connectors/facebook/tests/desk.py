"""A connector before the fake Graph API, and messages for it to send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import uuid4

from connectors.facebook.config import InstagramConfig, MetaConfig
from connectors.facebook.connector import MetaConnector
from connectors.facebook.tests.fake import FakeGraph
from helpdesk import clock
from helpdesk.channels import Address, Composed, House, OutboundMessage, Receipt
from helpdesk.net import AllowList, Guard

FINAL = "-- may have been taken from here on --"
"""Stands between the fake's calls where `at_final` was awaited."""


def settings(graph: FakeGraph, **given: str) -> dict[str, Any]:
    secrets = {"page_token": graph.token, "app_secret": graph.secret, "verify_token": "verify-me-please"}
    return {"page_id": graph.page, "api_url": graph.origin, **secrets, **given}


@asynccontextmanager
async def connected(graph: FakeGraph, *, alone: bool = False, **given: str) -> AsyncIterator[MetaConnector]:
    """`alone`: an inbox of Instagram's."""
    if alone:
        given["instagram_id"] = graph.instagram
    config = (InstagramConfig if alone else MetaConfig).model_validate(settings(graph, **given))
    guard = Guard(AllowList.parse(("127.0.0.0/8",)))
    house = House(guard, uuid4(), "", save_secrets=_save, stored_secrets=_stored, base_url="https://desk.test")
    connector = MetaConnector(config, house)
    try:
        yield connector
    finally:
        await connector.close()


async def _save(changed: Mapping[str, str]) -> None:
    raise AssertionError("nothing rotates here")


async def _stored() -> Mapping[str, str]:
    return {}


def message(
    to: str, text: str = "It is on its way", *, created_at: datetime | None = None, **more: Any
) -> OutboundMessage:
    found = uuid4()
    at = created_at or clock.now()
    given: dict[str, Any] = {"thread": f"dm:{to}", **more}
    return OutboundMessage(found, str(found), (Address(to),), text, at, **given)


async def sent(connector: MetaConnector, graph: FakeGraph, given: OutboundMessage | Composed) -> Receipt:
    async def at_final() -> None:
        graph.calls.append(FINAL)

    return await connector.send(given, at_final=at_final)
