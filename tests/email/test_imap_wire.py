"""Quoting, framing and reading of IMAP, without a server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from aioimaplib.aioimaplib import SELECTED, Command, FetchCommand
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.email.imap_text import (
    Described,
    mailbox_argument,
    parse_bodies,
    parse_descriptions,
    quoted,
    sequence_set,
)
from connectors.email.imap_wire import Wire


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("INBOX", '"INBOX"'),
        ("Black & White", '"Black &- White"'),
        ("客户服务", '"&W6JiN2cNUqE-"'),
        ("Support/已发送", '"Support/&XfJT0ZAB-"'),
        ('a "quoted" \\ name', '"a \\"quoted\\" \\\\ name"'),
        ("💬", '"&2D3crA-"'),
    ],
)
def test_mailbox_names_are_coded_and_quoted(name: str, argument: str) -> None:
    assert mailbox_argument(name) == argument


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_mailbox_name_becomes_one_printable_argument(name: str) -> None:
    argument = mailbox_argument(name)
    assert argument.isascii()
    assert argument.isprintable()
    assert argument[0] == argument[-1] == '"'


@pytest.mark.parametrize("text", ["a\r\nb", "a\nb", "a\0b"])
def test_what_would_end_the_command_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be quoted"):
        quoted(text)


@settings(deadline=None)
@given(st.sets(st.integers(1, 60), min_size=1))
def test_a_set_of_uids_says_exactly_those(uids: set[int]) -> None:
    said: set[int] = set()
    for part in sequence_set(sorted(uids)).split(","):
        low, _, high = part.partition(":")
        said |= set(range(int(low), int(high or low) + 1))
    assert said == uids


def test_dates_are_read_with_their_zone() -> None:
    lines = [
        b'1 FETCH (UID 4 INTERNALDATE " 1-Mar-2026 00:30:00 +0800" RFC822.SIZE 10)',
        b'2 FETCH (RFC822.SIZE 11 INTERNALDATE "31-Dec-2025 23:59:60 -0330" UID 5)',
        b'3 FETCH (RFC822.SIZE 12 INTERNALDATE "99-Foo-2025 23:59:60 -0330" UID 6)',
        b"4 FETCH (UID 9 FLAGS (\\Seen))",
        b"EXISTS",
    ]
    now = datetime(2026, 6, 1, tzinfo=UTC)
    assert list(parse_descriptions(lines, now)) == [
        Described(4, 10, datetime(2026, 2, 28, 16, 30, tzinfo=UTC)),
        Described(5, 11, datetime(2026, 1, 1, 3, 29, 59, tzinfo=UTC)),
        Described(6, 12, now),
    ]


def _fetched(wire: Wire) -> FetchCommand:
    command = FetchCommand("A1", "1:3", "(UID BODY.PEEK[])", prefix="UID", loop=wire.loop)
    wire.state = SELECTED
    wire.pending_sync_command = command
    return command


class _Pipe(asyncio.Transport):
    aborted = False

    def abort(self) -> None:
        self.aborted = True


async def test_answers_are_read_the_same_however_they_are_cut() -> None:
    bodies = {1: b"A1 OK not really\r\n* BYE\r\n", 2: b"", 3: b"(((\r\n{5}\r\n" * 3}
    stream = b"".join(
        b"* 7 EXISTS\r\n* %d FETCH (UID %d BODY[] {%d}\r\n%s FLAGS ())\r\n" % (uid, uid, len(body), body)
        for uid, body in bodies.items()
    )
    stream += b"A1 OK fetched\r\n"
    for size in (1, 2, 3, 7, 50, len(stream)):
        wire = Wire(asyncio.get_running_loop(), greeted=True)
        wire.connection_made(_Pipe())
        command = _fetched(wire)
        for at in range(0, len(stream), size):
            wire.data_received(stream[at : at + size])
        assert command.response.result == "OK"
        assert dict(parse_bodies(command.response.lines[:-1])) == bodies
        assert wire.grown
        assert not wire.lost.done()


async def test_a_hundred_thousand_lines_in_one_read_are_no_trouble() -> None:
    wire = Wire(asyncio.get_running_loop(), greeted=True)
    wire.connection_made(_Pipe())
    wire.data_received(b"* 1 EXPUNGE\r\n" * 100_000)
    assert not wire.lost.done()


async def test_nonsense_ends_the_connection_and_is_not_repeated() -> None:
    loop = asyncio.get_running_loop()
    reports: list[object] = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    wire, pipe = Wire(loop, greeted=True), _Pipe()
    wire.connection_made(pipe)
    wire.pending_sync_command = Command("LOGIN", "A1", '"me"', '"secret"', loop=loop)
    wire.data_received(b"ZZ9 OK whose is this\r\n")
    assert wire.lost.result() == "nonsense"
    assert pipe.aborted
    assert reports == []
