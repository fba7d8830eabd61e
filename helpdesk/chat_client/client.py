"""One visitor on one device, and what an app asks of him."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from helpdesk.chat_client.hearing import Hearing
from helpdesk.chat_client.link import Link
from helpdesk.chat_client.log import Log
from helpdesk.chat_client.outbox import Outbox
from helpdesk.chat_client.requests import Requests
from helpdesk.chat_client.values import Changes, Entry, Outgoing, Refused, Told, Transport


class ChatClient:
    """`heard` is called with every frame that changed something.

    `connections` counts the times that a connection stood, `ended` is why there will be no other one. `proxies` lets
    the environment name proxies, as browsers' do.
    """

    def __init__(
        self,
        url: str,
        inbox_id: str,
        *,
        transport: Transport = Transport.WEBSOCKET,
        state: Mapping[str, Any] | None = None,
        heard: Callable[[Mapping[str, Any]], None] = lambda _frame: None,
        chance: random.Random | None = None,
        proxies: bool = True,
    ) -> None:
        kept = state or {}
        spread = chance or random.Random()  # noqa: S311 - spreads reconnects, and hides nothing
        self.inbox_id, self.transport, self.heard = inbox_id, transport, heard
        self._changes = Changes()
        self._requests = Requests(url, proxies=proxies)
        self._requests.token = kept.get("token", "")
        self._log = Log(self._page, self._notify)
        self._log.conversation_id = kept.get("conversation_id")
        self._hearing = Hearing(self._log, self._notify)
        self._hearing.visitor = dict(kept.get("visitor", {}))
        self._link = Link(transport, self._requests, self._log, self._hearing, self._changes, spread, proxies=proxies)
        self._outbox = Outbox(self._link.send, lambda: self._link.ready, self._changes, spread)
        self._kept: Sequence[Mapping[str, Any]] = kept.get("outbox", ())
        self._sending: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        for one in self._kept:
            self._outbox.put(one["client_id"], one["text"], one.get("attachment_ids", ()))
        if self.token:
            self._begin()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        tasks = [task for task in (self._sending, self._following) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._outbox.cancel()
        await self._requests.close()

    # -- what there is --

    @property
    def state(self) -> dict[str, Any]:
        """To be kept, and given to the next client: JSON. The log is read anew."""
        known = {"token": self.token, "conversation_id": self.conversation_id, "visitor": dict(self.visitor)}
        return {**known, "outbox": self._outbox.bodies}

    @property
    def token(self) -> str:
        return self._requests.token

    @property
    def visitor(self) -> Mapping[str, Any]:
        return self._hearing.visitor

    @property
    def conversation_id(self) -> str | None:
        return self._log.conversation_id

    @property
    def log(self) -> list[Entry]:
        return self._log.entries

    @property
    def messages(self) -> list[Entry]:
        return [entry for entry in self.log if entry.type == "message.new"]

    @property
    def last_seq(self) -> int:
        return self._log.last_seq

    @property
    def told(self) -> Told:
        return self._hearing.told

    @property
    def connections(self) -> int:
        return self._hearing.connections

    @property
    def ended(self) -> Refused | None:
        return self._changes.ended

    @property
    def waiting(self) -> int:
        """How many messages the desk has not confirmed."""
        return len(self._outbox)

    async def until(self, done: Callable[[], bool], *, seconds: float | None = None) -> None:
        """Wait until this is so, asked again whenever something came. Raises `TimeoutError`, or why it has ended."""
        async with asyncio.timeout(seconds):
            await self._changes.until(done)

    async def earlier(self, seq: int | None = None, *, limit: int = 50) -> list[Entry]:
        """What is further up than this entry (None: than the log), the oldest first; none where it begins.

        Below zero it is what he said before a merge, or in the conversation before this one: to be shown, and no more.
        Where his conversation is another one by now, or is over, `log` is read anew, and this is what is above that.
        """
        first = seq if seq is not None else self.log[0].seq if self.log else 1
        page = await self._page({"before_seq": first, "limit": limit})
        if page["conversation_id"] != self.conversation_id:
            # What was in the log may be among it, under other numbers.
            await self._log.is_in(page["conversation_id"])
            self._changes.tell()
            return await self.earlier(limit=limit)
        return [Entry.of(item) for item in page["items"]]

    # -- what an app asks --

    async def config(self) -> Mapping[str, Any]:
        return await self._requests.call("GET", f"/{self.inbox_id}/config")

    async def open(self, *, prechat: Mapping[str, str] | None = None, identity: str = "", language: str = "") -> None:
        """Begin a session and connect. `identity` is the host site's JWT."""
        given = {"prechat": dict(prechat or {}), "identity": identity, "language": language}
        body = {name: value for name, value in given.items() if value}
        self._begin_as(await self._requests.call("POST", f"/{self.inbox_id}/sessions", json=body))

    async def identify(self, identity: str) -> None:
        """Say who he is, in a session that there is: the token is replaced. What another had not sent is dropped."""
        self._begin_as(await self._requests.call("POST", "/session/identify", json={"identity": identity}))

    async def claim_email(self, email: str) -> None:
        """Have a code sent to this address."""
        await self._requests.call("POST", "/email", json={"email": email})

    async def prove_email(self, code: str) -> None:
        """The code that came: what was said under that address is his, and shown."""
        self._adopt(await self._requests.call("POST", "/email/verify", json={"code": code}))

    def say(self, text: str, *, attachment_ids: Sequence[str] = ()) -> Outgoing:
        """Put a message into the outbox. It leaves as soon as it can; who has to know awaits its `stored`."""
        return self._outbox.put(secrets.token_urlsafe(12), text, attachment_ids)

    async def feedback(self, category: str, text: str, **more: Any) -> Mapping[str, Any]:
        """A conversation of its own. `more`: app_version, device, attachment_ids, client_id."""
        body = {"client_id": secrets.token_urlsafe(12), "category": category, "text": text, **more}
        return await self._requests.call("POST", "/feedback", json=body)

    async def upload(self, filename: str, content_type: str, body: bytes) -> str:
        """Its id, for `say`."""
        made = await self._requests.call("POST", "/attachments", files={"file": (filename, body, content_type)})
        return str(made["id"])

    async def download(self, attachment_id: str) -> bytes:
        return await self._requests.file(f"/attachments/{attachment_id}")

    async def read(self, seq: int) -> None:
        """He has read up to here."""
        await self._link.tell("read", {"seq": seq})

    async def typing(self, ttl: float = 5.0) -> None:
        """He writes, for so many seconds; 0: no longer."""
        await self._link.tell("typing", {"ttl": ttl})

    async def rate(self, score: int, comment: str = "") -> None:
        await self._requests.call("POST", "/rating", json={"score": score, "comment": comment})

    async def transcript(self) -> None:
        """Have it mailed, to the address that is proved."""
        await self._requests.call("POST", "/transcript")

    async def leave(self) -> None:
        await self._requests.call("POST", "/leave")

    async def log_out(self) -> None:
        """Nothing of his stays here, what he had not sent neither: whoever begins a session next may be another."""
        await self._requests.call("DELETE", "/session")
        refused = Refused("session_refused")
        if self._following is not None:
            self._following.cancel()
        self._requests.token, self._hearing.visitor = "", {}
        self._log.forget(None)
        self._outbox.drop(refused)
        self._changes.end(refused)

    def nudge(self) -> None:
        """The network or the app is back: connect at once."""
        self._link.nudge()

    # -- between the parts --

    def _begin_as(self, opened: Mapping[str, Any]) -> None:
        """What was not sent goes with him, unless he was somebody before, and is another now."""
        was, now = self.visitor, opened["visitor"]
        if was.get("identified"):
            another = was["id"] != now["id"]
        else:
            another = now["identified"] and bool(was.get("email")) and was["email"] != now["email"]
        if another:
            self._outbox.drop(Refused("session_refused"))
        self._adopt(opened)

    def _adopt(self, opened: Mapping[str, Any]) -> None:
        self._requests.token, self._hearing.visitor = opened["token"], dict(opened["visitor"])
        self._log.forget(opened["conversation_id"])
        self._changes.ended = None
        self._begin()
        self._changes.tell()

    def _begin(self) -> None:
        if self._following is not None:
            self._following.cancel()
        if self._sending is None:
            self._sending = asyncio.create_task(self._outbox.empty(), name="chat outbox")
        self._following = asyncio.create_task(self._link.follow(), name="chat link")

    async def _page(self, query: Mapping[str, int]) -> Mapping[str, Any]:
        return await self._requests.call("GET", "/messages", params=query)

    def _notify(self, frame: Mapping[str, Any]) -> None:
        self.heard(frame)
        self._changes.tell()
