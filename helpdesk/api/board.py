"""The desk at a glance, for supervisors."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import House, Overseer, Reading
from helpdesk.api.problems import documented
from helpdesk.api.queries import Query
from helpdesk.api.reports import ZONE
from helpdesk.api.schemas import board as shapes
from helpdesk.api.schemas.board import BoardShown
from helpdesk.errors import Forbidden
from helpdesk.services import board

router = APIRouter(prefix="/api/v1/board", tags=["reports"])
NOW: Final = Query(ZONE)


@router.get(
    "",
    summary="See the desk at a glance",
    response_model=BoardShown,
    responses=documented(Forbidden),
    openapi_extra=NOW.openapi,
)
async def read_board(request: Request, _actor: Overseer, services: House, session: Reading) -> Response:
    """What waits with which team, who is there with how much in hand, how promises are kept today, and open alerts.

    For supervisors and administrators, who see all of it. Ask for it every ten seconds or so, not with every event.
    """
    zone, now = NOW.read(request).get("zone") or ZoneInfo("UTC"), clock.now()
    return answer(shapes.board(await board.look(services, session, zone=zone, now=now), now))
