"""Borrowed bounces, complaints, receipts and vacation notes: found, told apart, and never taken for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from connectors.email.parse import parse
from helpdesk.channels import Automatic, InboundMessage, RawInbound, Unreadable

FOUND = 0.90
FALSE = 0.01
OTHERS = {
    "feedback": Automatic.FEEDBACK,
    "delivery_notice": Automatic.DELIVERY_NOTICE,
    "auto_reply": Automatic.AUTO_REPLY,
}
NOT_A_BOUNCE = (
    "not_bounce",
    "auto_reply",
    "delivery_notice",
    "feedback",
    "reply",
    "reply_eml",
    "parse",
    "forward",
    "signature",
)

Case = dict[str, Any]


def _message(case: Case) -> InboundMessage | None:
    raw = RawInbound("1", case["path"].read_bytes(), datetime(2026, 11, 2, tzinfo=UTC), {})
    try:
        return parse(raw, {"address": "support@wallet.example"})
    except Unreadable:
        return None


def _names_whom(case: Case, message: InboundMessage) -> bool:
    """Whether the right recipients were found: by address where the case has addresses, else as many."""
    assert message.bounce is not None
    expect, found = case["expect"], message.bounce.recipients
    if "permanent" in expect:
        return {each.address.lower() for each in found if each.permanent} == {
            each.lower() for each in expect["permanent"]
        } and {each.address.lower() for each in found if not each.permanent} == {
            each.lower() for each in expect["temporary"]
        }
    return len(found) == expect["n_recipients"] if "n_recipients" in expect else bool(found)


def test_bounces_are_found_with_their_recipients(cases: list[Case], scores: Any) -> None:
    ours = [case for case in cases if case["kind"] == "bounce"]
    found = named = with_ids = 0
    missed: list[str] = []
    for case in ours:
        message = _message(case)
        if message is None or message.automatic is not Automatic.BOUNCE or message.bounce is None:
            missed.append(case["file"])
            continue
        found += 1
        with_ids += bool(message.bounce.original_ids)
        if _names_whom(case, message):
            named += 1
        else:
            missed.append(f"{case['file']}: {[each.address for each in message.bounce.recipients]}")
    scores.record("bounce", "found", found / len(ours), FOUND)
    scores.record("bounce", "found, recipients and permanence right", named / len(ours), FOUND)
    scores.record("bounce", "with an id of the original", with_ids / len(ours))
    assert named / len(ours) >= FOUND, missed


def test_status_codes_are_of_the_right_class(cases: list[Case], scores: Any) -> None:
    right = total = 0
    for case in cases:
        message = _message(case) if case["kind"] == "bounce" and "recipients" in case["expect"] else None
        if message is None or message.bounce is None:
            continue
        wanted = sorted(each["dsn"][:1] for each in case["expect"]["recipients"])
        total += 1
        right += (
            sorted(each.status[:1] or ("5" if each.permanent else "4") for each in message.bounce.recipients) == wanted
        )
    scores.record("bounce", "class of the status code", right / total)
    assert right / total >= 0.85


def test_complaints_receipts_and_vacations_are_told_apart(cases: list[Case], scores: Any) -> None:
    for kind, wanted in OTHERS.items():
        ours = [case for case in cases if case["kind"] == kind]
        messages = [_message(case) for case in ours]
        right = sum(message is not None and message.automatic is wanted for message in messages)
        scores.record(kind, "found", right / len(ours), FOUND)
        assert right / len(ours) >= FOUND
        assert all(message is not None and message.automatic is not None for message in messages)


def test_other_mail_is_not_a_bounce(cases: list[Case], scores: Any) -> None:
    ours = [case for case in cases if case["kind"] in NOT_A_BOUNCE]
    wrong = [case["file"] for case in ours if (m := _message(case)) is not None and m.automatic is Automatic.BOUNCE]
    scores.record("bounce", "false ones among other mail", f"{len(wrong)}/{len(ours)}")
    assert len(wrong) <= FALSE * len(ours), wrong
