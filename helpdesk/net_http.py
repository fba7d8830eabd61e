"""HTTP through the guard: httpx builds the request, httpcore speaks, and the socket comes from `Guard`."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, SupportsIndex

import httpcore
import httpx

from helpdesk.net_guard import Guard, kind_of, streams, tls_context
from helpdesk.net_targets import HTTP_PORTS, Kind, Unreachable, parse_url

DEFAULT_MAX_BYTES = 1_048_576
DEFAULT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read whole and decompressed. Redirects are answers too. `cut`: the body was longer than was kept."""

    status: int
    headers: httpx.Headers
    body: bytes
    cut: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON. Raises Unreachable(protocol) when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unreachable(Kind.PROTOCOL, sent=True) from None


class _Reader(asyncio.StreamReader):
    """Knows how much it holds that nobody has read. Only `read` is used on it."""

    def __init__(self) -> None:
        super().__init__()
        self.unread = 0

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        held = bytes(data)  # no copy: bytes are what a transport hands over
        self.unread += len(held)
        super().feed_data(held)

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        self.unread -= len(data)
        return data


class _Stream(httpcore.AsyncNetworkStream):
    """A judged, connected socket. asyncio streams are laid over it at the first use, in TLS when asked to first.

    Upgrading a running plain stream would be the other way, but on Python 3.11 `StreamWriter.start_tls` leaves the
    reader's flow control on the old transport.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = _Reader()
        self._writer: asyncio.StreamWriter | None = None

    async def _open(self, context: ssl.SSLContext | None = None, name: str = "") -> asyncio.StreamWriter:
        if self._writer is None:
            _, self._writer = await streams(self._sock, context, name, timeout=None, reader=self._reader)
        return self._writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        await self._open()
        try:
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)
        except OSError as error:
            raise _as_httpcore(error, httpcore.ReadTimeout, httpcore.ReadError) from None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        writer = await self._open()
        try:
            async with asyncio.timeout(timeout):
                writer.write(buffer)
                await writer.drain()
        except OSError as error:
            raise _as_httpcore(error, httpcore.WriteTimeout, httpcore.WriteError) from None

    async def aclose(self) -> None:
        writer = self._writer
        if writer is None:
            self._sock.close()
            return
        # Abort, not close: a TLS farewell to a peer that has stopped reading would keep the socket for a minute.
        writer.transport.abort()
        try:
            await writer.wait_closed()
        except OSError:
            pass

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        async with asyncio.timeout(timeout):
            await self._open(ssl_context, server_hostname or "")
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._writer.get_extra_info("ssl_object") if self._writer else None
        if info == "is_readable":
            # httpcore asks this of an idle connection. Anything to read then means that the peer has hung up, or has
            # sent what would be taken for the answer to the next request.
            return self._writer is None or self._writer.is_closing() or self._reader.unread > 0 or self._reader.at_eof()
        return None


def _as_httpcore(error: OSError, late: type[Exception], broken: type[Exception]) -> Exception:
    return late() if isinstance(error, TimeoutError) else broken()


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._guard.open_socket(host, port, ports=HTTP_PORTS))

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise Unreachable(Kind.BLOCKED)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._response.aiter_stream():
                yield part
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise _unreachable(error) from None

    async def aclose(self) -> None:
        await self._response.aclose()


def _unreachable(error: Exception) -> Unreachable:
    if isinstance(error, httpcore.TimeoutException):
        return Unreachable(Kind.TIMEOUT, sent=True)
    if isinstance(error, httpcore.NetworkError):
        return Unreachable(Kind.REFUSED, sent=True)
    return Unreachable(Kind.PROTOCOL, sent=True)


class GuardedTransport(httpx.AsyncBaseTransport):
    """A transport for any httpx client: the URL is read strictly, each new connection is judged by `guard`.

    Raises Unreachable rather than httpx's errors. It caps no body: `SafeHttp` does.
    """

    def __init__(self, guard: Guard, *, ssl_context: ssl.SSLContext | None = None, connections: int = 20) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls_context(ssl_context),
            max_connections=connections,
            keepalive_expiry=30.0,
            network_backend=_Backend(guard),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = parse_url(str(request.url))
        inner = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=request.url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            answer = await self._pool.handle_async_request(inner)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise _unreachable(error) from None
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    async def aclose(self) -> None:
        await self._pool.aclose()


class SafeHttp:
    """Requests to addresses that people configured or sent. Use it as an async context manager.

    Connections are kept for 30 seconds; a kept one goes to the address that was judged when it was made.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, *, max_bytes: int, timeout: float) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            timeout=None,  # noqa: S113 - one clock over the whole request, below, instead of one per read
            headers={"user-agent": "helpdesk", "accept-encoding": "gzip"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        json: Any = None,
        data: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        max_bytes: int | None = None,
        timeout: float | None = None,
        cut: bool = False,
    ) -> Response:
        """Send one request and read its answer. Raises Unreachable for anything but an answer.

        `timeout`: seconds from start to the last byte. `max_bytes`: of the body after decompression; a longer one
        raises `too_large`, or with `cut` is kept up to there. `files`: field → (file name, bytes, content type). A
        `Host` header of the caller's is ignored, and so are cookies of earlier answers.
        """
        limit = self._max_bytes if max_bytes is None else max_bytes
        sent = False

        async def watch(event: str, _: Mapping[str, Any]) -> None:
            nonlocal sent
            sent = sent or event == "http11.send_request_headers.started"

        self._client.cookies.clear()
        try:
            request = self._client.build_request(
                method,
                parse_url(url).url,
                headers={name: value for name, value in (headers or {}).items() if name.lower() != "host"},
                params=params,
                content=content,
                json=json,
                data=data,
                files=files,
                extensions={"trace": watch},
            )
            async with asyncio.timeout(self._timeout if timeout is None else timeout):
                answer = await self._client.send(request, stream=True)
                try:
                    body, more = await _read(answer, limit, cut=cut)
                finally:
                    await answer.aclose()
        except Unreachable as error:
            raise Unreachable(error.kind, sent=sent) from None
        except (OSError, EOFError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(kind_of(error), sent=sent) from None
        return Response(answer.status_code, answer.headers, body, more)


async def _read(answer: httpx.Response, limit: int, *, cut: bool) -> tuple[bytes, bool]:
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", ""):
        raise Unreachable(Kind.PROTOCOL, sent=True)
    inflate = _Inflate() if "gzip" in coding else None
    body = bytearray()
    # The compressed side has a bound as well: empty gzip members cost work and yield nothing.
    budget = limit + 65_536
    async for part in answer.aiter_raw():
        budget -= len(part)
        room = limit + 1 - len(body)
        body += inflate.feed(part, room) if inflate else part[:room]
        if len(body) > limit or budget < 0:
            if not cut:
                raise Unreachable(Kind.TOO_LARGE, sent=True)
            return bytes(body[:limit]), True
    return bytes(body), False


class _Inflate:
    """gzip (RFC 1952, members in a row included) that never yields more than it is asked for."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(31)

    def feed(self, part: bytes, room: int) -> bytes:
        out = bytearray()
        try:
            while part and len(out) < room:
                out += self._member.decompress(part, room - len(out))
                part = self._member.unconsumed_tail
                if self._member.eof:
                    part = self._member.unused_data
                    self._member = zlib.decompressobj(31)
        except zlib.error:
            raise Unreachable(Kind.PROTOCOL, sent=True) from None
        return bytes(out)


def safe_http(
    guard: Guard,
    *,
    ssl_context: ssl.SSLContext | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    timeout: float = DEFAULT_SECONDS,
    connections: int = 20,
) -> SafeHttp:
    """A client whose every connection passes `guard`. `ssl_context`: for a private CA; it must verify."""
    transport = GuardedTransport(guard, ssl_context=ssl_context, connections=connections)
    return SafeHttp(transport, max_bytes=max_bytes, timeout=timeout)
