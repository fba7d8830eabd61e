"""The second step of a login: its codes are good once, its secret is sealed, and nobody gets round it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pyotp
import pytest
from sqlalchemy import RowMapping, select, update

from helpdesk.models.agents import agents, recovery_codes, sessions
from helpdesk.models.alerts import alert_recipients, alerts
from helpdesk.models.events import audit
from helpdesk.services import attempts, logins
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import BASE_URL, ON_ONE_DATABASE
from tests.factories import PASSWORD, Someone

LOGIN = "/api/v1/auth/login"
TOTP = "/api/v1/me/totp"
ORIGIN = {"Origin": BASE_URL}


def code_of(secret: str, *, steps: int = 0) -> str:
    return pyotp.TOTP(secret).generate_otp(int(time.time()) // 30 + steps)


async def sign_in(client: httpx.AsyncClient, anna: Someone, totp: str | None = None) -> httpx.Response:
    body = {"email": anna.email, "password": PASSWORD} | ({"totp": totp} if totp is not None else {})
    return await client.post(LOGIN, json=body)


async def with_two_steps(client: httpx.AsyncClient, services: Services, role: str = "agent") -> tuple[Any, ...]:
    """Someone signed in with a second step, its secret, and the recovery codes. The codes of now are still good."""
    anna = await factories.agent(services, role=role, password=True)
    assert (await sign_in(client, anna)).status_code == 200
    started = await client.post(TOTP, headers=ORIGIN, json={"password": PASSWORD})
    secret = started.json()["secret"]
    confirmed = await client.post(f"{TOTP}/confirm", headers=ORIGIN, json={"code": code_of(secret)})
    assert confirmed.status_code == 200
    await used_up_to(services, 0)
    return anna, secret, confirmed.json()["recovery_codes"]


async def used_up_to(services: Services, step: int) -> None:
    async with services.database.transaction() as session:
        await session.execute(update(agents).values(totp_step=step))


async def audited(services: Services) -> Sequence[str]:
    async with services.database.reading() as session:
        return (await session.execute(select(audit.c.action).order_by(audit.c.id))).scalars().all()


async def row_of(services: Services, anna: Someone) -> RowMapping:
    async with services.database.reading() as session:
        return (await session.execute(select(agents).where(agents.c.id == anna.id))).mappings().one()


def kind_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def test_a_second_step_counts_once_it_is_confirmed_and_is_kept_sealed(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services, password=True)
    await sign_in(client, anna)
    wrong = await client.post(TOTP, headers=ORIGIN, json={"password": "not this one"})
    assert kind_of(wrong) == (403, "login_failed")
    started = (await client.post(TOTP, headers=ORIGIN, json={"password": PASSWORD})).json()
    assert started["otpauth_uri"].startswith("otpauth://totp/Helpdesk:agent")
    assert started["secret"] in started["otpauth_uri"]
    assert started["secret"].encode() not in (await row_of(services, anna))["totp_secret"]
    assert (await sign_in(client, anna)).status_code == 200, "nothing is asked for yet"
    refused = await client.post(f"{TOTP}/confirm", headers=ORIGIN, json={"code": "000000x"})
    assert kind_of(refused) == (422, "invalid")
    done = await client.post(f"{TOTP}/confirm", headers=ORIGIN, json={"code": code_of(started["secret"])})
    codes = done.json()["recovery_codes"]
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"[a-z2-7]{4}(-[a-z2-7]{4}){3}", code) for code in codes)
    async with services.database.reading() as session:
        kept = (await session.execute(select(recovery_codes.c.digest))).scalars().all()
        assert await session.scalar(select(sessions.c.client)) == "Python"
    assert len(kept) == 10
    assert not set(kept) & {code.replace("-", "") for code in codes}
    assert (await client.get("/api/v1/me")).json()["totp"] is True
    again = await client.post(TOTP, headers=ORIGIN, json={"password": PASSWORD})
    assert kind_of(again) == (409, "totp_on")
    assert "agent.totp_on" in await audited(services)


@ON_ONE_DATABASE
async def test_confirming_ends_the_sessions_that_were_begun_without_it(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services, password=True)
    await sign_in(client, anna)
    elsewhere = {"Cookie": f"helpdesk={client.cookies['helpdesk']}"}
    await sign_in(client, anna)
    secret = (await client.post(TOTP, headers=ORIGIN, json={"password": PASSWORD})).json()["secret"]
    await client.post(f"{TOTP}/confirm", headers=ORIGIN, json={"code": code_of(secret)})
    assert (await client.get("/api/v1/me")).status_code == 200
    client.cookies.clear()
    assert (await client.get("/api/v1/me", headers=elsewhere)).status_code == 401


async def test_a_login_takes_a_code_and_says_so_only_when_the_password_is_right(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, secret, _ = await with_two_steps(client, services)
    assert kind_of(await sign_in(client, anna)) == (401, "totp_required")
    bad = await client.post(LOGIN, json={"email": anna.email, "password": "wrong one", "totp": code_of(secret)})
    assert kind_of(bad) == (401, "login_failed")
    assert kind_of(await sign_in(client, anna, "12345")) == (401, "totp_wrong")
    assert (await sign_in(client, anna, code_of(secret))).status_code == 200


async def test_a_code_is_good_once_and_none_before_it_is_good_again(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, secret, _ = await with_two_steps(client, services)
    current = code_of(secret)
    assert (await sign_in(client, anna, current)).status_code == 200
    assert kind_of(await sign_in(client, anna, current)) == (401, "totp_wrong")
    assert kind_of(await sign_in(client, anna, code_of(secret, steps=-1))) == (401, "totp_wrong")
    assert (await sign_in(client, anna, code_of(secret, steps=1))).status_code == 200


@pytest.mark.parametrize(("steps", "status"), [(-2, 401), (-1, 200), (1, 200), (3, 401)])
@ON_ONE_DATABASE
async def test_a_clock_may_be_off_by_one_step_and_no_more(
    client: httpx.AsyncClient, services: Services, steps: int, status: int
) -> None:
    now = int(time.time())
    anna, secret, _ = await with_two_steps(client, services)
    at = datetime.fromtimestamp(now, UTC)
    code = pyotp.TOTP(secret).generate_otp(now // 30 + steps)
    asked = logins.login(services, email=anna.email, password=PASSWORD, code=code, address="127.0.0.1", now=at)
    if status == 200:
        await asked
    else:
        with pytest.raises(logins.Unauthenticated):
            await asked


@ON_ONE_DATABASE
async def test_a_code_may_be_typed_as_wide_as_chinese_letters_and_nonsense_is_a_wrong_code(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, secret, _ = await with_two_steps(client, services)
    assert (await sign_in(client, anna, "密码是什么呢")).json()["type"].endswith(":totp_wrong")
    wide = code_of(secret).translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    assert (await sign_in(client, anna, wide)).status_code == 200


async def test_of_two_who_send_one_code_at_once_one_gets_in(client: httpx.AsyncClient, services: Services) -> None:
    anna, secret, codes = await with_two_steps(client, services)
    for code in (code_of(secret), codes[0]):
        answers = await asyncio.gather(*(sign_in(client, anna, code) for _ in range(2)))
        assert sorted(answer.status_code for answer in answers) == [200, 401]


async def test_a_recovery_code_stands_in_once_however_it_is_typed(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, secret, codes = await with_two_steps(client, services)
    typed = codes[0].upper().replace("-", " ")
    assert (await sign_in(client, anna, typed)).status_code == 200
    assert kind_of(await sign_in(client, anna, codes[0])) == (401, "totp_wrong")
    async with services.database.reading() as session:
        query = select(audit.c.data).where(audit.c.action == "agent.recovery_code_used")
        assert (await session.execute(query)).scalars().all() == [{"left": 9}]
    answer = await client.post(
        "/api/v1/me/recovery-codes", headers=ORIGIN, json={"password": PASSWORD, "totp": code_of(secret)}
    )
    assert len(set(answer.json()["recovery_codes"]) - set(codes)) == 10
    assert kind_of(await sign_in(client, anna, codes[1])) == (401, "totp_wrong"), "the old ones are gone"


@ON_ONE_DATABASE
async def test_codes_that_are_guessed_are_counted_like_passwords(client: httpx.AsyncClient, services: Services) -> None:
    anna, secret, _ = await with_two_steps(client, services)
    wrong = "000000" if code_of(secret) != "000000" else "111111"
    for _ in range(attempts.PER_ACCOUNT):
        assert (await sign_in(client, anna, wrong)).status_code == 401
    assert (await sign_in(client, anna, code_of(secret))).status_code == 429


async def test_it_is_taken_away_with_the_password_and_a_code(client: httpx.AsyncClient, services: Services) -> None:
    anna, secret, _ = await with_two_steps(client, services)
    version = {**ORIGIN, "If-Match": f'"{(await row_of(services, anna))["version"]}"'}

    async def ask(**body: str) -> httpx.Response:
        return await client.request("DELETE", TOTP, headers=version, json=body)

    assert kind_of(await ask(password=PASSWORD)) == (403, "totp_required")
    assert kind_of(await ask(password="wrong", totp=code_of(secret))) == (403, "login_failed")
    assert kind_of(await ask(password=PASSWORD, totp="1")) == (403, "totp_wrong")
    assert (await ask(password=PASSWORD, totp=code_of(secret))).status_code == 204
    row = await row_of(services, anna)
    assert (row["totp_secret"], row["totp_confirmed_at"]) == (None, None)
    async with services.database.reading() as session:
        assert (await session.execute(select(recovery_codes))).first() is None
    assert (await sign_in(client, anna)).status_code == 200
    assert "agent.totp_off" in await audited(services)


async def test_an_administrator_helps_whoever_lost_his_telephone_and_all_of_them_are_told(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, _, _ = await with_two_steps(client, services)
    boss, other = await factories.agent(services, role="admin"), await factories.agent(services, role="admin")
    shown = await client.get(f"/api/v1/agents/{anna.id}", headers=boss.headers)
    assert (shown.json()["totp"], shown.json()["joined"]) == (True, True)
    headers = {**boss.headers, "If-Match": shown.headers["etag"]}
    url = f"/api/v1/agents/{anna.id}/totp"
    assert (await client.delete(url, headers=headers)).status_code == 204
    assert (await client.get("/api/v1/me")).status_code == 401, "his sessions end"
    assert (await sign_in(client, anna)).status_code == 200
    async with services.database.reading() as session:
        raised = (await session.execute(select(alerts))).mappings().one()
        called = set((await session.execute(select(alert_recipients.c.agent_id))).scalars())
    assert (raised["kind"], raised["severity"], raised["data"]["change"]) == (
        "security_change",
        "warning",
        "two_steps",
    )
    assert raised["data"]["agent_id"] == str(boss.id)
    assert called == {boss.id, other.id}


@ON_ONE_DATABASE
async def test_a_token_manages_no_account(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services, role="admin", password=True)
    answer = await client.post(TOTP, headers=anna.headers, json={"password": PASSWORD})
    assert answer.status_code == 403
    assert (await row_of(services, anna))["totp_secret"] is None
