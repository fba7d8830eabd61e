"""What texts suggest for a conversation, what it really is, and the rules."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import Curator, House, IfMatch, Reader, Reading, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.schemas import triage as shapes
from helpdesk.api.schemas.triage import RulesShown, TriageGiven, TriageShown
from helpdesk.domain.values import Priority
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import conversations, triage
from helpdesk.services.access import get_conversation

router = APIRouter(prefix="/api/v1", tags=["triage"])


@router.get(
    "/conversations/{conversation_id}/triage",
    summary="What the text suggests, and why",
    response_model=TriageShown,
    responses=documented(Forbidden, NotFound),
)
async def read_triage(actor: Reader, session: Reading, conversation_id: UUID) -> Response:
    """Category and priority, the rules that spoke and the words that they found. The version is the conversation's."""
    row = await get_conversation(session, actor, conversation_id)
    found = await triage.suggestion_for(session, conversation_id)
    return answer(shapes.triage(row, found), version=row["version"])


@router.post(
    "/conversations/{conversation_id}/triage",
    summary="Correct a suggestion",
    response_model=TriageShown,
    responses=documented(
        Forbidden,
        NotFound,
        Stale,
        PreconditionRequired,
        nothing_suggested=(409, "Nothing was suggested"),
    ),
)
async def correct_triage(
    actor: Writer,
    services: House,
    if_match: IfMatch,
    session: Transaction,
    conversation_id: UUID,
    body: TriageGiven,
) -> Response:
    """Sets what is given, as a PATCH would, and remembers who said so: no later message says otherwise."""
    now = clock.now()
    row = await get_conversation(session, actor, conversation_id, lock=True)
    conversations.check_version(row, if_match)
    wanted = body.given()
    if wanted.get("priority") is not None:
        wanted["priority"] = int(Priority.of(wanted["priority"]))
    changed = await triage.correct(services, session, row, wanted, by=actor, now=now)
    found = await triage.suggestion_for(session, conversation_id)
    return answer(shapes.triage(changed, found), version=changed["version"])


@router.get(
    "/triage/rules",
    summary="The rules of triage",
    response_model=RulesShown,
    responses=documented(Forbidden),
)
async def read_triage_rules(actor: Curator, services: House) -> Response:
    """Which words say what, with which weight, for supervisors; and whether what they suggest is applied."""
    return answer(shapes.rules(services.settings.triage))
