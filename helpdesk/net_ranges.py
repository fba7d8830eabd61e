"""Which addresses an outgoing connection may reach: an explicit list, judged address by address.

`ipaddress.is_global` is not used. It calls 64:ff9b::7f00:1 (NAT64 of 127.0.0.1), 2002:7f00:1:: (6to4) and most of
multicast global, and its table moves with the Python version. The list below is the IANA special-purpose registries
(RFC 6890 and successors) plus the well-known metadata services of the clouds, some of which sit on public addresses.
For IPv6 it is the other way round: only 2000::/3 has ever been handed out as global unicast, so whatever lies
outside it is not public, and the exceptions inside are listed.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


class Reach(StrEnum):
    """`private` opens for an allow-listed network or endpoint, `never` only for an entry that is that very address."""

    PUBLIC = "public"
    PRIVATE = "private"
    NEVER = "never"


# Metadata and credential services hand out the machine's own rights to whoever can connect, and "this host",
# link-local and group addresses are no peers at all. A wide allow-list entry (100.64.0.0/10 for a mesh VPN) must not
# open these by accident.
_NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to itself
        "169.254.0.0/16",  # link-local, and the metadata service of most clouds
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the limited broadcast address
        "100.100.100.200/32",  # Alibaba Cloud metadata, inside shared address space
        "192.0.0.192/32",  # Oracle Cloud metadata
        "168.63.129.16/32",  # Azure's wire server, on a public address
        "::/128",
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local (deprecated, still routed by some)
        "ff00::/8",  # multicast
        "fd00:ec2::/32",  # AWS: metadata, time and DNS for instances
        "fd20:ce::254/128",  # Google Cloud metadata
    )
)

_PRIVATE = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared address space (RFC 6598)
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation, as are the two further down
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking (RFC 2544)
        "198.51.100.0/24",
        "203.0.113.0/24",
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking, AMT
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4: any IPv4 address, private ones too, in disguise
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # 6bone, returned
        "3fff::/20",  # documentation (RFC 9637)
    )
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# An interface identifier 0000:5efe or 0200:5efe is followed by an IPv4 address (ISATAP, RFC 5214 section 6.1).
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


def parse_address(text: str) -> IPAddress:
    """An address from a resolver's answer or a literal. An IPv4-mapped one becomes IPv4: the kernel connects to that.

    Raises ValueError.
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def reach(address: IPAddress) -> Reach:
    """How far away an address is, seen through the forms that carry another address inside."""
    if any(address in network for network in _NEVER):
        return Reach.NEVER
    if isinstance(address, IPv4Address):
        return Reach.PRIVATE if any(address in network for network in _PRIVATE) else Reach.PUBLIC
    if address.ipv4_mapped is not None:
        return reach(address.ipv4_mapped)
    low = int(address) & 0xFFFF_FFFF
    if address in _NAT64:
        # DNS64 answers with these on networks without IPv4, so the prefix as a whole cannot be refused.
        return reach(IPv4Address(low))
    if address not in _GLOBAL_UNICAST or any(address in network for network in _PRIVATE):
        # v4-compatible ::a.b.c.d is here too: nothing has routed it since RFC 4291.
        return Reach.PRIVATE
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return reach(IPv4Address(low))
    return Reach.PUBLIC
