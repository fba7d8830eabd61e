"""The reference: `/openapi.json`, and a page made of it. What FastAPI derives is completed here, in one place.

Operation ids are the names of the routes' functions: clients are generated with them as the names of their methods, so
they are unique, and stay. Examples come from `examples`, errors from what each route documents and from what any may
answer, headers from what is answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from helpdesk.api import reference_page
from helpdesk.api.answers import Json
from helpdesk.api.dependencies import Csrf
from helpdesk.api.example_bodies import BODIES, identifier
from helpdesk.api.examples import TEXTS, example
from helpdesk.api.problems import MEDIA, add_case, drop_case
from helpdesk.api.reference_page import operations
from helpdesk.api.schemas.messages import ConversationMoved
from helpdesk.api.schemas.shared import Problem
from helpdesk.errors import TooLarge, Unauthenticated, Unavailable

_PUBLIC: Final = (
    "/health",
    "/metrics",
    "/channels/",
    "/rate",
    "/h/",
    "/openapi.json",
    "/docs",
    "/api/v1/auth/login",
    "/api/v1/auth/sso",
    "/api/v1/auth/forgot-password",
    "/api/v1/auth/reset-password",
    "/api/v1/auth/accept-invitation",
    "/api/v1/auth/first-run",
    "/api/v1/service-hours",
)
_ABOUT: Final = """\
Base: `/api/v1`. Send `Authorization: Bearer TOKEN`, or sign in and use the session cookie; requests that change
something then need an `Origin` equal to the base URL.

Times are RFC 3339 in UTC. Lists answer `items` and `next_cursor`. Errors are `application/problem+json` with a stable
`type`. What you may not see is 404. PATCH, PUT and DELETE need `If-Match` with the quoted version that you read (it is
the `ETag`): missing is 428, stale is 412; sessions and tokens never change, built-in rules of triage are only switched,
and these need none. Creating a message needs `Idempotency-Key`.
"""
_JSON: Final = "application/json"
_NOUNS: Final[Mapping[str, str]] = {
    "automation_id": "automation rule",
    "category_key": "category",
    "field_id": "custom field",
    "hours_id": "business hours",
    "hours_version": "version, counted from 1",
    "policy_id": "SLA policy",
    "provider_id": "identity provider",
    "response_id": "canned response",
    "route_id": "alert route",
    "rule_id": "escalation rule",
    "rule_name": "triage rule",
    "schedule_id": "duty schedule",
    "token": "link",
}
"""What a path's parameter names, where its own name does not say it."""
_WORDS: Final[Mapping[str, Any]] = {
    "category_key": "staking",
    "hours_version": 1,
    "rule_name": "theft",
    "token": "3q2-7wq9Zb1c",
}
"""What stands in a path where there is no id."""
_VERSION: Final = {"type": "string", "pattern": '^"[0-9]{1,18}"$', "example": '"3"'}
_GIVEN: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "if-match": ("If-Match", _VERSION),
    "if-none-match": ("If-None-Match", {"type": "string", "pattern": r"^\*$", "example": "*"}),
    "idempotency-key": (
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": 255, "example": "5f0c6c1e-reply-1"},
    ),
}
"""Headers of requests, as they are spelled and what they may be."""
_HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ETag": {"description": "The version that `If-Match` takes", "required": True, "schema": _VERSION},
    "FileETag": {"description": "Of the bytes, which never change", "required": True, "schema": {"type": "string"}},
    "Location": {"description": "Where it is read", "required": True, "schema": {"type": "string"}},
    "Retry-After": {
        "description": "Seconds after which it may be tried again",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9]+$", "example": "2"},
    },
    "WWW-Authenticate": {
        "description": "How to say who you are",
        "required": True,
        "schema": {"type": "string", "const": "Bearer", "example": "Bearer"},
    },
    "Content-Disposition": {
        "description": "A download, and its name",
        "schema": {"type": "string", "example": 'attachment; filename="screenshot.png"'},
    },
}
"""Headers of answers that clients act upon."""
_DONE: Final = {
    "200": "What was asked for",
    "201": "What was made",
    "202": "It is begun",
    "204": "It is done, and there is nothing to show",
    "303": "Go on at `Location`",
}
"""In place of what FastAPI says of each."""
_OF_STATUS: Final = {"401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}
_TAGGED: Final = frozenset({"Ran", "HolidaysAdded", "TriageShown"})
"""Answers without `version` of their own that still have the `ETag` of what they are about."""
_UNTAGGED: Final = frozenset({"RulesShown"})
"""The other way round: nobody changes it here."""
_JOBS: Final = frozenset({"JobShown", "JobStarted"})
_DOWNLOADS: Final = frozenset({"text/csv", "message/rfc822", "application/octet-stream"})


def install(app: FastAPI) -> None:
    """Hang up both, and complete what FastAPI derives."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
            app.openapi_schema = _complete(found, _names(app))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

    @app.get("/openapi.json", include_in_schema=False)
    async def document() -> Response:
        return Json(app.openapi())

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(
            reference_page.page(app.openapi()),
            media_type="text/html",
            headers={"Content-Security-Policy": reference_page.CSP, "X-Frame-Options": "DENY"},
        )


def _names(app: FastAPI) -> dict[tuple[str, str], str]:
    """Operation ids by method and path."""
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    return {(method.lower(), route.path): route.name for route in routes for method in route.methods or ()}


def _complete(schema: dict[str, Any], names: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    shared = [(Problem, "serialization"), (ConversationMoved, "serialization")]
    _, extra = models_json_schema(shared, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    schemas = components.setdefault("schemas", {})
    for name, found in extra["$defs"].items():
        schemas.setdefault(name, found)
    components["headers"] = dict(_HEADERS)
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "Of an agent or a bot, with its scopes"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-helpdesk",
            "description": "Of the console; over plain HTTP its name is `helpdesk`",
        },
    }
    for path, method, operation in operations(schema):
        operation["operationId"] = names.get((method, path), operation["operationId"])
        _errors(path, method, operation)
        names_of = {parameter["name"] for parameter in operation.get("parameters", ())}
        for parameter in operation.get("parameters", ()):
            _parameter(parameter, either="if-none-match" in names_of)
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            _body(media, content)
        operation["responses"] = dict(sorted(operation["responses"].items()))
        for status, answer in operation["responses"].items():
            _answer(path, status, answer, schemas)
    return schema


def _errors(path: str, method: str, operation: dict[str, Any]) -> None:
    """What any operation of its kind may answer besides what its route documents; and not what it cannot."""
    responses = operation["responses"]
    if path.startswith(_PUBLIC):
        drop_case(responses, 401, Unauthenticated.slug)
    else:
        operation["security"] = [{"token": []}, {"session": []}]
        if method != "get":
            add_case(responses, 403, Csrf.slug, Csrf.title)
    if "requestBody" in operation:
        add_case(responses, 400, "bad_request", "The request cannot be read")
        add_case(responses, 413, TooLarge.slug, TooLarge.title)
    if path.startswith("/api/"):
        add_case(responses, 503, Unavailable.slug, Unavailable.title)


def _parameter(parameter: dict[str, Any], *, either: bool) -> None:
    """`either`: If-Match, or If-None-Match in its place."""
    name = parameter["name"]
    if parameter["in"] == "path":
        noun = _NOUNS.get(name) or name.removesuffix("_id").replace("_", " ")
        parameter.setdefault("description", f"Which {noun}")
        parameter.setdefault("example", _WORDS.get(name) or identifier(noun))
    elif parameter["in"] == "header" and name in _GIVEN:
        parameter["name"], parameter["schema"] = _GIVEN[name][0], dict(_GIVEN[name][1])
        parameter["required"] = (name == "if-match" and not either) or parameter.get("description", "")[:6] == "Needed"


def _body(media: str, content: dict[str, Any]) -> None:
    if media != _JSON:
        content.setdefault("example", {"file": "(the bytes of the file)"})
        return
    schema = content["schema"]
    shapes = (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ()))
    named = [str(one["$ref"]).rpartition("/")[2] for one in shapes if "$ref" in one]
    found = {name: BODIES[name] for name in named if name in BODIES}
    if len(found) == 1:
        content["example"] = next(iter(found.values()))
    elif found:
        content["examples"] = {name: {"value": value} for name, value in found.items()}


def _answer(path: str, status: str, answer: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    if answer["description"] == "Successful Response":
        answer["description"] = _DONE[status]
    names = [_OF_STATUS[status]] if status in _OF_STATUS else []
    if status == "409":
        _moved(answer, schemas)
    for media, content in answer.get("content", {}).items() if status < "300" else ():
        if media == _JSON and content.get("schema"):
            content.setdefault("example", example(content["schema"], schemas))
            names += _of_answer(path, status, content["schema"], schemas)
        elif media in TEXTS:
            content.setdefault("example", TEXTS[media])
        if media in _DOWNLOADS and "Content-Disposition" not in names:
            names.append("Content-Disposition")
    if names:
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names} | answer.get(
            "headers", {}
        )


def _moved(answer: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """One type of conflict has messages beside it, in a shape of its own."""
    content = answer["content"][MEDIA]
    if "conversation_moved" in content["examples"]:
        shape = {"$ref": "#/components/schemas/ConversationMoved"}
        content["schema"] = {"anyOf": [shape, content["schema"]]}
        shown = content["examples"]["conversation_moved"]["value"]
        shown["messages"] = example(shape, schemas)["messages"]


def _of_answer(path: str, status: str, shape: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[str]:
    """The headers of an answer in JSON. Past versions have no `ETag`: nothing can be done to them."""
    shapes = {str(one.get("$ref", "")).rpartition("/")[2] for one in (shape, *shape.get("anyOf", ()))}
    versions = any("version" in schemas.get(name, {}).get("properties", {}) for name in shapes)
    tagged = (versions and "/versions" not in path and shapes.isdisjoint(_UNTAGGED)) or not shapes.isdisjoint(_TAGGED)
    made = (tagged and status == "201") or (status == "202" and not shapes.isdisjoint(_JOBS))
    return ["ETag"] * tagged + ["Location"] * made
