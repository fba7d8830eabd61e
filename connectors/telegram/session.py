"""Where the Bot API is spoken to."""

from __future__ import annotations

from aiogram.client.telegram import PRODUCTION, TelegramAPIServer


def server(api_url: str) -> TelegramAPIServer:
    """The vendor's own, or the one at `api_url`."""
    return TelegramAPIServer.from_base(api_url) if api_url else PRODUCTION
