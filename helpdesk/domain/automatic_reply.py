"""What rules say to contacts by themselves: how often at most, what may stand in it, and under which subject.

Whether somebody is answered at all is decided as for an acknowledgement (`domain.acknowledgement`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from helpdesk.domain.templates import used

WINDOW: Final = timedelta(hours=24)
MOST: Final = 3
"""Automatic replies to one address within `WINDOW`, by whatever rules: two desks that answer each other stop there."""

VARIABLES: Final = ("conversation.number", "inbox.name", "team.name")
"""What is ours. A contact's name and subject are not: what can be made to repeat is used to send spam."""

_SUBJECTS: Final = {
    "en": "About your message [#{number}]",
    "zh-CN": "关于您的来信 [#{number}]",
    "zh-TW": "關於您的來信 [#{number}]",
}


def subject(language: str, number: int) -> str:
    """In English where the language is none of ours."""
    return _SUBJECTS.get(language, _SUBJECTS["en"]).format(number=number)


def foreign(text: str) -> list[str]:
    """The variables in a text that no rule may use."""
    return [name for name in used(text) if name not in VARIABLES]
