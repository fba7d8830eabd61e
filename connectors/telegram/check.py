"""`helpdesk inbox check`: whether the token is taken, and whether updates can come in."""

from __future__ import annotations

from uuid import UUID

from aiogram.methods import GetMe, GetWebhookInfo

from connectors.telegram.config import TelegramConfig
from connectors.telegram.session import Api
from helpdesk.channels import ChannelError, Check


async def check(config: TelegramConfig, api: Api, base_url: str, inbox_id: UUID) -> list[Check]:
    """Nothing is changed, and nothing is sent: a bot has nobody to write to."""
    try:
        me = await api.call(GetMe())
        info = await api.call(GetWebhookInfo())
    except ChannelError as error:
        return [Check("token", ok=False, detail=error.detail)]
    me, info = (one if isinstance(one, dict) else {} for one in (me, info))
    same = str(me.get("username", "")).lower() == config.username.lower()
    found = [
        Check("token", ok=True),
        Check("username", ok=same, detail="" if same else "Set username to the bot's own, or groups do not reach it"),
    ]
    if me.get("can_read_all_group_messages") is True:
        found.append(Check("privacy", ok=True, detail="The bot reads all that groups say: /setprivacy ends that"))
    return [*found, _way_in(config, base_url, inbox_id, str(info.get("url", "")))]


def _way_in(config: TelegramConfig, base_url: str, inbox_id: UUID, there: str) -> Check:
    if not config.by_webhook(base_url):
        return Check(
            "poll", ok=True, detail="A webhook is set; it is taken away when the inbox starts" if there else ""
        )
    if not base_url.startswith("https://") and not config.api_url:
        return Check("webhook", ok=False, detail="HELPDESK_BASE_URL has to begin with https://")
    ours = there == f"{base_url}/channels/telegram/{inbox_id}/webhook"
    return Check("webhook", ok=True, detail="" if ours else "It is set when the inbox starts")
