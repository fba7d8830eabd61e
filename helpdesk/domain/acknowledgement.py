"""The acknowledgement: what is said at once to somebody who wrote, in his language, and when nothing is said.

It repeats nothing of the inbound text, not even the subject: what can be made to repeat is used to send spam.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Promise:
    """What may be said of when the answer comes. `target` is what was promised, None for nothing in particular.

    `business`: it counts in service hours only. `opens_at` is when these begin again, in their own zone; None while
    they last, or where that is of no use: a promise that ends before then holds all the same.
    """

    target: timedelta | None = None
    business: bool = False
    opens_at: datetime | None = None


_TEXTS = {
    "en": (
        "We have received your message [#{number}]",
        """Hello,

we have received your message. Your reference number is #{number}.

{promise} There is no need to write again; if you want to add \
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

{promise}您无需重复来信；如需补充，直接回复本邮件即可。

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

{promise}您無須重複來信；如需補充，直接回覆本郵件即可。

請注意安全：
- 真正的客服回覆只會來自 {address}，並帶有編號 #{number} 或延續本郵件對話。
- 我們絕不會向您索取助記詞、私鑰、密碼或驗證碼，也絕不會要求您轉帳或安裝遠端控制軟體。\
凡有此要求者，無論自稱是誰，都不是我們。

本郵件由系統自動寄出。
""",
    ),
}


_PROMISES = {
    "en": {
        "calendar": "A member of our team will answer you within {span}.",
        "business": "A member of our team will answer you within {span} of our service hours.",
        "none": "A member of our team will answer you.",
        "opens": " Our desk is closed at the moment and opens again on {opens}.",
        "time": "{:%Y-%m-%d at %H:%M} ({zone})",
        "spans": ("{} days", "{} hours", "{} minutes"),
        "one": ("a day", "an hour", "a minute"),
    },
    "zh-CN": {
        "calendar": "客服人员会在 {span}内回复您。",
        "business": "客服人员会在 {span}（服务时间）内回复您。",
        "none": "客服人员会尽快回复您。",
        "opens": "我们目前不在服务时间，将于 {opens} 恢复服务。",
        "time": "{:%Y-%m-%d %H:%M}（{zone}）",
        "spans": ("{} 天", "{} 小时", "{} 分钟"),
        "one": ("1 天", "1 小时", "1 分钟"),
    },
    "zh-TW": {
        "calendar": "客服人員會在 {span}內回覆您。",
        "business": "客服人員會在 {span}（服務時間）內回覆您。",
        "none": "客服人員會儘快回覆您。",
        "opens": "我們目前不在服務時間，將於 {opens} 恢復服務。",
        "time": "{:%Y-%m-%d %H:%M}（{zone}）",
        "spans": ("{} 天", "{} 小時", "{} 分鐘"),
        "one": ("1 天", "1 小時", "1 分鐘"),
    },
}


def text(language: str, *, number: int, promise: Promise, address: str) -> tuple[str, str]:
    """Subject and body, in English where the language is none of ours."""
    language = language if language in _TEXTS else "en"
    subject, body = _TEXTS[language]
    values = {"number": number, "promise": _promise(language, promise), "address": address}
    return subject.format(number=number), body.format(**values)


def _promise(language: str, promise: Promise) -> str:
    words: dict[str, Any] = _PROMISES[language]
    if promise.target is None:
        said = words["none"]
    else:
        said = words["business" if promise.business else "calendar"].format(span=_span(words, promise.target))
    if promise.opens_at is not None:
        said += words["opens"].format(opens=words["time"].format(promise.opens_at, zone=promise.opens_at.tzinfo))
    return str(said)


def _span(words: Mapping[str, Any], target: timedelta) -> str:
    """In the largest unit that says it exactly, whole minutes at least; hours up to three days, as people count."""
    minutes = max(-(-target // timedelta(minutes=1)), 1)
    for unit, (size, from_) in enumerate(((1440, 4 * 1440), (60, 60), (1, 1))):
        if minutes % size == 0 and minutes >= from_:
            count = minutes // size
            return str(words["one"][unit] if count == 1 else words["spans"][unit].format(count))
    raise AssertionError("a minute always fits")
