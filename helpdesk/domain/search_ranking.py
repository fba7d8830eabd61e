"""What of many matches comes first: our own arithmetic, so that both databases answer in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

from helpdesk.domain.search_terms import CONTACT, Terms

_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Score(IntEnum):
    """Where the words of a query were found."""

    TEXT = 0
    SOME_IN_TITLE = 1
    ALL_IN_TITLE = 2
    EXACT = 3
    """It is, or names, the number, hash or address that was asked for."""


class Candidate(NamedTuple):
    """A match: the columns of its row but for the tokens."""

    n: int
    message_id: UUID | None
    conversation_id: UUID | None
    contact_id: UUID | None
    at: datetime
    title: str
    codes: str


@dataclass(frozen=True, slots=True, order=True)
class Rank:
    """Greater comes first. `at` is in microseconds since 1970, and `n` breaks ties."""

    score: int
    at: int
    n: int


def rank(candidates: Sequence[Candidate], terms: Terms, *, of_contacts: bool = False) -> list[tuple[Rank, Candidate]]:
    """Each with its rank, in no order."""
    prefix = CONTACT if of_contacts else ""
    wanted = [[f" {prefix}{token} " for token in term] for term in terms.terms]
    codes = [f" {prefix}{code} " for code in sorted(terms.codes)]
    return [
        (Rank(_score(one, wanted, codes), (one.at - _EPOCH) // timedelta(microseconds=1), one.n), one)
        for one in candidates
    ]


def in_order(ranked: Sequence[tuple[Rank, Candidate]]) -> list[tuple[Rank, Candidate]]:
    """The best first. A conversation is left out where one of its messages says as much."""
    best: dict[UUID | None, Rank] = {}
    for place, one in ranked:
        if one.message_id is not None:
            best[one.conversation_id] = max(place, best.get(one.conversation_id, place))
    kept = [
        (place, one)
        for place, one in ranked
        if one.conversation_id is None
        or one.message_id is not None
        or one.conversation_id not in best
        or best[one.conversation_id].score < place.score
    ]
    return sorted(kept, key=lambda found: found[0], reverse=True)


def _score(one: Candidate, wanted: Sequence[Sequence[str]], codes: Sequence[str]) -> Score:
    if any(code in one.codes for code in codes):
        return Score.EXACT
    found = sum(any(token in one.title for token in term) for term in wanted)
    if found == len(wanted):
        return Score.ALL_IN_TITLE
    return Score.SOME_IN_TITLE if found else Score.TEXT
