"""What an escalation rule says, when it applies, and what is refused as one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from helpdesk.domain import ladders
from helpdesk.domain.actions import Alert, Assign, HandOver, Note, Post, Prioritise, Watch
from helpdesk.domain.contents import Wrong
from helpdesk.domain.values import Priority

ANNA, BERT, TEAM, HOOK, POLICY = (UUID(int=number) for number in range(1, 6))
ALERT: dict[str, Any] = {"do": "alert", "who": ["assignee"], "severity": "info", "acknowledge_seconds": None}
EVERYTHING: list[dict[str, Any]] = [
    ALERT | {"who": ["lead", "watchers"], "agent_ids": [str(ANNA)], "acknowledge_seconds": 900},
    {"do": "assign", "agent_id": str(BERT)},
    {"do": "team", "team_id": str(TEAM)},
    {"do": "watch", "agent_ids": [str(ANNA), str(BERT)]},
    {"do": "priority", "to": "urgent"},
    {"do": "webhook", "webhook_id": str(HOOK)},
    {"do": "note", "text": "Overdue."},
]


def step(after: int = 0, *actions: dict[str, Any], time: str = "calendar") -> dict[str, Any]:
    return {"after": after, "time": time, "actions": list(actions) or [ALERT]}


def content(**given: Any) -> dict[str, Any]:
    return {
        "anchor": "breach",
        "clocks": [],
        "channels": [],
        "priorities": [],
        "categories": [],
        "policy_ids": [],
        "steps": [step()],
    } | given


def one_action(**action: Any) -> dict[str, Any]:
    return content(steps=[step(), step(60, ALERT, action)])


def test_a_rule_is_read_as_it_was_written() -> None:
    made = content(
        clocks=["resolution"], policy_ids=[str(POLICY)], steps=[step(), step(3600, *EVERYTHING, time="business")]
    )
    ladders.check(made)
    rule = ladders.read(UUID(int=9), 4, made)
    assert (rule.id, rule.version, rule.anchor) == (UUID(int=9), 4, "breach")
    assert (rule.clocks, rule.policy_ids) == ({"resolution"}, {POLICY})
    first, second = rule.steps
    assert first.actions == (Alert(("assignee",), (), "info", None),), "agents need not be named"
    assert (second.after, second.time) == (timedelta(hours=1), "business")
    assert second.actions == (
        Alert(("lead", "watchers"), (ANNA,), "info", timedelta(minutes=15)),
        Assign(BERT),
        HandOver(TEAM),
        Watch((ANNA, BERT)),
        Prioritise(Priority.URGENT),
        Post(HOOK),
        Note("Overdue."),
    )
    assert [action.do for action in second.actions] == [action["do"] for action in EVERYTHING]


def test_a_rule_applies_when_all_its_conditions_hold() -> None:
    made = content(
        anchor="warning",
        clocks=["first_response", "next_response"],
        channels=["email"],
        priorities=["high"],
        categories=["theft"],
        policy_ids=[str(POLICY)],
    )
    ladders.check(made)
    rule = ladders.read(UUID(int=9), 1, made)
    fits: dict[str, Any] = {"anchor": "warning", "kind": "next_response", "channel": "email"}
    fits |= {"priority": "high", "category": "theft", "policy_id": POLICY}
    assert ladders.matches(rule, **fits)
    for other in (
        {"anchor": "breach"},
        {"kind": "resolution"},
        {"kind": None},
        {"channel": "chat"},
        {"priority": "low"},
        {"category": None},
        {"policy_id": HOOK},
        {"policy_id": None},
    ):
        assert not ladders.matches(rule, **(fits | other)), other


def test_a_rule_without_conditions_applies_wherever_its_anchor_is() -> None:
    rule = ladders.read(UUID(int=9), 1, content(anchor="complaint"))
    about: dict[str, Any] = {"kind": None, "channel": "x", "priority": "low", "category": None, "policy_id": None}
    assert ladders.matches(rule, anchor="complaint", **about)
    assert not ladders.matches(rule, anchor="creation", **about)


def test_what_a_rule_mentions_is_named_with_its_field() -> None:
    found = content(policy_ids=[str(POLICY)], steps=[step(), step(60, *EVERYTHING)])
    assert list(ladders.mentions(found)) == [
        ("policy_ids.0", "policy", POLICY),
        ("steps.1.actions.0.agent_ids.0", "agent", ANNA),
        ("steps.1.actions.1.agent_id", "agent", BERT),
        ("steps.1.actions.2.team_id", "team", TEAM),
        ("steps.1.actions.3.agent_ids.0", "agent", ANNA),
        ("steps.1.actions.3.agent_ids.1", "agent", BERT),
        ("steps.1.actions.5.webhook_id", "webhook", HOOK),
    ]


def test_steps_by_different_clocks_may_start_from_the_same_figure() -> None:
    ladders.check(content(steps=[step(60), step(60, time="business"), step(61)]))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (content(anchor="noon"), "anchor"),
        (content(clocks=["lunch"]), "clocks.0"),
        (content(anchor="creation", clocks=["resolution"]), "clocks"),
        (content(priorities=["highest"]), "priorities.0"),
        (content(channels=["E Mail"]), "channels.0"),
        (content(categories=[""]), "categories.0"),
        (content(policy_ids=["x"]), "policy_ids.0"),
        (content(colour="blue"), "colour"),
        (content(steps=[]), "steps"),
        (content(steps=[step(n) for n in range(21)]), "steps"),
        (content(steps=["now"]), "steps.0"),
        (content(steps=[step(-1)]), "steps.0.after"),
        (content(steps=[step() | {"unless": "met"}]), "steps.0.unless"),
        (content(steps=[step(time="lunar")]), "steps.0.time"),
        (content(steps=[step(60), step(59)]), "steps.1.after"),
        (content(steps=[step(60), step(60)]), "steps.1.after"),
        (content(steps=[step() | {"actions": []}]), "steps.0.actions"),
        (one_action(), "steps.1.actions.1.do"),
        (one_action(do="dance"), "steps.1.actions.1.do"),
        (content(steps=[step() | {"actions": ["alert"]}]), "steps.0.actions.0.do"),
        (one_action(**ALERT, loud=True), "steps.1.actions.1.loud"),
        (one_action(**(ALERT | {"who": []})), "steps.1.actions.1.who"),
        (one_action(**(ALERT | {"who": ["everybody"]})), "steps.1.actions.1.who.0"),
        (one_action(**(ALERT | {"agent_ids": ["anna"]})), "steps.1.actions.1.agent_ids.0"),
        (one_action(**(ALERT | {"severity": "fatal"})), "steps.1.actions.1.severity"),
        (one_action(**(ALERT | {"acknowledge_seconds": 59})), "steps.1.actions.1.acknowledge_seconds"),
        (one_action(**(ALERT | {"acknowledge_seconds": 604_801})), "steps.1.actions.1.acknowledge_seconds"),
        (one_action(do="assign"), "steps.1.actions.1.agent_id"),
        (one_action(do="assign", agent_id=5), "steps.1.actions.1.agent_id"),
        (one_action(do="team", team_id="payments"), "steps.1.actions.1.team_id"),
        (one_action(do="watch", agent_ids=[]), "steps.1.actions.1.agent_ids"),
        (one_action(do="watch", agent_ids=[str(ANNA), str(ANNA)]), "steps.1.actions.1.agent_ids.1"),
        (one_action(do="priority", to="top"), "steps.1.actions.1.to"),
        (one_action(do="webhook", webhook_id=None), "steps.1.actions.1.webhook_id"),
        (one_action(do="note", text=" "), "steps.1.actions.1.text"),
        (one_action(do="note", text="x" * 2001), "steps.1.actions.1.text"),
        (one_action(do="note", text="a\x00b"), "steps.1.actions.1.text"),
    ],
)
def test_what_is_wrong_is_refused_with_its_field_and_a_reason(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Wrong) as refused:
        ladders.check(given)
    assert refused.value.field == field
    assert refused.value.reason
