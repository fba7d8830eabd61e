"""What a host or an address bar may look like, and what an outgoing connection can fail with.

Every spelling is brought to one canonical form before anything is resolved, and the same form is what is resolved,
connected to, sent as `Host` and checked against the certificate. Two readers that disagree about a spelling is how
these guards are passed, so whatever has more than one reading is refused rather than interpreted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar

import idna

from helpdesk.errors import HelpdeskError
from helpdesk.net_ranges import IPAddress, parse_address

MAIL_PORTS = frozenset({25, 110, 143, 465, 587, 993, 995, 2525})
HTTP_PORTS = frozenset({80, 443, 8080, 8443})
DEFAULT_PORTS = {"http": 80, "https": 443}


class Kind(StrEnum):
    """All that a user learns of a failed connection. The peer's own words could be an internal host's answer."""

    BLOCKED = "blocked"
    UNRESOLVABLE = "unresolvable"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    TLS = "tls"
    TOO_LARGE = "too_large"
    PROTOCOL = "protocol"


_SENTENCES = {
    Kind.BLOCKED: "The address is not one that connections may go to",
    Kind.UNRESOLVABLE: "The host name has no address",
    Kind.TIMEOUT: "The other side did not answer in time",
    Kind.REFUSED: "The other side refused or dropped the connection",
    Kind.TLS: "The other side could not prove who it is (TLS)",
    Kind.TOO_LARGE: "The answer was larger than is taken here",
    Kind.PROTOCOL: "The other side did not speak the expected protocol",
}


class Unreachable(HelpdeskError):
    """An outgoing connection that was not made, or not finished. `kind` is the class, the sentence is fixed by it.

    `sent` is true when a part of the request may have reached the peer: only then can trying again do it twice.
    """

    slug: ClassVar[str] = "unreachable"
    status: ClassVar[int] = 422
    title: ClassVar[str] = "The other side cannot be reached"

    def __init__(self, kind: Kind, *, sent: bool = False) -> None:
        super().__init__(_SENTENCES[kind], extra={"kind": str(kind)})
        self.kind = kind
        self.sent = sent


# Underscores are no host name (RFC 952), but they are in what container networks and some vendors hand out.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::(?P<port>[0-9]{1,5}))?")
_URL = re.compile(r"(?P<scheme>[A-Za-z]{4,5})://(?P<authority>[^/?#\\]+)(?P<rest>(?:/[^#\\]*(?:#[^\\]*)?|\?[^#\\]*)?)")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]")

# Names that answer only inside somebody's network (RFC 6761, 6762, 8375, 9476, ICANN's .internal, and custom).
_LOCAL_ENDINGS = frozenset(
    (
        "localhost",
        "local",
        "internal",
        "intranet",
        "private",
        "localdomain",
        "corp",
        "home",
        "lan",
        "svc",
        "consul",
        "cluster",
        "arpa",
        "onion",
        "alt",
        "invalid",
    )
)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart: `host` canonical (IPv6 without brackets), `path` with its query, never with a fragment."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if DEFAULT_PORTS[self.scheme] == self.port else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def canonical_host(host: str) -> str | IPAddress:
    """A lower-case ASCII name without a final dot, or an address. Raises Unreachable(blocked) for anything else.

    Refused: numbers that are no dotted quad (inet_aton reads 0x7f.1, 2130706433 and 017700000001 as addresses, RFC
    6943 section 3.1.1), zone identifiers, escapes, user information, empty labels, and names in other scripts that
    fold to plain ASCII: nobody writes those except to get past a filter.
    """
    if len(host) > 255:
        raise Unreachable(Kind.BLOCKED)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in bare:
        return _literal(bare, IPv6Address)
    if host != bare:
        raise Unreachable(Kind.BLOCKED)
    name = _ascii(host)
    if _NUMERIC_LABEL.fullmatch(name.removesuffix(".").rpartition(".")[2]):
        return _literal(name, IPv4Address)
    name = name.removesuffix(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise Unreachable(Kind.BLOCKED)
    return name


def _literal(text: str, form: type[IPAddress]) -> IPAddress:
    try:
        if "%" in text:
            raise ValueError
        return parse_address(str(form(text)))
    except ValueError:
        raise Unreachable(Kind.BLOCKED) from None


def _ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        name = idna.encode(host, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise Unreachable(Kind.BLOCKED) from None
    if not any(label.startswith("xn--") for label in name.split(".")):
        raise Unreachable(Kind.BLOCKED)
    return name


def is_local_name(name: str) -> bool:
    """True for a name that the public DNS does not hold: one label, or an ending kept for local use."""
    return "." not in name or name.rpartition(".")[2] in _LOCAL_ENDINGS


def parse_authority(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[v6]:port` → the host as written and the port. Raises Unreachable(blocked)."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise Unreachable(Kind.BLOCKED)
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        raise Unreachable(Kind.BLOCKED)
    return match["host"], port


def parse_url(url: str) -> Target:
    """An absolute http(s) URL, read the one strict way. Raises Unreachable(blocked).

    No spaces or control characters anywhere, no backslash, no user information. A fragment is dropped, and only taken
    after a path: straight after the host is where parsers disagree about what the host is.
    """
    match = _URL.fullmatch(url)
    if match is None or len(url) > 8192 or _UNPRINTABLE.search(url):
        raise Unreachable(Kind.BLOCKED)
    scheme = match["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise Unreachable(Kind.BLOCKED)
    host, port = parse_authority(match["authority"])
    rest = match["rest"].partition("#")[0]
    path = rest if rest.startswith("/") else f"/{rest}"
    return Target(scheme, str(canonical_host(host)), port or DEFAULT_PORTS[scheme], path)
