"""Jobs: batch by batch, taken over where a worker died, given up on after a few attempts, seen by who started them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import LeaseLost
from helpdesk.clock import now
from helpdesk.db import insert_rows, new_id
from helpdesk.domain.values import Actor, AuthorKind
from helpdesk.models.conversations import tags
from helpdesk.models.events import audit
from helpdesk.models.jobs import jobs as job_rows
from helpdesk.services import jobs, replanning
from helpdesk.services.house import Services
from helpdesk.services.jobs import MAX_ATTEMPTS, Step
from helpdesk.wiring import open_guard
from tests import factories
from workers.crew import Crew
from workers.jobs import HANDLERS, Jobs
from workers.watch import Watch


async def tag(services: Services, session: AsyncSession, job: RowMapping, /, *, now: datetime) -> Step:
    """Makes the tags `0` to `total - 1`, two at a time, and stumbles as often as `arguments["stumbles"]` says.

    Every other one counts as changed.
    """
    start = job["cursor"].get("next", 0)
    end = min(start + 2, job["total"])
    rows = [{"id": new_id(), "name": str(n), "version": 1, "created_at": now} for n in range(start, end)]
    await insert_rows(session, tags, rows)
    if start == job["arguments"].get("at") and job["attempts"] <= job["arguments"]["stumbles"]:
        raise ArithmeticError("said by nobody")
    return Step({"next": end}, done=end - start, changed=(end - start) // 2, over=end == job["total"])


HANDLED: Mapping[str, Any] = {"tag": tag}


def worker(services: Services, name: str = "one") -> Jobs:
    return Jobs(services, worker=name, handlers=HANDLED)


async def row(services: Services, job_id: UUID) -> RowMapping:
    async with services.database.reading() as session:
        return (await session.execute(select(job_rows).where(job_rows.c.id == job_id))).mappings().one()


async def tagged(services: Services) -> list[str]:
    async with services.database.reading() as session:
        return sorted((await session.execute(select(tags.c.name))).scalars())


async def let_claims_run_out(services: Services) -> None:
    """As time does, when nobody renews or a pause is over."""
    async with services.database.transaction() as session:
        await session.execute(update(job_rows).values(claimed_until=0.0))


async def test_a_job_is_done_batch_by_batch_and_its_progress_is_seen(services: Services) -> None:
    job_id = await factories.job(services, kind="tag", total=5)
    before = await row(services, job_id)
    assert (before["state"], before["done"], before["claimed_until"]) == ("queued", 0, 0.0)
    one = worker(services)
    assert await one.step() == 1
    halfway = await row(services, job_id)
    assert (halfway["state"], halfway["done"], halfway["changed"], halfway["cursor"]) == ("running", 2, 1, {"next": 2})
    assert (halfway["finished_at"], one.held) == (None, {job_id})
    assert [await one.step(), await one.step(), await one.step()] == [1, 1, 0]
    after = await row(services, job_id)
    assert (after["state"], after["done"], after["changed"], after["total"], after["error"]) == ("done", 5, 2, 5, "")
    assert (after["finished_at"] is not None, one.held) == (True, set())
    assert await tagged(services) == ["0", "1", "2", "3", "4"]


async def test_jobs_are_taken_in_the_order_in_which_they_were_started(services: Services) -> None:
    first = await factories.job(services, kind="tag", total=1)
    second = await factories.job(services, kind="tag", total=2)
    one = worker(services)
    await one.step()
    assert ((await row(services, first))["state"], (await row(services, second))["state"]) == ("done", "queued")


async def test_a_kind_that_nobody_here_knows_is_left_to_others(services: Services) -> None:
    job_id = await factories.job(services, kind="of_tomorrow", total=1)
    assert await worker(services).step() == 0
    assert (await row(services, job_id))["attempts"] == 0


async def test_another_worker_goes_on_where_a_dead_one_stopped(services: Services) -> None:
    job_id = await factories.job(services, kind="tag", total=6)
    dead, heir = worker(services, "dead"), worker(services, "heir")
    await dead.step()
    assert await heir.step() == 0, "it is in another's hands"
    await let_claims_run_out(services)
    while await heir.step():
        pass
    after = await row(services, job_id)
    assert (after["state"], after["done"], after["claimed_by"]) == ("done", 6, "heir")
    assert await tagged(services) == [str(n) for n in range(6)]


async def test_a_worker_that_was_overtaken_changes_nothing(services: Services) -> None:
    job_id = await factories.job(services, kind="tag", total=6)
    slow, heir = worker(services, "slow"), worker(services, "heir")
    await slow.step()
    await let_claims_run_out(services)
    await heir.step()
    # By its own cursor the slow one would tag 2 and 3 as well; not even the attempt is left of it.
    async with services.database.transaction() as session:
        await session.execute(tags.delete().where(tags.c.name.in_(["2", "3"])))
    assert await slow.step() == 1
    assert (slow.held, await tagged(services)) == (set(), ["0", "1"])
    found = await row(services, job_id)
    assert (found["done"], found["error"], found["claimed_by"], found["attempts"]) == (4, "", "heir", 1)


async def test_a_job_that_is_over_takes_no_more_from_whoever_held_it(services: Services) -> None:
    await factories.job(services, kind="tag", total=6)
    async with services.database.transaction() as session:
        held = await jobs.claim(session, worker="one", kinds=["tag"], lease_seconds=30, now=now())
        assert held is not None
        await jobs.finish(session, held, now=now())
        for end in (jobs.finish(session, held, now=now()), jobs.fail(session, held, error="x", now=now())):
            with pytest.raises(LeaseLost):
                await end


async def test_a_claim_lasts_for_as_long_as_it_is_renewed(services: Services) -> None:
    job_id = await factories.job(services, kind="tag", total=6)
    one = worker(services)
    await one.step()
    for until, who in ((1.0, "one"), (1.0, "another"), (0.0, "one")):
        async with services.database.transaction() as session:
            await session.execute(update(job_rows).values(claimed_until=until))
            await jobs.renew(session, one.held, worker=who, lease_seconds=30.0)
        renewed = (await row(services, job_id))["claimed_until"] > 1e9
        assert renewed == (until > 0.0 and who == "one"), (until, who)


async def test_a_worker_that_stops_gives_its_job_back_at_once(services: Services) -> None:
    await factories.job(services, kind="tag", total=6)
    one, two = worker(services, "one"), worker(services, "two")
    await one.step()
    await one.close()
    assert (await two.step(), await two.step(), await two.step()) == (1, 1, 0)
    assert await tagged(services) == [str(n) for n in range(6)]


async def test_a_batch_that_fails_leaves_nothing_and_is_tried_again_after_a_pause(services: Services) -> None:
    job_id = await factories.job(services, kind="tag", total=6, at=2, stumbles=2)
    one = worker(services)
    await one.step()
    assert await one.step() == 1
    failed = await row(services, job_id)
    assert (failed["state"], failed["error"], failed["cursor"]) == ("running", "ArithmeticError", {"next": 2})
    assert (failed["claimed_by"], one.held, await tagged(services)) == ("", set(), ["0", "1"])
    assert await one.step() == 0, "there is a pause"
    for _ in range(2):
        await let_claims_run_out(services)
        await one.step()
    while await one.step():
        pass
    after = await row(services, job_id)
    assert (after["state"], after["error"], after["done"]) == ("done", "", 6)


async def test_a_job_that_keeps_failing_is_given_up_with_the_class_of_its_error(services: Services) -> None:
    job_id = await factories.job(services, kind="tag", total=6, at=2, stumbles=99)
    behind = await factories.job(services, kind="tag", total=0)
    one = worker(services)
    await one.step()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        found = await row(services, job_id)
        assert (found["state"], found["attempts"]) == ("running", max(attempt - 1, 1))
        await let_claims_run_out(services)
        await one.step()
    found = await row(services, job_id)
    assert (found["state"], found["error"], found["attempts"]) == ("failed", "ArithmeticError", MAX_ATTEMPTS)
    assert (found["finished_at"] is not None, found["done"]) == (True, 2)
    await one.step()
    assert (await row(services, behind))["state"] == "done"
    assert await tagged(services) == ["0", "1"]


async def test_a_job_that_kills_its_workers_is_given_up_as_well(services: Services) -> None:
    job_id = await factories.job(services, kind="tag", total=6)
    for number in range(MAX_ATTEMPTS):
        async with services.database.transaction() as session:
            held = await jobs.claim(session, worker=f"dead {number}", kinds=["tag"], lease_seconds=30, now=now())
            assert held is not None
        await let_claims_run_out(services)
    assert await worker(services).step() == 1
    found = await row(services, job_id)
    assert (found["state"], found["error"], await tagged(services)) == ("failed", "worker_died", [])


async def test_two_workers_never_have_one_job(services: Services) -> None:
    await factories.job(services, kind="tag", total=20)
    crowd = [worker(services, str(number)) for number in range(4)]
    taken = await asyncio.gather(*(one.step() for one in crowd))
    assert sorted(taken) == [0, 0, 0, 1]


async def test_whoever_started_a_job_sees_it_and_so_do_administrators(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services, role="supervisor")
    boss = await factories.agent(services, role="admin")
    by = Actor(AuthorKind.AGENT, anna.id)
    job_id = await factories.job(services, kind="tag", total=3, by=by)
    url = f"/api/v1/jobs/{job_id}"
    shown = (await client.get(url, headers=anna.headers)).json()
    created_at = shown.pop("created_at")
    assert created_at.endswith("Z")
    assert shown == {
        "id": str(job_id),
        "kind": "tag",
        "state": "queued",
        "total": 3,
        "done": 0,
        "changed": 0,
        "refused": 0,
        "error": None,
        "created_by": str(anna.id),
        "finished_at": None,
    }
    one = worker(services)
    while await one.step():
        pass
    shown = (await client.get(url, headers=boss.headers)).json()
    assert (shown["state"], shown["done"], shown["finished_at"] is not None) == ("done", 3, True)
    assert (await client.get(url, headers=bert.headers)).status_code == 404
    of_the_house = await factories.job(services)
    assert (await client.get(f"/api/v1/jobs/{of_the_house}", headers=anna.headers)).status_code == 404
    assert (await client.get(f"/api/v1/jobs/{of_the_house}", headers=boss.headers)).status_code == 200


async def test_jobs_are_listed_the_newest_first_to_whom_they_are_shown(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, boss = await factories.agent(services), await factories.agent(services, role="admin")
    first, second = [
        str(await factories.job(services, kind="tag", total=3, by=Actor(AuthorKind.AGENT, anna.id))) for _ in range(2)
    ]
    of_the_house = str(await factories.job(services, kind="of_tomorrow"))
    async with services.database.transaction() as session:
        await session.execute(update(job_rows).where(job_rows.c.kind == "tag").values(state="done"))

    async def listed(someone: factories.Someone, query: str = "") -> tuple[list[str], str | None]:
        answer = (await client.get(f"/api/v1/jobs{query}", headers=someone.headers)).json()
        return [job["id"] for job in answer["items"]], answer["next_cursor"]

    assert await listed(boss) == ([of_the_house, second, first], None)
    assert await listed(anna) == ([second, first], None)
    assert await listed(boss, "?state=queued&state=running") == ([of_the_house], None)
    page, cursor = await listed(anna, "?limit=1")
    assert (page, await listed(anna, f"?limit=1&cursor={cursor}")) == ([second], ([first], None))


async def test_a_cancelled_job_goes_no_further_and_keeps_what_it_did(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, other = await factories.agent(services), await factories.agent(services)
    job_id = await factories.job(services, kind="tag", total=9, by=Actor(AuthorKind.AGENT, anna.id))
    url = f"/api/v1/jobs/{job_id}/cancel"
    one = worker(services)
    await one.step()
    assert (await client.post(url, headers=other.headers)).status_code == 404
    cancelled = (await client.post(url, headers=anna.headers)).json()
    assert [cancelled[name] for name in ("state", "done", "error")] == ["failed", 2, "cancelled"]
    assert [await one.step(), await one.step()] == [1, 0], "the batch in hand is refused, and nobody takes it up again"
    assert (await tagged(services), (await row(services, job_id))["error"]) == (["0", "1"], "cancelled")
    again = await client.post(url, headers=anna.headers)
    assert (again.status_code, again.json()["type"]) == (409, "urn:helpdesk:problem:job_over")
    async with services.database.reading() as session:
        ended = select(audit.c.actor_id, audit.c.subject_id).where(audit.c.action == "job.cancelled")
        assert (await session.execute(ended)).all() == [(anna.id, job_id)]
    boss = await factories.agent(services, role="admin")
    of_the_house = await factories.job(services)
    to_be_whole = await factories.job(services, kind=replanning.KIND, by=Actor(AuthorKind.AGENT, boss.id))
    for kept in (of_the_house, to_be_whole):
        refused = await client.post(f"/api/v1/jobs/{kept}/cancel", headers=boss.headers)
        assert refused.json()["type"] == "urn:helpdesk:problem:cannot_cancel"


async def test_a_crew_takes_up_what_its_own_dead_life_had_in_hand(
    quick: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HANDLERS, "tag", tag)
    job_id = await factories.job(quick, kind="tag", total=7)
    async with quick.database.transaction() as session:
        await jobs.claim(session, worker="crew", kinds=["tag"], lease_seconds=3600, now=now())
    crew = Crew(quick, open_guard(quick.settings), worker="crew", alone=True)
    await crew.start()
    try:
        async with asyncio.timeout(10):
            while (await row(quick, job_id))["state"] != "done":
                await asyncio.sleep(0.02)
    finally:
        await crew.stop()
    assert len(await tagged(quick)) == 7


async def test_the_watch_rings_for_a_job_that_nobody_has_in_hand(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []

    async def look() -> list[str]:
        rung.clear()
        await Watch(services, ["jobs"], ring=rung.extend, runs=set).step()
        return list(rung)

    monkeypatch.setitem(HANDLERS, "tag", tag)
    await factories.job(services, kind="of_tomorrow")
    assert await look() == []
    await factories.job(services, kind="tag", total=2)
    assert await look() == ["jobs"]
    one = worker(services)
    async with services.database.transaction() as session:
        held = await jobs.claim(session, worker="one", kinds=["tag"], lease_seconds=30, now=now())
    assert held is not None
    assert await look() == []
    await let_claims_run_out(services)
    assert await look() == ["jobs"]
    await one.step()
    assert await look() == []
