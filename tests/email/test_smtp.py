"""Sending over a real connection: what each ending means, who gets the mail, and that nobody gets it twice."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from connectors.email import oauth
from connectors.email.compose import compose
from connectors.email.config import EmailConfig
from connectors.email.oauth import TokenSource
from connectors.email.outgoing_files import path_of, write
from connectors.email.smtp import Sender
from connectors.email.smtp_replies import codes
from connectors.email.smtp_session import Waits
from helpdesk.channels import (
    Address,
    AuthenticationFailed,
    ChannelError,
    Composed,
    LeaseLost,
    Misconfigured,
    OutboundAttachment,
    OutboundMessage,
    PermanentFailure,
    RateLimited,
    RecipientRefused,
    Refusal,
    TemporaryFailure,
    Uncertain,
    Unreachable,
)
from helpdesk.net import AllowList, Guard, safe_http
from tests.peers.certificates import Authority
from tests.peers.smtp_sink import SmtpSink
from tests.peers.token_server import CLIENT_ID, CLIENT_SECRET, TokenServer

GUARD = Guard(AllowList.parse(["127.0.0.0/8"]))
SHORT = Waits(connect=5, command=5, data=5, progress=5, final=5)
ROOT = Path(__file__).resolve().parents[2]


async def nothing() -> None:
    """What the house does before the final dot, in tests that are not about it."""


def config(sink: SmtpSink, **more: Any) -> EmailConfig:
    return EmailConfig(address="support@wallet.test", smtp_url=sink.url(), **more)


def mail(*recipients: str, automatic: bool = False, **more: Any) -> Composed:
    message = OutboundMessage(
        message_id=UUID("0195a000-0000-7000-8000-000000000001"),
        client_token="token-1",
        to=tuple(Address(one) for one in recipients or ("ann@customer.test",)),
        text=more.pop("text", "It is on its way.\n.\n..dots\n"),
        created_at=datetime(2025, 3, 3, 14, 5, tzinfo=UTC),
        subject="Re: Lost",
        automatic=automatic,
        **more,
    )
    return compose(EmailConfig(address="support@wallet.test"), message)


@asynccontextmanager
async def sender(sink: SmtpSink, waits: Waits = SHORT, idle: float = 30, **more: Any) -> AsyncIterator[Sender]:
    settings = config(sink, **more)
    assert settings.smtp is not None
    found = Sender(settings, settings.smtp, GUARD, waits=waits, idle=idle)
    try:
        yield found
    finally:
        await found.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


# -- what arrives


async def test_the_mail_arrives_as_it_was_composed() -> None:
    message = mail("ann@customer.test", "bob@customer.test")
    async with SmtpSink() as sink, sender(sink) as out:
        receipt = await out.send(message, at_final=nothing)
    assert receipt.external_id == message.external_id
    assert receipt.accepted == ("ann@customer.test", "bob@customer.test")
    assert receipt.refused == ()
    assert receipt.sent_at.tzinfo is not None
    [taken] = sink.messages
    assert taken.body == message.body
    assert taken.sender == "support@wallet.test"
    assert taken.recipients == message.recipients


async def test_notices_are_asked_for_where_they_are_offered() -> None:
    async with SmtpSink() as sink, sender(sink) as out:
        message = mail()
        await out.send(message, at_final=nothing)
        await out.send(mail(automatic=True), at_final=nothing)
        sink.extensions = ["8BITMIME"]
    options = sink.messages[0].mail_options.split()
    assert {"RET=HDRS", f"ENVID={message.external_id}", f"SIZE={len(message.body)}"} == set(options)
    assert sink.messages[0].rcpt_options == ("NOTIFY=FAILURE,DELAY",)
    assert "RET" not in sink.messages[1].mail_options
    assert sink.messages[1].rcpt_options == ("",)


async def test_a_server_that_offers_nothing_is_asked_for_nothing() -> None:
    async with SmtpSink(extensions=()) as sink:
        sink.reply("ehlo", "502 5.5.1 only HELO here")
        async with sender(sink) as out:
            await out.send(mail(), at_final=nothing)
    assert sink.messages[0].mail_options == ""
    assert "HELO wallet.test" in sink.commands


async def test_international_addresses_need_a_server_that_takes_them() -> None:
    message = mail("用户@customer.test")
    async with SmtpSink() as sink, sender(sink) as out:
        await out.send(message, at_final=nothing)
        assert sink.messages[0].recipients == ("用户@customer.test",)
        assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(sink.messages[0].mail_options.split())
    async with SmtpSink(extensions=["8BITMIME"]) as sink, sender(sink) as out:
        with pytest.raises(RecipientRefused) as refused:
            await out.send(message, at_final=nothing)
    assert refused.value.refusals == (Refusal("用户@customer.test", True, "553 5.6.7"),)


async def test_a_mail_above_the_servers_size_is_refused_before_it_is_sent() -> None:
    async with SmtpSink(extensions=["SIZE 100"]) as sink, sender(sink) as out:
        with pytest.raises(PermanentFailure, match="at most 100 bytes"):
            await out.send(mail(), at_final=nothing)
    assert not any(command.startswith("MAIL") for command in sink.commands)


async def test_a_large_mail_arrives_whole() -> None:
    files = (OutboundAttachment("big.bin", "application/zip", os.urandom(8_000_000)),)
    message = mail(attachments=files)
    async with SmtpSink() as sink, sender(sink) as out:
        await out.send(message, at_final=nothing)
    assert sink.messages[0].body == message.body


# -- recipients


async def test_refused_recipients_are_told_and_the_others_get_the_mail() -> None:
    async with SmtpSink() as sink, sender(sink) as out:
        sink.reply("rcpt", "550 5.1.1 <gone> is unknown here", match="gone@")
        sink.reply("rcpt", "452 4.2.2 mailbox full", match="full@")
        sink.reply("rcpt", "552 too many recipients", match="many@")
        receipt = await out.send(
            mail("ann@customer.test", "gone@c.test", "full@c.test", "many@c.test"), at_final=nothing
        )
    assert receipt.accepted == ("ann@customer.test",)
    assert receipt.refused == (
        Refusal("gone@c.test", True, "550 5.1.1"),
        Refusal("full@c.test", False, "452 4.2.2"),
        Refusal("many@c.test", False, "552"),
    )
    assert sink.messages[0].recipients == ("ann@customer.test",)


async def test_who_was_accepted_before_is_never_sent_to_again() -> None:
    message = replace(mail("ann@customer.test", "bob@c.test"), accepted=("ann@customer.test",))
    async with SmtpSink() as sink, sender(sink) as out:
        receipt = await out.send(message, at_final=nothing)
        assert sink.messages[0].recipients == ("bob@c.test",)
        assert receipt.accepted == ("ann@customer.test", "bob@c.test")
        await out.send(replace(message, accepted=message.recipients), at_final=nothing)
    assert len(sink.messages) == 1


async def test_when_all_are_refused_it_depends_on_whether_for_good() -> None:
    async with SmtpSink() as sink, sender(sink) as out:
        sink.reply("rcpt", "550 5.1.1 no", match="gone@")
        with pytest.raises(RecipientRefused) as refused:
            await out.send(mail("gone@c.test"), at_final=nothing)
        assert refused.value.refusals == (Refusal("gone@c.test", True, "550 5.1.1"),)
        sink.reply("rcpt", "450 4.2.0 greylisted", match="grey@")
        with pytest.raises(TemporaryFailure, match=r"450 4\.2\.0"):
            await out.send(mail("grey@c.test"), at_final=nothing)
        with pytest.raises(TemporaryFailure):
            await out.send(mail("gone@c.test", "grey@c.test"), at_final=nothing)
    assert not sink.messages


async def test_a_null_sender_that_is_refused_is_tried_once_more_from_the_inbox() -> None:
    async with SmtpSink() as sink, sender(sink) as out:
        await out.send(mail(automatic=True), at_final=nothing)
        sink.reply("mail", "550 5.1.7 null sender not allowed", match="FROM:<>")
        await out.send(mail(automatic=True), at_final=nothing)
    assert [message.sender for message in sink.messages] == ["", "support@wallet.test"]


# -- what the ending means


@pytest.mark.parametrize(
    ("stage", "line", "error"),
    [
        ("connect", "554 5.7.1 go away", Misconfigured),
        ("connect", "421 4.3.2 busy", TemporaryFailure),
        ("mail", "451 4.3.0 later", TemporaryFailure),
        ("mail", "550 5.7.1 not you", PermanentFailure),
        ("mail", "530 5.7.0 log in", AuthenticationFailed),
        ("mail", "421 4.7.0 too many messages, slow down", RateLimited),
        ("mail", "450 4.7.1 Too many messages", RateLimited),
        ("mail", "550 5.4.5 Daily user sending limit exceeded", RateLimited),
        ("mail", "nonsense", Unreachable),
        ("rcpt", "421 4.3.2 shutting down", TemporaryFailure),
        ("data", "451 4.3.0 later", TemporaryFailure),
        ("data", "554 5.5.1 no valid recipients", PermanentFailure),
        ("dot", "451 4.3.0 disk full", TemporaryFailure),
        ("dot", "421 4.3.2 shutting down", TemporaryFailure),
        ("dot", "550 5.7.1 looks like spam <http://evil.test>", PermanentFailure),
        ("dot", "nonsense", Uncertain),
    ],
)
async def test_a_reply_means_what_it_says(stage: str, line: str, error: type[ChannelError]) -> None:
    async with SmtpSink() as sink, sender(sink) as out:
        sink.reply(stage, line, times=1)
        with pytest.raises(ChannelError) as raised:
            await out.send(mail(), at_final=nothing)
        assert type(raised.value) is error
        assert "evil" not in str(raised.value)
        # Whatever it was, the next message is not held up by it.
        assert (await out.send(mail(), at_final=nothing)).accepted


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "body"])
async def test_a_connection_that_ends_before_the_final_dot_is_safe_to_repeat(stage: str) -> None:
    big = (OutboundAttachment("big.bin", "application/zip", os.urandom(4_000_000)),)
    async with SmtpSink() as sink, sender(sink) as out:
        sink.drop(stage, times=1)
        with pytest.raises(Unreachable):
            await out.send(mail(attachments=big), at_final=nothing)
        assert not sink.messages
        await out.send(mail(attachments=big), at_final=nothing)
    assert len(sink.messages) == 1


async def test_a_connection_that_ends_after_the_final_dot_is_uncertain() -> None:
    async with SmtpSink() as sink, sender(sink) as out:
        sink.drop("dot", times=1)
        with pytest.raises(Uncertain):
            await out.send(mail(), at_final=nothing)
    assert len(sink.messages) == 1


async def test_silence_after_the_final_dot_is_uncertain_and_before_it_is_not() -> None:
    async with SmtpSink() as sink, sender(sink, replace(SHORT, final=0.2, data=0.2)) as out:
        sink.wait("dot", 2, times=1)
        with pytest.raises(Uncertain):
            await out.send(mail(), at_final=nothing)
        sink.wait("data", 2, times=1)
        with pytest.raises(Unreachable):
            await out.send(mail(), at_final=nothing)


async def test_a_server_that_stops_reading_is_given_up_before_the_end() -> None:
    files = (OutboundAttachment("big.bin", "application/zip", os.urandom(20_000_000)),)
    async with SmtpSink() as sink, sender(sink, replace(SHORT, progress=0.3)) as out:
        sink.wait("body", 3, times=1)
        with pytest.raises(Unreachable):
            await out.send(mail(attachments=files), at_final=nothing)
    assert not sink.messages


async def test_a_refusal_in_the_middle_of_the_mail_is_heard() -> None:
    files = (OutboundAttachment("big.bin", "application/zip", os.urandom(20_000_000)),)
    async with SmtpSink() as sink, sender(sink) as out:
        sink.reply("body", "552 5.3.4 too large", times=1)
        with pytest.raises(PermanentFailure, match=r"552 5\.3\.4"):
            await out.send(mail(attachments=files), at_final=nothing)


async def test_nobody_listening_is_unreachable_and_a_forbidden_address_is_a_setting() -> None:
    async with SmtpSink() as sink:
        pass
    async with sender(sink) as out:
        with pytest.raises(Unreachable):
            await out.send(mail(), at_final=nothing)
    settings = config(sink)
    assert settings.smtp is not None
    with pytest.raises(Misconfigured):
        await Sender(settings, settings.smtp, Guard()).send(mail(), at_final=nothing)


@pytest.mark.parametrize(
    ("code", "message", "shown"), [(550, "5.1.1 no <a@b>", "550 5.1.1"), (451, "later", "451"), (250, "", "250")]
)
def test_only_codes_are_shown(code: int, message: str, shown: str) -> None:
    assert codes(code, message) == shown


async def test_the_house_is_asked_when_only_the_final_dot_is_missing() -> None:
    seen: list[str] = []

    async def at_final() -> None:
        await asyncio.sleep(0.05)
        seen.append(f"{sink.commands[-1]} {len(sink.messages)}")

    async with SmtpSink() as sink, sender(sink) as out:
        await out.send(mail(), at_final=at_final)
        assert seen == ["DATA 0"]
        sink.reply("data", "451 4.3.0 later", times=1)
        with pytest.raises(TemporaryFailure):
            await out.send(mail(), at_final=at_final)
    assert len(seen) == 1


@pytest.mark.parametrize("error", [LeaseLost(), OSError("database away"), TimeoutError(), Unreachable("x")])
async def test_a_house_that_says_no_keeps_the_mail_from_being_sent(error: Exception) -> None:
    async def at_final() -> None:
        raise error

    async with SmtpSink() as sink, sender(sink) as out:
        with pytest.raises(type(error)) as raised:
            await out.send(mail(), at_final=at_final)
        assert raised.value is error
        await out.send(mail(), at_final=nothing)
    assert len(sink.messages) == 1


# -- connections


async def test_connections_are_kept_and_reset_between_messages() -> None:
    async with SmtpSink() as sink, sender(sink) as out:
        for _ in range(3):
            await out.send(mail(), at_final=nothing)
    assert sink.connections == 1
    assert sink.commands.count("RSET") == 2
    assert [command.partition(" ")[0] for command in sink.commands if command.startswith("EHLO")] == ["EHLO"]


async def test_no_more_than_three_connections_are_opened_at_once() -> None:
    async with SmtpSink() as sink, sender(sink) as out:
        sink.wait("dot", 0.05)
        await asyncio.gather(*(out.send(mail(), at_final=nothing) for _ in range(12)))
    assert len(sink.messages) == 12
    assert sink.connections == 3


async def test_an_idle_connection_is_closed() -> None:
    async with SmtpSink() as sink, sender(sink, idle=0.1) as out:
        await out.send(mail(), at_final=nothing)
        await asyncio.sleep(0.3)
        assert sink.commands[-1] == "QUIT"
        await out.send(mail(), at_final=nothing)
    assert sink.connections == 2


@pytest.mark.parametrize("stage", ["rset", "mail"])
async def test_a_kept_connection_at_the_end_of_its_welcome_is_replaced(stage: str) -> None:
    async with SmtpSink() as sink, sender(sink) as out:
        await out.send(mail(), at_final=nothing)
        sink.drop(stage, times=1)
        await out.send(mail(), at_final=nothing)
        sink.reply(stage, "421 4.7.0 too many messages on this connection", times=1)
        await out.send(mail(), at_final=nothing)
    assert len(sink.messages) == 3
    assert sink.connections == 3


# -- encryption and login


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_encryption_is_verified(authority: Authority, tls: Any) -> None:
    async with SmtpSink(tls=tls, certificate=authority.issue("127.0.0.1")) as sink:
        async with sender(sink, ca_file=str(authority.ca_file)) as out:
            await out.send(mail(), at_final=nothing)
        assert sink.messages[0].tls
        async with sender(sink) as out:
            with pytest.raises(Unreachable, match="TLS"):
                await out.send(mail(), at_final=nothing)
    sink = SmtpSink(tls=tls, certificate=authority.issue("mail.elsewhere.test"))
    async with sink, sender(sink, ca_file=str(authority.ca_file)) as out:
        with pytest.raises(Unreachable, match="TLS"):
            await out.send(mail(), at_final=nothing)
    assert len(sink.messages) == 0


async def test_a_server_without_starttls_gets_no_password(authority: Authority) -> None:
    async with SmtpSink(logins={"support": "secret"}) as sink:
        sink.tls = "starttls"
        settings = config(sink, smtp_user="support", smtp_password="secret")
        sink.tls = "none"
        assert settings.smtp is not None
        out = Sender(settings, settings.smtp, GUARD, waits=SHORT)
        with pytest.raises(Misconfigured, match="STARTTLS"):
            await out.send(mail(), at_final=nothing)
        await out.close()
    assert not any(command.startswith("AUTH") for command in sink.commands)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_a_password_is_given_as_the_server_takes_it(authority: Authority, mechanism: str) -> None:
    sink = SmtpSink(
        tls="starttls",
        certificate=authority.issue("127.0.0.1"),
        logins={"support": "sécret"},
        mechanisms=["CRAM-MD5", mechanism],
    )
    login = {"smtp_user": "support", "ca_file": str(authority.ca_file)}
    async with sink:
        async with sender(sink, smtp_password="sécret", **login) as out:
            await out.send(mail(), at_final=nothing)
        assert sink.messages[0].login == "support"
        async with sender(sink, smtp_password="wrong", **login) as out:
            with pytest.raises(AuthenticationFailed) as refused:
                await out.send(mail(), at_final=nothing)
        assert "wrong" not in str(refused.value)
        sink.reply("auth", "454 4.7.0 directory away", times=1)
        async with sender(sink, smtp_password="sécret", **login) as out:
            with pytest.raises(TemporaryFailure) as later:
                await out.send(mail(), at_final=nothing)
        assert type(later.value) is TemporaryFailure


async def test_a_server_without_logins_we_know_is_a_setting() -> None:
    sink = SmtpSink(logins={"support": "x"}, mechanisms=["GSSAPI"])
    async with sink, sender(sink, smtp_user="support", smtp_password="x") as out:
        with pytest.raises(Misconfigured):
            await out.send(mail(), at_final=nothing)


def introspecting(issuer: TokenServer) -> Callable[[str, str], bool]:
    def good(user: str, token: str) -> bool:
        request = urllib.request.Request(issuer.url("/introspect"), headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request) as answer:
            found = json.load(answer)
        return bool(found["active"]) and found["email"] == user

    return good


@asynccontextmanager
async def with_tokens(sink: SmtpSink, issuer: TokenServer) -> AsyncIterator[Sender]:
    settings = config(
        sink,
        smtp_user="support@wallet.test",
        auth="xoauth2",
        oauth_provider="custom",
        oauth_client_id=CLIENT_ID,
        oauth_client_secret=CLIENT_SECRET,
        oauth_refresh_token=issuer.grant("support@wallet.test"),
        oauth_token_url=issuer.url("/token"),
    )
    assert settings.smtp is not None

    async def save(changed: Mapping[str, str]) -> None:
        assert set(changed) == {"oauth_refresh_token"}

    async with safe_http(GUARD) as http:
        out = Sender(settings, settings.smtp, GUARD, TokenSource(settings, http, save), waits=SHORT)
        try:
            yield out
        finally:
            await out.close()


async def test_a_token_logs_in_and_one_that_ended_early_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth, "FRESH_SECONDS", 0.0)
    with TokenServer() as issuer:
        async with SmtpSink(tokens=introspecting(issuer)) as sink, with_tokens(sink, issuer) as out:
            await out.send(mail(), at_final=nothing)
            assert sink.messages[0].login == "support@wallet.test"
            await out.close()
            issuer.end_access()
            await out.send(mail(), at_final=nothing)
            assert len(sink.messages) == 2
            assert sink.commands.count("AUTH XOAUTH2") == 3
            await out.close()
            issuer.withdraw()
            with pytest.raises(AuthenticationFailed):
                await out.send(mail(), at_final=nothing)


async def test_a_server_without_xoauth2_is_a_setting() -> None:
    with TokenServer() as issuer:
        async with (
            SmtpSink(tokens=introspecting(issuer), mechanisms=["PLAIN"]) as sink,
            with_tokens(sink, issuer) as out,
        ):
            with pytest.raises(Misconfigured, match="XOAUTH2"):
                await out.send(mail(), at_final=nothing)


# -- files


def test_without_a_server_a_mail_is_a_file_and_writing_it_twice_leaves_one(tmp_path: Path) -> None:
    folder = tmp_path / "outgoing"
    message = mail()
    path = write(str(folder), message)
    assert path.read_bytes() == message.body
    assert path.stat().st_mode & 0o777 == 0o600
    assert write(str(folder), message) == path
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize("external_id", ["../../etc/x@y", "a/b@c", "x" * 300, ".hidden", "a\x00b", ""])
def test_a_files_name_stays_in_its_folder(tmp_path: Path, external_id: str) -> None:
    message = replace(mail(), external_id=external_id)
    assert write(str(tmp_path), message).parent == tmp_path
    assert path_of(str(tmp_path), message) != path_of(str(tmp_path), mail())
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_a_temporary_failure(tmp_path: Path) -> None:
    (tmp_path / "outgoing").write_text("a file")
    with pytest.raises(TemporaryFailure):
        write(str(tmp_path / "outgoing"), mail())


# -- the places where a crash test lets the process die

_DYING = """
import asyncio, sys
sys.path.insert(0, {root!r})
from tests.email.test_smtp import GUARD, SHORT, mail, nothing
from connectors.email.config import EmailConfig
from connectors.email.smtp import Sender
async def main():
    config = EmailConfig(address="support@wallet.test", smtp_url="smtp://127.0.0.1:{port}")
    await Sender(config, config.smtp, GUARD, waits=SHORT).send(mail(), at_final=nothing)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("point", "taken"), [("smtp.connected", 0), ("rcpt.accepted", 0), ("data.last_byte", 1), ("reply.received", 1)]
)
async def test_the_failpoints_stand_where_their_names_say(point: str, taken: int) -> None:
    async with SmtpSink() as sink:
        code = _DYING.format(root=str(ROOT), port=sink.port)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, env={**os.environ, "HELPDESK_FAILPOINTS": f"{point}:exit"}
        )
        assert await asyncio.wait_for(process.wait(), 30) == 86
        for _ in range(100):
            if len(sink.messages) >= taken:
                break
            await asyncio.sleep(0.02)
    assert len(sink.messages) == taken
    assert any(command.startswith("RCPT") for command in sink.commands) is (point != "smtp.connected")


def test_the_sink_runs_as_a_program(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.peers.smtp_sink", str(tmp_path), "--reply", "mail=451 4.3.0 later@1"],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        settings = EmailConfig(address="support@wallet.test", smtp_url=f"smtp://127.0.0.1:{port}")

        async def send() -> None:
            assert settings.smtp is not None
            out = Sender(settings, settings.smtp, GUARD, waits=SHORT)
            with pytest.raises(TemporaryFailure):
                await out.send(mail(), at_final=nothing)
            await out.send(mail(), at_final=nothing)
            await out.close()

        asyncio.run(send())
        assert (tmp_path / "000001.eml").read_bytes() == mail().body
        assert '"ann@customer.test"' in (tmp_path / "000001.json").read_text()
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
