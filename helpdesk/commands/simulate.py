"""`helpdesk sla simulate`: what would have been broken, had this been promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from helpdesk.api.schemas.sla_policies import SlaPolicyCreate
from helpdesk.clock import now
from helpdesk.commands.inboxes import progress
from helpdesk.commands.opened import opened
from helpdesk.config import Settings
from helpdesk.domain.clocks import Kind
from helpdesk.domain.tallies import Tally
from helpdesk.errors import Invalid
from helpdesk.services import simulation
from helpdesk.services.clock_rows import rfc3339
from helpdesk.services.simulation import GIVEN, Broken, Comparison, Simulation

MOST_BYTES: Final = 1_000_000
_BESIDE: Final = ("name", "position", "enabled")
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_NAMES: Final = ("policy", "clock")
_FIGURES: Final = ("cycles", "met", "late", "broken", "open", "% met", "median", "90 % in")
_COMPARED: Final = ("cycles then", "broken then", "cycles now", "broken now")


async def run(
    settings: Settings,
    *,
    days: int,
    policy: str | None = None,
    policy_file: Path | None = None,
    hours: str | None = None,
    as_json: bool = False,
    limit: int = 20,
    terminal: bool = False,
) -> list[str]:
    """The lines to print: tables for a `terminal`, plain lines or one JSON object elsewhere. Raises `Invalid`."""
    content = None if policy_file is None else read_policy(policy_file)
    until = now()
    async with opened(settings) as services:
        async with services.database.reading() as session:
            tried = await simulation.promised(services, session, policy=policy, content=content, hours=hours)
        since = until - timedelta(days=days)
        with progress("conversations") as tell:
            found = await simulation.simulate(services, tried, since=since, limit=limit, now=until, tell=tell)
    if as_json:
        return [orjson.dumps(shown(found), option=orjson.OPT_INDENT_2).decode()]
    return _tables(found) if terminal else _lines(found)


def read_policy(path: Path) -> dict[str, Any]:
    """A policy's content from a file with the fields that the API takes; what is left out is what it is there.

    Raises `Invalid` for a file that holds no object; what the fields hold is judged with the rest.
    """
    try:
        with path.open("rb") as file:
            given = orjson.loads(file.read(MOST_BYTES))
    except OSError:
        raise Invalid.field("policy_file", "the file cannot be read") from None
    except orjson.JSONDecodeError:
        raise Invalid.field("policy_file", "this is not JSON") from None
    if not isinstance(given, dict):
        raise Invalid.field("policy_file", "this is not an object")
    fields = {name: field for name, field in SlaPolicyCreate.model_fields.items() if not field.is_required()}
    content = {name: field.get_default(call_default_factory=True) for name, field in fields.items()} | given
    if isinstance(content.get("targets"), dict):
        content["targets"] = _without_nulls(content["targets"])
    if isinstance(content["warnings"], list):
        content["warnings"] = [_without_nulls(one) if isinstance(one, dict) else one for one in content["warnings"]]
    return {name: value for name, value in content.items() if name not in _BESIDE}


def _without_nulls(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


# -- as JSON ----------------------------------------------------------------------------------------------------------


def shown(found: Simulation) -> dict[str, Any]:
    """What came of it, as one object; spans are in seconds."""
    return {
        "since": rfc3339(found.since),
        "until": rfc3339(found.until),
        "conversations": found.conversations,
        "policies": [_tally(*one) for one in _ordered(found)],
        "compared": [_comparison(kind, one) for kind, one in found.compared.items()],
        "worst": [_broken(one) for one in found.worst],
    }


def _ordered(found: Simulation) -> Iterator[tuple[UUID, str, Kind, Tally]]:
    """In the order in which the policies are asked."""
    for policy in sorted(found.promised.book.policies, key=lambda one: (one.position, one.id)):
        for kind in Kind:
            tally = found.tallies.get((policy.id, kind))
            if tally is not None:
                yield policy.id, found.promised.names[policy.id], kind, tally


def _tally(policy_id: UUID, name: str, kind: Kind, tally: Tally) -> dict[str, Any]:
    return {
        "policy": {"id": None if policy_id == GIVEN else str(policy_id), "name": name},
        "kind": kind.value,
        **{word: getattr(tally, word) for word in ("cycles", "met", "met_late", "breached", "open", "share_met")},
        "median_seconds": None if tally.median is None else tally.median.total_seconds(),
        "p90_seconds": None if tally.ninetieth is None else tally.ninetieth.total_seconds(),
    }


def _comparison(kind: Kind, one: Comparison) -> dict[str, Any]:
    return {
        "kind": kind.value,
        "then": {"cycles": one.cycles_then, "breaches": one.breaches_then},
        "now": {"cycles": one.cycles_now, "breaches": one.breaches_now},
    }


def _broken(one: Broken) -> dict[str, Any]:
    return {
        "conversation_id": str(one.conversation_id),
        "number": one.number,
        "channel": one.clock.origin.channel,
        "policy": one.policy,
        "kind": one.clock.kind.value,
        "state": one.clock.state.value,
        "started_at": rfc3339(one.clock.origin.at),
        "due_at": _due(one, rfc3339),
        "late_seconds": one.late.total_seconds(),
    }


def _due(one: Broken, write: Callable[[datetime], str]) -> str:
    due = one.clock.due
    return write(due) if due else ""


# -- for people -------------------------------------------------------------------------------------------------------


def _headline(found: Simulation) -> str:
    what = "the promises in force" if found.promised.in_force else "this policy"
    span = f"{_minute(found.since)} to {_minute(found.until)}"
    return f"{found.conversations} conversations from {span}, under {what}"


def _lines(found: Simulation) -> list[str]:
    lines = [_headline(found)]
    for _, name, kind, tally in _ordered(found):
        counts = f"{tally.cycles} cycles, {tally.met} met, {tally.met_late} late, {tally.breached} breached"
        took = f"median {_span(tally.median)}, 90 % within {_span(tally.ninetieth)}"
        lines.append(f"{name}, {kind}: {counts}, {tally.open} open; {_share(tally)} met; {took}")
    for kind, one in found.compared.items():
        then = f"{one.breaches_then} of {one.cycles_then} broken then"
        lines.append(f"{kind}: {then}, {one.breaches_now} of {one.cycles_now} now")
    for broken in found.worst:
        clock = broken.clock
        where = f"#{broken.number} {clock.kind}, {clock.origin.channel}"
        lines.append(f"{where}: due {_due(broken, _minute)}, {_span(broken.late)} late, {clock.state}")
    return lines


def _tables(found: Simulation) -> list[str]:
    """Names are people's own words, so they are handed over as text and not as markup."""
    kept = _table("What would have been", *_NAMES, right=_FIGURES)
    for _, name, kind, tally in _ordered(found):
        counts = tally.cycles, tally.met, tally.met_late, tally.breached, tally.open
        words = *map(str, counts), _share(tally), _span(tally.median), _span(tally.ninetieth)
        kept.add_row(Text(name), _words(kind), *words)
    compared = _table("What really happened (then), and what would have (now)", "clock", right=_COMPARED)
    for kind, one in found.compared.items():
        figures = one.cycles_then, one.breaches_then, one.cycles_now, one.breaches_now
        compared.add_row(_words(kind), *map(str, figures))
    worst = _table("The worst", "conversation", "clock", "channel", "due", "late by", "state")
    for broken in found.worst:
        clock = broken.clock
        words = clock.origin.channel, _due(broken, _minute), _span(broken.late), _words(clock.state)
        worst.add_row(f"#{broken.number}", _words(clock.kind), *words)
    console = Console()
    with console.capture() as captured:
        console.print(Text(_headline(found)), kept, compared, *([worst] if found.worst else []))
    return captured.get().splitlines()


def _table(title: str, *left: str, right: Sequence[str] = ()) -> Table:
    """Of the columns only names give way to a narrow screen: half a figure is a wrong one."""
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for header in left:
        table.add_column(header, no_wrap=header not in _NAMES, overflow="fold")
    for header in right:
        table.add_column(header, justify="right", no_wrap=True)
    return table


def _words(found: StrEnum) -> str:
    return found.value.replace("_", " ")


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def _share(tally: Tally) -> str:
    return "-" if tally.share_met is None else f"{tally.share_met:.1%}"


def _span(span: timedelta | None) -> str:
    """In its two largest units: `1 d 4 h`."""
    if span is None:
        return "-"
    left, words = int(span.total_seconds()), []
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"
