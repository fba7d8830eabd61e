"""The API keeps to its reference: no 5xx, and no answer that the document does not describe.

Every operation gets what its document invites and one thing that it forbids, as an administrator; an agent gets the
former where he works. `benchmarks/contract.py` tries far more of each, and sequences, for which there is no time here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from helpdesk.app import create_app
from helpdesk.db import Database
from helpdesk.services.house import Services
from tests import contract
from tests.conftest import ON_ONE_DATABASE


def _application(services: Services) -> FastAPI:
    """Schemathesis runs it in a loop of its own: the database is opened in that one, and closed in it."""
    database = Database(services.settings.database_url)

    @asynccontextmanager
    async def beside(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await database.close()

    return create_app(replace(services, database=database), beside=beside)


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("role", "asked", "enough"),
    [
        ("admin", {"phases": contract.QUICK}, 400),
        ("agent", {"phases": {"examples": {}}, "only": "^/api/v1/(conversations|messages|contacts|drafts)"}, 40),
    ],
)
async def test_no_answer_is_one_that_the_reference_does_not_describe(
    role: str, asked: dict[str, Any], enough: int, services: Services
) -> None:
    ground = await contract.seed(services)
    app, token = _application(services), getattr(ground, role)
    # Who may not ask at all is the access table's to say.
    found = await asyncio.to_thread(contract.tried, app, token, ground, without=["ignored_auth"], **asked)
    assert not found.findings, "\n".join(contract.told(found.findings))
    assert found.requests > enough
