"""Work that takes longer than a request, with its progress."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, prose, table_of, words


class Job(Base, table=True):
    """`queued → running → done | failed`. `cursor` is how far it got: whoever takes it over goes on from there.

    `attempts` is how often the batch that is next was begun.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_due", "created_at", **only_where("state IN ('queued', 'running')")),)

    id: UUID = key()
    kind: str = words()
    state: str = words("queued")
    arguments: dict[str, Any] = json(dict)
    cursor: dict[str, Any] = json(dict)
    total: int = 0
    done: int = 0
    changed: int = 0
    attempts: int = 0
    error: str = prose()
    created_by: UUID | None = Field(default=None)
    created_at: datetime = at()
    updated_at: datetime = at()
    finished_at: datetime | None = at(nullable=True)
    claimed_by: str = words()
    claimed_until: float = 0.0
    claim: int = 0


class JobResult(Base, table=True):
    """What became of one thing that a job was to do. `error` is empty where it was done, else a problem's name."""

    __tablename__ = "job_results"

    job_id: UUID = Field(foreign_key="jobs.id", primary_key=True, ondelete="CASCADE")
    position: int = Field(primary_key=True)
    subject_id: UUID = Field()
    changed: bool = False
    error: str = prose()
    detail: str = prose()


jobs = table_of(Job)
job_results = table_of(JobResult)
