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
_PATTERN: Final = re.compile(r"(^[ \t]*let [^\n]*\n)?^([ \t]*)const (?=\{)", re.MULTILINE)
"""What takes an object apart, and the line before it where that declares what changes."""


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

    Neighbours of one kind are made into one, with a pattern of an object first; what it needs then comes too late where
    it is named in another object (`const x = 1; const { y } = f({ x })`). Neighbours of two kinds are left alone.
    """
    return _PATTERN.sub(lambda found: found[0] if found[1] else f"{found[2]}let ", code)


def _minify_here() -> None:
    import minify

    asked: Mapping[str, str] = json.load(sys.stdin)
    json.dump({name: minify.string(_TYPE, code) for name, code in asked.items()}, sys.stdout)


if __name__ == "__main__":
    _minify_here()
