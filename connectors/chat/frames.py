"""The frames of `helpdesk.chat.v1`: what may come in, judged as a whole before anything is done, and what goes out.

The set of names is closed and every field has a type and a bound. What is said of a frame that is refused is a code and
the name of one of our own fields: never a part of what came, nor a word of a library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from helpdesk.errors import Conflict, Forbidden, HelpdeskError, Invalid, NotFound, TooMany
from helpdesk.live import Anew, Heard, Item, ItemKind, Said, Visitor

SUBPROTOCOL: Final = "helpdesk.chat.v1"
MOST_BYTES: Final = 64 * 1024
MOST_TEXT: Final = 8000
MOST_FILES: Final = 10
MOST_SEQ: Final = 2**31 - 1
HEARTBEAT_SECONDS: Final = 25


class BadFrame(HelpdeskError):
    """What came is not of the protocol; `field` in `extra` where one of ours is wrong."""

    slug, status, title = "bad_frame", 400, "This is not a frame, or not a body, of this protocol"

    def __init__(self, field: str = "") -> None:
        super().__init__(extra={"field": field} if field else None)


class TextTooLong(HelpdeskError):
    slug, status, title = "text_too_long", 422, f"A message has at most {MOST_TEXT} characters"


class TextEmpty(HelpdeskError):
    slug, status, title = "text_empty", 422, "A message has text or files"


class AttachmentUnknown(HelpdeskError):
    slug, status, title = "attachment_unknown", 422, "This is not an upload of this session, or it was sent already"


class ConversationUnavailable(HelpdeskError):
    slug, status, title = "conversation_unavailable", 409, "Nothing can be said here now"


CODES: Final = frozenset(
    {
        BadFrame.slug,
        TextTooLong.slug,
        TextEmpty.slug,
        AttachmentUnknown.slug,
        ConversationUnavailable.slug,
        "rate_limited",
        "session_refused",
        "internal",
    }
)
"""All that an `error` frame may say."""


class Shape(BaseModel):
    """What comes in: exactly these fields, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


ClientId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Seq = Annotated[int, Field(ge=0, le=MOST_SEQ)]
Token = Annotated[str, Field(min_length=1, max_length=200)]
Ttl = Annotated[float, Field(ge=0, le=30)]
Files = Annotated[list[UUID], Field(max_length=MOST_FILES)]


class Resume(Shape):
    conversation_id: UUID
    last_seq: Seq


class Hello(Shape):
    type: Literal["hello"]
    token: Token = Field(repr=False)
    resume: Resume | None = None


class MessageSend(Shape):
    type: Literal["message.send"]
    client_id: ClientId
    text: str
    attachment_ids: Files = Field(default_factory=list)


class Read(Shape):
    type: Literal["read"]
    seq: Seq


class Typing(Shape):
    type: Literal["typing"]
    ttl: Ttl


class Ping(Shape):
    type: Literal["ping"]
    last_seq: Seq


Frame = Hello | MessageSend | Read | Typing | Ping
_FRAMES: Final[TypeAdapter[Frame]] = TypeAdapter(Annotated[Frame, Field(discriminator="type")])


def parse(text: str | bytes) -> Frame:
    """Raises `BadFrame`."""
    try:
        return _FRAMES.validate_json(text)
    except (ValidationError, RecursionError) as error:
        raise BadFrame(_wrong_field(error)) from None


_OURS: Final = frozenset(
    {"type"}.union(*(one.model_fields for one in (Hello, MessageSend, Read, Typing, Ping, Resume)))
)


def _wrong_field(error: Exception, ours: frozenset[str] = _OURS) -> str:
    """The first field that is wrong, by its name here. Of a name that is not ours nothing is said: it was made up."""
    if not isinstance(error, ValidationError):
        return ""
    found = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if found["type"].startswith("union_tag"):
        return "type"
    return ".".join(part for part in found["loc"][1:] if isinstance(part, str) and part in ours)


def judge_text(text: str, attachment_ids: Sequence[UUID]) -> None:
    """Raises `TextTooLong`, `TextEmpty`."""
    if len(text) > MOST_TEXT:
        raise TextTooLong
    if not text.strip() and not attachment_ids:
        raise TextEmpty


def of_saying(error: HelpdeskError) -> HelpdeskError:
    """Why something could not be said, in the words of the protocol."""
    if error.problem in CODES:
        return error
    if isinstance(error, TooMany):
        return TooMany(slug="rate_limited", extra={"retry_after": error.extra.get("retry_after", 10)})
    if isinstance(error, NotFound):
        return AttachmentUnknown()
    if isinstance(error, Invalid):
        return BadFrame(next((e.field for e in error.errors if e.field in _OURS), ""))
    if isinstance(error, Conflict | Forbidden):
        return ConversationUnavailable()
    return HelpdeskError()


# -- what goes out --

Out = Mapping[str, Any]


def encode(frame: Out) -> str:
    return orjson.dumps(frame, default=str, option=orjson.OPT_UTC_Z).decode()


def error(found: HelpdeskError, *, client_id: str | None = None) -> Out:
    frame: dict[str, Any] = {"type": "error", "code": found.problem if found.problem in CODES else "internal"}
    frame |= {name: found.extra[name] for name in ("field", "retry_after") if name in found.extra}
    return frame if client_id is None else {**frame, "client_id": client_id}


def ack(client_id: str, said: Said) -> Out:
    return {"type": "message.ack", **stored(client_id, said)}


def stored(client_id: str, said: Said) -> Out:
    return {
        "client_id": client_id,
        "id": said.message_id,
        "conversation_id": said.conversation_id,
        "seq": said.seq,
        "created_at": said.created_at,
    }


def visitor(found: Visitor) -> Out:
    return {"id": found.handle, "identified": found.identified, "email": found.email}


def item(one: Item, conversation_id: UUID | None) -> Out:
    frame = {"type": one.kind, "conversation_id": conversation_id, "seq": one.seq, "prev_seq": one.prev_seq}
    return {**frame, "message": one.data} if one.kind is ItemKind.MESSAGE else {**frame, **one.data}


def heard(one: Heard, conversation_id: UUID | None) -> Out:
    """Anything that a subscription gives."""
    if isinstance(one, Item):
        return item(one, conversation_id)
    if isinstance(one, Anew):
        return {"type": "resync", "conversation_id": one.conversation_id, "head_seq": one.head_seq}
    return {"type": one.kind, **one.data}
