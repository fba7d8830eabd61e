"""What is made at the terminal before anybody has a page to make it in."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from helpdesk.commands import setup
from helpdesk.config import Settings
from helpdesk.domain.first_names import NAMES
from helpdesk.errors import Invalid
from helpdesk.models.agents import agents
from helpdesk.models.sla import sla_policies
from helpdesk.services.house import Services
from tests.conftest import ON_ONE_DATABASE


@ON_ONE_DATABASE
async def test_the_first_agents_language_is_the_houses_and_that_of_the_next_is_his_own(
    services: Services, settings: Settings
) -> None:
    for number, locale in enumerate(("zh-CN", "zh-TW")):
        email = f"{number}@desk.test"
        await setup.create_agent(settings, email=email, name="X", role="admin", locale=locale, password=None)
    async with services.database.reading() as session:
        spoken = (await session.execute(select(agents.c.locale).order_by(agents.c.email))).scalars().all()
        names = (await session.execute(select(sla_policies.c.name))).scalars().all()
    assert spoken == ["zh-CN", "zh-TW"]
    assert set(names) < set(NAMES["zh-CN"].values())
    with pytest.raises(Invalid, match="locale"):
        await setup.create_agent(settings, email="x@desk.test", name="X", role="agent", locale="xx", password=None)
