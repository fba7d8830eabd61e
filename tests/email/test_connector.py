"""An e-mail inbox as the core uses it, against real servers: Dovecot, Postfix, and a peer that takes what is sent."""

from __future__ import annotations

import asyncio
import os
import smtplib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from connectors.email import CHANNEL, delivery_check
from connectors.email.config import EmailConfig
from connectors.email.connector import EmailConnector
from connectors.email.door import serve
from helpdesk.channels import (
    Address,
    Authorizes,
    Backfills,
    Checks,
    Closes,
    Composer,
    Connector,
    FilesSent,
    FindsSent,
    House,
    LeaseLost,
    Misconfigured,
    OutboundMessage,
)
from helpdesk.net import AllowList, Guard
from tests.email.imap_house import FakeHost, mail
from tests.email.test_door import Memory
from tests.peers import dovecot, postfix
from tests.peers.dovecot import Dovecot
from tests.peers.postfix import Postfix
from tests.peers.smtp_sink import Message, SmtpSink

REQUIRED = bool(os.environ.get("HELPDESK_REQUIRE_SERVICES"))
needs_dovecot = pytest.mark.skipif(dovecot.BINARY is None and not REQUIRED, reason="dovecot is not installed")
needs_postfix = pytest.mark.skipif(bool(postfix.missing()) and not REQUIRED, reason=postfix.missing() or "-")
GUARD = Guard(AllowList.parse(["127.0.0.0/8", "::1/128"]))


async def nothing() -> None:
    """What the house does before the final byte, in tests that are not about it."""


async def none_stored() -> Mapping[str, str]:
    return {}


async def no_secrets(changed: object) -> None:
    raise AssertionError(changed)


@asynccontextmanager
async def connected(tmp_path: Path, **settings: Any) -> AsyncIterator[EmailConnector]:
    config = EmailConfig.model_validate({"address": "support@wallet.test", **settings})
    house = House(
        guard=GUARD,
        inbox_id=uuid4(),
        outgoing=str(tmp_path / "outgoing"),
        save_secrets=no_secrets,
        stored_secrets=none_stored,
    )
    connector = EmailConnector(config, house)
    try:
        yield connector
    finally:
        await connector.close()


def outbound(**changes: Any) -> OutboundMessage:
    message = OutboundMessage(
        message_id=UUID("0195a000-0000-7000-8000-000000000001"),
        client_token="token-1",
        to=(Address("ann@customer.test", "Ann"),),
        text="It is on its way.",
        created_at=datetime(2025, 3, 3, 14, 5, tzinfo=UTC),
        subject="Lost",
    )
    return replace(message, **changes)


async def eventually(true: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with Dovecot({f"user{n}": "secret" for n in range(10)}) as running:
        for n in range(10):
            running.create(f"user{n}", "Sent")
        yield running


# -- the port


async def test_the_descriptor_leads_to_a_connector_with_everything_that_mail_can_do(tmp_path: Path) -> None:
    async with connected(tmp_path) as connector:
        assert CHANNEL.load_connector() is EmailConnector
        as_port: Connector = connector
        for wanted in (Composer, FindsSent, FilesSent, Checks, Authorizes, Backfills, Closes):
            assert isinstance(as_port, wanted)
    assert CHANNEL.load_service() is serve


async def test_an_inbox_of_the_door_is_well_until_its_lease_is_lost(tmp_path: Path) -> None:
    class Lost(FakeHost):
        async def succeeded(self) -> None:
            await super().succeeded()
            if self.wells == 2:
                raise LeaseLost

    host = Lost()
    async with connected(tmp_path) as connector:
        task = asyncio.create_task(connector.run(host))
        await host.until(lambda: host.wells == 1)
        assert not task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        host.wells = 1
        with pytest.raises(LeaseLost):
            await connector.run(host)


# -- without a server


async def test_without_a_server_mail_is_written_to_files_once(tmp_path: Path) -> None:
    async with connected(tmp_path) as connector:
        composed = connector.compose(outbound())
        assert await connector.find_sent(composed) is None
        receipt = await connector.send(composed, at_final=nothing)
        assert (await connector.send(outbound(), at_final=nothing)).external_id == receipt.external_id
        [path] = (tmp_path / "outgoing").iterdir()
        assert path.suffix == ".eml"
        assert path.read_bytes() == composed.body
        found = await connector.find_sent(composed)
        assert found is not None
        assert found.accepted == receipt.accepted == ("ann@customer.test",)
        await connector.file_sent(composed)
        [check] = await connector.check()
        assert (check.name, check.ok) == ("smtp", True)
        assert not (await connector.check(send=True))[-1].ok
        with pytest.raises(Misconfigured):
            await connector.backfill(FakeHost(), since=None, dry_run=True, tell=lambda done, total: None)


async def test_a_house_that_says_no_keeps_the_file_from_being_written(tmp_path: Path) -> None:
    async def at_final() -> None:
        raise LeaseLost

    async with connected(tmp_path) as connector:
        with pytest.raises(LeaseLost):
            await connector.send(outbound(), at_final=at_final)
    assert not (tmp_path / "outgoing").exists()


# -- with a mailbox


@needs_dovecot
async def test_mail_is_read_answered_filed_and_found(tmp_path: Path, server: Dovecot) -> None:
    host = FakeHost()
    host.guard = GUARD
    async with (
        SmtpSink() as sink,
        connected(
            tmp_path, receive="imap", imap_url=server.url("user0"), smtp_url=sink.url(), sent_mailbox="Sent"
        ) as connector,
    ):
        task = asyncio.create_task(connector.run(host))
        await host.until(lambda: host.wells > 0)
        server.deliver("user0", mail("Where is it"))
        await host.until(lambda: len(host.items) == 1)
        composed = connector.compose(outbound())
        assert await connector.find_sent(composed) is None
        await connector.send(composed, at_final=nothing)
        await connector.file_sent(composed)
        await connector.file_sent(composed)
        assert len(server.files("user0", "Sent")) == 1
        found = await connector.find_sent(composed)
        assert found is not None
        assert found.external_id == composed.external_id
        assert await connector.find_sent(replace(composed, external_id="other@wallet.test")) is None
        server.deliver("user0", mail("Older"), at=datetime(2024, 1, 1, tzinfo=UTC))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@needs_dovecot
async def test_looking_for_a_sent_mail_where_nobody_listens_answers_nothing(tmp_path: Path, server: Dovecot) -> None:
    imap_url = server.url("user1", mailbox="INBOX").replace(str(server.ports["plain"]), "1")
    async with (
        SmtpSink() as sink,
        connected(tmp_path, receive="imap", imap_url=imap_url, smtp_url=sink.url(), sent_mailbox="Sent") as connector,
    ):
        assert await connector.find_sent(connector.compose(outbound())) is None


@needs_dovecot
async def test_the_check_sends_through_the_reply_address_and_sees_it_arrive(tmp_path: Path, server: Dovecot) -> None:
    def pass_on(message: Message) -> None:
        if message.recipients[0].startswith("support+"):
            server.deliver("user2", message.body)

    async with (
        SmtpSink(keep=pass_on) as sink,
        connected(
            tmp_path,
            receive="imap",
            imap_url=server.url("user2"),
            smtp_url=sink.url(),
            reply_address="support+{token}@wallet.test",
        ) as connector,
    ):
        checks = await connector.check(send=True)
        assert [check.name for check in checks if not check.ok] == []
        assert {"imap.login", "smtp.connect", "delivery"} <= {check.name for check in checks}
        assert checks[-1].detail.endswith("arrived")
    assert b"Auto-Submitted: auto-generated" in sink.messages[0].body


@needs_dovecot
async def test_the_check_tells_when_the_reply_address_leads_nowhere(
    tmp_path: Path, server: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SmtpSink() as sink:
        config = EmailConfig(
            address="support@wallet.test",
            receive="imap",
            imap_url=server.url("user3"),
            smtp_url=sink.url(),
            reply_address="support+{token}@wallet.test",
        )
        assert config.smtp is not None
        out = delivery_check.Sender(config, config.smtp, GUARD)
        lost = await delivery_check.check_delivery(config, GUARD, None, out, patience=0.1)
        assert not lost.ok
        assert "did not arrive" in lost.detail
        sink.reply("rcpt", "550 5.1.1 <support+x> unknown")
        refused = await delivery_check.check_delivery(config, GUARD, None, out, patience=0.1)
        assert not refused.ok
        await out.close()


async def test_the_check_tells_what_does_not_work(tmp_path: Path) -> None:
    async with SmtpSink(logins={"support": "secret"}) as sink:
        async with connected(tmp_path, smtp_url=sink.url(), smtp_user="support", smtp_password="wrong") as connector:
            [login] = await connector.check()
            assert (login.name, login.ok) == ("smtp.login", False)
            assert "wrong" not in login.detail
        async with connected(tmp_path, smtp_url=sink.url(), smtp_user="support", smtp_password="secret") as connector:
            checks = await connector.check(send=True)
            assert all(check.ok for check in checks)
    async with connected(tmp_path, smtp_url=sink.url()) as connector:
        [connect] = await connector.check()
        assert (connect.name, connect.ok) == ("smtp.connect", False)


# -- with a real relay


@needs_postfix
async def test_our_mail_passes_a_real_relay_unchanged(tmp_path: Path) -> None:
    async with SmtpSink() as sink:
        with Postfix(next_hop=f"smtp:[127.0.0.1]:{sink.port}") as relay:
            async with connected(tmp_path, smtp_url=f"smtp://127.0.0.1:{relay.port}") as connector:
                reply = connector.compose(outbound(text=".\n..\nFrom here\n提现一直失败\n", html="<p>…</p>" * 500))
                wide = connector.compose(outbound(client_token="token-2", to=(Address("用户@customer.test"),)))
                automatic = connector.compose(outbound(client_token="token-3", automatic=True))
                for composed in (reply, wide, automatic):
                    await connector.send(composed, at_final=nothing)
                await eventually(lambda: len(sink.messages) == 3)
    taken = {message.recipients[0] + message.sender: message for message in sink.messages}
    first = taken["ann@customer.testsupport@wallet.test"]
    assert first.body.endswith(reply.body)
    assert f"ENVID={reply.external_id}" in first.mail_options
    assert "NOTIFY=FAILURE,DELAY" in first.rcpt_options[0]
    assert taken["用户@customer.testsupport@wallet.test"].body.endswith(wide.body)
    assert taken["ann@customer.test"].body.endswith(automatic.body)


@needs_postfix
@pytest.mark.parametrize("door", ["smtp", "lmtp"])
async def test_a_real_relay_brings_a_mail_again_until_it_is_stored_and_then_once(tmp_path: Path, door: str) -> None:
    host = Memory(
        EmailConfig(address="support@wallet.test"),
        EmailConfig(address="billing@wallet.test"),
        trusted_peers="127.0.0.1",
    )
    host.settings = {**host.settings, "lmtp_bind": "127.0.0.1:0"}
    host.broken = {host.views[1].inbox_id}
    async with serve(host) as opened:
        name, _, port = opened.addresses[door].rpartition(":")
        next_hop = f"smtp:[{name}]:{port}" if door == "smtp" else f"lmtp:inet:{name}:{port}"
        with Postfix(next_hop=next_hop) as relay:

            def send() -> None:
                with smtplib.SMTP("127.0.0.1", relay.port, timeout=10) as client:
                    everyone = ["support@wallet.test", "billing@wallet.test", "nobody@wallet.test"]
                    client.sendmail("ann@customer.test", everyone, mail("Where is it"))

            await asyncio.to_thread(send)
            await eventually(lambda: host.calls >= 4)
            assert len(host.mails) == 1
            host.broken.clear()
            await eventually(lambda: len(host.mails) == 2)
            # What was refused goes back to the sender, through the relay, and not to one of us.
            await eventually(lambda: "nobody@wallet.test" in relay.log() and "status=bounced" in relay.log())
    first, second = host.mails
    assert first.position == second.position
    assert first.body.startswith(b"Received: from ")
    assert b"\r\nSubject: Where is it\r\n" in first.body
    assert first.hints["trusted_peer"] is True
    assert first.hints["mail_from"] == "ann@customer.test"
