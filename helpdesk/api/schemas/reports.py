"""Reports, as they are shown: times and zone they are about, and a line for each group."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import Field

from helpdesk.api.schemas.shared import Shown

_Line = TypeVar("_Line")


class Line(Shown):
    group: str | int | None = Field(description="An id, a word, a day; null for what has none, or without groups")
    name: str | None = Field(description="Of an inbox, a team or an agent")


class VolumeLine(Line):
    created: int = Field(description="Conversations that began")
    resolved: int = Field(description="Times that one was resolved or closed")
    reopened: int = Field(description="Times that one came back from there")
    received: int = Field(description="Messages of contacts")
    sent: int = Field(description="Messages to contacts; a long one in several parts is one")


class ResponseLine(Line):
    kind: str = Field(description="`first_response` or `next_response`")
    count: int = Field(description="Answers")
    mean: int | None = Field(description="Seconds, as all of these")
    median: int | None
    p90: int | None = Field(description="Nine of ten waited no longer")
    business_mean: int | None = Field(description="Seconds in which the inbox was open, as all of these")
    business_median: int | None
    business_p90: int | None


class SlaLine(Line):
    kind: str = Field(description="`first_response`, `next_response` or `resolution`")
    policy_id: UUID
    policy: str | None = Field(description="Its name today")
    met: int = Field(description="Kept in time")
    broken: int = Field(description="Kept too late")
    open_broken: int = Field(description="Late, and not kept yet")
    open: int = Field(description="Neither yet")
    compliance: float | None = Field(description="`met` of the first three; null where there are none")


class RatingLine(Line):
    sent: int = Field(description="Questions that arrived")
    rated: int = Field(description="Those that were answered")
    response_rate: float | None = Field(description="`rated` of `sent`; null where there are none")
    mean: float | None = Field(description="Of the scores, from 1 to 5")
    satisfied: float | None = Field(description="The share of scores of 4 and 5")
    score_1: int
    score_2: int
    score_3: int
    score_4: int
    score_5: int


class ChatLine(Line):
    chats: int = Field(description="Those that began")
    joined: int = Field(description="Those that somebody took, or answered")
    answered: int = Field(description="Of these, those in which he wrote")
    missed: int = Field(description="Those for which nobody came, while the contact was there and the desk open")
    abandoned: int = Field(description="Those whose contact went before somebody came: most of these were missed")
    waiting: int = Field(description="Those that wait now")
    wait_median: int | None = Field(description="Seconds until somebody came, as all of these are seconds")
    wait_p90: int | None = Field(description="Nine of ten waited no longer")
    first_response_median: int | None = Field(description="From the beginning until somebody wrote")
    first_response_p90: int | None
    duration_median: int | None = Field(description="Of those that were answered, until they were resolved")
    duration_p90: int | None


class BacklogLine(Line):
    open: int
    pending: int
    snoozed: int
    under_1_day: int = Field(description="Began less than a day ago")
    under_3_days: int = Field(description="Less than three, and not less than one; and so on")
    under_7_days: int
    under_30_days: int
    older: int
    waiting: int = Field(description="Those in which the contact waits for an answer")
    oldest: int | None = Field(description="Seconds since the oldest one began")
    oldest_waiting: int | None = Field(description="Seconds for which the one who waits longest has waited")


class Backlog(Shown, Generic[_Line]):
    at: datetime
    group_by: str | None
    rows: list[_Line]


class Report(Shown, Generic[_Line]):
    after: datetime
    before: datetime
    zone: str
    group_by: str | None
    rows: list[_Line]
