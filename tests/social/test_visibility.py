"""Where an answer belongs: below what he wrote, or with him alone, and until when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk import clock
from helpdesk.channels import Capabilities, Profile
from helpdesk.db import insert_rows, new_id
from helpdesk.domain.actions import Reply
from helpdesk.domain.values import SYSTEM
from helpdesk.errors import Conflict, HelpdeskError
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import messages
from helpdesk.models.social import conversation_threads, posts
from helpdesk.services import automatic_replies, reply_places, social_accounts
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from helpdesk.services.reply_places import Said
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.factories import Someone
from tests.social.wall_story import MINA, POST, Wall, wall

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
PAGE = Capabilities(public_replies=True, reply_window=DAY, private_reply_window=WEEK)
OPEN = Capabilities(public_replies=True)
LETTERS = Capabilities(reply_window=DAY)
WALL_ONLY = Capabilities(public_replies=True, direct_replies=False)


def public(name: str, ago: timedelta, *, there: bool = True, used: bool = False) -> Said:
    return Said(name, "public", NOW - ago, there, used)


def direct(name: str, ago: timedelta) -> Said:
    return Said(name, "direct", NOW - ago, True, False)


@pytest.mark.parametrize(
    ("can", "heard", "wanted", "named", "expected"),
    [
        (PAGE, [public("p", HOUR)], None, "", "public p"),
        (PAGE, [direct("d", HOUR), public("p", 2 * HOUR)], None, "", "direct d"),
        (PAGE, [public("p", HOUR), direct("d", 2 * HOUR)], None, "", "public p"),
        (PAGE, [public("p", HOUR), direct("d", 2 * HOUR)], "direct", "", "direct d"),
        (PAGE, [public("p", HOUR), direct("d", 2 * HOUR)], None, "d", "direct d"),
        (PAGE, [public("q", HOUR), public("p", 2 * HOUR)], None, "p", "public p"),
        (PAGE, [public("q", HOUR, there=False), public("p", 2 * HOUR)], None, "", "public p"),
        (PAGE, [direct("d", HOUR), public("p", 2 * HOUR)], "public", "", "public p"),
        # A comment opens no window of direct answers, but one answer of its own.
        (PAGE, [public("p", HOUR)], "direct", "", "direct p"),
        (PAGE, [public("p", HOUR), direct("d", 2 * DAY)], "direct", "", "direct p"),
        (PAGE, [public("q", HOUR, used=True), public("p", 2 * HOUR)], "direct", "", "direct p"),
        (PAGE, [public("q", HOUR, used=True), direct("d", 2 * HOUR)], "direct", "q", "direct d"),
        (PAGE, [public("p", HOUR, used=True)], "direct", "", "private_reply_used"),
        (PAGE, [public("p", HOUR, used=True), direct("d", 2 * DAY)], "direct", "", "private_reply_used"),
        (PAGE, [public("p", 8 * DAY)], "direct", "", "reply_window_closed"),
        (PAGE, [public("p", 8 * DAY, used=True)], "direct", "", "reply_window_closed"),
        (PAGE, [direct("d", 2 * DAY)], None, "", "reply_window_closed"),
        (PAGE, [public("p", HOUR, there=False)], "direct", "", "reply_window_closed"),
        (PAGE, [], None, "", "reply_window_closed"),
        (PAGE, [direct("d", HOUR)], "public", "", "invalid"),
        (PAGE, [direct("d", HOUR)], None, "p", "not_found"),
        (OPEN, [public("p", WEEK)], None, "", "public p"),
        (OPEN, [public("p", WEEK)], "direct", "", "direct p"),
        (OPEN, [], None, "", "direct "),
        (LETTERS, [direct("d", HOUR)], None, "", "direct d"),
        (LETTERS, [direct("d", HOUR)], "public", "", "invalid"),
        (WALL_ONLY, [public("p", HOUR)], "direct", "", "invalid"),
        (WALL_ONLY, [public("p", HOUR)], None, "", "public p"),
    ],
)
def test_an_answer_goes_where_he_wrote_and_as_long_as_it_may(
    can: Capabilities, heard: list[Said], wanted: str | None, named: str, expected: str
) -> None:
    try:
        found = reply_places.choose(can, heard, wanted, named=named, now=NOW)
        told = f"{found.visibility} {found.answered}"
    except HelpdeskError as error:
        told = error.problem
    assert told == expected


@pytest.mark.parametrize(
    ("can", "heard", "until", "visibilities"),
    [
        (PAGE, [public("p", HOUR)], NOW + WEEK - HOUR, ["public", "direct"]),
        (PAGE, [public("p", HOUR, used=True)], None, ["public"]),
        (PAGE, [direct("d", HOUR), public("p", 2 * HOUR, used=True)], NOW + DAY - HOUR, ["direct", "public"]),
        (PAGE, [direct("d", 2 * DAY)], NOW - DAY, []),
        (OPEN, [public("p", WEEK)], None, ["public", "direct"]),
        (WALL_ONLY, [public("p", HOUR)], None, ["public"]),
        (LETTERS, [direct("d", HOUR)], NOW + DAY - HOUR, ["direct"]),
        (Capabilities(), [], None, ["direct"]),
    ],
)
def test_whoever_answers_sees_before_how_and_until_when_he_can(
    can: Capabilities, heard: list[Said], until: datetime | None, visibilities: list[str]
) -> None:
    assert reply_places.shown(can, heard, now=NOW) == {"reply_until": until, "visibilities": visibilities}


@pytest.fixture
async def story(services: Services) -> AsyncIterator[tuple[Wall, Someone]]:
    async with wall(services) as told:
        yield told, await factories.agent(told.services, role="admin", name="Anna")


async def _says(told: Wall, anna: Someone, **given: Any) -> Any:
    body = {"text": "We are looking into it.", **given}
    answer = await told.post(f"conversations/{told.conversation_id}/messages", body, by=anna)
    shown = answer.json()
    return shown if answer.status_code == 201 else shown["type"].rpartition(":")[2]


async def test_one_direct_answer_to_a_public_message_and_no_second(story: tuple[Wall, Someone]) -> None:
    told, anna = story
    said = await _says(told, anna)
    assert (said["visibility"], said["in_reply_to"]) == ("public", told.asked)
    said = await _says(told, anna, visibility="direct")
    assert (said["visibility"], said["in_reply_to"]) == ("direct", told.asked)
    assert await _says(told, anna, visibility="direct") == "private_reply_used"
    headers = anna.headers
    shown = (await told.client.get(f"/api/v1/conversations/{told.conversation_id}", headers=headers)).json()
    (there,) = shown["reply_channels"]
    assert (there["visibilities"], there["reply_until"]) == (["public"], None)
    # He answers it, and with that it is a conversation between the two of us.
    message_id = await factories.incoming(told.services, told.conversation_id, now=clock.now())
    asked = (await told.house.row(messages, messages.c.id == message_id))["external_id"]
    for _ in range(2):
        said = await _says(told, anna)
        assert (said["visibility"], said["in_reply_to"]) == ("direct", asked)
    said = await _says(told, anna, visibility="public")
    assert (said["visibility"], said["in_reply_to"]) == ("public", told.asked)


async def test_what_somebody_else_wrote_where_his_matter_was_merged_is_not_what_the_contact_wrote(
    story: tuple[Wall, Someone],
) -> None:
    told, anna = story
    other = await factories.conversation(told.services, inbox_id=told.inbox_id, handle="0815", messages=0)
    theirs = (await told.house.row(conversations, conversations.c.id == other))["contact_id"]
    for place in ({"visibility": "public", "thread": POST}, {"thread": "dm:0815"}):
        message_id = await factories.incoming(told.services, told.conversation_id, **place)
        async with told.services.database.transaction() as session:
            mine = messages.update().where(messages.c.id == message_id)
            await session.execute(mine.values(author_id=theirs))
    for visibility in ("public", "direct"):
        said = await _says(told, anna, visibility=visibility)
        assert (said["in_reply_to"], [one["handle"] for one in said["to"]]) == (told.asked, [MINA])


@ON_ONE_DATABASE
async def test_a_direct_answer_that_never_left_is_none(story: tuple[Wall, Someone]) -> None:
    told, anna = story
    said = await _says(told, anna, visibility="direct")
    async with told.services.database.transaction() as session:
        mine = messages.update().where(messages.c.type == "outgoing")
        await session.execute(mine.values(delivery_status="failed"))
    assert said["visibility"] == (await _says(told, anna, visibility="direct"))["visibility"] == "direct"


@ON_ONE_DATABASE
async def test_an_agent_sees_whose_account_it_is_and_under_which_post(story: tuple[Wall, Someone]) -> None:
    told, anna = story
    now = clock.now()
    profile = Profile(MINA, "mina", "Mina", "https://wall.test/mina", followers=12_000, verified="blue")
    post = {
        "id": new_id(),
        "inbox_id": told.inbox_id,
        "external_id": "17",
        "url": "https://wall.test/17",
        "text": "News",
    }
    async with told.services.database.transaction() as session:
        await social_accounts.upsert(session, "wall", [(profile, now)], now=now)
        await insert_rows(session, posts, [{**post, "own": True, "created_at": now}])
        thread = {"inbox_id": told.inbox_id, "handle": MINA, "thread": POST, "conversation_id": told.conversation_id}
        await insert_rows(session, conversation_threads, [{**thread, "post_id": post["id"], "created_at": now}])
    path = f"/api/v1/conversations/{told.conversation_id}"
    shown = (await told.client.get(path, headers=anna.headers)).json()
    assert (shown["profile"]["handle"], shown["profile"]["followers"]) == ("mina", 12_000)
    assert shown["post"] == {"external_id": "17", "url": "https://wall.test/17", "text": "News", "own": True}


@ON_ONE_DATABASE
async def test_no_machine_answers_where_all_read_it(story: tuple[Wall, Someone]) -> None:
    told, _ = story
    async with told.services.database.transaction() as session:
        found: Any = await get_conversation(session, SYSTEM, told.conversation_id, lock=True)
        how: dict[str, Any] = {"rule_id": new_id(), "by": SYSTEM, "now": clock.now()}
        with pytest.raises(Conflict) as refused:
            await automatic_replies.reply(told.services, session, found, Reply(text="We are closed."), **how)
    assert refused.value.problem == "not_offered"
