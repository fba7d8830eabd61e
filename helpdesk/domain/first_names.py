"""What the settings that a new house begins with are called, in the language of whoever comes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "zh-CN": {
        "China, Monday to Friday": "中国大陆，周一至周五",
        "Security": "安全",
        "Complaint": "投诉",
        "E-mail": "邮件",
        "Chat": "在线聊天",
        "Social networks": "社交媒体",
        "Answer due soon": "回复即将到期",
        "Answer overdue": "回复已超时",
    },
    "zh-TW": {
        "China, Monday to Friday": "中國大陸，週一至週五",
        "Security": "安全",
        "Complaint": "客訴",
        "E-mail": "電子郵件",
        "Chat": "線上聊天",
        "Social networks": "社群媒體",
        "Answer due soon": "回覆即將到期",
        "Answer overdue": "回覆已逾時",
    },
}
"""By the English names, which the database has at first. What is in none of these languages stays English."""
