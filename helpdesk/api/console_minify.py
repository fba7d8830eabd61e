"""Modules as small as they can be for the way to the browser, made by a library: tdewolff's minifier.

It runs in a process of its own, once: it is written in Go, and a runtime of Go in the process that serves would keep
its threads and its memory there, and would not survive a fork.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

import structlog

log = structlog.get_logger("helpdesk.api")

_SECONDS: Final = 30
_TYPE: Final = "text/javascript"
_DECLARED: Final = re.compile(r"^([ \t]*)(?:(const|let) (?=([{[])?)|\S)", re.MULTILINE)
"""A line, how far it stands in, what it declares, and whether it takes something apart."""


def minified(modules: Mapping[str, str]) -> dict[str, str]:
    """The same modules under the same names, with what they export and import unchanged.

    Where that process cannot be had they come back as they are, which works and weighs a third more.
    """
    # -I: neither this file's folder nor the environment is a place to import from
    command = [sys.executable, "-I", __file__]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HELPDESK_")}
    given = json.dumps({name: _in_order(code) for name, code in modules.items()}).encode()
    try:
        done = subprocess.run(  # noqa: S603 - this file, by this Python
            command, input=given, env=environment, capture_output=True, timeout=_SECONDS, check=True
        )
        return dict(json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        log.warning("console_not_minified", error=type(error).__name__)
        return dict(modules)


def _in_order(code: str) -> str:
    """Declarations that stay where they are.

    Neighbours of one kind are made into one, with a pattern of an object or an array first; what it needs then comes
    too late where it is named in another object (`const x = 1; const { y } = f({ x })`). So a pattern is of the other
    kind than the declaration before it, which is the last one that stood in as far.
    """
    before: dict[int, str] = {}

    def turned(found: re.Match[str]) -> str:
        margin, kind, pattern = found.groups()
        for deeper in [depth for depth in before if depth > len(margin)]:
            del before[deeper]
        if kind is None:
            return found[0]
        if pattern and kind == "const":
            kind = "let" if before.get(len(margin)) == "const" else "const"
        before[len(margin)] = kind
        return f"{margin}{kind} "

    return _DECLARED.sub(turned, code)


def _minify_here() -> None:
    import minify

    asked: Mapping[str, str] = json.load(sys.stdin)
    json.dump({name: minify.string(_TYPE, code) for name, code in asked.items()}, sys.stdout)


if __name__ == "__main__":
    _minify_here()
