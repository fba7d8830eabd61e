"""What servers, networks and attackers do to a reader of mail."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from contextlib import suppress

import pytest

from connectors.email import imap_fetch, imap_login, imap_watchdog
from helpdesk.channels import AuthenticationFailed, Misconfigured, TemporaryFailure, Unreachable
from tests.email.imap_house import FakeHost, config, mail, reading
from tests.peers.scripted_imap import Peer, ScriptedImap


async def test_mail_arrives_by_polling_where_idle_keeps_silent() -> None:
    class Mute(ScriptedImap):
        async def idle(self, peer: Peer, tag: str) -> None:
            await peer.say("+ idling")
            await peer.line()
            await peer.say(f"{tag} OK idled")

    async with Mute() as server, reading(config(server.url(), poll_seconds=1)) as host:
        server.deliver(mail("hello"))
        await host.until(lambda: bool(host.items))


async def test_mail_arrives_by_polling_where_idle_is_not_offered() -> None:
    class Old(ScriptedImap):
        capabilities = "IMAP4rev1"

    async with Old() as server, reading(config(server.url(), poll_seconds=1)) as host:
        server.deliver(mail("hello"))
        await host.until(lambda: bool(host.items))
        assert not any("IDLE" in line for line in server.said)


async def test_idle_that_is_offered_and_refused_is_not_asked_for_in_a_circle() -> None:
    class Liar(ScriptedImap):
        async def idle(self, peer: Peer, tag: str) -> None:
            await peer.say(f"{tag} BAD what?")

    async with Liar() as server, reading(config(server.url(), poll_seconds=1)) as host:
        server.deliver(mail("hello"))
        await host.until(lambda: bool(host.items))
        assert sum("IDLE" in line for line in server.said) == 1


async def test_a_mail_told_in_passing_does_not_wait_for_the_next_poll() -> None:
    class Eager(ScriptedImap):
        async def search(self, peer: Peer, tag: str, criteria: str) -> None:
            await super().search(peer, tag, criteria)
            if not self.messages:
                self.deliver(mail("hello"))
                await peer.say("* 1 EXISTS")

    async with Eager() as server, reading(config(server.url())) as host:
        await host.until(lambda: bool(host.items))


def asked(server: ScriptedImap, word: str) -> int:
    return sum(word in line for line in server.said)


async def one_by_one(server: ScriptedImap, host: FakeHost, count: int, *, pause: float = 0.0) -> None:
    """Mails `0`, `1`, ... in an empty mailbox, each when the one before has been read."""
    for n in range(count):
        server.deliver(mail(f"{n}"))
        await host.until(lambda n=n: len(host.items) == n + 1)  # type: ignore[misc]
        await asyncio.sleep(pause)


async def pass_over(peer: Peer) -> bool:
    """Drop what has come along with the command in hand. Answers whether there was any."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            return bool(await peer.reader.read(65_536))
    return False


async def test_a_few_mails_that_were_told_of_are_fetched_without_another_question() -> None:
    async with ScriptedImap() as server, reading(config(server.url())) as host:
        searches = asked(server, "SEARCH")
        await one_by_one(server, host, 3)
        assert (asked(server, "SEARCH") - searches, asked(server, "FETCH")) == (0, 3)
    assert host.subjects == ["0", "1", "2"]
    assert host.place["uid"] == 3


async def test_many_mails_that_were_told_of_are_looked_for() -> None:
    async with ScriptedImap() as server, reading(config(server.url())) as host:
        searches = asked(server, "SEARCH")
        for n in range(imap_fetch.ALONG + 1):
            server.deliver(mail(f"{n}"))
        await host.until(lambda: len(host.items) > imap_fetch.ALONG)
        assert asked(server, "SEARCH") > searches
        assert not any(":*" in line for line in server.said if "FETCH" in line)


async def test_a_mail_that_is_left_out_of_those_told_of_is_looked_for() -> None:
    class Forgetful(ScriptedImap):
        async def fetch(self, peer: Peer, tag: str, uids: list[int], what: str) -> None:
            whole = "RFC822.SIZE" in what and "BODY" in what
            await super().fetch(peer, tag, [uid for uid in uids if uid != 1] if whole else uids, what)

    async with Forgetful() as server, reading(config(server.url())) as host:
        server.deliver(mail("first"))
        server.deliver(mail("second"))
        await host.until(lambda: len(host.items) == 2)
    assert host.subjects == ["first", "second"]


async def test_a_server_that_refuses_to_give_everything_at_once_is_asked_piece_by_piece() -> None:
    class Strict(ScriptedImap):
        async def fetch(self, peer: Peer, tag: str, uids: list[int], what: str) -> None:
            if "RFC822.SIZE" in what and "BODY" in what:
                await peer.say(f"{tag} BAD too much at once")
            else:
                await super().fetch(peer, tag, uids, what)

    async with Strict() as server, reading(config(server.url())) as host:
        server.deliver(mail("hello"))
        await host.until(lambda: bool(host.items))
    assert host.subjects == ["hello"]
    assert host.errors == []


async def test_a_large_mail_that_was_told_of_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_fetch, "PIECE", 1000)
    body = mail("large", size=5000)
    async with ScriptedImap() as server, reading(config(server.url())) as host:
        server.deliver(body)
        await host.until(lambda: bool(host.items))
    (item,) = host.items.values()
    assert item.body == body


async def test_a_mail_that_is_gone_before_it_is_fetched_is_no_trouble() -> None:
    class Hasty(ScriptedImap):
        async def fetch(self, peer: Peer, tag: str, uids: list[int], what: str) -> None:
            self.messages.pop(2, None)
            await super().fetch(peer, tag, [uid for uid in uids if uid in self.messages], what)

    async with Hasty() as server, reading(config(server.url())) as host:
        server.deliver(mail("first"))
        server.deliver(mail("short-lived"))
        server.deliver(mail("third"))
        await host.until(lambda: len(host.items) == 2)
    assert host.subjects == ["first", "third"]
    assert host.errors == []


async def test_the_next_command_goes_out_with_the_end_of_idle() -> None:
    class Patient(ScriptedImap):
        async def idle(self, peer: Peer, tag: str) -> None:
            await super().idle(peer, "*")
            following = await peer.line()
            await peer.say(f"{tag} OK idled")
            self.said.append(following)
            tag, _, rest = following.partition(" ")
            await self.command(peer, tag, rest)

    async with Patient() as server, reading(config(server.url())) as host:
        await one_by_one(server, host, 3)
        assert asked(server, "FETCH") == 3
        await asyncio.sleep(0.1)
    assert host.errors == []
    assert asked(server, "LOGOUT") == 1, "a goodbye ends IDLE like any other command"


@pytest.mark.parametrize("hangs_up", [False, True], ids=["passes over it", "hangs up"])
async def test_a_server_that_cannot_take_both_at_once_gets_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch, hangs_up: bool
) -> None:
    """As Stalwart did until 0.10: what came in one packet with DONE was passed over."""
    monkeypatch.setattr(imap_watchdog, "SILENCE_SECONDS", 0.5)

    class Simple(ScriptedImap):
        dropped = 0

        async def idle(self, peer: Peer, tag: str) -> None:
            await super().idle(peer, "*")
            along = await pass_over(peer)
            self.dropped += along
            if along and hangs_up:
                peer.writer.close()
            else:
                await peer.say(f"{tag} OK idled")

    async with Simple() as server, reading(config(server.url())) as host:
        await one_by_one(server, host, 4, pause=0.2)
        assert (server.dropped, len(host.errors)) == (1, 1)
    assert host.subjects == ["0", "1", "2", "3"]


async def test_flags_are_set_without_waiting_for_the_answer() -> None:
    class Patient(ScriptedImap):
        async def command(self, peer: Peer, tag: str, rest: str) -> None:
            following = await peer.line() if rest.startswith("UID STORE") else ""
            await super().command(peer, tag, rest)
            if following:
                tag, _, rest = following.partition(" ")
                await self.command(peer, tag, rest)

    async with Patient() as server, reading(config(server.url())) as host:
        await one_by_one(server, host, 3)
        await asyncio.sleep(0.1)
        assert server.seen == {1, 2, 3}
    assert host.errors == []


@pytest.mark.parametrize("refusal", ["NO read-only", "BAD what?"])
async def test_a_mailbox_that_takes_no_flags_is_read_all_the_same(refusal: str) -> None:
    class Sealed(ScriptedImap):
        async def command(self, peer: Peer, tag: str, rest: str) -> None:
            if rest.startswith("UID STORE"):
                await peer.say(f"{tag} {refusal}")
            else:
                await super().command(peer, tag, rest)

    async with Sealed() as server, reading(config(server.url())) as host:
        await one_by_one(server, host, 2)
    assert host.errors == []


async def test_a_server_that_passes_over_what_follows_flags_gets_one_command_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imap_watchdog, "SILENCE_SECONDS", 0.5)

    class Simple(ScriptedImap):
        dropped = 0

        async def command(self, peer: Peer, tag: str, rest: str) -> None:
            if rest.startswith("UID STORE"):
                self.dropped += await pass_over(peer)
            await super().command(peer, tag, rest)

    async with Simple() as server, reading(config(server.url())) as host:
        await one_by_one(server, host, 4, pause=0.2)
        assert (server.dropped, len(host.errors)) == (1, 1)
        assert server.seen == {1, 2, 3, 4}
    assert host.subjects == ["0", "1", "2", "3"]


async def test_an_end_of_idle_that_crosses_the_servers_own_is_no_trouble() -> None:
    class Hasty(ScriptedImap):
        async def idle(self, peer: Peer, tag: str) -> None:
            await super().idle(peer, "*")
            await peer.say(f"{tag} OK idled long enough", "DONE BAD unknown command")

    async with Hasty() as server, reading(config(server.url())) as host:
        await one_by_one(server, host, 2)
    assert host.errors == []


async def test_a_goodbye_while_idling_leads_to_a_new_connection() -> None:
    async with ScriptedImap() as server, reading(config(server.url())) as host:
        await asyncio.sleep(0.1)
        (peer,) = server.peers
        await peer.say("* BYE going down")
        await host.until(lambda: bool(host.errors))
        server.deliver(mail("hello"))
        await host.until(lambda: bool(host.items))
        assert isinstance(host.errors[0], Unreachable)


async def test_a_server_that_stops_answering_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_watchdog, "SILENCE_SECONDS", 0.5)

    class Stuck(ScriptedImap):
        async def search(self, peer: Peer, tag: str, criteria: str) -> None:
            await asyncio.sleep(30)

    async with Stuck() as server, reading(config(server.url()), ready=False) as host:
        await host.until(lambda: bool(host.errors))
        assert isinstance(host.errors[0], Unreachable)


async def test_a_connection_cut_in_the_middle_of_a_mail_loses_nothing() -> None:
    class Cut(ScriptedImap):
        cuts = 2

        def fetched(self, number: int, uid: int, what: str) -> bytes:
            whole = super().fetched(number, uid, what)
            if "BODY" in what and uid == 3 and self.cuts:
                self.cuts -= 1
                for peer in self.peers:
                    peer.writer.write(whole[: len(whole) // 2])
                    peer.writer.close()
            return whole

    async with Cut() as server, reading(config(server.url())) as host:
        for n in range(5):
            server.deliver(mail(f"{n}"))
        await host.until(lambda: len(host.items) == 5)
        assert host.subjects == ["0", "1", "2", "3", "4"]
        assert len(host.errors) == 2


@pytest.mark.parametrize("answer", ["NO [SERVERBUG] cannot", "OK fetched"])
async def test_a_mail_that_the_server_cannot_give_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("connectors.email.imap._backoff", lambda *_: 0.05)
    monkeypatch.setattr(imap_fetch, "PATIENCE_SECONDS", 0.2)

    class Broken(ScriptedImap):
        async def fetch(self, peer: Peer, tag: str, uids: list[int], what: str) -> None:
            if "BODY.PEEK[]" in what and 3 in uids:
                await peer.say(f"{tag} {answer}")
            else:
                await super().fetch(peer, tag, uids, what)

    async with Broken() as server, reading(config(server.url())) as host:
        for n in range(1, 6):
            server.deliver(mail(f"{n}"))
        await host.until(lambda: len(host.items) == 5)
        assert host.subjects == ["1", "2", "3", "4", "5"]
        assert host.items["INBOX;7;3"].hints == {"unfetchable": True}
        assert host.items["INBOX;7;3"].body.endswith(b"\r\n\r\n")
        assert 3 <= len(host.errors) <= 7
        assert all(isinstance(error, TemporaryFailure) for error in host.errors)


async def test_a_refusal_that_passes_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.email.imap._backoff", lambda *_: 0.01)
    monkeypatch.setattr(imap_fetch, "PATIENCE_SECONDS", 0.0)

    class Busy(ScriptedImap):
        refusals = 5

        async def fetch(self, peer: Peer, tag: str, uids: list[int], what: str) -> None:
            if "BODY" in what and self.refusals:
                self.refusals -= 1
                await peer.say(f"{tag} NO [INUSE] busy")
            else:
                await super().fetch(peer, tag, uids, what)

    async with Busy() as server, reading(config(server.url())) as host:
        for n in range(3):
            server.deliver(mail(f"{n}"))
        await host.until(lambda: len(host.items) == 3)
        assert all(item.hints == {} for item in host.items.values())


async def test_a_size_that_is_a_guess_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_fetch, "PIECE", 1000)
    monkeypatch.setattr(imap_fetch, "MAX_MESSAGE", 20_000)

    class Guesses(ScriptedImap):
        def fetched(self, number: int, uid: int, what: str) -> bytes:
            size = {1: 5, 2: 19_000, 3: 1500}[uid]
            actual = f"RFC822.SIZE {len(self.messages[uid])}".encode()
            return super().fetched(number, uid, what).replace(actual, f"RFC822.SIZE {size}".encode())

    bodies = [mail("more than told", size=9000), mail("less than told", size=4000), mail("far too much", size=50_000)]
    async with Guesses() as server, reading(config(server.url())) as host:
        for body in bodies:
            server.deliver(body)
        await host.until(lambda: len(host.items) == 3)
    first, second, third = host.items.values()
    assert (first.body, second.body) == (bodies[0], bodies[1])
    assert third.hints == {"truncated": 1500}


async def test_answers_of_other_shapes_are_understood() -> None:
    class Odd(ScriptedImap):
        def fetched(self, number: int, uid: int, what: str) -> bytes:
            body = self.messages[uid]
            if "BODY" not in what:
                return super().fetched(number, uid, what)
            flags = b"* 9 FETCH (UID 9 FLAGS (\\Seen))\r\n* 2 RECENT\r\n"
            return {
                1: flags + b'* 1 FETCH (BODY[] "Subject: \\"quoted\\"" UID 1)',
                2: b"* 2 FETCH (BODY[] NIL UID 2)",
                3: b"* 3 FETCH (FLAGS (\\Seen) BODY[] {%d}\r\n%s UID 3)" % (len(body), body),
            }[uid]

    async with Odd() as server, reading(config(server.url())) as host:
        tricky = b"Subject: a\r\n\r\n* 1 FETCH (UID 1 BODY[] {5}\r\nA1 OK done\r\n)"
        for body in (b"x", b"y", tricky):
            server.deliver(body)
        await host.until(lambda: len(host.items) == 3)
    assert [item.body for item in host.items.values()] == [b'Subject: "quoted"', b"", tricky]


async def test_an_absurd_announcement_ends_the_connection() -> None:
    class Boaster(ScriptedImap):
        async def fetch(self, peer: Peer, tag: str, uids: list[int], what: str) -> None:
            await peer.say("* 1 FETCH (UID 1 BODY[] {99999999999}")

    async with Boaster() as server, reading(config(server.url())) as host:
        server.deliver(mail("hello"))
        await host.until(lambda: bool(host.errors))
        assert isinstance(host.errors[0], Unreachable)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("NO [AUTHENTICATIONFAILED] no", AuthenticationFailed),
        ("NO no", AuthenticationFailed),
        ("NO [UNAVAILABLE] the directory is away", TemporaryFailure),
        ("NO [ALERT] Too many simultaneous connections. (Failure)", TemporaryFailure),
    ],
)
async def test_a_refused_login_is_told_from_a_busy_server(answer: str, error: type[Exception]) -> None:
    class Doorman(ScriptedImap):
        async def login(self, peer: Peer, tag: str) -> None:
            await peer.say(f"{tag} {answer}")

    async with Doorman() as server, reading(config(server.url()), ready=False) as host:
        await host.until(lambda: bool(host.errors))
        assert type(host.errors[0]) is error


async def test_a_refused_token_is_answered_for_so_that_the_server_goes_on() -> None:
    class Google(ScriptedImap):
        async def command(self, peer: Peer, tag: str, rest: str) -> None:
            if not rest.startswith("AUTHENTICATE"):
                await super().command(peer, tag, rest)
                return
            await peer.say("+ eyJzdGF0dXMiOiI0MDAifQ==")
            assert await peer.line() == ""
            await peer.say(f"{tag} NO [AUTHENTICATIONFAILED] Invalid credentials")

    async with Google() as server:
        session = await imap_login.connect(config(server.url()).imap, FakeHost().guard)  # type: ignore[arg-type]
        started = time.perf_counter()
        with pytest.raises(AuthenticationFailed):
            await session.login_with_token("support", "ya29.token")
        assert time.perf_counter() - started < 3
        await session.close()


async def test_no_password_goes_to_a_server_that_does_not_want_it_in_the_clear() -> None:
    class Strict(ScriptedImap):
        capabilities = "IMAP4rev1 STARTTLS LOGINDISABLED"

    async with Strict() as server, reading(config(server.url()), ready=False) as host:
        await host.until(lambda: bool(host.errors))
        assert isinstance(host.errors[0], Misconfigured)
        assert not any("secret" in line for line in server.said)


@pytest.mark.parametrize(
    ("greeting", "answer", "error"),
    [
        ("* OK ready", b"h1 NO not here", Misconfigured),
        ("* OK ready", b"h1 OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=EVIL", Unreachable),
        ("* OK ready\r\n* OK [ALERT] put here", b"h1 OK begin", Unreachable),
        ("* PREAUTH you are in", b"h1 OK begin", Unreachable),
        ("* BYE full", b"h1 OK begin", Unreachable),
    ],
)
async def test_nothing_said_in_the_clear_gets_past_starttls(
    greeting: str, answer: bytes, error: type[Exception]
) -> None:
    class Between(ScriptedImap):
        async def command(self, peer: Peer, tag: str, rest: str) -> None:
            await peer.say(answer if rest == "STARTTLS" else f"{tag} OK done")

    server = Between()
    server.greeting = greeting
    async with server, reading(config(server.url("imap+starttls")), ready=False) as host:
        await host.until(lambda: bool(host.errors))
        assert isinstance(host.errors[0], error)
        assert all("LOGIN" not in line for line in server.said)


async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"imap://a:b@127.0.0.1:{sock.getsockname()[1]}/INBOX"
        async with reading(config(url), ready=False) as host:
            await host.until(lambda: len(host.errors) == 2)
    assert all(isinstance(error, Unreachable) for error in host.errors)


async def test_secrets_and_bodies_stay_out_of_every_log(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.DEBUG)

    class Confused(ScriptedImap):
        async def login(self, peer: Peer, tag: str) -> None:
            await peer.say("ZZZ1 OK whose answer is this?", f"{tag} OK logged in")

    for kind in (ScriptedImap, Confused):
        async with kind() as server, reading(config(server.url()), ready=False) as host:
            server.deliver(mail("a private matter"))
            await host.until(lambda: bool(host.wells or host.errors))
    printed = capsys.readouterr()
    for text in (caplog.text, printed.out, printed.err):
        assert "secret" not in text
        assert "private" not in text


async def test_a_cancelled_reader_leaves_no_connection_behind() -> None:
    class Slow(ScriptedImap):
        async def search(self, peer: Peer, tag: str, criteria: str) -> None:
            await asyncio.sleep(0.5)
            await super().search(peer, tag, criteria)

    for kind, pause in ((ScriptedImap, 0.0), (ScriptedImap, 0.2), (Slow, 0.1)):
        async with kind() as server:
            async with reading(config(server.url()), ready=kind is ScriptedImap):
                await asyncio.sleep(pause)
                started = time.perf_counter()
            assert time.perf_counter() - started < 3
            await asyncio.sleep(0.05)
            assert kind is Slow or "LOGOUT" in server.said[-1]
            async with asyncio.timeout(2):
                while server.peers:
                    await asyncio.sleep(0.01)


async def test_a_mailbox_restored_from_a_backup_may_use_numbers_again() -> None:
    async with ScriptedImap() as server:
        for n in range(1, 4):
            server.deliver(mail(f"old {n}"))
        async with reading(config(server.url())) as host:
            for n in range(4, 7):
                server.deliver(mail(f"held {n}"))
            await host.until(lambda: len(host.items) == 3)
            backup = {uid: server.messages[uid] for uid in (1, 2, 3, 4)}
        server.messages = backup
        server.deliver(mail("under a number that was used"))
        async with reading(config(server.url()), host):
            new = {position: item for position, item in host.items.items() if ".1;" in position}
            assert {position for position, item in new.items() if not item.backfilled} >= {"INBOX;7.1;5"}
            assert "INBOX;7.1;4" not in new
            server.deliver(mail("afterwards"))
            await host.until(lambda: "INBOX;7.1;6" in host.items)
        assert host.place["uid"] == 6
        count = len(host.items)
        async with reading(config(server.url()), host):
            assert len(host.items) == count


async def test_a_server_without_uidnext_is_read_all_the_same() -> None:
    class Ancient(ScriptedImap):
        async def select(self, peer: Peer, tag: str) -> None:
            peer.told = len(self.messages)
            await peer.say(f"* {peer.told} EXISTS", "* OK [UIDVALIDITY 7] valid", f"{tag} OK selected")

    async with Ancient() as server:
        server.deliver(mail("old"))
        async with reading(config(server.url())) as host:
            server.deliver(mail("new"))
            await host.until(lambda: bool(host.items))
        server.messages.clear()
        async with reading(config(server.url()), host):
            assert host.subjects == ["new"]
            assert host.place["turn"] == 0


async def test_a_server_without_lasting_numbers_is_a_misconfiguration() -> None:
    class Forgetful(ScriptedImap):
        async def select(self, peer: Peer, tag: str) -> None:
            await peer.say("* 0 EXISTS", f"{tag} OK selected")

    async with Forgetful() as server, reading(config(server.url()), ready=False) as host:
        await host.until(lambda: bool(host.errors))
        assert isinstance(host.errors[0], Misconfigured)
