"""The conversation that a visitor had before: further up in his log, for him alone, and nothing of it to be changed."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import update

from helpdesk.live import Feedback, Item, Log, Visitor
from helpdesk.models.visitors import visits
from helpdesk.services import visitor_log
from helpdesk.services.house import Services
from helpdesk.services.visits import CONTINUED_WITHIN
from tests import factories
from tests.services.test_visitor_log import merge, read, reply, shown
from tests.services.test_visitor_messages import LATER, NOW, begin, change, desk, say, visitor

__all__ = ["desk"]


async def whole(services: Services, who: Visitor, *, limit: int = 100) -> Log:
    return await visitor_log.before(services.database, who, who.conversation_id, None, limit=limit)


async def in_pages(services: Services, who: Visitor, *, limit: int) -> list[Item]:
    back: list[Item] = []
    more = True
    while more:
        first = back[0].seq if back else None
        page = await visitor_log.before(services.database, who, who.conversation_id, first, limit=limit)
        back, more = [*page.items, *back], page.more
        assert 0 < len(page.items) <= limit
    return back


async def test_what_was_closed_is_read_until_he_begins_anew_and_above_that_afterwards(
    services: Services, desk: UUID
) -> None:
    anna = await factories.agent(services, role="admin", name="Anna")
    token = await begin(services, desk)
    oldest = (await say(services, token, "Long ago")).conversation_id
    await change(services, oldest, status="closed")
    former = (await say(services, token, "Where is it?")).conversation_id
    await reply(services, former, "A note.", private=True)
    await reply(services, former, "It is on its way.", by=anna)
    await change(services, former, status="resolved", now=LATER)
    async with services.database.transaction() as session:
        await session.execute(update(visits).values(rating_asked_at=LATER))
    await change(services, former, status="closed", now=LATER)
    who = await visitor(services, token)
    assert await read(services, who) == Log(None, 0, (), more=False), "nothing of it comes by itself"
    log = await whole(services, who)
    was = ["Where is it?", "It is on its way.", "resolved", "closed"]
    assert (log.conversation_id, log.head_seq, shown(log), log.more) == (None, 0, was, False)
    assert not any(one.data.get("rating") for one in log.items)
    assert [one.prev_seq for one in log.items] == [0, *(one.seq for one in log.items[:-1])]
    assert all(one.seq < 0 for one in log.items)

    said = await say(services, token, "It has not come", now=LATER)
    assert said.conversation_id not in (oldest, former)
    who = await visitor(services, token)
    assert shown(await read(services, who)) == ["It has not come"]
    after = await whole(services, who)
    assert (after.conversation_id, after.head_seq) == (said.conversation_id, said.seq)
    assert list(after.items)[:-1] == list(log.items), "with the numbers that they had"
    assert (after.items[-1].seq, after.items[-1].prev_seq) == (said.seq, 0)
    for limit in (1, 2, 4, 5, 6):
        assert await in_pages(services, who, limit=limit) == list(after.items)
    below = log.items[2].seq
    page = await visitor_log.before(services.database, who, said.conversation_id, below, limit=1)
    assert (shown(page), page.head_seq, page.more) == (["It is on its way."], said.seq, True)


async def test_what_has_rested_for_too_long_is_read_and_feedback_is_not(services: Services, desk: UUID) -> None:
    token = await begin(services, desk)
    await say(services, token, "Hello?")
    about = Feedback("", "", "")
    at = NOW + CONTINUED_WITHIN + timedelta(days=1)
    await say(services, token, "It flickers", feedback=about, now=NOW)
    who = await visitor(services, token, now=at)
    assert (who.conversation_id, shown(await whole(services, who))) == (None, ["Hello?"])


async def test_nobody_else_reads_it(services: Services, desk: UUID) -> None:
    elsewhere = await factories.inbox(services, channel="chat")
    mine = await begin(services, desk, user="mina-7")
    place = (await say(services, mine, "Hello?")).conversation_id
    await change(services, place, status="closed")
    again = await begin(services, desk, user="mina-7")
    assert shown(await whole(services, await visitor(services, again))) == ["Hello?", "closed"], "on another device"
    others = [await begin(services, desk), await begin(services, desk, user="otto-1")]
    others.append(await begin(services, elsewhere, user="mina-7"))
    for token in others:
        who = await visitor(services, token)
        assert await whole(services, who) == Log(None, 0, (), more=False)
        for seq in (0, -visitor_log.FORMER + 5, -visitor_log.FORMER, -(2**31) + 1):
            page = await visitor_log.before(services.database, who, None, seq, limit=5)
            assert page == Log(None, 0, (), more=False)


async def test_of_a_conversation_that_his_went_into_he_reads_what_is_his(services: Services, desk: UUID) -> None:
    """The other visitor's, and notes, stay theirs when it is over."""
    anna = await factories.agent(services, role="admin", name="Anna")
    tokens = [await begin(services, desk) for _ in range(2)]
    mine, theirs = [(await say(services, one, f"By {n}")).conversation_id for n, one in enumerate(tokens)]
    await reply(services, mine, "To 0 alone", by=anna)
    await merge(services, mine, theirs)
    for number, token in enumerate(tokens):
        await say(services, token, f"By {number} again", now=LATER)
    await change(services, theirs, status="closed", now=LATER)
    who = await visitor(services, tokens[0])
    assert who.conversation_id is None
    assert shown(await whole(services, who)) == ["By 0", "To 0 alone", "By 0 again", "closed"]
    await say(services, tokens[0], "By 0 once more", now=LATER)
    who = await visitor(services, tokens[0])
    everything = list((await whole(services, who)).items)
    for limit in (1, 2, 3, 4, 5):
        assert await in_pages(services, who, limit=limit) == everything
    other = await visitor(services, tokens[1])
    assert shown(await whole(services, other)) == ["By 1", "By 1 again", "closed"]
