"""A promise over a holiday, on real parts, while a file moves the time: warned of, broken, called for, kept late."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.journeys.desk import EVENTS, Desk, several, time_of
from tests.journeys.hooks import Hooks
from tests.journeys.mailbox import DovecotMailbox
from tests.journeys.moving import Clock
from tests.journeys.sink import Sink
from tests.journeys.stack import Stack

FRIDAY = datetime(2026, 4, 3, 11, 55, tzinfo=UTC)
"""19:55 in Shanghai, five minutes before the desk closes for Tomb-sweeping Day; it opens again on Tuesday at 08:00."""
DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
EVE = datetime(2026, 4, 30, 12, 5, tzinfo=UTC)
"""A Thursday, five minutes after the desk closed for Labour Day; it opens again on Wednesday at 08:00."""
SLEEP = datetime(2026, 5, 6, 1, 0, tzinfo=UTC)
"""That Wednesday at 09:00."""
DUE = datetime(2026, 5, 6, 4, 0, tzinfo=UTC)
"""Four hours of service after that evening."""
WEI = "wei@customer.example"
TOLD = dict(zip(EVENTS, (1, 1, 1, 3, 5, 1), strict=True))
FLEET, EMBEDDED = "fleet, PostgreSQL, Redis", "up, SQLite"


@pytest.fixture(scope="module", params=[FLEET, EMBEDDED])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Set up once for all stories, which takes longer than they do."""
    folder = tmp_path_factory.mktemp("promise")
    clock = Clock(folder / "offset", begin=FRIDAY - 10 * MINUTE)
    parts = {}
    if request.param == FLEET:
        parts["database_url"] = request.getfixturevalue("new_database")()
        parts["redis_url"] = request.getfixturevalue("redis").url
    with ExitStack() as opened:
        sink, hooks = opened.enter_context(Sink()), opened.enter_context(Hooks())
        stack = opened.enter_context(Stack(folder, **parts, HELPDESK_CLOCK_FILE=str(clock.path)))
        made = Desk(stack, clock, sink, hooks)
        opened.callback(made.close)
        made.set_up()
        yield made


@pytest.fixture
def desk(house: Desk) -> Desk:
    """The same house for the next story: what was told and written before is not asked for again."""
    house.forget()
    return house


def test_nobody_answers_over_a_holiday_until_the_promise_is_broken_and_people_are_called(
    desk: Desk, mailbox: Callable[[], DovecotMailbox]
) -> None:
    desk.open("support@wallet.example", mailbox())
    desk.clock.move(FRIDAY)
    desk.deliver("提币一直没有到账", "您好，我昨天提的 200 USDT 还没有到账，请帮忙看看。\n", sender=f"魏 <{WEI}>")
    found = desk.stack.conversation("提币一直没有到账")
    (started,) = desk.clocks(found["id"])
    start, due = time_of(started["started_at"]), time_of(started["started_at"]) + DAY
    _promised(desk, found, started, due)
    desk.assign(found["id"], to="li")

    _warned(desk, found["id"], start + 18 * HOUR)
    desk.quiet(at=due - MINUTE)
    assert desk.asked(sla="breached") == []
    _broken(desk, found["id"], due)
    _acknowledged(desk, due + 15 * MINUTE)
    _worse(desk, found["id"], due + HOUR)
    _answered(desk, found, due + HOUR + 40 * MINUTE)

    desk.quiet(at=due + 2 * DAY)
    assert Counter(one["type"] for one in desk.hooks.told()) == TOLD
    assert desk.letters() == {"li": 2, "anna": 1, "sue": 2, "mina": 1}
    assert len(desk.sink.messages) == 8, "six letters, an acknowledgement and an answer"
    assert max(desk.sink.copies().values()) == 1
    desk.sound()


def _promised(desk: Desk, found: dict[str, Any], clock: dict[str, Any], due: datetime) -> None:
    """The customer is told when, and everybody can see it."""
    assert time_of(clock["started_at"]) + SECOND >= FRIDAY
    assert (clock["kind"], clock["cycle"], clock["state"]) == ("first_response", 1, "running")
    assert (clock["policy"]["name"], clock["policy"]["version"]) == ("E-mail", 1)
    assert (clock["time"], clock["calendar"], time_of(clock["due_at"])) == ("calendar", None, due)
    # In service hours it would be five minutes of Friday, all of Tuesday, and most of Wednesday.
    business = time_of(clock["due_if_business"])
    assert business.replace(second=0, microsecond=0) == datetime(2026, 4, 8, 11, 55, tzinfo=UTC)
    assert (found["sla_state"], time_of(found["next_due_at"])) == ("ok", due)
    assert found["team"]["id"] == desk.team_id
    assert desk.asked(sla="due_soon") == desk.asked(sla="breached") == []
    (said,) = desk.mail_to(WEI)
    assert "24 小时内回复" in said
    assert "不在服务时间" not in said, "the desk is open"


def _warned(desk: Desk, conversation_id: str, at: datetime) -> None:
    """At three quarters, on a holiday: whoever has it is told, in his language, and nobody else."""
    desk.quiet(at=at - MINUTE)
    desk.clock.move(at + SECOND)
    (alert,) = desk.until("an alert warns", lambda: desk.alerts(severity="info"))
    assert (alert["kind"], alert["status"], desk.called(alert)) == ("sla_warning", "open", {"li": 0})
    assert [len(desk.alerts(name)) for name in ("li", "anna", "zoe", "sue", "mina")] == [1, 0, 0, 1, 1]
    (letter,) = desk.mail_to(desk.people["li"].email)
    assert "回复即将到期" in letter
    (told,) = desk.until("a webhook is told", lambda: desk.hooks.told("sla.warning"))
    assert told["conversation_id"] == conversation_id
    assert time_of(told["data"]["warned_at"]) == at
    assert desk.conversation(conversation_id)["sla_state"] == "due_soon"
    assert desk.asked(sla="due_soon", sort="next_due_at") == [conversation_id]


def _broken(desk: Desk, conversation_id: str, due: datetime) -> None:
    """A second past the due time: a breach with the due time's own time, and two people to answer for it."""
    desk.clock.move(due + SECOND)
    (told,) = desk.until("a breach is told", lambda: desk.hooks.told("sla.breached"))
    assert time_of(told["data"]["breached_at"]) == time_of(told["data"]["due_at"]) == due
    assert time_of(told["data"]["detected_at"]) - due < MINUTE
    (clock,) = desk.clocks(conversation_id)
    assert (clock["state"], time_of(clock["breached_at"])) == ("breached", due)
    assert clock["breached_at"] == told["data"]["breached_at"]
    (alert,) = desk.until("an alert calls", lambda: desk.alerts(severity="critical"))
    assert (alert["kind"], desk.called(alert)) == ("sla_breach", {"li": 0, "anna": 0})
    assert [len(desk.alerts(name, severity="critical")) for name in ("li", "anna", "zoe")] == [1, 1, 0]
    assert "回复已超时" in desk.mail_to(desk.people["li"].email, 2)[1]
    assert "an answer is overdue" in desk.mail_to(desk.people["anna"].email)[0]
    assert desk.conversation(conversation_id)["sla_state"] == "breached"
    assert desk.asked(sla="breached") == [conversation_id]


def _acknowledged(desk: Desk, at: datetime) -> None:
    """Neither of the two says anything, so the next level is called; she does, and that is that."""
    desk.clock.move(at + MINUTE)
    (letter,) = desk.mail_to(desk.people["sue"].email)
    assert "回覆已逾時" in letter
    (alert,) = desk.alerts(severity="critical")
    assert (alert["level"], desk.called(alert)) == (1, {"li": 0, "anna": 0, "sue": 1})
    path = f"/alerts/{alert['id']}/acknowledge"
    assert desk.people["zoe"].http.post(path).status_code == 404
    for name in ("sue", "li"):
        seen = desk.people[name].http.post(path)
        assert seen.status_code == 200, seen.text
        assert seen.json()["status"] == "acknowledged"
        assert seen.json()["acknowledged_by"] == desk.people["sue"].id, "the first one to say so is remembered"
        assert seen.json()["next_due_at"] is None
    (told,) = desk.until("the acknowledgement is told", lambda: desk.hooks.told("alert.acknowledged"))
    assert told["data"]["agent_id"] == desk.people["sue"].id
    desk.quiet(at=at + 35 * MINUTE)


def _worse(desk: Desk, conversation_id: str, at: datetime) -> None:
    """Still nobody has answered: the ladder's second step makes it pressing, and calls those above."""
    desk.clock.move(at + SECOND)
    (_, alert) = desk.until("the second step calls", lambda: several(desk.alerts(severity="critical"), 2))
    assert desk.called(alert) == {"sue": 0}
    assert desk.conversation(conversation_id)["priority"] == "high"
    desk.mail_to(desk.people["sue"].email, 2)
    desk.clock.move(at + 31 * MINUTE)
    (_, alert) = desk.until(
        "somebody above is called", lambda: [*(found := desk.alerts(severity="critical"))] * (found[-1]["level"] > 0)
    )
    assert (alert["level"], desk.called(alert)) == (1, {"sue": 0, "mina": 1})
    overdue = "an answer is overdue"
    desk.until("she hears of it", lambda: any(overdue in one for one in desk.mail_to(desk.people["mina"].email)))
    told = desk.until("three steps are told", lambda: several(desk.hooks.told("escalation.advanced"), 3))
    steps = [(one["data"]["step"], one["data"]["actions"]) for one in told]
    assert steps == [(1, ["alert"]), (1, ["alert"]), (2, ["priority", "alert"])]


def _answered(desk: Desk, found: dict[str, Any], at: datetime) -> None:
    """The answer ends all of it, as late as it is."""
    desk.clock.move(at)
    sent = desk.people["li"].reply(found["id"], "您好，让您久等了：提币已经到账。")
    assert "让您久等了" in desk.mail_to(WEI, 2)[1]
    (told,) = desk.until("the end is told", lambda: desk.hooks.told("sla.met"))
    assert told["data"]["late"] is True
    (clock,) = desk.clocks(found["id"])
    assert clock["state"] == "met_late"
    assert clock["ended_by"]["message_id"] == sent["id"]
    assert (clock["ended_by"]["author_id"], clock["ended_by"]["author_name"]) == (desk.people["li"].id, "Li")
    assert time_of(clock["ended_at"]) == time_of(clock["ended_by"]["sent_at"]) >= at
    desk.until("all alerts are over", lambda: {one["status"] for one in desk.alerts()} == {"resolved"})
    shown = desk.conversation(found["id"])
    assert (shown["sla_state"], shown["next_due_at"], shown["waiting_since"]) == ("none", None, None)


@pytest.mark.parametrize("house", [FLEET], indirect=True)
def test_a_worker_that_slept_over_the_due_time_tells_the_truth_and_starts_no_storm(
    desk: Desk, mailbox: Callable[[], DovecotMailbox]
) -> None:
    four = {"targets": {"first_response": 4 * 3600}, "warnings": [{"fraction": 0.75}]}
    policy = desk.post("/sla-policies", name="Four hours of service", clock="business", **four)
    desk.open("swaps@wallet.example", mailbox(), sla_policy_id=policy["id"])
    desk.clock.move(EVE)
    asleep = [_closed(desk, "Swap A", "han@customer.example"), _closed(desk, "Swap B", "qin@customer.example")]
    desk.quiet(at=SLEEP)
    desk.stack.kill("worker")

    desk.clock.move(SLEEP + 150 * MINUTE)
    desk.deliver("Swap C", "How long will it take?\n", sender="sun@customer.example")
    desk.clock.move(DUE + SECOND)
    assert set(desk.asked(sla="breached")) == {one["id"] for one in asleep}, "lists are right all the same"
    assert desk.alerts() == desk.hooks.told() == []

    desk.clock.move(SLEEP + 6 * HOUR)
    desk.stack.start_one("worker")
    late = desk.stack.conversation("Swap C")
    for one in asleep:
        _overtaken(desk, one)
    _just_warned(desk, late)
    assert desk.asked(sla=["breached", "due_soon"], sort="next_due_at") == [one["id"] for one in (*asleep, late)]
    _no_storm(desk, asleep, late)

    for alert in desk.alerts(severity="critical"):
        assert desk.people["anna"].http.post(f"/alerts/{alert['id']}/acknowledge").status_code == 200
    for one in (*asleep, late):
        desk.stack.reply(one["id"], "It has gone through.", key=one["id"])
    for one, state in ((asleep[0], "met_late"), (asleep[1], "met_late"), (late, "met")):
        desk.until("the clock ends", lambda one=one, state=state: desk.clocks(one["id"])[0]["state"] == state)
        assert len(desk.mail_to(one["contact"]["handle"], 2)) == 2, "an acknowledgement and an answer"
    desk.until("all alerts are over", lambda: {one["status"] for one in desk.alerts()} == {"resolved"})
    desk.quiet(at=SLEEP + DAY)
    assert max(desk.sink.copies().values()) == 1
    desk.sound()


def _closed(desk: Desk, subject: str, sender: str) -> dict[str, Any]:
    """Somebody writes when nobody is there: he is told from when on somebody will be, and his clock waits for that."""
    desk.deliver(subject, "It has been pending for an hour.\n", sender=sender)
    found = desk.stack.conversation(subject)
    (said,) = desk.mail_to(sender)
    assert "within 4 hours of our service hours" in said
    assert "Our desk is closed at the moment and opens again on 2026-05-06 at 08:00 (Asia/Shanghai)." in said
    (clock,) = desk.clocks(found["id"])
    assert (clock["policy"]["name"], clock["time"]) == ("Four hours of service", "business")
    assert time_of(clock["due_at"]) == DUE
    calendar = clock["calendar"]
    assert (calendar["name"], calendar["version"], calendar["zone"]) == ("China, Monday to Friday", 1, "Asia/Shanghai")
    assert time_of(clock["due_if_calendar"]) == time_of(clock["started_at"]) + 4 * HOUR
    assert [one["why"] for one in clock["intervals"]] == ["closed"]
    return found


def _overtaken(desk: Desk, found: dict[str, Any]) -> None:
    """Broken at its time and noticed later; not warned of any more; the steps were taken in their order."""

    def mine(type_: str) -> list[dict[str, Any]]:
        return [one["data"] for one in desk.hooks.told(type_) if one.get("conversation_id") == found["id"]]

    (broken,) = desk.until("the breach is told", lambda: mine("sla.breached"))
    assert (time_of(broken["due_at"]), time_of(broken["breached_at"])) == (DUE, DUE)
    assert SLEEP + 6 * HOUR <= time_of(broken["detected_at"]) <= desk.clock.now
    steps = desk.until("both steps are told", lambda: several(mine("escalation.advanced"), 2))
    assert [one["step"] for one in steps] == [1, 2]
    assert [round(one["late_seconds"] / 3600, 1) for one in steps] == [3.0, 2.0]
    (raised,) = desk.until("one alert is told", lambda: mine("alert.raised"))
    assert raised["severity"] == "critical"
    assert mine("sla.warning") == []
    assert desk.conversation(found["id"])["priority"] == "high"
    (clock,) = desk.clocks(found["id"])
    assert (clock["state"], time_of(clock["breached_at"])) == ("breached", DUE)
    assert time_of(clock["detected_at"]) == time_of(broken["detected_at"])
    (ladder,) = clock["escalations"]
    assert [(one["step"], time_of(one["due_at"])) for one in ladder["steps"]] == [(1, DUE), (2, DUE + HOUR)]


def _just_warned(desk: Desk, found: dict[str, Any]) -> None:
    """It came while nobody was awake, and its time counts from then."""
    (clock,) = desk.clocks(found["id"])
    start = time_of(clock["started_at"])
    assert start == time_of(desk.stack.messages(found["id"])[0]["received_at"])
    assert timedelta() <= SLEEP + 150 * MINUTE + SECOND - start <= 2 * SECOND
    assert time_of(clock["due_at"]) == start + 4 * HOUR
    (told,) = desk.until("the warning is told", lambda: desk.hooks.told("sla.warning"))
    assert (told["conversation_id"], time_of(told["data"]["warned_at"])) == (found["id"], start + 3 * HOUR)
    assert desk.conversation(found["id"])["sla_state"] == "due_soon"


def _no_storm(desk: Desk, asleep: list[dict[str, Any]], late: dict[str, Any]) -> None:
    """Everybody hears of everything once, and of what was broken in one letter."""
    broken = [one["number"] for one in asleep]
    for name, wanted in (("anna", [*broken, late["number"]]), ("sue", broken)):
        letters = desk.until("the letters are there", lambda n=name, w=wanted: _numbers(desk, n, at_least=len(w)))
        assert sorted(number for letter in letters for number in letter) == wanted, "of each once"
        assert [sorted({*letter} & {*broken}) for letter in letters if {*letter} & {*broken}] == [broken]
    alerts = desk.alerts(severity="critical")
    assert [desk.called(alert) for alert in alerts] == [{"anna": 0, "sue": 0}] * 2
    assert {time_of(alert["data"]["breached_at"]) for alert in alerts} == {DUE}


def _numbers(desk: Desk, name: str, *, at_least: int) -> list[list[int]]:
    """The conversations that each letter to somebody is about, once there are so many."""
    found = [[int(number) for number in re.findall(r"#(\d+)", text)] for text in desk.texts(name)]
    return found if sum(map(len, found)) >= at_least else []
