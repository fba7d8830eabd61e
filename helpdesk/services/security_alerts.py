"""What every administrator is told at once: a change by which mail, events or people could be led astray.

An administrator whose session or password was stolen would make just these; his colleagues are to see it by a road
that he cannot close.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import new_id
from helpdesk.domain.actions import Alert
from helpdesk.domain.alerting import Severity
from helpdesk.domain.values import Actor
from helpdesk.services import alerts
from helpdesk.services.access import require_recent
from helpdesk.services.house import Services

KIND: Final = "security_change"


class Change(StrEnum):
    """What was changed; `domain.alert_texts` says it in words."""

    INBOX = "inbox"
    WEBHOOK = "webhook"
    ALERT_ROUTE = "alert_route"
    TOKEN = "token"  # noqa: S105 - a word of ours, no token
    EMAIL = "email"
    ROLE = "role"
    PASSWORD = "password"  # noqa: S105 - a word of ours, no password
    TWO_STEPS = "two_steps"
    SIGN_ON = "sign_on"


async def permit(
    services: Services, session: AsyncSession, change: Change, *, subject_id: UUID, by: Actor, now: datetime
) -> None:
    """Call it in the transaction of the change: it is undone where the password was not given lately.

    Raises `Unverified` then. An alert calls every active administrator, on duty or not; its data name who did it.
    """
    require_recent(by, now=now)
    await tell(services, session, change, subject_id=subject_id, by=by, now=now)


async def tell(
    services: Services, session: AsyncSession, change: Change, *, subject_id: UUID, by: Actor, now: datetime
) -> None:
    """The alert alone, for the end of something at whose beginning the password was asked for."""
    call = Alert(who=("anybody",), agent_ids=(), severity=Severity.WARNING.value, acknowledge=None)
    data = {"change": change.value, "subject_id": str(subject_id), "agent_id": str(by.id) if by.id else None}
    subject = alerts.Subject(f"{KIND}:{new_id()}", KIND)
    await alerts.call(services, session, subject, [call], None, data=data, now=now)


_LEADS: Final = ("address", "reply_address", "trusted_forwarders", "origins", "identity_public_key")
"""Settings that say where answers go or who may speak for others; with all that end in `_url`."""

_VOUCHES: Final = frozenset({"identity_secret"})
"""The same of those that are secret, of which only is known that they were given."""


def leads_elsewhere(before: Mapping[str, Any], after: Mapping[str, Any], given: Iterable[str] = ()) -> bool:
    """Whether an inbox with these public settings sends, receives or trusts where it did not before.

    `given` names all settings of the change.
    """
    if not _VOUCHES.isdisjoint(given):
        return True
    names = {name for name in (*before, *after) if name in _LEADS or name.endswith("_url")}
    return any(_place(before.get(name)) != _place(after.get(name)) for name in names)


def _place(value: Any) -> Any:
    """Of a URL, the scheme, host and port; of anything else, all of it."""
    if not isinstance(value, str) or "://" not in value:
        return value or ""
    try:
        parts = urlsplit(value)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return value
