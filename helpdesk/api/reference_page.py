"""The reference as a page that loads nothing and runs nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final

CSP: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def operations(schema: Mapping[str, Any]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Each with its path and method, in the order of the document."""
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def page(schema: Mapping[str, Any]) -> str:
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Helpdesk API</title>',
        '<meta name="viewport" content="width=device-width,initial-scale=1"><style>',
        "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;",
        "overflow-wrap:anywhere}code,pre{background:#8882;padding:0 .2em}pre{white-space:pre-wrap;padding:.5em}",
        "td{padding:.1rem .8rem .1rem 0;vertical-align:top}td:first-child{min-width:8rem}",
        "h2{margin:2.2rem 0 .2rem;font-size:1rem}h2 b{color:#06c}:root{color-scheme:light dark}",
        f"</style></head><body><h1>{escape(schema['info']['title'])}</h1>",
        f'<p style="white-space:pre-line">{_text(schema["info"]["description"])}</p>',
        "<p>The machine-readable reference is <a href='/openapi.json'>/openapi.json</a>.</p>",
    ]
    for path, method, operation in operations(schema):
        parts += _operation(schema, path, method, operation)
    return "".join(parts) + "</body></html>"


def _operation(schema: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2 id='{escape(operation['operationId'])}'><b>{method.upper()}</b> <code>{escape(path)}</code></h2>"
    yield f"<p><b>{_text(operation.get('summary', ''))}.</b> {_text(operation.get('description', ''))}</p><table>"
    for one in operation.get("parameters", ()):
        yield _row(f"{one['in']} <code>{escape(one['name'])}</code>", _text(one.get("description", "")))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield _row("body", _properties(schema, content["schema"]) + _examples(content))
    for status, answer in operation["responses"].items():
        found = answer.get("content", {})
        if status < "400":
            yield _row(status, _text(answer["description"]) + "".join(_examples(one) for one in found.values()))
        else:
            cases = [case for one in found.values() for case in one.get("examples", {}).items()]
            told = [f"<code>{escape(slug)}</code> {_text(case['summary'])}" for slug, case in cases]
            yield _row(status, "<br>".join(told) or _text(answer["description"]))
    yield "</table>"


def _row(left: str, right: str) -> str:
    return f"<tr><td>{left}</td><td>{right}</td></tr>"


def _text(plain: str) -> str:
    """What stands in backticks is code, and nothing else is anything but text."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(plain))


def _examples(content: Mapping[str, Any]) -> str:
    found = [one["value"] for one in content.get("examples", {}).values()]
    shown = []
    for value in [content["example"], *found] if "example" in content else found:
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        shown.append(f"<details><summary>Example</summary><pre>{escape(text)}</pre></details>")
    return "".join(dict.fromkeys(shown))


def _properties(schema: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    references = [body, *body.get("anyOf", ())]
    names: list[str] = []
    for one in references:
        found = schema["components"]["schemas"].get(str(one.get("$ref", "")).rpartition("/")[2], one)
        names += found.get("properties", {})
    return " ".join(f"<code>{escape(name)}</code>" for name in names)
