"""What a refusal means for the inbox. Pure: from a status, headers and the problem document that came with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from helpdesk import net
from helpdesk.channels import (
    AccessRevoked,
    BudgetSpent,
    ChannelError,
    Misconfigured,
    PermanentFailure,
    PermissionMissing,
    PlanChanged,
    RateLimited,
    TargetGone,
    TemporaryFailure,
    Uncertain,
    Unreachable,
)

MAX_PATIENCE = 86_400.0
DELETED = "What is answered is deleted or not visible to this account"
_GONE = "deleted or not visible"
_DUPLICATE = "duplicate content"
_NO_REPLY = ("reply to this conversation", "not allowed to reply", "you are not permitted to perform this action")


class Duplicate(PermanentFailure):
    """The same text was posted a moment ago: after a lost answer that means that it is there."""


def meaning(
    status: int, headers: Mapping[str, str], problem: Mapping[str, Any], *, late: bool, now: datetime
) -> ChannelError:
    """`late`: the request was one after which the other side may have done what was asked for."""
    kind = str(problem.get("type") or "").rpartition("/")[2]
    reason = str(problem.get("reason") or "")
    if kind == "usage-capped" or status == 402:
        seconds = min(until_next_month(now), 86_400.0) if problem.get("period") == "Daily" else until_next_month(now)
        return BudgetSpent("The plan's reads or credits are used up: raise the plan, or wait", retry_after=seconds)
    if status == 401:
        return AccessRevoked("The account's access was withdrawn: create new keys, or run `helpdesk inbox authorize`")
    if status == 403:
        return _forbidden(kind, reason, problem)
    if status == 404:
        return TargetGone(DELETED)
    if status == 429:
        return RateLimited("The vendor asks for patience", retry_after=patience(headers, now))
    if status == 400:
        return PermanentFailure("The vendor does not take this as it is written")
    if status >= 500:
        if late:
            return Uncertain("The vendor failed while it took the post")
        return TemporaryFailure(f"The vendor is in trouble (HTTP {status})")
    return Misconfigured(f"The vendor answers in an unknown way (HTTP {status}); is api_url right?")


def _forbidden(kind: str, reason: str, problem: Mapping[str, Any]) -> ChannelError:
    if reason == "client-not-enrolled" or kind == "client-forbidden":
        return PlanChanged("The app's plan does not offer this call: attach the app to a project with a plan that does")
    said = f"{problem.get('detail', '')} {problem.get('title', '')}".lower()
    if _DUPLICATE in said:
        return Duplicate("The same text was posted a moment ago")
    if (
        "oauth1 app permissions" in said
        or "oauth1-permissions" in (kind, reason)
        or kind == "unsupported-authentication"
    ):
        return PermissionMissing("Give the app the permissions Read, Write and Direct Messages, then create new tokens")
    if kind in ("not-authorized-for-resource", "not-authorized-for-field") or "scope" in said:
        return PermissionMissing("The grant lacks a scope: run `helpdesk inbox authorize` again")
    if _GONE in said:
        return TargetGone(DELETED)
    if any(words in said for words in _NO_REPLY):
        return PermanentFailure("Its author does not let this account answer")
    return PermanentFailure("The vendor does not let this account do that")


def patience(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until a limit ends, None where nothing says so. A reset that is long past counts as one second."""
    reset, after = headers.get("x-rate-limit-reset", ""), headers.get("retry-after", "")
    if reset.isdecimal():
        return min(max(int(reset) - now.timestamp(), 1.0), MAX_PATIENCE)
    return min(max(float(after), 1.0), MAX_PATIENCE) if after.isdecimal() else None


def unreachable(error: net.Unreachable, *, late: bool) -> ChannelError:
    if late and error.sent:
        return Uncertain("The connection died before the vendor's answer came")
    if error.kind is net.Kind.BLOCKED:
        return Misconfigured("api_url is not an address that connections may go to")
    return Unreachable("The vendor cannot be reached")


def until_next_month(now: datetime) -> float:
    """Seconds until the first of the next month, UTC."""
    now = now.astimezone(UTC)
    year, month = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return (datetime(year, month, 1, tzinfo=UTC) - now).total_seconds()
