"""What visitors say: in the conversation at once, once for each id that their client gave it.

Nearly always it is the next message in an open conversation (`services.visitor_next`). Everything else (the first
message, one that opens a conversation again, files, feedback, somebody blocked) is filed as mail is
(`services.visitor_filing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from unicodedata import normalize
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Address, Authentication, InboundMessage
from helpdesk.domain.admission import Admitted, admit
from helpdesk.errors import FieldError, Invalid
from helpdesk.live import Feedback, Said, Visitor
from helpdesk.services import visitor_filing, visitor_next
from helpdesk.services.house import Services

MAX_TEXT: Final = 8_000
MAX_FILES: Final = 20


async def say(
    services: Services,
    session: AsyncSession,
    visitor: Visitor,
    *,
    client_id: str,
    text: str,
    attachment_ids: Sequence[UUID] = (),
    feedback: Feedback | None = None,
    now: datetime,
) -> Said:
    """Store a message, once per session and client id.

    Raises `Invalid` (`text_empty`, `text_too_long`), `NotFound` for an upload that is not the session's or was sent,
    `Conflict` (`conversation_unavailable`) while the inbox is paused, `SessionRefused` where the visitor was erased,
    and `SaidMeanwhile`.
    """
    message = _admitted(visitor, text, files=len(set(attachment_ids)))
    if visitor.conversation_id is not None and not attachment_ids and feedback is None:
        said = await visitor_next.say(services, session, visitor, message, client_id=client_id, now=now)
        if said is not None:
            return said
    return await visitor_filing.file(
        services,
        session,
        visitor,
        message,
        client_id=client_id,
        attachment_ids=attachment_ids,
        feedback=feedback,
        now=now,
    )


def _admitted(visitor: Visitor, text: str, *, files: int) -> Admitted:
    if len(text) > MAX_TEXT:
        raise _refused("text", f"at most {MAX_TEXT} characters", "text_too_long")
    if files > MAX_FILES:
        raise Invalid.field("attachment_ids", f"at most {MAX_FILES} files")
    text = normalize("NFC", text).strip()
    vouched = Authentication.PASS if visitor.identified else Authentication.NONE
    message = admit(InboundMessage("", Address(visitor.handle), text, text, authentication=vouched))
    if not message.text.strip() and not files:
        raise _refused("text", "a message has text or files", "text_empty")
    return message


def _refused(field: str, why: str, slug: str) -> Invalid:
    return Invalid(f"{field}: {why}", errors=[FieldError(field, why)], slug=slug)
