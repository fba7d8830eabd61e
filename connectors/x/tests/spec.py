"""The vendor's own document, cut to the calls in use: what is asked and answered has to validate against it.

The whole document takes ten seconds to load, the part that a dozen calls reach less than one. It is not part of this
repository: it lies where HELPDESK_SPECS says, or in `shared/specs` beside the clone; without it `load` answers None,
and nothing is held against it.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest, MockResponse

_BESIDE: Final = Path(__file__).parents[4] / "shared" / "specs"
PLACE: Final = Path(os.environ.get("HELPDESK_SPECS") or _BESIDE) / "x" / "openapi-2.159.json"
_SERVER: Final = "https://api.x.com"


class Spec:
    """`operations` is what the document says of each call, by `GET /2/users/me`."""

    def __init__(self, document: Mapping[str, Any], calls: Sequence[str]) -> None:
        paths: dict[str, dict[str, Any]] = {}
        for method, path in (call.split(" ") for call in calls):
            # The fake checks authorization itself: the checker warns of what it does not know, and knows OAuth 1 wrong.
            operation = {k: v for k, v in document["paths"][path][method.lower()].items() if k != "security"}
            paths.setdefault(path, {})[method.lower()] = operation
        self._components = document["components"]
        self.operations = {call: document["paths"][call.split(" ")[1]][call.split(" ")[0].lower()] for call in calls}
        head = {"openapi": document["openapi"], "info": document["info"], "servers": [{"url": _SERVER}]}
        config = Config(extra_media_type_deserializers={"application/problem+json": json.loads})
        self._checker = OpenAPI.from_dict({**head, "paths": paths, "components": self._reached(paths)}, config=config)

    def _reached(self, start: Any) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        waiting = list(_references(start))
        while waiting:
            _, _, kind, name = waiting.pop().split("/")
            if name not in found.setdefault(kind, {}):
                found[kind][name] = self._components[kind][name]
                waiting += _references(found[kind][name])
        return found

    def parameters(self, call: str) -> set[str]:
        """The names that may stand in the call's query."""
        given = self.operations[call].get("parameters", [])
        whole = [self._components["parameters"][one["$ref"].split("/")[-1]] if "$ref" in one else one for one in given]
        return {one["name"] for one in whole if one["in"] == "query"}

    def faults(
        self,
        call: str,
        path: str,
        query: Mapping[str, str],
        body: bytes,
        answer: tuple[int, str, bytes],
        *,
        binary: bool = False,
    ) -> list[str]:
        """What is wrong with a request and its answer. With `binary` its body is no JSON and is not looked at."""
        method = call.split(" ")[0]
        content_type = "application/json" if body else ""
        request = MockRequest(_SERVER, method, path, args=dict(query), data=body, content_type=content_type)
        found = [f"{call}: nobody knows the parameter {name}" for name in query.keys() - self.parameters(call)]
        asked = [] if binary else list(self._checker.iter_request_errors(request))
        status, kind, content = answer
        told = self._checker.iter_response_errors(request, MockResponse(content, status, content_type=kind))
        return found + [f"{call}: {_why(error)}" for error in (*asked, *told)]


def _why(error: BaseException) -> str:
    """What is at the bottom of it, and where: the errors above only say that something is invalid."""
    while error.__cause__ is not None:
        error = error.__cause__
    first = next(iter(getattr(error, "schema_errors", ())), error)
    where = "/".join(str(step) for step in getattr(first, "absolute_path", ()))
    return f"{where}: {getattr(first, 'message', first)}"[:300]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(where := node.get("$ref"), str):
            yield where
        if isinstance(kinds := node.get("discriminator"), Mapping):
            yield from kinds.get("mapping", {}).values()
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


@functools.cache
def load(calls: tuple[str, ...]) -> Spec | None:
    if not PLACE.exists():
        return None
    return Spec(json.loads(PLACE.read_text("utf-8")), calls)
