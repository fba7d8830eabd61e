"""A house with quick settings, a real sink, and a real Redis where there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from helpdesk.services.house import Services
from tests.conftest import needed
from tests.house import House
from tests.peers import redis as redis_server
from tests.peers.redis import Redis
from tests.peers.smtp_sink import SmtpSink


@pytest.fixture
def quick(services: Services) -> Services:
    """The same services for a worker in a hurry."""
    quicker = {"tick_seconds": 0.05, "lease_seconds": 1.0, "uncertain_seconds": 0.0, "failing_after_seconds": 0.0}
    return replace(services, settings=services.settings.model_copy(update=quicker))


@pytest.fixture
async def house(quick: Services) -> AsyncIterator[House]:
    async with House(quick) as opened:
        yield opened


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as opened:
        yield opened


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    if redis_server.BINARY is None:
        needed("redis-server")
    with Redis() as server:
        yield server
