"""An account as the API shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.x.ids import identifier
from helpdesk.channels import Address, Profile


def profile_of(user: Mapping[str, Any]) -> Profile:
    """Raises ValueError where there is no id."""
    username = word(user.get("username"))
    metrics = user.get("public_metrics")
    followers = metrics.get("followers_count") if isinstance(metrics, dict) else None
    kind = word(user.get("verified_type")).lower()
    return Profile(
        id=identifier(user.get("id")),
        handle=username,
        name=word(user.get("name")),
        url=f"https://x.com/{username}" if username else "",
        followers=followers if isinstance(followers, int) and not isinstance(followers, bool) else None,
        verified="" if kind == "none" else kind,
        # The name without its size is the picture as it was uploaded.
        avatar_url=word(user.get("profile_image_url")).replace("_normal.", "."),
        created_at=moment(user.get("created_at")),
    )


def address_of(number: str, profile: Profile | None) -> Address:
    """The number identifies; the name is what people see, the user name where there is none."""
    if profile is None:
        return Address(number)
    return Address(number, profile.name or (f"@{profile.handle}" if profile.handle else ""))


def word(value: object) -> str:
    return value if isinstance(value, str) else ""


def moment(value: object) -> datetime | None:
    """A time of the API, with its zone."""
    try:
        found = datetime.fromisoformat(word(value))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
