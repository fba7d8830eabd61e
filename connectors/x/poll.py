"""Looks at an account's mentions, answers and messages, and stores each page before it asks for the next one.

What comes newest first is read downwards: `until` moves down with each page, in the commit that stores it, and `since`
moves up when the last page is in. Whoever takes over after a crash goes on where it was; nothing is skipped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connectors.x import budget, ids, items
from connectors.x.budget import Budget
from connectors.x.client import Client
from connectors.x.config import XConfig, own_id
from connectors.x.profile import moment
from helpdesk.channels import (
    AuthenticationFailed,
    BudgetSpent,
    ChannelError,
    Host,
    Misconfigured,
    PermanentFailure,
    RateLimited,
    RawInbound,
    TemporaryFailure,
)
from helpdesk.clock import now

ANSWERS_SECONDS = 180.0
SWEEP_SECONDS = 900.0
LATE_SECONDS = 30.0
"""Numbers are given in many places: one may be seen so much later than a larger one."""
NEWS = timedelta(hours=24)
"""How far back a new inbox looks."""
SEARCHED = timedelta(days=6, hours=20)
SWEPT = timedelta(hours=48)
SWEPT_POSTS = 300
PAGE, FIRST_MESSAGES = 100, 20
_RETRY_SECONDS, _UNSAID_SECONDS, _LONGEST_SECONDS, _PERSON_SECONDS, _SPENT_SECONDS = 5.0, 60.0, 900.0, 300.0, 3600.0


@dataclass(slots=True)
class Source:
    """One thing that is looked at. `look` answers how many items were new. A failing one does not stop the others.

    `least` seconds pass between two looks. An `extra` is a net beneath: where a plan does not offer it nobody is woken.
    """

    look: Callable[[], Awaitable[int]]
    least: float = 0.0
    extra: bool = False
    due: float = 0.0
    quiet: float = 0.0
    troubles: int = 0


def delay(error: ChannelError, troubles: int) -> float:
    """Seconds until a source is tried again after its `troubles`th failure in a row."""
    if isinstance(error, BudgetSpent):
        # Somebody may pay for more at any time.
        return min(error.retry_after or _SPENT_SECONDS, _SPENT_SECONDS)
    if isinstance(error, AuthenticationFailed | Misconfigured):
        return _PERSON_SECONDS
    said = error.retry_after if isinstance(error, TemporaryFailure) else None
    first = _UNSAID_SECONDS if isinstance(error, RateLimited) and said is None else _RETRY_SECONDS
    # Grows below what is said, too: by a clock that is behind ours a limit has always just ended.
    return max(said or 0.0, float(min(first * 2 ** (min(troubles, 20) - 1), _LONGEST_SECONDS)))


class Poller:
    """One inbox's, for as long as its lease lasts."""

    def __init__(self, config: XConfig, client: Client, host: Host) -> None:
        self._config, self._client, self._host = config, client, host
        self._place: dict[str, Any] = {}
        self._budget = Budget(config.monthly_reads)
        self._brought = False
        self._sources = (
            Source(self._mentions),
            Source(self._messages),
            Source(self._answers, ANSWERS_SECONDS, extra=True),
            Source(self._deleted, SWEEP_SECONDS, extra=True),
        )

    def brought_to(self, us: bool) -> None:
        """Whether news is brought to us by a webhook: silence then stretches the looks further."""
        self._brought = us

    async def run(self) -> None:
        self._place = dict(await self._host.cursor())
        if not self._config.username:  # it may be another one by now
            self._place.pop("user", None)
        self._budget = Budget.of(self._config.monthly_reads, self._part("budget"))
        while True:
            for source in self._sources:
                if source.due <= time.monotonic():
                    await self._look(source)
            if not any(source.troubles for source in self._sources if not source.extra):
                await self._host.succeeded()
            await asyncio.sleep(max(min(source.due for source in self._sources) - time.monotonic(), 0.0))

    async def _look(self, source: Source) -> None:
        try:
            await self._know_ourselves()
            self._budget.check(now())
            found = await source.look()
        except ChannelError as error:
            source.troubles += 1
            source.due = time.monotonic() + delay(error, source.troubles)
            if not source.extra:
                await self._host.failed(error)
            return
        source.troubles = 0
        wanted = max(float(self._config.poll_seconds), source.least)
        longest = budget.WEBHOOK_SECONDS if self._brought else budget.QUIET_SECONDS
        source.quiet = budget.quieter(source.quiet, wanted, found=found > 0, longest=longest)
        source.due = time.monotonic() + self._budget.interval(wanted, source.quiet, now())

    # -- what is looked at

    async def _mentions(self) -> int:
        async def ask(token: str, **where: Any) -> dict[str, Any]:
            page = token or None
            return await self._client.call(
                "get_users_mentions", self._own, pagination_token=page, **where, **items.POST
            )

        return await self._downwards("mentions", ask, start=now() - NEWS)

    async def _answers(self) -> int:
        """Direct answers to our posts: those that do not mention us are found here alone."""
        name = self._part("user")["username"]

        async def ask(token: str, **where: Any) -> dict[str, Any]:
            page = token or None
            query = f"to:{name} -from:{name} -is:retweet"
            return await self._client.call("search_recent_tweets", query, next_token=page, **where, **items.POST)

        since = str(self._part("answers").get("since") or "")
        if since and ids.made_at(since) < now() - SEARCHED:
            # The search refuses to begin before the week that it knows.
            self._place["answers"] = {}
            return await self._downwards("answers", ask, start=now() - SEARCHED)
        return await self._downwards("answers", ask, start=now() - NEWS)

    async def _downwards(self, name: str, ask: Callable[..., Awaitable[dict[str, Any]]], *, start: datetime) -> int:
        new, token, resumed = 0, "", "until" in self._part(name)
        while True:
            self._budget.check(now())
            place = self._part(name)
            since, until = str(place.get("since") or ""), str(place.get("until") or "")
            where: dict[str, Any] = {"since_id": since} if since else {"start_time": start}
            where |= {"until_id": until} if until else {}
            page = await ask(token, max_results=PAGE, **where)
            found = self._numbers(page)
            token = items.more(page)
            newest = ids.newest(str(place.get("newest") or ""), *found)
            if token and found:
                moved, token = {"since": since, "until": min(found, key=int), "newest": newest}, ""
            elif token:  # a page may be empty, and have others behind it
                moved = dict(place)
            else:
                # An account without any mention has no number to begin at: the next look goes as far back again.
                high = ids.before(newest, seconds=LATE_SECONDS) if newest else ""
                moved = {"since": ids.newest(since, high)}
            batch = items.of_page("post", page, own=self._own, at=now())
            new += await self._accept(batch, found, **{name: moved}, recent=self._recent(found))
            if not token and "until" not in moved:
                if not resumed:
                    return new
                # What was begun before is ended; what came meanwhile lies above it.
                resumed = False

    async def _messages(self) -> int:
        """Events have no `since`: pages are read until one that is known, or that is older than what is news."""
        new, resumed = 0, "token" in self._part("dms")
        while True:
            self._budget.check(now())
            place = self._part("dms")
            since, token = str(place.get("since") or ""), str(place.get("token") or "")
            page = await self._events(token, first=not place.get("newest"))
            found = self._numbers(page)
            newest = ids.newest(str(place.get("newest") or ""), *found)
            oldest = min(found, key=int, default="")
            known = bool(oldest) and int(oldest) <= int(since) if since else any(map(_old, items.entries(page)))
            token = "" if known else items.more(page)
            moved = (
                {"since": since, "newest": newest, "token": token} if token else {"since": ids.newest(since, newest)}
            )
            news = page if since else {**page, "data": [one for one in items.entries(page) if not _old(one)]}
            batch = items.of_page("dm", news, own=self._own, at=now())
            new += await self._accept(batch, found, dms=moved)
            if not token:
                if not resumed:
                    return new
                resumed = False

    async def _events(self, token: str, *, first: bool) -> dict[str, Any]:
        size = FIRST_MESSAGES if first else PAGE
        if not token:
            return await self._client.call("get_direct_message_events", max_results=size, **items.MESSAGE)
        try:
            return await self._client.call(
                "get_direct_message_events", max_results=PAGE, pagination_token=token, **items.MESSAGE
            )
        except PermanentFailure:
            # Tokens end. From the top again: what is known is a no-op.
            return await self._client.call("get_direct_message_events", max_results=PAGE, **items.MESSAGE)

    async def _deleted(self) -> int:
        """Which of the last days' posts are gone. A post of a locked account is not: only `resource-not-found` is."""
        recent = [one for one in self._place.get("recent", []) if ids.made_at(one) > now() - SWEPT]
        gone: set[str] = set()
        for start in range(0, len(recent), PAGE):
            if not self._budget.spare(now()):
                break
            some = recent[start : start + PAGE]
            page = await self._client.call("get_tweets", some)
            self._budget.read(some, now())
            gone |= _missing(page) & set(some)
        left = [one for one in recent if one not in gone]
        batch = [items.item("deleted", {"id": one}, {}, own=self._own, at=now()) for one in sorted(gone, key=int)]
        return await self._accept(batch, (), recent=left) if batch else 0

    # -- what is kept

    @property
    def _own(self) -> str:
        return str(self._part("user")["id"])

    async def _know_ourselves(self) -> None:
        known, told = self._part("user"), own_id(self._config)
        if known.get("id") and known.get("username") and told in ("", known["id"]):
            return
        found = {"id": told, "username": self._config.username}
        if not told or not self._config.username:
            me: Any = (await self._client.call("get_me")).get("data")
            try:
                found = {"id": ids.identifier(me["id"]), "username": str(me["username"])}
            except (KeyError, TypeError, ValueError):
                raise TemporaryFailure("The vendor does not say whose token this is") from None
        self._place["user"] = found

    def _part(self, name: str) -> Mapping[str, Any]:
        found = self._place.get(name)
        return found if isinstance(found, dict) else {}

    def _numbers(self, page: Mapping[str, Any]) -> list[str]:
        found = [ids.identifier_or_empty(one.get("id")) for one in items.entries(page)]
        return [number for number in found if number]

    def _recent(self, found: Sequence[str]) -> list[str]:
        """For `_deleted`: the newest, with these."""
        return sorted({*self._place.get("recent", []), *found}, key=int)[-SWEPT_POSTS:]

    async def _accept(self, batch: Sequence[RawInbound], read: Sequence[str], **moved: object) -> int:
        """Store, and move on only when that is done. A silent account must not keep a disk busy."""
        self._budget.read(read, now())
        place = {**self._place, **moved, "budget": self._budget.kept()}
        new = await self._host.accept(batch, cursor=place) if batch or place != self._place else 0
        self._place = place
        return new


def _old(one: Mapping[str, Any]) -> bool:
    """From before what a new inbox looks at."""
    at = moment(one.get("created_at"))
    return at is not None and at < now() - NEWS


def _missing(page: Mapping[str, Any]) -> set[str]:
    errors = page.get("errors")
    return {
        ids.identifier_or_empty(one.get("resource_id") or one.get("value"))
        for one in (errors if isinstance(errors, list) else [])
        if isinstance(one, dict) and str(one.get("type", "")).endswith("/resource-not-found")
    }
