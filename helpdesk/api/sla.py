"""The promises on a conversation, explained."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import House, Reader, Reading
from helpdesk.api.problems import documented
from helpdesk.api.schemas import sla as shapes
from helpdesk.api.schemas.sla import SlaShown
from helpdesk.errors import Forbidden, NotFound
from helpdesk.services import explaining
from helpdesk.services.access import get_conversation

router = APIRouter(prefix="/api/v1/conversations", tags=["SLA"])


@router.get(
    "/{conversation_id}/sla",
    summary="Explain a conversation's clocks",
    response_model=SlaShown,
    responses=documented(Forbidden, NotFound),
)
async def explain_clocks(actor: Reader, services: House, session: Reading, conversation_id: UUID) -> Response:
    """Every cycle with the versions of its policy and calendar, what counted and what did not, and who ended it."""
    conversation = await get_conversation(session, actor, conversation_id)
    found = await explaining.explain(services, session, conversation["id"], now=clock.now())
    return answer({"clocks": [shapes.clock(one) for one in found]})
