"""The vendor's client as this house wants it: plain dictionaries, and no waiting of its own."""

from __future__ import annotations

from typing import Any

from tweepy.asynchronous.client import AsyncClient


def build(**credentials: str | None) -> Any:
    """`credentials` are named as the client names them. Waiting for a limit would go on without a pause or an end."""
    return AsyncClient(**credentials, return_type=dict, wait_on_rate_limit=False)  # type: ignore[no-untyped-call]
