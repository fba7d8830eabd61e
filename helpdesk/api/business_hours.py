"""Calendars, for administrators to change and for everybody to read."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, House, IfMatch, Reader, Reading, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import hours as shapes
from helpdesk.api.schemas.hours import (
    HolidaysAdded,
    HolidaysGiven,
    HoursCreate,
    HoursName,
    HoursPatch,
    HoursShown,
    LibraryHolidays,
    VersionName,
    VersionShown,
)
from helpdesk.api.schemas.jobs import JobShown, job
from helpdesk.api.schemas.shared import Page
from helpdesk.errors import Conflict, Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import business_hours, holiday_sources, jobs, paging, replanning
from helpdesk.services.holiday_imports import import_holidays

router = APIRouter(prefix="/api/v1/business-hours", tags=["business hours"])
LIST = Query(*PAGING)
Number = Annotated[int, Path(ge=1, le=1_000_000_000)]


async def _shown(session: AsyncSession, hours_id: UUID, *, status: int = 200) -> Response:
    row = await business_hours.get_hours(session, hours_id)
    location = f"/api/v1/business-hours/{hours_id}" if status == 201 else None
    return answer(shapes.hours(row), status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List calendars",
    response_model=Page[HoursName],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_hours(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """Without their dates."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="business_hours")
    found = await business_hours.list_hours(session, after=cursor.id if cursor else None, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort="business_hours", value=None, row_id=rows[-1]["id"]) if more else None
    return page([shapes.hours_name(row) for row in rows], last)


@router.post(
    "",
    status_code=201,
    summary="Add a calendar",
    response_model=HoursShown,
    responses=documented(Forbidden, Conflict, too_many=(409, "There are too many calendars already")),
)
async def add_hours(actor: Admin, session: Transaction, body: HoursCreate) -> Response:
    """One that never opens is refused."""
    hours_id = await business_hours.create(
        session,
        name=body.name,
        content=body.model_dump(mode="json", exclude={"name", "is_default"}),
        default=body.is_default,
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, hours_id, status=201)


@router.get(
    "/{hours_id}", summary="Read a calendar", response_model=HoursShown, responses=documented(Forbidden, NotFound)
)
async def read_hours(actor: Reader, session: Reading, hours_id: UUID) -> Response:
    """With all of its dates."""
    return await _shown(session, hours_id)


@router.patch(
    "/{hours_id}",
    summary="Change a calendar",
    response_model=HoursShown,
    responses=documented(Forbidden, NotFound, Conflict, Stale, PreconditionRequired),
)
async def change_hours(
    actor: Admin, if_match: IfMatch, session: Transaction, hours_id: UUID, body: HoursPatch
) -> Response:
    """Makes a new version. Clocks that run already stay with theirs."""
    row = await business_hours.get_hours(session, hours_id, version=if_match)
    await business_hours.edit(
        session,
        row,
        name=body.name,
        changes=body.changes(),
        default=bool(body.is_default),
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, hours_id)


@router.delete(
    "/{hours_id}",
    status_code=204,
    summary="Remove a calendar",
    responses=documented(
        Forbidden,
        NotFound,
        Stale,
        PreconditionRequired,
        in_use=(409, "It is the default, or an inbox or an enabled policy names it"),
    ),
)
async def remove_hours(actor: Admin, if_match: IfMatch, session: Transaction, hours_id: UUID) -> Response:
    """Its versions stay readable, for the clocks that ran by them."""
    row = await business_hours.get_hours(session, hours_id, version=if_match)
    await business_hours.remove(session, row, by=actor, now=clock.now())
    return nothing()


@router.get(
    "/{hours_id}/versions",
    summary="List a calendar's versions",
    response_model=Page[VersionName],
    responses=documented(Forbidden, NotFound),
    openapi_extra=LIST.openapi,
)
async def list_hours_versions(
    request: Request, actor: Reader, services: House, session: Reading, hours_id: UUID
) -> Response:
    """The newest first, without their dates."""
    asked, sort = page_of(LIST.read(request)), f"hours_versions:{hours_id}"
    cursor = paging.read_cursor(services, asked, sort=sort)
    before = cursor.value if cursor else None
    found = await business_hours.list_versions(session, hours_id, before=before, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort=sort, value=rows[-1]["version"]) if more else None
    return page([shapes.version_name(row) for row in rows], last)


@router.get(
    "/{hours_id}/versions/{hours_version}",
    summary="Read a version of a calendar",
    response_model=VersionShown,
    responses=documented(Forbidden, NotFound),
)
async def read_hours_version(actor: Reader, session: Reading, hours_id: UUID, hours_version: Number) -> Response:
    """What a clock that names this version runs by."""
    return answer(shapes.version(await business_hours.get_version(session, hours_id, hours_version)))


@router.post(
    "/{hours_id}/holidays",
    summary="Import holidays",
    response_model=HolidaysAdded,
    responses=documented(Forbidden, NotFound),
)
async def add_holidays(actor: Admin, services: House, hours_id: UUID, body: HolidaysGiven) -> Response:
    """From a library or an iCalendar file. Look at it with `dry_run` first; dates that are there stay as they are."""
    if isinstance(body, LibraryHolidays):
        source = partial(holiday_sources.from_library, body.country, body.years, subdivision=body.subdivision)
    else:
        source = partial(
            holiday_sources.from_icalendar,
            body.text,
            kind=body.kind,
            years=body.years,
            containing=body.containing,
            lacking=body.lacking,
        )
    row, added = await import_holidays(services, hours_id, source, dry_run=body.dry_run, by=actor, now=clock.now())
    return answer(shapes.added(added, dry_run=body.dry_run), version=row["version"])


@router.post(
    "/{hours_id}/replan",
    status_code=202,
    summary="Let running clocks follow a calendar",
    response_model=JobShown,
    responses=documented(Forbidden, NotFound),
)
async def replan_hours(actor: Admin, session: Transaction, hours_id: UUID) -> Response:
    """They take the calendar's present version, each from its own start. Answers the job; `GET /jobs/{id}` tells how
    far it is. What was broken stays broken."""
    row = await business_hours.get_hours(session, hours_id)
    job_id = await replanning.start(
        session, column="business_hours_id", subject_id=hours_id, version=row["version"], by=actor, now=clock.now()
    )
    return answer(job(await jobs.get_job(session, actor, job_id)), status=202, location=f"/api/v1/jobs/{job_id}")
