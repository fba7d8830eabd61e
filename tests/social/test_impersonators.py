"""Who looks like us: found by name, settled by the picture, told once with what was seen."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from PIL import Image
from sqlalchemy import select, text, update

from helpdesk import clock
from helpdesk.channels import Profile
from helpdesk.models.alerts import alerts
from helpdesk.models.social import social_accounts
from helpdesk.net import AllowList, Guard
from helpdesk.services import impersonators
from helpdesk.services import social_accounts as accounts
from helpdesk.services.avatars import NoPicture, difference_hash
from helpdesk.services.house import Services
from tests import factories
from tests.peers.http_receiver import HttpReceiver
from tests.social.vendor import WALL, with_wall
from workers.connections import Connections
from workers.impersonators import Impersonators


def picture(*, shade: int = 0, turned: bool = False) -> bytes:
    made = Image.new("RGB", (64, 64))
    for x in range(64):
        for y in range(64):
            value = (x * 3 if turned else 255 - x * 3) - shade
            made.putpixel((x, y), (value % 256, (y * 2) % 256, value % 256))
    body = BytesIO()
    made.save(body, "PNG")
    return body.getvalue()


class Desk:
    def __init__(self, services: Services) -> None:
        self.services = with_wall(services)
        guard = Guard(AllowList.parse(["127.0.0.1"]))
        self.connections = Connections(self.services, guard)
        self.loop = Impersonators(self.services, guard, self.connections)
        WALL.own = Profile("us", "acmewallet", "Acme Wallet")

    async def open(self) -> None:
        self.inbox_id = await factories.inbox(self.services, channel="wall", name="us")

    async def seen(self, *profiles: Profile, at: datetime | None = None) -> None:
        async with self.services.database.transaction() as session:
            await accounts.upsert(session, "wall", [(one, at or clock.now()) for one in profiles], now=clock.now())

    async def rows(self, table: Any) -> list[Any]:
        async with self.services.database.reading() as session:
            return list((await session.execute(select(table).order_by(table.c.id))).mappings())

    async def alerts(self) -> list[Any]:
        return [one for one in await self.rows(alerts) if one["kind"] == "impersonator"]


@pytest.fixture
async def desk(services: Services) -> AsyncIterator[Desk]:
    made = Desk(services)
    await made.open()
    yield made
    await made.loop.close()


async def test_who_is_called_like_us_is_told_of_once_with_what_was_seen(desk: Desk) -> None:
    conversation_id = await factories.conversation(desk.services, inbox_id=desk.inbox_id, handle="66")
    forger = Profile("66", "acme_wallet_support", "Acme Support", "https://wall.test/66")
    await desk.seen(forger, Profile("67", "mina", "Mina"))
    assert await desk.loop.step() == 2
    (told,) = await desk.alerts()
    assert {name: told["data"][name] for name in ("handle", "name", "url", "avatar_distance")} == {
        "handle": "acme_wallet_support",
        "name": "Acme Support",
        "url": "https://wall.test/66",
        "avatar_distance": None,
    }
    assert told["data"]["name_score"] >= 0.9
    assert (told["conversation_id"], told["data"]["conversation_id"]) == (conversation_id, str(conversation_id))
    await desk.seen(forger, at=clock.now() + timedelta(seconds=1))
    assert await desk.loop.step() == 0
    assert len(await desk.alerts()) == 1


async def test_who_renames_himself_is_compared_again(desk: Desk) -> None:
    await desk.seen(Profile("66", "mina", "Mina"))
    assert await desk.loop.step() == 1
    assert await desk.alerts() == []
    await desk.seen(Profile("66", "acmewa11et", "Mina"), at=clock.now() + timedelta(seconds=1))
    assert await desk.loop.step() == 1
    assert [one["data"]["handle"] for one in await desk.alerts()] == ["acmewa11et"]


async def test_whoever_reads_him_is_told_in_each_conversation_for_as_long_as_he_looks_so(desk: Desk) -> None:
    """Agents too, whom the alert does not call; and when somebody has taken it."""

    async def told() -> list[bool]:
        rows = [{"id": UUID(int=1), "channel": "wall", "contact_handle": handle} for handle in ("66", "67")]
        async with desk.services.database.reading() as session:
            shown = [await accounts.shown(session, row) for row in rows]
        return [one["profile"]["resembles_ours"] for one in shown]

    await desk.seen(Profile("66", "acme_wallet_support", "Acme Support"), Profile("67", "mina", "Mina"))
    assert await told() == [False, False]
    await desk.loop.step()
    async with desk.services.database.transaction() as session:
        await session.execute(update(alerts).values(status="resolved"))
    assert await told() == [True, False]
    await desk.seen(Profile("66", "mina_too", "Mina too"), at=clock.now() + timedelta(seconds=1))
    assert await told() == [False, False]


async def test_our_picture_under_a_name_that_is_near_ours_is_told_and_another_picture_is_not(desk: Desk) -> None:
    async with HttpReceiver() as site:
        site.answer(404)
        site.pages = {"/us": picture(), "/copy": picture(shade=4), "/own": picture(turned=True)}
        WALL.own = Profile("us", "acmewallet", "Acme Wallet", avatar_url=site.url("/us"))
        near = {"handle": "acme_watch"}
        await desk.seen(
            Profile("66", **near, avatar_url=site.url("/copy")),
            Profile("67", **near, avatar_url=site.url("/own")),
            Profile("68", **near, avatar_url=site.url("/missing")),
            Profile("69", "mina", avatar_url=site.url("/copy")),
        )
        assert await desk.loop.step() == 4
        asked = [one.target for one in site.requests]
    (told,) = await desk.alerts()
    assert told["data"]["handle"] == "acme_watch"
    assert told["data"]["avatar_distance"] <= 6
    assert 0.75 <= told["data"]["name_score"] < 0.9
    assert sorted(asked) == ["/copy", "/missing", "/own", "/us"], "a picture alone makes nobody suspect"


async def test_everybody_is_compared_anew_where_we_look_otherwise(desk: Desk) -> None:
    await desk.seen(Profile("66", "aurora_pay"), Profile("67", "mina"))
    assert await desk.loop.step() == 2
    assert await desk.alerts() == []
    WALL.own = Profile("us", "aurorapay", "Aurora Pay")
    assert await desk.loop.step() == 0, "it is asked once a day what we look like"
    async with desk.services.database.transaction() as session:
        day_ago = clock.now() - timedelta(days=1, seconds=1)
        ours = social_accounts.c.inbox_id.is_not(None)
        await session.execute(update(social_accounts).where(ours).values(updated_at=day_ago))
    desk.loop = Impersonators(desk.services, Guard(), desk.connections)
    assert await desk.loop.step() == 2
    assert [one["data"]["handle"] for one in await desk.alerts()] == ["aurora_pay"]


async def test_as_long_as_nobody_knows_how_we_look_nobody_is_compared(services: Services) -> None:
    desk = Desk(services)
    await desk.seen(Profile("66", "acmewallet"))
    assert await desk.loop.step() == 0
    (one,) = await desk.rows(social_accounts)
    assert one["checked_at"] is None
    await desk.loop.close()


@pytest.mark.parametrize("body", [b"", b"<html>", b"\x89PNG\r\n\x1a\n" + bytes(40), picture()[:80]])
def test_what_is_no_picture_has_no_hash(body: bytes) -> None:
    with pytest.raises(NoPicture):
        difference_hash(body)


async def test_who_shows_another_picture_while_his_is_looked_at_has_none_that_is_known(desk: Desk) -> None:
    await desk.loop.step()
    await desk.seen(Profile("66", "acmewallef", avatar_url="https://wall.test/old"))
    async with desk.services.database.reading() as session:
        (suspect,) = await impersonators.unchecked(session)
    await desk.seen(Profile("66", "acmewallef", avatar_url="https://wall.test/new"))
    async with desk.services.database.transaction() as session:
        hashes = {suspect.account["id"]: 7}
        assert await impersonators.judge(desk.services, session, [suspect], hashes, now=clock.now()) == 0
    (theirs,) = [one for one in await desk.rows(social_accounts) if one["inbox_id"] is None]
    assert (theirs["avatar_hash"], theirs["checked_at"]) == (None, None)


async def test_who_compares_and_who_files_the_same_accounts_do_not_wait_for_each_other(desk: Desk) -> None:
    if not desk.services.database.is_postgresql:
        pytest.skip("one writer at a time")
    await desk.loop.step()
    first, second = Profile("2", "mina"), Profile("1", "kai")
    await desk.seen(first)
    await desk.seen(second)
    async with desk.services.database.transaction() as session:
        await accounts.upsert(session, "wall", [(second, clock.now())], now=clock.now())
        looking = asyncio.create_task(desk.loop.step())
        async with asyncio.timeout(10), desk.services.database.reading() as other:
            while not await other.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                await other.rollback()
        await accounts.upsert(session, "wall", [(first, clock.now())], now=clock.now())
    assert await looking == 2


def test_a_picture_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encapsulated PostScript is read by running it."""
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\necho 10.0 | tee {tmp_path}/ran\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(NoPicture):
        difference_hash(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\n(x) print\n%%EOF\n")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_pictures_of_all_usual_kinds_are_compared(kind: str) -> None:
    body = BytesIO()
    Image.open(BytesIO(picture())).save(body, kind)
    assert (difference_hash(body.getvalue()) ^ difference_hash(picture())).bit_count() <= 6


def test_a_picture_that_is_far_too_large_is_not_decoded() -> None:
    body = BytesIO()
    Image.new("1", (5000, 5000)).save(body, "PNG")
    with pytest.raises(NoPicture):
        difference_hash(body.getvalue())


def test_a_picture_that_was_changed_a_little_is_the_same_and_another_is_not() -> None:
    ours = difference_hash(picture())
    assert -(2**63) <= ours < 2**63
    assert (ours ^ difference_hash(picture(shade=4))).bit_count() <= 6
    assert ((ours ^ difference_hash(picture(turned=True))) & (2**64 - 1)).bit_count() > 6
