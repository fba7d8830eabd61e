"""How somebody waits for an agent, and what he is told of how long: never more than is known."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpdesk.domain.queueing import FEWEST, LATEST, Waiting, pace

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def estimate(
    taken: Sequence[tuple[datetime, datetime]], *, position: int, first_since: datetime, now: datetime
) -> int | None:
    found = pace(taken, first_since=first_since, now=now)
    return None if found is None else found.until(position)


def test_who_is_joined_has_waited_from_when_he_came_and_again_when_he_was_given_back() -> None:
    found = Waiting().queue(ago(100)).queue(ago(90)).join(ago(60))
    assert found == Waiting(joined_at=ago(60), waited_seconds=40)
    again = found.queue(ago(50)).join(ago(30))
    assert again == Waiting(joined_at=ago(60), waited_seconds=60)
    assert again.join(NOW) == again


def test_who_goes_before_anybody_came_has_abandoned_it_and_who_was_served_has_not() -> None:
    assert Waiting().queue(ago(50)).go(ago(20)) == Waiting(abandoned_at=ago(20), waited_seconds=30)
    served = Waiting().queue(ago(50)).join(ago(40)).queue(ago(30))
    assert served.go(ago(20)) == Waiting(joined_at=ago(40), waited_seconds=20)
    assert Waiting().go(NOW) == Waiting()


def test_a_missed_one_is_missed_until_he_comes_back_and_is_joined() -> None:
    gone = Waiting().queue(ago(500)).miss(ago(400), gone=True)
    assert gone == Waiting(abandoned_at=ago(400), missed=True, waited_seconds=100)
    assert gone.join(ago(300)) == gone, "an answer by other ways is no joining"
    assert gone.queue(ago(60)).join(ago(50)) == Waiting(joined_at=ago(50), waited_seconds=110)
    closed = Waiting().queue(ago(500)).miss(ago(400), gone=False)
    assert (closed.missed, closed.abandoned_at) == (True, None)
    again = Waiting(joined_at=ago(900)).queue(ago(500)).miss(ago(400), gone=True)
    assert (again.missed, again.abandoned_at, again.joined_at) == (True, None, ago(900))


def test_a_clock_that_goes_back_makes_nobody_wait_for_less_than_nothing() -> None:
    assert Waiting().queue(NOW).stop(ago(5)).waited_seconds == 0


def busy(many: int, every: float = 60.0) -> list[tuple[datetime, datetime]]:
    """Who came long before his turn; somebody is joined every so many seconds, and the last one just now."""
    return [(ago(3600), ago(every * (many - 1 - number))) for number in range(many)]


def test_where_all_wait_it_is_the_time_between_two_turns_by_the_place() -> None:
    taken = busy(10)
    assert estimate(taken, position=1, first_since=ago(500), now=NOW) == 60
    assert estimate(taken, position=3, first_since=ago(500), now=NOW) == 180
    later = NOW + timedelta(seconds=25)
    assert estimate(taken, position=2, first_since=ago(500), now=later) == 100, "95, rounded up"
    assert estimate(taken, position=3, first_since=ago(500), now=later) == 180, "155, rounded up"


def test_where_nobody_waited_for_others_it_is_how_long_each_one_waited() -> None:
    taken = [(ago(600 * n + 10), ago(600 * n)) for n in range(1, 6)]
    assert estimate(taken, position=1, first_since=NOW, now=NOW) == 10
    assert estimate(taken, position=2, first_since=NOW, now=NOW) == 20


@pytest.mark.parametrize(
    ("taken", "first_since"),
    [
        ([], NOW),
        (busy(FEWEST - 1), NOW),
        ([(since - timedelta(hours=1), joined - timedelta(hours=1)) for since, joined in busy(10)], NOW),
        ([(ago(600 * n + 10), ago(600 * n)) for n in range(1, 6)], ago(11)),
    ],
    ids=["nothing", "too few", "too old", "the first waits for longer than anybody did"],
)
def test_what_nobody_can_tell_is_not_told(taken: list[tuple[datetime, datetime]], first_since: datetime) -> None:
    assert estimate(taken, position=1, first_since=first_since, now=NOW) is None


def test_only_the_last_ones_count() -> None:
    slow, quick = busy(30, every=100), busy(LATEST, every=10)
    taken = [(since, joined - timedelta(seconds=LATEST * 10)) for since, joined in slow] + quick
    assert estimate(taken, position=1, first_since=NOW, now=NOW) == 10


pairs = st.tuples(st.integers(0, 4000), st.integers(0, 4000)).map(lambda two: (ago(max(two)), ago(min(two))))


@settings(max_examples=60, deadline=None)
@given(st.lists(pairs, max_size=30), st.integers(1, 20), st.integers(0, 600), st.randoms(use_true_random=False))
def test_it_is_never_less_than_nothing_grows_with_the_place_and_knows_no_order(
    taken: list[tuple[datetime, datetime]], position: int, since: int, chance: random.Random
) -> None:
    first = {"first_since": ago(since), "now": NOW}
    found = estimate(taken, position=position, **first)
    assert estimate(chance.sample(taken, len(taken)), position=position, **first) == found
    if found is not None:
        behind = estimate(taken, position=position + 1, **first)
        assert behind is not None
        assert behind >= found >= 0
