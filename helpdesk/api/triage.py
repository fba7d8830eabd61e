"""What texts suggest for a conversation, what it really is, and the rules."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response

from helpdesk import clock
from helpdesk.api.answers import answer, page
from helpdesk.api.dependencies import Curator, House, IfMatch, Reader, Reading, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import triage as shapes
from helpdesk.api.schemas.shared import Page
from helpdesk.api.schemas.triage import CorrectionShown, RulesShown, TriageGiven, TriageShown
from helpdesk.domain.values import Priority
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import categories, conversations, paging, triage
from helpdesk.services.access import get_conversation

router = APIRouter(prefix="/api/v1", tags=["triage"])
CORRECTIONS = Query(*PAGING)


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
async def read_triage_rules(actor: Curator, services: House, session: Reading) -> Response:
    """Which words say what, with which weight, for supervisors; and whether what they suggest is applied."""
    return answer(shapes.rules(services.settings.triage, await categories.rules(session)))


@router.get(
    "/triage/corrections",
    summary="List what agents said of suggestions",
    response_model=Page[CorrectionShown],
    responses=documented(Forbidden),
    openapi_extra=CORRECTIONS.openapi,
)
async def list_triage_corrections(request: Request, actor: Curator, services: House, session: Reading) -> Response:
    """The latest first, with the rules that had spoken: what to mend. A category that is given anywhere counts."""
    asked = page_of(CORRECTIONS.read(request))
    sort = "triage-corrections"
    cursor = paging.read_cursor(services, asked, sort=sort)
    before = (datetime.fromisoformat(cursor.value), cursor.id) if cursor and cursor.id else None
    found = await triage.list_corrections(session, before=before, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = rows[-1] if more else None
    value = last and last["corrected_at"].isoformat()
    token = paging.write_cursor(services, sort=sort, value=value, row_id=last["conversation_id"]) if last else None
    return page([shapes.correction(row) for row in rows], token)
