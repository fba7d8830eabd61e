"""What the vendor's refusals mean here. Its own words are read by nobody: they may quote what customers wrote.

190, 102                      the token has ended or was taken away
10, 200-299, 3                a permission is missing; for 10 the subcode may say that the 24 hours are over
4, 17, 32, 341, 613, 800xx    too many calls
100/33, 803                   what is answered is not there any more
551, 100/2018001, ...         this person takes no messages from us
1, 2, 5xx, no JSON at all     the vendor is in trouble; after the final byte that is no answer
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from helpdesk import channels
from helpdesk.channels import (
    AccessRevoked,
    AuthenticationFailed,
    ChannelError,
    PermanentFailure,
    PermissionMissing,
    RateLimited,
    RecipientRefused,
    TargetGone,
    TemporaryFailure,
    Uncertain,
    WindowClosed,
)
from helpdesk.net import Response, Unreachable

_OTHER_APP: Final = 2018300
_ANSWERED: Final = 10900
_ENDED: Final = frozenset({102, 190})
_EXPIRED: Final = frozenset({463, 467})
_WINDOW: Final = frozenset({2018065, 2018278, 2534022})
_NOT_HIM: Final = frozenset({1545041, 2018001, 2018108})
_GONE: Final = frozenset({33})
_TOO_FAST: Final = frozenset({4, 17, 32, 341, 613, *range(80000, 80015)})
_TROUBLE: Final = frozenset({1, 2, 1200})

_PATIENCE: Final = 300.0
"""Seconds, where the vendor names no time."""


class OtherAppAnswers(PermanentFailure):
    """Another app controls the thread. Control can be taken, and the message sent again."""


class AnsweredBefore(PermanentFailure):
    """The one private answer to a comment was given."""


class Refusal:
    """What the vendor answered in place of doing it: `code` and `subcode` are its stable numbers."""

    def __init__(self, answer: Response) -> None:
        error = _error(answer)
        self.code, self.subcode = _number(error.get("code")), _number(error.get("error_subcode"))
        self.status, self.headers = answer.status, answer.headers
        self.about_proof = self.code == 104 or "appsecret_proof" in str(error.get("message"))
        self.transient = error.get("is_transient") is True

    @property
    def is_answer(self) -> bool:
        """Whether it says that nothing was done. What is no JSON came from something in between."""
        return bool(self.code) and self.code not in _TROUBLE and self.status < 500 and not self.transient

    def channel_error(self, *, permission: str, final: bool, recipient: str = "") -> ChannelError:
        """`permission` is what the call needs; `final`: after it, no answer leaves it open whether it was done."""
        if self._too_fast():
            return RateLimited("Too many calls for this Page: they go on later", retry_after=self._retry_after())
        if not self.is_answer:
            if final:
                return Uncertain("the vendor did not say whether it took the message")
            return TemporaryFailure(f"The vendor is in trouble (HTTP {self.status})")
        return self._refusal(permission, recipient)

    def _refusal(self, permission: str, recipient: str) -> ChannelError:
        if self.code in _ENDED:
            why = "has expired" if self.subcode in _EXPIRED else "is not accepted any more"
            return AccessRevoked(f"The Page's token {why}: make a new one and set it as page_token")
        if self.about_proof:
            return AuthenticationFailed("The app's secret is another one: set app_secret to it")
        if self.subcode in _WINDOW:
            return WindowClosed("He wrote more than 24 hours ago: only when he writes again he can be answered here")
        if self.code == 10 and self.subcode == _OTHER_APP:
            return OtherAppAnswers("Another app answers in this thread")
        if self.code == _ANSWERED:
            return AnsweredBefore("This comment was answered privately before, which is possible once")
        if self.code == 551 or self.subcode in _NOT_HIM:
            refusals = [channels.Refusal(recipient, permanent=True, code=f"{self.code}/{self.subcode}")]
            return RecipientRefused("This person takes no messages from the Page", refusals=refusals)
        if self.code == 803 or (self.code == 100 and self.subcode in _GONE):
            return TargetGone("What is answered is not there any more, or the app may not see it")
        if self.code in (3, 10) or 200 <= self.code <= 299:
            return PermissionMissing(f"The app or the token lacks a permission: grant {permission}")
        return PermanentFailure(f"The vendor refuses the message (error {self.code}/{self.subcode})")

    def _too_fast(self) -> bool:
        return self.status == 429 or self.code in _TOO_FAST

    def _retry_after(self) -> float:
        """Seconds, by what the vendor says of our use, which it counts in minutes."""
        said = self.headers.get("retry-after", "")
        if said.isdigit():
            return float(said[:6])
        try:
            usage = json.loads(self.headers.get("x-business-use-case-usage", ""))
            minutes = [_number(one.get("estimated_time_to_regain_access")) for used in usage.values() for one in used]
        except (ValueError, TypeError, AttributeError, RecursionError):
            return _PATIENCE
        return max([60.0 * minute for minute in minutes if 0 < minute <= 1440], default=_PATIENCE)


def _error(answer: Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except Unreachable:
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return 0
    return int(value) if isinstance(value, int) or (value.isascii() and value.isdigit()) else 0
