"""`helpdesk import`: as often as one likes, beside running workers, and nobody is written to or called."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from helpdesk.commands import archives, importing
from helpdesk.commands.archives import Archived
from helpdesk.commands.importing import Count
from helpdesk.errors import Invalid
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import messages
from helpdesk.models.sla import sla_clocks
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.house import House

FROM = b"From mina@customer.test Mon Jan  5 10:00:00 2026\n"


def mail(number: int, text: str = "Where is my withdrawal?") -> bytes:
    head = (
        f"From: Mina <mina{number}@customer.test>\nSubject: Question {number}\nMessage-ID: <{number}@customer.test>\n"
    )
    return f"{head}Date: Mon, 5 Jan 2026 0{number}:00:00 +0000\n\n{text}\n".encode()


@pytest.fixture
def box(tmp_path: Path) -> Path:
    path = tmp_path / "box"
    bad = b"Content-Type: multipart/mixed; boundary=x\nSubject: \xff\xfe\n\n--x\n\x00\n"
    path.write_bytes(b"".join(FROM + one + b"\n" for one in (mail(1), bad, mail(2), mail(2), mail(3))))
    return path


async def test_old_mail_is_filed_with_its_dates_and_nobody_hears_of_it(services: Services, box: Path) -> None:
    await factories.policy(services)
    async with House(services) as house:
        desk = await house.inbox()
        await house.post(desk, mail(3))  # as it came by another way
        await house.drain()
        house.outgoing()
        count = Count()
        read = importing.read(archives.mbox(box), count, resolved=True)
        far: list[int] = []
        await importing.take(services, desk.id, read, count, tell=far.append)
        assert (count.received, count.known, count.skipped.total()) == (3, 2, 0)
        assert far[-1] == box.stat().st_size
        await house.drain()
        assert house.outgoing() == []
    async with services.database.reading() as session:
        m, c = messages.c, conversations.c
        query = select(m.subject, m.received_at, c.status, c.created_at, c.last_activity_at, c.next_due_at)
        rows = await session.execute(query.join(conversations, c.id == m.conversation_id).where(m.backfilled))
        found = {row[0]: tuple(row)[1:] for row in rows}
        clocks = (await session.execute(select(sla_clocks.c.conversation_id).distinct())).all()
    assert len(found) == 3
    for number in (1, 2):
        at = datetime(2026, 1, 5, number, tzinfo=UTC)
        assert found[f"Question {number}"] == (at, "resolved", at, at, None)
    assert len(clocks) == 1, "only of what came by another way"


@ON_ONE_DATABASE
async def test_an_import_that_was_killed_goes_on_where_it_was(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    inbox_id = await factories.inbox(services)
    mails = [Archived(f"byte {n}", mail(n), None, n) for n in range(1, 8)]

    def killed() -> Iterator[Archived]:
        yield from mails[:5]
        raise KeyboardInterrupt

    first = Count()
    with pytest.raises(KeyboardInterrupt):
        await importing.take(services, inbox_id, importing.read(killed(), first), first, tell=lambda _: None)
    assert first.received == 4
    again = Count()
    await importing.take(services, inbox_id, importing.read(iter(mails), again), again, tell=lambda _: None)
    assert (again.received, again.known) == (3, 4)


@ON_ONE_DATABASE
async def test_the_command_says_what_became_of_everything(
    services: Services, tmp_path: Path, box: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inbox = str(await factories.inbox(services))
    lines = await importing.mbox(services.settings, box, inbox=None)
    assert lines == ["4 mails received; the workers file them", "1 were there already"]
    assert capsys.readouterr().err.splitlines() == ["kB: 0 of 0"]
    folder = tmp_path / "Maildir"
    for part in ("cur", "new", ".Trash/cur"):
        (folder / part).mkdir(parents=True)
    (folder / "cur" / "1767607200.M1.host:2,S").write_bytes(mail(4))
    (folder / "cur" / "1767607201.M1.host:2,T").write_bytes(mail(5))
    (folder / "new" / "1767607202.M1.host").symlink_to(box)
    lines = await importing.maildir(services.settings, folder, inbox=inbox)
    assert lines == [
        "skipped: INBOX/1767607202.M1.host: no file",
        "1 mails received; the workers file them",
        "1 skipped: deleted",
        "1 skipped: no file",
    ]
    assert capsys.readouterr().err.splitlines() == ["left out, name them with --folder: Trash", "mails: 3 of 3"]
    with pytest.raises(Invalid):
        await importing.mbox(services.settings, folder / "cur" / "1767607200.M1.host:2,S", inbox=inbox)
    await factories.inbox(services)
    with pytest.raises(Invalid, match="name one of several"):
        await importing.mbox(services.settings, box, inbox=None)


@ON_ONE_DATABASE
async def test_an_archive_waits_for_those_who_file_and_not_for_nobody(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    monkeypatch.setattr(importing, "_AHEAD", 2)
    monkeypatch.setattr(importing, "_PAUSE", 0.005)
    mails = [Archived(f"byte {n}", mail(n), None, n) for n in range(1, 9)]
    waiting = select(raw_items.c.id).where(raw_items.c.state == "received")
    async with House(services) as house:
        for filed in (False, True):
            monkeypatch.setattr(importing, "_PATIENCE", 60.0 if filed else 0.01)
            desk, count, most = await house.inbox(f"desk{filed}@wallet.test"), Count(), 0
            reading = importing.read(iter(mails), count)
            taking = asyncio.create_task(importing.take(services, desk.id, reading, count, tell=lambda _: None))
            while filed and not taking.done():
                async with services.database.reading() as session:
                    most = max(most, len((await session.execute(waiting)).all()))
                await house.process()
            await taking
            assert (count.received, most <= 4) == (8, True)
            await house.drain()
