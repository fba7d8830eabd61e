"""Webhooks, for administrators: whoever may change one decides who is told everything."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, House, IfMatch, Reading, Recently, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, choice, page_of, word
from helpdesk.api.schemas import webhooks as shapes
from helpdesk.api.schemas.jobs import JobStarted
from helpdesk.api.schemas.shared import Page
from helpdesk.api.schemas.webhooks import (
    WebhookCreate,
    WebhookDeliveryShown,
    WebhookMade,
    WebhookPatch,
    WebhookReplay,
    WebhookRotate,
    WebhookShown,
)
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale, Unverified
from helpdesk.services import paging, security_alerts, webhook_deliveries, webhook_replay, webhooks
from helpdesk.services.security_alerts import Change

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])


class State(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


LIST = Query(*PAGING)
DELIVERIES = Query(
    *PAGING, choice("status", State, "Only those in this state"), word("type", "Only those of this type")
)
_OFF = (409, "The webhook is off")


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


async def _made(session: AsyncSession, webhook_id: UUID, secret: str, *, status: int) -> Response:
    row = await webhooks.get_webhook(session, webhook_id)
    location = f"/api/v1/webhooks/{webhook_id}" if status == 201 else None
    return answer({**shapes.webhook(row), "secret": secret}, status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List webhooks",
    response_model=Page[WebhookShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_webhooks(request: Request, actor: Admin, services: House, session: Reading) -> Response:
    """Without their secrets."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="webhooks")
    found = await webhooks.list_webhooks(session, after=cursor.id if cursor else None, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort="webhooks", value=None, row_id=rows[-1]["id"]) if more else None
    return page([shapes.webhook(row) for row in rows], last)


@router.post(
    "",
    status_code=201,
    summary="Add a webhook",
    response_model=WebhookMade,
    responses=documented(Forbidden, Unverified, too_many=(409, "There are as many as there may be")),
)
async def add_webhook(actor: Recently, services: House, session: Transaction, body: WebhookCreate) -> Response:
    """The answer holds the secret, this once. `POST /webhooks/{id}/test` tries it. Every administrator is told."""
    now = clock.now()
    webhook_id, secret = await webhooks.create(
        services,
        session,
        name=body.name,
        url=body.url,
        asks_for=body.events,
        inbox_ids=body.inbox_ids,
        secret=_plain(body.secret),
        enabled=body.enabled,
        by=actor,
        now=now,
    )
    await security_alerts.permit(services, session, Change.WEBHOOK, subject_id=webhook_id, by=actor, now=now)
    return await _made(session, webhook_id, secret, status=201)


@router.get(
    "/{webhook_id}", summary="Read a webhook", response_model=WebhookShown, responses=documented(Forbidden, NotFound)
)
async def read_webhook(actor: Admin, session: Reading, webhook_id: UUID) -> Response:
    """Without its secret."""
    row = await webhooks.get_webhook(session, webhook_id)
    return answer(shapes.webhook(row), version=row["version"])


@router.patch(
    "/{webhook_id}",
    summary="Change a webhook",
    response_model=WebhookShown,
    responses=documented(Forbidden, Unverified, NotFound, Stale, PreconditionRequired),
)
async def change_webhook(
    actor: Admin, services: House, if_match: IfMatch, session: Transaction, webhook_id: UUID, body: WebhookPatch
) -> Response:
    """A changed URL is kept in the audit with both hosts, and what waits to be sent goes there.

    It asks for the password again, and every administrator is told.
    """
    now = clock.now()
    row = await webhooks.get_webhook(session, webhook_id, version=if_match)
    await webhooks.edit(
        services,
        session,
        row,
        name=body.name,
        url=body.url,
        asks_for=body.events,
        inbox_ids=body.inbox_ids,
        enabled=body.enabled,
        by=actor,
        now=now,
    )
    before, row = row, await webhooks.get_webhook(session, webhook_id)
    if row["url"] != before["url"]:
        await security_alerts.permit(services, session, Change.WEBHOOK, subject_id=webhook_id, by=actor, now=now)
    return answer(shapes.webhook(row), version=row["version"])


@router.delete(
    "/{webhook_id}",
    status_code=204,
    summary="Remove a webhook",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired, in_use=(409, "An escalation rule names it")),
)
async def remove_webhook(actor: Admin, if_match: IfMatch, session: Transaction, webhook_id: UUID) -> Response:
    """With what waits to be sent to it."""
    row = await webhooks.get_webhook(session, webhook_id, version=if_match)
    await webhooks.remove(session, row, by=actor, now=clock.now())
    return nothing()


@router.post(
    "/{webhook_id}/rotate",
    summary="Change a webhook's secret",
    response_model=WebhookMade,
    responses=documented(Forbidden, NotFound),
)
async def rotate_webhook(
    actor: Admin, services: House, session: Transaction, webhook_id: UUID, body: WebhookRotate | None = None
) -> Response:
    """The answer holds the new secret, this once. Until the overlap ends, messages carry a signature by each."""
    given = body or WebhookRotate()
    row = await webhooks.get_webhook(session, webhook_id)
    secret = await webhooks.rotate(
        services,
        session,
        row,
        secret=_plain(given.secret),
        overlap=timedelta(hours=given.overlap_hours),
        by=actor,
        now=clock.now(),
    )
    return await _made(session, webhook_id, secret, status=200)


@router.post(
    "/{webhook_id}/test",
    status_code=202,
    summary="Try a webhook",
    response_model=WebhookDeliveryShown,
    responses=documented(Forbidden, NotFound, webhook_disabled=_OFF),
)
async def test_webhook(actor: Admin, session: Transaction, webhook_id: UUID) -> Response:
    """Sends a message of type `webhook.test`, once. What became of it is among the deliveries, seconds later."""
    row = await webhooks.get_webhook(session, webhook_id)
    delivery_id = await webhook_deliveries.queue_test(session, row, now=clock.now())
    queued = await webhook_deliveries.get_delivery(session, webhook_id, delivery_id)
    return answer(shapes.delivery(queued), status=202)


@router.post(
    "/{webhook_id}/replay",
    status_code=202,
    summary="Tell a webhook again what happened",
    response_model=JobStarted,
    responses=documented(
        Forbidden, NotFound, webhook_disabled=_OFF, events_gone=(409, "What happened so long ago is not kept")
    ),
)
async def replay_events(actor: Admin, session: Transaction, webhook_id: UUID, body: WebhookReplay) -> Response:
    """Whatever it was told or not: every event that it asks for, in order, with the `webhook-id` of the first time.

    It may reach back to before the webhook was made. Done in a job: `GET /jobs/{job_id}` tells how far it got.
    """
    row = await webhooks.get_webhook(session, webhook_id)
    job_id = await webhook_replay.start(
        session, row, since=body.since, until=body.until, types=body.types, by=actor, now=clock.now()
    )
    return answer({"job_id": job_id}, status=202, location=f"/api/v1/jobs/{job_id}")


@router.get(
    "/{webhook_id}/deliveries",
    summary="List what a webhook was told",
    response_model=Page[WebhookDeliveryShown],
    responses=documented(Forbidden, NotFound),
    openapi_extra=DELIVERIES.openapi,
)
async def list_webhook_deliveries(
    request: Request, actor: Admin, services: House, session: Reading, webhook_id: UUID
) -> Response:
    """The newest first. What the receiver said in its own words is not kept."""
    values = DELIVERIES.read(request)
    asked, narrow = page_of(values), {"status": values.get("status"), "type": values.get("type")}
    sort = f"webhook_deliveries {webhook_id} {narrow['status']} {narrow['type']}"
    cursor = paging.read_cursor(services, asked, sort=sort)
    await webhooks.get_webhook(session, webhook_id)
    before = (datetime.fromisoformat(cursor.value), cursor.id) if cursor and cursor.id else None
    found = await webhook_deliveries.list_deliveries(
        session, webhook_id, **narrow, before=before, limit=asked.limit + 1
    )
    rows, more = paging.cut(found, asked.limit)
    last = None
    if more:
        made = rows[-1]["created_at"].isoformat()
        last = paging.write_cursor(services, sort=sort, value=made, row_id=rows[-1]["id"])
    return page([shapes.delivery(row) for row in rows], last)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay",
    status_code=202,
    summary="Send a failed message again",
    response_model=WebhookDeliveryShown,
    responses=documented(Forbidden, NotFound, webhook_disabled=_OFF, not_failed=(409, "It has not failed")),
)
async def replay_webhook_delivery(actor: Admin, session: Transaction, webhook_id: UUID, delivery_id: UUID) -> Response:
    """The same message under the same `webhook-id`, for three more days."""
    row = await webhooks.get_webhook(session, webhook_id)
    delivery = await webhook_deliveries.get_delivery(session, webhook_id, delivery_id)
    await webhook_deliveries.replay(session, row, delivery, now=clock.now())
    queued = await webhook_deliveries.get_delivery(session, webhook_id, delivery_id)
    return answer(shapes.delivery(queued), status=202)
