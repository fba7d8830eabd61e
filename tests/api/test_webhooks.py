"""Webhooks as administrators set them up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from helpdesk import clock
from helpdesk.app import create_app
from helpdesk.domain import events
from helpdesk.models.events import audit
from helpdesk.models.webhooks import webhook_deliveries, webhooks
from helpdesk.services import webhooks as service
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import BASE_URL, ON_ONE_DATABASE

URL = "/api/v1/webhooks"
GIVEN: dict[str, Any] = {"name": "Pager", "url": "https://pager.example.com/in?team=1", "events": ["sla.breached"]}
SECRET = "whsec_" + "A" * 32


@pytest.fixture
async def boss(services: Services) -> factories.Someone:
    return await factories.agent(services, role="admin")


@pytest.fixture
async def strict(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """The API of a house whose operator has opened nothing."""
    app = create_app(replace(services, settings=services.settings.model_copy(update={"allow_hosts": ""})))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL) as opened:
        yield opened
        await app.state.touches.settle()


async def _audited(services: Services) -> list[Any]:
    async with services.database.reading() as session:
        found = await session.execute(
            select(audit.c.action, audit.c.data).where(audit.c.subject_type == "webhook").order_by(audit.c.id)
        )
        return [tuple(row) for row in found]


async def test_the_secret_is_shown_once_and_stored_sealed(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    answer = await client.post(URL, headers=boss.headers, json=GIVEN)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["secret"].startswith("whsec_")
    assert (made["url"], made["events"], made["enabled"]) == (GIVEN["url"], ["sla.breached"], True)
    shown = await client.get(answer.headers["location"], headers=boss.headers)
    assert shown.json() == {name: value for name, value in made.items() if name != "secret"}
    listed = (await client.get(URL, headers=boss.headers)).json()
    assert listed == {"items": [shown.json()], "next_cursor": None}
    async with services.database.reading() as session:
        row = (await session.execute(select(webhooks))).mappings().one()
    assert made["secret"].encode() not in row["secret"]
    assert service.signing_secrets(services, row, now=clock.now()) == [made["secret"]]
    assert await _audited(services) == [("webhook.created", {"host": "pager.example.com"})]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "ftp://pager.example.com/"}, "url"),
        ({"url": "https://user:secret@pager.example.com/"}, "url"),
        ({"url": "pager.example.com"}, "url"),
        ({"url": "https://pager.example.com/" + "x" * 2000}, "url"),
        ({"url": "https://10.1.2.3/"}, "url"),
        ({"url": "https://[::ffff:10.1.2.3]/"}, "url"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "https://pager.internal.localhost/"}, "url"),
        ({"url": "https://pager.example.com:6379/"}, "url"),
        ({"events": []}, "events"),
        ({"events": ["sla.broken"]}, "events"),
        ({"events": ["sla.*"]}, "events"),
        ({"secret": "secret"}, "secret"),
        ({"secret": "whsec_AAAA"}, "secret"),
        ({"name": ""}, "name"),
        ({"failing_since": None}, "failing_since"),
    ],
)
@ON_ONE_DATABASE
async def test_what_cannot_be_used_is_refused_with_its_field(
    strict: httpx.AsyncClient, services: Services, boss: factories.Someone, change: dict[str, Any], field: str
) -> None:
    answer = await strict.post(URL, headers=boss.headers, json=GIVEN | change)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "secret@" not in answer.text
    async with services.database.reading() as session:
        assert (await session.execute(select(webhooks.c.id))).all() == []


async def test_a_private_receiver_needs_the_operators_word(
    client: httpx.AsyncClient, strict: httpx.AsyncClient, boss: factories.Someone
) -> None:
    inside = GIVEN | {"url": "http://127.0.0.1:9000/hook"}
    assert (await strict.post(URL, headers=boss.headers, json=inside)).status_code == 422
    assert (await client.post(URL, headers=boss.headers, json=inside)).status_code == 201


async def test_every_public_event_may_be_asked_for_and_the_star_swallows_the_others(
    client: httpx.AsyncClient, boss: factories.Someone
) -> None:
    some = await client.post(URL, headers=boss.headers, json=GIVEN | {"events": [*events.ALL, "sla.met"]})
    assert some.json()["events"] == sorted(events.ALL)
    everything = await client.post(URL, headers=boss.headers, json=GIVEN | {"events": ["sla.met", "*"]})
    assert everything.json()["events"] == ["*"]


async def test_a_moved_webhook_leaves_both_hosts_in_the_audit(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    made = (await client.post(URL, headers=boss.headers, json=GIVEN)).json()
    url = f"{URL}/{made['id']}"
    async with services.database.transaction() as session:
        await session.execute(webhooks.update().values(failing_since=clock.now()))
    change = {"url": "HTTPS://Other.Example.com/in#part", "enabled": False}
    answer = await client.patch(url, headers=boss.headers | {"If-Match": '"1"'}, json=change)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["url"], shown["enabled"], shown["failing_since"]) == ("https://other.example.com/in", False, None)
    assert (shown["version"], answer.headers["etag"]) == (2, '"2"')
    stale = await client.patch(url, headers=boss.headers | {"If-Match": '"1"'}, json={"name": "x"})
    assert stale.status_code == 412
    assert (await client.patch(url, headers=boss.headers, json={"name": "x"})).status_code == 428
    gone = await client.delete(url, headers=boss.headers | {"If-Match": '"2"'})
    assert gone.status_code == 204
    assert (await client.get(url, headers=boss.headers)).status_code == 404
    hosts = {"host_before": "pager.example.com", "host": "other.example.com"}
    assert await _audited(services) == [
        ("webhook.created", {"host": "pager.example.com"}),
        ("webhook.updated", {"fields": ["enabled", "url"], **hosts}),
        ("webhook.removed", {"host": "other.example.com"}),
    ]


async def test_a_secret_can_be_given_and_is_rotated_without_a_gap(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    made = (await client.post(URL, headers=boss.headers, json=GIVEN | {"secret": SECRET})).json()
    assert made["secret"] == SECRET
    answer = await client.post(f"{URL}/{made['id']}/rotate", headers=boss.headers)
    new = answer.json()["secret"]
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    async with services.database.reading() as session:
        row = await service.get_webhook(session, UUID(made["id"]))
    now = clock.now()
    assert service.signing_secrets(services, row, now=now) == [new, SECRET]
    assert service.signing_secrets(services, row, now=now + timedelta(hours=25)) == [new]
    leaked = await client.post(f"{URL}/{made['id']}/rotate", headers=boss.headers, json={"overlap_hours": 0})
    async with services.database.reading() as session:
        row = await service.get_webhook(session, UUID(made["id"]))
    assert service.signing_secrets(services, row, now=now) == [leaked.json()["secret"]]
    assert (await _audited(services))[1:] == [
        ("webhook.rotated", {"overlap_hours": 24.0}),
        ("webhook.rotated", {"overlap_hours": 0.0}),
    ]
    for wrong in ({"overlap_hours": 169}, {"overlap_hours": -1}, {"secret": "short"}):
        refused = await client.post(f"{URL}/{made['id']}/rotate", headers=boss.headers, json=wrong)
        assert [error["field"] for error in refused.json()["errors"]] == list(wrong)


async def test_a_test_is_queued_once_and_not_to_a_webhook_that_is_off(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    webhook_id = await factories.webhook(services)
    answer = await client.post(f"{URL}/{webhook_id}/test", headers=boss.headers)
    assert (answer.status_code, answer.json()["type"], answer.json()["status"]) == (202, "webhook.test", "queued")
    async with services.database.transaction() as session:
        row = (await session.execute(select(webhook_deliveries))).mappings().one()
        assert row["give_up_at"] == row["created_at"], "a test is not repeated for days"
        await session.execute(webhooks.update().values(enabled=False))
    off = await client.post(f"{URL}/{webhook_id}/test", headers=boss.headers)
    assert (off.status_code, off.json()["type"]) == (409, "urn:helpdesk:problem:webhook_disabled")


async def test_deliveries_are_listed_from_the_newest_in_pages_and_by_state(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    webhook_id, other = await factories.webhook(services), await factories.webhook(services)
    states = ["sent", "failed", "sent", "failed", "queued"]
    made = [str(await factories.webhook_delivery(services, webhook_id, status=state)) for state in states]
    await factories.webhook_delivery(services, other)
    url, found, cursor = f"{URL}/{webhook_id}/deliveries", [], ""
    while cursor is not None:
        asked = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        shown = (await client.get(url, headers=boss.headers, params=asked)).json()
        found += [item["id"] for item in shown["items"]]
        cursor = shown["next_cursor"]
    assert found == made[::-1]
    failed = (await client.get(url, headers=boss.headers, params={"status": "failed"})).json()["items"]
    assert [item["id"] for item in failed] == [made[3], made[1]]
    assert {item["next_attempt_at"] for item in failed} == {None}
    tests = (await client.get(url, headers=boss.headers, params={"type": "webhook.test"})).json()["items"]
    assert [item["id"] for item in tests] == made[::-1]
    others = await client.get(url, headers=boss.headers, params={"type": "sla.met", "status": "failed"})
    assert others.json() == {"items": [], "next_cursor": None}
    assert (await client.get(url, headers=boss.headers, params={"status": "lost"})).status_code == 422
    assert (await client.get(f"{URL}/{uuid4()}/deliveries", headers=boss.headers)).status_code == 404


async def test_only_what_has_failed_is_sent_again_and_only_by_its_own_webhook(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    webhook_id, other = await factories.webhook(services), await factories.webhook(services)
    failed = await factories.webhook_delivery(services, webhook_id)
    sent = await factories.webhook_delivery(services, webhook_id, status="sent")
    foreign = await client.post(f"{URL}/{other}/deliveries/{failed}/replay", headers=boss.headers)
    assert foreign.status_code == 404
    twice = [await client.post(f"{URL}/{webhook_id}/deliveries/{failed}/replay", headers=boss.headers) for _ in "ab"]
    assert [answer.status_code for answer in twice] == [202, 409]
    assert (twice[0].json()["status"], twice[0].json()["attempts"]) == ("queued", 0)
    done = await client.post(f"{URL}/{webhook_id}/deliveries/{sent}/replay", headers=boss.headers)
    assert (done.status_code, done.json()["type"]) == (409, "urn:helpdesk:problem:not_failed")


async def test_there_is_an_end_to_the_number_of_webhooks(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    for _ in range(service.MOST_WEBHOOKS):
        await factories.webhook(services)
    answer = await client.post(URL, headers=boss.headers, json=GIVEN)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:helpdesk:problem:too_many")


async def test_a_webhook_that_an_escalation_rule_names_is_not_removed_under_it(
    client: httpx.AsyncClient, services: Services, boss: factories.Someone
) -> None:
    webhook_id = await factories.webhook(services)
    await factories.rule(services, {"do": "webhook", "webhook_id": str(webhook_id)}, name="Theft, overdue")
    headers = boss.headers | {"If-Match": '"1"'}
    answer = await client.delete(f"{URL}/{webhook_id}", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:helpdesk:problem:in_use")
    assert "Theft, overdue" in answer.json()["detail"]
