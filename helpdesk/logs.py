"""Structured logs with allow-listed fields: never bodies, tokens, addresses of customers or query strings.

A field that is not on the list is dropped, so that forgetting costs a field and not a secret. An exception is logged by
its type and the place it came from; its text may quote whatever a customer or a server has sent.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

ALLOWED = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "logger",
        "error",
        "where",
        "reason",
        "kind",
        "count",
        "seconds",
        "attempt",
        "channel",
        "inbox_id",
        "conversation_id",
        "message_id",
        "agent_id",
        "worker",
        "loop",
        "name",
        "status",
        "method",
        "route",
        "host",
        "port",
        "code",
        "size",
        "version",
        "revision",
        "missing",
        "mailbox_epoch",
        "day",
        "position",
        "digest",
        "provider_id",
        "place",
        "sqlstate",
    }
)


def fault(error: BaseException) -> dict[str, str]:
    """An exception as log fields: its type, and the innermost place in our own code."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if any(part in f.filename for part in ("helpdesk", "connectors", "workers"))]
    last = (ours or frames)[-1:] or []
    where = f"{Path(last[0].filename).name}:{last[0].lineno}" if last else ""
    return {"error": type(error).__name__, "where": where}


def configure(level: str) -> None:
    """JSON lines on standard error, or readable ones on a terminal."""
    threshold = getattr(logging, level.upper())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=True)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _allow,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries log what they like, addresses and queries included: only their warnings' names get through.
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s", stream=sys.stderr, force=True)


def _allow(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: value for name, value in fields.items() if name in ALLOWED}
