"""`helpdesk export`: whole files that only their owner reads, or none."""

from __future__ import annotations

import csv
import stat
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from helpdesk import cli, clock
from helpdesk.api.schemas.exports import Form
from helpdesk.commands import exporting
from helpdesk.commands.exporting import Given
from helpdesk.errors import Invalid, NotFound, Unavailable
from helpdesk.models.events import audit
from helpdesk.services import exporting as service
from helpdesk.services import reports
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE


async def _audited(services: Services) -> list[object]:
    async with services.database.reading() as session:
        query = select(audit.c.data).where(audit.c.subject_type == "export").order_by(audit.c.id)
        return list((await session.execute(query)).scalars())


async def test_a_file_is_there_when_it_is_whole_and_for_its_owner_alone(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(service, "PAGE", 2)
    desk, other = await factories.inbox(services), await factories.inbox(services)
    made = [await factories.conversation(services, inbox_id=desk) for _ in range(3)]
    await factories.conversation(services, inbox_id=other)
    await factories.conversation(services, inbox_id=desk, now=clock.now() - timedelta(days=9))
    out = tmp_path / "conversations.jsonl"
    out.write_text("an older one")
    since = f"{clock.now() - timedelta(days=2):%Y-%m-%d}"
    given = Given(out, since=since, inbox=str(desk))
    lines = await exporting.conversations(services.settings, given, messages=True)
    assert lines == [f"3 conversations written to {out}"]
    found = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    kinds = [next(iter(line)) for line in found]
    assert kinds == ["conversation", "message"] * 3 + ["end"]
    assert [line["conversation"]["id"] for line in found[:-1:2]] == list(map(str, made))
    assert found[-1] == {"end": True, "count": 3, "last": str(made[-1]), "more": False}
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.glob(".*")] == []
    assert capsys.readouterr().err.splitlines()[-1] == "conversations: 3 of 3"
    what = {"what": "conversations", "format": "jsonl", "asked": {"since": since, "inbox": str(desk)}}
    assert await _audited(services) == [what, {"count": 3, "whole": True}]


@ON_ONE_DATABASE
async def test_contacts_and_reports_are_written_as_the_api_answers_them(services: Services, tmp_path: Path) -> None:
    desk = await factories.inbox(services)
    await factories.conversation(services, inbox_id=desk, name="=1+1", handle="mina@customer.test")
    out = tmp_path / "out.csv"
    await exporting.contacts(services.settings, Given(out, Form.CSV))
    head, row, end = csv.reader(out.read_text("utf-8-sig").splitlines())
    assert dict(zip(head, row, strict=True))["name"] == "'=1+1"
    assert (row[4], end[:2]) == ("email:mina@customer.test", ["#end", "1"])
    lines = await exporting.report(services.settings, Given(out, Form.CSV, bom=False), group_by="channel")
    assert lines == [f"1 lines written to {out}"]
    head, row = csv.reader(out.read_text("utf-8").splitlines())
    assert (head[:3], row[:3]) == (["group", "name", "created"], ["email", "", "1"])
    for name in exporting.REPORTS:
        await exporting.report(services.settings, Given(out), name=name, zone="Asia/Shanghai")
        *rows, end = [orjson.loads(line) for line in out.read_bytes().splitlines()]
        assert end == {"end": True, "count": len(rows)}
        assert all(["group", "name", *reports.COLUMNS[name]] == list(row) for row in rows), name


@ON_ONE_DATABASE
async def test_what_cannot_be_written_or_asked_leaves_nothing_behind(services: Services, tmp_path: Path) -> None:
    await factories.conversation(services, inbox_id=await factories.inbox(services))
    out = tmp_path / "out"
    nowhere = Given(tmp_path / "missing" / "out")
    with pytest.raises(Unavailable, match="cannot be written"):
        await exporting.conversations(services.settings, nowhere)
    assert (await _audited(services))[-1] == {"count": 0, "whole": False}
    for wrong in (Given(out, since="yesterday"), Given(out, until="2026-02-30")):
        with pytest.raises(Invalid):
            await exporting.conversations(services.settings, wrong)
    with pytest.raises(Invalid):
        await exporting.conversations(services.settings, Given(out, Form.CSV), messages=True)
    with pytest.raises(NotFound):
        await exporting.conversations(services.settings, Given(out, inbox="nobodys"))
    for how in ({"name": "all"}, {"group_by": "mood"}, {"zone": "Mars"}):
        with pytest.raises(Invalid):
            await exporting.report(services.settings, Given(out), **how)
    assert list(tmp_path.glob("*out*")) == []


@ON_ONE_DATABASE
def test_a_format_that_there_is_not_is_wrong_use(services: Services, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    answer = CliRunner().invoke(cli.app, ["export", "contacts", "--out", out, "--format", "xml"])
    assert (answer.exit_code, "use one of jsonl, csv" in answer.output) == (2, True)
