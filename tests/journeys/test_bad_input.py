"""Servers that refuse, wrong settings, hostile mail: a clear word for each, and nobody else suffers."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.load import Load
from tests.journeys.mailbox import DovecotMailbox
from tests.journeys.mails import mail
from tests.journeys.sink import Sink
from tests.journeys.stack import Stack, free_port
from tests.peers.dovecot import Dovecot
from tests.peers.token_server import CLIENT_ID, CLIENT_SECRET, TokenServer

_BROKEN = {
    "unreachable": ("unreachable", "imap.connect"),
    "no IMAP server": ("unreachable", "imap.connect"),
    "wrong password": ("authentication", "imap.login"),
    "withdrawn grant": ("authentication", "imap.login"),
    "vanished mailbox": ("misconfigured", "imap.mailbox"),
}


@pytest.fixture(scope="module")
def customers() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("bad")) as made:
        made.set_up()
        made.start()
        yield made


@pytest.fixture(scope="module")
def load(stack: Stack, customers: Sink, mailbox: Callable[[], DovecotMailbox]) -> Load:
    """An inbox that is well, beside all the others."""
    made = Load(stack, mailbox(), customers)
    made.read_once()
    return made


@pytest.fixture(scope="module")
def broken(stack: Stack, dovecot: Dovecot, customers: Sink) -> Iterator[dict[str, str]]:
    """Inboxes that cannot work, by what is wrong with them."""
    with TokenServer() as issuer:
        grant = issuer.grant("desk0")
        issuer.withdraw()
        plain = dovecot.url("desk0")
        oauth = {
            "auth": "xoauth2",
            "oauth_provider": "custom",
            "oauth_client_id": CLIENT_ID,
            "oauth_client_secret": CLIENT_SECRET,
            "oauth_token_url": issuer.url("/token"),
            "oauth_refresh_token": grant,
        }
        settings: dict[str, dict[str, Any]] = {
            "unreachable": {"imap_url": f"imap://desk:secret@127.0.0.1:{free_port()}"},
            "no IMAP server": {"imap_url": f"imap://desk:secret@127.0.0.1:{customers.port}"},
            "wrong password": {"imap_url": dovecot.url("desk0", password="guessed")},
            "withdrawn grant": {"imap_url": plain, **oauth},
            "vanished mailbox": {"imap_url": dovecot.url("desk0", mailbox="Gone")},
        }
        yield {
            name: stack.post_inbox(name, address=f"broken{number}@wallet.example", receive="imap", **given)
            for number, (name, given) in enumerate(settings.items())
        }


def _told(stack: Stack, kind: str) -> list[str]:
    """The inboxes that events of this kind were about."""
    with closing(sqlite3.connect(stack.data / "helpdesk.db", timeout=30)) as database:
        query = "SELECT json_extract(data, '$.inbox_id') FROM events WHERE type = ? ORDER BY id"
        return [str(row[0]) for row in database.execute(query, (kind,))]


def test_an_inbox_that_cannot_be_read_is_shown_as_failing_and_told_once(stack: Stack, broken: dict[str, str]) -> None:
    stack.until("all are told", lambda: set(broken.values()) <= set(_told(stack, "inbox.failing")))
    for name, inbox_id in broken.items():
        shown = stack.get(f"/inboxes/{inbox_id}")
        assert (name, shown["error_kind"]) == (name, _BROKEN[name][0])
        assert shown["failing_since"]
    told = _told(stack, "inbox.failing")
    assert len(told) == len(set(told))


def test_a_check_says_at_which_step_it_fails(stack: Stack, broken: dict[str, str]) -> None:
    for name, inbox_id in broken.items():
        found = stack.http.post(f"/inboxes/{inbox_id}/check", json={}).json()
        wrong = [check for check in found["checks"] if not check["ok"]]
        assert (name, found["ok"], [check["name"] for check in wrong]) == (name, False, [_BROKEN[name][1]])
        assert wrong[0]["detail"]
    done = stack.run("inbox", "check", broken["wrong password"])
    assert done.returncode == 1
    assert "FAIL imap.login: " in done.stdout
    assert "Traceback" not in done.stderr


def test_doctor_names_what_fails_and_leaves_with_an_error(stack: Stack, broken: dict[str, str], load: Load) -> None:
    done = stack.run("doctor")
    assert done.returncode == 1
    for name in broken:
        assert f"FAIL inbox {name}: {_BROKEN[name][0]}: " in done.stdout
    assert f"ok   inbox {load.address.partition('@')[0]}: works" in done.stdout
    assert done.stderr == ""


def test_the_other_inboxes_go_on(load: Load, broken: dict[str, str]) -> None:
    load.write(1)
    load.account()


def test_an_inbox_that_is_mended_says_so(stack: Stack, broken: dict[str, str]) -> None:
    inbox_id = broken["wrong password"]
    stack.until("it is told to fail", lambda: inbox_id in _told(stack, "inbox.failing"))
    version = stack.get(f"/inboxes/{inbox_id}")["version"]
    done = stack.http.patch(
        f"/inboxes/{inbox_id}", json={"settings": {"imap_password": "secret"}}, headers={"If-Match": f'"{version}"'}
    )
    assert done.status_code == 200, done.text
    stack.until("it is told to have recovered", lambda: inbox_id in _told(stack, "inbox.recovered"))
    shown = stack.get(f"/inboxes/{inbox_id}")
    assert (shown["failing_since"], shown["error_kind"]) == (None, "")


def test_a_reply_waits_for_a_server_that_cannot_be_reached(stack: Stack, mailbox: Callable[[], DovecotMailbox]) -> None:
    box = mailbox()
    nowhere = f"smtp://127.0.0.1:{free_port()}"
    inbox_id = stack.post_inbox(
        "Mute", address="mute@wallet.example", receive="imap", imap_url=box.url, smtp_url=nowhere
    )
    stack.until("the mailbox is read", lambda: stack.get(f"/inboxes/{inbox_id}")["last_success_at"])
    box.deliver(mail("Is anybody there?", sender="zoe@customer.example", to="mute@wallet.example").as_bytes())
    conversation = stack.conversation("Is anybody there?")
    sent = stack.reply(conversation["id"], "Yes.", key="mute")

    def tried() -> dict[str, Any] | None:
        (found,) = [m for m in stack.messages(conversation["id"]) if m["id"] == sent["id"]]
        return found["delivery"] if found["delivery"]["error"] else None

    delivery = stack.until("it is tried", tried)
    assert (delivery["status"], delivery["error"]) == ("queued", "unreachable")
    assert delivery["next_attempt_at"]


def _deep(levels: int) -> bytes:
    head = b"From: eve@hostile.example\r\nTo: desk@wallet.example\r\nSubject: deep\r\nMIME-Version: 1.0\r\n"
    parts = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level) for level in range(levels)
    )
    return head + parts + b"Content-Type: text/plain\r\n\r\nthe bottom\r\n"


_HOSTILE = {
    "too deep": _deep(5000),
    "a header of two megabytes": b"From: eve@hostile.example\r\nSubject: "
    + b"=?utf-8?q?" * 200_000
    + b"\r\n\r\nHi\r\n",
    "no mail at all": bytes(set(range(1, 256)) - set(b"\r\n")) * 40,
    "huge": b"From: eve@hostile.example\r\nSubject: huge\r\n\r\n" + (b"x" * 98 + b"\r\n") * 120_000,
}


def test_hostile_mail_is_kept_with_its_source_and_holds_nobody_up(load: Load) -> None:
    stack, before = load.stack, {one["id"] for one in load.stack.conversations(inbox_id=load.inbox_id)}
    for body in _HOSTILE.values():
        load.mailbox.deliver(body)
    load.write(1)
    load.filed()

    def new() -> list[str]:
        every = stack.conversations(inbox_id=load.inbox_id)
        found = [one["id"] for one in every if one["id"] not in before and one["subject"] not in load.mails]
        return found if len(found) == len(_HOSTILE) else []

    sources = set()
    for conversation_id in stack.until("each of them is shown", new):
        message = next(m for m in stack.messages(conversation_id) if m["type"] == "incoming")
        answer = stack.http.get(f"/messages/{message['id']}/raw")
        assert answer.status_code == 200, answer.text
        sources.add(_unfolded(answer.content))
    assert sources == {_unfolded(body) for body in _HOSTILE.values()}
    assert stack.http.post(f"/inboxes/{load.inbox_id}/reprocess", json={}).status_code == 200


def _unfolded(body: bytes) -> bytes:
    """IMAP gives lines that end in CRLF, and a last one that does."""
    return body.replace(b"\r\n", b"\n").rstrip(b"\n")


# -- commands --------------------------------------------------------------------------------------------------------


def _refused(stack: Stack, *arguments: str, word: str, also: Sequence[str] = (), **environment: str) -> None:
    """It ends with 1 and one clear line on standard error that has `word`, and `also` the others, in it."""
    done = stack.run(*arguments, **environment)
    assert done.returncode == 1, f"{done.returncode}: {done.stderr}"
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert not [one for one in (word, *also) if one not in lines[0]], lines[0]
    assert "Traceback" not in done.stdout


def test_a_wrong_inbox_setting_is_refused_by_name(stack: Stack) -> None:
    given = ("--set", "address=new@wallet.example", "--set", "imap_ulr=imap://desk@mail.example")
    _refused(stack, "inbox", "add", "email", "--name", "New", *given, word="imap_ulr")
    for name, value in (
        ("imap_url", "http://mail.example"),
        ("address", "nobody at all"),
        ("reply_address", "support@wallet.example"),
    ):
        settings = {"address": "new@wallet.example", name: value}
        answer = stack.http.post("/inboxes", json={"channel": "email", "name": "New", "settings": settings})
        assert answer.status_code == 422, answer.text
        assert name in answer.text


def test_wrong_settings_are_refused_by_name(stack: Stack, tmp_path: Path) -> None:
    wrong = {
        "HELPDESK_DATABASE_URL": "mysql://root@localhost/helpdesk",
        "HELPDESK_REDIS_URL": "http://localhost",
        "HELPDESK_SECRET_KEY": "short",
    }
    _refused(stack, "migrate", word="HELPDESK_DATABASE_URL: ", also=list(wrong), **wrong)
    arguments = ("up", "--data", str(tmp_path / "data"), "--port", str(free_port()), "--smtp-port", str(free_port()))
    _refused(stack, *arguments, word="HELPDESK_ALLOW_HOSTS", HELPDESK_ALLOW_HOSTS="localhost and friends")


@pytest.mark.parametrize("option", ["--port", "--smtp-port"])
def test_a_port_in_use_is_one_clear_line(stack: Stack, tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"--port": str(free_port()), "--smtp-port": str(free_port()), option: str(taken.getsockname()[1])}
        given = [part for pair in ports.items() for part in pair]
        _refused(stack, "up", "--data", str(tmp_path / "data"), *given, word=ports[option])


def test_a_data_folder_that_cannot_be_written_is_one_clear_line(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    _refused(stack, "up", "--data", str(tmp_path / "file"), word=str(tmp_path / "file"))


def _at(data: Path) -> dict[str, str]:
    return {"HELPDESK_DATA": str(data)}


def test_a_database_from_a_newer_version_is_left_alone(stack: Stack, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with closing(sqlite3.connect(data / "helpdesk.db")) as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
        database.execute("INSERT INTO alembic_version VALUES ('9999')")
        database.commit()
    ports = ("--port", str(free_port()), "--smtp-port", str(free_port()))
    _refused(stack, "up", *ports, word="newer version", **_at(data))
    done = stack.run("doctor", **_at(data))
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAIL database: " in done.stdout


def test_a_second_up_on_the_same_folder_is_refused(stack: Stack) -> None:
    _refused(stack, "up", "--port", str(free_port()), "--smtp-port", str(free_port()), word="another `helpdesk up`")
