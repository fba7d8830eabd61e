"""Saying that a conversation is spam or none, and taking one out of quarantine."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Response

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.conversations import shown
from helpdesk.api.dependencies import House, IfMatch, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.schemas.conversations import ConversationDetail, SpamGiven
from helpdesk.domain.values import Scope
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import contacts, conversations, quarantine, spam
from helpdesk.services.access import get_conversation, require_scope

router = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])
_ERRORS: Final = (Forbidden, NotFound, Stale, PreconditionRequired)
_MERGED: Final = {"conversation_merged": (409, "It went into another conversation")}


@router.post(
    "/{conversation_id}/spam",
    summary="Say that a conversation is spam",
    response_model=ConversationDetail,
    responses=documented(*_ERRORS, **_MERGED),
)
async def mark_spam(
    actor: Writer,
    services: House,
    if_match: IfMatch,
    session: Transaction,
    conversation_id: UUID,
    body: SpamGiven | None = None,
) -> Response:
    """It is resolved, its clocks stop, and what comes in later is kept and calls nobody. Idempotent.

    With `block_contact`, which needs `contacts:write`, whatever its contact writes from now on is spam.
    """
    now = clock.now()
    conversation = await get_conversation(session, actor, conversation_id, lock=True)
    conversations.check_version(conversation, if_match)
    if body is not None and body.block_contact:
        require_scope(actor, Scope.CONTACTS_WRITE)
        await contacts.block(session, actor, conversation["contact_id"], now=now)
    await spam.mark(services, session, conversation, by=actor, now=now)
    found, version = await shown(services, session, actor, conversation_id, now=now, changed=True)
    return answer(found, version=version)


@router.delete(
    "/{conversation_id}/spam",
    summary="Say that a conversation is no spam",
    response_model=ConversationDetail,
    responses=documented(*_ERRORS, **_MERGED),
)
async def unmark_spam(
    actor: Writer, services: House, if_match: IfMatch, session: Transaction, conversation_id: UUID
) -> Response:
    """It has its former status again, and whoever waits in it waits since he wrote. A contact who is blocked stays so.

    Idempotent.
    """
    now = clock.now()
    conversation = await get_conversation(session, actor, conversation_id, lock=True)
    conversations.check_version(conversation, if_match)
    await spam.unmark(services, session, conversation, by=actor, now=now)
    found, version = await shown(services, session, actor, conversation_id, now=now, changed=True)
    return answer(found, version=version)


@router.delete(
    "/{conversation_id}/quarantine",
    summary="Take a conversation out of quarantine",
    response_model=ConversationDetail,
    responses=documented(*_ERRORS, **_MERGED),
)
async def end_quarantine(
    actor: Writer, services: House, if_match: IfMatch, session: Transaction, conversation_id: UUID
) -> Response:
    """Somebody has looked at it: it waits as any other, since its contact wrote, and is given to somebody. Idempotent.

    What is spam stays spam.
    """
    now = clock.now()
    conversation = await get_conversation(session, actor, conversation_id, lock=True)
    conversations.check_version(conversation, if_match)
    await quarantine.end(services, session, conversation, by=actor, now=now)
    found, version = await shown(services, session, actor, conversation_id, now=now, changed=True)
    return answer(found, version=version)
