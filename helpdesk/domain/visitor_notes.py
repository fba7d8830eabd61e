"""The note for agents of what a form has asked a visitor, or his app has said of itself: each answer under a name that
people read, in his language, which is the one that his conversation is held in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from helpdesk.domain.language import SUPPORTED

_NAMES: Final[Mapping[str, tuple[str, str, str]]] = {
    "category": ("Category", "类别", "類別"),
    "claimed_email": ("E-mail (as he says, not proved)", "邮箱（自称，未验证）", "電子郵件（自稱，未驗證）"),
    "account": ("Account", "账号", "帳號"),
    "transaction_hash": ("Transaction hash", "交易哈希", "交易雜湊"),
    "wallet_address": ("Wallet address", "钱包地址", "錢包地址"),
    "app_version": ("App version", "应用版本", "應用程式版本"),
    "device": ("Device", "设备", "裝置"),
}
_ORDER: Final = ("en", "zh-CN", "zh-TW")


def note(answers: Mapping[str, str], *, language: str) -> str:
    """A line for each, in a fixed order; what has no name of ours comes last, under its own. In English for others."""
    at = _ORDER.index(language) if language in SUPPORTED else 0
    separator = ": " if at == 0 else "："
    known = [(names[at], answers[key]) for key, names in _NAMES.items() if answers.get(key)]
    others = [(key, value) for key, value in sorted(answers.items()) if value and key not in _NAMES]
    return "\n".join(f"{name}{separator}{value}" for name, value in [*known, *others])
