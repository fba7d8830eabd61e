"""A desk with a team, a lead, a supervisor and somebody who has nothing to do with it, set up by the API."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, TypeVar

import httpx

from tests.journeys.hooks import Hooks
from tests.journeys.mailbox import DovecotMailbox
from tests.journeys.mails import mail
from tests.journeys.moving import Clock
from tests.journeys.sink import Sink, read
from tests.journeys.stack import AGENT, PATIENCE, Stack

EVENTS = (
    "sla.warning",
    "sla.breached",
    "sla.met",
    "escalation.advanced",
    "alert.raised",
    "alert.acknowledged",
)
PEOPLE = {"li": ("agent", "zh-CN"), "anna": ("agent", "en"), "sue": ("supervisor", "zh-TW"), "zoe": ("agent", "en")}
"""Li works in the team that Anna leads, Sue supervises, Zoe works elsewhere."""
_QUIET = 1.5
T = TypeVar("T")


@dataclass(frozen=True)
class Person:
    """An agent, and the API as he may use it."""

    id: str
    email: str
    http: httpx.Client

    def reply(self, conversation_id: str, text: str) -> dict[str, Any]:
        path = f"/conversations/{conversation_id}/messages"
        sent = self.http.post(path, json={"text": text}, headers={"Idempotency-Key": conversation_id})
        assert sent.status_code == 201, sent.text
        found: dict[str, Any] = sent.json()
        return found


class Desk:
    """`people` are Li, Anna, Sue and Zoe, and Mina, who administers."""

    def __init__(self, stack: Stack, clock: Clock, sink: Sink, hooks: Hooks) -> None:
        self.stack, self.clock, self.sink, self.hooks = stack, clock, sink, hooks
        self.people: dict[str, Person] = {}
        self.team_id = self.webhook_id = self.address = ""
        self._since = clock.now

    def set_up(self) -> None:
        """Start everything; there is no inbox yet."""
        self.stack.set_up()
        self.stack.start()
        self.people["mina"] = Person(self.stack.agent_id, AGENT, self.stack.http)
        with ThreadPoolExecutor(len(PEOPLE)) as pool:
            self.people |= dict(zip(PEOPLE, pool.map(self._hire, PEOPLE), strict=True))
        team = {"member_ids": [self.people[name].id for name in ("li", "anna")], "lead_ids": [self.people["anna"].id]}
        self.team_id = self.post("/teams", name="Wallets", **team)["id"]
        webhook = self.post("/webhooks", name="Pager", url=self.hooks.url, events=list(EVENTS))
        self.webhook_id, self.hooks.secret = webhook["id"], webhook["secret"]
        self._believe()

    def _believe(self) -> None:
        """Administrators are called for a new webhook. Mina knows that it was she, so no letter has to leave."""
        found = self.until("administrators hear of the webhook", self.alerts)
        assert {alert["kind"] for alert in found} == {"security_change"}
        for alert in found:
            assert self.stack.http.post(f"/alerts/{alert['id']}/acknowledge").status_code == 200
        self.until("that is told", lambda: several(self.hooks.told("alert.acknowledged"), len(found)))
        self.forget()

    def open(self, address: str, mailbox: DovecotMailbox, **more: Any) -> None:
        """An inbox of the team's, which customers write to from here on. Returns when its mailbox is read."""
        self.address, self.mailbox = address, mailbox
        reply = address.replace("@", "+{token}@")
        settings = {"address": address, "receive": "imap", "imap_url": mailbox.url, "smtp_url": self.sink.url}
        settings["reply_address"] = reply
        made = self.post("/inboxes", channel="email", name=address, team_id=self.team_id, settings=settings, **more)
        path = f"/inboxes/{made['id']}"
        self.stack.until("the mailbox is read", lambda: self.stack.get(path)["last_success_at"])

    def _hire(self, name: str) -> Person:
        role, locale = PEOPLE[name]
        email = f"{name}@wallet.example"
        made = self.post("/agents", email=email, name=name.title(), role=role, locale=locale)
        token = self.stack.tell("token", "create", "--agent", email, "--name", "journey")
        headers = {"Authorization": f"Bearer {token}"}
        base = self.stack.http.base_url
        return Person(
            made["id"], email, httpx.Client(base_url=base, headers=headers, timeout=PATIENCE, trust_env=False)
        )

    def forget(self) -> None:
        """What was sent so far is of no interest any more."""
        self._since = self.clock.now
        self.sink.forget()
        self.hooks.forget()

    def close(self) -> None:
        for person in self.people.values():
            person.http.close()

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        made = self.stack.http.post(path, json=body)
        assert made.status_code == 201, f"POST {path}: {made.status_code} {made.text}"
        found: dict[str, Any] = made.json()
        return found

    # -- the customer --

    def deliver(self, subject: str, text: str, *, sender: str) -> EmailMessage:
        """A mail comes in now."""
        found = mail(subject, text, sender=sender, to=self.address)
        found.replace_header("Date", format_datetime(self.clock.now))
        self.mailbox.server.deliver(self.mailbox.user, found.as_bytes(), at=self.clock.now)
        return found

    def mail_to(self, address: str, count: int = 1) -> list[str]:
        """The texts that an address has got, once there are so many, each on one line."""
        found = self.stack.until(f"{count} letters to {address}", lambda: several(self.sink.to(address), count))
        return [" ".join(_text(read(message.body)).split()) for message in found]

    # -- the promise --

    def conversation(self, conversation_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.stack.get(f"/conversations/{conversation_id}")
        return found

    def clocks(self, conversation_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.stack.get(f"/conversations/{conversation_id}/sla")["clocks"]
        return found

    def asked(self, **query: Any) -> list[str]:
        """The ids of the conversations that a list answers."""
        return [one["id"] for one in self.stack.conversations(**query)]

    def alerts(self, name: str = "mina", **query: Any) -> list[dict[str, Any]]:
        """What somebody is shown of this story's alerts, the oldest first."""
        found = self.people[name].http.get("/alerts", params={"limit": 100, **query})
        assert found.status_code == 200, found.text
        items: list[dict[str, Any]] = found.json()["items"]
        return [one for one in items[::-1] if time_of(one["raised_at"]) > self._since]

    def called(self, alert: Mapping[str, Any]) -> dict[str, int]:
        """Whom an alert has called, and at which level."""
        names = {person.id: name for name, person in self.people.items()}
        return {names[one["agent_id"]]: one["level"] for one in alert["recipients"]}

    def until(self, what: str, look: Callable[[], Any]) -> Any:
        return self.stack.until(what, look)

    def assign(self, conversation_id: str, *, to: str) -> None:
        path = f"/conversations/{conversation_id}"
        version = self.stack.http.get(path).headers["ETag"]
        body = {"assignee_id": self.people[to].id}
        taken = self.stack.http.patch(path, json=body, headers={"If-Match": version})
        assert taken.status_code == 200, taken.text

    def texts(self, name: str) -> list[str]:
        """What one of our people was written."""
        return [_text(read(message.body)) for message in self.sink.to(self.people[name].email)]

    def letters(self) -> dict[str, int]:
        """How many letters each of our people has got."""
        found = {name: len(self.sink.to(person.email)) for name, person in self.people.items()}
        return {name: count for name, count in found.items() if count}

    def quiet(self, *, at: datetime) -> None:
        """Let it be `at`, and see that nobody is called, told or written to."""
        waiting = {"status": "queued"}
        path = f"/webhooks/{self.webhook_id}/deliveries"
        time.sleep(_QUIET)  # webhooks follow the events a tick behind
        self.until("webhooks are told what is known", lambda: not self.stack.get(path, **waiting)["items"])
        before = self._told()
        self.clock.move(at)
        time.sleep(_QUIET)  # many ticks: what has not begun by then is not going to
        assert self._told() == before, self.stack.logs()

    def sound(self) -> None:
        """No process has stumbled over anything."""
        for process in self.stack.processes.values():
            said = process.said()
            assert "Traceback" not in said, said
            assert '"level": "error"' not in said, said

    def _told(self) -> tuple[Sequence[Any], ...]:
        alerts = [(one["id"], one["level"], one["status"]) for one in self.alerts()]
        return alerts, [one["id"] for one in self.hooks.told()], [one.body for one in self.sink.messages]


def several(found: list[T], count: int) -> list[T]:
    """They, once there are so many."""
    return found if len(found) >= count else []


def time_of(text: str) -> datetime:
    """Every time that is told is UTC, and says so with a Z."""
    assert text.endswith("Z"), text
    return datetime.fromisoformat(text)


def _text(found: EmailMessage) -> str:
    body = found.get_body(("plain",))
    assert body is not None
    return str(body.get_content())
