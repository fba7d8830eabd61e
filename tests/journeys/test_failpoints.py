"""The process dies at each point where it hurts, is started again, and nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.journeys.load import Load
from tests.journeys.mailbox import DovecotMailbox
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


def _die_at(load: Load, point: str, *, mails: int = 0, replies: int = 0) -> None:
    """The process that runs is killed, the next one gets work, and dies of it at `point`."""
    stack, name = load.stack, "worker" if load.stack.fleet else "up"
    answered = list(load.conversations().values())[:replies] if replies else []
    if name in stack.processes:
        stack.kill(name)
    load.write(mails)
    # The second message's turn, in a fleet; what several messages may share is passed once.
    count = 2 if stack.fleet and point in EACH else 1
    stack.launch(name, HELPDESK_FAILPOINTS=f"{point}:exit@{count}")
    if answered and not stack.fleet:
        stack.ready(name)
    for conversation in answered:
        load.answer(conversation)
    stack.crashed(name)


def test_deaths_while_receiving_lose_and_double_no_mail(load: Load) -> None:
    for point in RECEIVING:
        _die_at(load, point, mails=2)
    load.begin_again()
    load.account()


@pytest.mark.parametrize("point", SENDING)
def test_a_death_while_sending_sends_each_reply_once(load: Load, point: str) -> None:
    _die_at(load, point, replies=2)
    load.begin_again()
    load.account()


@pytest.mark.parametrize("point", DOUBTFUL)
def test_a_death_after_the_final_byte_shows_doubt_and_repeats_the_same_bytes_at_most(load: Load, point: str) -> None:
    _die_at(load, point, replies=2)
    load.begin_again()
    load.shown("uncertain")
    load.account()
