"""Names and types of attachments."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpdesk.domain.filenames import MAX_CHARS, display_name, disposition
from helpdesk.domain.media_types import UNKNOWN, safe_type

SHARED = Path(__file__).parents[2].parent / "shared"
DEVICES = {"CON", "PRN", "AUX", "NUL"} | {f"{port}{n}" for port in ("COM", "LPT") for n in range(10)}


def assert_safe(name: str) -> None:
    assert 0 < len(name) <= MAX_CHARS
    assert not re.search(r'[/\\<>:"|?*]', name)
    assert all(unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for letter in name)
    assert unicodedata.normalize("NFKC", name) == name
    assert name == name.strip(" .")
    assert name[0] not in "-~"
    assert name.partition(".")[0].strip().upper() not in DEVICES
    assert display_name(name) == name


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("发票 2024.pdf", "发票 2024.pdf"),
        ("Ünïcode – naïve.txt", "Ünïcode – naïve.txt"),
        ("../../etc/shadow", "shadow"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("C:\\Users\\me\\shot.png", "shot.png"),
        ("folder/", "folder"),
        ("one∕two.txt", "two.txt"),
        ("ｓｈｏｔ．ｐｎｇ", "shot.png"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("a\u200bb\ufeff.png", "ab.png"),
        ("line\r\nbreak\t.txt", "line break .txt"),
        ("doc.pdf\x00.exe", "doc.pdf.exe"),
        ("doc.pdf        .exe", "doc.pdf .exe"),
        (".profile", "profile"),
        ("name.txt. . .", "name.txt"),
        ("-rf.txt", "rf.txt"),
        ("nul", "_nul"),
        ("Com7.log.txt", "_Com7.log.txt"),
        ("COM¹.txt", "_COM1.txt"),
        ("console.txt", "console.txt"),
        ('a"b<c>d|e?f*.png', "a_b_c_d_e_f_.png"),
        ("page.php::$DATA", "page.php__$DATA"),
        ("\u3164\u3164", "attachment.png"),
        (None, "attachment.png"),
        ("", "attachment.png"),
        ("...", "attachment.png"),
        ("///", "attachment.png"),
        (" \t ", "attachment.png"),
    ],
)
def test_a_name_is_one_visible_component(raw: str | None, shown: str) -> None:
    assert display_name(raw, content_type="image/png; name=x") == shown
    assert_safe(shown)


def test_a_long_name_keeps_its_extension() -> None:
    assert display_name("a" * 300 + ".jpeg") == "a" * 115 + ".jpeg"
    assert display_name("字" * 300 + ".pdf") == "字" * 116 + ".pdf"
    assert len(display_name("a." + "b" * 300)) == MAX_CHARS


def test_an_unknown_type_gives_no_extension() -> None:
    assert display_name(None, content_type="text/html") == "attachment"
    assert display_name(None) == "attachment"


@given(st.text(max_size=300))
def test_any_text_becomes_a_safe_name_and_header(raw: str) -> None:
    assert_safe(display_name(raw))
    assert_header(raw)


def assert_header(raw: str) -> None:
    value = disposition(raw)
    match = re.fullmatch(r'attachment; filename="([A-Za-z0-9 ._()+=@,-]+)"(?:; filename\*=UTF-8\'\'([!-~]+))?', value)
    assert match, value
    assert unquote(match[2] or match[1]) == display_name(raw)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        ("naïve.txt", "attachment; filename=\"naive.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        ("发票.pdf", "attachment; filename=\"pdf\"; filename*=UTF-8''%E5%8F%91%E7%A5%A8.pdf"),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        (
            'x"; filename="y.html',
            "attachment; filename=\"x__ filename=_y.html\"; filename*=UTF-8''x_%3B%20filename%3D_y.html",
        ),
        ("发票", "attachment; filename=\"attachment\"; filename*=UTF-8''%E5%8F%91%E7%A5%A8"),
    ],
)
def test_the_header_carries_an_ascii_name_and_the_true_one(name: str, header: str) -> None:
    assert disposition(name) == header


def shared_names() -> list[str]:
    path = SHARED / "attack" / "attachment_filenames.jsonl"
    return [json.loads(line)["name"] for line in path.read_bytes().splitlines()] if path.exists() else []


@pytest.mark.skipif(not shared_names(), reason="../shared/attack/attachment_filenames.jsonl is not here")
def test_every_hostile_name_of_the_shared_set_is_made_safe() -> None:
    for raw in shared_names():
        assert_safe(display_name(raw))
        assert_header(raw)
        assert safe_type("text/html", raw, b"<html><script>alert(1)</script>") in (UNKNOWN, "text/plain", "text/csv")


ZIP = b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + bytes(16) + b"\x13\x00\x00\x00"


@pytest.mark.parametrize(
    ("declared", "name", "head", "kind"),
    [
        ("text/html", "a.html", b"\x89PNG\r\n\x1a\n....", "image/png"),
        ("image/png", "a.png", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("image/gif", "a.gif", b"GIF89a", "image/gif"),
        (None, None, b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp"),
        (None, "a", b"%PDF-1.7\n", "application/pdf"),
        (None, "a.zip", ZIP + b"a.txt", "application/zip"),
        (
            None,
            "a.docx",
            ZIP + b"[Content_Types].xml",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (None, "a.xlsx", ZIP + b"xl/workbook.xml", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (None, "a.docx", ZIP + b"evil.html", "application/zip"),
        (
            None,
            "a.odt",
            b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/vnd.oasis.opendocument.text",
            "application/vnd.oasis.opendocument.text",
        ),
        (None, "a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/vnd.ms-excel"),
        (None, "a.msi", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", UNKNOWN),
        (None, "a.mp4", b"\x00\x00\x00\x18ftypisom", "video/mp4"),
        (None, "a.mov", b"\x00\x00\x00\x14ftypqt  ", "video/quicktime"),
        (None, "a.mp3", b"ID3\x04\x00", "audio/mpeg"),
        (None, "a.mp3", b"\xff\xfb\x90\x64", "audio/mpeg"),
        ("audio/ogg", "a.ogg", b"OggS\x00\x02", "audio/ogg"),
        ("text/plain; charset=utf-8", "a.txt", "naïve 文".encode()[:-1], "text/plain"),
        ("application/octet-stream", "a.csv", b"a,b\r\n1,2\r\n", "text/csv"),
        ("text/plain", None, b"hello", "text/plain"),
        ("text/plain", "a.txt", "hello".encode("utf-16"), "text/plain"),
        ("text/plain", "a.txt", b"MZ\x90\x00\x03", UNKNOWN),
        ("text/plain", "a.html", b"<b>", UNKNOWN),
        ("text/html", "a.html", b"<html>", UNKNOWN),
        ("text/html", None, b"<html>", UNKNOWN),
        ("image/svg+xml", "a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", UNKNOWN),
        ("image/png", "a.png", b"<svg/>", UNKNOWN),
        ("image/png", "a.png", b"", UNKNOWN),
        ("application/javascript", "a.js", b"alert(1)", UNKNOWN),
        ("message/rfc822", "a.eml", b"From: a@example.com\r\n", UNKNOWN),
        ("application/x-msdownload", "a.exe", b"MZ\x90", UNKNOWN),
    ],
)
def test_a_type_is_told_from_the_first_bytes(declared: str | None, name: str | None, head: bytes, kind: str) -> None:
    assert safe_type(declared, name, head) == kind


def _picture(kind: str, side: int) -> bytes:
    """The beginning of a square picture."""
    big, two, three = side.to_bytes(4, "big"), side.to_bytes(2, "little"), (side - 1).to_bytes(3, "little")
    return {
        "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + big + big + b"\1\0\0\0\0",
        "gif": b"GIF89a" + two + two,
        "lossy": b"RIFF....WEBPVP8 ....\0\0\0\x9d\x01\x2a" + two + two,
        "lossless": b"RIFF....WEBPVP8L....\x2f" + ((side - 1) | (side - 1) << 14).to_bytes(4, "little"),
        "extended": b"RIFF....WEBPVP8X....\0\0\0\0" + three + three,
    }[kind]


@pytest.mark.parametrize("kind", ["png", "gif", "lossy", "lossless", "extended"])
def test_a_picture_that_would_fill_the_memory_of_whoever_looks_at_it_is_none(kind: str) -> None:
    assert safe_type(None, None, _picture(kind, 7_000)).startswith("image/")
    assert safe_type("image/png", "face.png", _picture(kind, 12_000)) == UNKNOWN
