"""The reference as a page that loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Helpdesk API</title><style>',
        "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}",
        "code{background:#8882;padding:0 .2em}table{border-collapse:collapse}td{padding:.1rem .8rem .1rem 0;",
        "vertical-align:top}h2{margin:2.2rem 0 .2rem;font-size:1rem}h2 b{color:#06c}:root{color-scheme:light dark}",
        f"</style></head><body><h1>{escape(schema['info']['title'])}</h1>",
        f'<p style="white-space:pre-line">{escape(schema["info"]["description"])}</p>',
        "<p>The machine-readable reference is <a href='/openapi.json'>/openapi.json</a>.</p>",
    ]
    for path, method, operation in operations(schema):
        parts.append(
            f"<h2 id='{escape(operation['operationId'])}'><b>{method.upper()}</b> <code>{escape(path)}</code></h2>"
        )
        text = operation.get("description", "")
        parts.append(f"<p><b>{escape(operation.get('summary', ''))}.</b> {escape(text)}</p>")
        rows = [
            (f"{p['in']} <code>{escape(p['name'])}</code>", escape(p.get("description", "")))
            for p in operation.get("parameters", ())
        ]
        bodies = operation.get("requestBody", {}).get("content", {}).values()
        rows += [("body", _properties(schema, content["schema"])) for content in bodies]
        rows += [(escape(status), escape(answer["description"])) for status, answer in operation["responses"].items()]
        parts.append(
            "<table>" + "".join(f"<tr><td>{left}</td><td>{right}</td></tr>" for left, right in rows) + "</table>"
        )
    return "".join(parts) + "</body></html>"


def _properties(schema: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    references = [body, *body.get("anyOf", ())]
    names: list[str] = []
    for one in references:
        found = schema["components"]["schemas"].get(str(one.get("$ref", "")).rpartition("/")[2], one)
        names += found.get("properties", {})
    return " ".join(f"<code>{escape(name)}</code>" for name in names)
