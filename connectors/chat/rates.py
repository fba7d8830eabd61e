"""How fast somebody may go: buckets in memory, refilled as time passes, and never more of them than fit.

They are this process's own. What must hold for all processes together (codes by mail, say) is counted in the database
by the services; here it is about one connection not costing what a hundred do.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from time import monotonic
from typing import Final

from helpdesk.errors import HelpdeskError


class RateLimited(HelpdeskError):
    """Too many of one kind. `retry_after` seconds are in `extra`."""

    slug, status, title = "rate_limited", 429, "Too fast"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and again so many in `seconds`."""

    many: int
    seconds: float


RATES: Final = {
    "message.send": Rate(20, 10),
    "typing": Rate(10, 10),
    "read": Rate(30, 10),
    "ping": Rate(20, 10),
    "log": Rate(60, 10),
    "listen": Rate(20, 10),
    "upload": Rate(20, 600),
    "download": Rate(120, 10),
    "act": Rate(20, 60),
}
"""Of one session, by the kind of frame or request. `act` are those that are done once or twice: rating, leaving."""

ADDRESS_RATES: Final = {
    "sessions": Rate(30, 600),
    "codes": Rate(20, 600),
    "uploads": Rate(100, 600),
    "config": Rate(300, 60),
}
"""Of one address, where there is no session yet or where a new one costs nothing."""

MOST: Final = 50_000
"""Buckets. The one that nobody asked for longest is forgotten first: it is full by then, for nearly all of them."""


class Rates:
    """`take` one, or be told to wait."""

    def __init__(self, *, most: int = MOST, time: Callable[[], float] = monotonic) -> None:
        self._most, self._time = most, time
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, whose: Hashable, kind: str, rate: Rate) -> None:
        """Raises `RateLimited` where there is none left."""
        now, key = self._time(), (whose, kind)
        left, then = self._buckets.get(key, (float(rate.many), now))
        left = min(float(rate.many), left + (now - then) * rate.many / rate.seconds)
        # What is refused costs nothing: a client that waits as told is served, however often it asked before.
        self._buckets[key] = left - (left >= 1), now
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        if left < 1:
            wait = (1 - left) * rate.seconds / rate.many
            raise RateLimited(extra={"retry_after": max(1, ceil(wait))})


def network(address: str) -> str:
    """Whose tries count together: one customer of a provider has a whole IPv6 /64."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)


class Seats:
    """Who takes up room, at the door, inside or with a file: bounded as a whole, and for each address or session.

    `spare`: one may have more than `each` as long as no less is left for all others. So a company behind one address
    is served while there is room, and nobody takes more than half of it.
    """

    def __init__(self, *, most: int, each: int, spare: bool = False) -> None:
        self._most, self._each, self._spare = most, each, spare
        self._taken: dict[str, int] = {}
        self._all = 0

    def sit(self, address: str) -> bool:
        """Whether there is room; then `rise` has to follow."""
        bound = max(self._each, self._most - self._all) if self._spare else self._each
        if self._all >= self._most or self._taken.get(address, 0) >= bound:
            return False
        self._taken[address] = self._taken.get(address, 0) + 1
        self._all += 1
        return True

    def rise(self, address: str) -> None:
        self._all -= 1
        left = self._taken[address] - 1
        if left:
            self._taken[address] = left
        else:
            del self._taken[address]
