"""What alerts say: the same in three languages, and nothing that a customer wrote or is."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk.domain import alert_texts
from helpdesk.domain.alert_texts import LANGUAGES, SHOWN, Matter, compose

NOW = datetime(2026, 11, 3, 4, 30, tzinfo=UTC)
DUE = datetime(2026, 11, 3, 2, 0, tzinfo=UTC)


def said(*matters: Matter, language: str = "en", now: datetime = NOW) -> tuple[str, str]:
    return compose(matters, language=language, zone="Asia/Shanghai", now=now)


def breach(**given: Any) -> Matter:
    usual: dict[str, Any] = {"kind": "sla_breach", "severity": "critical", "number": 12, "channel": "E-mail"}
    usual |= {"clock": "first_response", "due_at": DUE, "acknowledge": True}
    return Matter(**usual | given)


def test_a_breach_says_which_conversation_what_was_promised_and_how_late_it_is() -> None:
    subject, text = said(breach())
    assert subject == "[Urgent] #12: an answer is overdue"
    assert text.split("\n") == [
        (
            "- #12: an answer is overdue, E-mail, first response, due 2026-11-03 10:00 (Asia/Shanghai), "
            "overdue by 2 h 30 min"
        ),
        "",
        "Please acknowledge in the helpdesk, or the next in line will be called.",
        "",
        "This message was sent automatically.",
    ]


def test_simplified_chinese_is_written_as_in_the_mainland() -> None:
    subject, text = said(breach(reply_pending=True), language="zh-CN")
    assert subject == "[紧急] #12：回复已超时"
    assert text.split("\n") == [
        (
            "- #12：回复已超时，E-mail，首次回复，到期时间 2026-11-03 10:00 (Asia/Shanghai)，已超时 2 小时 30 分钟，"
            "已有回复正在发送，渠道尚未接收"
        ),
        "",
        "请在客服系统中确认，否则将依次通知下一位负责人。",
        "",
        "本消息由系统自动发送。",
    ]


def test_traditional_chinese_is_written_as_in_taiwan() -> None:
    subject, text = said(breach(reply_pending=True), language="zh-TW")
    assert subject == "[緊急] #12：回覆已逾時"
    assert text.split("\n") == [
        (
            "- #12：回覆已逾時，E-mail，首次回覆，到期時間 2026-11-03 10:00 (Asia/Shanghai)，已逾時 2 小時 30 分鐘，"
            "已有回覆正在傳送，管道尚未接收"
        ),
        "",
        "請在客服系統中確認，否則將通知下一順位人員。",
        "",
        "本訊息由系統自動傳送。",
    ]


@pytest.mark.parametrize(
    ("late", "span"),
    [
        (timedelta(seconds=59), "0 min"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=23, minutes=59), "23 h 59 min"),
        (timedelta(days=1), "1 d"),
        (timedelta(days=1, minutes=5), "1 d 5 min"),
        (timedelta(days=3, hours=4, minutes=5), "3 d 4 h"),
    ],
)
def test_how_late_it_is_is_told_in_the_two_largest_units(late: timedelta, span: str) -> None:
    assert f"overdue by {span}\n" in said(breach(), now=DUE + late)[1]


def test_what_is_due_later_is_not_overdue() -> None:
    assert "due 2026-11-03 10:00 (Asia/Shanghai)\n" in said(breach(kind="sla_warning"), now=DUE)[1]


def test_several_are_one_letter_the_most_urgent_first() -> None:
    info = breach(number=1, kind="sla_warning", severity="info", acknowledge=False)
    early, late = breach(number=2), breach(number=3, due_at=DUE + timedelta(hours=1))
    without = breach(number=4, due_at=None)
    subject, text = said(info, without, late, early)
    assert subject == "[Urgent] 4 alerts need attention"
    assert [line[2:4] for line in text.split("\n")[:4]] == ["#2", "#3", "#4", "#1"]
    assert said(info, late, language="zh-CN")[0] == "[紧急] 有 2 条告警需要处理"
    assert said(info, late, language="zh-TW")[0] == "[緊急] 有 2 則警示需要處理"
    assert said(info, info)[1].count("acknowledge") == 0


def test_alerts_without_any_time_have_an_order_too() -> None:
    same = breach(due_at=None)
    assert said(same, same)[1].count("#12") == 2


def test_of_very_many_the_rest_is_counted() -> None:
    many = [breach(number=number) for number in range(SHOWN + 7)]
    assert "\n… and 7 more\n" in said(*many)[1]
    assert "\n……另有 7 条\n" in said(*many, language="zh-CN")[1]
    assert said(*many)[1].count("\n- #") == SHOWN - 1


def test_a_broken_resolution_is_not_called_an_answer() -> None:
    late, soon = breach(clock="resolution"), breach(clock="resolution", kind="sla_warning")
    assert said(late)[0] == "[Urgent] #12: it should have been resolved"
    assert said(soon)[0] == "[Urgent] #12: it has to be resolved soon"
    for language, word in (("zh-CN", "解决"), ("zh-TW", "解決")):
        assert word in said(late, language=language)[0]


def test_what_concerns_a_calendar_names_no_conversation() -> None:
    matter = Matter(kind="unknown_holidays", severity="warning", data={"year": 2027})
    assert said(matter)[0] == "[Warning] nobody has reviewed the holidays of 2027; due times may be wrong"
    assert said(matter, language="zh-CN")[0] == "[警告] 2027 年的节假日尚未核对，到期时间可能有误"


@pytest.mark.parametrize("language", ["de", "", "zh", "zh-HK", "EN", "{}"])
def test_a_language_that_is_none_of_ours_is_english(language: str) -> None:
    assert said(breach(), language=language) == said(breach())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("hole", ["{}", "{0}", "{year.__class__}", "{", "%s", "due", "join", "overdue", "about"])
def test_nothing_that_is_told_is_a_template(language: str, hole: str) -> None:
    matter = breach(kind=hole, clock=hole, channel=hole, data={"year": hole})
    subject, text = said(matter, language=language)
    assert "{at}" not in text
    assert hole in text, "a channel's title is told as it is"
    assert subject == said(breach(kind="nothing of ours"), language=language)[0]
    assert hole in said(breach(kind="unknown_holidays", data={"year": hole}), language=language)[0]


def test_every_language_says_everything_with_the_same_holes() -> None:
    words = alert_texts._WORDS
    holes = {
        language: {
            name: sorted(hole for _, hole, _, _ in string.Formatter().parse(text) if hole is not None)
            for name, text in words[language].items()
        }
        for language in LANGUAGES
    }
    assert set(words) == set(LANGUAGES)
    assert holes["en"] == holes["zh-CN"] == holes["zh-TW"]


def test_neither_chinese_borrows_the_other_ones_characters() -> None:
    simplified, traditional = ("".join(alert_texts._WORDS[one].values()) for one in ("zh-CN", "zh-TW"))
    assert not set(simplified) & set("緊複覆時題處訊統項動應發營業會將無請")
    assert not set(traditional) & set("紧复时题处讯统项动应发营业会将无请渠")
