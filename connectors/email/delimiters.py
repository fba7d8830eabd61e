"""Where the parts of a multipart end (RFC 2046 section 5.1), in mail that keeps the rules and in mail that does not.

Each level of nesting reads the mail at most a few times over, with `bytes.find`; no line is looked at one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_ENCODED: Final = re.compile(
    rb"^content-transfer-encoding:[ \t\"']{0,9}(?:base64|quoted-printable|x-uu)", re.IGNORECASE | re.MULTILINE
)
_SIMILAR_LINES: Final = 1_000


@dataclass(slots=True)
class Level:
    """A multipart that is being read: the line feed, hyphens and boundary that its delimiters begin with.

    What was looked for is remembered, so that no level reads the mail more than once: `next` is where its next line is,
    `closed` where its end is (-2: it has none).
    """

    token: bytes
    next: int = -1
    closed: int = -1


@dataclass(frozen=True, slots=True)
class Mark:
    """A delimiter: the content before it ends at `at`, reading goes on at `after`. `missing`: the end of the mail."""

    at: int
    after: int
    opens: bool
    missing: bool = False


class Delimiters:
    """The delimiters of one mail. `levels` are the multiparts around the place, the outermost first."""

    __slots__ = ("data", "encoded")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.encoded = -1

    def next(self, levels: tuple[Level, ...], start: int, *, doubt: bool = True) -> Mark:
        """The next delimiter at or after `start` that means something to the innermost of `levels`.

        Its own begins with its boundary, whatever follows on the line (RFC 2046 section 5.1.1). Those of the outer ones
        are whole lines, and end the innermost without closing it (section 5.1.2); `doubt` asks whether to believe them.
        """
        data, own = self.data, levels[-1]
        stop = end = len(data)
        believed = True
        for level in levels[:-1]:
            other = self._next_whole(level, start)
            if other < stop and ((is_true := self._is_believed(level, other)) or not doubt):
                stop, believed = other, is_true
        # At the very place of an outer one, its own is meant unless the other line is the better match.
        at = data.find(own.token, start - 1, stop + len(own.token))
        if at < 0 or (at == stop < end and believed and not self._is_whole(at + len(own.token))):
            if stop < end:
                return Mark(self._before(stop), stop + 1, opens=False)
            return self._last(own, start)
        after = at + len(own.token)
        line_end = data.find(b"\n", after)
        line_end = line_end + 1 if line_end >= 0 else end
        rest = data[after : min(line_end, after + 100)].strip()
        closes = rest.startswith(b"--") or rest == b"-"
        return Mark(self._before(at), line_end, opens=not closes and line_end < end)

    def _last(self, own: Level, start: int) -> Mark:
        """What ends a part without a delimiter: one to which only the line break before it is missing, or nothing."""
        end = len(self.data)
        glued = self.data.find(own.token[1:] + b"--", start)
        if glued >= 0 and not self.data[glued + len(own.token) + 1 : glued + len(own.token) + 100].strip():
            return Mark(glued, end, opens=False)
        return Mark(end, end, opens=False, missing=True)

    def _is_whole(self, after: int) -> bool:
        rest = self.data[after : after + 100].partition(b"\n")[0].strip()
        return not rest or rest.startswith(b"--")

    def _before(self, line_feed: int) -> int:
        return line_feed - 1 if self.data[line_feed - 1 : line_feed] == b"\r" else line_feed

    def _next_whole(self, level: Level, start: int) -> int:
        """Where the next line at or after `start` is that is nothing but a delimiter of `level`, or the end."""
        if level.next < start - 1:
            at = start - 1
            for _ in range(_SIMILAR_LINES):
                at = self.data.find(level.token, at)
                if at < 0 or self._is_whole(at + len(level.token)):
                    break
                at += 1
            else:
                at = -1
            level.next = at if at >= 0 else len(self.data)
        return level.next

    def _is_believed(self, level: Level, at: int) -> bool:
        """Whether a delimiter of an outer multipart ends an inner one that was not closed.

        It does if the outer one is closed in its turn, or if something after it has to be decoded to be read. Else the
        mail stops in the middle of both, and what is there stays together as it stands, as in other readers.
        """
        if level.closed < at:
            closed = self.data.find(level.token + b"--", at) if level.closed >= -1 else -1
            level.closed = closed if closed >= 0 else -2
        if level.closed >= at:
            return True
        if self.encoded < at:
            found = _ENCODED.search(self.data, at)
            self.encoded = found.start() if found is not None else len(self.data)
        return self.encoded < len(self.data)
