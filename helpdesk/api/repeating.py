"""Requests under an Idempotency-Key: run once, answered as often as they come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import orjson
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.api.answers import to_json
from helpdesk.domain.values import Actor
from helpdesk.services import idempotency
from helpdesk.services.idempotency import Answer, Request


async def once(
    session: AsyncSession,
    request: Request,
    run: Callable[[], Awaitable[tuple[int, dict[str, Any]]]],
    *,
    again: Callable[[], Awaitable[object]] | None = None,
    now: datetime,
) -> Answer:
    """`run` answers status and body.

    `again` is asked before what was kept is answered once more: it raises where the actor may not see it by now.
    """
    found = await idempotency.find_answer(session, request, now=now)
    if found is not None:
        if again is not None:
            await again()
        return found
    status, shown = await run()
    answer = answer_of(status, shown)
    await idempotency.keep(session, request, answer, now=now)
    return answer


def request_of(actor: Actor, route: str, key: str | None, body: BaseModel) -> Request:
    """Bodies count as the same when they mean the same, whatever their spelling.

    Raises `Invalid` (400) without a usable key.
    """
    meaning = orjson.dumps(body.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return Request.of(actor, route, key, meaning)


def answer_of(status: int, shown: dict[str, Any]) -> Answer:
    """As it is kept, and answered every time."""
    return Answer(status, orjson.loads(to_json(shown)))
