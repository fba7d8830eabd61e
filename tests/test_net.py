"""The guard for outgoing connections. Nothing leaves: resolvers and connections are fakes that count.

Where a test needs a peer, the fake `connect` dials a server on loopback in place of the judged address.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from helpdesk.errors import Invalid
from helpdesk.net import (
    AllowList,
    Guard,
    Kind,
    Reach,
    Unreachable,
    canonical_host,
    parse_address,
    parse_url,
    reach,
    safe_http,
    tls_context,
)

SHARED = Path(__file__).parents[1].parent / "shared"
PUBLIC = "93.184.216.34"
PUBLIC_V6 = "2606:2800:220:1:248:1893:25c8:1946"


class Net:
    """A resolver and a connect function that answer from tables and remember what they were asked."""

    def __init__(
        self, names: dict[str, list[list[str]]] | None = None, *, port: int | None = None, default: str = PUBLIC
    ) -> None:
        self.default = default
        self.names = {name: list(answers) for name, answers in (names or {}).items()}
        self.port = port
        self.asked: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self.silent: set[str] = set()
        self.closed: set[str] = set()

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        answers = self.names.get(host, [[self.default]])
        answer = answers[0] if len(answers) == 1 else answers.pop(0)
        if not answer:
            raise socket.gaierror(-2, "Name or service not known")
        return answer

    async def connect(self, address: Any, port: int) -> socket.socket:
        self.dialled.append((str(address), port))
        if str(address) in self.silent:
            await asyncio.sleep(60)
        if self.port is None or str(address) in self.closed:
            raise ConnectionRefusedError
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        return sock

    def guard(self, *allow: str, timeout: float = 5.0) -> Guard:
        return Guard(AllowList.parse(allow), resolve=self.resolve, connect=self.connect, timeout=timeout)


Reply = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(reply: Reply, context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on loopback that hands each request's head to `reply`; yields its port and the heads seen."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                heads.append(head)
                await reply(head, writer)
                await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()
        server.close_clients() if hasattr(server, "close_clients") else None


def answer(body: bytes, *headers: str, status: str = "200 OK") -> Reply:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]

    async def reply(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return reply


async def kind_of_request(net: Net, url: str, *, allow: tuple[str, ...] = (), **kwargs: Any) -> str:
    async with safe_http(net.guard(*allow)) as http:
        try:
            got = await http.request("GET", url, **kwargs)
        except Unreachable as error:
            return str(error.kind)
        return str(got.status)


# --- addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PUBLIC, Reach.PUBLIC),
        ("8.8.8.8", Reach.PUBLIC),
        ("172.15.255.255", Reach.PUBLIC),
        ("172.32.0.0", Reach.PUBLIC),
        ("100.63.255.255", Reach.PUBLIC),
        ("100.128.0.0", Reach.PUBLIC),
        ("198.17.255.255", Reach.PUBLIC),
        (PUBLIC_V6, Reach.PUBLIC),
        ("2001:4860:4860::8888", Reach.PUBLIC),
        ("::ffff:8.8.8.8", Reach.PUBLIC),
        ("64:ff9b::808:808", Reach.PUBLIC),
        ("10.255.0.1", Reach.PRIVATE),
        ("172.16.0.0", Reach.PRIVATE),
        ("172.31.255.255", Reach.PRIVATE),
        ("192.168.255.255", Reach.PRIVATE),
        ("127.200.0.1", Reach.PRIVATE),
        ("100.64.0.0", Reach.PRIVATE),
        ("100.127.255.255", Reach.PRIVATE),
        ("192.0.0.8", Reach.PRIVATE),
        ("192.0.2.9", Reach.PRIVATE),
        ("192.88.99.1", Reach.PRIVATE),
        ("198.19.255.255", Reach.PRIVATE),
        ("198.51.100.1", Reach.PRIVATE),
        ("203.0.113.77", Reach.PRIVATE),
        ("::1", Reach.PRIVATE),
        ("::10.0.0.1", Reach.PRIVATE),
        ("::8.8.8.8", Reach.PRIVATE),
        ("::ffff:10.0.0.1", Reach.PRIVATE),
        ("::ffff:0:10.0.0.1", Reach.PRIVATE),
        ("64:ff9b::a00:1", Reach.PRIVATE),
        ("64:ff9b:1::808:808", Reach.PRIVATE),
        ("100::1", Reach.PRIVATE),
        ("5f00::1", Reach.PRIVATE),
        ("2001::1", Reach.PRIVATE),
        ("2001:2::1", Reach.PRIVATE),
        ("2001:20::1", Reach.PRIVATE),
        ("2001:db8::1", Reach.PRIVATE),
        ("2002:808:808::1", Reach.PRIVATE),
        ("3fff::1", Reach.PRIVATE),
        ("2606:2800:220:1:0:5efe:10.0.0.1", Reach.PRIVATE),
        ("2606:2800:220:1:200:5efe:192.168.0.1", Reach.PRIVATE),
        ("fc00::1", Reach.PRIVATE),
        ("fdff::1", Reach.PRIVATE),
        ("4000::1", Reach.PRIVATE),
        ("0.0.0.0", Reach.NEVER),
        ("0.1.2.3", Reach.NEVER),
        ("169.254.169.254", Reach.NEVER),
        ("::ffff:169.254.169.254", Reach.NEVER),
        ("64:ff9b::a9fe:a9fe", Reach.NEVER),
        ("100.100.100.200", Reach.NEVER),
        ("192.0.0.192", Reach.NEVER),
        ("168.63.129.16", Reach.NEVER),
        ("224.0.0.251", Reach.NEVER),
        ("239.255.255.255", Reach.NEVER),
        ("240.0.0.1", Reach.NEVER),
        ("255.255.255.255", Reach.NEVER),
        ("::", Reach.NEVER),
        ("fe80::1", Reach.NEVER),
        ("fe80::1%eth0", Reach.NEVER),
        ("fec0::1", Reach.NEVER),
        ("ff0e::1", Reach.NEVER),
        ("fd00:ec2::254", Reach.NEVER),
        ("fd20:ce::254", Reach.NEVER),
    ],
)
def test_every_address_is_judged_by_an_explicit_list(text: str, expected: Reach) -> None:
    assert reach(parse_address(text)) is expected


# --- spellings


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("例子.测试", "xn--fsqu00a.xn--0zwm56d"),
        ("my_service.example", "my_service.example"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("1.2.3.4", "1.2.3.4"),
        ("3com.example", "3com.example"),
    ],
)
def test_a_host_has_one_canonical_form(written: str, canonical: str) -> None:
    assert str(canonical_host(written)) == canonical


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "..",
        "a..b",
        ".a.example",
        "a.example..",
        "-a.example",
        "a-.example",
        "a" * 64 + ".example",
        "a." * 130 + "example",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.0x4",
        "a.b.0x",
        "99",
        "①②⑦.0.0.1",
        "１２７.0.0.1",
        "ⓔxample.com",
        "ｅxample.com",
        "127。0。0。1",
        "localhost%00",
        "a%2eexample",
        "user@a.example",
        "a.example:80",
        "a b.example",
        "a\texample",
        "a\n.example",
        "a\\b.example",
        "a/b.example",
        "a#b",
        "a?b",
        "[::1",
        "::1]",
        "[::1%25eth0]",
        "fe80::1%eth0",
        "[a.example]",
        "[127.0.0.1]",
        ":::",
        "1::2::3",
        "a\xad.example",
        "a\u200b.example",
        "\u202ea.example",
        "*.example",
        "a,b.example",
        "a;b",
        "a'b",
        "a(b)",
        "$a",
        "a!b",
        "~a",
    ],
)
def test_a_spelling_with_two_readings_is_refused(host: str) -> None:
    with pytest.raises(Unreachable) as caught:
        canonical_host(host)
    assert caught.value.kind is Kind.BLOCKED


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://Example.com", "https://example.com/"),
        ("HTTP://example.com:80/a?b=c", "http://example.com/a?b=c"),
        ("https://example.com?x=1", "https://example.com/?x=1"),
        ("https://[2606:2800:220:1::1]:8443/x", "https://[2606:2800:220:1::1]:8443/x"),
        ("https://example.com./x", "https://example.com/x"),
        ("https://example.com/x?y#@evil.example/", "https://example.com/x?y"),
        ("https://example.com/übung", "https://example.com/übung"),
    ],
)
def test_a_url_is_read_the_one_strict_way(url: str, read: str) -> None:
    assert parse_url(url).url == read


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "https:example.com",
        "https:/example.com",
        "https:///example.com",
        "ftp://example.com/",
        "ws://example.com/",
        "javascript:alert(1)",
        "data:,x",
        "https://",
        "https://:443/",
        "https://a@example.com/",
        "https://a:b@example.com/",
        "https://example.com@evil.example/",
        "https://example.com\\@evil.example/",
        "https://example.com#@evil.example/",
        "https://example.com#a",
        "https://example.com?#@evil.example/",
        "https://example.com/#\\a",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:/",
        "https://example.com:٤٤٣/",
        "https://example.com:443:80/",
        "https://[::1]x/",
        "https://::1/",
        " https://example.com/",
        "https://example.com/ x",
        "https://exa\tmple.com/",
        "https://example.com/\r\nX: y",
        "https://example.com/\x00",
        "https://example.com/\u2028x",
        "https://example.com/" + "a" * 9000,
        "https://exam%70le.com/",
    ],
)
def test_an_ambiguous_url_is_refused(url: str) -> None:
    with pytest.raises(Unreachable):
        parse_url(url)


# --- the shared sets


def shared_redos() -> list[str]:
    path = SHARED / "attack" / "redos_inputs.jsonl"
    return [json.loads(line)["input"] for line in path.read_bytes().splitlines()] if path.exists() else []


@pytest.mark.skipif(not shared_redos(), reason="../shared/attack/redos_inputs.jsonl is not here")
def test_no_input_keeps_the_readers_of_hosts_and_urls_busy() -> None:
    for text in shared_redos():
        started = time.process_time()
        for read in (canonical_host, parse_url, lambda text: parse_url(f"https://{text}/")):
            with suppress(Unreachable):
                read(text)
        with suppress(Invalid):
            AllowList.parse([text])
        assert time.process_time() - started < 0.2


def shared_cases() -> list[dict[str, str]]:
    path = SHARED / "attack" / "ssrf_urls.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


@pytest.mark.skipif(not shared_cases(), reason="../shared/attack/ssrf_urls.jsonl is not here")
async def test_the_shared_urls_reach_a_public_address_or_nothing() -> None:
    """Names say in `why` what a resolver would answer, and the others are inside unless they are to be allowed; the
    peers behind some names are played on loopback.
    """
    judged = 0
    answers: list[list[str]] = []
    for case in shared_cases():
        needs = case.get("needs", "")
        if needs.endswith("_server"):
            await judge_peer(case["url"], needs)
        else:
            net = Net(default=PUBLIC if case["expect"] == "allow" or ".test" in case["url"] else "10.0.0.5")
            if needs == "fake_resolver":
                answers = dns_of(case["why"])
                net.names[parse_url(case["url"]).host] = list(answers)
            kind = await kind_of_request(net, case["url"])
            # A name that moves inside later is reached where it was judged, and not asked for again.
            moves = " then " in case["why"] and all(reach(parse_address(text)) is Reach.PUBLIC for text in answers[0])
            if case["expect"] == "allow" or moves:
                assert kind == Kind.REFUSED, case  # it was dialled: the fake network lets nobody in
                assert len(net.dialled) == 1, case
                assert reach(parse_address(net.dialled[0][0])) is Reach.PUBLIC, case
            else:
                assert kind == Kind.BLOCKED, case
                assert net.dialled == [], case
            assert len(net.asked) <= 1, case
        judged += 1
    assert judged == len(shared_cases())


def dns_of(why: str) -> list[list[str]]:
    """`DNS: a,b` is one answer, `DNS: a then b` two in turn, `CNAME x` the addresses of x."""
    text = why.removeprefix("DNS: ").replace("CNAME localhost", "127.0.0.1")
    return [answer.split(",") for answer in text.split(" then ")]


async def judge_peer(url: str, needs: str) -> None:
    peers: dict[str, Reply] = {
        "redirect_server": redirecting,
        "slow_server": dripping,
        "big_server": endless,
        "gzip_server": bomb,
    }
    async with served(peers[needs]) as (port, heads):
        net = Net(port=port)
        kind = await kind_of_request(net, url, timeout=0.5, max_bytes=100_000)
        assert len(net.dialled) == 1, url
        assert len(heads) == 1, url
        assert kind in (Kind.TIMEOUT, Kind.TOO_LARGE) if needs != "redirect_server" else kind in ("302", "200")


async def redirecting(head: bytes, writer: asyncio.StreamWriter) -> None:
    body = b'<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/">'
    status = b"200 OK" if b"/meta" in head else b"302 Found\r\nLocation: http://127.0.0.1:9/"
    writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def dripping(head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless(head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        await writer.drain()


async def bomb(head: bytes, writer: asyncio.StreamWriter) -> None:
    body = gzip.compress(bytes(20_000_000))
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


# --- judging names


async def test_one_bad_address_among_several_condemns_the_name() -> None:
    for bad in ("127.0.0.1", "10.0.0.5", "::ffff:127.0.0.1", "169.254.169.254", "::1", "not an address"):
        net = Net({"mixed.test": [[PUBLIC, PUBLIC_V6, bad]]})
        assert await kind_of_request(net, "https://mixed.test/") == Kind.BLOCKED
        assert net.dialled == []


async def test_a_second_different_answer_is_never_asked_for() -> None:
    async with served(answer(b"public")) as (port, _):
        net = Net({"rebind.test": [[PUBLIC], ["127.0.0.1"]]}, port=port)
        assert await kind_of_request(net, "http://rebind.test/") == "200"
        assert net.asked == ["rebind.test"]
        assert net.dialled == [(PUBLIC, 80)]


async def test_a_new_connection_to_a_name_that_moved_inside_is_judged_again() -> None:
    async with served(answer(b"public", "Connection: close")) as (port, _):
        net = Net({"rebind.test": [[PUBLIC], ["127.0.0.1"]]}, port=port)
        async with safe_http(net.guard()) as http:
            assert (await http.request("GET", "http://rebind.test/")).ok
            with pytest.raises(Unreachable, match="may go") as caught:
                await http.request("GET", "http://rebind.test/")
        assert caught.value.kind is Kind.BLOCKED
        assert net.dialled == [(PUBLIC, 80)]


async def test_a_local_name_is_refused_before_a_resolver_hears_of_it() -> None:
    for host in ("redis", "localhost", "db.internal", "printer.local", "api.default.svc", "x.home.arpa", "a.corp"):
        net = Net()
        assert await kind_of_request(net, f"http://{host}/") == Kind.BLOCKED
        assert net.asked == []


@pytest.mark.parametrize(
    ("host", "port", "open_to"),
    [
        ("hooks.example.com", 443, ()),
        (PUBLIC, 80, ()),
        ("intranet", 80, ("10.0.0.0/8",)),
        ("10.1.2.3", 9000, ("10.0.0.0/8",)),
        ("hooks.example.com", 9000, ("hooks.example.com:9000",)),
    ],
)
async def test_what_is_saved_is_considered_without_asking_anybody(
    host: str, port: int, open_to: tuple[str, ...]
) -> None:
    net = Net()
    net.guard(*open_to).consider(host, port)
    assert (net.asked, net.dialled) == ([], [])


@pytest.mark.parametrize(
    ("host", "port"),
    [("intranet", 80), ("10.1.2.3", 80), ("127.0.0.1", 443), ("::1", 443), ("hooks.example.com", 9000), ("0x7f.1", 80)],
)
async def test_what_no_resolver_could_save_is_refused_when_it_is_considered(host: str, port: int) -> None:
    net = Net()
    with pytest.raises(Unreachable) as refused:
        net.guard().consider(host, port)
    assert refused.value.kind is Kind.BLOCKED
    assert net.asked == []


async def test_a_name_without_an_address_is_unresolvable() -> None:
    assert await kind_of_request(Net({"gone.test": [[]]}), "https://gone.test/") == Kind.UNRESOLVABLE


async def test_an_unusual_port_is_refused_even_on_a_public_address() -> None:
    for port in (1, 22, 25, 110, 2375, 3306, 5432, 6379, 9200, 11211, 27017):
        net = Net()
        assert await kind_of_request(net, f"http://a.test:{port}/") == Kind.BLOCKED
        assert (net.asked, net.dialled) == ([], [])


async def test_mail_ports_are_for_mail() -> None:
    net = Net()
    judged = await net.guard().judge("imap.example.com", 993)
    assert (judged.host, judged.port, [str(a) for a in judged.addresses]) == ("imap.example.com", 993, [PUBLIC])
    with pytest.raises(Unreachable):
        await net.guard().judge("imap.example.com", 6379)


# --- the allow list


async def test_a_network_in_the_allow_list_opens_its_addresses_on_any_port() -> None:
    net = Net({"mail.corp": [["10.1.2.3"]], "other.corp": [["10.2.0.1"]], "mixed.corp": [["10.1.2.3", "10.2.0.1"]]})
    guard = net.guard("10.1.0.0/16")
    assert (await guard.judge("mail.corp", 3143)).addresses == (parse_address("10.1.2.3"),)
    assert (await guard.judge("10.1.9.9", 6379)).host == "10.1.9.9"
    for host in ("other.corp", "mixed.corp", "10.2.0.1", "127.0.0.1"):
        with pytest.raises(Unreachable):
            await guard.judge(host, 993)


async def test_an_open_network_does_not_make_odd_ports_of_public_hosts_usual() -> None:
    with pytest.raises(Unreachable):
        await Net().guard("10.0.0.0/8").judge("public.example", 6379)


async def test_an_endpoint_in_the_allow_list_opens_that_port_only() -> None:
    net = Net({"mail.corp": [["10.1.2.3"]], "redis": [["172.18.0.2"]]})
    guard = net.guard("mail.corp:3143", "redis:6379", "[fd00::5]:25", "127.0.0.1:8025", "hooks.example.com:9000")
    for host, port in (
        ("mail.corp", 3143),
        ("MAIL.corp.", 3143),
        ("redis", 6379),
        ("fd00::5", 25),
        ("127.0.0.1", 8025),
    ):
        assert await guard.judge(host, port)
    assert await guard.judge("hooks.example.com", 9000)
    for host, port in (("mail.corp", 993), ("redis", 80), ("fd00::5", 993), ("127.0.0.1", 80), ("fd00::6", 25)):
        with pytest.raises(Unreachable):
            await guard.judge(host, port)


async def test_metadata_opens_only_for_its_very_address() -> None:
    net = Net({"mesh.corp": [["169.254.169.254"]]})
    wide = net.guard("100.64.0.0/10", "169.254.0.0/16", "fd00::/8", "0.0.0.0/0", "mesh.corp:80")
    for host in ("169.254.169.254", "100.100.100.200", "fd00:ec2::254", "mesh.corp", "0.0.0.0"):
        with pytest.raises(Unreachable):
            await wide.judge(host, 80)
    assert await net.guard("169.254.10.10/32").judge("169.254.10.10", 80)
    assert await net.guard("169.254.10.10:80").judge("169.254.10.10", 80)


@pytest.mark.parametrize(
    "entry",
    ["", "mail.corp", "10.0.0.5/8", "10.0.0.0/40", "mail.corp:0", "mail.corp:x", "http://a.corp:80", "*.corp:80"],
)
def test_a_bad_allow_list_entry_is_named(entry: str) -> None:
    with pytest.raises(Invalid) as caught:
        AllowList.parse(["10.0.0.0/8", entry])
    assert repr(entry) in caught.value.detail


# --- connecting


async def test_a_silent_address_does_not_hold_up_the_next() -> None:
    async with served(answer(b"")) as (port, _):
        net = Net({"two.test": [[PUBLIC_V6, PUBLIC]]}, port=port)
        net.silent.add(PUBLIC_V6)
        started = asyncio.get_running_loop().time()
        sock = await net.guard().open_socket("two.test", 993)
        assert asyncio.get_running_loop().time() - started < 2
        assert not sock.getblocking()
        sock.close()
        assert net.dialled == [(PUBLIC_V6, 993), (PUBLIC, 993)]


async def test_the_addresses_are_tried_in_order_and_not_all_of_them() -> None:
    answers = [f"93.184.216.{last}" for last in range(1, 40)]
    net = Net({"many.test": [answers]})
    with pytest.raises(Unreachable) as caught:
        await net.guard().open_socket("many.test", 25)
    assert caught.value.kind is Kind.REFUSED
    assert [address for address, _ in net.dialled] == answers[:6]


async def test_connecting_has_a_time_limit() -> None:
    net = Net()
    net.silent.add(PUBLIC)
    with pytest.raises(Unreachable) as caught:
        await net.guard(timeout=0.1).open_socket("slow.test", 25)
    assert caught.value.kind is Kind.TIMEOUT


async def test_the_real_resolver_and_socket_reach_an_opened_loopback_host() -> None:
    async with served(answer(b"hello")) as (port, heads):
        async with safe_http(Guard(AllowList.parse(["127.0.0.0/8", "::1"]))) as http:
            got = await http.request("GET", f"http://127.0.0.1:{port}/x")
        assert (got.status, got.body) == (200, b"hello")
        assert b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port in heads[0]


async def test_plain_streams_for_other_protocols() -> None:
    async with served(answer(b"hello")) as (port, _):
        reader, writer = await Net(port=port).guard().open_connection("smtp.example.com", 587)
        writer.write(b"\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()


# --- requests


async def test_redirects_are_answers() -> None:
    async with served(redirecting) as (port, heads):
        net = Net(port=port)
        async with safe_http(net.guard()) as http:
            got = await http.request("GET", "http://moved.test/")
        assert (got.status, got.ok, got.headers["location"]) == (302, False, "http://127.0.0.1:9/")
        assert len(heads) == len(net.dialled) == 1


async def test_a_slow_body_ends_with_the_clock_of_the_whole_request() -> None:
    async with served(dripping) as (port, _):
        started = asyncio.get_running_loop().time()
        assert await kind_of_request(Net(port=port), "http://slow.test/", timeout=0.3) == Kind.TIMEOUT
        assert asyncio.get_running_loop().time() - started < 2


async def test_an_endless_body_and_a_gzip_bomb_are_cut_at_the_cap() -> None:
    for peer in (endless, bomb):
        async with served(peer) as (port, _):
            net = Net(port=port)
            assert await kind_of_request(net, "http://big.test/", max_bytes=10_000) == Kind.TOO_LARGE
            async with safe_http(net.guard()) as http:
                got = await http.request("GET", "http://big.test/", max_bytes=10_000, cut=True)
            assert (got.status, len(got.body), got.cut) == (200, 10_000, True)


async def test_many_empty_gzip_members_do_not_run_for_ever() -> None:
    async def members(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        while True:
            writer.write(gzip.compress(b"") * 500)
            await writer.drain()

    async with served(members) as (port, _):
        assert await kind_of_request(Net(port=port), "http://a.test/", max_bytes=10_000) == Kind.TOO_LARGE


async def test_gzip_is_read_and_other_codings_are_not() -> None:
    body = gzip.compress(b"one,") + gzip.compress(b"two")
    async with served(answer(body, "Content-Encoding: gzip")) as (port, heads):
        async with safe_http(Net(port=port).guard()) as http:
            got = await http.request("GET", "http://a.test/")
        assert got.body == b"one,two"
        assert b"\r\naccept-encoding: gzip\r\n" in heads[0].lower()
    for coding in ("br", "deflate", "gzip, gzip", "zstd"):
        async with served(answer(body, f"Content-Encoding: {coding}")) as (port, _):
            assert await kind_of_request(Net(port=port), "http://a.test/") == Kind.PROTOCOL
    async with served(answer(b"no gzip at all", "Content-Encoding: gzip")) as (port, _):
        assert await kind_of_request(Net(port=port), "http://a.test/") == Kind.PROTOCOL


async def test_a_body_of_exactly_the_cap_is_taken() -> None:
    async with served(answer(b"x" * 1000)) as (port, _):
        assert await kind_of_request(Net(port=port), "http://a.test/", max_bytes=1000) == "200"
        assert await kind_of_request(Net(port=port), "http://a.test/", max_bytes=999) == Kind.TOO_LARGE


async def test_a_peer_that_speaks_no_http_is_a_protocol_failure() -> None:
    async def ssh(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2 secret-host\r\n\r\n")

    async def huge(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000)

    for peer in (ssh, huge):
        async with served(peer) as (port, _):
            async with safe_http(Net(port=port).guard()) as http:
                with pytest.raises(Unreachable) as caught:
                    await http.request("GET", "http://a.test/")
            assert caught.value.kind is Kind.PROTOCOL
            assert caught.value.sent
            assert "secret-host" not in str(caught.value) + caught.value.detail


async def test_a_failure_before_the_first_byte_may_be_tried_again() -> None:
    async with safe_http(Net().guard()) as http:
        with pytest.raises(Unreachable) as caught:
            await http.request("POST", "http://a.test/", json={})
    assert not caught.value.sent

    async def hang_up(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with served(hang_up) as (port, _), safe_http(Net(port=port).guard()) as http:
        with pytest.raises(Unreachable) as caught:
            await http.request("POST", "http://a.test/", json={})
    assert caught.value.sent


async def test_the_callers_headers_cannot_move_the_host_or_smuggle_lines() -> None:
    async with served(answer(b"")) as (port, heads):
        async with safe_http(Net(port=port).guard()) as http:
            await http.request("GET", "http://a.test/", headers={"HOST": "127.0.0.1", "X-One": "1"})
            assert b"\r\nHost: a.test\r\n" in heads[0]
            assert b"127.0.0.1" not in heads[0]
            with pytest.raises(Unreachable):
                await http.request("GET", "http://a.test/", headers={"X-One": "1\r\nX-Two: 2"})
        assert len(heads) == 1


async def test_forms_and_files_are_sent() -> None:
    bodies: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        bodies.append(await reader.readexactly(length))
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"ok":true}')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server, safe_http(Net(port=server.sockets[0].getsockname()[1]).guard()) as http:
        got = await http.request("POST", "http://a.test/", data={"a": "1 2"}, params={"q": "x y"})
        assert got.json() == {"ok": True}
        await http.request("POST", "http://a.test/", data={"a": "1"}, files={"f": ("n.txt", b"body", "text/plain")})
        await http.request("POST", "http://a.test/", json={"a": "文"})
    assert bodies[0] == b"a=1+2"
    assert b'name="f"; filename="n.txt"\r\nContent-Type: text/plain\r\n\r\nbody' in bodies[1]
    assert json.loads(bodies[2]) == {"a": "文"}


async def test_connections_are_kept_and_cookies_are_not() -> None:
    async with served(answer(b"", "Set-Cookie: a=b")) as (port, heads):
        net = Net(port=port)
        async with safe_http(net.guard()) as http:
            for _ in range(3):
                await http.request("GET", "http://a.test/")
        assert (len(net.dialled), len(heads)) == (1, 3)
        assert b"cookie" not in b"".join(heads).lower()


async def test_a_connection_that_the_peer_closed_is_not_used_again() -> None:
    async def once(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with served(once) as (port, _):
        net = Net(port=port)
        async with safe_http(net.guard()) as http:
            for _ in range(2):
                assert (await http.request("GET", "http://a.test/")).ok
                await asyncio.sleep(0.05)
        assert len(net.dialled) == 2


async def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one() -> None:
    async def twice(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nforge")

    async with served(twice) as (port, _):
        net = Net(port=port)
        async with safe_http(net.guard()) as http:
            for _ in range(3):
                assert (await http.request("GET", "http://a.test/")).body == b"mine"
                await asyncio.sleep(0.1)
        assert len(net.dialled) == 3


# --- TLS


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server context and the file of its self-signed certificate for `name`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


async def test_the_certificate_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    server, authority = certificate(tmp_path, "hook.test")
    trusting = ssl.create_default_context(cafile=str(authority))
    async with served(answer(b"secure"), server) as (port, _):
        guard = Net(port=port).guard()
        async with safe_http(guard, ssl_context=trusting) as http:
            assert (await http.request("GET", "https://hook.test/")).body == b"secure"
            with pytest.raises(Unreachable) as caught:
                await http.request("GET", "https://other.test/")
            assert (caught.value.kind, caught.value.sent) == (Kind.TLS, False)
        async with safe_http(guard) as http:
            with pytest.raises(Unreachable) as caught:
                await http.request("GET", "https://hook.test/")
            assert caught.value.kind is Kind.TLS
        _, writer = await guard.open_connection("hook.test", 993, ssl_context=trusting)
        writer.transport.abort()
        with pytest.raises(Unreachable) as caught:
            await guard.open_connection("hook.test", 993, tls=True)
        assert caught.value.kind is Kind.TLS


def test_a_context_that_verifies_nothing_is_not_taken() -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    with pytest.raises(ValueError, match="verify"):
        tls_context(context)
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="verify"):
        safe_http(Guard(), ssl_context=context)


async def test_a_peer_without_tls_is_a_tls_failure() -> None:
    async with served(answer(b"plain")) as (port, _):
        kind = await kind_of_request(Net(port=port), "https://a.test/", timeout=0.3)
        assert kind in (Kind.TLS, Kind.TIMEOUT)
