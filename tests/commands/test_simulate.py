"""`helpdesk sla simulate`, as it is called and what it prints."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from helpdesk import clock
from helpdesk.commands import simulate
from helpdesk.config import Settings
from helpdesk.errors import Invalid
from helpdesk.models.sla import sla_policies
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import SECRET
from tests.promised import DAY, HOUR, Wall

FOUR_HOURS: dict[str, Any] = {
    "name": "Four hours",
    "clock": "calendar",
    "targets": {"first_response": 4 * 3600, "next_response": None, "resolution": None},
}


@pytest.fixture
async def wall(services: Services) -> AsyncIterator[Wall]:
    """Three mails: answered after an hour, after six, and never in the two days since."""
    built = await Wall.build(services)
    start = clock.now() - 2 * DAY
    quick, slow, _ = [await built.writes(at=start) for _ in range(3)]
    await built.answers(quick, at=start + HOUR)
    await built.answers(slow, at=start + 6 * HOUR)
    await built.passes(clock.now())
    yield built
    await built.close()


@pytest.fixture
def four_hours(tmp_path: Path) -> Path:
    path = tmp_path / "four.json"
    path.write_text(json.dumps(FOUR_HOURS))
    return path


async def test_plain_lines_say_what_came_of_each_promise(wall: Wall, settings: Settings, four_hours: Path) -> None:
    lines = await simulate.run(settings, days=30)
    assert lines[0].startswith("3 conversations from ")
    assert lines[0].endswith(", under the promises in force")
    assert lines[1] == (
        "E-mail, first_response: 3 cycles, 2 met, 0 late, 1 breached, 0 open; 66.7% met; "
        "median 3 h 30 min, 90 % within 6 h"
    )
    assert lines[2] == "first_response: 1 of 3 broken then, 1 of 3 now"
    lines = await simulate.run(settings, days=30, policy_file=four_hours)
    assert lines[0].endswith(", under this policy")
    assert lines[1].startswith("as given, first_response: 3 cycles, 1 met, 1 late, 1 breached, 0 open; 33.3% met; ")
    assert lines[2] == "first_response: 1 of 3 broken then, 2 of 3 now"
    assert lines[-1].startswith("#2 first_response, email: due ")
    assert lines[-1].endswith("Z, 2 h late, met_late")


async def test_the_worst_come_first_and_only_so_many(wall: Wall, settings: Settings, four_hours: Path) -> None:
    how: dict[str, Any] = {"days": 30, "policy_file": four_hours, "as_json": True}
    for limit in (0, 1, 2):
        (text,) = await simulate.run(settings, **how, limit=limit)
        assert [one["number"] for one in json.loads(text)["worst"]] == [3, 2][:limit]


async def test_a_terminal_gets_tables(
    wall: Wall, settings: Settings, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    await factories.policy(services, name="[b]Four[/b]", targets={"first_response": 4 * 3600}, position=1)
    lines = [" ".join(line.split()) for line in await simulate.run(settings, days=30, terminal=True)]
    assert "[b]Four[/b] first response 3 1 1 1 0 33.3% 3 h 30 min 6 h" in lines
    assert "first response 3 1 3 2" in lines
    (worst,) = [line for line in lines if line.startswith("#2 ")]
    assert worst.startswith("#2 first response email 20")
    assert worst.endswith("Z 2 h met late")


async def test_days_without_mail_come_to_nothing(
    services: Services, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = await simulate.run(settings, days=1)
    assert capsys.readouterr().err == "conversations: 0 of 0\n"
    assert lines[0].startswith("0 conversations from ")
    assert lines[1:] == [
        f"{kind}: 0 of 0 broken then, 0 of 0 now" for kind in ("first_response", "next_response", "resolution")
    ]


async def test_a_policy_in_a_file_may_leave_out_what_the_api_lets_be_left_out(
    services: Services, four_hours: Path
) -> None:
    policy = await factories.policy(services, clock="calendar", targets={"first_response": 4 * 3600})
    async with services.database.reading() as session:
        row = (await session.execute(sla_policies.select().where(sla_policies.c.id == policy))).mappings().one()
    content = simulate.read_policy(four_hours)
    assert content == row["content"]


@pytest.mark.parametrize(
    ("text", "said"), [("{", "this is not JSON"), ("[1]", "this is not an object"), ("\xff", "this is not JSON")]
)
def test_a_file_that_holds_no_policy_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "policy.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Invalid, match=said):
        simulate.read_policy(path)
    with pytest.raises(Invalid, match="cannot be read"):
        simulate.read_policy(tmp_path)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_command_prints_one_object_and_refuses_with_one_line(
    wall: Wall, settings: Settings, four_hours: Path, tmp_path: Path
) -> None:
    done = await command(settings, "--days", "7", "--policy-file", str(four_hours), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (policy,) = found["policies"]
    assert policy == {
        "policy": {"id": None, "name": "as given"},
        "kind": "first_response",
        "cycles": 3,
        "met": 1,
        "met_late": 1,
        "breached": 1,
        "open": 0,
        "share_met": pytest.approx(1 / 3),
        "median_seconds": 3.5 * 3600,
        "p90_seconds": 6 * 3600,
    }
    assert found["compared"][0] == {
        "kind": "first_response",
        "then": {"cycles": 3, "breaches": 1},
        "now": {"cycles": 3, "breaches": 2},
    }
    assert [(one["number"], one["state"]) for one in found["worst"]] == [(3, "breached"), (2, "met_late")]
    assert found["worst"][1]["late_seconds"] == 2 * 3600
    assert done.stderr == "conversations: 3 of 3\n"
    four_hours.write_text(json.dumps(FOUR_HOURS | {"targets": {"first_response": 0}}))
    for arguments, code, said in (
        (("--policy-file", str(four_hours)), 1, "error: targets.first_response: use a whole number"),
        (("--policy", "Nobody's"), 1, "error: policy: there is no SLA policy of this id or name"),
        (("--policy", "E-mail", "--policy-file", str(four_hours)), 2, "either --policy or --policy-file"),
        (("--policy-file", str(tmp_path / "none.json")), 2, "none.json"),
        (("--days", "0"), 2, "--days"),
    ):
        done = await command(settings, *arguments)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert said in done.stderr
        assert code == 2 or done.stderr.count("\n") == 1, done.stderr


async def command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HELPDESK_")}
    environment |= {"HELPDESK_DATABASE_URL": settings.database_url, "HELPDESK_SECRET_KEY": SECRET}
    environment |= {"HELPDESK_DATA": str(settings.data), "COLUMNS": "200"}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "helpdesk", "sla", "simulate", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
