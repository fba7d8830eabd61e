"""The letters that bring an agent a link: the same in three languages, and nothing in them that others wrote."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Purpose(StrEnum):
    """What a link is for. `FIRST_RUN` is printed by the first start, and never goes by letter."""

    FIRST_RUN = "first_run"
    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a word of ours, no password


LANGUAGES: Final = ("en", "zh-CN", "zh-TW")

_SUBJECTS: Final[Mapping[str, Mapping[Purpose, str]]] = {
    "en": {
        Purpose.INVITATION: "Your helpdesk account",
        Purpose.PASSWORD_RESET: "A new password for the helpdesk",
    },
    "zh-CN": {
        Purpose.INVITATION: "您的客服系统账号",
        Purpose.PASSWORD_RESET: "重置客服系统密码",
    },
    "zh-TW": {
        Purpose.INVITATION: "您的客服系統帳號",
        Purpose.PASSWORD_RESET: "重設客服系統密碼",
    },
}
_TEXTS: Final[Mapping[str, Mapping[Purpose, str]]] = {
    "en": {
        Purpose.INVITATION: """\
An administrator has made you an account in the helpdesk.

Choose a password here:
{link}

The link works once and is good until {hours} hours from now. Pass it on to nobody.

This message was sent automatically.""",
        Purpose.PASSWORD_RESET: """\
Somebody, most likely you, asked for a new password.

Choose it here:
{link}

The link works once and is good for {minutes} minutes. If it was not you, there is nothing to do: your password stays \
as it is.

This message was sent automatically.""",
    },
    "zh-CN": {
        Purpose.INVITATION: """\
管理员已为您开通客服系统账号。

请在此设置密码：
{link}

该链接仅可使用一次，{hours} 小时内有效，请勿转发给他人。

本消息由系统自动发送。""",
        Purpose.PASSWORD_RESET: """\
有人（多半是您本人）申请重置密码。

请在此设置新密码：
{link}

该链接仅可使用一次，{minutes} 分钟内有效。如非本人操作，无需处理，原密码保持不变。

本消息由系统自动发送。""",
    },
    "zh-TW": {
        Purpose.INVITATION: """\
管理員已為您開通客服系統帳號。

請在此設定密碼：
{link}

此連結僅能使用一次，{hours} 小時內有效，請勿轉寄給他人。

本訊息由系統自動傳送。""",
        Purpose.PASSWORD_RESET: """\
有人（很可能是您本人）申請重設密碼。

請在此設定新密碼：
{link}

此連結僅能使用一次，{minutes} 分鐘內有效。若非您本人操作，無須處理，原密碼維持不變。

本訊息由系統自動傳送。""",
    },
}


def compose(purpose: Purpose, *, link: str, minutes: int, language: str) -> tuple[str, str]:
    """Subject and text; in English where the language is none of ours."""
    known = language if language in LANGUAGES else "en"
    text = _TEXTS[known][purpose].format(link=link, minutes=minutes, hours=minutes // 60)
    return _SUBJECTS[known][purpose], text
