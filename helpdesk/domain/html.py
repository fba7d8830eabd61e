"""HTML that strangers wrote, made safe to show: a strict policy, and the document for the sandboxed frame.

`sanitise` runs once, when a message is filed; what it returns is stored with the policy version. `page` makes the
whole document that `GET /messages/{id}/html` serves with PAGE_HEADERS. Three walls stand behind each other: nh3 under
the lists below, the content security policy, and the frame's sandbox. Each alone is to hold.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape, unescape
from typing import Final
from urllib.parse import unquote

import nh3

from helpdesk.domain.html_shape import shaped
from helpdesk.domain.html_style import safe_style
from helpdesk.domain.html_tags import ALLOWED
from helpdesk.domain.media_types import HEAD_BYTES, safe_type

POLICY_VERSION: Final = 1

PAGE_CSP: Final = "default-src 'none'; img-src data:; style-src-attr 'unsafe-inline'; sandbox allow-popups"
PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": PAGE_CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "X-DNS-Prefetch-Control": "off",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}

# What one page may carry in inlined pictures. Browsers handle far more; our workers and the agent's line do not.
MAX_INLINE_BYTES: Final = 8 * 1024 * 1024
RASTER_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True)
class Sanitised:
    """`truncated`: the mail was longer, deeper or had more tags than is read, so some of it is missing or flat."""

    html: str
    policy_version: int
    truncated: bool


_EVERYWHERE = frozenset({"align", "dir", "lang", "style", "title"})
_BOX = frozenset({"bgcolor", "border", "height", "valign", "width"})
_CELL = _BOX | {"colspan", "nowrap", "rowspan", "scope"}
_ATTRIBUTES: Final[Mapping[str, frozenset[str]]] = {
    "*": _EVERYWHERE,
    "a": frozenset({"href"}),
    "col": frozenset({"span", "width"}),
    "colgroup": frozenset({"span", "width"}),
    "font": frozenset({"color", "face", "size"}),
    "hr": frozenset({"noshade", "size", "width"}),
    "img": frozenset({"alt", "border", "height", "src", "width"}),
    "li": frozenset({"value"}),
    "ol": frozenset({"reversed", "start", "type"}),
    "table": _BOX | {"cellpadding", "cellspacing"},
    "tbody": _BOX,
    "td": _CELL,
    "tfoot": _BOX,
    "th": _CELL,
    "thead": _BOX,
    "tr": _BOX,
    "ul": frozenset({"type"}),
}

# Browsers drop tabs and line feeds from a URL (the URL standard says so), and so do we, before judging. They also read
# backslashes as slashes and do without the two slashes: such a value has more than one reading and loses its link.
_HREF = re.compile(
    r"(?:https?://[^/\\\x00-\x20\x7f][^\\\x00-\x1f\x7f]*|(?:mailto|tel):[^\\\x00-\x1f\x7f]*)", re.IGNORECASE
)
_DROPPED_IN_URLS = str.maketrans("", "", "\t\r\n")
_CID = re.compile(r"cid:[^\x00-\x20\x7f\"'<>\\]{1,250}", re.IGNORECASE)
_RASTER = re.compile(r"data:image/(?:png|jpe?g|gif|webp);base64,[A-Za-z0-9+/\s]+={0,2}\s*", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z-]{1,20}")
_LENGTH = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,3})?(?:%|px)?")
_SPAN = re.compile(r"[1-9][0-9]?")
_SIZE = re.compile(r"[+-]?[0-9]{1,4}")
_COLOUR = re.compile(r"#?[A-Za-z0-9]{1,24}")
_FACE = re.compile(r"[\w ,.'\"-]{1,200}")

# Elsewhere a height is one that the content runs out of, over what follows.
_FIXED_HEIGHT: Final = frozenset({"hr", "img", "table", "td", "th", "tr"})

_VALUES: Final[Mapping[str, re.Pattern[str]]] = {
    "align": _WORD,
    "bgcolor": _COLOUR,
    "border": _LENGTH,
    "cellpadding": _LENGTH,
    "cellspacing": _LENGTH,
    "color": _COLOUR,
    "colspan": _SPAN,
    "dir": _WORD,
    "face": _FACE,
    "height": _LENGTH,
    "href": _HREF,
    "lang": re.compile(r"[A-Za-z0-9-]{1,35}"),
    "noshade": re.compile(r".{0,10}"),
    "nowrap": re.compile(r".{0,10}"),
    "reversed": re.compile(r".{0,10}"),
    "rowspan": _SPAN,
    "scope": _WORD,
    "size": _SIZE,
    "span": _SPAN,
    "start": _SIZE,
    "type": re.compile(r"[A-Za-z0-9]{1,10}"),
    "valign": _WORD,
    "value": _SIZE,
    "width": _LENGTH,
}


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "style":
        return safe_style(value, fixed_height=tag in _FIXED_HEIGHT)
    if name in ("title", "alt"):
        return value[:1000]
    value = value.strip()
    if name == "href":
        value = value.translate(_DROPPED_IN_URLS)
    if name == "src":
        # Remote pictures tell the sender when and where a mail was read, so there are none.
        return value if _CID.fullmatch(value) or _RASTER.fullmatch(value) else None
    pattern = _VALUES.get(name)
    if pattern is None and name not in ("rel", "target"):
        return None
    return value if pattern is None or pattern.fullmatch(value) else None


_CLEANER = nh3.Cleaner(
    tags=set(ALLOWED),
    clean_content_tags={"script", "style", "title", "template", "iframe", "noembed", "noframes", "xmp", "svg", "math"},
    attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
    attribute_filter=_attribute,
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}},
    url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
    url_relative="deny",
    generic_attribute_prefixes=set(),
)


def sanitise(html: str) -> Sanitised:
    """The parts of a stranger's HTML that may be shown. Linear in its length; never raises for content."""
    try:
        html.encode()
    except UnicodeEncodeError:  # half a surrogate pair, from a wrongly declared charset
        html = html.encode("utf-8", "replace").decode()
    shape = shaped(html)
    return Sanitised(_CLEANER.clean(shape.html), POLICY_VERSION, shape.truncated)


def escape_text_as_html(text: str) -> str:
    """Plain text as HTML that reads the same: spaces and line breaks are kept, long lines wrap."""
    return f'<div style="white-space:pre-wrap">{escape(text, quote=False)}</div>'


# What nh3 writes: lower-case names, double quotes, quotes in values escaped, `<` in text escaped.
_IMG = re.compile(r'<img((?: [a-z]+="[^"]*")*)>')
_CID_SOURCE = re.compile(r' src="cid:([^"]*)"')


def page(html: str, inline: Mapping[str, tuple[str, bytes]] | None = None, lang: str = "en") -> str:
    """A whole document around sanitised `html`. `inline`: Content-ID without angle brackets → (declared type, bytes).

    Pictures referred to by `cid:` become `data:` while their first bytes are those of a raster picture, whatever was
    declared, and while MAX_INLINE_BYTES lasts; the others keep their alternative text only.
    """
    pictures = inline or {}
    left = MAX_INLINE_BYTES

    def inlined(match: re.Match[str]) -> str:
        nonlocal left
        cid = unquote(unescape(match[1]))
        _, content = pictures.get(cid, ("", b""))
        kind = safe_type(None, None, content[:HEAD_BYTES])
        if kind not in RASTER_TYPES or len(content) > left:
            return ""
        left -= len(content)
        return f' src="data:{kind};base64,{base64.b64encode(content).decode("ascii")}"'

    body = _IMG.sub(lambda match: f"<img{_CID_SOURCE.sub(inlined, match[1])}>", html)
    return (
        f'<!doctype html>\n<html lang="{escape(lang)}"><head><meta charset="utf-8"><title></title></head>'
        '<body style="margin:0;padding:8px 12px;font:14px/1.5 system-ui,sans-serif;overflow-wrap:anywhere;'
        'color:#111;background:#fff">'
        f"{body}</body></html>"
    )
