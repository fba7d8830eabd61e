"""A house with the made-up wall among its channels, for what does not depend on any vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from helpdesk.services.house import Services
from tests import factories
from tests.house import Desk, House
from tests.social.vendor import with_wall


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(with_wall(services)) as opened:
        yield opened


@pytest.fixture
async def desk(house: House) -> Desk:
    """Our account on the wall."""
    return Desk(await factories.inbox(house.services, channel="wall", name="us"), "us")
