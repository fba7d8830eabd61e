"""The chain over the audit: each digest covers an entry and the digest before it, so that nothing can be changed,
taken out or put in between without everything after it being written anew.

    digest = SHA-256( digest before (32 bytes, zeros for the first) || JSON of the entry, in ASCII )

The JSON is an object of `FIELDS`, keys sorted at every depth, without spaces, everything beyond ASCII as `\\uXXXX`.
Ids are in lower case with hyphens, `occurred_at` has six decimals and a Z. So it can be computed anew by anybody
from what `helpdesk audit export` writes, in any language.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

FIELDS: Final = (
    "position",
    "id",
    "occurred_at",
    "actor_kind",
    "actor_id",
    "action",
    "subject_type",
    "subject_id",
    "data",
)


@dataclass(frozen=True, slots=True)
class Link:
    """Where the chain stands: the place of its last entry, and that one's digest in hex."""

    position: int
    digest: str


BEGINNING: Final = Link(0, "00" * 32)
"""Before the first entry."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place at which the chain is not what it was. `reason` is `gap`, `changed` or `anchor`."""

    position: int
    reason: str


def entry(row: Mapping[str, Any], position: int) -> dict[str, Any]:
    """A row as it is covered and exported."""
    found = {name: row[name] for name in FIELDS if name != "position"}
    for name in ("id", "actor_id", "subject_id"):
        found[name] = None if found[name] is None else str(found[name])
    return {"position": position, **found, "occurred_at": _time(found["occurred_at"])}


def canonical(found: Mapping[str, Any]) -> bytes:
    """What the digest is over."""
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def link(before: Link, row: Mapping[str, Any]) -> Link:
    """The entry's place after `before`."""
    position = before.position + 1
    covered = bytes.fromhex(before.digest) + canonical(entry(row, position))
    return Link(position, sha256(covered).hexdigest())


def follow(before: Link, rows: Iterable[Mapping[str, Any]], anchors: Mapping[int, Collection[str]]) -> Link | Broken:
    """Compute rows anew, which are to be in the order of their positions, and hold them against what is stored.

    `anchors` are digests that were kept, by position. Answers how far the chain is whole, or where it first is not.
    """
    for row in rows:
        found = link(before, row)
        if row["position"] != found.position:
            return Broken(found.position, "gap")
        if row["digest"] != found.digest:
            return Broken(found.position, "changed")
        if any(kept != found.digest for kept in anchors.get(found.position, ())):
            return Broken(found.position, "anchor")
        before = found
    return before


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
