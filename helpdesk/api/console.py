"""The agent console: plain modules out of `helpdesk/console`, served from memory, and the one page that loads them.

Files have the hash of all of them in their address, so browsers keep them for good and no release is ever mixed with
another. Modules are joined by folder (`console_packs`) and made small (`console_minify`). The page names what its
address will need, modules and styles, so that they are fetched beside each other and not one after the other; which
these are is read from the modules themselves.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import posixpath
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

import helpdesk
from helpdesk.api import problems
from helpdesk.api.console_minify import minified
from helpdesk.api.console_packs import BOOT, SHELL, Place, joined
from helpdesk.api.dependencies import base_url, cookie_name, services_of
from helpdesk.errors import NotFound

router = APIRouter()

FOLDER: Final = Path(helpdesk.__file__).parent / "console"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=()",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
    "Vary": "Cookie",
}
_TYPES: Final[Mapping[str, str]] = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_IMPORT: Final = re.compile(r'^(?:import|export)\b[^"\n;]*?from "(\.[^"]+)";|^import "(\.[^"]+)";', re.MULTILINE)
_ROUTE: Final = re.compile(r'^  \["(/[^"]*)", "([a-z/-]+)"\],', re.MULTILINE)
_WITHOUT: Final = "Helpdesk needs JavaScript. 需要启用 JavaScript。需要啟用 JavaScript。"
_SIGN_IN: Final = "session"
_OTHERS: Final = {"api", "channels", "console", "health", "rate", "h", "docs", "openapi.json", "metrics", "demo"}
"""What an address begins with that is not the console's own to speak for."""
_SHEETS: Final = ("base.css", "parts.css", "shell/shell.css")


@dataclass(frozen=True, slots=True)
class File:
    body: bytes
    packed: bytes
    media_type: str


class Console:
    """All files by their path below the folder, and what they say of each other."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in _TYPES)
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        modules = {name: body.decode() for name, body in found.items() if name.endswith(".js")}
        rest = _with_texts(_with_sheet({name: body for name, body in found.items() if name not in modules}))
        self._code, self._places = joined(modules)
        sent = {name: small.encode() for name, small in minified(self._code).items()}
        self.files = {name: _file(name, body) for name, body in sorted((rest | sent).items())}
        digest = sha256()
        for name, file in self.files.items():
            digest.update(b"%s\0%d\0%s" % (name.encode(), len(file.body), file.body))
        self.root = f"/console/{digest.hexdigest()[:16]}/"

    def place(self, module: str) -> Place:
        """Where a module is sent: in which file, and under which of its exports, if not by itself."""
        return self._places[module]

    def graph(self, *entries: str) -> list[str]:
        """The modules that these import, and what those import, in the order in which they are met."""
        found: dict[str, None] = {}
        waiting = list(entries)
        while waiting:
            name = waiting.pop(0)
            if name not in found and name in self._code:
                found[name] = None
                waiting.extend(self._imports(name))
        return list(found)

    def _imports(self, name: str) -> Iterator[str]:
        for one, other in _IMPORT.findall(self._code[name]):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(name), one or other))

    def page(self, area: str, *, base: str, session: bool, demo: bool = False) -> str:
        """The document. What stands in it is ours, but for the base URL. `session`: a cookie came, good or not;
        `demo`: the chat has a page to try it on.
        """
        modules = self.graph(BOOT, SHELL, f"{area}/{area}.js")
        sheets = (_SHEETS[0], f"{area}/{area}.css")
        # The first one asks for answers: it waits for nothing, and six at a time are all that a browser fetches.
        head = [f'<script type="module" async src="{self.root}{modules[0]}"></script>']
        head += [f'<link rel="stylesheet" href="{self.root}{name}">' for name in sheets if name in self.files]
        head += [f'<link rel="modulepreload" href="{self.root}{name}">' for name in modules[1:]]
        return (
            f'<!doctype html><html lang="en" data-base="{escape(base)}" data-version="{helpdesk.__version__}"'
            f"{' data-session' * session}{' data-demo' * demo}><head>"
            '<meta charset="utf-8"><title>Helpdesk</title>'
            '<meta name="viewport" content="width=device-width,initial-scale=1,viewport-fit=cover,'
            'interactive-widget=resizes-content"><meta name="color-scheme" content="light dark">'
            f'{"".join(head)}<link rel="icon" href="{self.root}icon.svg"></head>'
            f"<body><noscript>{_WITHOUT}</noscript></body></html>"
        )


def _with_sheet(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The sheets of every page in one."""
    sent = {name: body for name, body in files.items() if name not in _SHEETS}
    return sent | {_SHEETS[0]: b"\n".join(files[name] for name in _SHEETS if name in files)}


def _with_texts(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The catalogues without blanks, those of the settings' pages in one: by that all texts are a sixth lighter."""
    sent = dict(files)
    joined: dict[str, dict[str, Any]] = {}
    for name in sorted(one for one in files if one.endswith(".json")):
        home = re.sub(r"/settings-[\w-]+\.json$", "/settings.json", name)
        joined.setdefault(home, {}).update(json.loads(sent.pop(name)))
    texts = {name: json.dumps(one, ensure_ascii=False, separators=(",", ":")) for name, one in joined.items()}
    return sent | {name: text.encode() for name, text in texts.items()}


def _file(name: str, body: bytes) -> File:
    return File(body, gzip.compress(body, 9, mtime=0), _TYPES[posixpath.splitext(name)[1]])


@cache
def made() -> Console:
    """Read and packed once in a process."""
    return Console()


@cache
def routes() -> Mapping[str, str]:
    """The addresses of the console and the area of each: `routes.js` is the one list of them."""
    return dict(_ROUTE.findall((FOLDER / "routes.js").read_text(encoding="utf-8")))


async def _shown(request: Request, area: str, status: int = 200) -> Response:
    console = await asyncio.to_thread(made)
    signed_in = cookie_name(request) in request.cookies
    settings = services_of(request).settings
    demo = settings.demo_page or settings.env != "production"
    document = console.page(area if signed_in else _SIGN_IN, base=base_url(request), session=signed_in, demo=demo)
    return Response(document, status, headers=dict(HEADERS), media_type="text/html")


def _showing(area: str) -> Callable[[Request], Awaitable[Response]]:
    async def show_console(request: Request) -> Response:
        """The same document at each address, but for what it is told to fetch first."""
        return await _shown(request, area)

    return show_console


async def no_such_page(request: Request, error: Exception) -> Response:
    """Whoever typed an address that nothing is at reads so in words; programs are told as they are everywhere."""
    wants_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if wants_page and request.url.path.split("/")[1] not in _OTHERS:
        return await _shown(request, "", 404)
    return await problems.of_framework(request, error)


async def read_console_file(request: Request) -> Response:
    """Under today's hash only: whoever still has yesterday's page loads it anew."""
    console = await asyncio.to_thread(made)
    file = console.files.get(request.url.path.removeprefix(console.root))
    if file is None:
        raise NotFound
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.body, headers=headers, media_type=file.media_type)


for _path, _area in routes().items():
    # `:id` in the list of the console is `{id}` here
    router.add_route(re.sub(r":(\w+)", r"{\1}", _path), _showing(_area), ["GET"], include_in_schema=False)
router.add_route("/console/{rest:path}", read_console_file, ["GET"], include_in_schema=False)
