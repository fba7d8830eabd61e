"""Telegram: private chats with a bot, and groups that call it."""

from datetime import timedelta

from helpdesk.channels import Capabilities, Channel

CHANNEL = Channel(
    name="telegram",
    title="Telegram",
    capabilities=Capabilities(
        attachments=True,
        public_replies=True,
        looks_up=False,
        max_length=4096,
        # A bot cannot write first: whoever only spoke in a group has to open the chat with it himself.
        private_reply_window=timedelta(0),
    ),
    config="connectors.telegram.config:TelegramConfig",
    connector="connectors.telegram.connector:TelegramConnector",
    parse="connectors.telegram.parse:parse",
    address_key="username",
    routes="connectors.telegram.routes:routes",
    measure="connectors.telegram.text:measure",
)
