"""Letting a conversation go into another one, and come back out; letting some of its messages go into a new one."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Response

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.conversations import shown
from helpdesk.api.dependencies import House, IfMatch, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.schemas.conversations import ConversationDetail, MergeGiven, SplitGiven
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import merging, splitting

router = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])
_ERRORS: Final = (Forbidden, NotFound, Stale, PreconditionRequired)


@router.post(
    "/{conversation_id}/merge",
    summary="Merge a conversation into another one",
    response_model=ConversationDetail,
    responses=documented(
        *_ERRORS,
        other_contact=(409, "They are two contacts'; send `other_contact` if you mean it"),
        conversation_merged=(409, "It went into another conversation"),
        target_merged=(409, "The other one was merged itself"),
        conversation_spam=(409, "One of them is spam"),
        conversation_closed=(409, "The other one is closed"),
        too_many_merged=(409, "There are as many in the other one as there may be"),
    ),
)
async def merge_conversation(
    actor: Writer,
    services: House,
    if_match: IfMatch,
    session: Transaction,
    conversation_id: UUID,
    body: MergeGiven,
) -> Response:
    """It is closed and takes no more answers; later mail to it goes to the other one.

    Its messages stay where they are. The other one gets its tags, watchers and participants, lists it in `related`, and
    is opened if somebody waits for an answer.
    """
    now = clock.now()
    await merging.merge(
        services,
        session,
        conversation_id,
        into=body.into,
        version=if_match,
        other_contact=body.other_contact,
        by=actor,
        now=now,
    )
    found, version = await shown(services, session, actor, conversation_id, now=now, changed=True)
    return answer(found, version=version)


@router.post(
    "/{conversation_id}/unmerge",
    summary="Take a merged conversation back out",
    response_model=ConversationDetail,
    responses=documented(*_ERRORS, not_merged=(409, "It was not merged")),
)
async def unmerge_conversation(
    actor: Writer, services: House, if_match: IfMatch, session: Transaction, conversation_id: UUID
) -> Response:
    """It has its former status again. What was written to the other one meanwhile stays there."""
    now = clock.now()
    await merging.unmerge(services, session, conversation_id, version=if_match, by=actor, now=now)
    found, version = await shown(services, session, actor, conversation_id, now=now, changed=True)
    return answer(found, version=version)


@router.post(
    "/{conversation_id}/split",
    status_code=201,
    summary="Let messages go into a new conversation",
    response_model=ConversationDetail,
    responses=documented(
        *_ERRORS,
        conversation_merged=(409, "It went into another conversation"),
        conversation_spam=(409, "It is spam"),
    ),
)
async def split_conversation(
    actor: Writer,
    services: House,
    if_match: IfMatch,
    session: Transaction,
    conversation_id: UUID,
    body: SplitGiven,
) -> Response:
    """Answers the new conversation: of the same contact, or of whoever wrote the first of the messages.

    It has the old one's assignee, team, priority, category, tags and watchers, and promises of its own. Later mail that
    answers one of the messages goes there. Each lists the other in `related`. Merging it back undoes it.
    """
    now = clock.now()
    made = await splitting.split(
        services, session, conversation_id, message_ids=body.message_ids, version=if_match, by=actor, now=now
    )
    found, version = await shown(services, session, actor, made, now=now, changed=True)
    return answer(found, status=201, version=version, location=f"/api/v1/conversations/{made}")
