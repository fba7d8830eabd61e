"""How passwords are kept: by the parameters of today, also those that were set before these."""

from __future__ import annotations

import httpx
from argon2 import PasswordHasher
from sqlalchemy import select

from helpdesk.models.agents import agents
from helpdesk.services import passwords
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE


def test_passwords_are_hashed_as_rfc_9106_recommends(cheap_passwords: PasswordHasher) -> None:
    assert cheap_passwords.hash(factories.PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@ON_ONE_DATABASE
async def test_a_password_that_was_hashed_by_other_parameters_is_hashed_anew_at_the_next_login(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services, password=True)
    kept = select(agents.c.password_hash).where(agents.c.id == anna.id)
    hashes = []
    for _ in range(2):
        body = {"email": anna.email, "password": factories.PASSWORD}
        assert (await client.post("/api/v1/auth/login", json=body)).status_code == 200
        async with services.database.reading() as session:
            hashes.append(await session.scalar(kept))
    assert hashes[0] == hashes[1]
    assert not passwords.is_outdated(hashes[0])
    assert await passwords.verify(hashes[0], factories.PASSWORD)
