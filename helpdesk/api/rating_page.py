"""The pages behind the link of a rating: one form, and what is said after it. No script, nothing from elsewhere.

They are read by people who do not know each other's language and may be read by a machine that follows links, so they
say no more of a conversation than its number.
"""

from __future__ import annotations

import base64
from hashlib import sha256
from html import escape
from typing import Final

from fastapi import Response

from helpdesk.domain.rating_texts import PAGES, PageWords
from helpdesk.domain.ratings import LONGEST_COMMENT, SCORES
from helpdesk.services.ratings import Asked

_STYLE: Final = """
:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:1.5rem 1rem;background:#f3f4f6;color:#16181d}
main{max-width:34rem;margin:0 auto;padding:1.5rem;background:#fff;border:1px solid #d5d8de;border-radius:.75rem}
h1{font-size:1.4rem;line-height:1.3;margin:0 0 .5rem}
p{margin:.5rem 0;overflow-wrap:anywhere}
fieldset{border:0;margin:1rem 0;padding:0;display:grid;gap:.5rem}
legend,.ask{font-weight:600;padding:0;margin-bottom:.5rem;display:block}
.score{display:flex;align-items:center;gap:.75rem;padding:.7rem .9rem;border:1px solid #858b98;border-radius:.5rem}
.score:has(:checked){border-color:#0b57d0;box-shadow:0 0 0 1px #0b57d0}
.score b{min-width:1ch}
input{width:1.25rem;height:1.25rem;margin:0;accent-color:#0b57d0}
textarea{box-sizing:border-box;width:100%;font:inherit;padding:.6rem;border:1px solid #858b98;border-radius:.5rem}
button,.button{display:inline-block;font:inherit;font-weight:600;margin-top:1rem;padding:.7rem 1.4rem;border:0;
border-radius:.5rem;background:#0b57d0;color:#fff;text-decoration:none;cursor:pointer}
:focus-visible{outline:3px solid #f29900;outline-offset:2px}
.note{color:#4b5160;font-size:.9rem}
form+.note,.button+.note{margin-top:1rem}
.wrong{color:#a50e0e;font-weight:600}
@media(prefers-color-scheme:dark){body{background:#16181d;color:#e8eaed}main{background:#22252c;border-color:#3c4049}
.note{color:#b4bac6}.wrong{color:#ff9b94}.score:has(:checked){border-color:#8ab4f8;box-shadow:0 0 0 1px #8ab4f8}
button,.button{background:#8ab4f8;color:#16181d}input{accent-color:#8ab4f8}}
"""
_DIGEST: Final = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}


def form(asked: Asked, language: str, *, score: int | None = None, comment: str | None = None) -> Response:
    """To be filled in; `score` is chosen already. With a `comment`, what was sent was wrong, and is shown again."""
    words = PAGES[language]
    chosen = score if score in SCORES else asked.score
    wrong = comment is not None
    parts = [
        f"<h1>{escape(words.title)}</h1>",
        f"<p>{escape(words.about.format(name=asked.name, number=asked.number))}</p>",
        f'<p class="note">{escape(words.given)}</p>' if asked.score is not None and not wrong else "",
        f'<p class="wrong" role="alert">{escape(words.wrong.format(longest=LONGEST_COMMENT))}</p>' if wrong else "",
        '<form method="post" action="?">',
        f"<fieldset><legend>{escape(words.question)}</legend>",
        *(_choice(words, one, checked=one == chosen) for one in reversed(SCORES)),
        "</fieldset>",
        f'<label class="ask" for="comment">{escape(words.comment)}</label>',
        f'<textarea id="comment" name="comment" rows="4" maxlength="{LONGEST_COMMENT}" aria-describedby="hint">\n',
        f"{escape(asked.comment if comment is None else comment)}</textarea>",
        f'<p class="note" id="hint">{escape(words.comment_hint)}</p>',
        f'<button type="submit">{escape(words.send)}</button></form>',
        f'<p class="note">{escape(words.safety)}</p>',
    ]
    return _page(words.title, language, "".join(parts), status=422 if wrong else 200)


def _choice(words: PageWords, score: int, *, checked: bool) -> str:
    mark = " checked" if checked else ""
    radio = f'<input type="radio" name="score" value="{score}" required{mark}>'
    return f'<label class="score">{radio}<b>{score}</b><span>{escape(words.scores[score])}</span></label>'


def thanks(asked: Asked, language: str) -> Response:
    words = PAGES[language]
    assert asked.score is not None
    said = words.rated.format(score=asked.score, words=words.scores[asked.score])
    parts = (
        f'<h1>{escape(words.thanks)}</h1><p role="status">{escape(said)}</p>',
        f"<p>{escape(words.thanks_more.format(number=asked.number))}</p>",
        f'<a class="button" href="?">{escape(words.change)}</a>',
        f'<p class="note">{escape(words.safety)}</p>',
    )
    return _page(words.thanks, language, "".join(parts))


def expired(asked: Asked, language: str) -> Response:
    words = PAGES[language]
    return _said(words.expired, words.expired_more.format(number=asked.number), language, status=410)


def unknown(language: str) -> Response:
    """The same for a link that never was and one that was never sent."""
    words = PAGES[language]
    return _said(words.unknown, words.unknown_more, language, status=404)


def busy(language: str, *, retry_after: int) -> Response:
    words = PAGES[language]
    response = _said(words.busy, "", language, status=429)
    response.headers["Retry-After"] = str(retry_after)
    return response


def _said(title: str, more: str, language: str, *, status: int) -> Response:
    return _page(title, language, f"<h1>{escape(title)}</h1><p>{escape(more)}</p>", status=status)


def _page(title: str, language: str, inside: str, *, status: int = 200) -> Response:
    document = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{inside}</main></body></html>"
    )
    return Response(document, status, {**_HEADERS, "Content-Language": language}, media_type="text/html")
