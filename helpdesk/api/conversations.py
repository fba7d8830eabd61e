"""Conversations: list, start, read, change, who takes part, what happened."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api import queries
from helpdesk.api.answers import Json, answer, page
from helpdesk.api.dependencies import House, IfMatch, Reader, Reading, Transaction, Writer, read_conversations
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Order, Query, page_of
from helpdesk.api.repeating import once, request_of
from helpdesk.api.schemas import conversations as shapes
from helpdesk.api.schemas.conversations import (
    ConversationCreate,
    ConversationDetail,
    ConversationItem,
    ConversationPatch,
    EventShown,
    ParticipantGiven,
)
from helpdesk.api.schemas.shared import Page
from helpdesk.domain import events as kinds
from helpdesk.domain.filters import ConversationFilter, SlaAsked, Sort
from helpdesk.domain.values import Actor, Priority, Status
from helpdesk.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionRequired, Stale, StillRunning
from helpdesk.services import conversations, describing, events, listing, paging, starting, views
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services

router = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])

_PRIORITIES = {rank.word: int(rank) for rank in Priority}


def _priority(word: str) -> int:
    if word not in _PRIORITIES:
        raise ValueError(f"use one of {', '.join(_PRIORITIES)}")
    return _PRIORITIES[word]


FILTERS: Final = (
    queries.at_most(queries.identifier("id", "Any of these, spam too", repeatable=True), 100),
    queries.choice("status", Status, "In any of these states", repeatable=True),
    queries.word("channel", "Where the contact wrote last", most=40, repeatable=True),
    queries.identifier("inbox_id", "Where the contact wrote last", repeatable=True),
    queries.identifier("assignee_id", "Whose it is; `me`, or `none`", repeatable=True, words=("me", "none")),
    queries.identifier("team_id", "Whose team's it is; or `none`", repeatable=True, words=("none",)),
    queries.Param(
        "priority", _priority, {"type": "string", "enum": list(_PRIORITIES)}, "With any of these", repeatable=True
    ),
    queries.word("category", "In any of these categories", most=60, repeatable=True),
    queries.word("tag", "With any of these tags", most=60, repeatable=True),
    queries.identifier("contact_id", "Of any of these contacts", repeatable=True),
    queries.choice("sla", SlaAsked, "How the answer that is due stands", repeatable=True),
    queries.word("q", "In what was written, the subject, the contact's name or handle, or the number itself", most=200),
    queries.time("created_after", "At or after"),
    queries.time("created_before", "Before"),
    queries.time("updated_after", "At or after"),
    queries.flag("spam", "Only what is spam; it is left out otherwise"),
    queries.structure("filter", "A tree of conditions, as views have it; all that is given must hold"),
    queries.identifier("view_id", "What this view asks, too; its sort, unless one is given"),
)
LIST = Query(
    *FILTERS,
    queries.choice("sort", Sort, "A minus: the greatest first", default=Sort.LAST_ACTIVITY),
    *PAGING,
)
_FILTERS = frozenset(ConversationFilter.__dataclass_fields__)


@router.get(
    "",
    summary="List conversations",
    response_model=Page[ConversationItem],
    responses=documented(Forbidden, NotFound),
    openapi_extra=LIST.openapi,
)
async def list_conversations(request: Request) -> Response:
    """Those that you may see. Values of one parameter are alternatives, different parameters must all hold.

    Cursors are keyset based: rows that move between two pages are never shown twice. Rows without a value in the sort
    (`next_due_at`, `waiting_since`) come last. With `id` it tells which of these are in the list that is asked for.
    """
    # Called rather than declared: resolving a dependency costs as much as making the rows into JSON.
    actor = await read_conversations(request)
    given = LIST.read(request)
    now, services = clock.now(), request.app.state.services
    tree, sort = None, None
    if "filter" in given or "view_id" in given:
        tree, sort = await views.ask(services, actor, content=given.get("filter"), view_id=given.get("view_id"))
    rows, cursor = await listing.list_conversations(
        services,
        actor,
        filters_of(given, actor) if given else _NO_FILTER,
        tree=tree,
        sort=given.get("sort", sort or Sort.LAST_ACTIVITY),
        page=page_of(given) if given else _FIRST_PAGE,
        now=now,
    )
    return Json({"items": shapes.items(rows, now), "next_cursor": cursor})


_NO_FILTER = ConversationFilter()
_FIRST_PAGE = page_of({})


def filters_of(given: dict[str, Any], actor: Actor) -> ConversationFilter:
    """Query values as a filter: `me` is whoever asks, `none` is nobody."""
    found: dict[str, Any] = {}
    for name in _FILTERS & given.keys():
        value = given[name]
        if isinstance(value, list):
            value = tuple(dict.fromkeys({"me": actor.id, "none": None}.get(v, v) for v in value))
        found[name] = value
    return ConversationFilter(**found)


async def shown(
    services: Services, session: AsyncSession, actor: Actor, conversation_id: UUID, *, now: datetime, changed: bool
) -> tuple[dict[str, Any], int]:
    """The single conversation and its version; `changed` as in `describing.describe`."""
    found = await describing.describe(services, session, actor, conversation_id, changed=changed, now=now)
    body = shapes.detail(
        found.row,
        participants=found.participants,
        watchers=found.watchers,
        merged_into_id=found.merged_into_id,
        spam=found.spam,
        custom_fields=found.custom_fields,
        related=found.related,
        reply_channels=found.reply_channels,
        rating=found.rating,
        contact_presence=found.contact_presence,
        profile=found.profile,
        post=found.post,
        now=now,
    )
    return body, found.version


@router.post(
    "",
    status_code=201,
    summary="Start a conversation",
    response_model=ConversationDetail,
    responses=documented(
        Forbidden,
        NotFound,
        Conflict,
        StillRunning,
        text_too_long=(422, "It is longer than the channel takes; `length` tells by how much"),
        idempotency_key_reused=(422, "The key was used with another body"),
    ),
)
async def start_conversation(
    request: Request,
    actor: Writer,
    services: House,
    session: Transaction,
    body: ConversationCreate,
    idempotency_key: Annotated[str | None, Header(description="Optional here; makes a repetition harmless")] = None,
) -> Response:
    """Writes to a contact first. Whoever has the handle is the contact; otherwise there is a new one."""
    now = clock.now()

    async def start() -> tuple[int, dict[str, Any]]:
        conversation_id = await starting.start(
            services,
            session,
            inbox_id=body.inbox_id,
            handle=body.contact.handle,
            name=body.contact.name,
            subject=body.subject,
            text=body.text,
            status=Status(body.status) if body.status else None,
            by=actor,
            now=now,
        )
        return 201, (await shown(services, session, actor, conversation_id, now=now, changed=True))[0]

    if idempotency_key is None:
        status, made = await start()
        return answer(made, status=status, version=made["version"], location=_location(request, made))
    found = await once(session, request_of(actor, "POST /conversations", idempotency_key, body), start, now=now)
    return answer(
        found.body, status=found.status, version=found.body["version"], location=_location(request, found.body)
    )


def _location(request: Request, made: dict[str, Any]) -> str:
    return f"{request.url.path}/{made['id']}"


@router.get(
    "/{conversation_id}",
    summary="Read a conversation",
    response_model=ConversationDetail,
    responses=documented(Forbidden, NotFound),
)
async def read_conversation(actor: Reader, services: House, session: Reading, conversation_id: UUID) -> Response:
    """The list item with participants, custom fields, related conversations, and where it can be answered."""
    body, version = await shown(services, session, actor, conversation_id, now=clock.now(), changed=False)
    return answer(body, version=version)


@router.patch(
    "/{conversation_id}",
    summary="Change a conversation's state",
    response_model=ConversationDetail,
    responses=documented(
        Forbidden,
        NotFound,
        Stale,
        PreconditionRequired,
        conversation_closed=(409, "A closed conversation stays closed"),
        conversation_merged=(409, "It went into another conversation"),
        conversation_spam=(409, "It is spam"),
    ),
)
async def change_conversation(
    actor: Writer,
    services: House,
    if_match: IfMatch,
    session: Transaction,
    conversation_id: UUID,
    body: ConversationPatch,
) -> Response:
    """Only what is sent is changed; `version` rises by one. The answer shows it even if you gave it away by this."""
    now = clock.now()
    conversation = await get_conversation(session, actor, conversation_id, lock=True)
    conversations.check_version(conversation, if_match)
    wanted = body.given()
    if wanted.get("priority") is not None:
        wanted["priority"] = _PRIORITIES[wanted["priority"]]
    if "status" in wanted and wanted["status"] is None:
        raise Invalid.field("status", "cannot be taken away")
    await conversations.change(services, session, conversation, wanted, by=actor, now=now)
    found, version = await shown(services, session, actor, conversation_id, now=now, changed=True)
    return answer(found, version=version)


@router.post(
    "/{conversation_id}/participants",
    summary="Let somebody take part",
    response_model=ConversationDetail,
    responses=documented(Forbidden, NotFound),
)
async def add_participant(
    actor: Writer, services: House, session: Transaction, conversation_id: UUID, body: ParticipantGiven
) -> Response:
    """He is written to from here on, if named in `to` or `cc`, and his mail finds this conversation. Idempotent."""
    now = clock.now()
    conversation = await get_conversation(session, actor, conversation_id, lock=True)
    channel = body.channel or conversation["channel"]
    services.channel(channel)
    await conversations.add_participant(
        session, conversation, channel=channel, handle=body.handle.lower(), name=body.name, by=actor, now=now
    )
    found, version = await shown(services, session, actor, conversation_id, now=now, changed=True)
    return answer(found, version=version)


PARTICIPANT = Query(
    queries.needed(queries.word("handle", "Who", most=320)),
    queries.word("channel", "Where; default: the conversation's", most=40),
)


@router.delete(
    "/{conversation_id}/participants",
    summary="Take a participant out",
    response_model=ConversationDetail,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
    openapi_extra=PARTICIPANT.openapi,
)
async def remove_participant(
    request: Request, actor: Writer, services: House, if_match: IfMatch, session: Transaction, conversation_id: UUID
) -> Response:
    """He sees nothing that follows."""
    now = clock.now()
    given = PARTICIPANT.read(request)
    conversation = await get_conversation(session, actor, conversation_id, lock=True)
    conversations.check_version(conversation, if_match)
    await conversations.remove_participant(
        session,
        conversation,
        channel=str(given.get("channel", conversation["channel"])),
        handle=given["handle"].lower(),
        by=actor,
        now=now,
    )
    found, version = await shown(services, session, actor, conversation_id, now=now, changed=True)
    return answer(found, version=version)


EVENTS = Query(
    queries.types(kinds.ALL, "conversation.assigned,conversation.status_changed"),
    queries.time("after", "At or after"),
    queries.time("before", "Before"),
    queries.order("As it happened"),
    *PAGING,
)


@router.get(
    "/{conversation_id}/events",
    summary="What happened in a conversation",
    response_model=Page[EventShown],
    responses=documented(Forbidden, NotFound),
    openapi_extra=EVENTS.openapi,
)
async def list_events(
    request: Request, actor: Reader, services: House, session: Reading, conversation_id: UUID
) -> Response:
    """The oldest first, or the latest with `order=desc`. `position` is its place in the stream, null at first."""
    given = EVENTS.read(request)
    asked, order = page_of(given), given.get("order", Order.ASC)
    sort = f"events:{order}:{conversation_id}"
    cursor = paging.read_cursor(services, asked, sort=sort)
    await get_conversation(session, actor, conversation_id)
    found = await events.list_events(
        session,
        conversation_id,
        types=frozenset[str]().union(*given.get("types", ())),
        within=(given.get("after"), given.get("before")),
        latest_first=order is Order.DESC,
        behind=cursor.id if cursor else None,
        limit=asked.limit + 1,
    )
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort=sort, value=None, row_id=rows[-1]["id"]) if more else None
    return page([shapes.event(row) for row in rows], last)
