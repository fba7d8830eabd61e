"""The essentials of reading, against another server than Dovecot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from connectors.email.imap_sent import append_sent, find_sent
from helpdesk.channels import AuthenticationFailed, Misconfigured
from tests.email.imap_house import LOOPBACK, config, mail, reading
from tests.peers.pymap_server import Pymap


@pytest.fixture(scope="module")
def server() -> Iterator[Pymap]:
    with Pymap() as running:
        yield running


async def test_new_mail_is_told_by_idle_and_old_mail_is_left_alone(server: Pymap) -> None:
    sent = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
    async with reading(config(server.url())) as host:
        await asyncio.to_thread(server.deliver, mail("hello"), mail("again"), at=sent)
        await host.until(lambda: len(host.items) == 2, seconds=10)
    assert [(item.body, item.received_at) for item in host.items.values()] == [
        (mail("hello"), sent),
        (mail("again"), sent),
    ]
    assert host.errors == []


async def test_what_came_in_meanwhile_is_caught_up_with_although_it_was_read_elsewhere(server: Pymap) -> None:
    async with reading(config(server.url())) as host:
        pass
    await asyncio.to_thread(server.deliver, *(mail(f"{n}") for n in range(52)))
    client = server.client()
    client.store("1:*", "+FLAGS", r"\Seen")
    client.logout()
    async with reading(config(server.url()), host):
        assert host.subjects == [str(n) for n in range(52)]


async def test_a_large_mail_comes_in_pieces(server: Pymap) -> None:
    body = mail("photos", size=3 * 1024 * 1024)
    async with reading(config(server.url())) as host:
        await asyncio.to_thread(server.deliver, body)
        await host.until(lambda: bool(host.items), seconds=20)
    assert next(iter(host.items.values())).body == body


async def test_wrong_password_and_missing_mailbox_are_told_apart(server: Pymap) -> None:
    for url, error in (
        (server.url(password="wrong"), AuthenticationFailed),
        (server.url(mailbox="Nowhere"), Misconfigured),
    ):
        async with reading(config(url), ready=False) as host:
            await host.until(lambda host=host: bool(host.errors))
        assert isinstance(host.errors[0], error)


async def test_a_sent_copy_is_kept_once(server: Pymap) -> None:
    settings = config(server.url(), sent_mailbox="Sent")
    kept = [
        await append_sent(settings, LOOPBACK, None, body=mail("Re: x", message_id="s1"), message_id="<s1@example.net>")
        for _ in range(2)
    ]
    assert kept == [True, False]
    assert await find_sent(settings, LOOPBACK, None, message_id="<s1@example.net>") is not None
    assert await find_sent(settings, LOOPBACK, None, message_id="<s2@example.net>") is None
