"""Where a message belongs: pure rules over facts that were looked up before.

A token routes, authentication identifies, and nothing else joins: not a number in the subject, not a Message-ID that
we did not sign. Where the channel itself has threads, and says who writes in them, these take the token's place.

When in doubt a message starts a conversation of its own, linked to where it may belong, so that a stranger neither sees
history nor becomes somebody we write to. The scenarios are in `tests/services/test_threading.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from helpdesk.channels import Authentication
from helpdesk.domain.values import LinkKind, Status


@dataclass(frozen=True, slots=True)
class Candidate:
    """A conversation that a valid token or a thread named. `participants` are handles in lower case."""

    conversation_id: UUID
    status: str
    participants: frozenset[str]


@dataclass(frozen=True, slots=True)
class TokenFact:
    """One token of the message, looked up: `candidate` is None when it is forged, damaged or of a lost key."""

    source: str
    candidate: Candidate | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when a message is placed. `colleague_sees` is None unless the sender's address is an agent's.

    `thread` is where the author's thread has led so far, on channels that have some; `resting`: it was silent there for
    so long that this is another matter.
    """

    sender: str
    authentication: Authentication
    suspect: Sequence[str] = ()
    tokens: Sequence[TokenFact] = ()
    colleague_sees: frozenset[UUID] | None = None
    thread: Candidate | None = None
    resting: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """What to do with a message.

    `join` is the conversation, or None for a new one with `links`. `identifies` says whether the sender may gain an
    identity and become a participant. `security` names what belongs into the audit.
    """

    join: UUID | None = None
    links: tuple[tuple[UUID, LinkKind], ...] = ()
    verified: bool | None = None
    identifies: bool = True
    quarantined: bool = False
    private: bool = False
    reasons: tuple[str, ...] = ()
    security: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    reasons: list[str] = field(default_factory=list)
    security: list[str] = field(default_factory=list)


def place(facts: Facts) -> Placement:
    """Decide. See the module's words for the principle, and each step's comment for its reason."""
    draft = _Draft()
    verified = _verified(facts, draft)
    candidate, forged = _route(facts.tokens)
    if not facts.tokens:
        candidate = facts.thread
    if forged:
        draft.reasons.append("bad_token")
        draft.security.append("reply_token_refused")
    may_belong = ((candidate.conversation_id, LinkKind.MAY_BELONG_TO),) if candidate else ()

    if facts.suspect:
        # Two From lines mean that two programs may read two senders; nobody is identified by that.
        return Placement(
            links=may_belong,
            verified=False,
            identifies=False,
            quarantined=True,
            reasons=(*draft.reasons, *facts.suspect),
            security=tuple(draft.security),
        )
    if facts.colleague_sees is not None:
        return _from_colleague(facts, candidate, may_belong, draft, verified, forged=forged)

    identifies = facts.authentication is not Authentication.FAIL
    if candidate is None or forged:
        return Placement(
            links=may_belong,
            verified=verified,
            identifies=identifies,
            reasons=tuple(draft.reasons),
            security=tuple(draft.security),
        )
    if facts.sender not in candidate.participants:
        # A forwarded copy carries our token too. Who holds it is not thereby who it was sent to.
        return Placement(
            links=may_belong,
            verified=verified,
            identifies=identifies,
            reasons=(*draft.reasons, "not_a_participant"),
        )
    if candidate.status == Status.CLOSED or (facts.resting and not facts.tokens):
        return Placement(
            links=((candidate.conversation_id, LinkKind.FOLLOWS),),
            verified=verified,
            identifies=identifies,
            reasons=tuple(draft.reasons),
        )
    return Placement(
        join=candidate.conversation_id, verified=verified, identifies=identifies, reasons=tuple(draft.reasons)
    )


def _verified(facts: Facts, draft: _Draft) -> bool | None:
    match facts.authentication:
        case Authentication.PASS:
            return True
        case Authentication.FAIL:
            draft.reasons.append("authentication_failed")
            return False
        case _:
            draft.reasons.append("not_authenticated")
            return None


def _route(tokens: Sequence[TokenFact]) -> tuple[Candidate | None, bool]:
    """The candidate of the first valid token, and whether the address held a bad one.

    An address token comes first. A bad one there poisons the rest: somebody tried, and a Message-ID that is right
    does not make up for it.
    """
    addressed = [t for t in tokens if t.source == "address"]
    forged = bool(addressed) and addressed[0].candidate is None
    valid = next((t.candidate for t in tokens if t.candidate is not None), None)
    if not addressed and tokens and valid is None:
        forged = True
    return valid, forged


def _from_colleague(
    facts: Facts,
    candidate: Candidate | None,
    may_belong: tuple[tuple[UUID, LinkKind], ...],
    draft: _Draft,
    verified: bool | None,
    *,
    forged: bool,
) -> Placement:
    """Mail from an agent's address is never an agent's reply: mail gives no orders here. Only agents see it."""
    sees = candidate is not None and candidate.conversation_id in (facts.colleague_sees or frozenset())
    join = (
        candidate.conversation_id
        if candidate and sees and not forged and verified and candidate.status != Status.CLOSED
        else None
    )
    return Placement(
        join=join,
        links=may_belong if sees and join is None else (),
        verified=verified,
        identifies=False,
        private=True,
        reasons=(*draft.reasons, "colleague"),
        security=tuple(draft.security),
    )
