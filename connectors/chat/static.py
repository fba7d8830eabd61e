"""What pages load from here: the widget, and the demo page's own files. Read once, served from memory."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

FOLDER: Final = Path(__file__).parent / "assets"
_TYPES: Final = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class File:
    body: bytes
    packed: bytes
    etag: str
    media_type: str


class Static:
    """All files of the folder that a page may load, by name."""

    def __init__(self) -> None:
        self._files = _read_all()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._files)

    async def serve(self, request: Request) -> Response:
        """For any site: who may talk is decided at the routes. A query is the embedding page's, and changes nothing.

        It is asked for anew after five minutes, so that a new release reaches every site by itself.
        """
        file = self._files[request.url.path.rpartition("/")[2]]
        headers = {
            "ETag": file.etag,
            "Cache-Control": "public, max-age=300, stale-while-revalidate=86400",
            "Access-Control-Allow-Origin": "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Vary": "Accept-Encoding",
        }
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(file.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)
        return Response(file.body, headers=headers, media_type=file.media_type)


@cache
def _read_all() -> dict[str, File]:
    return {path.name: _read(path) for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}


def _read(path: Path) -> File:
    body = path.read_bytes()
    # Weak: packed or not, it is the same file.
    etag = f'W/"{sha256(body).hexdigest()[:32]}"'
    return File(body, gzip.compress(body, 9, mtime=0), etag, _TYPES[path.suffix])
