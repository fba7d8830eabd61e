"""The built-in door: SMTP and LMTP in, for the inboxes with `receive = smtp`. It delivers; it never relays.

A recipient is ours when it is an inbox's address, that address with a `+tag` before the @, or an inbox's reply address
with a token in its place. Everything else is refused with 550 5.1.1. The answer to DATA waits for the commit, so a 250
means that the mail is stored; when it cannot be stored the answer is 451 and the peer keeps the mail.

What is stored is what was sent, and nothing is added: a trace header of ours would stand above the
Authentication-Results header that the MTA before us wrote, where readers expect the boundary of what they may believe.
What a trace would say (peer, envelope) is in the hints. That also makes the digest of the bytes a lasting name for the
mail: an MTA that did not see our 250 sends the same bytes again, and the second time is a no-op. Its price is that a
program which sends the same bytes twice, without Date, Message-ID or an MTA's Received line, is taken to repeat itself.
"""

# ruff: noqa: N802 - aiosmtpd finds hooks by these names

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import re
import socket
import stat
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import idna
import structlog

from connectors.email.config import TOKEN_LENGTH, EmailConfig
from connectors.email.door_protocol import DoorProtocol, Limits, LmtpProtocol, Mail, Sessions
from helpdesk.channels import RawInbound, ServiceHost
from helpdesk.clock import now
from helpdesk.errors import HelpdeskError

_log = structlog.get_logger(__name__)
_UNIX = "unix"
_TOKEN_PLACES = re.compile(rf"(?=([a-z2-7]{{{TOKEN_LENGTH}}}))")
_LAST_EXTENSION = "250 ENHANCEDSTATUSCODES"
_BIG = 1024 * 1024


class DoorShut(HelpdeskError):
    """The door cannot listen where the settings say. The detail is one line that names the address."""

    slug: ClassVar[str] = "door_shut"
    title: ClassVar[str] = "The door for incoming mail cannot be opened"


@dataclass(frozen=True, slots=True)
class TrustedPeers:
    """Whose Authentication-Results are believed: networks, and the word `unix` for the LMTP socket file."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    unix: bool = False

    @classmethod
    def parse(cls, value: str | Sequence[str]) -> TrustedPeers:
        """CIDRs, as a list or separated by commas. Raises DoorShut naming the entry that is none."""
        entries = value.split(",") if isinstance(value, str) else list(value)
        words = [entry.strip() for entry in entries if entry.strip()]
        networks = []
        for word in words:
            if word == _UNIX:
                continue
            try:
                networks.append(ip_network(word))
            except ValueError:
                raise DoorShut(f"HELPDESK_TRUSTED_PEERS: {word!r} is not a network such as 10.1.0.0/16") from None
        return cls(tuple(networks), _UNIX in words)

    def __contains__(self, peer: str) -> bool:
        if peer == _UNIX:
            return self.unix
        address = ip_address(peer.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks)


class Door:
    """What the sessions ask: is this recipient ours, and may I say 250? (aiosmtpd finds `handle_*` by name.)"""

    def __init__(self, host: ServiceHost, limits: Limits) -> None:
        self.host = host
        self.limits = limits
        self.trusted = TrustedPeers.parse(host.settings.get("trusted_peers") or "")
        self.addresses: dict[str, str] = {}
        self._storing: set[asyncio.Task[dict[str, str]]] = set()

    async def handle_EHLO(
        self, server: DoorProtocol, session: Any, envelope: Mail, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", _LAST_EXTENSION]

    async def handle_RCPT(
        self, server: DoorProtocol, session: Any, envelope: Mail, address: str, options: Sequence[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= self.limits.recipients:
            return "452 4.5.3 Too many recipients"
        try:
            inboxes = await find_inboxes(self.host, address)
        except Exception as error:
            _log.warning("door.lookup_failed", error=type(error).__name__)
            return "451 4.3.0 Temporarily unavailable, try again later"
        if not inboxes:
            server.unknown_recipients += 1
            return "550 5.1.1 No such address here"
        envelope.rcpt_tos.append(address)
        envelope.routes[address] = inboxes
        return "250 2.1.5 OK"

    async def handle_exception(self, error: Exception) -> str:
        _log.warning("door.session_error", error=type(error).__name__)
        return "451 4.3.0 Temporarily unavailable, try again later"

    async def deliver(self, peer: str, mail: Mail, content: bytes) -> dict[str, str]:
        """Store a mail in each inbox it is for; answers the reply for each recipient.

        A peer that hangs up now does not stop the commit: it will send again, and that is a no-op then.
        """
        task = asyncio.create_task(self._store(peer, mail, content))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        return await asyncio.shield(task)

    async def _store(self, peer: str, mail: Mail, content: bytes) -> dict[str, str]:
        received_at = now()
        digest = await asyncio.to_thread(_digest, content) if len(content) > _BIG else _digest(content)
        recipients: dict[UUID, list[str]] = {}
        for recipient, inboxes in mail.routes.items():
            for inbox_id in inboxes:
                recipients.setdefault(inbox_id, []).append(recipient)
        failed: set[UUID] = set()
        for inbox_id, theirs in recipients.items():
            hints = {
                "mail_from": "" if mail.mail_from in (None, "<>") else mail.mail_from,
                "recipients": theirs,
                "trusted_peer": peer in self.trusted,
                "peer": peer,
            }
            raw = RawInbound(f"smtp;{digest}", content, received_at, hints)
            try:
                async with asyncio.timeout(self.limits.accept):
                    await self.host.accept(inbox_id, [raw])
            except Exception as error:
                # Whatever it was, the mail is not known to be stored, and the peer still has it.
                _log.warning("door.not_stored", inbox_id=str(inbox_id), error=type(error).__name__)
                failed.add(inbox_id)
        return {
            recipient: "451 4.3.0 Could not be stored, try again later"
            if failed.intersection(inboxes)
            else "250 2.0.0 Stored"
            for recipient, inboxes in mail.routes.items()
        }

    async def finish(self, sessions: Sessions) -> None:
        """Let the mails that are being stored get their answer, then hang up."""
        deadline = asyncio.get_running_loop().time() + self.limits.shutdown
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await sessions.quiet.wait()
        for session in list(sessions.open):
            session.dismiss()
        if self._storing:
            await asyncio.wait(self._storing, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))


async def find_inboxes(host: ServiceHost, recipient: str) -> tuple[UUID, ...]:
    """The inboxes that a recipient leads to; none means that it is not ours."""
    local, at, domain = recipient.strip().lower().rpartition("@")
    if not at or not local or len(local.encode()) > 64:
        return ()
    found: dict[UUID, None] = {}
    for spelt in _domain_spellings(domain.rstrip(".")):
        wanted = [("address", f"{local}@{spelt}")]
        if "+" in local:
            wanted.append(("address", f"{local.partition('+')[0]}@{spelt}"))
        wanted += [
            ("reply_address", f"{local[: m.start()]}{{token}}{local[m.start() + TOKEN_LENGTH :]}@{spelt}")
            for m in _TOKEN_PLACES.finditer(local)
        ]
        for key, value in wanted:
            for view in await host.inboxes_by(key, value):
                if isinstance(view.config, EmailConfig) and view.config.receive == "smtp":
                    found[view.inbox_id] = None
    return tuple(found)


def _domain_spellings(domain: str) -> tuple[str, ...]:
    """A domain as it was written, and in its other form when it is an international one."""
    try:
        if not domain.isascii():
            return domain, idna.encode(domain, uts46=True).decode("ascii")
        if "xn--" in domain:
            return domain, idna.decode(domain)
    except idna.IDNAError:
        pass
    return (domain,)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@asynccontextmanager
async def serve(host: ServiceHost, limits: Limits | None = None) -> AsyncIterator[Door]:
    """Hold the doors open that `smtp_bind` and `lmtp_bind` of `host.settings` name; empty means closed.

    Each is `host:port` (port 0: any), `lmtp_bind` also the path of a socket file. Raises DoorShut. `Door.addresses`
    tells where `smtp` and `lmtp` listen.
    """
    # aiosmtpd logs envelope addresses and the lines of mails. What may be logged is logged here.
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    limits = limits or Limits()
    door = Door(host, limits)
    sessions = Sessions(limits)
    hostname = str(host.settings.get("hostname") or socket.gethostname())
    servers: list[asyncio.Server] = []
    sockets: list[Path] = []
    try:
        for name, make in (("smtp", DoorProtocol), ("lmtp", LmtpProtocol)):
            bind = str(host.settings.get(f"{name}_bind") or "").strip()
            if not bind:
                continue
            factory = _factory(make, door, sessions, hostname)
            if name == "lmtp" and "/" in bind:
                servers.append(await _listen_unix(factory, Path(bind)))
                sockets.append(Path(bind))
                door.addresses[name] = bind
            else:
                servers.append(await _listen_tcp(factory, bind, name))
                found = servers[-1].sockets[0].getsockname()
                door.addresses[name] = f"[{found[0]}]:{found[1]}" if ":" in found[0] else f"{found[0]}:{found[1]}"
            _log.info("door.open", name=name, host=door.addresses[name])
        yield door
    finally:
        for server in servers:
            server.close()
        await door.finish(sessions)
        for server in servers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limits.shutdown):
                    await server.wait_closed()
        for path in sockets:
            path.unlink(missing_ok=True)


def _factory(
    make: Callable[..., DoorProtocol], door: Door, sessions: Sessions, hostname: str
) -> Callable[[], DoorProtocol]:
    return lambda: make(door, sessions, hostname=hostname)


_REASONS: Mapping[int, str] = {
    errno.EADDRINUSE: "something else listens there already",
    errno.EACCES: "this needs more rights",
    errno.EPERM: "this needs more rights",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.ENOENT: "the folder does not exist",
}


def _shut(name: str, bind: str, why: str) -> DoorShut:
    return DoorShut(f"HELPDESK_{name.upper()}_BIND: cannot listen on {bind}: {why}")


async def _listen_tcp(factory: Callable[[], DoorProtocol], bind: str, name: str) -> asyncio.Server:
    host, colon, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise _shut(name, bind, "write it as 127.0.0.1:2525")
    try:
        return await asyncio.get_running_loop().create_server(factory, host or None, int(port))
    except socket.gaierror:
        raise _shut(name, bind, "the host name has no address") from None
    except OSError as error:
        raise _shut(name, bind, _REASONS.get(error.errno or 0, "the system refuses it")) from None


async def _listen_unix(factory: Callable[[], DoorProtocol], path: Path) -> asyncio.Server:
    if await asyncio.to_thread(_is_served, path):
        # asyncio would take the file over without a word, and the other process would never hear of mail again.
        raise _shut("lmtp", str(path), _REASONS[errno.EADDRINUSE])
    try:
        return await asyncio.get_running_loop().create_unix_server(factory, path)
    except OSError as error:
        raise _shut("lmtp", str(path), _REASONS.get(error.errno or 0, "the system refuses it")) from None


def _is_served(path: Path) -> bool:
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return True
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
    except OSError:
        return False
    return True
