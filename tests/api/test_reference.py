"""The reference is whole: names, examples, errors, parameters and headers, each held against the document itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import jsonschema_rs
import pytest

from helpdesk.api.examples import VALUES
from helpdesk.api.reference_page import operations
from helpdesk.app import create_app
from helpdesk.services.house import Services
from tests.conftest import ON_ONE_DATABASE

Json = dict[str, Any]
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"


@pytest.fixture
def document(services: Services) -> Json:
    if not _DOCUMENTS:
        _DOCUMENTS.append(create_app(services).openapi())
    return _DOCUMENTS[0]


_DOCUMENTS: Final[list[Json]] = []
"""Every application has the same, and deriving it takes a while."""


def _answers(document: Json) -> Iterator[tuple[str, Json]]:
    """What there is to be read of each 2xx answer."""
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status < "300":
                for media, content in answer.get("content", {}).items():
                    yield f"{method} {path} {status} {media}", content


def _bodies(document: Json) -> Iterator[tuple[str, Json]]:
    for path, method, operation in operations(document):
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{method} {path} {media}", content


def _examples(content: Json) -> list[Any]:
    found = [one["value"] for one in content.get("examples", {}).values()]
    return [content["example"], *found] if "example" in content else found


def _wrong(document: Json, schema: Json, value: Any) -> list[str]:
    validator = jsonschema_rs.Draft202012Validator(
        {**schema, "components": document["components"]}, validate_formats=True
    )
    return [f"{error.instance_path}: {error.message[:200]}" for error in validator.iter_errors(value)]


def _told(pairs: list[str]) -> None:
    assert not pairs, "\n".join(pairs)


@ON_ONE_DATABASE
def test_operations_have_short_names_of_their_own_and_say_what_they_are(document: Json) -> None:
    found = [operation["operationId"] for _, _, operation in operations(document)]
    assert [name for name, count in Counter(found).items() if count > 1] == []
    assert [name for name in found if not re.fullmatch(r"[a-z]+(_[a-z]+){0,4}", name)] == []
    for path, _, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path


@ON_ONE_DATABASE
def test_every_body_and_every_answer_has_an_example_that_its_own_schema_takes(document: Json) -> None:
    wrong = []
    for place, content in (*_bodies(document), *_answers(document)):
        examples = _examples(content)
        if not examples:
            wrong.append(f"{place}: no example; bodies have theirs in api/example_bodies.py")
        if JSON in place:
            wrong += [f"{place}: {text}" for value in examples for text in _wrong(document, content["schema"], value)]
    _told(wrong)


@ON_ONE_DATABASE
def test_no_example_of_a_text_is_the_name_of_its_field(document: Json) -> None:
    """Which is what stands there as long as nobody has said what does: `VALUES` of api/examples.py."""
    found = set()

    def look(place: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                if isinstance(inner, str) and inner == name.replace("_", " ") and name not in VALUES:
                    found.add(f"{place}: {name}")
                look(place, inner)
        elif isinstance(value, list):
            for inner in value:
                look(place, inner)

    for place, content in _answers(document):
        look(place, content.get("example"))
    _told(sorted(found))


@ON_ONE_DATABASE
def test_every_error_is_a_problem_with_its_slugs(document: Json) -> None:
    wrong = []
    for path, method, operation in operations(document):
        responses = operation["responses"]
        for status, answer in responses.items():
            if status < "400" or not path.startswith("/api/"):
                continue
            examples = answer["content"][PROBLEM]["examples"]
            wrong += [
                f"{method} {path} {status} {slug}"
                for slug, one in examples.items()
                if one["value"]["type"] != f"urn:helpdesk:problem:{slug}"
                or str(one["value"]["status"]) != status
                or _wrong(document, answer["content"][PROBLEM]["schema"], one["value"])
            ]
            wrong += [] if examples else [f"{method} {path} {status} has no type"]
        if "security" in operation and not {"401", "500", "503"} <= set(responses):
            wrong.append(f"{method} {path} lacks 401, 500 or 503")
        if "security" not in operation and "unauthenticated" in str(responses.get("401")):
            wrong.append(f"{method} {path} is public and asks for a token")
        if any(one["name"] == "If-Match" and one["required"] for one in operation.get("parameters", ())):
            wrong += [] if {"404", "412", "428"} <= set(responses) else [f"{method} {path} lacks 404, 412 or 428"]
    _told(wrong)


@ON_ONE_DATABASE
def test_every_parameter_and_header_says_what_it_is(document: Json) -> None:
    wrong = []
    for path, method, operation in operations(document):
        for one in operation.get("parameters", ()):
            if not one.get("description") or not one.get("schema"):
                wrong.append(f"{method} {path} {one['name']}")
            if "example" in one:
                wrong += [f"{method} {path}: {text}" for text in _wrong(document, one["schema"], one["example"])]
        for status, answer in operation["responses"].items():
            for name, header in answer.get("headers", {}).items():
                _, _, told = header.get("$ref", "").partition("#/components/headers/")
                if not told.endswith(name) or told not in document["components"]["headers"]:
                    wrong.append(f"{method} {path} {status} {name}")
    _told(wrong)
    for header in document["components"]["headers"].values():
        assert header["description"]
