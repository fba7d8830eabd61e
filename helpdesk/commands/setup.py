"""`migrate`, `agent`, `token` and `keys`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Table, func, select, update

from helpdesk import migrate
from helpdesk.clock import now
from helpdesk.commands.opened import opened
from helpdesk.config import Settings
from helpdesk.crypto import Keyring
from helpdesk.domain.account_texts import LANGUAGES
from helpdesk.domain.values import SYSTEM
from helpdesk.errors import Invalid
from helpdesk.models.agents import agents as agent_rows
from helpdesk.models.agents import sso_logins, sso_providers
from helpdesk.models.alerts import alert_routes
from helpdesk.models.contacts import contacts
from helpdesk.models.inboxes import inboxes
from helpdesk.models.visitors import visitor_codes
from helpdesk.models.webhooks import webhooks
from helpdesk.services import agents, first_names, passwords, tokens
from helpdesk.services.house import Services
from helpdesk.wiring import open_services

_PAGE = 500


async def migrate_database(settings: Settings) -> list[str]:
    services = open_services(settings)
    try:
        revision = await migrate.upgrade(services.database)
    finally:
        await services.database.close()
    return [f"the database is at revision {revision}"]


async def create_agent(
    settings: Settings, *, email: str, name: str, role: str, locale: str = "en", password: str | None
) -> list[str]:
    if locale not in LANGUAGES:
        raise Invalid.field("locale", f"use one of {', '.join(LANGUAGES)}")
    if password is not None and len(password) < passwords.MIN_LENGTH:
        raise Invalid.field("password", f"use at least {passwords.MIN_LENGTH} characters")
    async with opened(settings) as services, services.database.transaction() as session:
        if not await session.scalar(select(func.count()).select_from(agent_rows)):
            await first_names.speak(session, locale)
        agent_id = await agents.create(
            session, email=email, name=name, role=role, password=password, locale=locale, by=SYSTEM, now=now()
        )
    return [str(agent_id)]


async def create_token(
    settings: Settings, *, agent: str, name: str, kind: str, scopes: Sequence[str] | None
) -> list[str]:
    async with opened(settings) as services, services.database.transaction() as session:
        found = await agents.find_by_email(session, agent)
        if found is None:
            raise Invalid.field("agent", "there is no agent with this address")
        _, token = await tokens.create_token(
            session, agent_id=found["id"], name=name, kind=kind, scopes=scopes or (), by=SYSTEM, now=now()
        )
    return [token]


async def rotate_keys(settings: Settings) -> list[str]:
    """Seal anew what the master key seals. What these keys wrap in turn stays as it is."""
    async with opened(settings) as services:
        count = 0
        for table, columns in SEALED.items():
            count += await _reseal(services, table, columns)
    return [f"{count} keys are sealed with key {services.keyring.current}"]


SEALED: Mapping[Table, Mapping[str, str]] = {
    inboxes: {"key": "inbox:{}", "secrets": "inbox:{}:secrets"},
    contacts: {"key": "contact:{}"},
    webhooks: {"secret": "webhook:{}:secret"},
    alert_routes: {"secret": "alert_route:{}:address"},
    agent_rows: {"totp_secret": "agent:{}:totp"},
    sso_providers: {"secret": "sso_provider:{}:secret"},
    sso_logins: {"verifier": "sso_login:{}:verifier"},
    visitor_codes: {"sealed": "visitor_code:{}"},
}
"""What the master key seals: by column, what each is bound to, with the row's id in its place."""


async def _reseal(services: Services, table: Table, columns: Mapping[str, str]) -> int:
    """In pages, each a transaction: it can be stopped and run again."""
    keyring, count, after = services.keyring, 0, None
    while True:
        async with services.database.transaction() as session:
            query = select(table).order_by(table.c.id).limit(_PAGE).with_for_update()
            rows = (await session.execute(query if after is None else query.where(table.c.id > after))).mappings().all()
            for row in rows:
                values = {name: _anew(keyring, row[name], bound.format(row["id"])) for name, bound in columns.items()}
                await session.execute(update(table).where(table.c.id == row["id"]).values(values))
        if not rows:
            return count
        count += sum(any(row[name] for name in columns) for row in rows)
        after = rows[-1]["id"]


def _anew(keyring: Keyring, sealed: bytes, row: str) -> bytes:
    return keyring.seal(keyring.open(sealed, row=row), row=row) if sealed else sealed
