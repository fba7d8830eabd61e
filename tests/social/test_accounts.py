"""Accounts as their channels show them: what was seen last stays, and who changes his looks is looked at again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from helpdesk.channels import Profile
from helpdesk.models.social import social_accounts
from helpdesk.services import social_accounts as accounts
from helpdesk.services.house import Services
from tests import factories

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
MINA = Profile("17", "mina", "Mina 米娜", "https://wall.example/mina", 1200, "blue", "https://wall.example/a.png", NOW)


async def seen(services: Services, *profiles: tuple[Profile, datetime], channel: str = "wall") -> None:
    async with services.database.transaction() as session:
        await accounts.upsert(session, channel, profiles, now=LATER)


async def kept(services: Services) -> list[dict[str, Any]]:
    async with services.database.reading() as session:
        found = await session.execute(select(social_accounts).order_by(social_accounts.c.external_id))
        return [dict(row) for row in found.mappings()]


async def check(services: Services) -> None:
    """All of them were compared with ours."""
    async with services.database.transaction() as session:
        await session.execute(update(social_accounts).values(checked_at=LATER, avatar_hash=5))


async def test_what_was_seen_last_stays_in_whatever_order_it_comes(services: Services) -> None:
    older, newer = Profile("17", "mina", "Mina", followers=10), Profile("17", "mina_", "Mina M.", followers=20)
    await seen(services, (newer, LATER), (older, NOW))
    await seen(services, (older, NOW))
    (one,) = await kept(services)
    assert (one["handle"], one["name"], one["followers"], one["updated_at"]) == ("mina_", "Mina M.", 20, LATER)


async def test_a_channel_that_says_less_takes_nothing_away(services: Services) -> None:
    await seen(services, (MINA, NOW))
    await seen(services, (Profile("17", "mina"), LATER))
    (one,) = await kept(services)
    assert (one["name"], one["followers"], one["verified"], one["avatar_url"]) == (
        *("Mina 米娜", 1200, "blue"),
        "https://wall.example/a.png",
    )


@pytest.mark.parametrize(
    ("change", "again", "picture"),
    [
        ({"followers": 5, "url": "https://wall.example/m"}, False, False),
        ({"handle": "wallet_support"}, True, False),
        ({"name": "Wallet Support"}, True, False),
        ({"avatar_url": "https://wall.example/b.png"}, True, True),
    ],
)
async def test_who_changes_his_looks_is_looked_at_again(
    services: Services, change: dict[str, Any], again: bool, picture: bool
) -> None:
    await seen(services, (MINA, NOW))
    await check(services)
    known = {"id": "17", "handle": "mina", "name": "Mina 米娜", "avatar_url": "https://wall.example/a.png"}
    await seen(services, (Profile(**{**known, **change}), LATER))
    (one,) = await kept(services)
    assert (one["checked_at"] is None, one["avatar_hash"] is None) == (again, picture)


async def test_our_own_account_is_known_as_such_whatever_it_is_called_later(services: Services) -> None:
    inbox_id = await factories.inbox(services)
    await seen(services, (MINA, NOW))
    async with services.database.transaction() as session:
        await accounts.keep_own(session, inbox_id, "wall", MINA, now=NOW)
    await seen(services, (Profile("17", "wallet_help"), LATER), (Profile("18", "mina"), LATER))
    ours, other = await kept(services)
    assert (ours["inbox_id"], ours["handle"], ours["checked_at"]) == (inbox_id, "wallet_help", NOW)
    assert (other["inbox_id"], other["checked_at"]) == (None, None)


async def test_the_same_number_elsewhere_is_somebody_else(services: Services) -> None:
    await seen(services, (MINA, NOW))
    await seen(services, (Profile("17", "stranger"), NOW), channel="yard")
    assert {(one["channel"], one["handle"]) for one in await kept(services)} == {("wall", "mina"), ("yard", "stranger")}


async def test_a_conversation_shows_whose_account_it_is(services: Services) -> None:
    await seen(services, (MINA, NOW))
    row: dict[str, Any] = {"id": UUID(int=1), "channel": "wall", "contact_handle": "17"}
    async with services.database.reading() as session:
        found = await accounts.shown(session, row)
        nobody = await accounts.shown(session, row | {"contact_handle": "18"})
    assert found == {
        "profile": {
            "handle": "mina",
            "name": "Mina 米娜",
            "url": "https://wall.example/mina",
            "followers": 1200,
            "verified": "blue",
            "created_at": NOW,
            "resembles_ours": False,
        },
        "post": None,
    }
    assert nobody == {"profile": None, "post": None}
