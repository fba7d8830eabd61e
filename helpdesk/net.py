"""The guard that every outgoing connection passes, HTTP, IMAP and SMTP alike. Import it from here.

    guard = Guard(AllowList.parse(settings.allow_hosts))
    sock = await guard.open_socket("imap.example.com", 993)        # for an IMAP or SMTP client that takes a socket
    reader, writer = await guard.open_connection("imap.example.com", 993, tls=True)
    async with safe_http(guard) as http:
        answer = await http.request("POST", url, json={...}, max_bytes=65_536, timeout=10)

A name is resolved exactly once per connection and the connection goes to an address of that answer, so a second,
different answer (DNS rebinding) is never asked for. One bad address among several condemns the name: which of them a
later attempt would take is the attacker's choice. Redirects are answers, never followed. All failures are
`Unreachable`, whose `kind` is all that a user is shown.

The parts: `net_targets` (spellings of hosts and URLs, and the errors), `net_ranges` (which addresses), `net_guard`
(allow list, resolve, judge, connect), `net_http` (requests).
"""

from __future__ import annotations

from helpdesk.net_guard import AllowList, Guard, Judged, kind_of, tls_context
from helpdesk.net_http import GuardedTransport, Response, SafeHttp, safe_http
from helpdesk.net_ranges import Reach, parse_address, reach
from helpdesk.net_targets import HTTP_PORTS, MAIL_PORTS, Kind, Target, Unreachable, canonical_host, parse_url

__all__ = [
    "HTTP_PORTS",
    "MAIL_PORTS",
    "AllowList",
    "Guard",
    "GuardedTransport",
    "Judged",
    "Kind",
    "Reach",
    "Response",
    "SafeHttp",
    "Target",
    "Unreachable",
    "canonical_host",
    "kind_of",
    "parse_address",
    "parse_url",
    "reach",
    "safe_http",
    "tls_context",
]
