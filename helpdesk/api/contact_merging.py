"""Two contacts who are one person."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Response

from helpdesk import clock
from helpdesk.api.contacts import shown
from helpdesk.api.dependencies import ContactMaker, IfMatch, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.schemas.settings import ContactMergeGiven, ContactShown
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import contact_merging

router = APIRouter(prefix="/api/v1/contacts", tags=["contacts"])
_ERRORS: Final = (Forbidden, NotFound, Stale, PreconditionRequired)


@router.post(
    "/{contact_id}/merge",
    summary="Merge a contact into another one",
    response_model=ContactShown,
    responses=documented(
        *_ERRORS,
        contact_merged=(409, "He went into another contact"),
        target_merged=(409, "The other one was merged himself"),
        too_many_merged=(409, "There are as many in the other one as there may be"),
        too_many_conversations=(409, "He has more conversations than go over"),
    ),
)
async def merge_contact(
    actor: ContactMaker, if_match: IfMatch, session: Transaction, contact_id: UUID, body: ContactMergeGiven
) -> Response:
    """For supervisors. His handles and conversations become the other one's, and later mail goes there.

    The other one keeps what he has and gets what he lacks. He is blocked afterwards if either of them was. No handle is
    verified by it.
    """
    await contact_merging.merge(session, contact_id, into=body.into, version=if_match, by=actor, now=clock.now())
    return await shown(session, actor, contact_id)


@router.post(
    "/{contact_id}/unmerge",
    summary="Take a merged contact back out",
    response_model=ContactShown,
    responses=documented(*_ERRORS, not_merged=(409, "He was not merged")),
)
async def unmerge_contact(actor: ContactMaker, if_match: IfMatch, session: Transaction, contact_id: UUID) -> Response:
    """For supervisors. He gets back what he had; what came in meanwhile stays with the other one."""
    await contact_merging.unmerge(session, contact_id, version=if_match, by=actor, now=clock.now())
    return await shown(session, actor, contact_id)
