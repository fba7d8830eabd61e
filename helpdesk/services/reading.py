"""From raw bytes to an admitted message: out of the event loop, in a process of its own, inside limits.

The child decrypts nothing and knows no secret: it gets bytes and the inbox's public configuration. A mail that runs
into the time limit takes the child with it, and only itself is marked unreadable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from helpdesk.apart import Apart, Died
from helpdesk.channels import RawInbound
from helpdesk.services.reader import Failure, Reading, read_here

log = structlog.get_logger()

BREAKS = 1
"""How often the child may die over one mail before it is the mail's fault."""


async def read(
    apart: Apart,
    parse: str,
    batch: Sequence[RawInbound],
    config: Mapping[str, Any],
    *,
    seconds: float,
    memory_mb: int,
    breaks: int = 0,
) -> list[Reading]:
    """Read a batch, one result per item in order. `parse` is `module:name` of the channel's parser.

    The batch as a whole gets `seconds`; if it needs more, each item is read again alone with that time for itself.
    A child that died did so for the mail's sake only if it dies again over the same one: others end processes too.
    """
    try:
        return await apart.run(read_here, parse, list(batch), dict(config), memory_mb, seconds=seconds)
    except (TimeoutError, Died) as error:
        broke = isinstance(error, Died)
        if len(batch) == 1 and not (broke and breaks < BREAKS):
            log.warning("message.unreadable", reason="limit", error=type(error).__name__)
            return [Failure("limit")]
    limits: dict[str, Any] = {"seconds": seconds, "memory_mb": memory_mb}
    again = breaks + 1 if broke and len(batch) == 1 else 0
    return [(await read(apart, parse, [raw], config, breaks=again, **limits))[0] for raw in batch]
