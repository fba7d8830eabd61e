"""Reports through the door: who may, what is refused, and how they read as CSV."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE

pytestmark = ON_ONE_DATABASE

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
URL = "/api/v1/reports/volume"


async def test_a_report_says_what_it_is_about_and_is_of_28_days(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="supervisor", scopes=["reports:read"])
    desk = await factories.inbox(services, name='=HYPERLINK("http://evil.test")')
    await factories.conversation(services, inbox_id=desk, now=NOON - timedelta(days=28))
    await factories.conversation(services, inbox_id=desk, now=NOON - timedelta(days=28, seconds=1))
    query = {"before": "2026-11-02T12:00:00Z", "group_by": "inbox", "zone": "Asia/Shanghai"}
    answer = await client.get(URL, params=query, headers=boss.headers)
    figures = {"created": 1, "resolved": 0, "reopened": 0, "received": 1, "sent": 0}
    assert answer.json() == {
        "after": "2026-10-05T12:00:00Z",
        "before": "2026-11-02T12:00:00Z",
        "zone": "Asia/Shanghai",
        "group_by": "inbox",
        "rows": [{"group": str(desk), "name": '=HYPERLINK("http://evil.test")', **figures}],
    }
    sheet = await client.get(URL, params={**query, "format": "csv"}, headers=boss.headers)
    assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
    assert sheet.headers["content-disposition"] == 'attachment; filename="volume.csv"'
    assert sheet.text.removeprefix("\ufeff").splitlines() == [
        "group,name,created,resolved,reopened,received,sent",
        f'{desk},"\'=HYPERLINK(""http://evil.test"")",1,0,0,1,0',
    ]


async def test_every_report_is_answered_in_both_forms(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="supervisor")
    reports = {"volume": 1, "response-times": 2, "sla": 0, "backlog": 1, "ratings": 1, "chats": 1}
    for name, lines in reports.items():
        answer = await client.get(f"/api/v1/reports/{name}", headers=boss.headers)
        assert len(answer.json()["rows"]) == lines
        sheet = await client.get(f"/api/v1/reports/{name}?format=csv", headers=boss.headers)
        assert len(sheet.text.splitlines()) == lines + 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("zone=Mars/Olympus", "zone"),
        ("zone=../../etc/passwd", "zone"),
        ("group_by=phase_of_moon", "group_by"),
        ("after=2026-01-01", "after"),
        ("after=2020-01-01T00:00:00Z&before=2026-01-01T00:00:00Z", "after"),
        ("after=1970-01-01T00:00:00Z&before=1970-01-02T00:00:00Z", "after"),
        ("before=0001-01-02T00:00:00Z", "after"),
        ("before=2026-01-01T00:00:00Z&after=2026-01-02T00:00:00Z", "before"),
        ("inbox_id=desk", "inbox_id"),
        ("format=xlsx", "format"),
        ("limit=5", "limit"),
    ],
)
async def test_what_makes_no_report_is_refused(
    client: httpx.AsyncClient, services: Services, query: str, field: str
) -> None:
    boss = await factories.agent(services, role="supervisor")
    answer = await client.get(f"{URL}?{query}", headers=boss.headers)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_token_needs_the_scope_for_reports(client: httpx.AsyncClient, services: Services) -> None:
    someone = await factories.agent(services, role="admin", scopes=["conversations:read"])
    assert (await client.get(URL, headers=someone.headers)).status_code == 403
