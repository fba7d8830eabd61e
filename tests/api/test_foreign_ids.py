"""An id of something that one may not see is answered like one that nothing has: wherever a request can name one.

The places are found in the reference: every path, query parameter and field of a body that holds an id or a filter.
Each has to be of a thing that is known here, so that a new one is tried or the test fails. The rows of the access
table are the requests into which the ids are put.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete, func, select

from helpdesk import clock
from helpdesk.domain.values import SYSTEM, Scope
from helpdesk.models import metadata
from helpdesk.models.conversations import (
    drafts,
)
from helpdesk.models.events import audit, idempotency_keys
from helpdesk.services import tokens
from helpdesk.services.house import Services
from tests import factories
from tests.api import test_access_table as table
from tests.conftest import ON_ONE_DATABASE

SECRET: Final[Mapping[str, str]] = {
    "alert_id": "alert_id",
    "attachment_id": "attachment_id",
    "attachment_ids": "attachment_id",
    "canned_response_id": "response_id",
    "contact_id": "contact_id",
    "conversation_id": "conversation_id",
    "id": "conversation_id",
    "ids": "conversation_id",
    "inbox_id": "inbox_id",
    "inbox_ids": "inbox_id",
    "into": "twin_id",
    "job_id": "job_id",
    "macro_id": "macro_id",
    "message_id": "message_id",
    "message_ids": "message_id",
    "response_id": "response_id",
    "token_id": "token_id",
    "view_id": "view_id",
}
"""What there may be without everybody seeing it: by the name of its place, the access table's word for it."""

OPEN: Final = {
    *("agent_id", "agent_ids", "assignee_id", "member_ids", "lead_ids", "mentions"),  # colleagues are no secret
    *("team_id", "tag_id", "field_id"),  # everybody lists them
    *("schedule_id", "hours_id", "business_hours_id", "policy_id", "policy_ids", "sla_policy_id"),
    *("rule_id", "automation_id"),
    *("webhook_id", "delivery_id", "route_id", "provider_id"),  # only administrators get as far as to them
    *("actor_id", "subject_id", "after"),  # of the audit and of exports, which are for those who see everything
    *("session_id", "client_id"),  # of the console, which no token gets to; what a provider calls us
    "identity_id",  # of contacts, for supervisors, who see all of them
    "continued_by_id",  # of inboxes, for administrators, who see all of them
}
PLAIN: Final = {"settings"}
"""Objects without a form, in which no id stands: how a channel is reached."""
TREES: Final = {"filter", "if"}
"""Filter trees, which name inboxes and contacts."""

LEAVES: Final = {"inbox_id": "inbox_id", "contact_id": "contact_id"}
DO: Final = {"canned_response_id": "reply"}
"""The word of an action, by what it names."""


JUDGED_LATER: Final = {
    "POST /api/v1/conversations/bulk ids",
    "PUT /api/v1/conversations/{conversation_id}/draft inbox_id",
}
"""A job says what became of each; a draft is judged when it is sent."""
FIGURES: Final = ("GET /api/v1/ratings", "GET /api/v1/reports/", "GET /api/v1/presence", "GET /api/v1/search")
"""What there is nothing to count of, in one's own inbox either; where nobody is, and what no index has yet."""


@dataclass(frozen=True)
class Place:
    """Where a request can name a thing. `at` is `path`, `query` or `body`; `thing` says what it is of."""

    key: str
    at: str
    path: tuple[str, ...]
    thing: str

    def __str__(self) -> str:
        return f"{self.key} {self.at} {'.'.join(self.path)}"


def _ids(schema: Mapping[str, Any], known: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Where ids and objects without a form stand in a schema; `*` is an item of a list."""
    if "$ref" in schema:
        schema = known[schema["$ref"].rpartition("/")[2]]
    for word in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(word, ()):
            yield from _ids(one, known, path)
    for name, one in schema.get("properties", {}).items():
        yield from _ids(one, known, (*path, name))
        if "format" not in one and name.removesuffix("s").endswith("_id") and one.get("type") == "string":
            yield (*path, name)
    if "items" in schema:
        yield from _ids(schema["items"], known, (*path, "*"))
    values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    for one in (found for found in values if isinstance(found, dict)):
        yield from _ids(one, known, (*path, "*"))
    formless = schema.get("type") == "object" and not any(isinstance(one, dict) for one in values)
    formless = formless and "properties" not in schema
    if schema.get("format") == "uuid" or formless:
        yield path
    if schema.get("contentMediaType") == "application/json":
        yield path


def _places(reference: Mapping[str, Any]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    known = reference["components"]["schemas"]
    for url, operations in reference["paths"].items():
        for method, operation in operations.items():
            key = f"{method.upper()} {url}"
            for parameter in operation.get("parameters", ()):
                if parameter["in"] in ("path", "query"):
                    for found in _ids(parameter["schema"], known, (parameter["name"],)):
                        yield key, parameter["in"], found
            for content in operation.get("requestBody", {}).get("content", {}).values():
                for found in sorted(set(_ids(content["schema"], known, ()))):
                    yield key, "body", found


def every_place(client: httpx.AsyncClient) -> list[Place]:
    """Raises `AssertionError` for one whose name says nothing of what it names."""
    found, unknown = [], []
    for key, at, path in _places(client._transport.app.openapi()):
        name = next(word for word in reversed(path) if word != "*")
        if name in TREES:
            found += [Place(key, at, (*path, leaf), thing) for leaf, thing in LEAVES.items()]
        elif name in SECRET:
            thing = "contact_id" if (name, "/contacts/" in key) == ("into", True) else SECRET[name]
            found.append(Place(key, at, path, thing))
        elif name not in OPEN | PLAIN:
            unknown.append(f"{key} {at} {'.'.join(path)}")
    assert not unknown, "\n".join(["say of what these are ids, and whether they are a secret:", *unknown])
    return found


def _row(place: Place) -> table.Row:
    """The access table's request, with `{probe}` in the place."""
    row = table.TABLE[place.key]
    if place.at == "path":
        return row
    name, *rest = place.path
    if place.at == "query":
        leaf = f'{{"field":"{rest[-1]}","op":"eq","value":"' if name in TREES else ""
        value = f"{_escaped(leaf)}{{probe}}{_escaped(chr(34) + '}') if leaf else ''}"
        others = [one for one in row.query[1:].split("&") if one and not one.startswith(f"{name}=")]
        return replace(row, query="?" + "&".join([*others, f"{name}={value}"]))
    body = deepcopy(row.body) if isinstance(row.body, dict) else {}
    if place.key.endswith("/bulk"):
        body = {"ids": ["{conversation_id}"], "set": {"priority": "high"}}
        body.pop({"filter": "ids", "actions": "set", "set": ""}.get(name, ""), None)
    if place.key.endswith("/reprocess"):
        body = {}
    _put(body, place.path)
    return replace(row, body=body)


def _escaped(text: str) -> str:
    return text.replace("{", "%7B").replace("}", "%7D").replace('"', "%22")


def _put(body: dict[str, Any], path: tuple[str, ...]) -> None:
    name, *rest = path
    if name in TREES:
        body[name] = {"field": rest[-1], "op": "eq", "value": "{probe}"}
    elif not rest:
        body[name] = "{probe}"
    elif rest == ["*"]:
        body[name] = ["{probe}"]
    elif rest[0] == "*":
        inner: dict[str, Any] = {"do": DO[rest[-1]]} if rest[-1] in DO else {}
        body[name] = [inner]
        _put(inner, tuple(rest[1:]))
    else:
        _put(body.setdefault(name, {}), tuple(rest))


async def _probe(
    client: httpx.AsyncClient,
    services: Services,
    place: Place,
    headers: dict[str, str],
    ids: dict[str, str],
    probe: str,
) -> tuple[int, str]:
    """Status and body of the answer, without what is another each time: the probe, new ids, times, new versions."""
    if place.key.startswith("PUT ") and place.key.endswith("/draft"):
        headers = {**headers, "If-None-Match": "*"}
    ids = {**ids, "probe": probe} | ({place.path[0]: probe} if place.at == "path" else {})
    answer = await table._ask(client, place.key, _row(place), ids, headers)
    return answer.status_code, _plain(answer.text.replace(probe, "<probe>"))


async def _forget_drafts(services: Services) -> None:
    async with services.database.transaction() as session:
        await session.execute(delete(drafts))


def _plain(text: str) -> str:
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>", text)
    text = re.sub(r"\d{4}-\d{2}-\d{2}T[0-9:.]+(Z|\+00:00)", "<time>", text)
    return re.sub(r'"version":\d+', '"version":0', text)


async def _counts(services: Services) -> dict[str, int]:
    """Rows of every table, but for those that are written down about requests."""
    tables = [one for one in metadata.sorted_tables if one not in (audit, idempotency_keys)]
    query = select(*(select(func.count()).select_from(one).scalar_subquery().label(one.name) for one in tables))
    async with services.database.reading() as session:
        return dict((await session.execute(query)).mappings().one())


async def _foreign(services: Services, ids: dict[str, str]) -> list[Any]:
    """The rows that are another's, whole."""
    found: list[Any] = []
    async with services.database.reading() as session:
        for one in metadata.sorted_tables:
            if "id" in one.c and isinstance(one.c.id.type.python_type, type) and one.c.id.type.python_type is UUID:
                mine = one.c.id.in_([UUID(value) for value in ids.values() if len(value) == 36])
                found += [(one.name, *row) for row in await session.execute(select(one).where(mine))]
    return found


async def _headers(services: Services, me: factories.Someone, kind: str) -> dict[str, str]:
    """Of the agent himself, or of a bot that may do in his name what a token can be allowed to."""
    if kind != "bot":
        return me.headers
    async with services.database.transaction() as session:
        scopes = [scope.value for scope in Scope]
        how: dict[str, Any] = {"agent_id": me.id, "name": "bot", "kind": "bot", "scopes": scopes}
        _, plain = await tokens.create_token(session, **how, by=SYSTEM, now=clock.now())
    return {"Authorization": f"Bearer {plain}"}


@ON_ONE_DATABASE
@pytest.mark.parametrize("role", ["agent", "bot", "admin"])
async def test_an_id_that_is_anothers_is_answered_like_one_that_nothing_has(
    role: str, client: httpx.AsyncClient, services: Services
) -> None:
    me, worlds = await table._world(services, "agent" if role == "bot" else role)
    headers = await _headers(services, me, role)
    own, foreign = worlds["own"], worlds["foreign"]
    before, wrong = await _foreign(services, foreign), []
    for place in every_place(client):
        if role == "admin" and place.thing not in ("attachment_id", "macro_id", "response_id", "view_id"):
            continue  # he sees the rest
        await _forget_drafts(services)
        counted = await _counts(services)
        anothers = await _probe(client, services, place, headers, own, foreign[place.thing])
        await _forget_drafts(services)
        nothings = await _probe(client, services, place, headers, own, str(uuid4()))
        if anothers != nothings:
            wrong.append(f"{place}:\n  {anothers}\n  {nothings}")
        if anothers[0] >= 400 and await _counts(services) != counted:
            wrong.append(f"{place}: refused, and something is written")
    assert not wrong, "\n".join(wrong)
    assert await _foreign(services, foreign) == before


@ON_ONE_DATABASE
async def test_one_s_own_id_is_answered_otherwise_in_each_of_these_places(
    client: httpx.AsyncClient, services: Services
) -> None:
    """Or the requests would be refused for another reason, and show nothing."""
    same = set()
    shared = await table._world(services, "agent")
    for place in every_place(client):
        if place.at == "path" or table.TABLE[place.key].agent == "403":
            continue
        named = table._named(place.key, _row(place)) | {place.thing}
        reads = place.key.startswith("GET ")
        me, worlds = shared if reads else await table._world(services, "agent", named)
        mine = await _probe(client, services, place, me.headers, worlds["own"], worlds["own"][place.thing])
        await _forget_drafts(services)
        nothings = await _probe(client, services, place, me.headers, worlds["own"], str(uuid4()))
        if mine == nothings:
            same.add(f"{place.key} {place.path[0]}")
    assert {one for one in same if not one.startswith(FIGURES)} == JUDGED_LATER
