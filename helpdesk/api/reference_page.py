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
        "h2{margin:3rem 0 0}h3{margin:2.2rem 0 .2rem;font-size:1rem}h3 b{color:#06c}small{opacity:.75}",
        "nav{columns:14rem}nav a{display:block;text-transform:capitalize}h2{text-transform:capitalize}",
        ":root{color-scheme:light dark}",
        f"</style></head><body><h1>{escape(schema['info']['title'])}</h1>",
        f'<p style="white-space:pre-line">{_text(schema["info"]["description"])}</p>',
        "<p>The machine-readable reference is <a href='/openapi.json'>/openapi.json</a>.</p>",
    ]
    chapters: dict[str, list[str]] = {}
    for path, method, operation in operations(schema):
        chapters.setdefault(operation["tags"][0], []).extend(_operation(schema, path, method, operation))
    links = (f"<a href='#{_anchor(name)}'>{escape(name)}</a>" for name in chapters)
    parts.append(f"<nav>{''.join(links)}</nav>")
    for name, lines in chapters.items():
        parts += [f"<h2 id='{_anchor(name)}'>{escape(name)}</h2>", *lines]
    return "".join(parts) + "</body></html>"


def _anchor(chapter: str) -> str:
    return "-" + re.sub(r"[^a-z]+", "-", chapter.lower())


def _operation(schema: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h3 id='{escape(operation['operationId'])}'><b>{method.upper()}</b> <code>{escape(path)}</code></h3>"
    yield f"<p><b>{_text(operation.get('summary', ''))}.</b> {_text(operation.get('description', ''))}</p><table>"
    for one in operation.get("parameters", ()):
        needed = " <small>needed</small>" if one.get("required") and one["in"] != "path" else ""
        said = f"{_text(one.get('description', ''))} <small>{_kind(schema, one['schema'])}</small>"
        yield _row(f"{one['in']} <code>{escape(one['name'])}</code>{needed}", said)
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
    """A line for each member of a body; of the alternatives of a body, one after the other."""
    lines: dict[str, None] = {}
    for one in body.get("anyOf", (body,)):
        found = _resolved(schema, one)
        for name, member in found.get("properties", {}).items():
            needed = ", needed" if name in found.get("required", ()) else ""
            said = f" {_text(member['description'])}" if "description" in member else ""
            lines[f"<code>{escape(name)}</code> <small>{_kind(schema, member)}{needed}</small>{said}<br>"] = None
    return "".join(lines)


_FORMATS: Final = {"uuid": "id", "date-time": "time", "binary": "file"}
_BOUNDS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "maxLength": "at most {} characters",
    "maxItems": "at most {}",
}
_DEPTH: Final = 2


def _kind(schema: Mapping[str, Any], one: Mapping[str, Any], depth: int = 0) -> str:
    """What a value may be, in a few words: its type or the words to choose from, its bounds, and what stands for it."""
    found = _resolved(schema, one)
    bounds = [text.format(found[name]) for name, text in _BOUNDS.items() if name in found]
    if "default" in found and not depth:
        bounds.append(f"default {json.dumps(found['default'], ensure_ascii=False)}")
    return ", ".join([_type(schema, found, depth), *map(escape, bounds)])


def _type(schema: Mapping[str, Any], found: Mapping[str, Any], depth: int) -> str:
    if "enum" in found:
        return " ".join(f"<code>{escape(str(word))}</code>" for word in found["enum"])
    if "const" in found:
        return f"<code>{escape(str(found['const']))}</code>"
    if alternatives := found.get("anyOf") or found.get("oneOf"):
        return " or ".join(dict.fromkeys(_kind(schema, each, depth + 1) for each in alternatives))
    if found.get("type") == "array":
        return f"list of {_kind(schema, found.get('items', {}), depth + 1)}"
    if found.get("type") == "object" and found.get("properties") and depth < _DEPTH:
        members = (f"{escape(name)}: {_kind(schema, m, depth + 1)}" for name, m in found["properties"].items())
        return f"{{{'; '.join(members)}}}"
    return _FORMATS.get(found.get("format", ""), str(found.get("type", "anything")))


def _resolved(schema: Mapping[str, Any], one: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema["components"]["schemas"].get(str(one.get("$ref", "")).rpartition("/")[2], one)
    return found
