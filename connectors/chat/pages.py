"""`/demo`: a page with nothing on it but the widget of the oldest inbox, to try it and to show it."""

from __future__ import annotations

import base64
import re
from functools import cache
from hashlib import sha256
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.chat.problem import problem
from connectors.chat.static import FOLDER
from helpdesk.errors import NotFound
from helpdesk.live import LiveHost

PLACE: Final = "INBOX_ID"
"""What stands in the page where the inbox's id belongs."""

_STYLES: Final = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def pages(host: LiveHost) -> APIRouter:
    router = APIRouter()

    async def demo(_request: Request) -> Response:
        """As strict as the strictest site that may embed it: what works here works there."""
        found = await host.inboxes() if host.demo else ()
        if not found:
            return problem(NotFound("there is no active inbox of the chat, or the page is not shown here"))
        text = _text()
        headers = {
            "Content-Security-Policy": _policy(text),
            "X-Frame-Options": "DENY",
            "X-Robots-Tag": "noindex, nofollow",
            "Cache-Control": "no-store",
        }
        return Response(text.replace(PLACE, str(found[0].inbox_id)), headers=headers, media_type="text/html")

    router.add_route("/demo", demo, ["GET"], include_in_schema=False)
    return router


@cache
def _text() -> str:
    return (FOLDER / "demo.html").read_text(encoding="utf-8")


def _policy(text: str) -> str:
    digests = (base64.b64encode(sha256(one.encode()).digest()).decode() for one in _STYLES.findall(text))
    styles = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in digests)])
    return (
        f"default-src 'none'; script-src 'self'; style-src {styles}; connect-src 'self'; img-src 'self' blob: data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
