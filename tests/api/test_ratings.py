"""The pages of a rating, as browsers and as programs that follow links meet them; and what the desk is shown."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import update

from helpdesk import clock
from helpdesk.db import new_id
from helpdesk.models.conversations import conversations
from helpdesk.services import ratings as verbs
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE

pytestmark = ON_ONE_DATABASE

DAY = timedelta(days=1)


async def link(services: Services, conversation_id: UUID, **given: Any) -> str:
    """The path of a link that was sent an hour ago."""
    return f"/rate/{await factories.rating(services, conversation_id, **given)}"


async def matter(services: Services, **given: Any) -> UUID:
    desk = await factories.inbox(services, address=f"help{new_id().hex[-6:]}@wallet.test")
    return await factories.conversation(services, inbox_id=desk, status="resolved", **given)


async def test_the_page_asks_and_says_nothing_else(client: httpx.AsyncClient, services: Services) -> None:
    path = await link(services, await matter(services, text="My seed is Zanzibar", name="Mina Zanzibar"))
    page = await client.get(f"{path}?score=4&utm_source=letter")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert 'value="4" required checked' in page.text
    assert page.text.count(" checked") == 1
    for said in ("Zanzibar", "Withdrawal", "mina", "<script", "src=", "http", "@import", "url("):
        assert said.lower() not in page.text.lower(), said
    policy = page.headers["content-security-policy"]
    style = page.text.partition("<style>")[2].partition("</style>")[0].encode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{b64encode(sha256(style).digest()).decode()}'; ")
    assert "form-action 'self'; base-uri 'none'; frame-ancestors 'none'" in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-robots-tag"] == "noindex, nofollow"


async def test_to_follow_the_link_rates_nothing_and_to_send_the_form_does(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss, mine = await factories.agent(services, role="supervisor"), await matter(services)
    path = await link(services, mine)
    for score in (1, 5):
        await client.get(f"{path}?score={score}")
    shown = (await client.get(f"/api/v1/conversations/{mine}", headers=boss.headers)).json()
    assert (shown["rating"]["score"], shown["rating"]["rated_at"]) == (None, None)
    taken = await client.post(path, data={"score": "5", "comment": "<b>Quick</b> & 好"})
    assert taken.status_code == 200
    assert "5 of 5, Very satisfied" in taken.text
    shown = (await client.get(f"/api/v1/conversations/{mine}", headers=boss.headers)).json()
    assert (shown["rating"]["score"], shown["rating"]["comment"]) == (5, "<b>Quick</b> & 好")
    again = await client.get(path)
    assert "You have given this rating already" in again.text
    assert "&lt;b&gt;Quick&lt;/b&gt; &amp; 好</textarea>" in again.text


async def test_what_makes_no_rating_is_shown_again_and_kept_out(client: httpx.AsyncClient, services: Services) -> None:
    path = await link(services, await matter(services))
    wrong = [b"", b"score=6", b"score=0", b"score=+5", b"score=%00", b"\xff\xfe", b"x=1&" * 99]
    for body in (*wrong, b"score=5&comment=" + b"a" * 2001):
        answer = await client.post(path, content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert answer.status_code == 422, body
        assert 'role="alert"' in answer.text
    assert "You have given" not in (await client.get(path)).text


async def test_a_page_speaks_the_browsers_language_or_the_contacts(
    client: httpx.AsyncClient, services: Services
) -> None:
    path = await link(services, await matter(services, language="zh-TW"))
    for accepted, language, words in (
        ("", "zh-TW", "送出評價"),
        ("zh-CN,zh;q=0.9", "zh-CN", "提交评价"),
        ("en-GB", "en", "Send rating"),
    ):
        page = await client.get(path, headers={"Accept-Language": accepted})
        assert page.headers["content-language"] == language
        assert f'<html lang="{language}">' in page.text
        assert words in page.text


async def test_a_wrong_link_and_one_that_was_never_sent_are_one_page(
    client: httpx.AsyncClient, services: Services
) -> None:
    unsent = await link(services, await matter(services), asked_at=None, expires_at=None, state="planned")
    answers = []
    for path in (unsent, "/rate/nobodys", f"/rate/{'a' * 5000}", "/rate/%00%ff"):
        answers += [await client.get(path), await client.post(path, data={"score": "5"})]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


async def test_a_link_ends(client: httpx.AsyncClient, services: Services) -> None:
    old = await link(services, await matter(services), expires_at=clock.now())
    closed_id = await matter(services)
    closed = await link(services, closed_id)
    async with services.database.transaction() as session:
        mine = update(conversations).where(conversations.c.id == closed_id)
        await session.execute(mine.values(status="closed", status_changed_at=clock.now() - 15 * DAY))
    for path in (old, closed):
        for answer in (await client.get(path), await client.post(path, data={"score": "5"})):
            assert answer.status_code == 410
            assert "This link has expired" in answer.text


async def test_who_sends_the_form_all_the_time_has_to_wait(client: httpx.AsyncClient, services: Services) -> None:
    path = await link(services, await matter(services))
    answers = [await client.post(path, data={"score": str(n % 5 + 1)}) for n in range(verbs.PER_LINK + 1)]
    assert [one.status_code for one in answers] == [200] * verbs.PER_LINK + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert "too many attempts" in answers[-1].text


async def test_a_form_that_is_too_large_is_not_read(client: httpx.AsyncClient, services: Services) -> None:
    path = await link(services, await matter(services))
    assert (await client.post(path, content=b"comment=" + b"a" * 33_000)).status_code == 413


async def test_the_desk_lists_what_it_may_see_page_by_page(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    own = await factories.inbox(services, members=[anna.id])
    foreign = await factories.inbox(services, members=[(await factories.agent(services)).id])
    for n in range(3):
        mine = await factories.conversation(services, inbox_id=own, status="resolved", assignee_id=anna.id)
        at = clock.now() - timedelta(minutes=n)
        await link(services, mine, rated_at=at, score=5 - n, comment=f"No {n}")
        theirs = await factories.conversation(services, inbox_id=foreign, status="resolved")
        await link(services, theirs, rated_at=at, score=1)
    await link(services, mine)

    async def listed(**query: Any) -> tuple[list[int], str | None]:
        found = (await client.get("/api/v1/ratings", params=query, headers=anna.headers)).json()
        return [one["score"] for one in found["items"]], found["next_cursor"]

    first, cursor = await listed(limit=2)
    assert (first, (await listed(limit=2, cursor=cursor))) == ([5, 4], ([3], None))
    assert (await listed(score=4))[0] == [4]
    assert (await listed(agent_id="me"))[0] == [5, 4, 3]
    assert (await listed(agent_id="none"))[0] == []
    assert (await listed(inbox_id=str(foreign)))[0] == []
    await link(services, mine, rated_at=clock.now() - timedelta(minutes=9), score=2)
    assert ((await listed(commented=True))[0], (await listed(commented=False))[0]) == ([5, 4, 3], [2])
    assert ((await listed(category="refund"))[0], (await listed(category="none_of_ours"))[0]) == ([], [])
    soon = (clock.now() + timedelta(days=1)).isoformat()
    assert ((await listed(asked_before=soon))[0], (await listed(asked_after=soon))[0]) == ([5, 4, 3, 2], [])


async def test_an_inbox_asks_once_it_is_told_to(client: httpx.AsyncClient, services: Services) -> None:
    boss, desk = await factories.agent(services, role="admin"), await factories.inbox(services)
    url, headers = f"/api/v1/inboxes/{desk}", {**boss.headers, "If-Match": '"1"'}
    assert (await client.get(url, headers=boss.headers)).json()["rating"] == "off"
    assert (await client.patch(url, json={"rating": "maybe"}, headers=headers)).status_code == 422
    assert (await client.patch(url, json={"rating": "on"}, headers=headers)).json()["rating"] == "on"
    again = await client.patch(url, json={"name": "Desk"}, headers={**headers, "If-Match": '"2"'})
    assert again.json()["rating"] == "on"
