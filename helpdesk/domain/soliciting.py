"""Whether a text asks for what a wallet's support must never ask for: recovery phrases, private keys, codes.

Meant for texts that are kept ready and read by many: one sentence that names a secret and asks for it, and does not
say that one should not, is refused. A warning such as "never send us your recovery phrase" passes.
"""

from __future__ import annotations

import re
from typing import Final

_SECRET: Final = re.compile(
    r"(?i)\b(?:recovery|seed|secret|mnemonic|backup)[\s-]+(?:phrase|words?)s?\b|\bmnemonics?\b|\bseed\s?phrases?\b"
    r"|\bprivate[\s-]+keys?\b|\bpasswords?\b|\b(?:verification|2fa|authenticat(?:or|ion)|one[\s-]time)[\s-]+codes?\b"
    r"|\bkeystore\s+files?\b|助记词|助記詞|恢复短语|恢復短語|私钥|私鑰|密码|密碼|验证码|驗證碼"
)
_ASKING: Final = re.compile(
    r"(?i)\b(?:send|share|provide|tell|give|supply|submit|forward|e-?mail\s+us|reply\s+with|respond\s+with)\b"
    r"|\b(?:we|i)\s+(?:will\s+)?(?:need|require)\b|\bwhat\s+is\b|提供|发送|發送|发给|發給|告诉|告訴|告知|回复|回覆|提交|出示"
    r"|给我|給我|发我|發我|传给|傳給|(?:我们|我們)需要"
)
"""To hand over. Entering a phrase in one's own wallet, or writing it down, is what it is for."""

_NOT: Final = re.compile(
    r"(?i)\b(?:never|not|no\s?body|no\s+one|don['’]?t|won['’]?t|cannot|can['’]?t|without|nor)\b"
    r"|绝不|絕不|决不|決不|不会|不會|不要|不得|不可|不能|请勿|請勿|切勿|勿|别|別|从不|從不|无需|無需|无须|無須|任何人"
)
_SENTENCE: Final = re.compile(r"(?<=[.!?。！？；;])\s*|\n{2,}")


def solicited(text: str) -> str | None:
    """The secret that a sentence of the text asks for, as it is written there; None when it asks for none."""
    for sentence in _SENTENCE.split(text):
        named = _SECRET.search(sentence)
        if named and _ASKING.search(sentence) and not _NOT.search(sentence):
            return named[0]
    return None
