"""The settings of one chat inbox, as `helpdesk inbox add chat --set key=value` takes them.

Whatever can be known to be wrong is refused here, with the field named.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from connectors.chat import origins

LANGUAGES: Final = ("en", "zh-CN", "zh-TW")
FIELDS: Final = ("name", "email", "category", "account", "transaction_hash", "wallet_address")
"""What the form before the first message may ask for."""

LEAST_SECRET: Final = 32
_MOST_ORIGINS: Final = 50
_COLOR: Final = re.compile(r"#[0-9a-f]{6}")


class ChatConfig(BaseModel):
    """A chat inbox: who may embed it, who may vouch for visitors, and how it looks."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, str_max_length=2048)

    origins: list[str] = Field(
        default_factory=list,
        max_length=_MOST_ORIGINS,
        description="The sites that may embed it, as browsers name them, separated by commas",
        examples=["https://wallet.example"],
    )
    identity_secret: SecretStr = Field(
        SecretStr(""), description="What the host site signs identities with (HS256), 32 characters or more"
    )
    identity_public_key: str = Field("", description="Or the Ed25519 public key that it signs against (EdDSA), as PEM")
    title: str = Field("Support", min_length=1, max_length=60, description="At the top, in English")
    title_zh_cn: str = Field("客服", min_length=1, max_length=60, description="At the top, in simplified Chinese")
    title_zh_tw: str = Field("客服", min_length=1, max_length=60, description="At the top, in traditional Chinese")
    greeting: str = Field("Hello! How can we help?", max_length=500, description="Before the first message")
    greeting_zh_cn: str = Field(
        "您好！请问有什么可以帮您？", max_length=500, description="The same in simplified Chinese"
    )
    greeting_zh_tw: str = Field(
        "您好！請問有什麼可以幫您？", max_length=500, description="The same in traditional Chinese"
    )
    color: str = Field("#0b57d0", description="The accent, as #rrggbb")
    prechat: list[str] = Field(
        default_factory=list,
        description=f"Asked before the first message: any of {', '.join(FIELDS)}; * behind what has to be given",
    )
    default_language: Literal["en", "zh-CN", "zh-TW"] = Field(
        "en", description="Where neither page nor browser say one that is known"
    )

    @field_validator("origins", "prechat", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("origins")
    @classmethod
    def _origins(cls, value: list[str]) -> list[str]:
        return list(dict.fromkeys(origins.judge(one) for one in value))

    @field_validator("identity_secret")
    @classmethod
    def _secret(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < LEAST_SECRET:
            raise ValueError(f"use {LEAST_SECRET} random characters or more: a shorter one can be guessed")
        return value

    @field_validator("identity_public_key")
    @classmethod
    def _public_key(cls, value: str) -> str:
        if "PRIVATE KEY" in value:
            raise ValueError("this is a private key, which stays with the host site: give the public one")
        try:
            key = load_pem_public_key(value.encode()) if value else None
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("give a public key as PEM: -----BEGIN PUBLIC KEY-----") from None
        if key is not None and not isinstance(key, Ed25519PublicKey):
            raise ValueError("give the public key of an Ed25519 pair: openssl genpkey -algorithm ed25519")
        return value

    @field_validator("color")
    @classmethod
    def _color(cls, value: str) -> str:
        if not _COLOR.fullmatch(value.lower()):
            raise ValueError("use #rrggbb, such as #0b57d0")
        return value.lower()

    @field_validator("prechat")
    @classmethod
    def _prechat(cls, value: list[str]) -> list[str]:
        names = [one.removesuffix("*") for one in value]
        if not set(names) <= set(FIELDS):
            raise ValueError(f"use any of {', '.join(FIELDS)}, with * behind what has to be given")
        if len(set(names)) < len(names):
            raise ValueError("name each field once")
        return value

    @model_validator(mode="after")
    def _whole(self) -> ChatConfig:
        # Of two ways to vouch for a visitor the weaker one decides.
        if self.identity_secret.get_secret_value() and self.identity_public_key:
            raise ValueError("identity_public_key: give this or identity_secret, and empty the other")
        return self

    @property
    def fields(self) -> dict[str, bool]:
        """What the form asks for, in its order, and whether it has to be given."""
        return {one.removesuffix("*"): one.endswith("*") for one in self.prechat}

    @property
    def vouched(self) -> bool:
        """Whether a host site may say who a visitor is."""
        return bool(self.identity_secret.get_secret_value() or self.identity_public_key)
