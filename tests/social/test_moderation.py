"""Hiding what others wrote below our posts: at the vendor first, and then here."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import update

from helpdesk.channels import AccessRevoked, RateLimited, TargetGone
from helpdesk.models.events import events
from helpdesk.models.messages import messages
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.factories import Someone
from tests.social.vendor import WALL
from tests.social.wall_story import Wall, wall


@pytest.fixture
async def story(services: Services) -> AsyncIterator[Wall]:
    async with wall(services) as opened:
        yield opened


@pytest.fixture
async def anna(story: Wall) -> Someone:
    return await factories.agent(story.services)


async def _hide(story: Wall, by: Someone, hidden: bool = True) -> httpx.Response:
    (asked,) = await story.house.rows(messages, messages.c.external_id == story.asked)
    return await story.post(f"messages/{asked['id']}/hide", {"hidden": hidden}, by=by)


async def test_what_is_hidden_there_says_so_here_and_can_be_shown_again(story: Wall, anna: Someone) -> None:
    for hidden in (True, True, False):
        found = await _hide(story, anna, hidden)
        assert (found.status_code, found.json()["hidden"]) == (200, hidden), found.text
        assert WALL.hidden == {story.asked: hidden}
    told = await story.house.rows(events, events.c.type == "conversation.updated")
    assert [list(one["data"]["changes"]["messages"].values()) for one in told] == [[["hidden"]]] * 2


@ON_ONE_DATABASE
async def test_where_the_vendor_will_not_nothing_changes_here(story: Wall, anna: Someone) -> None:
    for error, status, slug in (
        (TargetGone("deleted"), 409, "cannot_moderate"),
        (AccessRevoked("Log in again"), 409, "cannot_moderate"),
        (RateLimited("slowly", retry_after=30), 503, "unavailable"),
    ):
        WALL.refuse(error)
        found = await _hide(story, anna)
        assert (found.status_code, found.json()["type"]) == (status, f"urn:helpdesk:problem:{slug}")
    assert found.headers["retry-after"] == "30"
    assert [row["hidden"] for row in await story.house.incoming()] == [False]


@ON_ONE_DATABASE
async def test_what_nobody_else_reads_is_not_hidden(story: Wall, anna: Someone) -> None:
    async with story.services.database.transaction() as session:
        await session.execute(update(messages).values(visibility="direct"))
    assert (await _hide(story, anna)).json()["type"].endswith(":cannot_moderate")
    assert WALL.hidden == {}
