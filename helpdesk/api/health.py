"""Is the process alive, can it serve, and how much is there: outside `/api`, without a login, without a name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import anyio
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from helpdesk import clock, migrate
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import House
from helpdesk.api.problems import documented
from helpdesk.api.schemas.health import Well
from helpdesk.errors import Unavailable
from helpdesk.services import state
from helpdesk.services.house import Services
from helpdesk.services.state import Counts

router = APIRouter(tags=["health"])

_FRESH_SECONDS: Final = 10.0


@router.get("/health/live", summary="Tell whether the process runs", response_model=Well)
async def check_live() -> Response:
    """Looks at nothing else: a database that is away is no reason to restart this process."""
    return answer({"status": "ok"})


@router.get(
    "/health/ready",
    summary="Tell whether requests can be served",
    response_model=Well,
    responses=documented(Unavailable, migrate.WrongSchema),
)
async def check_ready(services: House) -> Response:
    """The database is reachable and its schema is this version's."""
    await migrate.check(services.database)
    return answer({"status": "ok"})


class Metrics(Collector):
    """Counts, read at most every ten seconds however often they are asked for.

    `listeners` are this process's own, as are `visitors`: how many people, and by how many connections.
    """

    def __init__(self, listeners: Callable[[], int], visitors: Callable[[], tuple[int, int]]) -> None:
        self._listeners, self._visitors = listeners, visitors
        self._registry = CollectorRegistry()
        self._counts: Counts | None = None
        self._read_at = 0.0
        self._lock = anyio.Lock()
        self._registry.register(self)

    async def text(self, services: Services) -> bytes:
        async with self._lock:
            if self._counts is None or time.monotonic() - self._read_at > _FRESH_SECONDS:
                async with services.database.reading() as session:
                    before = self._counts.breaches if self._counts else None
                    self._counts = await state.count(session, now=clock.now(), before=before)
                self._read_at = time.monotonic()
        return generate_latest(self._registry)

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        found = self._counts
        if found is None:
            return
        yield _labelled("helpdesk_conversations", "Conversations that are not over", "status", found.conversations)
        yield _labelled("helpdesk_deliveries", "Deliveries that are not settled", "status", found.deliveries)
        yield _labelled("helpdesk_raw_items", "What came in and is not filed yet", "state", found.raw_items)
        yield _labelled("helpdesk_inboxes", "Inboxes by state; failing ones are counted apart", "state", found.inboxes)
        yield GaugeMetricFamily("helpdesk_conversations_waiting", "Unanswered conversations", found.waiting)
        yield GaugeMetricFamily("helpdesk_oldest_waiting_seconds", "Since the oldest of them", found.waited)
        yield GaugeMetricFamily("helpdesk_conversations_breached", "Overdue answers", found.breached)
        yield CounterMetricFamily("helpdesk_sla_breaches", "Promises that were broken", found.breaches.many)
        yield GaugeMetricFamily("helpdesk_alerts_open", "Alerts that nobody has acknowledged", found.alerts)
        yield GaugeMetricFamily("helpdesk_clocks_unswept", "Clocks that nobody has looked at in time", found.unswept)
        yield GaugeMetricFamily("helpdesk_events_unrelayed", "Events that nobody was told of yet", found.unrelayed)
        yield GaugeMetricFamily("helpdesk_work_given_up", "Work that waits for a person", found.given_up)
        yield _labelled("helpdesk_events_behind", "Events that somebody has not come to", "follower", found.behind)
        yield GaugeMetricFamily("helpdesk_stream_clients", "Who listens to this process", self._listeners())
        people, connections = self._visitors()
        yield GaugeMetricFamily("helpdesk_visitors", "Visitors who read along by this process", people)
        yield GaugeMetricFamily("helpdesk_visitor_connections", "By how many connections", connections)
        yield _labelled("helpdesk_ratings", "Ratings of the last seven days", "score", found.ratings)
        yield GaugeMetricFamily("helpdesk_ratings_unasked", "Contacts who are to be asked for one", found.unasked)


def _labelled(name: str, text: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in sorted(values.items()):
        family.add_metric([value], count)
    return family


@router.get(
    "/metrics",
    summary="Count in the Prometheus format",
    response_class=Response,
    responses={200: {"description": "Gauges", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def read_metrics(request: Request, services: House) -> Response:
    """Counts by state, at most ten seconds old."""
    found: Metrics = request.app.state.metrics
    return Response(await found.text(services), headers={"Content-Type": CONTENT_TYPE_LATEST})
