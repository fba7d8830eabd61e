"""What the doctor says of inboxes."""

from __future__ import annotations

from helpdesk.commands import diagnose
from helpdesk.config import Settings
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE


@ON_ONE_DATABASE
async def test_the_doctor_says_what_visitors_find(services: Services, settings: Settings) -> None:
    async def said() -> list[str]:
        return [line for line in (await diagnose.doctor(settings))[0] if "inbox Website" in line]

    await factories.inbox(services, channel="chat", name="Website")
    assert await said() == [
        "ok   inbox Website: works",
        "ok   inbox Website, origins: none: only apps and the demo page may use it",
        "ok   inbox Website, identity: not vouched",
        "warn inbox Website: what a visitor does not read in time stays there: no inbox carries letters",
    ]
    await factories.inbox(services)
    assert [line[:4] for line in await said()] == ["ok  "] * 3
