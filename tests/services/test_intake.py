"""Raw bytes on their way in: stored with the cursor, once, and readable by nobody without the right key."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update

from helpdesk import clock
from helpdesk.channels import RawInbound
from helpdesk.crypto import CannotOpen
from helpdesk.models.contacts import contacts
from helpdesk.models.inboxes import blobs as blob_rows
from helpdesk.models.inboxes import inbox_states, raw_items
from helpdesk.services import blobs, intake
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from tests.house import Desk, House, mail

MINA = "mina@customer.test"
NEVER_FILED = [("X-Trace", "UNFILED-0xdeadbeef-HEADER")]
"""A header that no row ever repeats: wherever it is found in the clear, the source is in the clear."""


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


@pytest.fixture
async def desk(house: House) -> Desk:
    return await house.inbox()


async def cursor(house: House, desk: Desk) -> object:
    async with house.services.database.reading() as session:
        return await intake.cursor_of(session, desk.id)


async def source(house: House, raw_id: object) -> bytes:
    row = await house.row(raw_items, raw_items.c.id == raw_id)
    async with house.services.database.reading() as session:
        return await intake.body_of(house.services, session, Keys(house.services.keyring), row)


async def everything(house: House) -> bytes:
    """All that the house has written: the database's files (or every row of it) and the folder of blobs."""
    database, settings = house.services.database, house.services.settings
    found = [path.read_bytes() for path in settings.data.rglob("*") if path.is_file()]
    if database.is_postgresql:
        async with database.reading() as session:
            tables = (
                await session.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
            ).scalars()
            for table in tables.all():
                for row in (await session.execute(text(f'SELECT * FROM "{table}"'))).all():
                    found += [bytes(cell) if isinstance(cell, bytes) else str(cell).encode() for cell in row]
    else:
        path = Path(str(database.url.database))
        found += [one.read_bytes() for one in path.parent.glob(f"{path.name}*")]
    return b"\n".join(found)


async def accept_and_fail(house: House, desk: Desk, batch: list[RawInbound]) -> None:
    services, keys = house.services, Keys(house.services.keyring)
    staged = await intake.stage(services, batch)
    how = {"inbox_id": desk.id, "staged": staged, "cursor": {"uid": 8}, "now": clock.now()}
    async with services.database.transaction() as session:
        assert len(await intake.accept(services, session, keys, batch, **how)) / 0  # type: ignore[arg-type]


async def test_raw_items_and_the_cursor_are_one_commit(house: House, desk: Desk) -> None:
    assert await house.post(desk, mail(MINA, "One"), mail(MINA, "Two"), cursor={"uid": 7}) == 2
    assert await cursor(house, desk) == {"uid": 7}
    assert [row["state"] for row in await house.rows(raw_items)] == ["received"] * 2
    batch = [RawInbound("later", mail(MINA, "Three"), clock.now())]
    with pytest.raises(ZeroDivisionError):
        await accept_and_fail(house, desk, batch)
    assert await cursor(house, desk) == {"uid": 7}
    assert len(await house.rows(raw_items)) == 2


async def test_a_cursor_alone_is_kept_too(house: House, desk: Desk) -> None:
    assert await house.post(desk, cursor={"uid": 1}) == 0
    assert await house.post(desk, cursor={"uid": 2}) == 0
    assert await cursor(house, desk) == {"uid": 2}
    assert len(await house.rows(inbox_states)) == 1


async def test_a_position_that_is_there_is_a_no_op(house: House, desk: Desk) -> None:
    places = ["INBOX;1;1", "INBOX;1;2"]
    assert await house.post(desk, mail(MINA, "One"), mail(MINA, "Two"), positions=places) == 2
    before = await house.rows(raw_items)
    assert await house.post(desk, mail(MINA, "Other"), mail(MINA, "Bytes"), positions=places, cursor={"uid": 2}) == 0
    assert await house.rows(raw_items) == before
    await house.drain()
    assert await house.post(desk, mail(MINA, "Later"), positions=places[:1]) == 0
    other = await house.inbox("billing@wallet.test")
    assert await house.post(other, mail(MINA, "One"), positions=places[:1]) == 1


async def test_a_batch_with_old_and_new_positions_stores_the_new(house: House, desk: Desk) -> None:
    await house.post(desk, mail(MINA, "One"), positions=["a"])
    assert await house.post(desk, mail(MINA, "One"), mail(MINA, "Two"), positions=["a", "b"]) == 1
    assert {row["position"] for row in await house.rows(raw_items)} == {"a", "b"}


async def test_large_mail_lies_in_the_blob_store(house: House, desk: Desk) -> None:
    small = mail(MINA, "x" * (intake.IN_ROW - 2000), message_id="small@customer.test")
    large = mail(MINA, "y" * intake.IN_ROW, message_id="large@customer.test")
    assert len(small) <= intake.IN_ROW < len(large)
    await house.post(desk, small, large)
    in_row, in_store = await house.rows(raw_items)
    assert (in_row["blob_id"], in_store["body"]) == (None, None)
    assert (len(in_row["body"]) > len(small), in_store["blob_id"] is not None) == (True, True)
    assert (await source(house, in_row["id"]), await source(house, in_store["id"])) == (small, large)
    await house.drain()
    assert [row["text"].strip()[:1] for row in await house.incoming()] == ["x", "y"]
    assert (await source(house, in_row["id"]), await source(house, in_store["id"])) == (small, large)


async def test_what_was_rolled_back_leaves_an_orphan_that_is_swept(house: House, desk: Desk) -> None:
    large = mail(MINA, "y" * intake.IN_ROW)
    await blobs.stage(house.services, [large])
    await house.post(desk, large)
    folder = house.services.settings.data / "blobs"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 2
    for path in files:
        os.utime(path, (0, 0))
    assert await blobs.sweep_orphans(house.services, older_than=timedelta(hours=1)) == 1
    await house.drain()
    assert len(await house.incoming()) == 1


async def test_a_source_is_nowhere_in_the_clear(house: House, desk: Desk) -> None:
    words = "PLAIN-0xfeedface-BODY"
    small = mail(MINA, words, headers=NEVER_FILED, message_id="small@customer.test")
    file = [('attachment; filename="secret.txt"', "text/plain", b"FILE-0xcafebabe-CONTENT")]
    large = mail(MINA, words + "z" * intake.IN_ROW, headers=NEVER_FILED, message_id="large@customer.test", files=file)
    await house.post(desk, small, large)
    waiting = await everything(house)
    for secret in (
        words.encode(),
        NEVER_FILED[0][1].encode(),
        base64.b64encode(words.encode()),
        words.encode().hex().encode(),
    ):
        assert secret not in waiting
    await house.drain()
    filed = await everything(house)
    # The text of a filed message is what agents search; its source, and every file, stays encrypted.
    assert words.encode() in filed
    assert NEVER_FILED[0][1].encode() not in filed
    assert file[0][2] not in filed


async def test_filing_hands_the_key_over_to_the_contact(house: House, desk: Desk) -> None:
    large = mail(MINA, "y" * intake.IN_ROW)
    await house.post(desk, mail(MINA, "One"), large)
    assert {row["key_owner"] for row in await house.rows(raw_items)} == {f"inbox:{desk.id}"}
    await house.drain()
    owner = f"contact:{(await house.row(contacts))['id']}"
    assert {row["key_owner"] for row in await house.rows(raw_items)} == {owner}
    assert {row["key_owner"] for row in await house.rows(blob_rows)} == {owner}


async def test_destroying_the_contacts_key_makes_the_sources_unreadable(house: House, desk: Desk) -> None:
    large = mail(MINA, "y" * intake.IN_ROW)
    await house.receive(desk, mail(MINA, "One"), large, mail("other@customer.test", "Mine"))
    keep = [row["id"] for row in await house.rows(raw_items)]
    async with house.services.database.transaction() as session:
        first = (await house.incoming())[0]["author_id"]
        await session.execute(update(contacts).where(contacts.c.id == first).values(key=b""))
    for raw_id in keep[:2]:
        with pytest.raises(CannotOpen):
            await source(house, raw_id)
    assert b"Mine" in await source(house, keep[2])
    # The same mail again: its bytes are not kept under another key either.
    await house.receive(desk, mail(MINA, "One"))
    again = (await house.rows(raw_items))[-1]
    assert again["state"] == "duplicate"
    with pytest.raises(CannotOpen):
        await source(house, again["id"])


async def test_a_ciphertext_in_another_row_does_not_open(house: House, desk: Desk) -> None:
    await house.post(desk, mail(MINA, "One"), mail(MINA, "Two"))
    first, second = await house.rows(raw_items)
    async with house.services.database.transaction() as session:
        stolen = {"body": first["body"], "data_key": first["data_key"]}
        await session.execute(update(raw_items).where(raw_items.c.id == second["id"]).values(stolen))
    with pytest.raises(CannotOpen):
        await source(house, second["id"])


async def test_nobodys_promise_starts_in_the_future(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA), at=clock.now() + timedelta(days=3))
    (conversation,) = await house.conversations()
    assert conversation["waiting_since"] <= clock.now()


async def test_what_comes_in_while_an_inbox_is_paused_waits(house: House, desk: Desk) -> None:
    from helpdesk.models.inboxes import inboxes

    async def set_state(state: str) -> None:
        async with house.services.database.transaction() as session:
            await session.execute(update(inboxes).where(inboxes.c.id == desk.id).values(state=state))

    await set_state("paused")
    await house.receive(desk, mail(MINA))
    assert not await house.incoming()
    await set_state("active")
    await house.drain()
    assert len(await house.incoming()) == 1
