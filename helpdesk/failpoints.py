"""Places where a crash test lets the process die.

`HELPDESK_FAILPOINTS=name:exit@n` ends the process, without any clean-up, the n-th time that `name` is passed
(`name:exit` means the first time; several are separated by commas). When the variable is unset, `reached` is a function
that does nothing at all.

The names, in the order in which a mail meets them: imap.fetched raw.committed parsed filed flag.set claimed
sending.committed smtp.connected rcpt.accepted data.last_byte reply.received receipt.recorded
"""

from __future__ import annotations

import os
from collections import Counter

_EXIT_CODE = 86


def _parse(text: str) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, action = entry.partition(":")
        verb, _, count = action.partition("@")
        if verb != "exit" or not (count or "1").isdigit():
            raise SystemExit(f"HELPDESK_FAILPOINTS: {entry!r} is not name:exit@n")
        wanted[name] = int(count or "1")
    return wanted


_wanted = _parse(os.environ.get("HELPDESK_FAILPOINTS", ""))
_passed: Counter[str] = Counter()


def _count_and_exit(name: str) -> None:
    if name in _wanted:
        _passed[name] += 1
        if _passed[name] == _wanted[name]:
            os._exit(_EXIT_CODE)


def _nothing(name: str) -> None:
    """What `reached` is in every installation."""


reached = _count_and_exit if _wanted else _nothing
