"""From raw bytes to an admitted message: out of the event loop, in a process of its own, inside limits.

The child decrypts nothing and knows no secret: it gets bytes and the inbox's public configuration. A mail that runs
into the time limit takes the child with it, and only itself is marked unreadable.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_process
import structlog

from helpdesk.channels import RawInbound, Unreadable, load
from helpdesk.domain.admission import Admitted, admit

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message could not be read, in words for an agent: `reason` is a stable word."""

    reason: str


Reading = Admitted | Failure


async def read(
    parse: str, batch: Sequence[RawInbound], config: Mapping[str, Any], *, seconds: float, memory_mb: int
) -> list[Reading]:
    """Read a batch, one result per item in order. `parse` is `module:name` of the channel's parser.

    The batch as a whole gets `seconds`; if it needs more, each item is read again alone with that time for itself.
    """
    try:
        with anyio.fail_after(seconds):
            return await anyio.to_process.run_sync(
                _read_here, parse, list(batch), dict(config), memory_mb, cancellable=True
            )
    except (TimeoutError, anyio.BrokenWorkerProcess) as error:
        if len(batch) == 1:
            log.warning("message.unreadable", reason="limit", error=type(error).__name__)
            return [Failure("limit")]
    return [(await read(parse, [raw], config, seconds=seconds, memory_mb=memory_mb))[0] for raw in batch]


def _read_here(parse: str, batch: list[RawInbound], config: dict[str, Any], memory_mb: int) -> list[Reading]:
    """What runs in the child."""
    limit = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    parser = load(parse)
    return [_one(parser, raw, config) for raw in batch]


def _one(parser: Any, raw: RawInbound, config: dict[str, Any]) -> Reading:
    try:
        return admit(parser(raw, config))
    except Unreadable as error:
        return Failure(error.problem)
    except MemoryError:
        return Failure("limit")
    except Exception:  # whatever a hostile mail does to a parser, the next mail must not notice
        return Failure("unreadable")
