"""What the other side's refusals mean, said in words of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from helpdesk import net
from helpdesk.channels import (
    AccessRevoked,
    ChannelError,
    Misconfigured,
    PermanentFailure,
    RateLimited,
    RecipientRefused,
    Refusal,
    TargetGone,
    TemporaryFailure,
    Uncertain,
    Unreachable,
)

_GONE = ("chat not found", "user not found", "peer_id_invalid", "message thread not found", "topic_deleted")


class Migrated(ChannelError):
    """The group has become another one: the call has to be made again, there."""

    kind = "migrated"

    def __init__(self, chat: str) -> None:
        super().__init__("The group has a new number")
        self.chat = chat


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `ok` with a `result`, or a refusal."""

    status: int
    body: dict[str, Any] | None

    @classmethod
    def read(cls, response: net.Response) -> Answer:
        try:
            body = json.loads(response.body)
        except (ValueError, RecursionError):
            body = None
        return cls(response.status, body if isinstance(body, dict) else None)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300 and self.body is not None and self.body.get("ok") is True

    @property
    def result(self) -> Any:
        return self.body.get("result") if self.body else None

    def _parameter(self, name: str) -> int | None:
        parameters = self.body.get("parameters") if self.body else None
        value = parameters.get(name) if isinstance(parameters, dict) else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def error(self, *, final: bool, recipient: str = "") -> ChannelError:
        """Why it was not ok. `final`: the other side may have done it all the same where it does not say no."""
        given = self.body.get("error_code") if self.body else None
        code = given if isinstance(given, int) and self.status < 400 else self.status
        if code == 429:
            seconds = self._parameter("retry_after")
            return RateLimited("It asks for patience", retry_after=float(max(seconds, 1)) if seconds else None)
        if 400 <= code < 500:
            return self._refused(code, recipient)
        if final:
            return Uncertain("It answered in a way that does not tell whether the message was taken")
        return TemporaryFailure(f"It is in trouble (HTTP {self.status})")

    def _refused(self, code: int, recipient: str) -> ChannelError:
        if self.body is None:
            return Misconfigured(f"api_url is not a Bot API server, or something stands before it (HTTP {self.status})")
        said = self.body.get("description")
        said = said.lower() if isinstance(said, str) else ""
        if (chat := self._parameter("migrate_to_chat_id")) is not None:
            return Migrated(str(chat))
        if code in (401, 404):
            return AccessRevoked("The token is no longer taken: get one from BotFather and set bot_token")
        if code == 409:
            return Misconfigured("Another program reads this bot: stop it, or give each a bot of its own")
        if code == 403 and recipient:
            refusal = Refusal(recipient, permanent=True, code="403")
            return RecipientRefused("He has not opened a chat with the bot, or has blocked it", refusals=(refusal,))
        if any(words in said for words in _GONE):
            return TargetGone("The chat is not there any more")
        return PermanentFailure(f"It refuses the message (HTTP {code})")


def unreachable(error: net.Unreachable, *, final: bool) -> ChannelError:
    """What no answer means. `final`: as for `error`."""
    if error.kind is net.Kind.BLOCKED:
        return Misconfigured("The address of the Bot API is not one that connections may go to")
    if final and error.sent:
        return Uncertain("The connection died after the request: it may have been taken")
    return Unreachable(f"The Bot API cannot be reached ({error.kind.value})")
