"""The settings of one account, as `helpdesk inbox add x --set key=value` takes them."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

ORIGIN = "https://api.twitter.com"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OAUTH_1 = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")


class XConfig(BaseModel):
    """An account: either the four keys of OAuth 1.0a, or a client and its refresh token of OAuth 2.0."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, str_max_length=2048)

    username: str = Field("", description="The account's name without @; `inbox check` tells it", max_length=15)
    user_id: str = Field("", description="The account's number; unset: asked once", pattern=r"^[0-9]{0,19}$")
    consumer_key: str = Field("", description="OAuth 1.0a: the app's API key")
    consumer_secret: SecretStr = Field(SecretStr(""), description="OAuth 1.0a: the app's API key secret")
    access_token: SecretStr = Field(SecretStr(""), description="OAuth 1.0a: the account's access token")
    access_token_secret: SecretStr = Field(SecretStr(""), description="OAuth 1.0a: its secret")
    client_id: str = Field("", description="OAuth 2.0: the app's client id")
    client_secret: SecretStr = Field(SecretStr(""), description="OAuth 2.0: its secret, where the app is confidential")
    refresh_token: SecretStr = Field(SecretStr(""), description="OAuth 2.0: fetched by `helpdesk inbox authorize`")
    oauth2_access_token: SecretStr = Field(SecretStr(""), description="OAuth 2.0: written by the connector itself")
    oauth_redirect: str = Field(
        "http://127.0.0.1:8765/",
        description="OAuth 2.0: the callback registered with the app; `inbox authorize` listens there",
    )
    api_url: str = Field("", description="Replaces the vendor's origin: a proxy, a test server")
    post_length: Literal[280, 4000, 25000] = Field(280, description="How long a post may be; more for premium accounts")
    monthly_reads: int = Field(10_000, ge=100, le=100_000_000, description="Posts that the plan lets us read a month")
    poll_seconds: int = Field(60, ge=1, le=900, description="How often is looked, while the reads last")
    webhook: bool = Field(False, description="Register a webhook; polling goes on, less often")

    @field_validator("username")
    @classmethod
    def _plain(cls, value: str) -> str:
        return value.removeprefix("@")

    @field_validator("api_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        # Tokens go there in the clear otherwise; loopback is for trying things out.
        parts = urlsplit(value)
        if value and parts.scheme != "https" and (parts.scheme, parts.hostname in _LOOPBACK) != ("http", True):
            raise ValueError("use https://")
        if value and (not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment):
            raise ValueError("give an origin such as https://proxy.example.com")
        return value.rstrip("/")

    @field_validator("oauth_redirect")
    @classmethod
    def _loopback(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "::1") or not parts.port:
            raise ValueError("give a port of this machine, such as http://127.0.0.1:8765/")
        return value

    @model_validator(mode="after")
    def _whole(self) -> XConfig:
        given = [name for name in _OAUTH_1 if _plain(getattr(self, name))]
        if self.client_id and given in ([], ["consumer_key", "consumer_secret"]):
            # An app's own keys may stand beside: they sign webhooks.
            pass
        elif not self.client_id and len(given) == len(_OAUTH_1):
            pass
        else:
            raise ValueError(f"{_OAUTH_1[0]}: give {', '.join(_OAUTH_1)} together, or client_id with a refresh_token")
        if self.webhook and not self.consumer_secret.get_secret_value():
            raise ValueError("consumer_secret: is needed to check what comes by webhook")
        if self.webhook and not own_id(self):
            raise ValueError("user_id: is needed with OAuth 2.0 to know whose events come by webhook")
        return self

    @property
    def oauth2(self) -> bool:
        return bool(self.client_id)


def _plain(value: str | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def origin(config: XConfig) -> str:
    return config.api_url or ORIGIN


def own_id(config: XConfig) -> str:
    """The account's number, or an empty text where only the other side knows: an OAuth 1.0a token begins with it."""
    head, dash, _ = config.access_token.get_secret_value().partition("-")
    return config.user_id or (head if dash and head.isdecimal() and not config.oauth2 else "")
