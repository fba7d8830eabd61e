"""`inbox check`: whose account it is, and whether its plan lets it be read."""

from __future__ import annotations

from connectors.x.client import Client
from connectors.x.config import XConfig, own_id
from connectors.x.ids import identifier
from connectors.x.profile import word
from helpdesk.channels import ChannelError, Check


async def check(config: XConfig, client: Client) -> list[Check]:
    """Nothing is posted, not even for `--send`: it would be seen by everybody."""
    try:
        me = (await client.call("get_me")).get("data")
        number = identifier(me.get("id") if isinstance(me, dict) else None)
        username = word(me.get("username") if isinstance(me, dict) else None)
    except ChannelError as error:
        return [Check("account", ok=False, detail=str(error))]
    except ValueError:
        return [Check("account", ok=False, detail="The vendor does not say whose token this is")]
    return [
        _account(config, number, username),
        await _tried("mentions", client, "get_users_mentions", number, max_results=5),
        await _tried("answers", client, "search_recent_tweets", f"to:{username}", max_results=10),
        await _tried("messages", client, "get_direct_message_events", max_results=1),
    ]


def _account(config: XConfig, number: str, username: str) -> Check:
    told = own_id(config)
    if told and told != number:
        return Check("account", ok=False, detail=f"The keys are those of {number}, and user_id says {told}")
    if config.username and config.username.lower() != username.lower():
        return Check("account", ok=False, detail=f"The keys are those of @{username}: set username={username}")
    return Check("account", ok=True, detail=f"@{username}, number {number}")


async def _tried(name: str, client: Client, call: str, *args: str, max_results: int) -> Check:
    try:
        await client.call(call, *args, max_results=max_results)
    except ChannelError as error:
        return Check(name, ok=False, detail=str(error))
    return Check(name, ok=True, detail="can be read")
