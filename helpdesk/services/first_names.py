"""Calling what a new house begins with in the language of its first administrator.

Names are data that people change, so nobody translates them later: they are what they are called from the first day.
"""

from __future__ import annotations

from sqlalchemy import case, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.first_names import NAMES
from helpdesk.models.sla import business_hours, escalation_rules, sla_policies


async def speak(session: AsyncSession, language: str) -> None:
    """Only what is as it was made: nobody has seen it, so it makes no new version."""
    names = NAMES.get(language)
    if names is None:
        return
    for table in (business_hours, sla_policies, escalation_rules):
        untouched = (table.c.version == 1, table.c.name.in_(names))
        await session.execute(update(table).where(*untouched).values(name=case(names, value=table.c.name)))
