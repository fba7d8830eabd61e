"""What a person reads in a reply: the text, the signature, the quoted message, as plain text and as HTML."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime

from connectors.email.outgoing_headers import NAME_LENGTH, one_line
from helpdesk.channels import Quote

WIDTH = 76
QUOTE_TEXT_LENGTH = 20_000
QUOTE_HTML_LENGTH = 200_000

# C0 but tab and LF, DEL, C1, and lone surrogates: nothing of these is text.
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_ENDS = re.compile(r"\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")
_QUOTE_MARKS = re.compile(r"(?:> ?)+")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def plain(text: str) -> str:
    """Text with LF line ends and without characters that are none."""
    return _NOT_TEXT.sub("", _LINE_ENDS.sub("\n", text)).strip("\n")


def quote_line(quote: Quote, language: str) -> str:
    """The line above quoted history, in the reader's language and as the usual mail programs write it."""
    author = one_line(quote.author, NAME_LENGTH) or "?"
    at: datetime = quote.sent_at.astimezone(UTC)
    folded = language.lower()
    if folded.startswith("zh"):
        traditional = any(part in folded for part in ("tw", "hk", "mo", "hant"))
        moment = f"{at.year}年{at.month}月{at.day}日 {at:%H:%M} (UTC)"
        return f"{author} 於 {moment} 寫道：" if traditional else f"{author} 于 {moment} 写道："
    # Not strftime("%a %b"): those follow the locale of the process.
    return f"On {_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at.year} at {at:%H:%M} UTC, {author} wrote:"


def text_body(text: str, *, signature: str, quote: Quote | None, language: str) -> str:
    """The plain text, flowed (RFC 3676)."""
    blocks = [plain(text)]
    if signature:
        blocks.append("-- \n" + plain(signature))
    if quote is not None:
        quoted = plain(quote.text)[:QUOTE_TEXT_LENGTH].rstrip("\n")
        lines = [">" + line if line.startswith(">") else f"> {line}" for line in quoted.split("\n")]
        blocks.append("\n".join([quote_line(quote, language), *lines]))
    return flowed("\n\n".join(blocks) + "\n")


def html_body(text: str, given: str | None, *, signature: str, quote: Quote | None, language: str) -> str:
    """The HTML document. `given` and the quote's HTML were sanitised by the core; all else is escaped here."""
    blocks = [_NOT_TEXT.sub("", _LINE_ENDS.sub("\n", given)) if given is not None else escaped(text)]
    if signature:
        blocks.append(f"<div>-- <br>\n{escaped_lines(plain(signature))}</div>")
    if quote is not None:
        if quote.html is not None and len(quote.html) <= QUOTE_HTML_LENGTH:
            inner = _NOT_TEXT.sub("", _LINE_ENDS.sub("\n", quote.html))
        else:
            inner = escaped(quote.text[:QUOTE_TEXT_LENGTH])
        blocks.append(
            f"<div>{html.escape(quote_line(quote, language))}</div>\n"
            '<blockquote type="cite" style="margin:0 0 0 8px;border-left:2px solid #ccc;padding-left:8px">\n'
            f"{inner}\n</blockquote>"
        )
    inside = "\n".join(blocks)
    return f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n{inside}\n</body></html>\n'


def escaped(text: str) -> str:
    """Plain text as HTML: paragraphs where there are empty lines."""
    paragraphs = [part for part in re.split(r"\n{2,}", plain(text)) if part]
    return "\n".join(f"<p>{escaped_lines(part)}</p>" for part in paragraphs)


def escaped_lines(text: str) -> str:
    return html.escape(text).replace("\n", "<br>\n")


def flowed(text: str) -> str:
    """Wrap for format=flowed. Joined again as RFC 3676 section 4.1 says, the lines are what they were.

    Only spaces are break points: Chinese runs on (DelSp would break it too, and shows stray spaces in programs that
    do not know it); the transfer encoding takes care of lengths.
    """
    return "\n".join(line for paragraph in text.split("\n") for line in _flowed_line(paragraph))


def _flowed_line(line: str) -> list[str]:
    if line == "-- ":
        return [line]
    marks = _QUOTE_MARKS.match(line)
    depth = marks[0].count(">") if marks else 0
    rest = (line[marks.end() :] if marks else line).rstrip(" ")
    prefix = ">" * depth + " " if depth else ""
    lines: list[str] = []
    while True:
        stuffing = " " if not depth and rest.startswith((" ", ">", "From ")) else ""
        room = WIDTH - len(prefix) - len(stuffing)
        cut = rest.rfind(" ", 1, room) if len(rest) > room else -1
        if cut < 0 and len(rest) > room:
            cut = rest.find(" ", room)
        if cut < 0:
            return [*lines, (prefix + stuffing + rest) if rest else prefix.rstrip(" ")]
        lines.append(prefix + stuffing + rest[: cut + 1])
        rest = rest[cut + 1 :]
