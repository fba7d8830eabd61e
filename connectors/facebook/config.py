"""The settings of a Page's or an Instagram account's inbox; `README.md` explains each."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

GRAPH: Final = "https://graph.facebook.com"

_ID: Final = r"^[0-9]{1,40}$"
_PLAIN: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class MetaConfig(BaseModel):
    """An inbox of a Page, which may take the messages and comments of its Instagram account as well."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, coerce_numbers_to_str=True)

    page_id: str = Field(pattern=_ID, description="The Page's numeric id")
    page_token: SecretStr = Field(min_length=1, description="The Page's access token")
    app_secret: SecretStr = Field(min_length=1, description="The app's secret: it signs webhooks, and our calls")
    verify_token: SecretStr = Field(min_length=1, description="A word of your own, to be entered with the webhook")
    instagram_id: str = Field("", description="The id of the Page's Instagram account", pattern=r"^[0-9]{0,40}$")
    api_url: str = Field("", description="Another origin than the vendor's: a proxy, a test server")
    graph_version: str = Field("v25.0", pattern=r"^v[0-9]{1,3}\.[0-9]$", description="The version of the Graph API")

    @field_validator("page_id", "instagram_id", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        if isinstance(value, str) and value.strip() and not (value.strip().isascii() and value.strip().isdecimal()):
            raise ValueError("give the numeric id, digits alone: the name is another thing")
        return value

    @field_validator("page_token", "app_secret", "verify_token")
    @classmethod
    def _one_word(cls, value: SecretStr) -> SecretStr:
        word = value.get_secret_value().strip()
        if not word.isascii() or not word.isprintable() or " " in word or not word:
            raise ValueError("give it as it was shown: letters, digits and signs, without spaces")
        return SecretStr(word)

    @field_validator("api_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("give an origin such as https://graph.example.com")
        if value and parts.scheme != "https" and parts.hostname not in _PLAIN:
            raise ValueError("use https://")  # the token goes there
        return value.rstrip("/")

    @property
    def base_url(self) -> str:
        """What paths of calls are appended to."""
        return f"{self.api_url or GRAPH}/{self.graph_version}"


class InstagramConfig(MetaConfig):
    """An inbox of an Instagram account alone. The Page that it belongs to speaks for it."""

    instagram_id: str = Field(pattern=_ID, description="The Instagram account's numeric id")
