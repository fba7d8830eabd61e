"""What an inbox is told: settings checked by their channel's own model, secrets sealed apart, and a saved password that
never follows to a changed host.

`COMMON` are settings of every inbox; all others are the channel's. By the one of `continued_by_id` goes on what a
visitor of a live channel does not read in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from pydantic import BaseModel, SecretStr, ValidationError
from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Channel
from helpdesk.errors import FieldError, Invalid, NotFound
from helpdesk.models.inboxes import inboxes
from helpdesk.services.house import Services

SWITCHES: Final = ("rating", "integration_replies_count")
COMMON: Final = ("team_id", "business_hours_id", "sla_policy_id", *SWITCHES, "continued_by_id")


def check_hosts(descriptor: Channel, before: Mapping[str, Any], after: BaseModel, given: Mapping[str, Any]) -> None:
    """A secret goes only to the host that it was saved for: whoever may change a host must know the secret as well.

    `imap_password` belongs to `imap_url`. A secret that belongs to no URL by its name (an OAuth grant, a token) may
    be sent to any of them, in whatever form, so it has to be given again for each.
    """
    public, secret = apart(after)
    stems = tuple(name.removesuffix("url") for name in public if name.endswith("_url"))
    for name, value in public.items():
        if not name.endswith("_url") or _host(value) == _host(before.get(name)):
            continue
        stem = name.removesuffix("url")
        at_risk = [s for s in secret if s.startswith(stem) or not s.startswith(stems)]
        in_url = bool(urlsplit(str(given.get(name) or "")).password)
        missing = [s for s in at_risk if not given.get(s) and not (in_url and s == f"{stem}password")]
        if missing:
            raise Invalid(
                f"{name} names another host: give the saved secrets for it again",
                errors=[
                    FieldError(f"settings.{s}", f"give it again, since {name} names another host") for s in missing
                ],
            )


def _host(url: Any) -> tuple[str, str | None, int | None]:
    """Scheme too: from TLS to plain is another place to send a password to."""
    try:
        parts = urlsplit(str(url or ""))
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return "", None, None


def parted(settings: Mapping[str, Any]) -> tuple[dict[str, UUID | bool | None], dict[str, Any]]:
    """Those of every inbox, and the channel's own as they were given."""
    common: dict[str, UUID | bool | None] = {}
    for name in COMMON:
        if name in settings:
            common[name] = (_switch if name in SWITCHES else _id)(name, settings[name])
    return common, {name: value for name, value in settings.items() if name not in COMMON}


def _id(name: str, value: Any) -> UUID | None:
    try:
        return None if value in (None, "") else UUID(str(value))
    except ValueError:
        raise Invalid.field(name, "use an id") from None


def _switch(name: str, value: Any) -> bool:
    word = str(value).lower()
    if word not in ("on", "off", "true", "false"):
        raise Invalid.field(name, "use on or off")
    return word in ("on", "true")


def validated(descriptor: Channel, settings: Mapping[str, Any]) -> BaseModel:
    """Raises `Invalid` naming the settings that are wrong."""
    try:
        return descriptor.load_config().model_validate(dict(settings))
    except ValidationError as error:
        wrong = []
        for found in error.errors(include_input=False, include_url=False, include_context=False):
            message = found["msg"].removeprefix("Value error, ")
            place = ".".join(str(part) for part in found["loc"])
            if not place and ": " in message:  # a rule over several settings names the one to change
                place, message = message.split(": ", 1)
            wrong.append(FieldError(f"settings.{place}" if place else "settings", message))
        raise Invalid("; ".join(f"{w.field}: {w.message}" for w in wrong), errors=wrong) from None


def apart(config: BaseModel) -> tuple[dict[str, Any], dict[str, str]]:
    """Public settings as JSON values, and the secrets that are not empty."""
    secret = {
        name: value.get_secret_value()
        for name in type(config).model_fields
        if isinstance(value := getattr(config, name), SecretStr)
    }
    public = config.model_dump(mode="json", exclude=set(secret))
    return public, {name: value for name, value in secret.items() if value}


def handle_of(descriptor: Channel, public: Mapping[str, Any]) -> str:
    return str(public.get(descriptor.address_key) or "").lower() if descriptor.address_key else ""


def sealed(services: Services, inbox_id: UUID, secret: Mapping[str, str]) -> bytes:
    return services.keyring.seal(orjson.dumps(dict(secret)), row=f"inbox:{inbox_id}:secrets") if secret else b""


def open_secrets(services: Services, row: RowMapping) -> dict[str, str]:
    """Raises `CannotOpen` when the master key is not here."""
    if not row["secrets"]:
        return {}
    found: dict[str, str] = orjson.loads(services.keyring.open(row["secrets"], row=f"inbox:{row['id']}:secrets"))
    return found


def load_config(services: Services, row: RowMapping) -> BaseModel:
    """The whole configuration of an inbox row, secrets included."""
    descriptor = services.channel(row["channel"])
    return validated(descriptor, {**row["config"], **open_secrets(services, row)})


async def save_secrets(services: Services, session: AsyncSession, inbox_id: UUID, changed: Mapping[str, str]) -> None:
    """Store rotated secrets beside the others. No new version: nobody who edits the settings has missed anything."""
    row = (
        (await session.execute(select(inboxes).where(inboxes.c.id == inbox_id).with_for_update(key_share=True)))
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound("there is no such inbox")
    merged = {**open_secrets(services, row), **changed}
    packed = sealed(services, inbox_id, {name: value for name, value in merged.items() if value})
    await session.execute(update(inboxes).where(inboxes.c.id == inbox_id).values(secrets=packed))
