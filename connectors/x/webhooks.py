"""Registers the webhook with the vendor, and asks for the account's events to be sent there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import structlog

from connectors.x.client import Client
from connectors.x.ids import identifier
from helpdesk.channels import ChannelError, Check, Misconfigured, PermanentFailure, TemporaryFailure

log = structlog.get_logger()

_FAMILY = "/channels/x/"
_AGAIN_SECONDS = 600.0


async def keep(client: Client, base_url: str, inbox_id: UUID, *, tell: Callable[[bool], None]) -> None:
    """Until cancelled: the vendor drops a webhook that failed for long. `tell` hears whether there is one now.

    A webhook that cannot be had fails no inbox, since what it would bring is polled; `inbox check` says why.
    """
    last = ""
    while True:
        try:
            await ensure(client, base_url, inbox_id)
        except ChannelError as error:
            if error.kind != last:
                log.warning("webhook.not_registered", inbox_id=str(inbox_id), kind=error.kind)
            last = error.kind
        else:
            last = ""
        tell(not last)
        await asyncio.sleep(_AGAIN_SECONDS)


async def check(client: Client, base_url: str, inbox_id: UUID) -> Check:
    try:
        await ensure(client, base_url, inbox_id)
    except ChannelError as error:
        return Check("webhook", ok=False, detail=f"{error}; what it would bring is polled")
    return Check("webhook", ok=True, detail="is registered")


def address(base_url: str, inbox_id: UUID) -> str:
    """Where the vendor delivers what concerns this inbox."""
    return f"{base_url}{_FAMILY}{inbox_id}/webhook"


async def ensure(client: Client, base_url: str, inbox_id: UUID) -> None:
    """Idempotent. Raises a ChannelError.

    An app may have a single webhook: one that another inbox of this house has registered does as well, since what
    comes in is handed on by account.
    """
    wanted = address(base_url, inbox_id)
    listed = (await client.request_as_app("GET", "/2/webhooks")).get("data")
    known = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    ours = [one for one in known if one.get("url") == wanted]
    ours += [one for one in known if str(one.get("url")).startswith(base_url + _FAMILY) and one.get("valid")]
    if ours:
        webhook_id = _id(ours[0])
        if not ours[0].get("valid"):
            await client.request_as_app("PUT", f"/2/webhooks/{webhook_id}")
    else:
        webhook_id = _id(await _register(client, wanted))
    route = f"/2/account_activity/webhooks/{webhook_id}/subscriptions/all"
    if not _data(await client.request("GET", route)).get("subscribed"):
        await client.request("POST", route, json={})


async def _register(client: Client, url: str) -> Mapping[str, Any]:
    try:
        made = await client.request_as_app("POST", "/2/webhooks", json={"url": url})
    except PermanentFailure as error:
        raise Misconfigured(
            "The vendor refuses the webhook: HELPDESK_BASE_URL has to be https, without a port, reachable from outside"
        ) from error
    return made if "id" in made else _data(made)


def _id(webhook: Mapping[str, Any]) -> str:
    try:
        return identifier(webhook.get("id"))
    except ValueError:
        raise TemporaryFailure("The vendor does not say which webhook it is") from None


def _data(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    found = answer.get("data")
    return found if isinstance(found, dict) else {}
