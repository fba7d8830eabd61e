"""Holds what the API answers against what it promises: response models never run in production, so they run here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.routing import Match

from helpdesk.api.problems import MEDIA, PREFIX
from helpdesk.api.schemas.shared import Problem


def route_of(app: FastAPI, method: str, path: str) -> APIRoute | None:
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
    for route in all_routes(app):
        if route.matches(scope)[0] is Match.FULL:
            return route
    return None


def all_routes(app: FastAPI) -> list[APIRoute]:
    return [route for route in app.routes if isinstance(route, APIRoute)]


_FIRST: list[FastAPI] = []
"""Every application promises the same; deriving it takes longer than most tests, so the first one does it for all."""


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def checker(app: FastAPI) -> Callable[[httpx.Response], Awaitable[None]]:
    if not _FIRST:
        _FIRST.append(app)
    app.openapi = _FIRST[0].openapi  # type: ignore[method-assign]

    async def check(response: httpx.Response) -> None:
        route = route_of(app, response.request.method, response.request.url.path)
        if route is None:
            return
        await response.aread()
        status = response.status_code
        if status >= 400 and response.headers["content-type"].startswith("text/html"):
            # A page for people, which says so in the reference.
            operation = app.openapi()["paths"][route.path][response.request.method.lower()]
            assert "text/html" in operation["responses"][str(status)]["content"]
        elif status >= 400:
            assert response.headers["content-type"] == MEDIA, response.text
            problem = Problem.model_validate_json(response.content)
            assert problem.status == status
            assert problem.type.startswith(PREFIX)
            if route.include_in_schema:
                operation = app.openapi()["paths"][route.path][response.request.method.lower()]
                promised = operation["responses"].get(str(status))
                assert promised is not None, f"{route.path} does not document {status} {problem.type}"
                known = {example["value"]["type"] for example in promised["content"][MEDIA]["examples"].values()}
                assert problem.type in known, f"{route.path} does not document {problem.type}"
        elif route.response_model is not None and not response.headers["content-type"].startswith("text/csv"):
            assert status == (route.status_code or 200)
            _adapter(route.response_model).validate_json(response.content, strict=False)

    return check
