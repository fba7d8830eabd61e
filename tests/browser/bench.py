"""A bench that shows pages to a real browser and tells what each of them did.

Every page is served from its own address on loopback with its own headers, and shown in a frame beside many others.
What is seen is the browser's own account: the requests it wanted to make, the dialogs and windows it opened, where its
frames went, and a snapshot of each document with computed styles. Nothing leaves: no name resolves but loopback.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from helpdesk.domain.html_quotes import LOOKS, SUMMARY

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Dialog, Frame, Page, Request

CHROMIUM = "/usr/bin/chromium"
SHELL = "/usr/bin/chromium-headless-shell"
"""The same engine from the same sources without the window that nobody sees: a page costs a third."""
FRAMES_AT_ONCE = 150
SETTLE_MILLISECONDS = 150

Pages = Mapping[str, tuple[str, Mapping[str, str]]]

# Runs in every frame that may run scripts at all, before the page's own: calls that every vector ends in are told to
# the frame around, and once loaded everything on the page is touched, so that a handler has no excuse to keep still.
# Links to the web, mail and telephone are not clicked: they are meant to lead somewhere.
WATCH = """
(() => {
  if (window === top) return;
  const tell = () => top.postMessage('ran', '*');
  for (const name of ['alert', 'confirm', 'prompt', 'print', 'open'])
    Object.defineProperty(window, name, {value: tell, writable: false, configurable: false});
  const EVENTS = ['focus', 'focusin', 'blur', 'mouseover', 'mouseenter', 'mousemove', 'mousedown', 'mouseup', 'click',
    'dblclick', 'contextmenu', 'auxclick', 'wheel', 'keydown', 'keypress', 'keyup', 'input', 'change', 'select', 'copy',
    'cut', 'paste', 'drag', 'dragstart', 'dragenter', 'dragover', 'drop', 'touchstart', 'pointerdown', 'pointerover',
    'toggle', 'animationstart', 'animationend', 'transitionend', 'scroll', 'load', 'error', 'submit', 'begin'];
  const touch = () => {
    for (const element of [...document.querySelectorAll('*')].slice(0, 60)) {
      const own = [...element.attributes].map(a => a.name).filter(n => n.startsWith('on')).map(n => n.slice(2));
      for (const name of new Set([...EVENTS, ...own])) {
        if (name === 'click' || name === 'submit') continue;
        try { element.dispatchEvent(new Event(name, {bubbles: false, cancelable: true})); } catch {}
      }
      const link = element.closest('a[href], area[href]');
      const away = link && /^(https?|mailto|tel):$/.test(String(link.protocol));
      if (away) continue;
      try { element.click ? element.click() : element.dispatchEvent(new MouseEvent('click')); } catch {}
    }
  };
  addEventListener('load', () => setTimeout(touch, 0), {once: true});
})();
"""

# The page around the frames: notes which of them reported, however deep inside the report was made.
COVER = """<!doctype html><meta charset=utf-8><style>iframe{{width:150px;height:100px;border:0}}</style>
<script>
window.ran = new Set();
addEventListener('message', event => {{
  let frame = event.source;
  while (frame && frame.parent !== window) frame = frame.parent;
  [...document.querySelectorAll('iframe')].forEach(f => {{ if (f.contentWindow === frame) ran.add(f.dataset.page); }});
}});
</script>
{frames}"""

_ACTIVE = frozenset(
    {"SCRIPT", "STYLE", "LINK", "BASE", "IFRAME", "FRAME", "FRAMESET", "OBJECT", "EMBED", "APPLET", "FORM", "INPUT"}
    | {
        "BUTTON",
        "SELECT",
        "TEXTAREA",
        "AUDIO",
        "VIDEO",
        "SOURCE",
        "SVG",
        "MATH",
        "TEMPLATE",
        "DIALOG",
        "PORTAL",
        "AREA",
    }
    | {"MAP", "MARQUEE", "DETAILS", "SLOT", "CANVAS", "NOSCRIPT", "KEYGEN", "FENCEDFRAME"}
)
_LOADING = frozenset({"srcset", "srcdoc", "background", "poster", "ping", "action", "formaction", "data", "xlink:href"})
_CLOBBERING = frozenset({"id", "name", "class", "for", "form", "slot", "part", "is"})
# What belongs to the transfer that a page was fetched by, and not to the page.
_FRAMING = frozenset({"connection", "content-encoding", "content-length", "date", "server", "transfer-encoding"})
_LINKS = ("http://", "https://", "mailto:", "tel:")
_STYLES = ("position", "transform", "z-index", "display", "visibility")


@dataclass(slots=True)
class Verdict:
    """What one page did. `loaded`: the browser holds its document. The rest lists what it must not do."""

    loaded: bool = False
    ran: bool = False
    requests: list[str] = field(default_factory=list)
    went_to: list[str] = field(default_factory=list)
    overlays: list[str] = field(default_factory=list)
    clobbers: list[str] = field(default_factory=list)
    active: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        wrong = self.requests or self.went_to or self.overlays or self.clobbers or self.active
        return self.loaded and not self.ran and not wrong


@dataclass(slots=True)
class Verdicts:
    """One verdict for each page. Dialogs and windows are the batch's: a browser does not say whose they were."""

    pages: dict[str, Verdict]
    dialogs: list[str] = field(default_factory=list)
    windows: list[str] = field(default_factory=list)

    @property
    def bad(self) -> dict[str, Verdict]:
        return {key: verdict for key, verdict in self.pages.items() if not verdict.clean}

    @property
    def ran(self) -> set[str]:
        return {key for key, verdict in self.pages.items() if verdict.ran}

    def assert_clean(self, keys: Sequence[str]) -> None:
        """Every one of `keys` was judged and did nothing that it must not do."""
        unjudged = set(keys) ^ set(self.pages)
        assert not unjudged, f"not judged, or not asked for: {sorted(unjudged)[:20]}"
        assert not self.bad, f"{len(self.bad)} of {len(keys)} did something: {list(self.bad.items())[:20]}"
        assert not self.dialogs, self.dialogs
        assert not self.windows, self.windows


def require_browser() -> None:
    """Skip without a browser, or fail where all services are promised to be there."""
    try:
        import playwright.sync_api  # noqa: F401

        missing = "" if shutil.which(SHELL) or shutil.which(CHROMIUM) else f"{SHELL} is not installed"
    except ImportError:
        missing = "playwright is not installed"
    if missing and os.environ.get("HELPDESK_REQUIRE_SERVICES") == "1":
        pytest.fail(f"HELPDESK_REQUIRE_SERVICES=1 and {missing}")
    if missing:
        pytest.skip(missing)


@contextmanager
def chromium(*, whole: bool = False) -> Iterator[Browser]:
    """`whole`: the browser that people have, for what is measured in it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM if whole or not shutil.which(SHELL) else SHELL,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                # One process for all frames: the snapshot then covers them, and a page costs no process.
                "--disable-site-isolation-trials",
                "--disable-features=IsolateSandboxedIframes,IsolateOrigins,site-per-process",
            ],
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def _served(pages: list[tuple[str, Mapping[str, str]]]) -> Iterator[str]:
    """`/page/N` with its own headers; `/cover/FIRST-END/SANDBOX` shows those in frames. Yields the origin."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind, _, rest = self.path.removeprefix("/").partition("/")
            headers: Mapping[str, str] = {"Content-Type": "text/html; charset=utf-8"}
            status = 200
            if kind == "page" and rest.isdigit() and int(rest) < len(pages):
                body, given = pages[int(rest)]
                kept = {name.title(): value for name, value in given.items() if name.lower() not in _FRAMING}
                headers = {**headers, **kept}
            elif kind == "cover":
                body = _cover(rest)
            else:
                body, status = "", 404
            content = body.encode("utf-8", "replace")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _cover(rest: str) -> str:
    span, _, held = rest.partition("/")
    first, end = (int(number) for number in span.split("-"))
    # The control's pages may run scripts but not take the bench away with them.
    sandbox = 'sandbox="allow-scripts allow-same-origin allow-forms allow-modals"' if held else ""
    frames = (f'<iframe {sandbox} data-page="{n}" src="/page/{n}"></iframe>' for n in range(first, end))
    return COVER.format(frames="\n".join(frames))


class _Watcher:
    """Listens to one browser page and books what its frames do on the page that each was opened for."""

    def __init__(self, page: Page, origin: str, keys: list[str], verdicts: Verdicts) -> None:
        self.page = page
        self.origin = origin
        self.keys = keys
        self.verdicts = verdicts
        self.owners: dict[Frame, str] = {}
        page.on("request", self._requested)
        page.on("framenavigated", self._navigated)
        page.on("dialog", self._asked)

    def _asked(self, dialog: Dialog) -> None:
        self.verdicts.dialogs.append(dialog.message)
        dialog.dismiss()

    def _owner(self, frame: Frame | None) -> str | None:
        while frame is not None and frame not in self.owners:
            frame = frame.parent_frame
        return self.owners[frame] if frame else None

    def verdict_of(self, url: str) -> Verdict | None:
        number = url.removeprefix(f"{self.origin}/page/")
        return self.verdicts.pages[self.keys[int(number)]] if number != url else None

    def _requested(self, request: Request) -> None:
        if request.url.startswith("data:") or request.url.startswith(f"{self.origin}/cover/"):
            return
        prefix = f"{self.origin}/page/"
        frame = request.frame
        opening = request.is_navigation_request() and frame not in self.owners
        if opening and frame.parent_frame is self.page.main_frame and request.url.startswith(prefix):
            self.owners[frame] = self.keys[int(request.url.removeprefix(prefix))]
            return
        owner = self._owner(frame)
        if owner is not None:
            self.verdicts.pages[owner].requests.append(request.url)

    def _navigated(self, frame: Frame) -> None:
        owner = self._owner(frame)
        if owner is not None and frame.url != f"{self.origin}/page/{self.keys.index(owner)}":
            self.verdicts.pages[owner].went_to.append(frame.url)


def judge_pages(pages: Pages, *, browser: Browser | None = None, held: bool = False) -> Verdicts:
    """Show each page (id → its HTML and headers) to Chromium and tell what it did.

    Pages that are the same to the byte, headers included, are shown once and share the verdict, so several ids may be
    given one page that holds them all (showing a page costs some 25 ms). `browser`: one that is
    open already. `held` is for the control run: the frames themselves are then sandboxed, so that pages which do run
    scripts cannot leave with the bench. Pages under judgement are held by nothing but their own headers.
    """
    if browser is None:
        with chromium() as opened:
            return judge_pages(pages, browser=opened, held=held)
    shown: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
    same = {key: shown.setdefault((html, tuple(headers.items())), key) for key, (html, headers) in pages.items()}
    keys = list(shown.values())
    verdicts = Verdicts({key: Verdict() for key in keys})
    with _served([pages[key] for key in keys]) as origin:
        context = browser.new_context(viewport={"width": 2000, "height": 1200}, service_workers="block")
        context.add_init_script(WATCH)
        for first in range(0, len(keys), FRAMES_AT_ONCE):
            page = context.new_page()
            watcher = _Watcher(page, origin, keys, verdicts)
            span = f"{first}-{min(first + FRAMES_AT_ONCE, len(keys))}"
            page.goto(f"{origin}/cover/{span}{'/held' if held else ''}", wait_until="load", timeout=60_000)
            page.wait_for_timeout(SETTLE_MILLISECONDS)
            for number in page.evaluate("[...window.ran]"):
                verdicts.pages[keys[int(number)]].ran = True
            if not held:
                inspect(context.new_cdp_session(page), watcher.verdict_of)
            verdicts.windows += [other.url for other in context.pages if other is not page]
            for other in list(context.pages):
                other.close()
        context.close()
    verdicts.pages = {key: verdicts.pages[twin] for key, twin in same.items()}
    return verdicts


def inspect(session: CDPSession, verdict_of: Callable[[str], Verdict | None]) -> None:
    """Book what the documents of a browser page hold, each on the verdict that its address has, if any."""
    snapshot = session.send("DOMSnapshot.captureSnapshot", {"computedStyles": list(_STYLES)})
    strings: list[str] = snapshot["strings"]
    for document in snapshot["documents"]:
        verdict = verdict_of(strings[document["documentURL"]])
        if verdict is None:
            continue
        verdict.loaded = True
        nodes = document["nodes"]
        names = [strings[name] for name in nodes["nodeName"]]
        values = [[strings[at] for at in attributes] for attributes in nodes["attributes"]]
        attributes = [dict(zip(each[::2], each[1::2], strict=True)) for each in values]
        ours = {nodes["parentIndex"][at] for at, name in enumerate(names) if _folds(name, attributes[at])}
        for at, name in enumerate(names):
            if at not in ours or name != "DETAILS" or attributes[at].keys() - {"open"}:
                _inspect_element(name.upper(), attributes[at], verdict)
        layout = document["layout"]
        for at, styles, box in zip(layout["nodeIndex"], layout["styles"], layout["bounds"], strict=True):
            if styles and nodes["nodeType"][at] == 1:
                _inspect_layout(names[at], [strings[style] for style in styles], box, verdict)


def _folds(name: str, attributes: Mapping[str, str]) -> bool:
    """Whether it is the word above a fold of ours, to the letter; any other fold is somebody else's."""
    return name == "SUMMARY" and attributes in [{"lang": language, "style": LOOKS} for language in SUMMARY]


def _inspect_element(name: str, attributes: Mapping[str, str], verdict: Verdict) -> None:
    if name in _ACTIVE or (name == "META" and "charset" not in attributes):
        verdict.active.append(name)
    for attribute, value in attributes.items():
        plain = value.strip().lower()
        if attribute.startswith("on") or attribute in _LOADING:
            verdict.active.append(f"{name} {attribute}")
        if attribute in _CLOBBERING or attribute.startswith("data-"):
            verdict.clobbers.append(f"{name} {attribute}")
        if attribute == "href" and not (name == "A" and plain.startswith(_LINKS)):
            verdict.active.append(f"{name} {attribute}={value}")
        if attribute == "src" and not (name == "IMG" and plain.startswith("data:image/") and "svg" not in plain[:20]):
            verdict.active.append(f"{name} {attribute}={value}")
    if name == "A" and (attributes.get("target") != "_blank" or "noopener" not in attributes.get("rel", "")):
        verdict.active.append("A without its own window")


def _inspect_layout(name: str, styles: list[str], box: list[float], verdict: Verdict) -> None:
    position, transform, z_index, *_ = styles
    if position != "static" or transform != "none" or z_index != "auto":
        verdict.overlays.append(f"{name} {position} {transform} {z_index}")
    # Above the top is where a negative margin leads. A raised letter gets there too, and list markers and right-to-left
    # text go left of the edge: those are no signs.
    if box[1] < -20:
        verdict.overlays.append(f"{name} at {box[0]},{box[1]}")
