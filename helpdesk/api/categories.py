"""Categories: what conversations can be about, and the words that suggest it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, IfMatch, Reader, Reading, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.schemas import categories as shapes
from helpdesk.api.schemas.categories import CategoryCreate, CategoryPatch, CategoryShown, RuleSwitch
from helpdesk.api.schemas.shared import Line, Page
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import categories

router = APIRouter(prefix="/api/v1/triage", tags=["triage"])
Key = Annotated[Line, Path(max_length=60)]


async def _shown(session: AsyncSession, key: str, *, status: int = 200) -> Response:
    row = await categories.get_category(session, key)
    location = f"/api/v1/triage/categories/{key}" if status == 201 else None
    return answer(shapes.category(row), status=status, version=row["version"], location=location)


@router.get(
    "/categories",
    summary="List categories",
    response_model=Page[CategoryShown],
    responses=documented(Forbidden),
)
async def list_categories(actor: Reader, session: Reading) -> Response:
    """Those that every house has, then this one's by their keys, archived ones included. All of them at once."""
    return page([*shapes.builtin(), *map(shapes.category, await categories.list_own(session))], None)


@router.post(
    "/categories",
    status_code=201,
    summary="Add a category",
    response_model=CategoryShown,
    responses=documented(
        Forbidden,
        key_taken=(409, "There is a category of this key, archived or not"),
        too_many=(409, "There are as many as there can be"),
    ),
)
async def add_category(actor: Admin, session: Transaction, body: CategoryCreate) -> Response:
    """From then on conversations can have it, and its words suggest it."""
    await categories.create(session, **shapes.given(body), by=actor, now=clock.now())
    return await _shown(session, body.key, status=201)


@router.get(
    "/categories/{category_key}",
    summary="Read a category of this house",
    response_model=CategoryShown,
    responses=documented(Forbidden, NotFound),
)
async def read_category(actor: Reader, session: Reading, category_key: Key) -> Response:
    """Those that every house has are in the list only: they cannot be changed."""
    return await _shown(session, category_key)


@router.patch(
    "/categories/{category_key}",
    summary="Change a category of this house",
    response_model=CategoryShown,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def change_category(
    actor: Admin, if_match: IfMatch, session: Transaction, category_key: Key, body: CategoryPatch
) -> Response:
    """What has been suggested stays as it is."""
    row = await categories.get_category(session, category_key, version=if_match)
    await categories.edit(session, row, shapes.given(body), by=actor, now=clock.now())
    return await _shown(session, category_key)


@router.patch(
    "/rules/{rule_name}",
    status_code=204,
    summary="Switch a rule of triage on or off",
    responses=documented(Forbidden, NotFound),
)
async def switch_triage_rule(actor: Admin, session: Transaction, rule_name: Key, body: RuleSwitch) -> Response:
    """One of those that every house has, by its name in `GET /triage/rules`."""
    await categories.switch(session, rule_name, enabled=body.enabled, by=actor, now=clock.now())
    return nothing()
