"""What can go wrong, as a tree.

    HelpdeskError
    ├── Invalid             what was given cannot be used: 422, or 400 with a type of its own
    ├── Unauthenticated     nobody, or nobody we know: 401
    ├── Forbidden           known, seen, and still not allowed: 403
    │   └── Unverified      allowed, once the password is given again: 403
    ├── NotFound            not there, or not there for this actor: 404
    ├── Conflict            true a moment ago, no longer: 409
    │   ├── Stale           `If-Match` names an older version: 412
    │   └── StillRunning    the same idempotency key is being worked on: 409
    ├── PreconditionRequired  `If-Match` is missing: 428
    ├── TooMany             a rate or a bound is exceeded: 429
    ├── TooLarge            more bytes than are taken here: 413
    └── Unavailable         a part that is needed is away; try again: 503

`slug` is the stable end of the problem type that the API answers with. `detail` is written for the person who
reads it and never holds another exception's text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: its dotted name, and what to do about it."""

    field: str
    message: str


class HelpdeskError(Exception):
    """The root. Raise one of its children."""

    slug: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        slug: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.problem = slug or self.slug
        self.code = status or self.status

    def as_problem(self, *, slug: str = "") -> dict[str, Any]:
        """The members of RFC 9457, those in `extra` beside the standard ones. `slug`: where it has another name."""
        body: dict[str, Any] = {
            "type": f"urn:helpdesk:problem:{slug or self.problem}",
            "title": self.title,
            "status": self.code,
            "detail": self.detail,
            **self.extra,
        }
        if self.errors:
            body["errors"] = [{"field": e.field, "message": e.message} for e in self.errors]
        return body


class Invalid(HelpdeskError):
    slug, status, title = "invalid", 422, "The request is not valid"

    @classmethod
    def field(cls, name: str, message: str) -> Invalid:
        """The commonest case: one field, one sentence."""
        return cls(f"{name}: {message}", errors=[FieldError(name, message)])


class Unauthenticated(HelpdeskError):
    slug, status, title = "unauthenticated", 401, "Sign in, or send a valid token"


class Forbidden(HelpdeskError):
    slug, status, title = "forbidden", 403, "This is not allowed"


class Unverified(Forbidden):
    slug, title = "verification_required", "Give the password again: POST /auth/verify"


class NotFound(HelpdeskError):
    slug, status, title = "not_found", 404, "There is no such thing here"


class Conflict(HelpdeskError):
    slug, status, title = "conflict", 409, "The state has moved on"


class Stale(Conflict):
    slug, status, title = "stale_version", 412, "It was changed since it was read"


class StillRunning(Conflict):
    slug, status, title = "idempotency_running", 409, "The same request is still being worked on"


class PreconditionRequired(HelpdeskError):
    slug, status, title = "if_match_required", 428, "Send If-Match with the version that you read"


class TooMany(HelpdeskError):
    slug, status, title = "too_many_requests", 429, "Too many requests"


class TooLarge(HelpdeskError):
    slug, status, title = "too_large", 413, "This is larger than is taken here"


class Unavailable(HelpdeskError):
    slug, status, title = "unavailable", 503, "A part that is needed is away; try again in a moment"
