"""What people read when their matter goes on elsewhere: in public, in the direct message with the link, on its page.

What is said in public names nobody and holds no link. Nothing here was written by others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PLACE: Final = "/h/"
UNSAID: Final = "…"
"""Stands in the stored message where the link has its secret: only who gets the message ever reads that."""


@dataclass(frozen=True, slots=True)
class Words:
    """`{link}` is where the conversation goes on, `{hours}` for how long that can be opened."""

    public: str
    direct: str
    title: str
    about: str
    open: str
    safety: str
    opened: str
    opened_more: str
    over: str
    over_more: str
    unknown: str
    unknown_more: str
    away: str
    away_more: str
    busy: str


TEXTS: Final[Mapping[str, Words]] = {
    "en": Words(
        public="Thank you for telling us. We have written to you in a direct message, please look there.",
        direct="Let us go on in private. Open our chat with this link; it works once, within {hours} hours:\n{link}\n"
        "We never ask for your recovery phrase, private key, password or a code.",
        title="Go on in our chat",
        about="This opens a private chat about what you wrote to us. The link works once, on this device.",
        open="Open the chat",
        safety="We never ask for your recovery phrase, your private key, your password, a verification code or a "
        "payment. Whoever does is not us.",
        opened="The chat is open",
        opened_more="What you write here is read by our support only. You can close this page and come back to it on "
        "this device.",
        over="This link was used or has expired",
        over_more="If you opened it on this device, your chat goes on here. Otherwise just write to us again.",
        unknown="This link is not valid",
        unknown_more="Please open the link exactly as it is in our message. If you need help, just write to us.",
        away="The chat is closed at the moment",
        away_more="Please try again later. The link can still be used.",
        busy="There were too many attempts. Please wait a few minutes and try again.",
    ),
    "zh-CN": Words(
        public="感谢您的反馈。我们已通过私信与您联系，请查收。",
        direct="我们换到私密渠道继续沟通。请点击链接打开客服聊天（{hours} 小时内有效，仅可使用一次）：\n{link}\n"
        "我们绝不会索要助记词、私钥、密码或验证码。",
        title="在客服聊天中继续",
        about="点击后将打开一个私密聊天，继续处理您反馈的问题。该链接只能在本设备上使用一次。",
        open="打开聊天",
        safety="我们绝不会向您索要助记词、私钥、密码、验证码或任何款项。凡有此要求者，都不是我们。",
        opened="聊天已打开",
        opened_more="您在这里写的内容只有客服可以看到。您可以关闭本页，之后在本设备上再回来。",
        over="该链接已使用或已过期",
        over_more="如果您曾在本设备上打开过它，可在此继续聊天；否则请直接再次联系我们。",
        unknown="链接无效",
        unknown_more="请按我们消息中的原样打开链接。如需帮助，请直接联系我们。",
        away="聊天暂时关闭",
        away_more="请稍后再试，该链接仍可使用。",
        busy="尝试次数过多，请等待几分钟后再试。",
    ),
    "zh-TW": Words(
        public="感謝您的回饋。我們已透過私訊與您聯絡，請查收。",
        direct="我們換到私密管道繼續溝通。請點選連結開啟客服聊天（{hours} 小時內有效，僅可使用一次）：\n{link}\n"
        "我們絕不會索取助記詞、私鑰、密碼或驗證碼。",
        title="在客服聊天中繼續",
        about="點選後將開啟一個私密聊天，繼續處理您反映的問題。此連結只能在本裝置上使用一次。",
        open="開啟聊天",
        safety="我們絕不會向您索取助記詞、私鑰、密碼、驗證碼或任何款項。凡有此要求者，都不是我們。",
        opened="聊天已開啟",
        opened_more="您在這裡寫的內容只有客服看得到。您可以關閉本頁，之後在本裝置上再回來。",
        over="此連結已使用或已過期",
        over_more="如果您曾在本裝置上開啟過它，可在此繼續聊天；否則請直接再次聯絡我們。",
        unknown="連結無效",
        unknown_more="請依我們訊息中的原樣開啟連結。如需協助，請直接聯絡我們。",
        away="聊天暫時關閉",
        away_more="請稍後再試，此連結仍可使用。",
        busy="嘗試次數過多，請等待幾分鐘後再試。",
    ),
}


def direct(language: str, *, base_url: str, hours: int) -> str:
    """The message as it is stored: with a gap where the secret belongs."""
    return TEXTS[language].direct.format(link=f"{base_url.rstrip('/')}{PLACE}{UNSAID}", hours=hours)


_LINK: Final = re.compile(rf"{PLACE}[\w-]{{43}}(?![\w-])", re.ASCII)


def without_link(told: str) -> str:
    """What the vendor tells back of such a message, as it may be stored: with the gap again."""
    return _LINK.sub(f"{PLACE}{UNSAID}", told)


def has_gap(stored: str) -> bool:
    """Whether somebody reads a link there that nobody else may."""
    return f"{PLACE}{UNSAID}" in stored


def with_link(stored: str, secret: str) -> str:
    """A stored message as he reads it to whom it was sent."""
    return stored.replace(f"{PLACE}{UNSAID}", f"{PLACE}{secret}", 1)
