"""Settings: environment variables with one prefix, `HELPDESK_`, and what is refused in production."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from helpdesk.errors import FieldError, Invalid
from helpdesk.folders import make_folder, sync_folder


class Settings(BaseSettings):
    """Every setting of an installation. `.env.example` lists them with a word on each.

    The defaults are the embedded ones: SQLite, an in-process Redis and files, all below `data`.
    """

    model_config = SettingsConfigDict(env_prefix="HELPDESK_", env_file=".env", extra="ignore", frozen=True)

    env: Literal["development", "production"] = "development"
    data: Path = Path("helpdesk-data")
    database_url: str = ""
    redis_url: str = ""
    blob_url: str = ""
    secret_key: SecretStr = SecretStr("")
    base_url: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    smtp_bind: str = ""
    lmtp_bind: str = ""
    trusted_peers: str = ""
    allow_hosts: str = ""
    trusted_proxies: str = ""
    clock_file: str = ""
    failpoints: str = ""
    lease_seconds: float = 20.0
    tick_seconds: float = 2.0
    worker_loops: str = ""
    failing_after_seconds: float = 180.0
    uncertain_seconds: float = 30.0
    parse_seconds: float = 20.0
    parse_memory_mb: int = 1024
    ack_per_minute: int = 600
    triage: Literal["apply", "suggest", "off"] = "apply"
    rating_after_seconds: int = Field(default=3600, ge=0)
    rating_every_days: int = Field(default=30, ge=0)
    alert_from: str = ""
    database_pool: int = 10
    max_upload_mb: int = 25
    media_mb: int = 25
    continue_days: int = Field(default=14, ge=1)
    handoff_hours: int = Field(default=72, ge=1)
    demo_page: bool = False

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if value.startswith(("postgres://", "postgresql://")):
            value = "postgresql+asyncpg://" + value.split("://", 1)[1]
        if value and not value.startswith(("postgresql+asyncpg://", "sqlite+aiosqlite://")):
            raise ValueError("use postgresql+asyncpg://user:password@host/database or sqlite+aiosqlite:///file")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("use redis://host:port/0, rediss:// or unix://")
        return value

    @field_validator("base_url")
    @classmethod
    def _base(cls, value: str) -> str:
        if value and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("use https://helpdesk.example.com")
        return value.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _secret(cls, value: SecretStr) -> SecretStr:
        parse_secret_key(value.get_secret_value()) if value.get_secret_value() else None
        return value

    @property
    def embedded(self) -> bool:
        """Whether the database is the one in the data folder."""
        return not self.database_url

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.data / 'helpdesk.db'}"

    @property
    def hosts_allowed(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.allow_hosts.split(",") if part.strip())


def parse_secret_key(text: str) -> dict[int, bytes]:
    """`ID:BASE64[,ID:BASE64 ...]`, the current key first, ids 0-255, at least 32 bytes each. A bare key has id 1."""
    keys: dict[int, bytes] = {}
    for entry in text.split(","):
        head, colon, tail = entry.strip().rpartition(":")
        try:
            number = int(head) if colon else 1
            key = base64.b64decode(tail + "=" * (-len(tail) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise ValueError("use id:base64 of 32 random bytes, several separated by commas") from None
        if len(key) < 32 or not 0 <= number <= 255 or number in keys:
            raise ValueError("each key needs an id of its own (0-255) and at least 32 bytes")
        keys[number] = key
    return keys


def load(**given: object) -> Settings:
    """Read the settings, with `given` before the environment. Raises `Invalid`, naming the variable.

    Without `HELPDESK_SECRET_KEY`, outside production, a key is made once and kept in the data folder (mode 0600).
    """
    try:
        settings = Settings(**{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = [
            FieldError(
                "HELPDESK_" + ".".join(str(part) for part in e["loc"]).upper(),
                str(e["msg"]).removeprefix("Value error, "),
            )
            for e in error.errors(include_input=False, include_url=False)
        ]
        raise Invalid("; ".join(f"{w.field}: {w.message}" for w in wrong), errors=wrong) from None
    _refuse_what_is_unsafe(settings)
    if not settings.secret_key.get_secret_value():
        settings = settings.model_copy(update={"secret_key": SecretStr(_kept_key(settings.data))})
    return settings


def _refuse_what_is_unsafe(settings: Settings) -> None:
    if settings.env != "production":
        return
    unsafe = [
        ("SECRET_KEY", not settings.secret_key.get_secret_value(), "is needed in production"),
        ("BASE_URL", not settings.base_url.startswith("https://"), "must be an https:// address in production"),
        ("CLOCK_FILE", bool(settings.clock_file), "shifts time and is refused in production"),
        ("FAILPOINTS", bool(settings.failpoints), "ends the process and is refused in production"),
    ]
    wrong = [FieldError(f"HELPDESK_{name}", why) for name, bad, why in unsafe if bad]
    if wrong:
        raise Invalid("; ".join(f"{w.field} {w.message}" for w in wrong), errors=wrong)


def _kept_key(data: Path) -> str:
    path = data / "secret.key"
    try:
        make_folder(data)
        if path.exists():
            return path.read_text(encoding="ascii").strip()
        text = "1:" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        # Linked into place, so that two processes that start at once end up with the same key.
        draft = path.with_name(f"secret.key.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        draft.unlink()
        sync_folder(data)
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise Invalid.field("HELPDESK_DATA", f"{data} cannot be written ({error.strerror})") from None
