"""The letters by which a visitor's conversation goes on: the code that proves an address, what he did not read, and the
transcript; the same in three languages.

The letter with the code goes to an address that somebody typed, so nothing in it was written by others. The other two
go to proved addresses only; they quote what was said, and every line of it is set in, so that nobody can write the
words that are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

from helpdesk.domain.language import SUPPORTED

MOST_TEXT: Final = 100_000
"""Characters of what was said in one letter; of a transcript the newest are kept."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message: whose, when (in the zone that it is to be read in), and the files that came with it.

    `attached` are in the letter, the `others` are only named. Without an `author` it was the reader himself.
    """

    author: str
    at: datetime
    text: str
    attached: Sequence[str] = ()
    others: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Letter:
    """`html` says the same; it is empty where the text is all there is."""

    subject: str
    text: str
    html: str = ""


_SAFETY: Final[Mapping[str, str]] = {
    "en": (
        "We never ask for your recovery phrase, your private key, your password or a verification code, and we never "
        "ask you to send funds or to install remote-control software. Whoever does is not us, whatever name he uses."
    ),
    "zh-CN": (
        "我们绝不会向您索要助记词、私钥、密码或验证码，也绝不会要求您转账或安装远程控制软件。"
        "凡有此要求者，无论自称是谁，都不是我们。"
    ),
    "zh-TW": (
        "我們絕不會向您索取助記詞、私鑰、密碼或驗證碼，也絕不會要求您轉帳或安裝遠端控制軟體。"
        "凡有此要求者，無論自稱是誰，都不是我們。"
    ),
}

_CODES: Final[Mapping[str, tuple[str, str]]] = {
    "en": (
        "Your code for the chat",
        """\
Your code is {code}

It shows the chat on our website, or in our app, that this address is yours: what was said under it appears there, and \
what you do not read there in time is sent here. Type the code into the chat window where you asked for it. It is good \
for {minutes} minutes.

None of us ever asks you for this code, neither in the chat nor on the phone. If it was not you who asked for it, \
there is nothing to do: without the code nobody gets anything.

This message was sent automatically.
""",
    ),
    "zh-CN": (
        "您的在线客服验证码",
        """\
您的验证码是 {code}

它用于向我们网站或应用内的在线客服证明此邮箱属于您：验证后，该邮箱名下的对话会显示在那里，您未及时阅读的回复也会发送到此邮箱。\
请在您申请验证码的对话窗口中输入。验证码 {minutes} 分钟内有效。

我们的任何人都不会在对话或电话中向您索要此验证码。如果不是您本人申请的，无需处理：没有验证码，任何人都无法获得任何内容。

本邮件由系统自动发送。
""",
    ),
    "zh-TW": (
        "您的線上客服驗證碼",
        """\
您的驗證碼是 {code}

它用於向我們網站或應用程式內的線上客服證明此信箱屬於您：驗證後，該信箱名下的對話會顯示在那裡，您未及時閱讀的回覆也會寄到此信箱。\
請在您申請驗證碼的對話視窗中輸入。驗證碼 {minutes} 分鐘內有效。

我們的任何人都不會在對話或電話中向您索取此驗證碼。如果不是您本人申請的，無須處理：沒有驗證碼，任何人都無法取得任何內容。

本郵件由系統自動寄出。
""",
    ),
}

_CONTINUED: Final[Mapping[str, tuple[str, str, str]]] = {
    "en": (
        "New answers in your chat [#{number}]",
        "Hello,\n\nwhile you were away from the chat, you were answered:",
        (
            "Just reply to this e-mail: your answer goes into the same conversation. Or come back to the chat where "
            "you left it, everything is still there. Your reference number is #{number}."
        ),
    ),
    "zh-CN": (
        "您的在线咨询有新回复 [#{number}]",
        "您好！\n\n您离开在线客服期间，我们回复了您：",
        (
            "直接回复本邮件即可，您的回复会进入同一对话；也可以回到原来的对话窗口继续，内容都还在。"
            "您的受理编号是 #{number}。"
        ),
    ),
    "zh-TW": (
        "您的線上諮詢有新回覆 [#{number}]",
        "您好！\n\n您離開線上客服期間，我們回覆了您：",
        (
            "直接回覆本郵件即可，您的回覆會進入同一對話；也可以回到原來的對話視窗繼續，內容都還在。"
            "您的受理編號是 #{number}。"
        ),
    ),
}

_TRANSCRIPTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "en": (
        "Your conversation with us [#{number}]",
        "Hello,\n\nthis is what was said in your conversation #{number}:",
        "If you want to add something, just reply to this e-mail: your answer goes into the same conversation.",
    ),
    "zh-CN": (
        "您与我们的对话记录 [#{number}]",
        "您好！\n\n以下是对话 #{number} 的内容：",
        "如需补充，直接回复本邮件即可，您的回复会进入同一对话。",
    ),
    "zh-TW": (
        "您與我們的對話紀錄 [#{number}]",
        "您好！\n\n以下是對話 #{number} 的內容：",
        "如需補充，直接回覆本郵件即可，您的回覆會進入同一對話。",
    ),
}

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "said": "{author}, {at:%Y-%m-%d %H:%M} ({zone})",
        "you": "You",
        "us": "Support",
        "attached": "[Attached: {name}]",
        "other": "[File, to be found in the chat: {name}]",
        "earlier": "[What was said before is left out here; you find it in the chat.]",
    },
    "zh-CN": {
        "said": "{author}，{at:%Y-%m-%d %H:%M}（{zone}）",
        "you": "您",
        "us": "客服",
        "attached": "[附件：{name}]",
        "other": "[文件，请在对话窗口中查看：{name}]",
        "earlier": "[更早的内容未列出，请在对话窗口中查看。]",
    },
    "zh-TW": {
        "said": "{author}，{at:%Y-%m-%d %H:%M}（{zone}）",
        "you": "您",
        "us": "客服",
        "attached": "[附件：{name}]",
        "other": "[檔案，請在對話視窗中檢視：{name}]",
        "earlier": "[更早的內容未列出，請在對話視窗中檢視。]",
    },
}


def language_of(*wanted: str) -> str:
    """The first that is one of ours, else English."""
    return next((one for one in wanted if one in SUPPORTED), "en")


def code(language: str, *, code: str, minutes: int) -> Letter:
    subject, text = _CODES[language_of(language)]
    return Letter(subject, text.format(code=code, minutes=minutes))


def continued(language: str, *, number: int, said: Sequence[Said]) -> Letter:
    """What he did not read in time, the oldest first."""
    return _letter(_CONTINUED, language_of(language), number, said, earlier=False)


def transcript(language: str, *, number: int, said: Sequence[Said], earlier: bool) -> Letter:
    """The oldest first. `earlier`: there was more before that."""
    return _letter(_TRANSCRIPTS, language_of(language), number, said, earlier=earlier)


def _letter(
    texts: Mapping[str, tuple[str, str, str]], language: str, number: int, said: Sequence[Said], *, earlier: bool
) -> Letter:
    subject, head, foot = (part.format(number=number) for part in texts[language])
    words = _WORDS[language]
    kept: list[Said] = []
    room = MOST_TEXT
    for one in reversed(said):
        room -= len(one.text)
        if room < 0 and kept:
            earlier = True
            break
        kept.append(one)
    before = [head, *([words["earlier"]] if earlier else [])]
    after = [foot, _SAFETY[language]]
    blocks = [_block(words, one) for one in reversed(kept)]
    plain = ["\n".join([who, *(f"    {line}".rstrip() for line in lines)]) for who, lines in blocks]
    quoted = [f"<p>{escape(who)}</p>\n<blockquote>{_lines(lines)}</blockquote>" for who, lines in blocks]
    return Letter(
        subject,
        "\n\n".join([*before, *plain, "-" * 24, *after]) + "\n",
        "\n".join([*map(_paragraphs, before), *quoted, "<hr>", *map(_paragraphs, after)]),
    )


def _block(words: Mapping[str, str], said: Said) -> tuple[str, list[str]]:
    who = words["said"].format(author=said.author or words["you"], at=said.at, zone=said.at.tzinfo)
    files = [words["attached"].format(name=name) for name in said.attached]
    return who, [*said.text.strip().splitlines(), *files, *(words["other"].format(name=name) for name in said.others)]


def _paragraphs(text: str) -> str:
    return "\n".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n"))


def _lines(lines: Sequence[str]) -> str:
    return "<br>\n".join(map(escape, lines))


def house_name(language: str) -> str:
    """Who said it, where no name is shown."""
    return _WORDS[language_of(language)]["us"]
