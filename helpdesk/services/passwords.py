"""Passwords: argon2id in a thread, the same work for an account that does not exist."""

from __future__ import annotations

from functools import cache, partial

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from helpdesk.errors import Invalid

MIN_LENGTH = 10
MAX_LENGTH = 256

# argon2-cffi's defaults are the second recommendation of RFC 9106: 64 MiB, three passes, four lanes.
_HASHER = PasswordHasher()
_AT_ONCE = 4


@cache
def _nobody() -> str:
    return _HASHER.hash("nobody has this password")


# 64 MiB each: a flood of logins must queue, not eat the memory.
_limit: RunVar[anyio.CapacityLimiter] = RunVar("passwords_at_once")


def _limiter() -> anyio.CapacityLimiter:
    try:
        return _limit.get()
    except LookupError:
        made = anyio.CapacityLimiter(_AT_ONCE)
        _limit.set(made)
        return made


def _verify(stored: str | None, password: str) -> bool:
    try:
        return _HASHER.verify(stored or _nobody(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


async def verify(stored: str | None, password: str) -> bool:
    """Whether `password` is the stored one. `None` costs as much as a wrong password."""
    if len(password) > MAX_LENGTH:
        return False
    return await anyio.to_thread.run_sync(partial(_verify, stored, password), limiter=_limiter())


async def hash_of(password: str, *, field: str = "password") -> str:
    """Raises `Invalid` for a password that is too short or too long, naming `field`."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise Invalid.field(field, f"use {MIN_LENGTH} to {MAX_LENGTH} characters")
    return await anyio.to_thread.run_sync(partial(_HASHER.hash, password), limiter=_limiter())


def is_outdated(stored: str) -> bool:
    """Whether the parameters have been raised since."""
    return _HASHER.check_needs_rehash(stored)
