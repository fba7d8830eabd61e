"""Getting to a logged-in IMAP session: through the guard, into TLS by either way, and past the login."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import socket

from connectors.email.config import EmailConfig, Server
from connectors.email.imap_session import Session
from connectors.email.imap_wire import Wire
from connectors.email.oauth import TokenSource
from connectors.email.reach import reached_not, tls_context
from helpdesk import net
from helpdesk.channels import AuthenticationFailed, Misconfigured, Unreachable

CONNECT_SECONDS = 20.0


async def connect(server: Server, guard: net.Guard, ca_file: str = "") -> Session:
    """Connect, with TLS as the URL says, up to the greeting and the capabilities. Raises Unreachable, Misconfigured."""
    context = tls_context(ca_file) if server.tls != "none" else None
    try:
        sock = await guard.open_socket(server.host, server.port)
    except net.Unreachable as error:
        raise reached_not(error) from None
    loop = asyncio.get_running_loop()
    wire = Wire(loop, greeted=server.tls == "starttls")
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            if server.tls == "starttls":
                await _ask_for_tls(sock)
            name = server.host if context else None
            await loop.create_connection(lambda: wire, sock=sock, ssl=context, server_hostname=name)
            await asyncio.wait({wire.greeting, wire.lost}, return_when=asyncio.FIRST_COMPLETED)
            if not wire.greeting.done():
                raise Unreachable("The server hung up before it said hello")
            session = Session(wire)
            await session.read_capabilities()
            return session
    except BaseException as error:
        if wire.transport is None:
            sock.close()
        wire.abort()
        if isinstance(error, ssl.SSLError | OSError | EOFError):
            raise reached_not(net.Unreachable(net.kind_of(error))) from None
        raise


async def _ask_for_tls(sock: socket) -> None:
    """The plain part of STARTTLS (RFC 3501 section 6.2.1).

    Whatever comes in the clear after the OK was put there by somebody who cannot do so later, to be read as if it had
    come inside TLS; and a PREAUTH greeting is how such a somebody makes STARTTLS impossible. Both end it here.
    """
    buffer = b""
    greeting, buffer = await _plain_line(sock, buffer)
    if not greeting.upper().startswith(b"* OK") or buffer:
        raise Unreachable("The server's greeting does not allow STARTTLS")
    await asyncio.get_running_loop().sock_sendall(sock, b"h1 STARTTLS\r\n")
    while True:
        line, buffer = await _plain_line(sock, buffer)
        if line.startswith(b"h1 "):
            break
    if not line.upper().startswith(b"H1 OK"):
        raise Misconfigured("The server does not offer STARTTLS")
    if buffer:
        raise Unreachable("Something was put into the connection before TLS began")


async def _plain_line(sock: socket, buffer: bytes) -> tuple[bytes, bytes]:
    while b"\r\n" not in buffer:
        data = await asyncio.get_running_loop().sock_recv(sock, 4096)
        if not data or len(buffer) > 16_384:
            raise Unreachable("The server hung up before TLS began")
        buffer += data
    line, _, rest = buffer.partition(b"\r\n")
    return line, rest


async def login(config: EmailConfig, guard: net.Guard, tokens: TokenSource | None) -> Session:
    """A connection that is logged in as the configuration says. The caller closes it.

    A token that was refused before its time is forgotten and one fresh one is tried, on a connection of its own.
    """
    server = config.imap
    if server is None:
        raise Misconfigured("imap_url is not set")
    for last in (False, True):
        token = await tokens.token() if tokens is not None else ""
        session = await connect(server, guard, config.ca_file)
        try:
            if tokens is None:
                await session.login(config.imap_user, config.imap_password.get_secret_value())
            else:
                await session.login_with_token(config.imap_user or config.address, token)
        except AuthenticationFailed:
            await session.close()
            if tokens is None or last or not tokens.forget(token):
                raise
        except BaseException:
            await session.close()
            raise
        else:
            return session
    raise AssertionError  # the second round returns or raises


@asynccontextmanager
async def logged_in(config: EmailConfig, guard: net.Guard, tokens: TokenSource | None) -> AsyncIterator[Session]:
    """`login`, and LOGOUT at the end whatever happens."""
    session = await login(config, guard, tokens)
    try:
        yield session
    finally:
        await session.close()
