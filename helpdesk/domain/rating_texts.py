"""What contacts read when they are asked how it went: the letter and the pages, the same in three languages.

Nothing in them was written by others: not the subject, not a name, not a word of the conversation. They ask for a
score and, if somebody likes, a comment; and say that they ask for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

from helpdesk.domain.ratings import SCORES

LANGUAGES: Final = ("en", "zh-CN", "zh-TW")

PLACE: Final = "/rate/"
UNSAID: Final = "…"
"""Stands in the stored letter where the link has its secret: only who gets the letter ever reads that."""


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class PageWords:
    """What the pages say. `{number}` is the conversation's, `{name}` who asks."""

    title: str
    question: str
    about: str
    scores: Mapping[int, str]
    comment: str
    comment_hint: str
    send: str
    change: str
    safety: str
    given: str
    thanks: str
    thanks_more: str
    rated: str
    expired: str
    expired_more: str
    unknown: str
    unknown_more: str
    wrong: str
    busy: str


_SUBJECTS: Final[Mapping[str, str]] = {
    "en": "How did we do? [#{number}]",
    "zh-CN": "请评价我们的服务 [#{number}]",
    "zh-TW": "請評價我們的服務 [#{number}]",
}

_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": (
        "Hello,",
        "your request #{number} has been resolved. How satisfied are you with our help?",
        "Rate it here:",
        (
            "The page asks for a score and, if you like, a comment; you need not sign in. We never ask you for your "
            "recovery phrase, your private key, your password, a verification code or a payment. Whoever does is not "
            "us."
        ),
        (
            "If your request is not resolved, just reply to this message. This message was sent automatically, and we "
            "ask only once."
        ),
    ),
    "zh-CN": (
        "您好！",
        "您的请求 #{number} 已处理完毕。您对我们的服务满意吗？",
        "请点击此处评价：",
        (
            "页面只需选择分数，也可留言，无需登录。我们绝不会向您索要助记词、私钥、密码、验证码或任何款项。"
            "凡有此要求者，都不是我们。"
        ),
        "如果问题尚未解决，直接回复本消息即可。本消息由系统自动发送，我们只会询问一次。",
    ),
    "zh-TW": (
        "您好！",
        "您的請求 #{number} 已處理完畢。您對我們的服務滿意嗎？",
        "請點選此處評價：",
        (
            "頁面只需選擇分數，也可留言，無須登入。我們絕不會向您索取助記詞、私鑰、密碼、驗證碼或任何款項。"
            "凡有此要求者，都不是我們。"
        ),
        "如果問題尚未解決，直接回覆本訊息即可。本訊息由系統自動傳送，我們只會詢問一次。",
    ),
}

_SCORES: Final[Mapping[str, Mapping[int, str]]] = {
    "en": {5: "Very satisfied", 4: "Satisfied", 3: "Neither", 2: "Dissatisfied", 1: "Very dissatisfied"},
    "zh-CN": {5: "非常满意", 4: "满意", 3: "一般", 2: "不满意", 1: "非常不满意"},
    "zh-TW": {5: "非常滿意", 4: "滿意", 3: "普通", 2: "不滿意", 1: "非常不滿意"},
}

PAGES: Final[Mapping[str, PageWords]] = {
    "en": PageWords(
        title="How did we do?",
        question="How satisfied are you with our help?",
        about="{name} asks about your request #{number}.",
        scores=_SCORES["en"],
        comment="Would you like to add something?",
        comment_hint="Optional. Please write no recovery phrase, private key, password or code here.",
        send="Send rating",
        change="Change rating",
        safety="This page asks for a score and, if you like, a comment. It never asks for your recovery phrase, your "
        "private key, your password, a verification code or a payment.",
        given="You have given this rating already. You can change it.",
        thanks="Thank you!",
        thanks_more="Your rating of request #{number} has been saved. You can change it with the same link.",
        rated="Your rating: {score} of 5, {words}",
        expired="This link has expired",
        expired_more="Request #{number} cannot be rated any more. If you need help, just write to us.",
        unknown="This link is not valid",
        unknown_more="Please open the link exactly as it is in our message. If you need help, just write to us.",
        wrong="Please choose a score from 1 to 5; a comment has at most {longest} characters.",
        busy="There were too many attempts. Please wait a few minutes and try again.",
    ),
    "zh-CN": PageWords(
        title="请评价我们的服务",
        question="您对我们的服务满意吗？",
        about="{name} 想了解您对请求 #{number} 的评价。",
        scores=_SCORES["zh-CN"],
        comment="您还有什么想说的吗？",
        comment_hint="选填。请勿在此填写助记词、私钥、密码或验证码。",
        send="提交评价",
        change="修改评价",
        safety="本页面只需选择分数，也可留言，绝不会向您索要助记词、私钥、密码、验证码或任何款项。",
        given="您已提交过评价，可以修改。",
        thanks="感谢您的评价！",
        thanks_more="您对请求 #{number} 的评价已保存。如需修改，打开同一链接即可。",
        rated="您的评价：{score} 分（满分 5 分），{words}",
        expired="此链接已过期",
        expired_more="请求 #{number} 已不能再评价。如需帮助，请直接联系我们。",
        unknown="此链接无效",
        unknown_more="请完整打开我们消息中的链接。如需帮助，请直接联系我们。",
        wrong="请选择 1 到 5 分；留言最多 {longest} 个字符。",
        busy="尝试次数过多，请几分钟后再试。",
    ),
    "zh-TW": PageWords(
        title="請評價我們的服務",
        question="您對我們的服務滿意嗎？",
        about="{name} 想瞭解您對請求 #{number} 的評價。",
        scores=_SCORES["zh-TW"],
        comment="您還有什麼想說的嗎？",
        comment_hint="選填。請勿在此填寫助記詞、私鑰、密碼或驗證碼。",
        send="送出評價",
        change="修改評價",
        safety="本頁面只需選擇分數，也可留言，絕不會向您索取助記詞、私鑰、密碼、驗證碼或任何款項。",
        given="您已送出過評價，可以修改。",
        thanks="感謝您的評價！",
        thanks_more="您對請求 #{number} 的評價已儲存。如需修改，開啟同一連結即可。",
        rated="您的評價：{score} 分（滿分 5 分），{words}",
        expired="此連結已過期",
        expired_more="請求 #{number} 已不能再評價。如需協助，請直接聯絡我們。",
        unknown="此連結無效",
        unknown_more="請完整開啟我們訊息中的連結。如需協助，請直接聯絡我們。",
        wrong="請選擇 1 到 5 分；留言最多 {longest} 個字元。",
        busy="嘗試次數過多，請幾分鐘後再試。",
    ),
}


def letter(language: str, *, number: int, base_url: str) -> Letter:
    """What is stored and shown to agents: the link stands there without its secret (`with_link` puts that in)."""
    language = language if language in LANGUAGES else "en"
    hello, question, here, safety, more = (part.format(number=number) for part in _TEXTS[language])
    link = f"{base_url}{PLACE}{UNSAID}"
    words = _SCORES[language]
    links = "".join(
        f'<li><a href="{escape(link)}?score={score}">{score} – {escape(words[score])}</a></li>'
        for score in reversed(SCORES)
    )
    parts = [f"<p>{escape(part)}</p>" for part in (hello, f"{question} {here}")]
    rest = [f"<p>{escape(part)}</p>" for part in (safety, more)]
    return Letter(
        subject=_SUBJECTS[language].format(number=number),
        text="\n\n".join((hello, question, f"{here}\n{link}", safety, more)) + "\n",
        html="\n".join((*parts, f"<ul>{links}</ul>", *rest)),
    )


def with_link(stored: str, token: str) -> str:
    """A stored letter as its addressee reads it."""
    return stored.replace(f"{PLACE}{UNSAID}", f"{PLACE}{token}")


def language_for(accepted: str, otherwise: str) -> str:
    """The page's language: what the browser asks for (RFC 9110 section 12.5.4), else `otherwise`, else English."""
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted[:500].split(",")):
        tag, _, weight = part.strip().partition(";")
        found, quality = _ours(tag.strip()), _quality(weight)
        if found and quality > 0:
            wanted.append((-quality, place, found))
    if wanted:
        return min(wanted)[2]
    return otherwise if otherwise in LANGUAGES else "en"


def _quality(weight: str) -> float:
    try:
        return float(weight.strip().removeprefix("q=")) if weight.strip() else 1.0
    except ValueError:
        return 0.0


def _ours(tag: str) -> str | None:
    """One of our languages for a language tag (RFC 5646): Chinese by its script, else by where it is spoken."""
    first, *rest = tag.lower().split("-")
    if first == "zh":
        return "zh-TW" if {"hant", "tw", "hk", "mo"}.intersection(rest) and "hans" not in rest else "zh-CN"
    return "en" if first == "en" else None
