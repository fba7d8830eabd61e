"""Private messages leave once, and what nobody confirmed is looked up by what the vendor shows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.facebook.config import InstagramConfig, MetaConfig
from connectors.facebook.tests.desk import FINAL, connected, message, sent
from connectors.facebook.tests.fake import INSTAGRAM, PAGE, FakeGraph, error
from helpdesk.channels import (
    AccessRevoked,
    AuthenticationFailed,
    ChannelError,
    OutboundAttachment,
    PermanentFailure,
    PermissionMissing,
    RateLimited,
    RawInbound,
    RecipientRefused,
    TargetGone,
    TemporaryFailure,
    Uncertain,
    WindowClosed,
)

MINA = "3383290475046708"
LEE = "17841400000000077"
PICTURE = OutboundAttachment("proof.png", "image/png", b"\x89PNG\r\n\x1a\n\x00\r\n")
INVOICE = OutboundAttachment("发票.pdf", "application/pdf", b"%PDF-1.7")


@pytest.fixture
def graph() -> Iterator[FakeGraph]:
    with FakeGraph() as opened:
        opened.writes(MINA, "Where is my money?")
        opened.writes(LEE, "Hi")
        yield opened


async def test_an_answer_leaves_with_its_token(graph: FakeGraph) -> None:
    async with connected(graph) as connector:
        given = message(MINA)
        receipt = await sent(connector, graph, connector.compose(given))
    said = graph.messages[-1]
    assert (said.person, said.text, said.metadata) == (MINA, "It is on its way", given.client_token)
    assert receipt.external_id == said.id
    assert graph.calls == [FINAL, f"POST /v25.0/{PAGE}/messages"]


async def test_the_same_message_is_composed_to_the_same_bytes(graph: FakeGraph) -> None:
    async with connected(graph) as connector:
        given = message(MINA, attachments=(PICTURE,))
        assert connector.compose(given) == connector.compose(given)


@pytest.mark.parametrize("alone", [True, False])
async def test_people_of_instagram_are_answered_there(graph: FakeGraph, alone: bool) -> None:
    handle = LEE if alone else f"instagram:{LEE}"
    async with connected(graph, alone=alone, instagram_id=INSTAGRAM) as connector:
        composed = connector.compose(message(handle, "钱" * 333))
        await sent(connector, graph, composed)
        with pytest.raises(PermanentFailure, match="1002 of 1000 bytes"):
            connector.compose(message(handle, "钱" * 334))
        found = await connector.find_sent(composed)
    assert (composed.sender, composed.recipients) == (INSTAGRAM, (handle,))
    assert graph.messages[-1].person == LEE
    assert found is not None
    assert found.external_id == graph.messages[-1].id


async def test_what_cannot_be_sent_is_refused_before_anything_leaves(graph: FakeGraph) -> None:
    async with connected(graph) as connector:
        for given in (message(MINA, "a" * 2001), message(MINA, "  "), replace(message(MINA), to=())):
            with pytest.raises(PermanentFailure):
                connector.compose(given)


async def test_files_are_handed_in_before_the_text_leaves(graph: FakeGraph) -> None:
    async with connected(graph) as connector:
        given = message(MINA, attachments=(PICTURE, INVOICE))
        composed = connector.compose(given)
        receipt = await sent(connector, graph, composed)
        found = await connector.find_sent(composed)
    upload, say = f"POST /v25.0/{PAGE}/message_attachments", f"POST /v25.0/{PAGE}/messages"
    assert graph.calls[:6] == [upload, upload, FINAL, say, say, say]
    assert [name for name, _ in graph.uploads.values()] == ["proof.png", "发票.pdf"]
    assert [body for _, body in graph.uploads.values()] == [PICTURE.body, INVOICE.body]
    parts = graph.messages[-3:]
    assert [one.metadata.removeprefix(given.client_token) for one in parts] == ["#part", "#part", ""]
    assert receipt.external_id == parts[0].id
    assert found is not None
    assert found.external_id == parts[0].id


async def test_a_file_that_is_refused_keeps_the_text_back(graph: FakeGraph) -> None:
    graph.fail("POST", "/message_attachments", body=error(100, 2018047))
    async with connected(graph) as connector:
        with pytest.raises(PermanentFailure):
            await sent(connector, graph, message(MINA, attachments=(PICTURE,)))
    assert graph.said == []
    assert FINAL not in graph.calls


async def test_half_a_message_is_left_to_people(graph: FakeGraph) -> None:
    async with connected(graph) as connector:
        composed = connector.compose(message(MINA, attachments=(PICTURE,)))
        graph.fail("POST", "/messages", body=error(100), after=1)
        with pytest.raises(Uncertain):
            await sent(connector, graph, composed)
        assert graph.said == ["It is on its way"]
        with pytest.raises(Uncertain):
            await connector.find_sent(composed)


async def test_a_thread_that_another_app_controls_is_taken_over(graph: FakeGraph) -> None:
    graph.standby.add(MINA)
    async with connected(graph) as connector:
        await sent(connector, graph, message(MINA))
    assert graph.said == ["It is on its way"]
    assert [call.rpartition("/")[2] for call in graph.calls[1:]] == ["messages", "take_thread_control", "messages"]


# -- what nobody confirmed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [b"", b'{"recipient_id": "33', b"<html>"])
async def test_what_was_taken_before_the_line_went_dead_is_found(graph: FakeGraph, answer: bytes) -> None:
    graph.accept_then_cut("POST", "/messages", answer=answer)
    async with connected(graph) as connector:
        composed = connector.compose(message(MINA))
        with pytest.raises(Uncertain):
            await sent(connector, graph, composed)
        found = await connector.find_sent(composed)
    assert found is not None
    assert found.external_id == graph.messages[-1].id
    assert graph.said == ["It is on its way"]


async def test_what_never_arrived_is_not_found(graph: FakeGraph) -> None:
    graph.fail("POST", "/messages", 502, body=b"<html>bad gateway</html>")
    async with connected(graph) as connector:
        composed = connector.compose(message(MINA))
        with pytest.raises(Uncertain):
            await sent(connector, graph, composed)
        assert await connector.find_sent(composed) is None


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(hours=-7), timedelta(minutes=10)])
async def test_an_older_message_of_the_same_words_is_not_taken_for_it(graph: FakeGraph, ahead: timedelta) -> None:
    """However wrong one of the two clocks is."""
    graph.ahead = ahead
    async with connected(graph) as connector:
        await sent(connector, graph, message(MINA))
        graph.messages[-1].at -= timedelta(seconds=30)
        composed = connector.compose(message(MINA))
        assert await connector.find_sent(composed) is None
        await sent(connector, graph, composed)
        assert await connector.find_sent(composed) is not None


async def test_the_customers_own_words_are_not_taken_for_ours(graph: FakeGraph) -> None:
    async with connected(graph) as connector:
        composed = connector.compose(message(MINA, "OK"))
        graph.writes(MINA, "OK")
        assert await connector.find_sent(composed) is None


async def test_where_it_cannot_be_told_a_person_decides(graph: FakeGraph) -> None:
    async with connected(graph) as connector:
        composed = connector.compose(message(MINA))
        for number in range(20):
            graph.writes(MINA, f"Anybody? {number}")
        with pytest.raises(Uncertain):
            await connector.find_sent(composed)
        with pytest.raises(Uncertain):
            await connector.find_sent(connector.compose(message("999")))
        graph.fail("GET", "/conversations", 500, body=b"<html>")
        with pytest.raises(TemporaryFailure):
            await connector.find_sent(composed)


# -- faults ----------------------------------------------------------------------------------------------------------

REFUSALS: list[tuple[int, bytes, type[ChannelError]]] = [
    (*error(190, 463, status=401), AccessRevoked),
    (*error(190, status=400), AccessRevoked),
    (*error(102), AccessRevoked),
    (*error(104), AuthenticationFailed),
    (400, b'{"error": {"code": 100, "message": "Invalid appsecret_proof provided"}}', AuthenticationFailed),
    (*error(10), PermissionMissing),
    (*error(200, status=403), PermissionMissing),
    (*error(299), PermissionMissing),
    (*error(10, 2018278, status=403), WindowClosed),
    (*error(10, 2534022), WindowClosed),
    (*error(551), RecipientRefused),
    (*error(200, 1545041), RecipientRefused),
    (*error(10, 2018108), RecipientRefused),
    (*error(100, 2018001), RecipientRefused),
    (*error(100, 33), TargetGone),
    (*error(100), PermanentFailure),
    (*error(368), PermanentFailure),
    (*error(4), RateLimited),
    (*error(613, 1996), RateLimited),
    (*error(80006), RateLimited),
    (429, b"slow down", RateLimited),
]
"""Answers by which nothing was sent."""

SILENCES: list[tuple[int, bytes]] = [
    error(1, status=500),
    error(2, status=503),
    error(2, 1545012),
    error(1200, 1545041),
    error(100, transient=True),
    (500, b"<html>oops</html>"),
    (502, b""),
    (403, b"<html>a proxy</html>"),
    (400, b'{"error": "odd"}'),
    (400, b'{"error": {"code": true}}'),
    (200, b'{"recipient_id": "33'),
    (200, b"[]"),
    (200, b"{}"),
    (302, b""),
]
"""Answers by which it may have been."""


async def test_refusals_mean_what_they_say(graph: FakeGraph) -> None:
    async with connected(graph) as connector:
        for status, body, kind in REFUSALS:
            graph.fail("POST", "/messages", status, body=body)
            with pytest.raises(ChannelError) as raised:
                await sent(connector, graph, message(MINA))
            assert (type(raised.value), status, body) == (kind, status, body)
            assert "secret words" not in str(raised.value)
            if isinstance(raised.value, RecipientRefused):
                assert [one.recipient for one in raised.value.refusals] == [MINA]
    assert graph.said == []


async def test_silence_is_trouble_before_the_final_byte_and_doubt_after_it(graph: FakeGraph) -> None:
    async with connected(graph) as connector:
        for status, body in SILENCES:
            graph.fail("POST", "/messages", status, body=body)
            with pytest.raises(Uncertain):
                await sent(connector, graph, message(MINA))
            graph.fail("POST", "/message_attachments", status, body=body)
            with pytest.raises(TemporaryFailure):
                await sent(connector, graph, message(MINA, attachments=(PICTURE,)))
    assert graph.said == []


PATIENCE: list[tuple[dict[str, str], float]] = [
    ({}, 300.0),
    ({"Retry-After": "17"}, 17.0),
    ({"X-Business-Use-Case-Usage": '{"1": [{"type": "pages", "estimated_time_to_regain_access": 9}]}'}, 540.0),
    ({"X-Business-Use-Case-Usage": '{"1": [{"estimated_time_to_regain_access": 0}]}'}, 300.0),
    ({"X-Business-Use-Case-Usage": '{"1": 3}'}, 300.0),
    ({"X-Business-Use-Case-Usage": "[[["}, 300.0),
]


async def test_too_many_calls_are_told_with_a_time(graph: FakeGraph) -> None:
    async with connected(graph) as connector:
        for headers, seconds in PATIENCE:
            graph.fail("POST", "/messages", body=error(32, status=403), headers=headers)
            with pytest.raises(RateLimited) as raised:
                await sent(connector, graph, message(MINA))
            assert raised.value.retry_after == seconds


async def test_a_vendor_that_is_away_has_taken_nothing(graph: FakeGraph) -> None:
    async with connected(graph, api_url="http://127.0.0.1:1") as connector:
        with pytest.raises(ChannelError) as raised:
            await sent(connector, graph, message(MINA))
    assert raised.value.kind in ("unreachable", "misconfigured")


# -- whether it is well ----------------------------------------------------------------------------------------------


class Told:
    """A host that writes down how the inbox fares, and stops after so much."""

    def __init__(self, most: int) -> None:
        self.told: list[str] = []
        self._most = most

    async def cursor(self) -> Mapping[str, Any]:
        return {}

    async def accept(self, batch: Sequence[RawInbound], *, cursor: Mapping[str, Any] | None = None) -> int:
        return len(batch)

    async def succeeded(self) -> None:
        await self._tell("well")

    async def failed(self, error: ChannelError) -> None:
        await self._tell(error.kind)

    async def _tell(self, word: str) -> None:
        self.told.append(word)
        if len(self.told) == self._most:
            raise asyncio.CancelledError


async def test_a_page_is_subscribed_to_and_looked_at(graph: FakeGraph) -> None:
    graph.subscribed = ["leadgen"]
    host = Told(1)
    async with connected(graph) as connector:
        with pytest.raises(asyncio.CancelledError):
            await connector.run(host)  # type: ignore[arg-type]
    assert host.told == ["well"]
    assert {"message_echoes", "standby", "feed", "leadgen"} <= set(graph.subscribed)


async def test_where_the_app_may_not_subscribe_the_inbox_is_well_all_the_same(graph: FakeGraph) -> None:
    graph.fail("GET", "/subscribed_apps", body=error(200))
    host = Told(1)
    async with connected(graph) as connector:
        with pytest.raises(asyncio.CancelledError):
            await connector.run(host)  # type: ignore[arg-type]
    assert host.told == ["well"]


async def test_a_token_that_was_taken_away_is_told(graph: FakeGraph) -> None:
    host = Told(1)
    async with connected(graph) as connector:
        graph.revoke()
        with pytest.raises(asyncio.CancelledError):
            await connector.run(host)  # type: ignore[arg-type]
    assert host.told == ["revoked"]


async def test_a_check_says_what_to_do(graph: FakeGraph) -> None:
    graph.subscribed = ["messages"]
    graph.fail("GET", "/conversations", body=error(10))
    async with connected(graph, instagram_id="17") as connector:
        found = {one.name: one for one in await connector.check()}
        wrong = [name for name, one in found.items() if not one.ok]
        assert wrong == ["messages of facebook", "instagram", "comments of instagram", "webhook fields"]
        assert "pages_messaging" in found["messages of facebook"].detail
        assert found["webhook"].detail.startswith("enter https://desk.test/channels/facebook/")
        graph.revoke()
        (token,) = await connector.check()
    assert (token.ok, "page_token" in token.detail) == (False, True)


async def test_a_token_of_another_page_is_a_mistake(graph: FakeGraph) -> None:
    async with connected(graph, page_id="42") as connector:
        (token,) = await connector.check()
    assert not token.ok
    assert "make one for this Page" in token.detail


def test_settings_that_cannot_work_are_refused() -> None:
    good = {"page_id": 117172741761305, "page_token": " EAAG\n", "app_secret": "s3cret", "verify_token": "word"}
    config = MetaConfig.model_validate(good)
    assert (config.page_id, config.page_token.get_secret_value()) == (PAGE, "EAAG")
    assert config.base_url == "https://graph.facebook.com/v25.0"
    wrong: list[dict[str, Any]] = [
        {"page_id": "wallet"},
        {"page_id": ""},
        {"page_token": ""},
        {"page_token": "EAAG EAAG"},
        {"app_secret": "\u00e4"},
        {"verify_token": " "},
        {"instagram_id": "@wallet"},
        {"graph_version": "25"},
        {"api_url": "http://graph.example.com"},
        {"api_url": "graph.example.com"},
        {"user_token": "x"},
    ]
    for given in wrong:
        with pytest.raises(ValidationError):
            MetaConfig.model_validate(good | given)
    with pytest.raises(ValidationError):
        InstagramConfig.model_validate(good)
