"""Files on their way out, and back."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, update

from helpdesk.models.contacts import contacts
from helpdesk.models.inboxes import blobs
from helpdesk.services.house import Services
from tests import factories

URL = "/api/v1/attachments"


async def upload(client: httpx.AsyncClient, someone: factories.Someone, name: str = "note.txt") -> dict[str, str]:
    answer = await client.post(URL, headers=someone.headers, files={"file": (name, b"the text", "text/html")})
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json()
    return found


async def test_a_file_is_served_as_a_download_of_a_safe_type(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    page = await client.post(
        URL, headers=anna.headers, files={"file": ("../evil\u202elmth.html", b"<script>x</script>", "text/html")}
    )
    assert page.json()["content_type"] == "application/octet-stream"
    answer = await client.get(f"{URL}/{page.json()['id']}", headers=anna.headers)
    assert answer.content == b"<script>x</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "\u202e" not in page.json()["filename"]
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["cache-control"] == "private, max-age=3600, immutable"
    assert answer.headers["vary"] == "Cookie, Authorization", "whoever signs in next in this browser is shown nothing"
    again = {**anna.headers, "If-None-Match": answer.headers["etag"]}
    kept = await client.get(f"{URL}/{page.json()['id']}", headers=again)
    assert (kept.status_code, kept.content) == (304, b"")
    bert = await factories.agent(services)
    other = await client.get(f"{URL}/{page.json()['id']}", headers={**again, **bert.headers})
    assert (other.status_code, other.headers["cache-control"]) == (404, "no-store")


async def test_an_upload_belongs_to_whoever_made_it_until_it_is_sent(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert, desk = (
        await factories.agent(services),
        await factories.agent(services),
        await factories.inbox(services),
    )
    identifier = await factories.conversation(services, inbox_id=desk)
    file = await upload(client, anna)
    messages = f"/api/v1/conversations/{identifier}/messages"
    body = {"text": "See this", "attachment_ids": [file["id"]]}
    assert (await client.get(f"{URL}/{file['id']}", headers=bert.headers)).status_code == 404
    stolen = await client.post(messages, headers={**bert.headers, "Idempotency-Key": "b"}, json=body)
    assert stolen.status_code == 404
    sent = await client.post(messages, headers={**anna.headers, "Idempotency-Key": "a"}, json=body)
    assert [one["filename"] for one in sent.json()["attachments"]] == ["note.txt"]
    assert (await client.get(f"{URL}/{file['id']}", headers=bert.headers)).content == b"the text"
    twice = await client.post(messages, headers={**anna.headers, "Idempotency-Key": "c"}, json=body)
    assert twice.status_code == 404


async def test_a_sent_file_is_erased_with_its_contacts_key(client: httpx.AsyncClient, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    file = await upload(client, anna)
    await client.post(
        f"/api/v1/conversations/{identifier}/messages",
        headers={**anna.headers, "Idempotency-Key": "a"},
        json={"text": "x", "attachment_ids": [file["id"]]},
    )
    async with services.database.transaction() as session:
        assert (await session.execute(select(blobs.c.key_owner))).scalar_one().startswith("contact:")
        await session.execute(update(contacts).values(key=b""))
    answer = await client.get(f"{URL}/{file['id']}", headers=anna.headers)
    assert answer.headers["cache-control"] == "no-store"
    assert (answer.status_code, answer.json()["type"]) == (410, "urn:helpdesk:problem:cannot_open")


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 3 * 1024 * 1024])
async def test_a_file_that_is_too_large_is_refused(size: int, client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    answer = await client.post(URL, headers=anna.headers, files={"file": ("a.bin", b"x" * size)})
    assert answer.status_code == 413


async def test_a_form_without_a_file_is_named_as_such(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    for request in ({"json": {"file": "x"}}, {"data": {"file": "x"}}, {"content": b"x"}):
        answer = await client.post(URL, headers=anna.headers, **request)  # type: ignore[arg-type]
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "file"
    unknown = await client.get(f"{URL}/{uuid4()}", headers=anna.headers)
    assert unknown.status_code == 404
