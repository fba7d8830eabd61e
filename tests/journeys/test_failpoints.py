"""The process dies at each point where it hurts, is started again, and nothing is lost or doubled."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.journeys.load import Load
from tests.journeys.mailbox import DovecotMailbox
from tests.journeys.mails import mail
from tests.journeys.sink import Sink
from tests.journeys.stack import Stack

RECEIVING = ("imap.fetched", "raw.committed", "parsed", "filed", "flag.set")
SENDING = ("claimed", "sending.committed", "smtp.connected", "rcpt.accepted", "receipt.recorded")
DOUBTFUL = ("data.last_byte", "reply.received")
EACH = ("sending.committed", "rcpt.accepted", "receipt.recorded", *DOUBTFUL)


@pytest.fixture(scope="module", params=["up", "fleet"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    database_url = request.getfixturevalue("new_database")() if request.param == "fleet" else ""
    # Long enough for the doubt to be seen before it is settled.
    with Stack(tmp_path_factory.mktemp("crash"), database_url=database_url, HELPDESK_UNCERTAIN_SECONDS="2") as made:
        made.set_up()
        made.start()
        yield made


@pytest.fixture(scope="module")
def customers() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def load(stack: Stack, customers: Sink, mailbox: Callable[[], DovecotMailbox]) -> Load:
    made = Load(stack, mailbox(), customers)
    made.read_once()
    made.write(2)
    made.filed()
    made.settled()
    return made


def _die_at(load: Load, point: str, *, mails: int = 0, replies: Sequence[dict[str, Any]] = ()) -> None:
    """The process that runs is killed, the next one gets work, and dies of it at `point`.

    `replies` are the conversations that are answered.
    """
    stack, name = load.stack, "worker" if load.stack.fleet else "up"
    if name in stack.processes:
        stack.kill(name)
    load.write(mails)
    # The second message's turn, in a fleet; what several messages may share is passed once.
    count = 2 if stack.fleet and point in EACH else 1
    stack.launch(name, HELPDESK_FAILPOINTS=f"{point}:exit@{count}")
    if replies and not stack.fleet:
        stack.ready(name)
    for conversation in replies:
        load.answer(conversation)
    stack.crashed(name)


def test_deaths_while_receiving_lose_and_double_no_mail(load: Load) -> None:
    for point in RECEIVING:
        _die_at(load, point, mails=2)
    load.begin_again()
    load.account()


def test_a_death_at_the_door_before_its_yes_makes_one_message_of_what_is_sent_again(load: Load) -> None:
    stack, name = load.stack, "worker" if load.stack.fleet else "up"
    address = f"door-{name}@wallet.example"
    inbox_id = stack.post_inbox("Door", address=address, receive="smtp")
    body = mail("Through the door", sender="zoe@customer.example", to=address).as_bytes()
    stack.kill(name)
    stack.start_one(name, HELPDESK_FAILPOINTS="raw.committed:exit@1")
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        _bring(stack, address, body)
    stack.crashed(name)
    load.begin_again()
    assert _bring(stack, address, body) == {}
    (filed,) = stack.until("the mail is filed", lambda: stack.conversations(inbox_id=inbox_id))
    assert _bring(stack, address, body) == {}
    # The acknowledgement leaves before the next death is prepared.
    stack.until("it is acknowledged", lambda: [m for m in stack.messages(filed["id"]) if m["sent_at"]])
    assert len(stack.conversations(inbox_id=inbox_id)) == 1


def _bring(stack: Stack, address: str, body: bytes) -> dict[str, tuple[int, bytes]]:
    """What a mail server does; the recipients that were refused."""
    with smtplib.SMTP("127.0.0.1", stack.door, timeout=30) as client:
        return client.sendmail("zoe@customer.example", [address], body)


def test_deaths_while_sending_send_each_reply_once(load: Load) -> None:
    two = list(load.conversations().values())[:2]
    for point in SENDING:
        # Where the API dies too, the first death leaves the next ones their work.
        _die_at(load, point, replies=two if load.stack.fleet or point == SENDING[0] else ())
    load.begin_again()
    load.account()


@pytest.mark.parametrize("point", DOUBTFUL)
def test_a_death_after_the_final_byte_shows_doubt_and_repeats_the_same_bytes_at_most(load: Load, point: str) -> None:
    _die_at(load, point, replies=list(load.conversations().values())[:2])
    load.begin_again()
    load.shown("uncertain")
    load.account()
