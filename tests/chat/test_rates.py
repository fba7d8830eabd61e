"""Buckets that refill, of which there are never more than fit, and seats for those who have not said who they are."""

from __future__ import annotations

import pytest

from connectors.chat.rates import Rate, RateLimited, Rates, Seats, network


class _Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


TEN = Rate(10, 10)


def _wait(rates: Rates, whose: str, kind: str = "typing") -> int:
    with pytest.raises(RateLimited) as refused:
        rates.take(whose, kind, TEN)
    found: int = refused.value.extra["retry_after"]
    return found


def test_so_many_at_once_and_then_as_many_as_time_gives() -> None:
    time = _Time()
    rates = Rates(time=time)
    for _ in range(10):
        rates.take("mina", "typing", TEN)
    assert _wait(rates, "mina") == 1
    rates.take("mina", "read", TEN)
    rates.take("tom", "typing", TEN)
    time.now += 2.5
    rates.take("mina", "typing", TEN)
    rates.take("mina", "typing", TEN)
    assert _wait(rates, "mina") == 1
    time.now += 3600
    for _ in range(10):
        rates.take("mina", "typing", TEN)
    assert _wait(rates, "mina") == 1


def test_whoever_waits_as_long_as_he_is_told_is_served() -> None:
    time = _Time()
    rates, slow = Rates(time=time), Rate(2, 600)
    rates.take("mina", "upload", slow)
    rates.take("mina", "upload", slow)
    with pytest.raises(RateLimited) as refused:
        rates.take("mina", "upload", slow)
    assert refused.value.extra == {"retry_after": 300}
    time.now += 300
    rates.take("mina", "upload", slow)


def test_there_are_never_more_buckets_than_fit_and_the_one_left_alone_goes_first() -> None:
    time = _Time()
    rates = Rates(most=100, time=time)
    for _ in range(10):
        rates.take("mina", "typing", TEN)
    for number in range(500):
        rates.take(number, "typing", TEN)
        if number % 50 == 0:
            assert _wait(rates, "mina") == 1, "whoever is too fast is remembered for as long as he goes on"
    assert len(rates) == 100


def test_one_customer_of_a_provider_is_one_address() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:2") != network("2001:db8:0:1::1")
    assert network("192.0.2.1") != network("192.0.2.2")
    assert network("nowhere") == "nowhere"


def test_there_is_room_for_so_many_strangers_and_for_so_many_from_one_place() -> None:
    seats = Seats(most=3, each=2)
    assert [seats.sit(address) for address in ("a", "a", "a", "b", "c")] == [True, True, False, True, False]
    seats.rise("a")
    assert seats.sit("c")
    for address in ("a", "b", "c"):
        seats.rise(address)
    assert [seats.sit("a"), seats.sit("a"), seats.sit("a")] == [True, True, False]


@pytest.mark.parametrize(
    ("others", "room"), [(0, 50), (20, 40), (60, 20), (70, 15), (80, 10), (90, 10), (95, 5), (100, 0)]
)
def test_one_place_takes_what_is_spare_and_its_share_in_any_case(others: int, room: int) -> None:
    """Of a hundred seats ten are its share; half of what the others leave is spare."""
    seats = Seats(most=100, each=10, spare=True)
    assert all(seats.sit(f"other {number}") for number in range(others))
    assert sum(seats.sit("office") for _ in range(100)) == room
    for _ in range(room):
        seats.rise("office")
    assert seats.sit("office") is (room > 0)
