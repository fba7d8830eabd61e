"""Takes a forwarded mail out of the mail that carries it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.email import html_text
from connectors.email.quote_headers import (
    HeaderBlock,
    bare,
    field_of,
    header_block,
    next_filled,
    notice,
    titled_rule,
)
from connectors.email.quotes import MAX_LINES, MAX_TEXT


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A mail inside a mail. `comment` is what the forwarder wrote above, `below` what follows the forwarded text.

    Header values are as written, undecoded and untrusted: anybody can type a header block.
    """

    sender: str
    to: str
    cc: str
    date: str
    subject: str
    body: str
    comment: str = ""
    below: str = ""


def unwrap_forward(text: str) -> Forwarded | None:
    """The forwarded mail in a plain-text body, or None if there is no header block to be found."""
    lines = text[:MAX_TEXT].replace("\r\n", "\n").replace("\r", "\n").split("\n")[:MAX_LINES]
    return _unwrap(lines)


def unwrap_forward_html(html: str) -> Forwarded | None:
    """The same for an HTML body, read as text."""
    return _unwrap(html_text.marked_lines(html).lines[:MAX_LINES])


def _unwrap(lines: Sequence[str]) -> Forwarded | None:
    for at, line in enumerate(lines):
        if not line or line.isspace() or len(line) > 400:
            continue
        marker = titled_rule(line) is not None or notice(lines, at)
        below = next_filled(lines, at + 1) if marker else at
        if below is None:
            continue
        plain = [bare(each) for each in lines[below : below + 30]]
        block = header_block(plain, 0) or (_lenient(plain) if marker else None)
        if block is not None:
            return _forwarded(lines, comment_end=at, block_start=below, block=block)
    return None


def _lenient(lines: Sequence[str]) -> HeaderBlock | None:
    """Under an explicit marker a single ``From:`` line is enough."""
    stated = field_of(lines[0])
    return HeaderBlock(1, {"from": stated[1]}) if stated is not None and stated[0] == "from" else None


def _forwarded(lines: Sequence[str], *, comment_end: int, block_start: int, block: HeaderBlock) -> Forwarded:
    start = block_start + block.end
    end = len(lines)
    first = next_filled(lines, start)
    marked = any(at is not None and lines[at].lstrip().startswith(">") for at in (block_start, first))
    if marked:
        end = start if first is None else first
        while end < len(lines) and (lines[end].lstrip().startswith(">") or not lines[end].strip()):
            end += 1
    body = [_unmarked(line) for line in lines[start:end]] if marked else list(lines[start:])
    fields = block.fields
    return Forwarded(
        sender=fields.get("from", ""),
        to=fields.get("to", ""),
        cc=fields.get("cc", ""),
        date=fields.get("date", ""),
        subject=fields.get("subject", ""),
        body=_joined(body),
        comment=_joined(lines[:comment_end]),
        below=_joined(lines[end:]),
    )


def _unmarked(line: str) -> str:
    line = line.lstrip()
    return line[1:].removeprefix(" ") if line.startswith(">") else line


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(html_text.tidy(list(lines))).strip("\n")
