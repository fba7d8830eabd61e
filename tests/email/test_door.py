"""The built-in door over real sockets: who is let in, what a 250 means, and what hostile peers get."""

from __future__ import annotations

import asyncio
import hashlib
import json
import smtplib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import uvloop

from connectors.email.config import EmailConfig
from connectors.email.door import Door, DoorShut, Limits, TrustedPeers, serve
from helpdesk.channels import InboxView, RawInbound
from helpdesk.net import Guard

SHARED = Path(__file__).resolve().parents[3] / "shared"
TOKEN = "abcdefghijklmnopqrstuvwxyz234567abcd"
MAIL = b"From: ann@customer.test\r\nSubject: Lost\r\n\r\nWhere is it?\r\n"


class Memory:
    """A service host that keeps what it accepted; `broken` makes it fail as a database that is away does."""

    def __init__(self, *configs: EmailConfig, **settings: Any) -> None:
        self.guard = Guard()
        self.settings: Mapping[str, Any] = {"smtp_bind": "127.0.0.1:0", "hostname": "door.test", **settings}
        self.views = [InboxView(uuid4(), config) for config in configs]
        self.accepted: dict[tuple[UUID, str], RawInbound] = {}
        self.calls = 0
        self.broken: set[UUID] = set()
        self.lookup_broken = False
        self.slow = asyncio.Event()
        self.slow.set()

    async def inboxes_by(self, key: str, value: str) -> Sequence[InboxView]:
        if self.lookup_broken:
            raise OSError("no database")
        return [view for view in self.views if str(getattr(view.config, key)).lower() == value]

    async def accept(self, inbox_id: UUID, batch: Sequence[RawInbound]) -> int:
        self.calls += 1
        await self.slow.wait()
        if inbox_id in self.broken:
            raise OSError("no database")
        fresh = 0
        for raw in batch:
            fresh += (inbox_id, raw.position) not in self.accepted
            self.accepted.setdefault((inbox_id, raw.position), raw)
        return fresh

    @property
    def mails(self) -> list[RawInbound]:
        return list(self.accepted.values())


def inbox(address: str = "support@wallet.test", **more: Any) -> EmailConfig:
    return EmailConfig(address=address, **more)


@pytest.fixture
def host() -> Memory:
    return Memory(inbox(reply_address="support+{token}@wallet.test"), inbox("billing@wallet.test"))


class Client:
    """A peer that sends bytes and reads reply lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def reply(self) -> str:
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 5)).decode().rstrip("\r\n")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    async def send(self, data: str | bytes) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def ask(self, line: str) -> str:
        await self.send(line + "\r\n")
        return await self.reply()

    async def start(self, *recipients: str, sender: str = "ann@customer.test", hello: str = "EHLO") -> None:
        await self.reply()
        assert (await self.ask(f"{hello} client.test")).startswith("250")
        assert (await self.ask(f"MAIL FROM:<{sender}>")).startswith("250")
        for recipient in recipients or ("support@wallet.test",):
            assert (await self.ask(f"RCPT TO:<{recipient}>")).startswith("250")
        assert (await self.ask("DATA")).startswith("354")

    async def drip(self, data: bytes, step: int) -> None:
        for start in range(0, len(data), step):
            await self.send(data[start : start + step])
            await asyncio.sleep(0.02)

    async def closed(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), 5) == b""


@asynccontextmanager
async def connected(door: Door, name: str = "smtp") -> AsyncIterator[Client]:
    address = door.addresses[name]
    if "/" in address:
        reader, writer = await asyncio.open_unix_connection(address)
    else:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def deliver(door: Door, data: bytes = MAIL, *recipients: str, sender: str = "ann@customer.test") -> str:
    async with connected(door) as client:
        await client.start(*recipients, sender=sender)
        await client.send(data + b".\r\n")
        return await client.reply()


# -- who is let in


@pytest.mark.parametrize(
    "recipient",
    ["support@wallet.test", "SUPPORT@Wallet.Test", "support+anything@wallet.test", f"support+{TOKEN}@wallet.test"],
)
async def test_mail_to_an_inbox_of_ours_is_stored_with_its_envelope(host: Memory, recipient: str) -> None:
    async with serve(host) as door:
        assert await deliver(door, MAIL, recipient) == "250 2.0.0 Stored"
    [raw] = host.mails
    assert raw.body == MAIL
    assert raw.position == f"smtp;{hashlib.sha256(MAIL).hexdigest()}"
    assert raw.received_at.tzinfo is not None
    assert raw.hints == {
        "mail_from": "ann@customer.test",
        "recipients": [recipient],
        "trusted_peer": False,
        "peer": "127.0.0.1",
    }


@pytest.mark.parametrize("pattern", ["{token}@r.wallet.test", "reply{token}@wallet.test", "a.{token}.b@wallet.test"])
async def test_a_reply_address_is_known_by_its_pattern_and_case_is_folded(pattern: str) -> None:
    host = Memory(inbox("help@elsewhere.test", reply_address=pattern))
    async with serve(host) as door:
        recipient = pattern.replace("{token}", TOKEN).upper()
        assert (await deliver(door, MAIL, recipient)).startswith("250")
    assert host.mails[0].hints["recipients"] == [recipient]


@pytest.mark.parametrize(
    "recipient",
    [
        "victim@elsewhere.test",
        "nobody@wallet.test",
        "support@wallet.test.evil.test",
        f"billing{TOKEN}@wallet.test",
        "support%elsewhere.test@wallet.test",
        '"support@elsewhere.test"@wallet.test',
    ],
)
async def test_the_door_is_never_a_relay(host: Memory, recipient: str) -> None:
    async with serve(host) as door, connected(door) as client:
        await client.reply()
        await client.ask("EHLO client.test")
        await client.ask("MAIL FROM:<ann@customer.test>")
        assert (await client.ask(f"RCPT TO:<{recipient}>")).startswith("550 5.1.1")
        assert (await client.ask("DATA")).startswith("503 5.5.1")
    assert not host.mails


async def test_an_inbox_that_is_read_by_imap_takes_nothing_at_the_door() -> None:
    host = Memory(inbox(receive="imap", imap_url="imaps://mail.wallet.test", imap_user="support"))
    async with serve(host) as door, connected(door) as client:
        await client.reply()
        await client.ask("EHLO client.test")
        await client.ask("MAIL FROM:<ann@customer.test>")
        assert (await client.ask("RCPT TO:<support@wallet.test>")).startswith("550")


async def test_an_international_domain_is_found_in_both_of_its_spellings() -> None:
    host = Memory(inbox("hilfe@bücher.test"))
    async with serve(host) as door, connected(door) as client:
        await client.reply()
        await client.ask("EHLO client.test")
        await client.ask("MAIL FROM:<jörg@bücher.test> SMTPUTF8")
        assert (await client.ask("RCPT TO:<hilfe@bücher.test>")).startswith("250")
        assert (await client.ask("RCPT TO:<hilfe@xn--bcher-kva.test>")).startswith("250")


async def test_one_mail_to_two_inboxes_is_stored_in_both(host: Memory) -> None:
    async with serve(host) as door:
        recipients = ("support@wallet.test", "billing@wallet.test", f"support+{TOKEN}@wallet.test")
        assert (await deliver(door, MAIL, *recipients)).startswith("250")
    assert {tuple(raw.hints["recipients"]) for raw in host.mails} == {
        ("support@wallet.test", f"support+{TOKEN}@wallet.test"),
        ("billing@wallet.test",),
    }


async def test_the_null_sender_is_kept_as_empty(host: Memory) -> None:
    async with serve(host) as door:
        await deliver(door, sender="")
    assert host.mails[0].hints["mail_from"] == ""


@pytest.mark.parametrize(
    ("setting", "peer", "trusted"),
    [
        ("127.0.0.0/8, unix", "127.0.0.1", True),
        ("10.0.0.0/8", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("unix", "unix", True),
        ("127.0.0.1", "unix", False),
        ("192.0.2.0/24", "::ffff:192.0.2.7", True),
        ("fe80::/10", "fe80::1%eth0", True),
    ],
)
def test_only_listed_peers_are_trusted(setting: str, peer: str, trusted: bool) -> None:
    assert (peer in TrustedPeers.parse(setting)) is trusted


# -- what a 250 means


async def test_the_answer_waits_for_the_commit(host: Memory) -> None:
    host.slow.clear()
    async with serve(host) as door, connected(door) as client:
        await client.start()
        await client.send(MAIL + b".\r\n")
        reply = asyncio.create_task(client.reply())
        await asyncio.sleep(0.1)
        assert not reply.done()
        host.slow.set()
        assert (await reply).startswith("250")


async def test_a_database_that_is_away_leaves_the_mail_with_the_peer(host: Memory) -> None:
    host.broken = {view.inbox_id for view in host.views}
    async with serve(host) as door:
        assert (await deliver(door)).startswith("451 4.3.0")
        host.broken.clear()
        host.lookup_broken = True
        async with connected(door) as client:
            await client.reply()
            await client.ask("EHLO client.test")
            await client.ask("MAIL FROM:<ann@customer.test>")
            assert (await client.ask("RCPT TO:<support@wallet.test>")).startswith("451 4.3.0")


async def test_a_mail_that_one_of_two_inboxes_could_not_store_comes_again_and_ends_up_once_in_each(
    host: Memory,
) -> None:
    recipients = ("support@wallet.test", "billing@wallet.test")
    host.broken = {host.views[1].inbox_id}
    async with serve(host) as door:
        assert (await deliver(door, MAIL, *recipients)).startswith("451")
        host.broken.clear()
        assert (await deliver(door, MAIL, *recipients)).startswith("250")
    assert len(host.mails) == 2


async def test_the_same_bytes_again_are_a_no_op(host: Memory) -> None:
    async with serve(host) as door:
        await deliver(door)
        assert (await deliver(door)).startswith("250")
        await deliver(door, MAIL + b"Once more.\r\n")
    assert len(host.mails) == 2


async def test_a_peer_that_hangs_up_after_the_final_dot_does_not_stop_the_commit(host: Memory) -> None:
    host.slow.clear()
    async with serve(host) as door:
        async with connected(door) as client:
            await client.start()
            await client.send(MAIL + b".\r\n")
            while not host.calls:
                await asyncio.sleep(0.01)
        host.slow.set()
    assert len(host.mails) == 1


async def test_closing_the_door_lets_a_mail_that_is_being_stored_get_its_answer(host: Memory) -> None:
    host.slow.clear()
    async with serve(host) as door:
        reader, writer = await asyncio.open_connection(*_split(door))
        client = Client(reader, writer)
        await client.start()
        await client.send(MAIL + b".\r\n")
        while not host.calls:
            await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.1, host.slow.set)
    assert (await client.reply()).startswith("250")
    assert (await client.reply()).startswith("421")
    writer.close()


def _split(door: Door) -> tuple[str, int]:
    host, _, port = door.addresses["smtp"].rpartition(":")
    return host, int(port)


# -- LMTP


async def test_lmtp_answers_once_for_each_recipient(host: Memory, tmp_path: Path) -> None:
    host.settings = {"lmtp_bind": str(tmp_path / "lmtp.sock"), "trusted_peers": "unix"}
    host.broken = {host.views[1].inbox_id}
    async with serve(host) as door, connected(door, "lmtp") as client:
        recipients = ("support@wallet.test", "billing@wallet.test", "support+x@wallet.test")
        await client.start(*recipients, hello="LHLO")
        await client.send(MAIL + b".\r\n")
        replies = [(await client.reply())[:3] for _ in range(3)]
        assert replies == ["250", "451", "250"]
        assert (await client.ask("NOOP")).startswith("250")
    assert host.mails[0].hints == {
        "mail_from": "ann@customer.test",
        "recipients": ["support@wallet.test", "support+x@wallet.test"],
        "trusted_peer": True,
        "peer": "unix",
    }
    assert not (tmp_path / "lmtp.sock").exists()


async def test_lmtp_over_tcp_refuses_the_greetings_of_smtp(host: Memory) -> None:
    host.settings = {"lmtp_bind": "127.0.0.1:0"}
    async with serve(host) as door, connected(door, "lmtp") as client:
        assert (await client.reply()).startswith("220")
        assert (await client.ask("EHLO client.test")).startswith("500")
        answer = await client.ask("LHLO client.test")
        assert {"PIPELINING", "8BITMIME", "SMTPUTF8"} <= {line[4:] for line in answer.splitlines()}
        assert answer.splitlines()[-1] == "250 ENHANCEDSTATUSCODES"


async def test_pythons_own_lmtp_client_is_understood(host: Memory) -> None:
    host.settings = {"lmtp_bind": "127.0.0.1:0"}
    async with serve(host) as door:
        name, _, port = door.addresses["lmtp"].rpartition(":")

        def send() -> None:
            with smtplib.LMTP(name, int(port), timeout=5) as client:
                client.sendmail("ann@customer.test", ["support@wallet.test"], MAIL)

        await asyncio.to_thread(send)
    assert host.mails[0].body == MAIL


# -- what is offered


async def test_what_is_offered_is_size_8bitmime_smtputf8_and_no_login(host: Memory) -> None:
    async with serve(host) as door, connected(door) as client:
        await client.reply()
        answer = (await client.ask("EHLO client.test")).splitlines()
        assert f"250-SIZE {50 * 1024 * 1024}" in answer
        assert {"250-8BITMIME", "250-SMTPUTF8", "250-PIPELINING"} <= set(answer)
        assert not any("AUTH" in line or "STARTTLS" in line for line in answer)
        for command in ("VRFY support", "EXPN support", "AUTH PLAIN AGEAYg=="):
            assert (await client.ask(command)).startswith("502 5.5.1")


async def test_a_mail_above_the_limit_is_refused_by_its_declared_and_by_its_real_size(host: Memory) -> None:
    limits = Limits(size=1000)
    async with serve(host, limits) as door:
        async with connected(door) as client:
            await client.reply()
            await client.ask("EHLO client.test")
            assert (await client.ask("MAIL FROM:<ann@customer.test> SIZE=1001")).startswith("552 5.3.4")
            await client.ask("QUIT")
        assert (await deliver(door, MAIL + b"x" * 1000 + b"\r\n")).startswith("552 5.3.4")
        assert (await deliver(door)).startswith("250")
    assert len(host.mails) == 1


async def test_a_taken_address_is_told_in_one_line(host: Memory) -> None:
    async with serve(host) as door:
        bind = door.addresses["smtp"]
        with pytest.raises(DoorShut) as told:
            async with serve(Memory(smtp_bind=bind)):
                pass
        assert bind in told.value.detail
        assert "\n" not in told.value.detail


async def test_a_socket_file_that_another_process_serves_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "lmtp.sock"
    async with serve(Memory(smtp_bind="", lmtp_bind=str(path))):
        with pytest.raises(DoorShut, match="listens there already"):
            async with serve(Memory(smtp_bind="", lmtp_bind=str(path))):
                pass
        await asyncio.sleep(0.05)  # the probe's connection is still being taken in


@pytest.mark.parametrize("bind", ["2525", "127.0.0.1:smtp", "127.0.0.1:99999", "198.51.100.1:2525"])
async def test_an_impossible_address_is_told(bind: str) -> None:
    with pytest.raises(DoorShut, match="HELPDESK_SMTP_BIND"):
        async with serve(Memory(smtp_bind=bind)):
            pass


# -- hostile peers


def smuggling_bodies() -> list[tuple[str, str]]:
    own = [
        ("lone LF dot LF", "a\n.\nMAIL FROM:<b@x.test>\r\n"),
        ("lone CR dot CRLF", "a\r.\r\nMAIL FROM:<b@x.test>\r\n"),
        ("CRLF dot LF", "a\r\n.\nMAIL FROM:<b@x.test>\r\n"),
        ("CR CR LF dot", "a\r\r\n.\r\r\nMAIL FROM:<b@x.test>\r\n"),
        ("dot NUL", "a\r\n.\x00\r\nQUIT\r\n"),
    ]
    path = SHARED / "attack" / "smtp_smuggling_bodies.jsonl"
    if path.exists():
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        own += [(row["name"], row["body"]) for row in rows]
    return own


@pytest.mark.parametrize(("name", "body"), smuggling_bodies())
async def test_no_body_smuggles_a_second_mail(host: Memory, name: str, body: str) -> None:
    async with serve(host) as door, connected(door) as client:
        await client.start()
        await client.send(MAIL + body.encode() + b"\r\n.\r\n")
        assert (await client.reply()).startswith("250")
        # What a body may hold after a true end of data is a command line to us as to every SMTP server: refused here.
        await client.ask("NOOP")
    assert len(host.mails) == 1
    stored = host.mails[0].body
    assert b"\n" not in stored.replace(b"\r\n", b"")
    assert b"\r" not in stored.replace(b"\r\n", b"")


async def test_transparency_dots_are_taken_out_and_others_stay(host: Memory) -> None:
    async with serve(host) as door:
        await deliver(door, b"Subject: x\r\n\r\n..\r\n..x\r\n x.\r\n")
    assert host.mails[0].body == b"Subject: x\r\n\r\n.\r\n.x\r\n x.\r\n"


async def test_an_empty_mail_is_a_mail(host: Memory) -> None:
    async with serve(host) as door:
        assert (await deliver(door, b"")).startswith("250")
    assert host.mails[0].body == b""


@pytest.mark.parametrize("length", [998, 2000, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 700_000])
async def test_a_line_of_any_length_arrives_as_it_was(host: Memory, length: int) -> None:
    data = b"Subject: x\r\n\r\n" + b"x" * length + b"\r\n..dot\r\n"
    async with serve(host) as door:
        assert (await deliver(door, data)).startswith("250")
    assert host.mails[0].body == data.replace(b"..dot", b".dot")


async def test_nul_bytes_and_bytes_that_are_no_utf8_are_kept(host: Memory) -> None:
    data = b"Subject: \x00\xff\xfe\r\n\r\n\x80\x00\r\n"
    async with serve(host) as door:
        assert (await deliver(door, data)).startswith("250")
    assert host.mails[0].body == data


async def test_commands_and_mails_may_be_sent_without_waiting(host: Memory) -> None:
    one = b"MAIL FROM:<ann@customer.test>\r\nRCPT TO:<support@wallet.test>\r\nDATA\r\nSubject: %d\r\n\r\n.\r\n"
    async with serve(host) as door, connected(door) as client:
        await client.reply()
        await client.send(b"EHLO client.test\r\n" + one % 1 + one % 2 + b"QUIT\r\n")
        replies = [(await client.reply())[:3] for _ in range(10)]
    assert replies == ["250", "250", "250", "354", "250", "250", "250", "354", "250", "221"]
    assert len(host.mails) == 2


async def test_a_peer_that_leaves_in_the_middle_of_data_stores_nothing(host: Memory) -> None:
    async with serve(host) as door:
        async with connected(door) as client:
            await client.start()
            await client.send(MAIL)
        await asyncio.sleep(0.05)
        assert (await deliver(door)).startswith("250")
    assert len(host.mails) == 1


async def test_a_thousand_unknown_recipients_end_the_session(host: Memory) -> None:
    async with serve(host) as door, connected(door) as client:
        await client.reply()
        await client.ask("EHLO client.test")
        await client.ask("MAIL FROM:<ann@customer.test>")
        await client.send(b"".join(b"RCPT TO:<guess%d@wallet.test>\r\n" % n for n in range(1000)))
        replies = [(await client.reply())[:3] for _ in range(21)]
        assert replies == ["550"] * 20 + ["421"]


async def test_recipients_above_a_hundred_are_put_off(host: Memory) -> None:
    async with serve(host) as door, connected(door) as client:
        await client.reply()
        await client.ask("EHLO client.test")
        await client.ask("MAIL FROM:<ann@customer.test>")
        await client.send(b"".join(b"RCPT TO:<support+%d@wallet.test>\r\n" % n for n in range(1000)))
        replies = [(await client.reply())[:9] for _ in range(1000)]
        assert replies[:100] == ["250 2.1.5"] * 100
        assert set(replies[100:]) == {"452 4.5.3"}


async def test_a_peer_that_drips_is_cut_off(host: Memory) -> None:
    async with serve(host, Limits(idle=0.3, data=0.3)) as door:
        async with connected(door) as client:
            await client.reply()
            with pytest.raises(ConnectionError):
                await client.drip(b"EHLO client.test" * 50, 1)
        async with connected(door) as client:
            await client.start()
            with pytest.raises(ConnectionError):
                await client.drip(b"still here\r\n" * 100, 12)
    assert not host.mails


async def test_connections_above_the_limit_are_told_to_come_back(host: Memory) -> None:
    async with serve(host, Limits(connections_per_peer=2)) as door:
        async with connected(door) as one, connected(door) as two:
            assert (await one.reply()).startswith("220")
            assert (await two.reply()).startswith("220")
            async with connected(door) as three:
                assert (await three.reply()).startswith("421 4.3.2")
                assert await three.closed()
        await asyncio.sleep(0.05)
        assert (await deliver(door)).startswith("250")


def test_the_door_is_the_same_on_uvloop() -> None:
    async def story() -> None:
        host = Memory(inbox())
        async with serve(host, Limits(connections_per_peer=1)) as door, connected(door) as one:
            await one.start()
            async with connected(door) as two:
                assert (await two.reply()).startswith("421 4.3.2")
                assert await two.closed()
            await one.send(MAIL + b".\r\n")
            assert (await one.reply()).startswith("250")
        assert len(host.mails) == 1

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


async def test_mails_that_together_are_too_much_for_the_memory_are_put_off(host: Memory) -> None:
    async with serve(host, Limits(buffered=1000)) as door:
        async with connected(door) as one:
            await one.start()
            await one.send(b"x" * 70 * 1024)
            assert (await deliver(door, b"y" * 1200 + b"\r\n")).startswith("452 4.3.1")
        assert (await deliver(door)).startswith("250")


@pytest.mark.parametrize(
    "line",
    [
        "MAIL FROM:<",
        "MAIL FROM:<>>",
        "MAIL FROM:<a@b.test\x00>",
        "MAIL FROM:" + "<" * 500,
        "MAIL FROM:<a@b.test> BODY=9BIT",
    ],
)
async def test_a_malformed_sender_is_refused_for_good(host: Memory, line: str) -> None:
    async with serve(host) as door, connected(door) as client:
        await client.reply()
        await client.ask("EHLO client.test")
        assert (await client.ask(line)).startswith("5")


async def test_bytes_that_are_no_utf8_in_an_address_are_refused(host: Memory) -> None:
    async with serve(host) as door, connected(door) as client:
        await client.reply()
        await client.ask("EHLO client.test")
        await client.send(b"MAIL FROM:<\xff\xfe@b.test>\r\n")
        assert (await client.reply()).startswith("553")


async def test_garbage_ends_the_session(host: Memory) -> None:
    async with serve(host) as door, connected(door) as client:
        await client.reply()
        await client.send(b"\x16\x03\x01\x02\x00\r\n" * 10 + b"GET / HTTP/1.1\r\n" * 10)
        assert await asyncio.wait_for(client.reader.read(), 5)
