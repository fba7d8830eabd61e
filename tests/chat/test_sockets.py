"""How a WebSocket begins and ends: hello, the codes of every refusal, slow readers, crowds, and signs of life."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from connectors.chat import door, frames, ws
from helpdesk import clock, hosting
from helpdesk.api import sockets
from helpdesk.domain.values import SYSTEM, InboxStatus
from helpdesk.hosting import VisitorHost
from helpdesk.services import inboxes, splitting
from helpdesk.services.house import Services
from helpdesk.services.visiting import VisitorHub
from tests.chat.malformed import PING, PINGS, SEND, TYPING, frame
from tests.chat.wire import SITE, Wire, begin, inbox, url
from tests.conftest import BASE_URL, ON_ONE_DATABASE
from tests.live import Served


@ON_ONE_DATABASE
async def test_a_handshake_is_refused_by_itself_as_a_request(services: Services) -> None:
    async with Served(services) as served:
        for path, given, status in (
            ("/channels/chat/ws?token=secret", {}, 400),
            ("/channels/chat/ws?", {"Sec_WebSocket_Protocol": None}, 400),
            ("/channels/chat/ws", {"Sec_WebSocket_Protocol": "chat, helpdesk.chat.v2"}, 400),
            ("/channels/chat/ws", {"Sec_WebSocket_Version": "7"}, 400),
            ("/channels/chat/ws", {"Sec_WebSocket_Key": "x"}, 400),
            ("/channels/chat/nowhere", {}, 403),
            ("/api/v1/stream", {}, 403),
        ):
            async with Wire(served.port, path, **given) as wire:
                assert wire.status == status, (path, given)
                rest = await wire.reader.read(2000)
                assert b"secret" not in wire.head + rest
                assert b"Error" not in rest


@ON_ONE_DATABASE
async def test_whoever_does_not_begin_with_a_hello_is_sent_away(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ws, "HELLO_SECONDS", 0.2)
    async with Served(services) as served:
        for said in (PING, SEND, "{", "", '{"type":"hello"}', '{"type":"hello","token":7}', None):
            async with Wire(served.port) as wire:
                if said is not None:
                    wire.send(said)
                assert await wire.end() == 4000, said


@ON_ONE_DATABASE
async def test_a_token_that_is_no_good_is_4001_and_a_site_that_is_not_on_the_list_4003(services: Services) -> None:
    inbox_id, other = await inbox(services), await inbox(services, origins="https://other.example")
    async with Served(services) as served:
        good, spent = await begin(served.port, inbox_id), await begin(served.port, inbox_id)
        async with httpx.AsyncClient() as client:
            await client.delete(f"{url(served.port)}/session", headers={"Authorization": f"Bearer {spent}"})
        for token in (spent, "x", good[::-1], "é" * 40, "\u0000", "x" * 200):
            async with Wire(served.port) as wire:
                wire.send({"type": "hello", "token": token})
                assert await wire.take() == {"type": "error", "code": "session_refused"}
                assert await wire.end() == 4001
        for origin in ("https://evil.example", "null", "https://other.example", "", f"{SITE}.evil.example"):
            async with Wire(served.port, Origin=origin) as wire:
                wire.send({"type": "hello", "token": good})
                assert await wire.end() == 4003, origin
                assert wire.seen == [""]
        for origin in (SITE, BASE_URL, None):
            async with Wire(served.port, Origin=origin) as wire:
                welcome = await wire.hello(good)
                assert welcome["visitor"]["identified"] is False
                assert b"helpdesk.chat.v1" in wire.head
        assert other != inbox_id


@ON_ONE_DATABASE
async def test_a_session_of_an_inbox_that_was_paused_is_over(services: Services) -> None:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        async with services.database.transaction() as session:
            row = await inboxes.get_inbox(session, SYSTEM, inbox_id, version=1)
            await inboxes.edit(services, session, row, state=InboxStatus.PAUSED, by=SYSTEM, now=clock.now())
        async with Wire(served.port) as wire:
            wire.send({"type": "hello", "token": token})
            assert await wire.end() == 4001


@ON_ONE_DATABASE
async def test_a_poll_waits_also_where_the_last_that_he_has_is_split_off(services: Services) -> None:
    """Answered at once, with nothing, he would ask again at once."""
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        base = {"base_url": url(served.port), "headers": {"Authorization": f"Bearer {token}"}}
        async with httpx.AsyncClient(**base) as client:  # type: ignore[arg-type]
            said = [(await client.post("/messages", json={"client_id": one, "text": one})).json() for one in "ab"]
            async with services.database.transaction() as session:
                what: dict[str, Any] = {"message_ids": [UUID(said[1]["id"])], "version": 1}
                conversation_id = UUID(said[0]["conversation_id"])
                await splitting.split(services, session, conversation_id, **what, by=SYSTEM, now=clock.now())
            polled = asyncio.create_task(client.get("/messages", params={"after_seq": said[1]["seq"], "wait": 10}))
            await asyncio.sleep(0.3)
            assert not polled.done()
            last = (await client.post("/messages", json={"client_id": "c", "text": "c"})).json()
            assert [item["seq"] for item in (await polled).json()["items"]] == [last["seq"]]


async def test_what_is_said_in_one_tab_is_read_in_the_other_by_every_transport(services: Services) -> None:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            Wire(served.port) as one,
            Wire(served.port) as two,
            httpx.AsyncClient(base_url=url(served.port), headers=headers) as client,
            client.stream("GET", "/events") as events,
        ):
            await one.hello(token)
            await two.hello(token)
            first = await one.ask({**SEND, "client_id": "first", "text": "Is anybody there?"})
            assert (await two.until("resync"))["conversation_id"] == first["conversation_id"]
            polled = asyncio.create_task(client.get("/messages", params={"after_seq": first["seq"], "wait": 10}))
            await asyncio.sleep(0.1)
            second = await two.ask({**SEND, "client_id": "second", "text": "你好"})
            told = await one.until("message.new")
            assert (told["seq"], told["prev_seq"]) == (second["seq"], first["seq"])
            assert told["message"] | {"created_at": ""} == {
                "id": second["id"],
                "client_id": "second",
                "author": {"kind": "visitor", "name": told["message"]["author"]["name"]},
                "text": "你好",
                "channel": "chat",
                "attachments": [],
                "created_at": "",
            }
            assert (await polled).json()["items"] == [told]
            lines = events.aiter_lines()
            assert [line async for line in _until(lines, f"id: {second['seq']}")]
            assert told == _data(await anext(lines))
            again = await one.ask({**SEND, "client_id": "second", "text": "你好"})
            assert again == second
            page = (await client.get("/messages")).json()
            assert [item["message"]["client_id"] for item in page["items"]] == ["first", "second"]
            assert (page["head_seq"], page["more"]) == (second["seq"], False)


@ON_ONE_DATABASE
async def test_a_long_poll_answers_for_who_he_is_by_then(services: Services) -> None:
    """He has begun to talk in another tab meanwhile, or has logged out."""
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        async with httpx.AsyncClient(base_url=url(served.port), headers={"Authorization": f"Bearer {token}"}) as client:
            for seq in (0, 1):
                polled = asyncio.create_task(client.get("/messages", params={"after_seq": seq, "wait": 20}, timeout=20))
                await asyncio.sleep(0.1)
                if seq:
                    assert (await client.delete("/session")).status_code == 204
                    assert (await polled).status_code == 401
                else:
                    said = await client.post("/messages", json={"client_id": "a", "text": "Hello?"})
                    assert [item["seq"] for item in (await polled).json()["items"]] == [said.json()["seq"]]


async def _until(lines: Any, wanted: str) -> Any:
    async with asyncio.timeout(10):
        async for line in lines:
            yield line
            if line == wanted:
                return


def _data(line: str) -> Any:
    assert line.startswith("data: ")
    return json.loads(line[6:])


@ON_ONE_DATABASE
async def test_a_hello_that_resumes_gets_what_was_missed_and_a_stranger_conversation_is_begun_anew(
    services: Services,
) -> None:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        async with Wire(served.port) as wire:
            await wire.hello(token)
            acks = [await wire.ask({**SEND, "client_id": f"m{n}", "text": f"{n}"}) for n in range(3)]
        resume = {"conversation_id": acks[0]["conversation_id"], "last_seq": acks[0]["seq"]}
        async with Wire(served.port) as wire:
            assert (await wire.hello(token, resume=resume))["head_seq"] == acks[2]["seq"]
            missed = [await wire.until("message.new"), await wire.until("message.new")]
            assert [one["message"]["text"] for one in missed] == ["1", "2"]
            assert missed[0]["prev_seq"] == acks[0]["seq"]
        strange = {"conversation_id": "018f3a3c-7d2e-7c11-9b1a-5d1e2f3a4b5c", "last_seq": 1}
        async with Wire(served.port) as wire:
            await wire.hello(token, resume=strange)
            assert await wire.until("resync", "message.new") == {
                "type": "resync",
                "conversation_id": acks[0]["conversation_id"],
                "head_seq": acks[2]["seq"],
            }


@ON_ONE_DATABASE
async def test_a_flood_is_told_three_times_and_then_cut_off_while_others_are_served(services: Services) -> None:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token, other = await begin(served.port, inbox_id), await begin(served.port, inbox_id)
        async with Wire(served.port) as wire, Wire(served.port) as bystander:
            await wire.hello(token)
            await bystander.hello(other)
            for _ in range(2000):
                wire.send(TYPING)
            assert await wire.end() == 4029
            told = [one for one in wire.seen if "rate_limited" in one]
            assert len(told) == 3
            assert '"retry_after":1' in told[0]
            assert (await bystander.ask(PING))["type"] == "pong"
        async with Wire(served.port) as wire:
            await wire.hello(token)
            for number in range(20):
                assert (await wire.ask({**SEND, "client_id": f"n{number}"}))["type"] == "message.ack"
            told_once = await wire.ask({**SEND, "client_id": "n20"})
            assert told_once == {"type": "error", "code": "rate_limited", "retry_after": 1, "client_id": "n20"}
            assert (await wire.ask(PING))["type"] == "pong"


@ON_ONE_DATABASE
async def test_one_address_does_not_fill_the_house_by_any_transport(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "PER_PROCESS", 5)
    monkeypatch.setattr(door, "_GUESTS_EACH", 2)
    inbox_id = await inbox(services)
    async with Served(services) as served:
        tokens = [await begin(served.port, inbox_id) for _ in range(4)]
        http = httpx.AsyncClient(base_url=url(served.port), headers={"Authorization": f"Bearer {tokens[3]}"})
        async with Wire(served.port) as one, Wire(served.port) as two, Wire(served.port) as three, http:
            for wire, token in zip((one, two, three), tokens, strict=False):
                await wire.hello(token)
            async with Wire(served.port) as late:
                late.send({"type": "hello", "token": tokens[3]})
                assert await late.end() == 1013
            for refused in (await http.get("/events"), await http.get("/messages?after_seq=0&wait=5")):
                assert (refused.status_code, refused.headers["Retry-After"]) == (429, "30")
            assert (await http.get("/messages")).status_code == 200, "whoever waits for nothing takes up no room"
            assert (await one.ask(PING))["type"] == "pong"
            three.send({"type": "hello", "token": ""})
            for _ in range(5):
                three.send("{")
            assert await three.end() == 4000
            async with http.stream("GET", "/events") as events:
                assert events.status_code == 200
            async with asyncio.timeout(5):
                while (await http.get("/messages?after_seq=0&wait=1")).status_code != 200:
                    await asyncio.sleep(0.01)


@ON_ONE_DATABASE
async def test_the_eleventh_connection_of_a_visitor_ends_his_first(services: Services) -> None:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        wires = [Wire(served.port) for _ in range(11)]
        try:
            for wire in wires:
                await wire.__aenter__()
                await wire.hello(token)
            assert await wires[0].end() == 4009
            assert (await wires[1].ask(PING))["type"] == "pong"
            assert (await wires[10].ask(PING))["type"] == "pong"
        finally:
            for wire in wires:
                await wire.__aexit__(None, None, None)


async def _crowd(services: Services, token: str, *, many: int, text: str) -> None:
    """So much is said at once that it fills whatever lies between."""
    host = VisitorHost(services, VisitorHub(services), services.channels["chat"])
    visitor = await host.visitor(token)
    for number in range(many):
        await host.say(visitor, client_id=f"crowd{number}", text=text, attachment_ids=())


@ON_ONE_DATABASE
async def test_a_client_that_does_not_read_is_let_go_and_has_missed_nothing_when_it_is_back(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox_id = await inbox(services)
    served = Served(services)
    served._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    async with served:
        token = await begin(served.port, inbox_id)
        async with Wire(served.port, limit=4096) as wire:
            wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await wire.hello(token)
            first = await wire.ask({**SEND, "text": "first"})
            await wire.until("resync")
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
            monkeypatch.setattr(ws, "SLOW_SECONDS", 0.3)
            await _crowd(services, token, many=60, text="慢" * 8000)
            await _met(lambda: served.visitors.listeners == 0)
            wire.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert await wire.end() == 4008
        monkeypatch.undo()
        resume = {"conversation_id": first["conversation_id"], "last_seq": first["seq"]}
        async with Wire(served.port) as wire:
            await wire.hello(token, resume=resume)
            missed = [await wire.until("message.new") for _ in range(60)]
        assert [one["prev_seq"] for one in missed[1:]] == [one["seq"] for one in missed[:-1]]
        assert missed[0]["prev_seq"] == first["seq"]


async def _met(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@ON_ONE_DATABASE
async def test_a_client_that_never_reads_again_is_cut_off_and_so_is_one_that_only_pings(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ws, "_GOODBYE_SECONDS", 0.1)
    monkeypatch.setattr(sockets, "ABORT_SECONDS", 0.1)
    monkeypatch.setattr(sockets, "MOST_UNREAD", 4096)
    inbox_id = await inbox(services)
    served = Served(services)
    served._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    async with served:
        token = await begin(served.port, inbox_id)
        async with Wire(served.port, limit=4096) as wire:
            wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await wire.hello(token)
            await wire.ask(SEND)
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
            monkeypatch.setattr(ws, "SLOW_SECONDS", 0.2)
            await _crowd(services, token, many=60, text="慢" * 8000)
            await _met(lambda: not served._server.server_state.connections)
        monkeypatch.setattr(ws, "SLOW_SECONDS", 10.0)
        async with Wire(served.port, limit=4096) as wire:
            wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await wire.hello(token)
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
            wire.write(frame(PINGS, b"x" * 125) * 5000)
            await _met(lambda: not served._server.server_state.connections)


@ON_ONE_DATABASE
async def test_signs_of_life_go_both_ways_and_silence_ends_a_connection(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(ws, "IDLE_SECONDS", 0.5)
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        async with Wire(served.port) as wire:
            welcome = await wire.hello(token)
            assert welcome["heartbeat_s"] == 0.1
            assert await wire.until("ping") == {"type": "ping", "head_seq": 0}
            assert await wire.end() == 1001
        async with httpx.AsyncClient(base_url=url(served.port)) as client:
            headers = {"Authorization": f"Bearer {token}"}
            async with client.stream("GET", "/events", headers=headers) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                lines = [line async for line in _until(answer.aiter_lines(), 'data: {"type":"ping","head_seq":0}')]
                assert lines[0] == "retry: 2000"


@ON_ONE_DATABASE
async def test_there_is_room_for_so_many_who_have_not_said_hello(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_STRANGERS_EACH", 3)
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        async with Wire(served.port) as one, Wire(served.port), Wire(served.port):
            async with Wire(served.port) as fourth:
                assert fourth.status == 429
                assert b"retry-after" in fourth.head.lower()
            await one.hello(token)
            async with Wire(served.port) as next_one:
                assert next_one.status == 101
                await next_one.hello(token)


@ON_ONE_DATABASE
async def test_when_the_server_stops_everybody_is_told_to_come_back_at_once(services: Services) -> None:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        wire = Wire(served.port)
        await wire.__aenter__()
        await wire.hello(token)
        client = httpx.AsyncClient(base_url=url(served.port), headers={"Authorization": f"Bearer {token}"})
        sent = await client.send(client.build_request("GET", "/events"), stream=True)
    assert await wire.end() in (1001, 1012)
    last = [line async for line in sent.aiter_lines() if line][-1]
    assert last == 'data: {"type":"closed","code":1001}'
    await wire.__aexit__(None, None, None)
    await client.aclose()


@ON_ONE_DATABASE
async def test_logging_out_ends_what_is_open_under_the_token(services: Services) -> None:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            Wire(served.port) as wire,
            httpx.AsyncClient(base_url=url(served.port), headers=headers) as client,
            client.stream("GET", "/events") as events,
        ):
            await wire.hello(token)
            await client.delete("/session")
            assert await wire.end(seconds=6) == 4001
            assert [line async for line in events.aiter_lines() if line][-1] == 'data: {"type":"closed","code":4001}'


@ON_ONE_DATABASE
async def test_a_fault_of_ours_is_a_code_and_the_connection_goes_on(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox_id = await inbox(services)

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("cannot write to /var/lib/helpdesk")

    monkeypatch.setattr(VisitorHost, "say", fail)
    async with Served(services) as served:
        token = await begin(served.port, inbox_id)
        async with Wire(served.port) as wire:
            await wire.hello(token)
            told = await wire.ask(SEND)
            assert told == {"type": "error", "code": "internal", "client_id": SEND["client_id"]}
            assert (await wire.ask(PING))["type"] == "pong"
