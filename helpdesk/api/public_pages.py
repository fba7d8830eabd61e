"""How a page looks that is read by who has a link to it: no script, nothing from elsewhere, kept by nobody."""

from __future__ import annotations

import base64
from hashlib import sha256
from html import escape
from typing import Final

from fastapi import Response

STYLE: Final = """
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
_DIGEST: Final = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}


def page(title: str, language: str, inside: str, *, status: int = 200) -> Response:
    document = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>{inside}</main></body></html>"
    )
    return Response(document, status, {**HEADERS, "Content-Language": language}, media_type="text/html")


def notice(title: str, more: str, language: str, *, status: int) -> Response:
    """A page that only says something; both are plain text."""
    return page(title, language, f"<h1>{escape(title)}</h1><p>{escape(more)}</p>", status=status)
