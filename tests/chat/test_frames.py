"""Two hundred ways to get a frame wrong: a code, the connection or the request refused, and the rest undisturbed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.chat import frames
from connectors.chat.frames import BadFrame, Ping
from helpdesk.services.house import Services
from tests.chat.malformed import CLIENT_ID, FATAL, HARMLESS, MALFORMED, PING, SEND, TEXT, frame
from tests.chat.wire import Wire, begin, inbox, url
from tests.conftest import ON_ONE_DATABASE
from tests.live import Served

_TELLTALE = re.compile(
    r"Error|Exception|Traceback|File \"|\.py\b|/usr/|/home/|/lib/|site-packages|pydantic|starlette|uvicorn|asyncpg"
    r"|sqlite|connectors|object at 0x|<class|validat|Input should|unexpected"
)


def _clean(text: str, *secrets: str) -> bool:
    return not _TELLTALE.search(text) and not any(secret in text for secret in (*secrets, _ROOT))


_ROOT = str(Path(__file__).parents[2])


def test_there_are_two_hundred_and_none_is_taken() -> None:
    assert len(MALFORMED) + len(FATAL) >= 200
    for text, field in MALFORMED:
        with pytest.raises(BadFrame) as refused:
            frames.parse(text)
        assert refused.value.extra.get("field", "") == field, text[:200]
        assert refused.value.__cause__ is None
    for text in HARMLESS:
        assert frames.parse(text) == Ping(type="ping", last_seq=0)


@ON_ONE_DATABASE
async def test_each_is_told_by_a_code_and_a_field_of_ours_and_the_next_is_served(services: Services) -> None:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        for start in range(0, len(MALFORMED), 60):
            token = await begin(served.port, inbox_id)
            async with Wire(served.port) as wire:
                await wire.hello(token)
                for number, (text, field) in enumerate(MALFORMED[start : start + 60]):
                    expected = {"type": "error", "code": "bad_frame"} | ({"field": field} if field else {})
                    assert await wire.ask(text) == expected, text[:200]
                    if number % 4 == 3:
                        assert (await wire.ask(PING))["type"] == "pong"
                assert _clean("".join(wire.seen), token)
        assert (await _pong(served.port, token))["head_seq"] == 0


async def _pong(port: int, token: str) -> dict[str, Any]:
    async with Wire(port) as wire:
        await wire.hello(token)
        return await wire.ask(PING)


@ON_ONE_DATABASE
async def test_what_is_no_text_ends_its_own_connection_by_the_code_for_it_and_no_other(services: Services) -> None:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        bystander = await begin(served.port, inbox_id)
        async with Wire(served.port) as other:
            await other.hello(bystander)
            token = ""
            for number, (name, (raw, code)) in enumerate(FATAL.items()):
                token = token if number % 15 else await begin(served.port, inbox_id)
                async with Wire(served.port) as wire:
                    await wire.hello(token)
                    wire.write(raw)
                    assert await wire.end() == code, name
                    assert _clean("".join(wire.seen), token), name
            assert (await other.ask(PING))["type"] == "pong"


@ON_ONE_DATABASE
async def test_frames_in_pieces_and_pings_in_between_are_as_good_as_whole_ones(services: Services) -> None:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        async with Wire(served.port, Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits") as wire:
            assert b"extensions" not in wire.head.lower()
            await wire.hello(token)
            raw = json.dumps(PING).encode()
            wire.write(frame(TEXT, raw[:3], fin=False) + frame(9, b"there?") + frame(0, b"", fin=False))
            wire.write(frame(0, raw[3:9], fin=False) + frame(10, b"unasked") + frame(0, raw[9:]))
            assert await wire.until("pong") == {"type": "pong", "head_seq": 0}


@ON_ONE_DATABASE
async def test_five_wrong_frames_in_a_row_end_a_connection_and_a_second_hello_is_one(services: Services) -> None:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        async with Wire(served.port) as wire:
            await wire.hello(token)
            for _ in range(4):
                assert await wire.ask({"type": "hello", "token": token}) == {
                    "type": "error",
                    "code": "bad_frame",
                    "field": "type",
                }
            await wire.ask(PING)
            for _ in range(5):
                wire.send("{")
            assert await wire.end() == 4000
            assert _clean("".join(wire.seen), token)


@ON_ONE_DATABASE
async def test_a_message_has_text_or_files_and_not_more_than_fits_and_each_error_names_it(services: Services) -> None:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        async with Wire(served.port) as wire, httpx.AsyncClient(base_url=url(served.port)) as client:
            await wire.hello(token)
            for given, code in (
                ({"text": "你" * 8001}, "text_too_long"),
                ({"text": " \n\u3000"}, "text_empty"),
                ({"text": "x", "attachment_ids": ["018f3a3c-7d2e-7c11-9b1a-5d1e2f3a4b5c"]}, "attachment_unknown"),
            ):
                told = await wire.ask({**SEND, **given})
                assert told == {"type": "error", "code": code, "client_id": CLIENT_ID}
                answer = await client.post("/messages", headers=_bearer(token), json={"client_id": CLIENT_ID, **given})
                assert (answer.status_code, answer.json()["type"]) == (422, f"urn:helpdesk:problem:{code}")
            assert (await wire.ask({**SEND, "text": "你" * 8000}))["type"] == "message.ack"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


_BODIES = (
    [("/messages", 18)]
    + [(path, 3) for path in ("/email", "/email/verify", "/rating", "/session/identify")]
    + [("/read", 28), ("/typing", 9)]
)
"""Where bodies go, and how many of a session: rates are another test's."""


@ON_ONE_DATABASE
async def test_the_same_as_bodies_are_refused_in_the_same_words(services: Services) -> None:
    inbox_id = await inbox(services)
    # A body has no type to be wrong, and of one form nothing is needed.
    left = wrong = [text for text, field in MALFORMED if field != "type" and text]
    async with Served(services) as served, httpx.AsyncClient(base_url=url(served.port)) as client:
        while left:
            token = await begin(served.port, inbox_id)
            headers = {**_bearer(token), "Content-Type": "application/json"}
            for path, many in [*_BODIES, (f"/{inbox_id}/sessions", 2)]:
                these, left = left[:many], left[many:]
                for text in these:
                    answer = await client.post(path, headers=headers, content=text.encode("utf-8", "surrogatepass"))
                    told = answer.status_code, answer.json().get("type", "").rpartition(":")[2]
                    assert told in ((422, "bad_frame"), (422, "text_empty")), (path, text[:99])
                    assert _clean(answer.text, token), (path, text[:99])
        assert len(wrong) > 150
        assert (await client.get("/messages", headers=_bearer(token))).json()["items"] == []
        token = await begin(served.port, inbox_id)
        for content, kind, status in (
            (b"{}" + b" " * 70_000, "application/json", 413),
            (b"client_id=a&text=b", "application/x-www-form-urlencoded", 415),
            (b"{}", "text/plain", 415),
            (b"\xff\xfe{\x00}\x00", "application/json; charset=utf-16", 422),
        ):
            answer = await client.post("/messages", headers={**_bearer(token), "Content-Type": kind}, content=content)
            assert answer.status_code == status
            assert _clean(answer.text, token)
