"""Frames that are wrong, one fault each, and what a client is told of them: the field of ours, or nothing.

`MALFORMED` are texts for a connection that has said hello; each is `bad_frame`. `FATAL` are bytes on the wire, each
with the code that the connection is closed with.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, Final

CLIENT_ID: Final = "0190-client_id"
UPLOAD: Final = "018f3a3c-7d2e-7c11-9b1a-5d1e2f3a4b5c"

SEND: Final = {"type": "message.send", "client_id": CLIENT_ID, "text": "hello"}
READ: Final = {"type": "read", "seq": 3}
TYPING: Final = {"type": "typing", "ttl": 5}
PING: Final = {"type": "ping", "last_seq": 0}

_SENT: Final = {
    "client_id": [None, 7, True, [], {}, "", "a b", "a/b", "ü", "x" * 65, "a\n", "\u0000", "<b>", "../etc", 1.5, ["a"]],
    "text": [None, 7, True, [], {}, ["a"], {"a": "b"}, 1e5],
    "attachment_ids": [None, 7, "x", {}, ["x"], [7], [None], [[]], [UPLOAD] * 11, UPLOAD, [UPLOAD[:-1]], [{}], [True]],
}
_NUMBERS: Final = [None, "3", "", [], {}, [3], True, False, -1, 1.5, 1e300, 2**31, 2**63, 2**64, 10**400, -(2**70)]


def _with(frame: dict[str, Any], **given: Any) -> str:
    return json.dumps({**frame, **given})


def _without(frame: dict[str, Any], name: str) -> str:
    return json.dumps({key: value for key, value in frame.items() if key != name})


def _wrong_values() -> Iterator[tuple[str, str]]:
    for name, values in _SENT.items():
        yield from ((_with(SEND, **{name: value}), name) for value in values)
    yield from ((_with(READ, seq=value), "seq") for value in _NUMBERS)
    yield from ((_with(PING, last_seq=value), "last_seq") for value in _NUMBERS)
    yield from ((_with(TYPING, ttl=value), "ttl") for value in _NUMBERS if value != 1.5)
    yield from ((_with(TYPING, ttl=value), "ttl") for value in (30.5, 31))


def _missing_and_more() -> Iterator[tuple[str, str]]:
    for frame in (SEND, READ, TYPING, PING):
        for name in frame:
            if name != "attachment_ids":
                yield _without(frame, name), name
        for more in ("html", "private", "author", "contact_id", "__proto__", "seq\u202e", "<script>", "x" * 300, ""):
            yield _with(frame, **{more: "x"}), ""
    for name in ("seq", "ttl", "last_seq", "token", "resume", "conversation_id"):
        yield _with(SEND, **{name: 1}), name


def _unknown_names() -> Iterator[tuple[str, str]]:
    names = ["", "hello ", "Message.Send", "message.new", "message.ack", "welcome", "resync", "pong", "error", "queue"]
    names += ["presence", "agent.joined", "conversation.state", "message.delete", "eval", "__class__", "x" * 5000, "\0"]
    yield from ((json.dumps({"type": name}), "type") for name in names)
    others: list[Any] = [None, 7, True, [], {}, ["ping"], {"type": "ping"}, 1.5]
    yield from ((json.dumps({"type": value}), "type") for value in others)
    yield json.dumps({}), "type"


def _no_objects() -> Iterator[tuple[str, str]]:
    texts = ["", " ", "\n", "{", "}", "[]", "[1,2]", "null", "true", "7", '"ping"', "NaN", "Infinity", "-", "'ping'"]
    texts += ["{'type':'ping'}", '{"type":"ping","last_seq":1', '{"type":"ping","last_seq":1}}', '{"type" "ping"}']
    texts += ['{"type":"ping",}', '{type:"ping"}', '{"type":"ping"}{"type":"ping"}', "// x\n{}", "\ufeff{}", "\x00"]
    texts += ["[" * 30_000, '{"a":' * 8_000, "[" * 8_000 + "]" * 8_000, '{"type":"ping","last_seq":01}']
    texts += ['{"type":"ping","last_seq":+1}', '{"type":"ping","last_seq":0x1}', '{"type":"ping","last_seq":1_0}']
    texts += ['{"type":"message.send","client_id":"a","text":"\\ud800"}', '{"type":"\\udfff"}', '{"\\ud800":1}']
    texts += [
        '{"type":"message.send","client_id":"a","text":"\t"}',
        '{"type":"message.send","client_id":"a","text":"\\x"}',
    ]
    texts += ["9" * 60_000, '"' + "a" * 60_000 + '"']
    for text in texts:
        yield text, ""
    yield "{" + ",".join(f'"k{n}":{n}' for n in range(4000)) + "}", "type"


def _not_numbers() -> Iterator[tuple[str, str]]:
    for word in ("NaN", "Infinity", "-Infinity", "1e400", "-1e400"):
        yield f'{{"type":"typing","ttl":{word}}}', "ttl"
        yield f'{{"type":"read","seq":{word}}}', "seq"


MALFORMED: Final = [*_wrong_values(), *_missing_and_more(), *_unknown_names(), *_no_objects(), *_not_numbers()]

HARMLESS: Final = [
    '{"type":"typing","type":"ping","last_seq":0}',
    '{"type":"ping","last_seq":7,"last_seq":0}',
    ' \n{"last_seq" : 0,\t"type":"ping"}\r\n',
    '{"type":"\\u0070ing","last_seq":-0}',
]
"""Odd, and yet JSON: of a name that is given twice the last one counts. Each is answered by a pong."""


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, bits: int = 0) -> bytes:
    """A frame of RFC 6455 as a client sends it, or as it must not."""
    first = (0x80 if fin else 0) | bits | opcode
    mask = b"\x01\x02\x03\x04" if masked else b""
    flag = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, flag | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, flag | 126, size)
    else:
        head = struct.pack("!BBQ", first, flag | 127, size)
    body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if masked else payload
    return head + mask + body


TEXT, BINARY, CLOSE, PINGS, CONTINUED = 1, 2, 8, 9, 0
_LONG: Final = json.dumps({**SEND, "text": "x" * 66_000}).encode()
_PING: Final = json.dumps(PING).encode()

FATAL: Final[dict[str, tuple[bytes, int]]] = {
    "bytes": (frame(BINARY, _PING), 1003),
    "no bytes": (frame(BINARY), 1003),
    "not UTF-8": (frame(TEXT, b'{"type":"ping","last_seq":\xff}'), 1007),
    "half a character": (frame(TEXT, "你".encode()[:2]), 1007),
    "a surrogate in UTF-8": (frame(TEXT, b'"\xed\xa0\x80"'), 1007),
    "more than 64 KiB": (frame(TEXT, _LONG), 1009),
    "more than 64 KiB in pieces": (
        frame(TEXT, _LONG[:40_000], fin=False) + frame(CONTINUED, _LONG[40_000:]),
        1009,
    ),
    "a length of all the memory there is": (struct.pack("!BBQ", 0x81, 0xFF, 2**62) + b"\0\0\0\0", 1009),
    "a length beyond numbers": (struct.pack("!BBQ", 0x81, 0xFF, 2**64 - 1) + b"\0\0\0\0", 1009),
    "not masked": (frame(TEXT, _PING, masked=False), 1002),
    "compressed, which was not agreed": (frame(TEXT, _PING, bits=0x40), 1002),
    "a reserved bit": (frame(TEXT, _PING, bits=0x10), 1002),
    "a reserved kind": (frame(3, _PING), 1002),
    "a reserved kind of control": (frame(11), 1002),
    "a control frame in pieces": (frame(PINGS, b"x", fin=False), 1002),
    "a control frame that is long": (frame(PINGS, b"x" * 126), 1002),
    "a continuation of nothing": (frame(CONTINUED, _PING), 1002),
    "a text within a text": (frame(TEXT, b"{", fin=False) + frame(TEXT, _PING), 1002),
    "a close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "a close with a code that is none": (frame(CLOSE, struct.pack("!H", 1005)), 1002),
    "a close that is not UTF-8": (frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
}
