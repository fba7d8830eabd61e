"""Messages: read, answer, note, send again, take back, and what they were made of."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api import queries
from helpdesk.api.answers import answer, page
from helpdesk.api.dependencies import House, Reader, Reading, Transaction, Writer, services_of, write_conversations
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Order, Query, page_of
from helpdesk.api.repeating import answer_of, once, request_of
from helpdesk.api.schemas import messages as shapes
from helpdesk.api.schemas.messages import MessageCreate, MessageShown
from helpdesk.api.schemas.shared import Page
from helpdesk.api.short_ways import shortened
from helpdesk.crypto import CannotOpen
from helpdesk.domain.filenames import disposition
from helpdesk.domain.html import PAGE_HEADERS
from helpdesk.domain.values import Status
from helpdesk.errors import Conflict, Forbidden, NotFound, StillRunning
from helpdesk.services import describing, idempotency, paging, redelivery, replies, reply_at_once, sources
from helpdesk.services.access import get_conversation, get_message
from helpdesk.services.describing import Thread
from helpdesk.services.idempotency import Answer
from helpdesk.services.reply_writing import Draft, Stored
from helpdesk.writes import Insert

router = APIRouter(prefix="/api/v1", tags=["messages"])
_PLAIN_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


LIST = Query(
    queries.number("after_seq", "Only messages after this `seq`", least=0, most=2**31 - 1),
    queries.number("before_seq", "Only messages before this `seq`", least=0, most=2**31 - 1),
    queries.order("By `seq`"),
    *PAGING,
)


def _shown(thread: Thread) -> list[dict[str, Any]]:
    return [shapes.message(row, thread.files.get(row["id"], ())) for row in thread.messages]


async def show_unseen(session: AsyncSession, error: Conflict) -> None:
    """In place of the ids of messages that came in, the messages."""
    if "unseen" in error.extra:
        error.extra["messages"] = _shown(await describing.some_messages(session, error.extra.pop("unseen")))


@router.get(
    "/conversations/{conversation_id}/messages",
    summary="List a conversation's messages",
    response_model=Page[MessageShown],
    responses=documented(Forbidden, NotFound),
    openapi_extra=LIST.openapi,
)
async def list_messages(
    request: Request, actor: Reader, services: House, session: Reading, conversation_id: UUID
) -> Response:
    """Messages and notes by `seq`. What happened otherwise is in the events."""
    given = LIST.read(request)
    asked = page_of(given)
    order = given.get("order", Order.ASC)
    sort = f"messages:{order}:{conversation_id}"
    cursor = paging.read_cursor(services, asked, sort=sort)
    after, before = given.get("after_seq"), given.get("before_seq")
    if cursor is not None:
        after, before = (max(after or 0, cursor.value), before) if order is Order.ASC else (after, cursor.value)
    await get_conversation(session, actor, conversation_id)
    found = await describing.list_messages(
        session, conversation_id, after=after, before=before, order=order.value, limit=asked.limit + 1
    )
    items, more = paging.cut(_shown(found), asked.limit)
    return page(items, paging.write_cursor(services, sort=sort, value=items[-1]["seq"]) if more else None)


async def _at_once(asked: Request, raw: bytes) -> Response | None:
    """What `create_message` answers where nothing but a text is sent, and nothing has changed while it was written."""
    given = asked.path_params["conversation_id"]
    if asked.headers.get("content-type") != "application/json" or not _PLAIN_ID.fullmatch(given):
        return None
    try:
        body = MessageCreate.model_validate_json(raw)
    except ValidationError:
        return None  # the route says what is wrong
    services, now, conversation_id = services_of(asked), clock.now(), UUID(given)
    actor = await write_conversations(asked)
    request = request_of(actor, _route(conversation_id), asked.headers.get("idempotency-key"), body)
    made: list[Answer] = []

    def keep(stored: Stored) -> Insert:
        made.append(answer_of(201, _shown(describing.without_files(stored))[0]))
        return idempotency.kept(request, made[-1], now=now)

    async with services.database.transaction() as session:
        try:
            found = await reply_at_once.reply(
                services, session, conversation_id, _draft(body), request, keep, by=actor, now=now
            )
        except Conflict as error:
            await show_unseen(session, error)
            raise
    return answer(made[-1].body, status=made[-1].status) if found else None


def _route(conversation_id: UUID) -> str:
    """As keys are kept for it."""
    return f"POST /conversations/{conversation_id}/messages"


answering = APIRouter(prefix="/api/v1", tags=["messages"], route_class=shortened(_at_once))


@answering.post(
    "/conversations/{conversation_id}/messages",
    status_code=201,
    summary="Answer, or write a note",
    response_model=MessageShown,
    responses=documented(
        Forbidden,
        NotFound,
        StillRunning,
        idempotency_key_required=(400, "Idempotency-Key is missing"),
        conversation_moved=(409, "Messages came in that were not seen; they are in `messages`"),
        conversation_closed=(409, "A closed conversation takes no more answers"),
        conversation_merged=(409, "It went into another conversation"),
        conversation_spam=(409, "It is spam, and takes no other status"),
        reply_window_closed=(409, "The channel takes answers only for a while after a message"),
        private_reply_used=(409, "He was written to directly once already, and has not answered that"),
        personal_data_in_public=(422, "It says in public what is the contact's own; `found` tells kinds and places"),
        text_too_long=(422, "It is longer than the channel takes; `length` tells by how much"),
        idempotency_key_reused=(422, "The key was used with another body"),
    ),
)
async def create_message(
    actor: Writer,
    services: House,
    session: Transaction,
    conversation_id: UUID,
    body: MessageCreate,
    idempotency_key: Annotated[str | None, Header(description="Needed; new for each message")] = None,
) -> Response:
    """The message is queued and sent by a worker; its `delivery` tells what became of it.

    With `seen_seq`, nothing is written when the contact has written something newer or a colleague has answered: 409
    with those messages. A repetition under the same key gets the first answer, whatever has happened since.
    """
    now, draft = clock.now(), _draft(body)
    request = request_of(actor, _route(conversation_id), idempotency_key, body)

    async def write() -> tuple[int, dict[str, Any]]:
        conversation = await get_conversation(session, actor, conversation_id, lock=True)
        stored = await replies.reply(services, session, conversation, draft, by=actor, now=now)
        return 201, _shown(await describing.just_stored(session, stored))[0]

    try:
        again = partial(get_conversation, session, actor, conversation_id)
        found = await once(session, request, write, again=again, now=now)
    except Conflict as error:
        await show_unseen(session, error)
        raise
    return answer(found.body, status=found.status)


def _draft(body: MessageCreate) -> Draft:
    return Draft(
        text=body.text,
        html=body.html,
        private=body.private,
        inbox_id=body.inbox_id,
        visibility=body.visibility,
        to=[one.model_dump() for one in body.to],
        cc=[one.model_dump() for one in body.cc],
        attachment_ids=body.attachment_ids,
        seen_seq=body.seen_seq,
        status=Status(body.status) if body.status else None,
        undo_seconds=body.undo_seconds,
        mentions=body.mentions,
    )


@router.get(
    "/messages/{message_id}",
    summary="Read a message",
    response_model=MessageShown,
    responses=documented(Forbidden, NotFound),
)
async def read_message(actor: Reader, session: Reading, message_id: UUID) -> Response:
    """As its conversation's list has it: what the events name can be read again, such as what became of a delivery."""
    await get_message(session, actor, message_id)
    return await _one(session, message_id)


@router.post(
    "/messages/{message_id}/retry",
    summary="Send a failed message again",
    response_model=MessageShown,
    responses=documented(
        Forbidden,
        NotFound,
        delivery_state=(409, "Only a failed message is sent again, or an uncertain one that is looked up no more"),
    ),
)
async def retry_message(actor: Writer, session: Transaction, message_id: UUID) -> Response:
    """The identical bytes, to those recipients who have not got it.

    An `uncertain` one without a `next_attempt_at` is left to you: look whether it arrived before you send it again.
    """
    message = await get_message(session, actor, message_id)
    await redelivery.retry(session, message, by=actor, now=clock.now())
    return await _one(session, message_id)


@router.post(
    "/messages/{message_id}/cancel",
    summary="Take a deferred message back",
    response_model=MessageShown,
    responses=documented(Forbidden, NotFound, delivery_state=(409, "It is too late to take it back")),
)
async def cancel_message(actor: Writer, services: House, session: Transaction, message_id: UUID) -> Response:
    """Works while `undo_seconds` have not passed.

    Whoever wrote it has it as his draft again, with its files, unless he has begun another one; and the conversation
    has the status back that the message had changed, unless it has been changed since, or closed.
    """
    message = await get_message(session, actor, message_id)
    await redelivery.cancel(services, session, message, by=actor, now=clock.now())
    return await _one(session, message_id)


async def _one(session: AsyncSession, message_id: UUID) -> Response:
    return answer(_shown(await describing.some_messages(session, [message_id]))[0])


@router.get(
    "/messages/{message_id}/raw",
    summary="A message's source",
    response_class=Response,
    responses={
        200: {
            "description": "The bytes as they came in",
            "content": {"message/rfc822": {"schema": {"type": "string"}}},
        },
        **documented(Forbidden, NotFound, CannotOpen),
    },
)
async def read_message_source(actor: Reader, services: House, session: Transaction, message_id: UUID) -> Response:
    """Always as a download. That you read it is recorded."""
    message = await get_message(session, actor, message_id)
    body = await sources.raw(services, session, message, by=actor, now=clock.now())
    headers = {
        "Content-Disposition": disposition(f"message-{message['seq']}.eml"),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(body, media_type="message/rfc822", headers=headers)


@router.get(
    "/messages/{message_id}/html",
    summary="A message's page for the sandboxed frame",
    response_class=Response,
    responses={
        200: {
            "description": "A whole document without scripts",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
        **documented(Forbidden, NotFound, CannotOpen),
    },
)
async def read_message_page(
    request: Request, actor: Reader, services: House, session: Reading, message_id: UUID
) -> Response:
    """Sanitised HTML under a policy of its own: no script, nothing remote; pictures of the mail are inlined. What it
    quotes of earlier mails is folded by `<details>`, named in the reader's language (`Accept-Language` for a token)."""
    message = await get_message(session, actor, message_id)
    accepted = request.headers.get("accept-language", "")
    document = await sources.html(services, session, message, by=actor, accepted=accepted)
    return Response(document.encode(errors="replace"), headers=dict(PAGE_HEADERS))
