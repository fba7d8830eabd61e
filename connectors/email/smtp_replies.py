"""What an SMTP reply means. Only its codes go further (RFC 5321, RFC 3463).

The text is looked at for the one thing that codes do not tell apart, a rate limit, and dropped: it is the server's to
choose, and may quote anything.
"""

from __future__ import annotations

import re

from helpdesk.channels import (
    AuthenticationFailed,
    ChannelError,
    PermanentFailure,
    RateLimited,
    TemporaryFailure,
    Unreachable,
)

LOGIN_REFUSED = frozenset({432, 530, 534, 535, 538})
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_TOO_MUCH = re.compile(r"too (?:many|fast|much)|throttl|rate.?limit|slow down|sending limit", re.IGNORECASE)


def codes(code: int, message: str) -> str:
    """`550 5.1.1`: all of a reply that is shown or stored."""
    enhanced = _ENHANCED.match(message)
    return f"{code} {enhanced[1]}" if enhanced else str(code)


def failure(what: str, code: int, message: str) -> ChannelError:
    """What a refusal of `what` means."""
    shown = codes(code, message)
    if code in LOGIN_REFUSED:
        return AuthenticationFailed(f"The mail server wants another login ({shown})")
    # X.4.5 is congestion, "only useful as a persistent transient error" (RFC 3463): daily limits are told by it.
    if (400 <= code < 500 and _TOO_MUCH.search(message)) or shown.endswith(" 5.4.5"):
        return RateLimited(f"The mail server asks to slow down ({shown})")
    if 400 <= code < 500:
        return TemporaryFailure(f"The mail server put {what} off ({shown})")
    if 500 <= code < 600:
        return PermanentFailure(f"The mail server refused {what} ({shown})")
    return Unreachable(f"The mail server's answer to {what} could not be understood")
