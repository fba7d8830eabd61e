"""Mail out of files: every dialect of mbox that is found in the wild, Maildir with its folders, and what is no mail."""

from __future__ import annotations

import os
import random
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from helpdesk.commands import archives
from helpdesk.errors import Invalid

FROM = b"From mina@customer.test Mon Nov  2 10:00:00 2026\n"


def mail(text: bytes = b"Hello\n", **more: str) -> bytes:
    head = b"".join(f"{name.replace('_', '-')}: {value}\n".encode() for name, value in more.items())
    return b"Subject: Where is it?\n" + head + b"\n" + text


def read(path: Path, content: bytes, **how: int) -> list[archives.Archived]:
    path.write_bytes(content)
    return list(archives.mbox(path, **how))


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return tmp_path / "box"


@pytest.mark.parametrize(
    ("name", "stored", "bodies"),
    [
        ("two mails", FROM + mail() + b"\n" + FROM + mail(b"Again\n") + b"\n", [b"Hello\n", b"Again\n"]),
        ("no empty line at the end", FROM + mail(b"Hello"), [b"Hello"]),
        ("empty lines of its own", FROM + mail(b"\n\nHello\n\n\n") + b"\n", [b"\n\nHello\n\n\n"]),
        ("nothing but headers", FROM + b"Subject: x\n\n" + FROM + mail(), [b"", b"Hello\n"]),
        ("mboxrd", FROM + mail(b"a\n>From me\n>>From you\n> From\n") + b"\n", [b"a\nFrom me\n>From you\n> From\n"]),
        ("mboxo", FROM + mail(b"\n>From Monday on\n") + b"\n", [b"\nFrom Monday on\n"]),
        ("a sentence", FROM + mail(b"\nFrom Monday on, 9:00 to 17:00 in 2026\n>From x\n") + b"\n", [None]),
        ("a line that is not behind an empty one", FROM + mail(b"Hello\n" + FROM + b"x\n") + b"\n", [None]),
        (
            "mboxcl2",
            FROM + mail(b"\n" + FROM + b">From\n", Content_Length=str(len(FROM) + 7)) + b"\n" + FROM + mail() + b"\n",
            [None, b"Hello\n"],
        ),
        ("a length that leads nowhere", FROM + mail(Content_Length="3") + b"\n" + FROM + mail(), [b"Hello\n"] * 2),
        ("a length beyond the end", FROM + mail(Content_Length="999999") + b"\n" + FROM + mail(), [b"Hello\n"] * 2),
        ("a length of zero", FROM + mail(Content_Length="0") + b"\n" + FROM + mail(), [b"Hello\n"] * 2),
        ("bytes that are no text", FROM + mail(b"\xff\x00\x8f\n") + b"\n", [b"\xff\x00\x8f\n"]),
        ("empty lines before the first", b"\n\n" + FROM + mail(), [b"Hello\n"]),
        ("nothing", b"", []),
    ],
)
def test_an_mbox_of_any_dialect_gives_its_mails_back(
    box: Path, name: str, stored: bytes, bodies: list[bytes | None]
) -> None:
    found = read(box, stored)
    assert len(found) == len(bodies), name
    for one, body in zip(found, bodies, strict=True):
        whole = one.body.partition(b"\n\n")[2] if b"\n\n" in one.body else b""
        if body is not None:
            assert whole == body, name
        else:
            # As it is stored, but for the empty line behind it: a bare From shows that none was marked.
            assert FROM + one.body in stored, name
    assert not found or found[-1].done == len(stored)


def test_lines_that_end_in_two_characters_are_kept_so(box: Path) -> None:
    stored = (FROM + mail(b"a\n>From b\n") + b"\n" + FROM + mail()).replace(b"\n", b"\r\n")
    first, second = read(box, stored)
    assert first.body == mail(b"a\nFrom b\n").replace(b"\n", b"\r\n")
    assert second.body == mail().replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("From mina@customer.test Mon Nov  2 10:00:00 2026", datetime(2026, 11, 2, 10, tzinfo=UTC)),
        ("From - Mon Nov 02 10:00:00 2026", datetime(2026, 11, 2, 10, tzinfo=UTC)),
        ("From 1789@xxx Mon Nov 02 10:00:00 +0000 2026", datetime(2026, 11, 2, 10, tzinfo=UTC)),
        ("From mina@customer.test Mon Nov  2 18:00:00 2026 +0800", datetime(2026, 11, 2, 10, tzinfo=UTC)),
        ("From mina@customer.test  Mon, 2 Nov 2026 10:00:00 +0000", datetime(2026, 11, 2, 10, tzinfo=UTC)),
        ('From "mina lee"@customer.test Mon Nov  2 10:00 2026', datetime(2026, 11, 2, 10, tzinfo=UTC)),
        ("From MAILER-DAEMON Mon Nov 31 10:00:00 2026", None),
    ],
)
def test_a_from_line_says_when_the_mail_came(box: Path, line: str, at: datetime | None) -> None:
    (found,) = read(box, line.encode() + b"\n" + mail())
    assert (found.at, found.body) == (at, mail())


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ({"Received": "from a by b; Mon, 2 Nov 2026 18:00:00 +0800", "Date": "Mon, 2 Nov 2026 09:00:00 +0000"}, 10),
        ({"Received": "from a by b", "Date": "Mon, 2 Nov 2026 09:00:00 -0000"}, 9),
        ({"Date": "Mon, 2 Nov 2026 99:00:00 +0000"}, 8),
        ({"Date": "Fri, 31 Dec 9999 23:59:59 -2359"}, 8),
        ({"Date": "yesterday"}, 8),
        ({}, 8),
    ],
)
def test_a_mail_came_when_its_last_server_says_else_its_writer_else_the_archive(said: dict[str, str], at: int) -> None:
    noted = datetime(2026, 11, 2, 8, tzinfo=UTC)
    assert archives.received_at(mail(b"Hello\n", **said), noted) == datetime(2026, 11, 2, at, tzinfo=UTC)


def test_what_was_thrown_away_is_not_brought_back_and_what_is_too_large_is_named(box: Path) -> None:
    mails = [
        mail(X_Mozilla_Status="0009"),
        mail(X_Mozilla_Status="0001"),
        mail(X_Status="AD"),
        mail(X_Status="T"),
        mail(X_Mozilla_Status="what"),
        mail(b"x" * 300 + b"\n" + b"y" * 300 + b"\n"),
        mail(b"z" * 900 + b"\n", Content_Length="901"),
        mail(b"last\n"),
    ]
    found = read(box, b"".join(FROM + one + b"\n" for one in mails), most=400)
    reasons = ["deleted", "", "deleted", "draft", "", "too large", "too large", ""]
    assert [one.reason for one in found] == reasons
    assert [one.body for one in found if not one.reason] == [mails[1], mails[4], mails[7]]
    assert found[0].place == "byte 0"


def test_what_is_no_mbox_is_refused(box: Path) -> None:
    for content in (b"Subject: x\n\nHello\n", b"From here to there\n\n", b"\x89PNG\r\n"):
        with pytest.raises(Invalid):
            read(box, content)


def test_any_mbox_is_read_in_little_room_and_never_fails(box: Path) -> None:
    chance = random.Random(4)
    pieces = [
        FROM,
        b"\n",
        b"\r\n",
        b"From ",
        b">From x\n",
        b"Content-Length: 7\n",
        b"\n\n",
        b"text\n",
        b"\xff\x00",
        mail(),
    ]
    for _ in range(300):
        stored = FROM + b"".join(chance.choices(pieces, k=chance.randrange(30)))
        found = read(box, stored, most=200)
        assert found[-1].done == len(stored)
        assert sum(len(one.body) for one in found) <= len(stored)
    with box.open("wb") as file:
        for n in range(1000):
            file.write(FROM + mail(b"%d " % n + b"x" * 4000 + b"\n") + b"\n")
        file.write(FROM + b"y" * 8_000_000)  # one line without an end
    tracemalloc.start()
    count = sum(1 for _ in archives.mbox(box, most=1_000_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (count, peak < 4_000_000) == (1001, True)


def _maildir(path: Path, *files: str) -> Path:
    for name in files:
        file = path / name
        for part in ("cur", "new", "tmp"):
            (file.parent.parent / part).mkdir(parents=True, exist_ok=True)
        file.write_bytes(mail(name.encode()))
    return path


def test_a_maildir_is_read_with_its_folders_but_for_those_that_are_no_inbox(tmp_path: Path) -> None:
    path = _maildir(
        tmp_path / "Maildir",
        "new/1793527300.M2.host",
        "cur/1793527200.M1.host:2,RS",
        "cur/1793527100.M0.host:2,T",
        "cur/1793527400.M3.host:2,DS",
        "tmp/1793527500.M9.host",
        ".Archive.2025/cur/1761991200.M1.host:2,S",
        ".Archive.Trash/cur/1761991200.M1.host:2,S",
        ".Sent/cur/1793527600.M4.host:2,S",
    )
    (path / "cur" / "1793527700.M7.host").symlink_to("/etc/hostname")
    found = list(archives.maildir(path))
    assert [(one.place, one.reason) for one in found] == [
        ("INBOX/1793527100.M0.host:2,T", "deleted"),
        ("INBOX/1793527200.M1.host:2,RS", ""),
        ("INBOX/1793527300.M2.host", ""),
        ("INBOX/1793527400.M3.host:2,DS", "draft"),
        ("INBOX/1793527700.M7.host", "no file"),
        ("Archive.2025/1761991200.M1.host:2,S", ""),
    ]
    assert found[1].at == datetime.fromtimestamp(1793527200, UTC)
    assert [one.done for one in found] == [1, 2, 3, 4, 5, 6]
    assert archives.count(path) == 6
    assert list(archives.left_out(path)) == ["Archive.Trash", "Sent"]
    assert [one.place for one in archives.maildir(path, only=["sent"])] == ["Sent/1793527600.M4.host:2,S"]
    for wrong in (tmp_path, path / "cur"):
        with pytest.raises(Invalid):
            list(archives.maildir(wrong))
    with pytest.raises(Invalid, match="there is no folder work; there are INBOX, Archive"):
        archives.count(path, only=["Work"])


def test_a_name_that_is_no_text_is_shown_and_obeyed_by_no_terminal(tmp_path: Path) -> None:
    path = _maildir(tmp_path / "Maildir", "cur/1.M1.host")
    (path / "cur" / os.fsdecode(b"2.\xff\x1b[31m\n10 mails")).symlink_to("/etc/hostname")
    (path / os.fsdecode(b".\x1b\xff.Trash") / "cur").mkdir(parents=True)
    assert [one.place for one in archives.maildir(path)][1] == "INBOX/2.\\xff\\x1b[31m\\n10 mails"
    assert list(archives.left_out(path)) == ["\\x1b\\xff.Trash"]


def test_a_long_line_that_nearly_begins_a_mail_takes_no_time(box: Path) -> None:
    line = b"\nFrom " + b"Mon Jan " * 7_000 + b"\n"
    began = time.process_time()
    assert len(read(box, FROM + mail(line * 3))) == 1
    assert time.process_time() - began < 1.0


def test_a_mail_of_many_short_lines_takes_no_more_memory_than_a_long_one(box: Path) -> None:
    box.write_bytes(FROM + mail(b"a\n" * 300_000))
    tracemalloc.start()
    try:
        next(archives.mbox(box))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


def test_a_folder_that_may_not_be_read_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _maildir(tmp_path / "Maildir", "cur/1.M1.host", ".Work/cur/1.M1.host")
    listed = Path.iterdir

    def refused(folder: Path) -> Iterator[Path]:
        if folder == path / ".Work" / "cur":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(Invalid, match=r"\.Work cannot be read \(Permission denied\)"):
        archives.count(path)
