"""The settings of one bot, as `helpdesk inbox add telegram --set key=value` takes them."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{30,200}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,256}")
_USERNAME = re.compile(r"[A-Za-z0-9_]{3,32}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class TelegramConfig(BaseModel):
    """A bot: its token, and how what people write to it comes in."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, str_max_length=2048)

    bot_token: SecretStr = Field(description="The token that BotFather gave, such as 123456789:AAE…")
    username: str = Field(description="The bot's user name, without the @", examples=["example_support_bot"])
    webhook_secret: SecretStr = Field(
        SecretStr(""), description="16 to 256 letters, digits, _ and -; sent back with every webhook, which needs it"
    )
    receive: Literal["auto", "poll", "webhook"] = Field(
        "auto", description="`auto` is `webhook` where there is a webhook_secret and the house is reached by https"
    )
    api_url: str = Field("", description="The origin of another Bot API server; unset: https://api.telegram.org")

    @field_validator("bot_token")
    @classmethod
    def _token(cls, value: SecretStr) -> SecretStr:
        if not _TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError("give the whole token: digits, a colon, and what follows")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _secret(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not _SECRET.fullmatch(value.get_secret_value()):
            raise ValueError("give 16 to 256 letters, digits, _ and -")
        return value

    @field_validator("username")
    @classmethod
    def _username(cls, value: str) -> str:
        value = value.removeprefix("@")
        if not _USERNAME.fullmatch(value):
            raise ValueError("give the bot's user name, such as example_support_bot")
        return value

    @field_validator("api_url")
    @classmethod
    def _api_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("give an origin such as https://bots.example.com")
        # The token is in every address; loopback is for a server of one's own on the same machine.
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("use https://")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _whole(self) -> TelegramConfig:
        if self.receive == "webhook" and not self.webhook_secret.get_secret_value():
            raise ValueError("webhook_secret: is needed to receive by webhook")
        return self

    @property
    def token(self) -> str:
        return self.bot_token.get_secret_value()

    @property
    def secret(self) -> str:
        return self.webhook_secret.get_secret_value()

    @property
    def bot_id(self) -> str:
        """The id of the bot's own account, with which its token begins."""
        return self.token.partition(":")[0]

    def by_webhook(self, base_url: str) -> bool:
        """Whether updates are to come by webhook to a house at `base_url`."""
        if self.receive == "auto":
            return bool(self.secret) and base_url.startswith("https://")
        return self.receive == "webhook"
