"""The pages behind a link that leads into a chat. To look at one changes nothing: programs follow links, too."""

from __future__ import annotations

from html import escape
from typing import Final
from uuid import UUID

from fastapi import Response

from helpdesk.api.public_pages import HEADERS, STYLE, notice, page
from helpdesk.channels import Channel
from helpdesk.domain.handoff_texts import TEXTS
from helpdesk.live import Opened

_KEPT: Final = {name: value for name, value in HEADERS.items() if name != "Content-Security-Policy"}


def button(language: str) -> Response:
    words = TEXTS[language]
    inside = (
        f"<h1>{escape(words.title)}</h1><p>{escape(words.about)}</p>"
        f'<form method="post" action="?"><button type="submit">{escape(words.open)}</button></form>'
        f'<p class="note">{escape(words.safety)}</p>'
    )
    return page(words.title, language, inside)


def chat(channel: Channel, opened: Opened | None, inbox_id: UUID, language: str) -> Response:
    """The chat itself, with the session that was opened; without one, for whoever has opened it before."""
    words = TEXTS[language]
    title, text = (words.opened, words.opened_more) if opened is not None else (words.over, words.over_more)
    how = {"inbox_id": inbox_id, "language": language, "title": title, "text": text, "style": STYLE}
    document, headers = channel.load_handoff()(opened, **how)
    shown = {**_KEPT, **headers, "Content-Language": language}
    return Response(document, 200 if opened is not None else 410, shown, media_type="text/html")


def over(language: str) -> Response:
    words = TEXTS[language]
    return notice(words.over, words.unknown_more, language, status=410)


def unknown(language: str) -> Response:
    words = TEXTS[language]
    return notice(words.unknown, words.unknown_more, language, status=404)


def away(language: str) -> Response:
    words = TEXTS[language]
    return notice(words.away, words.away_more, language, status=503)


def busy(language: str, *, retry_after: int) -> Response:
    response = notice(TEXTS[language].busy, "", language, status=429)
    response.headers["Retry-After"] = str(retry_after)
    return response
