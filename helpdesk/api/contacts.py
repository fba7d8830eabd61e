"""Contacts: whom one has to do with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api import queries
from helpdesk.api.answers import answer, page
from helpdesk.api.dependencies import (
    ContactMaker,
    ContactReader,
    ContactWriter,
    House,
    IfMatch,
    Reading,
    Transaction,
)
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import settings as shapes
from helpdesk.api.schemas.settings import ContactCreate, ContactPatch, ContactShown, IdentityGiven
from helpdesk.api.schemas.shared import Page
from helpdesk.domain.values import Actor
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import contact_identities, contacts, paging, search
from helpdesk.services.search_store import MOST

router = APIRouter(prefix="/api/v1/contacts", tags=["contacts"])

LIST = Query(
    queries.word("q", "What words of the name or of a handle begin with", most=200),
    queries.word("handle", "Exactly this handle, on any channel", most=320),
    *PAGING,
)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND: Final = timedelta(microseconds=1)


@router.get(
    "",
    summary="List contacts",
    response_model=Page[ContactShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_contacts(request: Request, actor: ContactReader, services: House, session: Reading) -> Response:
    """The newest first: those with a conversation that you may see. `q` is asked of the index that search uses."""
    given = LIST.read(request)
    asked = page_of(given)
    cursor = paging.read_cursor(services, asked, sort="contacts")
    q = given.get("q", "")
    named = await search.newest_contacts(services, actor, q, limit=MOST) if q else None
    found = await contacts.list_contacts(
        services,
        session,
        actor,
        among_these=named,
        handle=given.get("handle", ""),
        after=(_EPOCH + cursor.value * _MICROSECOND, cursor.id) if cursor and cursor.id else None,
        limit=asked.limit + 1,
    )
    rows, more = paging.cut(found, asked.limit)
    identities = await contacts.identities_of(session, [row["id"] for row in rows])
    last = None
    if more:
        at = (rows[-1]["created_at"] - _EPOCH) // _MICROSECOND
        last = paging.write_cursor(services, sort="contacts", value=at, row_id=rows[-1]["id"])
    return page([shapes.contact(row, identities.get(row["id"], ())) for row in rows], last)


async def shown(session: AsyncSession, actor: Actor, contact_id: UUID, *, status: int = 200) -> Response:
    row = await contacts.get_contact(session, actor, contact_id)
    identities = await contacts.identities_of(session, [contact_id])
    body = shapes.contact(row, identities.get(contact_id, ()))
    location = f"/api/v1/contacts/{contact_id}" if status == 201 else None
    return answer(body, status=status, version=row["version"], location=location)


@router.post(
    "",
    status_code=201,
    summary="Add a contact",
    response_model=ContactShown,
    responses=documented(Forbidden, handle_taken=(409, "A contact has this handle already")),
)
async def add_contact(actor: ContactMaker, services: House, session: Transaction, body: ContactCreate) -> Response:
    """For supervisors: agents make contacts by starting a conversation, which never tells whom they may not see."""
    contact_id = await contacts.create(
        services,
        session,
        name=body.name,
        identities=[(one.channel, one.handle) for one in body.identities],
        language=body.language,
        custom_fields={k: v for k, v in body.custom_fields.items() if v is not None},
        by=actor,
        now=clock.now(),
    )
    return await shown(session, actor, contact_id, status=201)


@router.get(
    "/{contact_id}",
    summary="Read a contact",
    response_model=ContactShown,
    responses=documented(Forbidden, NotFound),
)
async def read_contact(actor: ContactReader, session: Reading, contact_id: UUID) -> Response:
    """With every handle under which he writes. `merged_into_id` says whom he went into."""
    return await shown(session, actor, contact_id)


@router.patch(
    "/{contact_id}",
    summary="Change a contact",
    response_model=ContactShown,
    responses=documented(
        Forbidden, NotFound, Stale, PreconditionRequired, contact_merged=(409, "He went into another contact")
    ),
)
async def change_contact(
    actor: ContactWriter, if_match: IfMatch, session: Transaction, contact_id: UUID, body: ContactPatch
) -> Response:
    """Custom fields are merged; null takes one away."""
    row = await contacts.get_contact(session, actor, contact_id, version=if_match)
    await contacts.edit(session, row, body.given(), by=actor, now=clock.now())
    return await shown(session, actor, contact_id)


@router.post(
    "/{contact_id}/identities",
    summary="Add an identity to a contact",
    response_model=ContactShown,
    responses=documented(
        Forbidden,
        NotFound,
        Stale,
        PreconditionRequired,
        handle_taken=(409, "Another contact has it, `contact_id`: merge the two if they are one person"),
        too_many_identities=(409, "He has as many as there may be"),
        contact_merged=(409, "He went into another contact"),
    ),
)
async def add_identity(
    actor: ContactMaker,
    services: House,
    if_match: IfMatch,
    session: Transaction,
    contact_id: UUID,
    body: IdentityGiven,
) -> Response:
    """For supervisors: whoever writes from there is taken for him then. It is not verified by being typed."""
    row = await contacts.get_contact(session, actor, contact_id, version=if_match)
    now = clock.now()
    await contact_identities.add(services, session, row, channel=body.channel, handle=body.handle, by=actor, now=now)
    return await shown(session, actor, contact_id)


@router.delete(
    "/{contact_id}/identities/{identity_id}",
    summary="Take an identity away from a contact",
    response_model=ContactShown,
    responses=documented(
        Forbidden,
        NotFound,
        Stale,
        PreconditionRequired,
        last_identity=(409, "It is the only one he has"),
        identity_in_use=(409, "Conversations or a browser of his are known by it, on a channel that has nothing else"),
        contact_merged=(409, "He went into another contact"),
    ),
)
async def remove_identity(
    actor: ContactMaker,
    services: House,
    if_match: IfMatch,
    session: Transaction,
    contact_id: UUID,
    identity_id: UUID,
) -> Response:
    """For supervisors. His conversations stay his; what comes from there later is a new contact's."""
    row = await contacts.get_contact(session, actor, contact_id, version=if_match)
    await contact_identities.remove(services, session, row, identity_id, by=actor, now=clock.now())
    return await shown(session, actor, contact_id)
