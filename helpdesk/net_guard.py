"""Resolve once, judge every address, connect to a judged one. The door is `helpdesk.net`."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, ip_network

import certifi

from helpdesk.errors import Invalid
from helpdesk.net_ranges import IPAddress, IPNetwork, Reach, parse_address, reach
from helpdesk.net_targets import (
    HTTP_PORTS,
    MAIL_PORTS,
    Kind,
    Unreachable,
    canonical_host,
    is_local_name,
    parse_authority,
)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Connect = Callable[[IPAddress, int], Awaitable[socket.socket]]

# RFC 8305 section 5: how long one address may keep silent before the next is tried beside it.
STAGGER_SECONDS = 0.25
# A name with a hundred addresses is judged whole, but a hundred attempts would make us somebody's port scanner.
MAX_ATTEMPTS = 6
USUAL_PORTS = HTTP_PORTS | MAIL_PORTS


@dataclass(frozen=True, slots=True)
class AllowList:
    """What the operator opened although it is private: networks (any port), and endpoints (host and port)."""

    networks: tuple[IPNetwork, ...] = ()
    endpoints: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def parse(cls, values: Iterable[str]) -> AllowList:
        """CIDRs, single addresses and `host:port`. Raises Invalid naming the entry that is none of these."""
        networks: list[IPNetwork] = []
        endpoints: set[tuple[str, int]] = set()
        for value in values:
            text = value.strip()
            try:
                networks.append(ip_network(text.strip("[]"), strict=True))
                continue
            except ValueError:
                pass
            try:
                host, port = parse_authority(text)
                if port is None:
                    raise Unreachable(Kind.BLOCKED)
                endpoints.add((str(canonical_host(host)), port))
            except Unreachable:
                raise Invalid.field(
                    "HELPDESK_ALLOW_HOSTS", f"{text!r} is neither a network such as 10.1.0.0/16 nor host:port"
                ) from None
        return cls(tuple(networks), frozenset(endpoints))

    def opens(self, host: str, port: int, address: IPAddress) -> bool:
        """Whether the operator named this connection.

        An entry of one address opens that address whatever it is. Wider networks and named hosts open private
        addresses only: no metadata service, no link-local, nothing that is `never`.
        """
        found = [network for network in self.networks if address in network]
        if any(network.num_addresses == 1 for network in found) or (str(address), port) in self.endpoints:
            return True
        return reach(address) is not Reach.NEVER and (bool(found) or (host, port) in self.endpoints)


@dataclass(frozen=True, slots=True)
class Judged:
    """A destination that may be connected to: the canonical host, and the addresses in the order to try them."""

    host: str
    port: int
    addresses: tuple[IPAddress, ...]


async def _getaddrinfo(host: str, port: int) -> Sequence[str]:
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]) for answer in answers]


async def _tcp(address: IPAddress, port: int) -> socket.socket:
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


@cache
def _default_tls() -> ssl.SSLContext:
    # The system's own store (SSL_CERT_FILE included), and Mozilla's for images that come without one.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def tls_context(given: ssl.SSLContext | None = None) -> ssl.SSLContext:
    """The context to use: `given` (a private CA), or the default. Raises ValueError for one that verifies nothing."""
    if given is None:
        return _default_tls()
    if given.verify_mode is not ssl.CERT_REQUIRED or not given.check_hostname:
        raise ValueError("a TLS context for outgoing connections must verify certificate and host name")
    return given


def kind_of(error: BaseException) -> Kind:
    """The class of a network error that a client library raised on a guarded connection."""
    if isinstance(error, Unreachable):
        return error.kind
    if isinstance(error, ssl.SSLError):  # certificate errors are a subclass
        return Kind.TLS
    if isinstance(error, TimeoutError):
        return Kind.TIMEOUT
    return Kind.REFUSED if isinstance(error, OSError | EOFError) else Kind.PROTOCOL


class Guard:
    """Judges and connects. `resolve` and `connect` are parameters so that tests can count what would have left.

    `timeout`: seconds for resolving and connecting together; TLS has the same again.
    """

    def __init__(
        self,
        allow: AllowList | None = None,
        *,
        resolve: Resolve = _getaddrinfo,
        connect: Connect = _tcp,
        timeout: float = 10.0,
    ) -> None:
        self.allow = allow or AllowList()
        self.timeout = timeout
        self._resolve = resolve
        self._connect = connect

    async def judge(self, host: str, port: int, *, ports: frozenset[int] = USUAL_PORTS) -> Judged:
        """Resolve `host` once and judge every address. Raises Unreachable: blocked, unresolvable or timeout.

        A port outside `ports` and a name that is only local need the operator's word for every address. Without any
        such word they are refused before a resolver hears of them.
        """
        name, literal, unusual = self._considered(host, port, ports)
        addresses: tuple[IPAddress, ...] = (literal,) if literal is not None else await self._answers(name, port)
        self._judge_all(name, port, addresses, unusual=unusual)
        return Judged(name, port, addresses)

    def consider(self, host: str, port: int, *, ports: frozenset[int] = USUAL_PORTS) -> None:
        """The part of `judge` that asks no resolver, for an address that is saved now and connected to later.

        Raises Unreachable(blocked). Whoever passes is still judged, whole, at every connection.
        """
        name, literal, unusual = self._considered(host, port, ports)
        if literal is not None:
            self._judge_all(name, port, (literal,), unusual=unusual)

    def _considered(self, host: str, port: int, ports: frozenset[int]) -> tuple[str, IPAddress | None, bool]:
        canonical = canonical_host(host)
        name = str(canonical)
        unusual = port not in ports or (isinstance(canonical, str) and is_local_name(canonical))
        if not 0 < port < 65536 or (unusual and not self.allow.networks and (name, port) not in self.allow.endpoints):
            raise Unreachable(Kind.BLOCKED)
        return name, None if isinstance(canonical, str) else canonical, unusual

    def _judge_all(self, name: str, port: int, addresses: Iterable[IPAddress], *, unusual: bool) -> None:
        for address in addresses:
            if not self.allow.opens(name, port, address) and (unusual or reach(address) is not Reach.PUBLIC):
                raise Unreachable(Kind.BLOCKED)

    async def _answers(self, name: str, port: int) -> tuple[IPAddress, ...]:
        try:
            async with asyncio.timeout(self.timeout):
                texts = await self._resolve(name, port)
        except TimeoutError:
            raise Unreachable(Kind.TIMEOUT) from None
        except (OSError, UnicodeError):
            raise Unreachable(Kind.UNRESOLVABLE) from None
        if not texts:
            raise Unreachable(Kind.UNRESOLVABLE)
        try:
            return tuple(dict.fromkeys(parse_address(text) for text in texts))
        except ValueError:
            raise Unreachable(Kind.BLOCKED) from None

    async def open_socket(self, host: str, port: int, *, ports: frozenset[int] = USUAL_PORTS) -> socket.socket:
        """A connected, non-blocking socket to a judged address of `host`. The caller closes it."""
        try:
            async with asyncio.timeout(self.timeout):
                judged = await self.judge(host, port, ports=ports)
                return await _first(self._connect, judged)
        except OSError as error:  # TimeoutError is one
            raise Unreachable(kind_of(error)) from None

    async def open_connection(
        self,
        host: str,
        port: int,
        *,
        ssl_context: ssl.SSLContext | None = None,
        tls: bool | None = None,
        server_hostname: str | None = None,
        ports: frozenset[int] = USUAL_PORTS,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Streams to a judged address, in TLS when `tls` (default: when a context is given)."""
        sock = await self.open_socket(host, port, ports=ports)
        secure = ssl_context is not None if tls is None else tls
        name = server_hostname or str(canonical_host(host))
        return await streams(sock, tls_context(ssl_context) if secure else None, name, timeout=self.timeout)


async def streams(
    sock: socket.socket,
    context: ssl.SSLContext | None,
    server_hostname: str,
    *,
    timeout: float | None,
    reader: asyncio.StreamReader | None = None,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """`asyncio.open_connection` over a connected socket, which is closed when this fails. Raises Unreachable.

    `reader`: one of the caller's own making, to be fed instead of a plain one.
    """
    loop = asyncio.get_running_loop()
    source = reader or asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(source, loop=loop)
    name = server_hostname if context else None
    try:
        async with asyncio.timeout(timeout):
            transport, _ = await loop.create_connection(lambda: protocol, sock=sock, ssl=context, server_hostname=name)
            return source, asyncio.StreamWriter(transport, protocol, source, loop)
    except (OSError, EOFError) as error:
        sock.close()
        raise Unreachable(kind_of(error)) from None
    except BaseException:
        sock.close()
        raise


async def _first(connect: Connect, judged: Judged) -> socket.socket:
    """The first address that answers. Each gets a head start of STAGGER_SECONDS before the next is tried beside it."""
    waiting = list(judged.addresses[:MAX_ATTEMPTS])
    running: set[asyncio.Task[socket.socket]] = set()
    error: BaseException = OSError()
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(connect(waiting.pop(0), judged.port)))
            done, running = await asyncio.wait(
                running,
                timeout=STAGGER_SECONDS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            won = [task for task in done if task.exception() is None]
            for spare in won[1:]:
                spare.result().close()
            if won:
                return won[0].result()
            error = next((failed for task in done if (failed := task.exception())), error)
        raise error
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_close_late)


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
