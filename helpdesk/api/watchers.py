"""Who watches a conversation."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from helpdesk import clock
from helpdesk.api import queries
from helpdesk.api.answers import answer
from helpdesk.api.conversations import shown
from helpdesk.api.dependencies import House, IfMatch, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.queries import Query
from helpdesk.api.schemas.conversations import ConversationDetail, WatcherGiven
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale, Unauthenticated
from helpdesk.services import conversations, watchers
from helpdesk.services.access import get_conversation

router = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])
WATCHER = Query(queries.identifier("agent_id", "Who; default: you"))


@router.post(
    "/{conversation_id}/watchers",
    summary="Watch a conversation",
    response_model=ConversationDetail,
    responses=documented(Forbidden, NotFound),
)
async def add_watcher(
    actor: Writer, services: House, session: Transaction, conversation_id: UUID, body: WatcherGiven | None = None
) -> Response:
    """You, or a colleague who may see it. Watchers are told what becomes of it. Idempotent."""
    now = clock.now()
    conversation = await get_conversation(session, actor, conversation_id, lock=True)
    agent_id = (body.agent_id if body else None) or actor.id
    if agent_id is None:
        raise Unauthenticated
    await watchers.add(session, conversation, agent_id, by=actor, now=now)
    found, version = await shown(services, session, actor, conversation_id, now=now, changed=True)
    return answer(found, version=version)


@router.delete(
    "/{conversation_id}/watchers",
    summary="Watch a conversation no longer",
    response_model=ConversationDetail,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
    openapi_extra=WATCHER.openapi,
)
async def remove_watcher(
    request: Request, actor: Writer, services: House, if_match: IfMatch, session: Transaction, conversation_id: UUID
) -> Response:
    """You, or the colleague in the query parameter `agent_id`. Idempotent."""
    now, given = clock.now(), WATCHER.read(request)
    conversation = await get_conversation(session, actor, conversation_id, lock=True)
    conversations.check_version(conversation, if_match)
    agent_id = given.get("agent_id", actor.id)
    if agent_id is None:
        raise Unauthenticated
    await watchers.remove(session, conversation, agent_id, by=actor, now=now)
    found, version = await shown(services, session, actor, conversation_id, now=now, changed=True)
    return answer(found, version=version)
