"""One request for many conversations."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from helpdesk import clock
from helpdesk.api import queries
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import Reader, Reading, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.queries import Query
from helpdesk.api.schemas.actions import stored
from helpdesk.api.schemas.bulk import BulkFound, BulkGiven
from helpdesk.api.schemas.jobs import JobStarted
from helpdesk.errors import Forbidden, Invalid
from helpdesk.services import bulk

router = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])


COUNT = Query(queries.structure("filter", "A tree of conditions, as views have it"))


@router.get(
    "/bulk",
    summary="Count what a filter would change",
    response_model=BulkFound,
    responses=documented(Forbidden),
    openapi_extra=COUNT.openapi,
)
async def count_many(request: Request, actor: Reader, session: Reading) -> Response:
    """To be shown before many are changed: how many it finds now. What comes in until then is found as well."""
    tree = COUNT.read(request).get("filter", {})
    count = await bulk.count(session, tree, by=actor, now=clock.now())
    return answer({"count": count, "most": bulk.MOST_FOUND})


@router.post(
    "/bulk",
    status_code=202,
    summary="Change many conversations",
    response_model=JobStarted,
    responses=documented(Forbidden),
)
async def change_many(actor: Writer, session: Transaction, body: BulkGiven) -> Response:
    """Give `ids` or a `filter`, and `set`, `actions` or `spam`. What the filter finds now is what is changed.

    It is done in a job, in your name and with the rights that you have by then: `GET /jobs/{job_id}` tells how far it
    got, `/jobs/{job_id}/results` what became of each. Versions are not compared: the last one to change something wins.
    """
    if (body.ids is None) == (body.filter is None):
        raise Invalid.field("ids", "give ids or a filter, one of the two")
    if [body.set, body.actions, body.spam].count(None) != 2:
        raise Invalid.field("set", "give set, actions or spam, one of the three")
    job_id = await bulk.start(
        session,
        ids=body.ids,
        filter=body.filter,
        wanted=None if body.set is None else body.set.model_dump(mode="json", exclude_unset=True),
        given=None if body.actions is None else stored(body.actions),
        spam=body.spam,
        by=actor,
        now=clock.now(),
    )
    return answer({"job_id": job_id}, status=202, location=f"/api/v1/jobs/{job_id}")
