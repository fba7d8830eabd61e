"""What is said in public names nobody, whoever says it; what is said directly may."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from helpdesk import clock
from helpdesk.channels import Profile
from helpdesk.db import insert_rows
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import messages
from helpdesk.services import merging, rows, social_accounts
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.factories import Someone
from tests.house import Desk
from tests.social.wall_story import MINA, POST, Wall, wall

ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"


async def _says(told: Wall, by: Someone, text: str, **given: Any) -> Any:
    answer = await told.post(f"conversations/{told.conversation_id}/messages", {"text": text, **given}, by=by)
    return answer.status_code, answer.json()


async def test_what_names_the_contact_is_refused_where_all_read_it(services: Services) -> None:
    async with wall(services) as told:
        anna = await factories.agent(told.services, role="admin")
        text = f"Hi Mina, {ADDRESS} got it"
        status, problem = await _says(told, anna, text)
        assert (status, problem["type"]) == (422, "urn:helpdesk:problem:personal_data_in_public")
        assert problem["found"] == [
            {"field": "text", "kind": "name", "start": 3, "end": 7},
            {"field": "text", "kind": "address", "start": 9, "end": 51},
        ]
        (error,) = problem["errors"]
        assert error["field"] == "text"
        assert ADDRESS not in str(problem)
        assert "Mina" not in str(problem)
        assert await told.house.rows(messages, messages.c.type == "outgoing") == []
        status, said = await _says(told, anna, text, visibility="direct")
        assert (status, said["visibility"]) == (201, "direct")
        status, _ = await _says(told, anna, text, private=True)
        assert status == 201


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("See you, minasecret", ["name"]),
        ("We wrote to mina.private, look there", ["name"]),
        ("Hi @mina_on_the_wall, @wallet_desk has answered you directly.", []),
        ("Hello mina_on_the_wall", ["name"]),
        ("Wallet Desk never asks for a key", []),
        ("Write to desk@helpdesk.test and to nobody else", []),
        ("Write to other@helpdesk.test", ["email"]),
    ],
)
async def test_he_is_known_by_all_his_names_and_we_by_ours(services: Services, text: str, kinds: list[str]) -> None:
    async with wall(services) as told:
        anna = await factories.agent(told.services, role="admin")
        await factories.inbox(told.services, address="desk@helpdesk.test")
        now = clock.now()
        async with told.services.database.transaction() as session:
            seen = [(Profile(MINA, "mina_on_the_wall", "minasecret Desk"), now)]
            await social_accounts.upsert(session, "wall", seen, now=now)
            own = Profile("99", "wallet_desk", "Wallet Desk")
            await social_accounts.keep_own(session, told.inbox_id, "wall", own, now=now)
            whose = (await told.conversation())["contact_id"]
            address = rows.identity(whose, channel="email", handle="mina.private@customer.test", display="", now=now)
            await insert_rows(session, contact_identities, [address])
        status, answer = await _says(told, anna, text)
        assert [one["kind"] for one in answer.get("found", [])] == kinds
        assert status == (422 if kinds else 201)


@ON_ONE_DATABASE
async def test_what_bots_say_and_files_are_called_is_looked_at_alike(services: Services) -> None:
    async with wall(services) as told:
        anna = await factories.agent(told.services, role="admin")
        scopes = ["conversations:read", "conversations:write"]
        bot = await factories.agent(told.services, kind="bot", scopes=scopes, role="admin")
        status, problem = await _says(told, bot, "Dear Mina, thank you.")
        assert (status, problem["type"]) == (422, "urn:helpdesk:problem:personal_data_in_public")
        upload = {"file": ("passport_of_Mina.txt", b"x", "text/plain")}
        kept = await told.client.post("/api/v1/attachments", files=upload, headers=anna.headers)
        status, problem = await _says(told, anna, "Here it is.", attachment_ids=[kept.json()["id"]])
        assert (status, [one["field"] for one in problem["found"]]) == (422, ["attachment_ids"])


@ON_ONE_DATABASE
async def test_nobody_of_a_merged_matter_is_named_either(services: Services) -> None:
    async with wall(services) as told:
        anna = await factories.agent(told.services, role="admin")
        by = (await factories.accounts.identify_token(told.services.database, anna.token, now=clock.now())).actor
        desk = Desk(told.inbox_id, "us")
        about = {"external_id": "b1", "sender": {"handle": "bob-17", "name": "Robert Marlow"}, "text": "Me too!"}
        await told.house.receive(desk, json.dumps(about | {"thread": POST, "visibility": "public"}).encode())
        his = await told.house.row(messages, messages.c.external_id == "b1")
        async with told.services.database.transaction() as session:
            version = select(conversations.c.version).where(conversations.c.id == his["conversation_id"])
            how: dict[str, Any] = {"into": told.conversation_id, "version": await session.scalar(version)}
            how |= {"other_contact": True, "by": by, "now": clock.now()}
            await merging.merge(told.services, session, his["conversation_id"], **how)
        status, problem = await _says(told, anna, "We have told Marlow and bob-17", visibility="public")
        assert status == 422
        assert [one["kind"] for one in problem["found"]] == ["name", "name"]
