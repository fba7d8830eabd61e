"""Blobs on disk: what `put` has answered for is there after a power cut."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpdesk.blobstore import DiskStore
from helpdesk.errors import NotFound

NAME = "ab" * 16


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was synced so far, as inodes: a file keeps its own when it is renamed."""
    found: list[int] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        found.append(os.fstat(descriptor).st_ino)
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


async def test_a_body_its_folder_and_every_new_folder_above_it_are_synced(tmp_path: Path, synced: list[int]) -> None:
    root = tmp_path / "data" / "blobs"
    store = DiskStore(root)
    await store.put(NAME, b"sealed")
    body = root / "ab" / NAME
    holding = [tmp_path, root.parent, root]  # each has the entry of the next
    assert synced == [path.stat().st_ino for path in (*holding, body, body.parent)]
    assert await store.get(NAME) == b"sealed"
    synced.clear()
    await store.put("ab" * 15 + "cd", b"another")
    assert len(synced) == 2, "folders that are there already were synced when they were made"


async def test_bodies_are_for_their_owner_alone(tmp_path: Path) -> None:
    await DiskStore(tmp_path / "blobs").put(NAME, b"sealed")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "blobs", tmp_path / "blobs" / "ab")}
    assert modes == {"blobs": 0o700, "ab": 0o700}


async def test_what_is_gone_is_not_found_and_may_be_deleted_again(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    await store.put(NAME, b"sealed")
    await store.delete(NAME)
    await store.delete(NAME)
    with pytest.raises(NotFound):
        await store.get(NAME)
