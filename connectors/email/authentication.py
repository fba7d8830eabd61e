"""The DMARC verdict that our own mail server left in the header (RFC 8601), and nobody else's.

A sender can write any Authentication-Results field. RFC 8601 section 5 has the border server remove those that claim
its own name, but not all do. So a verdict counts only if all of this holds:

- the inbox names an `authserv_id`, the field bears exactly that id, and the transport did not say that its peer is
  none of ours;
- it stands where our servers write. Header fields are prepended, so reading from the top the Received fields are ours
  until one tells of a host that is not provably ours: that one is the border. Fields above it are ours. Fields
  between it and the next Received are ours only if there is a next one: Gmail, rspamd and OpenDMARC write there, but a
  sender that connects to the border directly and brings no Received field could have written them just as well. What
  lies below belongs to others. The first field with a DMARC result is the one; no lower field overrules it, and
  where ours stand above the border, none below it is looked at;
- if it names the domain it judged (`header.from`), that is the domain of the one `From` address.

What remains is a border server that neither removes nor writes a verdict, and a sender that adds a Received field below
a forged one. An operator of such a server must leave `authserv_id` unset.
"""

from __future__ import annotations

import re

from connectors.email.addresses import handle
from connectors.email.headers import Headers
from connectors.email.words import unfolded
from helpdesk.channels import Authentication

_PIECE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|\\.|[()]|[^"\\()]+', re.DOTALL)
_METHOD = re.compile(r"\s*dmarc\s*(?:/\s*\d+\s*)?=\s*([a-z]+)", re.IGNORECASE)
_DOMAIN = re.compile(r"\bheader\.from\s*=\s*\"?(?:[^@\s\";]*@)?([^\s\";]+)", re.IGNORECASE)
_MAX_FIELDS = 300
_FROM = re.compile(r"\s*from\s", re.IGNORECASE)
_CLAUSE = re.compile(r"\s*from\s+(\S.{0,1000}?)\s+by\s", re.IGNORECASE)
_HELO = re.compile(r"\b(?:he|eh|lh)lo[\s=]", re.IGNORECASE)
_SEEN = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f:.]{2,45})\]|\(\s?([0-9A-Fa-f:.]{3,45})\s?\)")
_HOST = re.compile(r"[A-Za-z0-9_.-]+")
# Loopback, RFC 1918, unique and link-local addresses. Not `is_private`: that holds for much that is nobody's own.
_OWN_ADDRESS = re.compile(
    r"(?:127|10)(?:\.\d{1,3}){3}\Z|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|::1\Z|f[cd][0-9a-f]{2}:|fe80:", re.IGNORECASE
)


def verdict(headers: Headers, *, authserv_id: str, inbox_domain: str, from_domain: str) -> Authentication:
    """PASS, FAIL, or NONE where no verdict can be believed."""
    wanted = authserv_id.strip().lower()
    if not wanted:
        return Authentication.NONE
    above, below = _ours(headers, (wanted, inbox_domain.lower()))
    results = [each for value in above for each in _results(value, wanted)]
    if not any(_read(value)[0] == wanted for value in above):
        # Where the server writes below its Received field it writes one field; a second one came with the mail.
        results = next((found for value in below if (found := _results(value, wanted))), [])
    for result in results:
        match = _METHOD.match(result)
        if match is not None:
            return _judged(match[1].lower(), result, from_domain)
    return Authentication.NONE


def _results(value: str, wanted: str) -> list[str]:
    """The results in a field, if it bears our id."""
    server, results = _read(value)
    return results if server == wanted else []


def _judged(result: str, text: str, from_domain: str) -> Authentication:
    named = _DOMAIN.search(text)
    if result == "pass":
        about_sender = bool(from_domain) and (named is None or handle(f"@{named[1]}") == f"@{from_domain.lower()}")
        return Authentication.PASS if about_sender else Authentication.NONE
    return Authentication.FAIL if result == "fail" else Authentication.NONE


def _ours(headers: Headers, domains: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The Authentication-Results values above our border's Received field, and those right below it, topmost first."""
    above: list[str] = []
    below: list[str] | None = None
    for name, raw in headers.fields[:_MAX_FIELDS]:
        if name == "received":
            if below is not None:
                return above, below
            if not _internal(unfolded(raw), domains):
                below = []
        elif name == "authentication-results":
            (above if below is None else below).append(unfolded(raw))
    return above, []


def _internal(received: str, domains: tuple[str, ...]) -> bool:
    """Whether a Received field tells of a hop inside our own house, so that what is below it is still ours.

    The name after `from` is what the other side said of itself and proves nothing, and it may be made to look like more
    (`a(mx.wallet.example[127.0.0.1])`). So every address in the clause has to be ours, or the name that our server
    looked up, which it writes last. No `from` at all is a server talking to itself.
    """
    if not _FROM.match(received):
        return True
    match = _CLAUSE.match(received)
    if match is None:
        return False
    clause = _HELO.split(match[1], maxsplit=1)[0]
    seen = list(_SEEN.finditer(clause))
    if not seen:
        # A server that notes nothing of its own has nothing to contradict the name; those at a border all do.
        return "(" not in match[1] and _in_domains(clause.strip(), domains)
    if all(_OWN_ADDRESS.match(found[1] or found[2]) for found in seen):
        return True
    looked_up = clause[: seen[-1].start()].replace("(", " ").split()[-1:]
    return bool(seen[-1][1] and looked_up) and _in_domains(looked_up[0], domains)


def _in_domains(name: str, domains: tuple[str, ...]) -> bool:
    host = name.lower().rstrip(".")
    return bool(_HOST.fullmatch(host)) and any(
        "." in domain and (host == domain or host.endswith(f".{domain}")) for domain in domains
    )


def _read(value: str) -> tuple[str, list[str]]:
    """The authserv-id in lower case and the results, comments removed: `(dmarc=pass)` is somebody's remark."""
    pieces: list[str] = []
    results: list[str] = []
    depth = 0
    for match in _PIECE.finditer(value):
        piece = match[0]
        if piece == "(":
            depth += 1
        elif piece == ")":
            depth = max(0, depth - 1)
        elif depth:
            continue
        elif piece.startswith('"') or ";" not in piece:
            pieces.append(piece)
        else:
            first, *rest = piece.split(";")
            results.append("".join([*pieces, first]))
            results.extend(rest[:-1])
            pieces = [rest[-1]]
    results.append("".join(pieces))
    server = results[0].split()
    return (server[0].strip('"').lower() if server else ""), results[1:]
