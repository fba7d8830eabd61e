"""Where blobs lie: on disk by default, or in an S3-like store by `HELPDESK_BLOB_URL` through obstore.

Everything put here is encrypted already; names are digests. `put` returns when the bytes are durable.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import obstore
from obstore.store import from_url

from helpdesk.errors import Invalid, NotFound, Unavailable
from helpdesk.folders import make_folder, sync_folder


class BlobStore(Protocol):
    async def put(self, name: str, body: bytes) -> None:
        """Store durably; a name that exists is overwritten whole or not at all."""

    async def get(self, name: str) -> bytes:
        """Raises `NotFound`."""

    async def delete(self, name: str) -> None:
        """Deleting what is not there is no error."""

    def names(self, *, older_than: timedelta) -> AsyncIterator[Sequence[str]]:
        """Names of what was stored longer ago than that, in pages."""


class DiskStore:
    """Files two folders deep, written beside their place, synced and renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, name: str) -> Path:
        return self._root / name[:2] / name

    async def put(self, name: str, body: bytes) -> None:
        try:
            await asyncio.to_thread(self._write, self._path(name), body)
        except OSError:
            raise Unavailable("the blob folder cannot be written") from None

    @staticmethod
    def _write(path: Path, body: bytes) -> None:
        make_folder(path.parent)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{id(body)}.part")
        with draft.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)

    async def get(self, name: str) -> bytes:
        try:
            return await asyncio.to_thread(self._path(name).read_bytes)
        except FileNotFoundError:
            raise NotFound("the file is not in the blob store") from None

    async def delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            await asyncio.to_thread(self._path(name).unlink)

    async def names(self, *, older_than: timedelta) -> AsyncIterator[Sequence[str]]:
        before = time.time() - older_than.total_seconds()
        for number in range(256):
            yield await asyncio.to_thread(self._folder, f"{number:02x}", before)

    def _folder(self, name: str, before: float) -> list[str]:
        folder = self._root / name
        return [path.name for path in folder.iterdir() if path.stat().st_mtime < before] if folder.is_dir() else []


class ObjectStore:
    """An S3-like store; its durability is the store's own."""

    def __init__(self, url: str) -> None:
        try:
            self._store = from_url(url)
        except Exception as error:  # obstore raises types of its own for each backend
            raise Invalid.field("HELPDESK_BLOB_URL", "this is not a store that can be used") from error

    async def put(self, name: str, body: bytes) -> None:
        try:
            await obstore.put_async(self._store, f"{name[:2]}/{name}", body)
        except Exception as error:  # any failure means: not durable
            raise Unavailable("the blob store cannot be written") from error

    async def get(self, name: str) -> bytes:
        try:
            found = await obstore.get_async(self._store, f"{name[:2]}/{name}")
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            raise NotFound("the file is not in the blob store") from None

    async def delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            await obstore.delete_async(self._store, f"{name[:2]}/{name}")

    async def names(self, *, older_than: timedelta) -> AsyncIterator[Sequence[str]]:
        before = datetime.now(UTC) - older_than
        async for page in obstore.list(self._store, chunk_size=500):
            yield [item["path"].rpartition("/")[2] for item in page if item["last_modified"] < before]


def open_store(url: str, *, data: Path) -> BlobStore:
    """The store that the settings name."""
    return ObjectStore(url) if url else DiskStore(data / "blobs")
