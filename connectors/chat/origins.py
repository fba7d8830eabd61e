"""Origins: which sites may embed a chat. They are compared as a whole, and never by a part of them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


def judge(text: str) -> str:
    """An origin as browsers send it. Raises `ValueError`, saying what to write instead.

    Whoever may embed the chat may speak in the visitor's name, so that a site without TLS, a pattern, or a
    neighbour's path are all refused. Loopback may be plain: it never leaves the machine.
    """
    if "*" in text:
        raise ValueError("name each site, * is not taken")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("use https://wallet.example") from None
    if parts.scheme not in _DEFAULT_PORTS or not host or not text.startswith(f"{parts.scheme}://"):
        raise ValueError("use https://wallet.example, with its scheme")
    if parts.path or "?" in text or "#" in text or "@" in text:
        raise ValueError("leave out what follows the host: no path, no / at the end, no login")
    if not text.isascii() or text != text.lower() or any(c <= " " or c in '"\\,;<>' for c in text):
        raise ValueError("write it as browsers do: lower case, other alphabets as xn--")
    if port == _DEFAULT_PORTS[parts.scheme]:
        raise ValueError(f"leave out the port {port}, as browsers do")
    if text.endswith(":"):
        raise ValueError("leave out the colon, or give a port")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("use https://: whoever sits in between could else speak for the visitor")
    return text


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def own(base_url: str) -> frozenset[str]:
    """The desk's own. On loopback that is one place by three names, and people type either."""
    parts = urlsplit(base_url)
    if not parts.hostname:
        return frozenset()
    port = f":{parts.port}" if parts.port and parts.port != _DEFAULT_PORTS.get(parts.scheme) else ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    hosts = _LOOPBACK if _is_loopback(parts.hostname) else (host,)
    return frozenset(f"{parts.scheme}://{name}{port}" for name in hosts)
