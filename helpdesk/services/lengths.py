"""How long a text may be: what the channel measures, and what becomes of a text that is longer.

A long public answer goes as several posts where the channel has them; whatever else is too long is refused, with what
it weighs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Channel, Length
from helpdesk.domain import chains
from helpdesk.domain.values import Visibility
from helpdesk.errors import FieldError, Invalid
from helpdesk.models.inboxes import inboxes

BOUNDLESS: Final = 2**31 - 1
"""The limit where the channel has none."""


def parts(channel: Channel, text: str, visibility: str, config: Mapping[str, Any]) -> list[str]:
    """The texts that leave, in order. Raises `Invalid` (`text_too_long`, with the `length`)."""
    whole = measured(channel, text, visibility, config)
    if whole.used <= whole.limit:
        return [text]
    can = channel.capabilities
    made, most = None, chains.MOST if can.chains and visibility == Visibility.PUBLIC else 1
    if most > 1 and whole.used <= whole.limit * most:

        def fits(part: str) -> bool:
            length = measured(channel, part, visibility, config)
            return length.used <= length.limit

        made = chains.chain(text, fits)
    if made is None:
        raise _too_long(whole, most)
    return made


def measured(channel: Channel, text: str, visibility: str, config: Mapping[str, Any]) -> Length:
    """How long the channel takes the whole text to be, and how long one message may be."""
    if channel.measure:
        return channel.load_measure()(text, visibility, config)
    most = channel.capabilities.max_length
    return Length(len(text), BOUNDLESS if most is None else most)


async def config_of(session: AsyncSession, channel: Channel, inbox_id: UUID) -> Mapping[str, Any]:
    """The inbox's public configuration, on which a measure may depend. Asked only where there is one."""
    if not channel.measure:
        return {}
    found: Mapping[str, Any] = (
        await session.execute(select(inboxes.c.config).where(inboxes.c.id == inbox_id))
    ).scalar_one()
    return found


def _too_long(length: Length, most: int) -> Invalid:
    unit = length.unit if length.unit in ("characters", "bytes") else f"{length.unit} characters"
    posts = f"{most} posts of " if most > 1 else ""
    detail = f"this channel takes at most {posts}{length.limit} {unit}, and this has {length.used}: shorten it"
    told = {"length": {"used": length.used, "limit": length.limit, "unit": length.unit}}
    return Invalid(f"text: {detail}", errors=[FieldError("text", detail)], extra=told, slug="text_too_long")
