"""What an alert says to the people it calls: one letter or post for everything that is due to them at once.

It names numbers, times and channels, and nothing that a customer wrote or is: alerts go to mailboxes and chat rooms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

LANGUAGES: Final = ("en", "zh-CN", "zh-TW")
SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Matter:
    """One alert. `number` is the conversation's, None where it is about none; `channel` is its title."""

    kind: str
    severity: str
    number: int | None = None
    channel: str = ""
    clock: str = ""
    due_at: datetime | None = None
    reply_pending: bool = False
    acknowledge: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)


_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "info": "For your information",
        "warning": "Warning",
        "critical": "Urgent",
        "sla_warning": "an answer is due soon",
        "sla_breach": "an answer is overdue",
        "sla_warning_resolution": "it has to be resolved soon",
        "sla_breach_resolution": "it should have been resolved",
        "escalation": "a conversation needs somebody",
        "automation_looped": "an automation rule went in circles and was stopped",
        "webhook_disabled": "a webhook was switched off",
        "webhook_disabled_gone": "a webhook was switched off: its receiver is gone",
        "webhook_disabled_failing": "a webhook was switched off: it has taken nothing for five days",
        "unschedulable": "no due time can be worked out: the calendar never opens again",
        "unknown_holidays": "nobody has reviewed the holidays of {year}; due times may be wrong",
        "unknown_account": "a webhook brought something for an account that no inbox has",
        "impersonator": "an account looks like one of ours: see whether it deceives customers, and report it",
        "flood": "many accounts post the same: all but the first were put away as spam",
        "security_change": "an account or a way out of the helpdesk was changed",
        "security_change_inbox": "an inbox uses or trusts another address, server or site now",
        "security_change_webhook": "a webhook was added or leads elsewhere now",
        "security_change_alert_route": "an alert route was added or leads elsewhere now",
        "security_change_token": "an API token was made",
        "security_change_email": "somebody signs in with another address now",
        "security_change_role": "somebody has another role now",
        "security_change_password": "an administrator has set somebody's password",
        "security_change_two_steps": "an administrator has taken somebody's second step away",
        "security_change_sign_on": "single sign-on was changed",
        "other": "something needs attention",
        "several": "{count} alerts need attention",
        "first_response": "first response",
        "next_response": "next response",
        "resolution": "resolution",
        "due": "due {at}",
        "overdue": "due {at}, overdue by {span}",
        "pending": "an answer is on its way, the channel has not taken it yet",
        "more": "… and {count} more",
        "acknowledge": "Please acknowledge in the helpdesk, or the next in line will be called.",
        "automatic": "This message was sent automatically.",
        "day": "{} d",
        "hour": "{} h",
        "minute": "{} min",
        "join": ", ",
        "about": "#{number}: {said}",
    },
    "zh-CN": {
        "info": "通知",
        "warning": "警告",
        "critical": "紧急",
        "sla_warning": "回复即将到期",
        "sla_breach": "回复已超时",
        "sla_warning_resolution": "解决时限即将到期",
        "sla_breach_resolution": "超过时限仍未解决",
        "escalation": "有会话需要处理",
        "automation_looped": "自动化规则陷入循环，已被停止",
        "webhook_disabled": "有 Webhook 已被停用",
        "webhook_disabled_gone": "有 Webhook 已被停用：接收方已不存在",
        "webhook_disabled_failing": "有 Webhook 已被停用：连续五天未能送达",
        "unschedulable": "无法计算到期时间：工作日历此后不再有营业时间",
        "unknown_holidays": "{year} 年的节假日尚未核对，到期时间可能有误",
        "unknown_account": "Webhook 送来了不属于任何收件箱的账号的内容",
        "impersonator": "发现与我方相似的账号：请确认是否在冒充我方欺骗客户，并向平台举报",
        "flood": "多个账号发布相同内容：除首条外均已归为垃圾信息",
        "security_change": "账号或对外通道的设置有变更",
        "security_change_inbox": "收件箱改用或信任了其他地址、服务器或网站",
        "security_change_webhook": "新增了 Webhook，或其地址有变更",
        "security_change_alert_route": "新增了告警发送目标，或其地址有变更",
        "security_change_token": "新建了 API 令牌",
        "security_change_email": "有成员的登录邮箱被变更",
        "security_change_role": "有成员的角色被变更",
        "security_change_password": "管理员设置了某位成员的密码",
        "security_change_two_steps": "管理员取消了某位成员的两步验证",
        "security_change_sign_on": "单点登录设置有变更",
        "other": "有事项需要处理",
        "several": "有 {count} 条告警需要处理",
        "first_response": "首次回复",
        "next_response": "后续回复",
        "resolution": "解决",
        "due": "到期时间 {at}",
        "overdue": "到期时间 {at}，已超时 {span}",
        "pending": "已有回复正在发送，渠道尚未接收",
        "more": "……另有 {count} 条",
        "acknowledge": "请在客服系统中确认，否则将依次通知下一位负责人。",
        "automatic": "本消息由系统自动发送。",
        "day": "{} 天",
        "hour": "{} 小时",
        "minute": "{} 分钟",
        "join": "，",
        "about": "#{number}：{said}",
    },
    "zh-TW": {
        "info": "通知",
        "warning": "警告",
        "critical": "緊急",
        "sla_warning": "回覆即將到期",
        "sla_breach": "回覆已逾時",
        "sla_warning_resolution": "處理時限即將到期",
        "sla_breach_resolution": "逾時仍未解決",
        "escalation": "有對話需要處理",
        "automation_looped": "自動化規則陷入循環，已被停止",
        "webhook_disabled": "有 Webhook 已被停用",
        "webhook_disabled_gone": "有 Webhook 已被停用：接收端已不存在",
        "webhook_disabled_failing": "有 Webhook 已被停用：連續五天未能送達",
        "unschedulable": "無法計算到期時間：行事曆之後不再有營業時間",
        "unknown_holidays": "{year} 年的假日尚未核對，到期時間可能有誤",
        "unknown_account": "Webhook 送來了不屬於任何收件匣的帳號的內容",
        "impersonator": "發現與我方相似的帳號：請確認是否在冒充我方欺騙客戶，並向平台檢舉",
        "flood": "多個帳號發布相同內容：除首則外均已歸為垃圾訊息",
        "security_change": "帳號或對外管道的設定有變更",
        "security_change_inbox": "收件匣改用或信任了其他地址、伺服器或網站",
        "security_change_webhook": "新增了 Webhook，或其網址有變更",
        "security_change_alert_route": "新增了警示發送目標，或其網址有變更",
        "security_change_token": "新建了 API 權杖",
        "security_change_email": "有成員的登入信箱遭變更",
        "security_change_role": "有成員的角色遭變更",
        "security_change_password": "管理員設定了某位成員的密碼",
        "security_change_two_steps": "管理員取消了某位成員的兩步驟驗證",
        "security_change_sign_on": "單一登入設定有變更",
        "other": "有事項需要處理",
        "several": "有 {count} 則警示需要處理",
        "first_response": "首次回覆",
        "next_response": "後續回覆",
        "resolution": "解決",
        "due": "到期時間 {at}",
        "overdue": "到期時間 {at}，已逾時 {span}",
        "pending": "已有回覆正在傳送，管道尚未接收",
        "more": "……另有 {count} 則",
        "acknowledge": "請在客服系統中確認，否則將通知下一順位人員。",
        "automatic": "本訊息由系統自動傳送。",
        "day": "{} 天",
        "hour": "{} 小時",
        "minute": "{} 分鐘",
        "join": "，",
        "about": "#{number}：{said}",
    },
}
_ORDER: Final = ("info", "warning", "critical")
_KINDS: Final = (
    "sla_warning",
    "sla_breach",
    "escalation",
    "automation_looped",
    "webhook_disabled",
    "unschedulable",
    "unknown_holidays",
    "unknown_account",
    "impersonator",
    "flood",
    "security_change",
)
_CLOCKS: Final = ("first_response", "next_response", "resolution")


def compose(matters: Sequence[Matter], *, language: str, zone: str, now: datetime) -> tuple[str, str]:
    """Subject and text, the most urgent first; in English where the language is none of ours."""
    words = _WORDS.get(language, _WORDS["en"])
    ordered = sorted(matters, key=lambda one: (-_ORDER.index(one.severity), one.due_at is None, one.due_at))
    worst = words[ordered[0].severity]
    what = words["several"].format(count=len(ordered)) if len(ordered) > 1 else _headline(words, ordered[0])
    lines = [_line(words, one, zone=zone, now=now) for one in ordered[:SHOWN]]
    if len(ordered) > SHOWN:
        lines.append(words["more"].format(count=len(ordered) - SHOWN))
    if any(one.acknowledge for one in ordered):
        lines += ["", words["acknowledge"]]
    return f"[{worst}] {what}", "\n".join([*lines, "", words["automatic"]])


def _headline(words: Mapping[str, str], one: Matter) -> str:
    kind = one.kind if one.kind in _KINDS else "other"
    which = one.clock or one.data.get("change", "")
    said = words.get(f"{kind}_{which}", words[kind]).format(year=one.data.get("year", ""))
    return said if one.number is None else words["about"].format(number=one.number, said=said)


def _line(words: Mapping[str, str], one: Matter, *, zone: str, now: datetime) -> str:
    parts = [_headline(words, one)]
    parts += [word for word in (one.channel, words[one.clock] if one.clock in _CLOCKS else "") if word]
    if one.due_at is not None:
        at = f"{one.due_at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} ({zone})"
        late = one.due_at < now
        said = words["overdue"] if late else words["due"]
        parts.append(said.format(at=at, span=_span(words, now - one.due_at)))
    if one.reply_pending:
        parts.append(words["pending"])
    return "- " + words["join"].join(parts)


def _span(words: Mapping[str, str], span: timedelta) -> str:
    """In its two largest units."""
    minutes = max(int(span.total_seconds() // 60), 0)
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    units = [("day", days), ("hour", hours), ("minute", minutes)]
    told = [words[name].format(count) for name, count in units if count]
    return " ".join(told[:2]) or words["minute"].format(0)
