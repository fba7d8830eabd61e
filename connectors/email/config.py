"""The settings of one e-mail inbox, as `helpdesk inbox add email --set key=value` takes them.

Whatever can be known to be wrong is refused here, with the field named. Secrets are `SecretStr`: the core stores them
encrypted and apart; a password inside a URL is moved to its own field, so that no URL that is shown ever holds one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

_ADDRESS = re.compile(r"[^@\s<>,;\"\\]{1,64}@[^@\s<>,;\"\\]{1,255}")
_IMAP_SCHEMES = {"imaps": 993, "imap+starttls": 143, "imap": 143}
_LOOPBACK = {("http", "127.0.0.1"), ("http", "localhost"), ("http", "::1")}
_SMTP_SCHEMES = {"smtps": 465, "smtp+starttls": 587, "smtp": 25}


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect and how: `tls` is `implicit`, `starttls` or `none`."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    mailbox: str = "INBOX"


class EmailConfig(BaseModel):
    """An e-mail inbox: how mail comes in, how it leaves, and how both are shown."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, str_max_length=2048)

    address: str = Field(description="The support address that customers write to", examples=["support@example.com"])
    display_name: str = Field("", description="The name beside the address in outgoing mail", max_length=120)
    receive: Literal["imap", "smtp"] = Field("smtp", description="`imap` polls a mailbox; `smtp` is the built-in door")
    imap_url: str = Field("", description="imaps://, imap+starttls:// or imap://, host, port and mailbox")
    imap_user: str = Field("", description="The IMAP login, unless it is in the URL")
    imap_password: SecretStr = Field(SecretStr(""), description="The IMAP password, unless it is in the URL")
    smtp_url: str = Field("", description="smtps://, smtp+starttls:// or smtp://; unset: mail is written to files")
    smtp_user: str = Field("", description="The SMTP login, unless it is in the URL")
    smtp_password: SecretStr = Field(SecretStr(""), description="The SMTP password, unless it is in the URL")
    auth: Literal["password", "xoauth2"] = Field("password", description="How both servers are logged in to")
    oauth_provider: Literal["", "google", "microsoft", "custom"] = Field("", description="Whose OAuth 2 endpoints")
    oauth_client_id: str = Field("", description="The client id registered there")
    oauth_client_secret: SecretStr = Field(SecretStr(""), description="Its secret, where there is one")
    oauth_refresh_token: SecretStr = Field(SecretStr(""), description="Fetched by `helpdesk inbox authorize`")
    oauth_token_url: str = Field("", description="The token endpoint, for `custom`")
    oauth_authorize_url: str = Field("", description="The authorization endpoint, for `custom`")
    oauth_device_url: str = Field("", description="The device authorization endpoint, for `custom`")
    oauth_scope: str = Field("", description="Scopes, separated by spaces; unset: the provider's for IMAP and SMTP")
    reply_address: str = Field("", description="For example support+{token}@example.com; unset: no Reply-To")
    authserv_id: str = Field("", description="The id in Authentication-Results that is believed; unset: none is")
    mark_seen: bool = Field(True, description="Set \\Seen after a mail is stored")
    sent_mailbox: str = Field("", description="The IMAP mailbox that replies are appended to")
    trusted_forwarders: list[str] = Field(
        default_factory=list, description="Addresses or domains whose forwarded mail keeps its original sender"
    )
    signature: str = Field("", description="Appended to replies", max_length=2000)
    ca_file: str = Field("", description="A PEM file with the private certificate authority of these servers")
    poll_seconds: int = Field(60, ge=1, le=600, description="How often is looked when IDLE stays silent")

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        if not _ADDRESS.fullmatch(value):
            raise ValueError("give one plain address such as support@example.com")
        local, _, domain = value.rpartition("@")
        return f"{local}@{domain.lower()}"

    @field_validator("display_name", "imap_user", "smtp_user", "authserv_id", "sent_mailbox")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise ValueError("control characters are not allowed")
        return value

    @field_validator("oauth_token_url", "oauth_authorize_url", "oauth_device_url")
    @classmethod
    def _https(cls, value: str) -> str:
        # Secrets go there in the clear otherwise; loopback is for trying things out.
        parts = urlsplit(value)
        if value and parts.scheme != "https" and (parts.scheme, parts.hostname) not in _LOOPBACK:
            raise ValueError("use https://")
        return value

    @field_validator("trusted_forwarders", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return [part.strip().lower() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("reply_address")
    @classmethod
    def _reply_address(cls, value: str) -> str:
        if not value:
            return value
        if value.count("{token}") != 1 or not _ADDRESS.fullmatch(value.replace("{token}", "t")):
            raise ValueError("give an address with {token} in its local part, such as support+{token}@example.com")
        local, _, domain = value.rpartition("@")
        if "{token}" not in local:
            raise ValueError("{token} belongs before the @")
        if len(local.replace("{token}", "")) + TOKEN_LENGTH > 64:
            raise ValueError(f"the part before the @ may be {64 - TOKEN_LENGTH} characters long, besides {{token}}")
        return f"{local}@{domain.lower()}"

    @model_validator(mode="before")
    @classmethod
    def _credentials_out_of_urls(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for kind, schemes in (("imap", _IMAP_SCHEMES), ("smtp", _SMTP_SCHEMES)):
            url = data.get(f"{kind}_url")
            if not isinstance(url, str) or not url.strip():
                continue
            try:
                parts = urlsplit(url.strip())
                _ = parts.port
            except ValueError:
                raise ValueError(f"{kind}_url: this is not a URL") from None
            if parts.username:
                data[f"{kind}_user"] = unquote(parts.username)
            if parts.password:
                data[f"{kind}_password"] = unquote(parts.password)
            data[f"{kind}_url"] = _without_login(parts)
            if parts.scheme not in schemes or not parts.hostname:
                raise ValueError(f"{kind}_url: use {', '.join(f'{s}://host' for s in schemes)}")
        return data

    @model_validator(mode="after")
    def _whole(self) -> EmailConfig:
        if self.receive == "imap" and not self.imap_url:
            raise ValueError("imap_url: is needed to receive by IMAP")
        if self.receive == "imap" and not self.imap_user:
            raise ValueError("imap_user: is needed to receive by IMAP")
        if self.sent_mailbox and not self.imap_url:
            raise ValueError("imap_url: is needed to append to sent_mailbox")
        if self.auth == "xoauth2":
            if not self.oauth_provider:
                raise ValueError("oauth_provider: google, microsoft or custom")
            if not self.oauth_client_id:
                raise ValueError("oauth_client_id: is needed for xoauth2")
            if self.oauth_provider == "custom" and not self.oauth_token_url:
                raise ValueError("oauth_token_url: is needed for a custom provider")
        return self

    @property
    def imap(self) -> Server | None:
        return _server(self.imap_url, _IMAP_SCHEMES, with_mailbox=True)

    @property
    def smtp(self) -> Server | None:
        return _server(self.smtp_url, _SMTP_SCHEMES, with_mailbox=False)

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


TOKEN_LENGTH = 36
"""Characters of a reply token; `tests/domain/test_tokens.py` holds it against the domain's."""


def _without_login(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    netloc = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def _server(url: str, schemes: dict[str, int], *, with_mailbox: bool) -> Server | None:
    if not url:
        return None
    parts = urlsplit(url)
    tls: Literal["implicit", "starttls", "none"] = (
        "implicit"
        if parts.scheme.endswith("s") and "+" not in parts.scheme
        else "starttls"
        if parts.scheme.endswith("+starttls")
        else "none"
    )
    mailbox = unquote(parts.path.strip("/")) if with_mailbox else ""
    return Server(parts.hostname or "", parts.port or schemes[parts.scheme], tls, mailbox or "INBOX")
