"""The Bot API's own description, read where it lies: what a call may hold, and what an answer does."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
_PLAIN = {"Integer": int, "String": str, "Float": float, "Boolean": bool, "True": bool}


class Spec:
    def __init__(self, path: Path) -> None:
        whole = json.loads(path.read_text("utf-8"))
        self._methods, self._types = whole["methods"], whole["types"]

    @staticmethod
    @cache
    def found() -> Spec | None:
        """None in a clone that has no descriptions beside it."""
        folder = Path(os.environ.get("HELPDESK_SPECS", ROOT.parent / "shared" / "specs"))
        path = folder / "telegram" / "bot-api-10.1.json"
        return Spec(path) if path.exists() else None

    def check_call(self, method: str, fields: dict[str, Any], files: dict[str, bytes]) -> list[str]:
        known = self._methods.get(method)
        if known is None:
            return [f"{method}: there is no such method"]
        named = {f"attach://{name}" for name in files}
        missing = [f"{method}: {name} was not sent" for name in _attached(fields) - named]
        return missing + self._members(fields, known.get("fields", ()), method)

    def check_result(self, method: str, result: Any) -> list[str]:
        return self.check(result, self._methods[method]["returns"], f"{method} result")

    def check(self, value: Any, types: Sequence[str], place: str) -> list[str]:
        """What keeps `value` from being any of `types`."""
        tried = [self._one(value, name, place) for name in types]
        return min(tried, key=len, default=[])

    def _one(self, value: Any, name: str, place: str) -> list[str]:
        if name.startswith("Array of "):
            if not isinstance(value, list):
                return [f"{place}: no list"]
            inner = [part.removeprefix("Array of ") for part in name.split(" | ")]
            return [found for index, one in enumerate(value) for found in self.check(one, inner, f"{place}[{index}]")]
        if name in _PLAIN:
            fits = isinstance(value, _PLAIN[name]) and not (isinstance(value, bool) and name in ("Integer", "Float"))
            return [] if fits else [f"{place}: {type(value).__name__} is no {name}"]
        known = self._types[name]
        if known.get("subtypes"):
            return self.check(value, known["subtypes"], place)
        if name == "InputFile" and isinstance(value, str) and value.startswith("attach://"):
            return []
        if not isinstance(value, dict):
            return [f"{place}: {type(value).__name__} is no {name}"]
        return self._members(value, known.get("fields", ()), place)

    def _members(self, value: dict[str, Any], fields: Sequence[dict[str, Any]], place: str) -> list[str]:
        known = {one["name"]: one for one in fields}
        found = [f"{place}.{name}: unknown" for name in value.keys() - known.keys()]
        found += [f"{place}.{one['name']}: missing" for one in fields if one["required"] and one["name"] not in value]
        for name in value.keys() & known.keys():
            found += self.check(value[name], known[name]["types"], f"{place}.{name}")
        return found


def _attached(value: Any) -> set[str]:
    """All that a call says is attached."""
    if isinstance(value, str):
        return {value} if value.startswith("attach://") else set()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {name for one in inner for name in _attached(one)}
