"""What is new in a mail: borrowed replies, signatures and forwards, scored against what their owners expect.

Every case is counted. Exact match and token F1 are taken over the cases that state the whole reply; the others make
assertions, which pass or fail apart and have a floor of their own so that none slips unseen. A folder's policy chooses
whether the signature is kept, and nothing else.
"""

from __future__ import annotations

import email
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from connectors.email.forwards import unwrap_forward, unwrap_forward_html
from connectors.email.quotes import Separated, separate, separate_html

from .conftest import score

EXACT = 0.60
F1 = 0.85
ASSERTIONS = 0.70
SIGNATURES = 0.80
FORWARDS = 0.80

Case = dict[str, Any]


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def _text_part(path: Path) -> str:
    for part in email.message_from_bytes(path.read_bytes()).walk():
        if part.get_content_type() == "text/plain":
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            return payload.decode(part.get_content_charset() or "utf-8", "replace")
    return ""


def _keeps_signature(case: Case) -> bool:
    return (case.get("policy") or {}).get("strip_signature") is False


def _separated(case: Case) -> Separated:
    keep = _keeps_signature(case)
    if case["kind"] == "reply_html":
        return separate_html(_text(case["path"]), keep_signature=keep)
    text = _text_part(case["path"]) if case["kind"] == "reply_eml" else _text(case["path"])
    return separate(text, keep_signature=keep)


def _expected(case: Case) -> str | None:
    expect = case["expect"]
    found = expect.get("reply", expect.get("reply_text"))
    assert found is None or isinstance(found, str)
    return found


def _within(part: str, whole: str) -> bool:
    return score.collapse(part) in score.collapse(whole)


def _failed_assertions(expect: dict[str, Any], got: Separated, seconds: float) -> list[str]:
    """The names of the expectations that `got` misses. Counts of fragments are read as: is anything set apart."""
    new, rest = got.new_text, f"{got.signature}\n{got.quoted}".strip()
    count = expect.get("n_fragments", expect.get("n_messages"))
    apart = rest if "n_fragments" in expect else got.quoted
    checks = {
        "n": count is None or (count > 1) == bool(apart),
        "contains": all(_within(part, new) for part in expect.get("contains", [])),
        "not_contains": not any(_within(part, new) for part in expect.get("not_contains", [])),
        "starts_with": score.collapse(new).startswith(score.collapse(expect.get("starts_with", ""))),
        "ends_with": score.collapse(new).endswith(score.collapse(expect.get("ends_with", ""))),
        "reply_signoff_kept": score.collapse(expect.get("reply_signoff_kept", new)) == score.collapse(new),
        "reply_regex": all(re.search(pattern, new) for pattern in expect.get("reply_regex", [])),
        "later_fragment_regex": all(
            re.search(pattern.rstrip("\\"), f"{rest}\n{new}", re.MULTILINE)
            for pattern in expect.get("later_fragment_regex", [])
        ),
        "signature_contains": all(_within(part, got.signature) for part in expect.get("signature_contains", [])),
        "signature_equals": score.collapse(expect.get("signature_equals", got.signature))
        == score.collapse(got.signature),
        "max_seconds": seconds <= expect.get("max_seconds", seconds),
    }
    return [name for name, held in checks.items() if not held]


@pytest.mark.parametrize("kind", ["reply", "reply_eml", "reply_html"])
def test_the_new_text_is_what_the_corpora_expect(kind: str, cases: list[Case], scores: Any) -> None:
    exact: list[bool] = []
    f1: list[float] = []
    for case in cases:
        wanted = _expected(case)
        if case["kind"] != kind or wanted is None:
            continue
        got = _separated(case).new_text
        exact.append(score.collapse(wanted) == score.collapse(got))
        f1.append(score.token_f1(wanted, got))
    assert exact, f"the corpora hold no case of kind {kind}"
    exact_rate, f1_mean = sum(exact) / len(exact), sum(f1) / len(f1)
    scores.record(kind, f"exact of {len(exact)}", exact_rate, EXACT)
    scores.record(kind, f"token F1 of {len(f1)}", f1_mean, F1)
    assert exact_rate >= EXACT
    assert f1_mean >= F1


def test_all_replies_together_pass_the_thresholds(cases: list[Case], scores: Any) -> None:
    pairs = [
        (wanted, _separated(case).new_text)
        for case in cases
        if case["kind"] in {"reply", "reply_eml", "reply_html"} and (wanted := _expected(case)) is not None
    ]
    exact = sum(score.collapse(wanted) == score.collapse(got) for wanted, got in pairs) / len(pairs)
    f1 = sum(score.token_f1(wanted, got) for wanted, got in pairs) / len(pairs)
    scores.record("replies", f"exact of {len(pairs)}", exact, EXACT)
    scores.record("replies", f"token F1 of {len(pairs)}", f1, F1)
    assert exact >= EXACT
    assert f1 >= F1


def test_cases_that_only_assert_mostly_hold(cases: list[Case], scores: Any) -> None:
    failed: list[str] = []
    held = 0
    for case in cases:
        if case["kind"] not in {"reply", "reply_eml", "reply_html"} or _expected(case) is not None:
            continue
        began = time.process_time()
        got = _separated(case)
        misses = _failed_assertions(case["expect"], got, time.process_time() - began)
        if misses:
            failed.append(f"{case['folder']}/{case['file']}: {', '.join(misses)}")
        else:
            held += 1
    rate = held / (held + len(failed))
    scores.record("replies", f"assertions of {held + len(failed)}", rate, ASSERTIONS)
    assert rate >= ASSERTIONS, "\n".join(failed)


def test_signatures_are_found_where_they_are(cases: list[Case], scores: Any) -> None:
    misses: list[str] = []
    total = 0
    for case in cases:
        if case["kind"] != "signature":
            continue
        total += 1
        got = separate(_text(case["path"]))
        wanted = (case["expect"]["body"], case["expect"]["signature"] or "")
        if (score.collapse(got.new_text), score.collapse(got.signature)) != tuple(map(score.collapse, wanted)):
            misses.append(case["file"])
    rate = 1 - len(misses) / total
    scores.record("signature", f"exact of {total}", rate, SIGNATURES)
    assert rate >= SIGNATURES, misses


def test_forwarded_mail_is_unwrapped(cases: list[Case], scores: Any) -> None:
    """A quoted reply is not a forward: there `unwrap_forward` has to answer None and `separate` finds the new text."""
    misses: list[str] = []
    total = 0
    for case in cases:
        if case["kind"] != "forward":
            continue
        total += 1
        if not _unwraps(case):
            misses.append(case["file"])
    rate = 1 - len(misses) / total
    scores.record("forward", f"exact of {total}", rate, FORWARDS)
    assert rate >= FORWARDS, misses


def _unwraps(case: Case) -> bool:
    wanted = case["expect"]["unwrap"]
    is_html = case["file"].endswith(".html")
    text = _text(case["path"])
    got = unwrap_forward_html(text) if is_html else unwrap_forward(text)
    if wanted is None or wanted.get("type") != "forward":
        top = "" if wanted is None else wanted.get("text_top", "")
        separated = separate_html(text) if is_html else separate(text)
        return got is None and (wanted is None or _within(top, separated.new_text))
    if got is None:
        return False
    pairs = {
        "from": got.sender,
        "to": got.to,
        "cc": got.cc,
        "date": got.date,
        "subject": got.subject,
        "text": got.body,
        "text_top": got.comment,
        "text_bottom": got.below,
    }
    named = {key: value for key, value in wanted.items() if key in pairs and isinstance(value, str)}
    return all(score.collapse(value) == score.collapse(pairs[key]) for key, value in named.items())


def test_hostile_inputs_cost_less_than_their_budget(attacks: Path, scores: Any) -> None:
    """Processor time, so that a busy machine does not fail it."""
    slowest = 0.0
    for line in (attacks / "redos_inputs.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        for read in (separate, separate_html, unwrap_forward, unwrap_forward_html):
            began = time.process_time()
            read(case["input"])
            spent = (time.process_time() - began) * 1000
            slowest = max(slowest, spent)
            assert spent < case["budget_ms"], (case["name"], read.__name__, spent)
    scores.record("hostile", "slowest ms (< 200)", f"{slowest:.1f}")
