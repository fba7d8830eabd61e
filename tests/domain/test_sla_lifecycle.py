"""The life of clocks as the shared scenarios tell it; they are read in place where they are there."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from helpdesk.domain.business_hours import ALWAYS, BusinessTime, Calendar, Timetable
from helpdesk.domain.clocks import Kind, Origin, State, Terms
from helpdesk.domain.sla import Ledger
from tests.conftest import SHARED

VECTORS = SHARED / "vectors" / "sla.json"
NOBODY = UUID(int=1)
KNOWN = {"at", "clock", "state", "due", "breached_at", "elapsed_s", "overdue_s", "cycles", "breaches"}
KNOWN |= {"peer", "peer_note"}  # what another product says, where we differ
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def scenarios() -> list[Any]:
    if not VECTORS.exists():
        return [pytest.param(None, {}, id="none", marks=pytest.mark.skip(reason="the shared scenarios are not here"))]
    found = json.loads(VECTORS.read_text(encoding="utf-8"))
    return [pytest.param(one, found["calendars"], id=one["id"]) for one in found["lifecycle"]]


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def minutes(text: str) -> int:
    hour, minute = text.split(":")[:2]
    return int(hour) * 60 + int(minute)


def business_time(given: dict[str, Any]) -> BusinessTime:
    if given.get("always_open"):
        return ALWAYS

    def hours(pairs: Any) -> list[tuple[int, int]]:
        return [(minutes(opens), minutes(closes)) for opens, closes in pairs]

    return Timetable(
        Calendar(
            given["tz"],
            [hours(given["hours"].get(day, ())) for day in DAYS],
            frozenset(map(date.fromisoformat, given.get("holidays", ()))),
            {date.fromisoformat(day): hours(pairs) for day, pairs in given.get("date_overrides", {}).items()},
            {date.fromisoformat(day): hours(pairs) for day, pairs in given.get("breaks", {}).items()},
        )
    )


def targets(given: dict[str, Any]) -> dict[Kind, timedelta]:
    return {kind: timedelta(seconds=given[f"{kind}_s"]) for kind in Kind if f"{kind}_s" in given}


class Player:
    """Plays a scenario's events up to a time."""

    def __init__(self, scenario: dict[str, Any], calendars: dict[str, Any], *, until: datetime) -> None:
        policy = scenario["policy"]
        self.terms = Terms(
            (NOBODY, 1),
            targets(policy),
            business_time(calendars[policy["calendar"]]),
            pauses=frozenset(map(Kind, policy.get("pauses", ()))),
            pause_states=frozenset(policy.get("pause_states", ())),
            next_response_from_creation=policy.get("nrt_from_creation", False),
        )
        self.ledger = Ledger(now=until)
        for seq, event in enumerate(scenario["events"], 1):
            if time(event["at"]) > until:
                break
            self.play(event, seq)
        self.ledger.settle(until)

    def play(self, event: dict[str, Any], seq: int) -> None:
        at, ledger = time(event["at"]), self.ledger
        origin = Origin(at, seq, "email", NOBODY)
        match event["type"]:
            case "created":
                ledger.status = self.status(event.get("status", "open"))
                ledger.opened(origin, self.terms, by_agent=event.get("by") == "agent")
            case "customer_message":
                ledger.asked(origin, self.terms)
            case "agent_reply":
                ledger.answered(at)
            case "status":
                ledger.became(at, self.status(event["to"]))
            case "targets":
                self.retarget(at, targets(event))
            case "policy_removed" | "merged_away":
                ledger.cancel(at)
            case "tick":
                ledger.settle(at)
            case "bot_reply" | "auto_reply" | "note":
                pass  # what is no person's answer is not told to the clocks
            case other:
                pytest.fail(f"no such event: {other}")

    def retarget(self, at: datetime, given: dict[Kind, timedelta]) -> None:
        old = self.terms
        self.terms = Terms(
            (NOBODY, old.policy[1] + 1),
            {**old.targets, **given},
            old.time,
            pauses=old.pauses,
            pause_states=old.pause_states,
            next_response_from_creation=old.next_response_from_creation,
        )
        self.ledger.retarget(at, lambda clock: self.terms if clock.kind in given else clock.terms)

    @staticmethod
    def status(word: str) -> str:
        return "resolved" if word == "solved" else word


@pytest.mark.parametrize(("scenario", "calendars"), scenarios())
def test_each_clock_is_at_each_moment_what_the_scenario_says(
    scenario: dict[str, Any], calendars: dict[str, Any]
) -> None:
    checked = 0
    for wanted in scenario["expect"]:
        now = time(wanted["at"])
        ledger = Player(scenario, calendars, until=now).ledger
        clock = ledger.latest(Kind(wanted["clock"]))
        cycles = [one for one in ledger.clocks if one.kind == wanted["clock"]]
        unknown = wanted.keys() - KNOWN
        assert not unknown
        found: dict[str, Any] = {
            "state": State.NONE if clock is None else clock.state,
            "cycles": len(cycles),
            "breaches": sum(one.breached_at is not None for one in cycles),
        }
        if clock is not None:
            elapsed = clock.elapsed(now)
            found |= {"due": clock.due, "breached_at": clock.breached_at}
            found |= {"elapsed_s": elapsed.total_seconds(), "overdue_s": (elapsed - clock.target).total_seconds()}
        for name in wanted.keys() & found.keys():
            value = wanted[name]
            if name in ("due", "breached_at") and value is not None:
                value = time(value)
            assert found[name] == value, f"{scenario['name']}, {wanted['clock']} at {now}: {name}"
            checked += 1
    assert checked
