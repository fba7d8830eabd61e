"""What runs in the parsing process: bytes in, an admitted message or change or a failure out.

Kept apart from `reading`, which runs in the worker, because the process imports this module and nothing that it does
not need: its start-up is paid again whenever a hostile mail had to be killed.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpdesk.channels import InboundChange, RawInbound, Unreadable, load
from helpdesk.domain.admission import Admitted, AdmittedChange, admit, admit_change


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message could not be read: `reason` is a stable word."""

    reason: str


Reading = Admitted | AdmittedChange | Failure


def read_here(parse: str, batch: Sequence[RawInbound], config: Mapping[str, Any], memory_mb: int) -> list[Reading]:
    """Read a batch, one result per item in order. `parse` is `module:name` of the channel's parser."""
    limit = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    parser = load(parse)
    return [_one(parser, raw, config) for raw in batch]


def _one(parser: Any, raw: RawInbound, config: Mapping[str, Any]) -> Reading:
    try:
        found = parser(raw, config)
        return admit_change(found) if isinstance(found, InboundChange) else admit(found)
    except Unreadable as error:
        return Failure(error.problem)
    except MemoryError:
        return Failure("limit")
    except Exception:  # whatever a hostile mail does to a parser, the next mail must not notice
        return Failure("unreadable")
