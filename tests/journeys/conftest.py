"""Real servers for whole stories. What is missing skips with a reason, or fails with HELPDESK_REQUIRE_SERVICES=1."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.conftest import needed
from tests.journeys.mailbox import DovecotMailbox
from tests.journeys.sink import Sink
from tests.peers import dovecot as dovecot_server
from tests.peers import redis as redis_server
from tests.peers.dovecot import Dovecot
from tests.peers.postgres import Postgres
from tests.peers.redis import Redis

_USERS = 60


def required() -> bool:
    """Whether every server has to be here."""
    return os.environ.get("HELPDESK_REQUIRE_SERVICES") == "1"


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """One server for all journeys; each inbox takes a user of its own."""
    if dovecot_server.BINARY is None:
        needed("Dovecot")
    with Dovecot({f"desk{number}": "secret" for number in range(_USERS)}) as server:
        yield server


@pytest.fixture(scope="session")
def mailbox(dovecot: Dovecot) -> Callable[[], DovecotMailbox]:
    """A mailbox that nobody has used."""
    numbers = count()
    return lambda: DovecotMailbox(dovecot, f"desk{next(numbers)}")


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    if redis_server.BINARY is None:
        needed("redis-server")
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def new_database(postgres: Postgres) -> Iterator[Callable[[], str]]:
    """Makes empty databases on the session's PostgreSQL."""
    made: list[str] = []

    def create() -> str:
        made.append(f"journey_{os.getpid()}_{len(made)}")
        return postgres.create(made[-1])

    yield create
    for name in made:
        postgres.drop(name)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as opened:
        yield opened
