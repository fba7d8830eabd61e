"""The page on which a conversation goes on that came from elsewhere: the widget, and the session that was opened.

The session's token stands in this answer only, and lies where the widget keeps its own from then on.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from typing import Any, Final
from uuid import UUID

import orjson

from connectors.chat.calls import begun
from helpdesk.live import Opened

_BESIDE: Final = "@media(min-width:48rem) and (min-height:481px){body{padding-right:26rem}}"
"""The widget's panel is 380 pixels wide there, and would cover what the page says."""


def page(
    opened: Opened | None, *, inbox_id: UUID, language: str, title: str, text: str, style: str
) -> tuple[str, Mapping[str, str]]:
    """The document and its headers. Without `opened`, for whoever has a session there already."""
    told, style = _told(opened, inbox_id), style + _BESIDE
    document = (
        f'<!doctype html><html lang="{escape(language)}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1,interactive-widget=resizes-content">'
        f"<style>{style}</style>"
        f'<script type="application/json" id="handoff">{told}</script>'
        '<script type="module" src="/channels/chat/handoff.js"></script>'
        f"</head><body><main><h1>{escape(title)}</h1><p>{escape(text)}</p></main></body></html>"
    )
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'sha256-{digest}'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return document, {"Content-Security-Policy": policy}


def _told(opened: Opened | None, inbox_id: UUID) -> str:
    """JSON that ends no element."""
    session: dict[str, Any] | None = None
    if opened is not None:
        found = begun(opened)
        session = {name: found[name] for name in ("token", "visitor", "expires_at")} | {"subject": ""}
    told = orjson.dumps({"inbox": inbox_id, "session": session}, default=str, option=orjson.OPT_UTC_Z).decode()
    return told.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
