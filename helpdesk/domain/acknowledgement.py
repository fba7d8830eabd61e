"""The acknowledgement: what is said at once to somebody who wrote, in his language, and when nothing is said.

It repeats nothing of the inbound text, not even the subject: what can be made to repeat is used to send spam.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

WINDOW = timedelta(hours=24)
"""One acknowledgement per address in this time."""

HELD = timedelta(days=7)
"""For how long an address that bounced gets no automatic mail."""


class Outcome(StrEnum):
    """What became of it. All but `queued` are reasons why there is none."""

    QUEUED = "queued"
    NOT_OFFERED = "not_offered"
    SILENT = "silent"
    UNVERIFIED = "unverified"
    OWN_ADDRESS = "own_address"
    NO_ADDRESS = "no_address"
    BOUNCED = "bounced"
    ADDRESS_CAP = "address_cap"
    INBOX_CAP = "inbox_cap"


@dataclass(frozen=True, slots=True)
class Case:
    """What decides. `acknowledged_lately`: within `WINDOW`; `inbox_room`: how many more this minute."""

    offered: bool
    silent: bool
    sender_verified: bool | None
    handle: str
    own_handles: frozenset[str]
    held_since: datetime | None
    acknowledged_lately: bool
    inbox_room: int


def mailbox(handle: str) -> str:
    """The mailbox behind a handle: the part after a `+` costs nothing to vary, so it must not buy another answer."""
    local, at, domain = handle.rpartition("@")
    return f"{local.partition('+')[0] or local}{at}{domain}" if at else handle


def decide(case: Case, *, now: datetime) -> Outcome:
    """Whether to acknowledge; the first reason against it wins. RFC 3834 §2 is behind most of them."""
    checks = (
        (Outcome.NOT_OFFERED, not case.offered),
        (Outcome.SILENT, case.silent),
        (Outcome.NO_ADDRESS, not case.handle),
        (Outcome.OWN_ADDRESS, not case.own_handles.isdisjoint({case.handle, mailbox(case.handle)})),
        (Outcome.UNVERIFIED, case.sender_verified is False),
        (Outcome.BOUNCED, case.held_since is not None and now - case.held_since < HELD),
        (Outcome.ADDRESS_CAP, case.acknowledged_lately),
        (Outcome.INBOX_CAP, case.inbox_room <= 0),
    )
    return next((outcome for outcome, against in checks if against), Outcome.QUEUED)


_TEXTS = {
    "en": (
        "We have received your message [#{number}]",
        """Hello,

we have received your message. Your reference number is #{number}.

A member of our team will answer you within {hours} hours. There is no need to write again; if you want to add \
something, just reply to this e-mail.

Please take care:
- Every genuine answer comes from {address} and carries the number #{number} or continues this e-mail thread.
- We never ask for your recovery phrase, your private key, your password or a verification code, and we never ask \
you to send funds or to install remote-control software. Whoever does is not us, whatever name he uses.

This message was sent automatically.
""",
    ),
    "zh-CN": (
        "我们已收到您的来信 [#{number}]",
        """您好！

我们已收到您的来信，您的受理编号是 #{number}。

客服人员会在 {hours} 小时内回复您。您无需重复来信；如需补充，直接回复本邮件即可。

请注意安全：
- 真正的客服回复只会来自 {address}，并带有编号 #{number} 或延续本邮件会话。
- 我们绝不会向您索要助记词、私钥、密码或验证码，也绝不会要求您转账或安装远程控制软件。\
凡有此要求者，无论自称是谁，都不是我们。

本邮件由系统自动发送。
""",
    ),
    "zh-TW": (
        "我們已收到您的來信 [#{number}]",
        """您好！

我們已收到您的來信，您的受理編號是 #{number}。

客服人員會在 {hours} 小時內回覆您。您無須重複來信；如需補充，直接回覆本郵件即可。

請注意安全：
- 真正的客服回覆只會來自 {address}，並帶有編號 #{number} 或延續本郵件對話。
- 我們絕不會向您索取助記詞、私鑰、密碼或驗證碼，也絕不會要求您轉帳或安裝遠端控制軟體。\
凡有此要求者，無論自稱是誰，都不是我們。

本郵件由系統自動寄出。
""",
    ),
}


def text(language: str, *, number: int, promise: timedelta, address: str) -> tuple[str, str]:
    """Subject and body, in English where the language is none of ours."""
    subject, body = _TEXTS.get(language, _TEXTS["en"])
    values = {"number": number, "hours": int(promise.total_seconds() // 3600), "address": address}
    return subject.format(number=number), body.format(**values)
