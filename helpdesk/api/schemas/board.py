"""The desk as it stands, as it is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from helpdesk.api.schemas.shared import Reference, Shown
from helpdesk.services.board import Board


class BoardQueue(Shown):
    team: Reference | None = Field(description="null: what is of no team")
    open: int
    queued: int = Field(description="Of these, what nobody has")
    waiting: int = Field(description="Of these, whose contact waits for an answer")
    oldest_waiting_since: datetime | None


class BoardAgent(Shown):
    agent: Reference
    on_duty: bool
    last_seen_at: datetime | None = Field(description="When he last did something here: to the minute")
    open: int = Field(description="Open conversations that he has; not pending, not snoozed, not live")
    live_open: int = Field(description="Open conversations on live channels that he has")


class BoardPromises(Shown):
    met: int = Field(description="Of waits that began today, as in the report of promises")
    broken: int = Field(description="Of waits that began today")
    due_soon: int = Field(description="Conversations whose next due time is near")
    breached: int = Field(description="Conversations whose next due time has passed")


class BoardShown(Shown):
    at: datetime
    waiting: int = Field(description="Open conversations whose contact waits for an answer")
    oldest_waiting_since: datetime | None
    queues: list[BoardQueue] = Field(description="Of each team, by name, and at last of none")
    agents: list[BoardAgent] = Field(description="Who is on duty or has something in hand, by name")
    sla: BoardPromises
    alerts_open: int


def board(found: Board, at: datetime) -> dict[str, Any]:
    waits = [one.oldest_waiting_since for one in found.queues if one.oldest_waiting_since is not None]
    names = ("open", "queued", "waiting", "oldest_waiting_since")
    posts = ("on_duty", "last_seen_at", "open", "live_open")
    kept = ("met", "broken", "due_soon", "breached")
    return {
        "at": at,
        "waiting": sum(one.waiting for one in found.queues),
        "oldest_waiting_since": min(waits, default=None),
        "queues": [
            {"team": None if one.team is None else dict(one.team), **{name: getattr(one, name) for name in names}}
            for one in found.queues
        ],
        "agents": [
            {
                "agent": {"id": one.agent["id"], "name": one.agent["name"]},
                **{name: getattr(one, name) for name in posts},
            }
            for one in found.agents
        ],
        "sla": {name: getattr(found.promises, name) for name in kept},
        "alerts_open": found.alerts,
    }
