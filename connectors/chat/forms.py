"""The bodies of requests. As strict as the frames, and refused in the same words."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field, ValidationError

from connectors.chat.config import FIELDS, ChatConfig
from connectors.chat.frames import ClientId, Files, Seq, Shape, Ttl
from helpdesk.errors import FieldError, Invalid
from helpdesk.live import LiveInbox

_ADDRESS: Final = re.compile(r"[^@\s<>,;\"\\\x00-\x1f\x7f]{1,64}@[^@\s<>,;\"\\\x00-\x1f\x7f]{1,255}")
_Short = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line."""

_Jwt = Annotated[str, Field(min_length=1, max_length=4096)]


class Prechat(Shape):
    """What the form asked for. Only what the inbox asks for may be given."""

    name: _Short = ""
    email: Annotated[str, Field(max_length=254)] = ""
    category: _Short = ""
    account: _Short = ""
    transaction_hash: _Short = ""
    wallet_address: _Short = ""


class Begin(Shape):
    prechat: Prechat = Prechat()
    identity: _Jwt | None = Field(None, repr=False)
    language: Literal["en", "zh-CN", "zh-TW"] | None = None


class Identify(Shape):
    identity: _Jwt = Field(repr=False)


class Say(Shape):
    client_id: ClientId
    text: str
    attachment_ids: Files = Field(default_factory=list)


class SayFeedback(Say):
    category: Annotated[_Short, Field(min_length=1)]
    app_version: _Short = ""
    device: _Short = ""


class ReadUpTo(Shape):
    seq: Seq


class TypingFor(Shape):
    ttl: Ttl


class ClaimEmail(Shape):
    email: Annotated[str, Field(max_length=254)]


class VerifyEmail(Shape):
    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


class Rate(Shape):
    score: Annotated[int, Field(ge=1, le=5)]
    comment: Annotated[str, Field(max_length=2000)] = ""


_Form = TypeVar("_Form", bound=Shape)


def read(body: bytes, form: type[_Form]) -> _Form:
    """Raises `Invalid`, naming each field of ours that is wrong, and nothing of what was sent."""
    try:
        return form.model_validate_json(body or b"{}")
    except (ValidationError, RecursionError) as error:
        raise Invalid(slug="bad_frame", errors=_wrong(error, form)) from None


def _wrong(error: Exception, form: type[Shape]) -> list[FieldError]:
    if not isinstance(error, ValidationError):
        return []
    ours = {*form.model_fields, *Prechat.model_fields}
    found = []
    for one in error.errors(include_input=False, include_url=False, include_context=False):
        names = [part for part in one["loc"] if isinstance(part, str)]
        if set(names) <= ours:
            found.append(FieldError(".".join(names) or "body", _rule(one["type"])))
        else:
            found.append(FieldError("body", "there is no such field"))
    return found


def _rule(kind: str) -> str:
    return {"missing": "is needed", "json_invalid": "this is not JSON"}.get(kind, "is not of the right form")


def check_prechat(given: Begin, inbox: LiveInbox, config: ChatConfig) -> dict[str, str]:
    """What was given of the form. Raises `Invalid` for what is missing, not asked for, or not a choice.

    Whoever a host site vouches for skips the form: of him nothing is needed, whatever it asks others.
    """
    values = {name: getattr(given.prechat, name).strip() for name in FIELDS}
    asked, wrong = config.fields, []
    for name, value in values.items():
        if value and name not in asked:
            wrong.append(FieldError(f"prechat.{name}", "is not asked for here"))
        elif not value and asked.get(name) and not given.identity:
            wrong.append(FieldError(f"prechat.{name}", "is needed"))
    if values["category"] and values["category"] not in inbox.categories:
        wrong.append(FieldError("prechat.category", "is not one of the options"))
    if values["email"] and not is_address(values["email"]):
        wrong.append(FieldError("prechat.email", "is not an address"))
    if wrong:
        raise Invalid(slug="bad_frame", errors=wrong)
    return {name: value for name, value in values.items() if value}


def is_address(text: str) -> bool:
    return _ADDRESS.fullmatch(text) is not None
