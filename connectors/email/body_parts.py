"""Which parts of a mail are its body (RFC 8621 section 4.1.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from connectors.email.mime import Part

_TEXTS: Final = frozenset(["text/plain", "text/html"])


@dataclass(slots=True)
class Bodies:
    """The leaves as they are to be shown: as text, as HTML, and attached. Text comes in reading order, to be joined.

    An image in the text is attached as well, and so is a text that is doubtful: it is shown, for a person may have
    written it, and can be had as a file, for nobody knows whether that is all and how it was meant.
    """

    text: list[Part] = field(default_factory=list)
    html: list[Part] = field(default_factory=list)
    attachments: list[Part] = field(default_factory=list)


def sort(root: Part) -> Bodies:
    """Sorts the leaves below `root`."""
    found = Bodies()
    _sort([root], "mixed", False, found.text, found.html, found.attachments)
    return found


def _sort(
    parts: list[Part],
    kind: str,
    in_alternative: bool,
    text: list[Part] | None,
    html: list[Part] | None,
    attached: list[Part],
) -> None:
    texts, htmls = len(text) if text is not None else -1, len(html) if html is not None else -1
    for index, part in enumerate(parts):
        if part.is_multipart:
            below = part.content_type.partition("/")[2]
            _sort(part.children, below, in_alternative or below == "alternative", text, html, attached)
        elif not _is_inline(part, index, kind):
            attached.append(part)
        elif kind == "alternative":
            own = {"text/plain": text, "text/html": html}.get(part.content_type, attached)
            (attached if own is None else own).append(part)
        else:
            if in_alternative:
                html = None if part.content_type == "text/plain" else html
                text = None if part.content_type == "text/html" else text
            shown = [target for target in (text, html) if target is not None]
            for target in shown if len(shown) == 2 or not part.is_media else [*shown, attached]:
                target.append(part)
        if not (part.is_multipart or (attached and attached[-1] is part)) and part.is_doubtful:
            attached.append(part)
    if kind == "alternative" and text is not None and html is not None:
        # Only one of the two was found here: it stands for both.
        if texts == len(text) and htmls != len(html):
            text.extend(html[htmls:])
        elif htmls == len(html) and texts != len(text):
            html.extend(text[texts:])


def _is_inline(part: Part, index: int, kind: str) -> bool:
    return (
        part.disposition != "attachment"
        and (part.content_type in _TEXTS or part.is_media)
        and (index == 0 or (kind != "related" and (part.is_media or not part.filename)))
    )
