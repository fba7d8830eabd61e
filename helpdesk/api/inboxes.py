"""Inboxes and channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, House, IfMatch, Reader, Reading, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import settings as shapes
from helpdesk.api.schemas.settings import (
    ChannelShown,
    Checked,
    InboxCheck,
    InboxCreate,
    InboxName,
    InboxPatch,
    InboxShown,
    InboxTrial,
    Reprocess,
    Reprocessed,
)
from helpdesk.api.schemas.shared import Page
from helpdesk.channels import Channel, Check
from helpdesk.domain.values import Actor, InboxStatus
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale, Unverified
from helpdesk.services import inbox_connecting, inbox_settings, inboxes, intake, paging, security_alerts
from helpdesk.services.house import Services
from helpdesk.services.security_alerts import Change

router = APIRouter(prefix="/api/v1/inboxes", tags=["inboxes"])
channels = APIRouter(prefix="/api/v1/channels", tags=["inboxes"])
LIST = Query(*PAGING)
_TAKEN = (409, "Another inbox has this address")
_CANNOT = (409, "This channel cannot be checked")


async def _shown(
    services: Services, session: AsyncSession, actor: Actor, inbox_id: UUID, *, status: int = 200
) -> Response:
    row = await inboxes.get_inbox(session, actor, inbox_id)
    members = await inboxes.members_of(session, [inbox_id])
    secrets = list(inbox_settings.open_secrets(services, row)) if actor.sees_all else []
    location = f"/api/v1/inboxes/{inbox_id}" if status == 201 else None
    shown = shapes.inbox(row, secrets, members.get(inbox_id, ()), actor)
    return answer(shown, status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List inboxes",
    response_model=Page[InboxShown | InboxName],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_inboxes(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """Those that you may work in. Settings are shown to supervisors and administrators, secrets to nobody."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="inboxes")
    found = await inboxes.list_inboxes(session, actor, after=cursor.id if cursor else None, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    members = await inboxes.members_of(session, [row["id"] for row in rows])
    last = paging.write_cursor(services, sort="inboxes", value=None, row_id=rows[-1]["id"]) if more else None
    shown = [
        shapes.inbox(
            row,
            list(inbox_settings.open_secrets(services, row)) if actor.sees_all else [],
            members.get(row["id"], ()),
            actor,
        )
        for row in rows
    ]
    return page(shown, last)


@router.post(
    "",
    status_code=201,
    summary="Add an inbox",
    response_model=InboxShown,
    responses=documented(Forbidden, NotFound, address_taken=_TAKEN),
)
async def add_inbox(actor: Admin, services: House, session: Transaction, body: InboxCreate) -> Response:
    """Workers take it up within seconds, unless its `state` is `paused`. `POST /inboxes/{id}/check` tries it."""
    inbox_id = await inboxes.add(
        services,
        session,
        channel=body.channel,
        name=body.name,
        settings={**body.settings, **_common(body)},
        members=body.member_ids,
        state=InboxStatus(body.state),
        by=actor,
        now=clock.now(),
    )
    return await _shown(services, session, actor, inbox_id, status=201)


@router.post(
    "/check",
    summary="Try settings of an inbox",
    response_model=Checked,
    responses=documented(Forbidden, NotFound, cannot_check=_CANNOT),
)
async def try_inbox(actor: Admin, services: House, body: InboxTrial) -> Response:
    """As `POST /inboxes/{id}/check`, before anything is saved; nothing is kept, and no mail is sent.

    With `inbox_id`, what is not named is as that inbox has it. Its secrets go only where they went before: for
    another host they have to be given again.
    """
    saved = None
    if body.inbox_id is not None:
        async with services.database.reading() as session:
            saved = await inboxes.get_inbox(session, actor, body.inbox_id)
    return _checked(await inbox_connecting.try_settings(services, body.channel, body.settings, saved=saved))


def _checked(checks: Sequence[Check]) -> Response:
    return answer({"ok": all(one.ok for one in checks), "checks": [asdict(one) for one in checks]})


def _common(body: InboxCreate | InboxPatch) -> dict[str, Any]:
    given = body.given()
    return {name: given[name] for name in inbox_settings.COMMON if name in given}


@router.get(
    "/{inbox_id}",
    summary="Read an inbox",
    response_model=InboxShown | InboxName,
    responses=documented(Forbidden, NotFound),
)
async def read_inbox(actor: Reader, services: House, session: Reading, inbox_id: UUID) -> Response:
    """As in the list."""
    return await _shown(services, session, actor, inbox_id)


@router.patch(
    "/{inbox_id}",
    summary="Change an inbox",
    response_model=InboxShown,
    responses=documented(Forbidden, Unverified, NotFound, Stale, PreconditionRequired, address_taken=_TAKEN),
)
async def change_inbox(
    actor: Admin, services: House, if_match: IfMatch, session: Transaction, inbox_id: UUID, body: InboxPatch
) -> Response:
    """Settings that are not named stay. A URL with another host needs the saved secrets for it again.

    Another host, address or trusted forwarder, another site that may embed a chat or way to vouch for its visitors asks
    for the password again, and every administrator is told.
    """
    now = clock.now()
    row = await inboxes.get_inbox(session, actor, inbox_id, version=if_match)
    await inboxes.edit(
        services,
        session,
        row,
        name=body.name,
        state=InboxStatus(body.state) if body.state else None,
        settings={**(body.settings or {}), **_common(body)},
        members=body.member_ids,
        by=actor,
        now=now,
    )
    after = await inboxes.get_inbox(session, actor, inbox_id)
    if security_alerts.leads_elsewhere(row["config"], after["config"], body.settings or ()):
        await security_alerts.permit(services, session, Change.INBOX, subject_id=inbox_id, by=actor, now=now)
    return await _shown(services, session, actor, inbox_id)


@router.delete(
    "/{inbox_id}",
    status_code=204,
    summary="Remove an inbox",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def remove_inbox(actor: Admin, if_match: IfMatch, session: Transaction, inbox_id: UUID) -> Response:
    """It receives and sends no more, and its secrets are gone; its conversations stay."""
    row = await inboxes.get_inbox(session, actor, inbox_id, version=if_match)
    await inboxes.remove(session, row, by=actor, now=clock.now())
    return nothing()


@router.post(
    "/{inbox_id}/check",
    summary="Try an inbox",
    response_model=Checked,
    responses=documented(Forbidden, NotFound, cannot_check=_CANNOT),
)
async def check_inbox(actor: Admin, services: House, inbox_id: UUID, body: InboxCheck | None = None) -> Response:
    """Tries everything that the settings promise. What the other side said in its own words is not shown."""
    async with services.database.reading() as session:
        row = await inboxes.get_inbox(session, actor, inbox_id)
    return _checked(await inbox_connecting.check(services, row, send=bool(body and body.send)))


@router.post(
    "/{inbox_id}/reprocess",
    summary="Read failed messages again",
    response_model=Reprocessed,
    responses=documented(Forbidden, NotFound),
)
async def reprocess_inbox(
    actor: Admin, session: Transaction, inbox_id: UUID, body: Reprocess | None = None
) -> Response:
    """Messages that could not be read are tried again from their source; answers how many there are."""
    await inboxes.get_inbox(session, actor, inbox_id)
    message_id = body.message_id if body else None
    return answer({"count": await intake.reprocess(session, inbox_id, message_id=message_id, now=clock.now())})


@channels.get("", summary="List channels", response_model=Page[ChannelShown], responses=documented(Forbidden))
async def list_channels(actor: Reader, services: House) -> Response:
    """What an inbox can be of, the schema of its settings, and what it can do."""
    return page([_channel(channel) for channel in services.channels.values()], None)


def _channel(channel: Channel) -> dict[str, Any]:
    config = channel.load_config()
    capabilities = {
        name: value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in asdict(channel.capabilities).items()
    }
    return {
        "name": channel.name,
        "title": channel.title,
        "config_schema": config.model_json_schema(),
        "secrets": [name for name, field in config.model_fields.items() if field.annotation is SecretStr],
        "capabilities": capabilities,
    }
