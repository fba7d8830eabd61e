"""Where a message belongs, case by case, without any table."""

from __future__ import annotations

from itertools import product
from uuid import UUID

import pytest

from helpdesk.channels import Authentication
from helpdesk.domain.matching import Candidate, Facts, TokenFact, place
from helpdesk.domain.values import LinkKind, Status

ONE, TWO = UUID(int=1), UUID(int=2)
MINA, BERT, ANNA = "mina@customer.test", "bert@customer.test", "anna@wallet.test"
PASS, FAIL, NONE = Authentication.PASS, Authentication.FAIL, Authentication.NONE


def candidate(conversation_id: UUID = ONE, *, status: str = "open", people: tuple[str, ...] = (MINA,)) -> Candidate:
    return Candidate(conversation_id, status, frozenset(people))


def by_address(found: Candidate | None) -> TokenFact:
    return TokenFact("address", found)


def by_id(found: Candidate | None) -> TokenFact:
    return TokenFact("message_id", found)


@pytest.mark.parametrize("source", ["address", "message_id"])
@pytest.mark.parametrize("authentication", [PASS, FAIL, NONE])
def test_a_participant_with_a_token_joins_whatever_the_verdict(source: str, authentication: Authentication) -> None:
    found = place(Facts(MINA, authentication, tokens=[TokenFact(source, candidate())]))
    assert (found.join, found.links, found.private, found.quarantined) == (ONE, (), False, False)
    assert found.verified == {PASS: True, FAIL: False, NONE: None}[authentication]
    assert bool(found.reasons) == (authentication is not PASS)


@pytest.mark.parametrize("authentication", [PASS, FAIL, NONE])
def test_without_a_token_nothing_is_joined(authentication: Authentication) -> None:
    found = place(Facts(MINA, authentication))
    assert (found.join, found.links, found.security) == (None, (), ())
    assert found.identifies == (authentication is not FAIL)


def test_a_stranger_with_a_token_is_linked_and_no_more() -> None:
    found = place(Facts(BERT, PASS, tokens=[by_id(candidate())]))
    assert (found.join, found.links) == (None, ((ONE, LinkKind.MAY_BELONG_TO),))
    assert "not_a_participant" in found.reasons


@pytest.mark.parametrize("status", [Status.OPEN, Status.PENDING, Status.SNOOZED, Status.RESOLVED])
def test_every_status_but_closed_takes_an_answer(status: Status) -> None:
    assert place(Facts(MINA, PASS, tokens=[by_id(candidate(status=status))])).join == ONE


def test_an_answer_to_what_is_closed_follows_it() -> None:
    found = place(Facts(MINA, PASS, tokens=[by_id(candidate(status="closed"))]))
    assert (found.join, found.links) == (None, ((ONE, LinkKind.FOLLOWS),))


def test_the_address_wins_over_ids_and_the_first_id_over_later_ones() -> None:
    assert place(Facts(MINA, PASS, tokens=[by_address(candidate(ONE)), by_id(candidate(TWO))])).join == ONE
    assert place(Facts(MINA, PASS, tokens=[by_id(candidate(TWO)), by_id(candidate(ONE))])).join == TWO


def test_a_bad_address_token_spoils_the_good_ids() -> None:
    found = place(Facts(MINA, PASS, tokens=[by_address(None), by_id(candidate())]))
    assert (found.join, found.links) == (None, ((ONE, LinkKind.MAY_BELONG_TO),))
    assert (found.security, "bad_token" in found.reasons) == (("reply_token_refused",), True)


def test_a_bad_id_among_good_ones_is_passed_over_and_alone_is_audited() -> None:
    """References grow over years: old ids of lost keys, and other systems' that look alike, are in good company."""
    assert place(Facts(MINA, PASS, tokens=[by_id(None), by_id(candidate())])).join == ONE
    found = place(Facts(MINA, PASS, tokens=[by_id(None)]))
    assert (found.join, found.security) == (None, ("reply_token_refused",))


@pytest.mark.parametrize("word", ["several_from", "group_from", "no_from"])
def test_doubtful_senders_are_quarantined_even_with_everything_else_right(word: str) -> None:
    found = place(Facts(MINA, PASS, suspect=(word,), tokens=[by_address(candidate())]))
    assert (found.join, found.quarantined, found.identifies, found.verified) == (None, True, False, False)
    assert found.links == ((ONE, LinkKind.MAY_BELONG_TO),)
    assert word in found.reasons


@pytest.mark.parametrize("sees", [True, False])
@pytest.mark.parametrize("authentication", [PASS, FAIL, NONE])
def test_a_colleague_speaks_to_agents_only(authentication: Authentication, sees: bool) -> None:
    found = place(
        Facts(
            ANNA,
            authentication,
            tokens=[by_id(candidate(people=(MINA, ANNA)))],
            colleague_sees=frozenset({ONE} if sees else ()),
        )
    )
    assert (found.private, found.identifies) == (True, False)
    assert found.join == (ONE if sees and authentication is PASS else None)
    # Who may not see a conversation does not learn from a link that it is there.
    assert bool(found.links) == (sees and authentication is not PASS)


def test_a_colleague_with_a_bad_token_or_for_what_is_closed_joins_nothing() -> None:
    seen = frozenset({ONE})
    bad = place(Facts(ANNA, PASS, tokens=[by_address(None), by_id(candidate())], colleague_sees=seen))
    closed = place(Facts(ANNA, PASS, tokens=[by_id(candidate(status="closed"))], colleague_sees=seen))
    assert (bad.join, closed.join, bad.private, closed.private) == (None, None, True, True)
    assert bad.security == ("reply_token_refused",)


@pytest.mark.parametrize("authentication", [PASS, NONE])
def test_the_authors_own_thread_leads_on(authentication: Authentication) -> None:
    assert place(Facts(MINA, authentication, thread=candidate())).join == ONE
    assert place(Facts(MINA, authentication, thread=candidate(status="resolved"))).join == ONE


@pytest.mark.parametrize(("status", "resting"), [("closed", False), ("open", True), ("closed", True)])
def test_what_is_said_in_a_thread_that_is_over_follows_it(status: str, resting: bool) -> None:
    found = place(Facts(MINA, PASS, thread=candidate(status=status), resting=resting))
    assert (found.join, found.links) == (None, ((ONE, LinkKind.FOLLOWS),))


def test_a_thread_that_leads_to_somebody_else_is_linked_and_no_more() -> None:
    found = place(Facts(BERT, PASS, thread=candidate()))
    assert (found.join, found.links) == (None, ((ONE, LinkKind.MAY_BELONG_TO),))


def test_where_there_is_a_token_no_thread_counts() -> None:
    assert place(Facts(MINA, PASS, tokens=[by_id(candidate())], thread=candidate(TWO), resting=True)).join == ONE
    assert place(Facts(MINA, PASS, tokens=[by_address(None)], thread=candidate(TWO))).join is None


def test_whatever_the_facts_joining_takes_a_participant_or_a_colleague() -> None:
    """All combinations: nobody else ever joins, and nothing that is quarantined does."""
    judged = 0
    tokens = [[], [by_address(None)], [by_id(None)], [by_address(candidate())], [by_id(candidate())]]
    tokens += [[first, second] for first in (by_address(None), by_id(None)) for second in tokens[3] + tokens[4]]
    for sender, verdict, suspect, held, colleague in product(
        (MINA, BERT, ""), (PASS, FAIL, NONE), ((), ("several_from",)), tokens, (None, frozenset(), frozenset({ONE}))
    ):
        found = place(Facts(sender, verdict, suspect=suspect, tokens=held, colleague_sees=colleague))
        judged += 1
        if found.join is None:
            continue
        assert not suspect
        assert not found.quarantined
        assert any(one.candidate is not None for one in held)
        assert (held[0].source, held[0].candidate) != ("address", None)
        if colleague is None:
            assert sender == MINA
        else:
            assert found.private
            assert ONE in colleague
            assert verdict is PASS
    assert judged == 3 * 3 * 2 * len(tokens) * 3
