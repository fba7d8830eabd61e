"""The channels: one folder each, found by looking, never by a list."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from helpdesk.channels import Channel


@cache
def discover() -> dict[str, Channel]:
    """The `CHANNEL` of every folder here, or its `CHANNELS`, by channel name, in alphabetical order."""
    found: dict[str, Channel] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        package = importlib.import_module(f"{__name__}.{module.name}")
        for channel in getattr(package, "CHANNELS", (getattr(package, "CHANNEL", None),)):
            if isinstance(channel, Channel):
                found[channel.name] = channel
    return dict(sorted(found.items()))
