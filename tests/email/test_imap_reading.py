"""Reading mail from a real Dovecot."""

from __future__ import annotations

import asyncio
import hashlib
import imaplib
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from connectors.email import imap, imap_login
from connectors.email.backfill import backfill
from connectors.email.config import EmailConfig
from connectors.email.imap_check import check_imap
from connectors.email.imap_fetch import Fetcher
from connectors.email.imap_sent import append_sent, find_sent
from connectors.email.oauth import TokenSource
from helpdesk.channels import AuthenticationFailed, LeaseLost, Misconfigured, Unreachable
from helpdesk.net import safe_http
from tests.email.imap_house import LOOPBACK, FakeHost, config, mail, reading
from tests.peers import dovecot
from tests.peers.dovecot import Dovecot
from tests.peers.token_server import CLIENT_ID, CLIENT_SECRET, TokenServer

pytestmark = pytest.mark.skipif(
    dovecot.BINARY is None and not os.environ.get("HELPDESK_REQUIRE_SERVICES"), reason="dovecot is not installed"
)

USERS = {f"user{n}": f'pass "{n}" \\ %&' for n in range(60)}


@pytest.fixture(scope="module")
def shared() -> Iterator[Dovecot]:
    with Dovecot(USERS) as server:
        yield server


@pytest.fixture(scope="module")
def names() -> Iterator[str]:
    return iter(USERS)


@pytest.fixture
def user(names: Iterator[str]) -> str:
    """Somebody with an empty mailbox, for each test."""
    return next(names)


def other_client(server: Dovecot, user: str) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", server.ports["plain"])
    client.login(user, USERS[user])
    client.select()
    return client


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
async def test_a_new_mail_is_accepted_within_seconds(shared: Dovecot, user: str, tls: dovecot.Tls) -> None:
    sent = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
    async with reading(config(shared.url(user, tls=tls), ca_file=shared.ca_file)) as host:
        shared.deliver(user, mail("hello"), at=sent)
        await host.until(lambda: bool(host.items))
    (item,) = host.items.values()
    assert item.body == mail("hello")
    assert item.received_at == sent
    assert item.position == f"INBOX;{host.place['uidvalidity']};1"
    assert not item.backfilled
    assert host.place["uid"] == 1
    assert host.errors == []


async def test_several_mails_in_a_row_each_wake_the_reader(shared: Dovecot, user: str) -> None:
    async with reading(config(shared.url(user))) as host:
        for n in range(1, 6):
            shared.deliver(user, mail(f"number {n}"))
            await host.until(lambda n=n: len(host.items) == n)


async def test_a_mail_is_marked_as_read_only_after_it_was_stored(shared: Dovecot, user: str) -> None:
    host = FakeHost()
    unread_at_accept: list[bool] = []

    def look() -> None:
        unread_at_accept.append(not any(path.name.endswith("S") for path in shared.files(user)))

    async with reading(config(shared.url(user)), host):
        host.obstacle = look
        shared.deliver(user, mail("hello"))
        await host.until(lambda: host.wells > 1)
    assert unread_at_accept == [True]
    assert [path.name.endswith(":2,S") for path in shared.files(user)] == [True]


async def test_flags_stay_as_they_are_when_the_inbox_says_so(shared: Dovecot, user: str) -> None:
    async with reading(config(shared.url(user), mark_seen=False)) as host:
        shared.deliver(user, mail("hello"))
        await host.until(lambda: host.wells > 1)
    assert not any(path.name.endswith("S") for path in shared.files(user))


async def test_a_mail_that_somebody_read_already_is_still_taken(shared: Dovecot, user: str) -> None:
    async with reading(config(shared.url(user))) as host:
        pass
    shared.deliver(user, mail("read on a phone"))
    client = other_client(shared, user)
    client.store("1", "+FLAGS", r"\Seen")
    client.logout()
    async with reading(config(shared.url(user)), host):
        assert host.subjects == ["read on a phone"]


async def test_mail_from_before_the_inbox_is_left_alone(shared: Dovecot, user: str) -> None:
    for n in range(500):
        shared.deliver(user, mail(f"old {n}"))
    async with reading(config(shared.url(user))) as host:
        assert host.items == {}
        assert host.place["uid"] == host.place["start"] == 500
        shared.deliver(user, mail("new"))
        await host.until(lambda: host.wells > 1)
    assert host.subjects == ["new"]
    assert sum(path.name.endswith("S") for path in shared.files(user)) == 1


async def test_what_came_in_while_nobody_read_is_caught_up_with_in_batches(shared: Dovecot, user: str) -> None:
    async with reading(config(shared.url(user))) as host:
        pass
    for n in range(120):
        shared.deliver(user, mail(f"{n}"))
    async with reading(config(shared.url(user)), host):
        assert host.subjects == [str(n) for n in range(120)]
        assert host.batches == [50, 50, 20]
        assert host.place["uid"] == 120


async def test_a_failed_commit_loses_nothing_and_repeats_nothing(shared: Dovecot, user: str) -> None:
    async with reading(config(shared.url(user))) as host:
        pass

    def fail() -> None:
        if host.items:
            raise LeaseLost

    for n in range(60):
        shared.deliver(user, mail(f"{n}"))
    host.obstacle = fail
    with pytest.raises(LeaseLost):
        async with reading(config(shared.url(user)), host, ready=False):
            await host.until(lambda: False, seconds=1.5)
    assert len(host.items) == 50
    host.obstacle = lambda: None
    async with reading(config(shared.url(user)), host):
        assert host.subjects == [str(n) for n in range(60)]


async def test_a_large_mail_comes_in_pieces_and_never_holds_up_the_loop(shared: Dovecot, user: str) -> None:
    body = mail("photos", size=30 * 1024 * 1024)
    longest = 0.0

    async def watch() -> None:
        # The loop's own processor time between two turns: what a busy machine does beside it does not count.
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    async with reading(config(shared.url(user))) as host:
        await asyncio.to_thread(shared.deliver, user, body)
        watcher = asyncio.create_task(watch())
        await host.until(lambda: bool(host.items), seconds=30)
        watcher.cancel()
    (item,) = host.items.values()
    assert hashlib.sha256(item.body).digest() == hashlib.sha256(body).digest()
    print(f"longest turn {longest * 1000:.0f} ms")
    assert longest < 0.1


async def test_a_mail_above_the_limit_is_visible_by_its_header(
    shared: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.email.imap_fetch.MAX_MESSAGE", 2 * 1024 * 1024)
    async with reading(config(shared.url(user))) as host:
        body = mail("a film", size=3 * 1024 * 1024)
        shared.deliver(user, body)
        shared.deliver(user, mail("after it"))
        await host.until(lambda: len(host.items) == 2)
    first, second = host.items.values()
    assert first.hints == {"truncated": len(body)}
    assert first.body.endswith(b"Message-ID: <a-film@example.net>\r\n\r\n")
    assert second.hints == {}


async def test_a_mailbox_with_a_chinese_name(shared: Dovecot, user: str) -> None:
    client = other_client(shared, user)
    client.create('"&W6JiN2cNUqE- &- Co"')
    client.logout()
    async with reading(config(shared.url(user, mailbox="客户服务 & Co"))) as host:
        shared.deliver(user, mail("你好"), mailbox="&W6JiN2cNUqE- &- Co")
        await host.until(lambda: bool(host.items))
    assert next(iter(host.items)).startswith("客户服务 & Co;")


async def test_after_a_renumbering_only_unknown_mail_is_taken_and_old_mail_is_backfilled(
    shared: Dovecot, user: str
) -> None:
    shared.deliver(user, mail("from before the inbox"), at=datetime.now(UTC) - timedelta(days=400))
    async with reading(config(shared.url(user))) as host:
        for n in range(3):
            shared.deliver(user, mail(f"held {n}"))
        await host.until(lambda: len(host.items) == 3)
        old = host.place["uidvalidity"]
    shared.deliver(user, mail("in between"))
    await asyncio.sleep(1.1)  # Dovecot takes the second as the new UIDVALIDITY
    shared.forget_uids(user)
    async with reading(config(shared.url(user)), host):
        assert host.place["uidvalidity"] != old
        assert {s: i.backfilled for s, i in zip(host.subjects, host.items.values(), strict=True)} == {
            "held 0": False,
            "held 1": False,
            "held 2": False,
            "from before the inbox": True,
            "in between": False,
        }
        shared.deliver(user, mail("afterwards"))
        await host.until(lambda: len(host.items) == 6)
        assert not list(host.items.values())[-1].backfilled
    # The renumbered mails that are held under their old numbers are no holes.
    count = len(host.batches)
    async with reading(config(shared.url(user)), host):
        assert len(host.batches) == count


async def test_a_server_that_restarts_is_found_again(user: str) -> None:
    with Dovecot(USERS) as server:
        async with reading(config(server.url(user), poll_seconds=1)) as host:
            server.deliver(user, mail("one"))
            await host.until(lambda: len(host.items) == 1)
            await asyncio.to_thread(server.stop)
            await host.until(lambda: bool(host.errors))
            assert isinstance(host.errors[0], Unreachable)
            server.deliver(user, mail("two"))
            await asyncio.to_thread(server.start)
            await host.until(lambda: len(host.items) == 2, seconds=20)


async def test_a_wrong_password_is_told_as_such(shared: Dovecot, user: str) -> None:
    async with reading(config(shared.url(user, password="wrong")), ready=False) as host:
        await host.until(lambda: bool(host.errors))
    assert isinstance(host.errors[0], AuthenticationFailed)
    assert "wrong" not in str(host.errors[0])


async def test_a_certificate_of_an_unknown_authority_is_refused(shared: Dovecot, user: str) -> None:
    for tls in ("starttls", "implicit"):
        async with reading(config(shared.url(user, tls=tls)), ready=False) as host:
            await host.until(lambda: bool(host.errors))
        assert isinstance(host.errors[0], Unreachable)
        assert "TLS" in str(host.errors[0])


async def test_a_mailbox_that_vanishes_is_told_as_misconfigured(shared: Dovecot, user: str) -> None:
    client = other_client(shared, user)
    client.create("Support")
    async with reading(config(shared.url(user, mailbox="Support"))) as host:
        client.delete("Support")
        client.logout()
        await host.until(lambda: any(isinstance(error, Misconfigured) for error in host.errors))


async def test_other_clients_may_expunge_and_read_as_they_like(shared: Dovecot, user: str) -> None:
    async with reading(config(shared.url(user))) as host:
        for n in range(30):
            shared.deliver(user, mail(f"{n}"))
        await host.until(lambda: len(host.items) == 30)
        client = other_client(shared, user)
        client.store("1:20", "+FLAGS", r"(\Deleted \Flagged)")
        client.expunge()
        client.logout()
        shared.deliver(user, mail("after the purge"))
        await host.until(lambda: len(host.items) == 31)
        assert host.errors == []


async def test_thousands_of_changes_at_once_are_no_trouble(shared: Dovecot, user: str) -> None:
    for n in range(3000):
        shared.deliver(user, b"Subject: x\r\n\r\n%d\r\n" % n)
    async with reading(config(shared.url(user))) as host:
        client = other_client(shared, user)
        client.store("1:3000", "+FLAGS.SILENT", r"\Deleted")
        client.expunge()
        client.logout()
        shared.deliver(user, mail("still there"))
        await host.until(lambda: bool(host.items), seconds=10)
        assert host.errors == []


async def test_a_mail_that_is_gone_before_it_is_fetched_is_left_out(shared: Dovecot, user: str) -> None:
    for n in range(3):
        shared.deliver(user, mail(f"{n}"))
    async with imap_login.logged_in(config(shared.url(user)), LOOPBACK, None) as session:
        await session.select("INBOX")
        described = await session.describe(await session.uids(1))
        ghost = replace(described[1], uid=77)
        items = await Fetcher(session, {}).fetch([*described, ghost], "INBOX;1;")
    assert [item.position for item in items] == ["INBOX;1;1", "INBOX;1;2", "INBOX;1;3"]


async def test_a_hole_is_found_and_filed(shared: Dovecot, user: str) -> None:
    async with reading(config(shared.url(user))) as host:
        for n in range(5):
            shared.deliver(user, mail(f"{n}"))
        await host.until(lambda: len(host.items) == 5)
    position = list(host.items)[2]
    del host.items[position]
    with capture_logs() as logs:
        async with reading(config(shared.url(user)), host):
            assert position in host.items
            assert host.place["uid"] == 5
    assert [(log["log_level"], log["count"]) for log in logs if log["event"] == "imap.hole"] == [("warning", 1)]


async def test_the_list_is_compared_once_a_day(shared: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "RECONCILE_SECONDS", 0.0)
    async with reading(config(shared.url(user), poll_seconds=1)) as host:
        shared.deliver(user, mail("one"))
        await host.until(lambda: len(host.items) == 1)
        host.items.clear()
        await host.until(lambda: len(host.items) == 1)


async def test_cancelling_says_goodbye_at_once(shared: Dovecot, user: str) -> None:
    async with reading(config(shared.url(user))):
        await asyncio.sleep(0.2)
        started = time.perf_counter()
    assert time.perf_counter() - started < 3
    async with asyncio.timeout(5):
        while not re.search(rf"\({user}\).*Logged out", shared.log()):
            await asyncio.sleep(0.05)


async def test_backfill_counts_and_then_takes_old_mail_once(shared: Dovecot, user: str) -> None:
    now = datetime.now(UTC)
    for days in (400, 40, 4):
        shared.deliver(user, mail(f"{days} days ago"), at=now - timedelta(days=days))
    settings = config(shared.url(user))
    told: list[tuple[int, int]] = []

    async def run(*, since: datetime | None, dry_run: bool = False) -> int:
        return await backfill(
            settings, host, None, since=since, dry_run=dry_run, tell=lambda done, total: told.append((done, total))
        )

    async with reading(settings) as host:
        assert await run(since=now - timedelta(days=50), dry_run=True) == 2
        assert host.items == {}
        assert await run(since=now - timedelta(days=50)) == 2
        assert sorted(host.subjects) == ["4 days ago", "40 days ago"]
        assert all(item.backfilled for item in host.items.values())
        assert told[-1] == (2, 2)
        assert await run(since=None) == 1
        assert await run(since=None) == 0
        shared.deliver(user, mail("today"))
        await host.until(lambda: len(host.items) == 4)
        assert not list(host.items.values())[-1].backfilled
        await host.until(lambda: host.wells > 1)
    assert sum(path.name.endswith("S") for path in shared.files(user)) == 1


async def test_backfill_before_the_first_reading_sets_the_beginning(shared: Dovecot, user: str) -> None:
    shared.deliver(user, mail("old"))
    host = FakeHost()
    settings = config(shared.url(user))
    assert await backfill(settings, host, None, since=None, dry_run=False, tell=lambda *_: None) == 1
    shared.deliver(user, mail("came in between"))
    async with reading(settings, host):
        assert [item.backfilled for item in host.items.values()] == [True, False]


async def test_a_sent_copy_is_kept_once_and_found_again(shared: Dovecot, user: str) -> None:
    client = other_client(shared, user)
    client.create('"&XfJT0ZABkK5O9g-"')
    client.logout()
    settings = config(shared.url(user), sent_mailbox="已发送邮件")
    body, message_id = mail("Re: hello", message_id="r1"), "<r1@example.net>"
    assert await find_sent(settings, LOOPBACK, None, message_id=message_id) is None
    assert await append_sent(settings, LOOPBACK, None, body=body, message_id=message_id)
    assert not await append_sent(settings, LOOPBACK, None, body=body, message_id=message_id)
    found = await find_sent(settings, LOOPBACK, None, message_id=message_id)
    assert found is not None
    assert abs(found - datetime.now(UTC)) < timedelta(minutes=1)
    (copy,) = shared.files(user, "&XfJT0ZABkK5O9g-")
    assert copy.read_bytes().replace(b"\r\n", b"\n") == body.replace(b"\r\n", b"\n")
    assert copy.name.endswith(":2,S")


async def test_a_missing_mailbox_for_sent_mail_is_told(shared: Dovecot, user: str) -> None:
    settings = config(shared.url(user), sent_mailbox="Nowhere")
    with pytest.raises(Misconfigured):
        await append_sent(settings, LOOPBACK, None, body=mail("x"), message_id="<x@example.net>")
    assert not shared.folder(user, "Nowhere").exists()


async def test_the_check_names_each_step(shared: Dovecot, user: str) -> None:
    good = await check_imap(config(shared.url(user), sent_mailbox="Nowhere"), LOOPBACK, None)
    assert [(check.name, check.ok) for check in good] == [
        ("imap.connect", True),
        ("imap.login", True),
        ("imap.mailbox", True),
        ("imap.idle", True),
        ("imap.sent_mailbox", False),
    ]
    bad = await check_imap(config(shared.url(user, password="wrong")), LOOPBACK, None)
    assert [(check.name, check.ok) for check in bad] == [("imap.connect", True), ("imap.login", False)]
    nowhere = await check_imap(config("imap://a:b@127.0.0.1:9/INBOX"), LOOPBACK, None)
    assert [(check.name, check.ok) for check in nowhere] == [("imap.connect", False)]


@asynccontextmanager
async def with_tokens() -> AsyncIterator[tuple[Dovecot, TokenServer, TokenSource, EmailConfig]]:
    with TokenServer() as issuer, Dovecot({"support": "unused"}, introspect=issuer.url("/introspect")) as server:
        settings = config(
            server.url("support", password=""),
            auth="xoauth2",
            oauth_provider="custom",
            oauth_client_id=CLIENT_ID,
            oauth_client_secret=CLIENT_SECRET,
            oauth_token_url=issuer.url("/token"),
            oauth_refresh_token=issuer.grant("support"),
            poll_seconds=1,
        )
        async with safe_http(LOOPBACK) as http:
            yield server, issuer, TokenSource(settings, http, FakeHost().save_secrets), settings


async def test_a_token_opens_the_mailbox() -> None:
    async with with_tokens() as (server, _, tokens, settings), reading(settings, tokens=tokens) as host:
        server.deliver("support", mail("hello"))
        await host.until(lambda: bool(host.items))


async def test_a_token_that_ended_early_is_replaced_without_an_alarm() -> None:
    async with with_tokens() as (_, issuer, tokens, settings):
        await tokens.token()
        issuer.end_access()
        tokens._fetched_at -= 60
        async with reading(settings, tokens=tokens) as host:
            assert host.errors == []
        assert len(issuer.forms) == 2


async def test_a_refused_token_is_told_quickly() -> None:
    async with with_tokens() as (_, issuer, tokens, settings):
        await tokens.token()
        issuer.end_access()
        started = time.perf_counter()
        async with reading(settings, tokens=tokens, ready=False) as host:
            await host.until(lambda: bool(host.errors))
        assert isinstance(host.errors[0], AuthenticationFailed)
        assert time.perf_counter() - started < 5
