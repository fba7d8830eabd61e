"""The channels: one folder each, found by looking, never by a list."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from helpdesk.channels import Channel


@cache
def discover() -> dict[str, Channel]:
    """Every folder here that exposes `CHANNEL`, by channel name, in alphabetical order."""
    found: dict[str, Channel] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        channel = getattr(importlib.import_module(f"{__name__}.{module.name}"), "CHANNEL", None)
        if isinstance(channel, Channel):
            found[channel.name] = channel
    return found
