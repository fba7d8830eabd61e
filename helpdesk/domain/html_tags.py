"""The elements that a message may keep, and how the parser treats them."""

from __future__ import annotations

from typing import Final

VOID: Final = frozenset({"br", "col", "hr", "img", "wbr"})

# The parser opens these again after every block that ends inside them (the standard's list of active formatting
# elements), so each one left open is written once per later paragraph. `a` is one too, but two are never open.
FORMATTING: Final = frozenset({"b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"})

TABLE_PARTS: Final = frozenset({"caption", "colgroup", "tbody", "td", "tfoot", "th", "thead", "tr"})

# Elements whose end tag may be left out: opening the key ends those of the value that are open on top.
_ROW_ENDS: Final = frozenset({"p", "td", "th", "tr"})
_PARAGRAPH: Final = frozenset({"p"})
_BLOCKS: Final = frozenset(
    {"address", "article", "aside", "blockquote", "center", "div", "dl", "figcaption", "figure", "footer", "h1", "h2"}
    | {"h3", "h4", "h5", "h6", "header", "hr", "main", "ol", "p", "pre", "section", "ul"}
)
ENDS: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(_BLOCKS, _PARAGRAPH),
    **dict.fromkeys(("dd", "dt"), frozenset({"p", "dd", "dt"})),
    **dict.fromkeys(("td", "th"), frozenset({"p", "td", "th"})),
    **dict.fromkeys(("tbody", "tfoot", "thead"), _ROW_ENDS | {"caption", "colgroup", "tbody", "tfoot", "thead"}),
    "li": frozenset({"p", "li"}),
    "tr": _ROW_ENDS,
}
OPTIONAL_END: Final = frozenset().union(*ENDS.values())

ALLOWED: Final = (
    VOID
    | FORMATTING
    | TABLE_PARTS
    | _BLOCKS
    | {"a", "abbr", "acronym", "bdi", "bdo", "cite", "dd", "del", "dfn", "dt", "ins", "kbd", "li", "mark", "q", "samp"}
    | {"span", "sub", "sup", "table", "var"}
)

# Their content is no message: code, styles, metadata, fallbacks of what is not shown.
DROPPED_WHOLE: Final = frozenset({"iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"})
