"""A typed client, generated from the reference without a warning, checked by its types, at work on a live server."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType

from helpdesk.app import create_app
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.live import Served
from tests.searching import walked

STORY = Path(__file__).parents[1] / "client_story.py"


def _generated(services: Services, folder: Path) -> Path:
    """The client as a package in a folder of its own. It knows no type for mails, which are bytes like any other."""
    document = folder / "openapi.json"
    document.write_text(json.dumps(create_app(services).openapi()))
    file = ConfigFile(post_hooks=[], content_type_overrides={"message/rfc822": "application/octet-stream"})
    config = Config.from_sources(
        file, MetaType.NONE, document, "utf-8", overwrite=True, output_path=folder / "helpdesk_client"
    )
    assert generate(config=config) == []
    return folder


def _fits(folder: Path) -> None:
    """The story's types are those that the client has."""
    (folder / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", os.devnull, str(STORY)]
    told = subprocess.run(command, cwd=folder, env={**os.environ, "MYPYPATH": str(folder)}, capture_output=True)
    assert told.returncode == 0, told.stdout.decode()


@ON_ONE_DATABASE
async def test_a_generated_client_works_the_inbox(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(_generated(services, tmp_path))
    _fits(tmp_path)
    admin = await factories.agent(services, role="admin")
    desk = await factories.inbox(services)
    talk = await factories.conversation(services, inbox_id=desk, text="Where is my withdrawal?")
    await walked(services)
    story = importlib.import_module("tests.client_story")
    async with Served(services) as served:
        told = await story.tell(f"http://127.0.0.1:{served.port}", admin.token)
    assert told.me.email == admin.email
    assert told.listed == [talk]
    assert [one.text for one in told.moved.messages] == ["Where is my withdrawal?"]
    assert (told.answer.text, told.answer.id) == ("It has arrived.", told.repeated.id)
    assert (told.changed.priority.value, told.changed.tags) == ("urgent", ["withdrawal"])
    assert (told.stale.status, told.stale.type_) == (412, "urn:helpdesk:problem:stale_version")
    assert told.lacking.status == 404
    assert [one.id for one in told.thread][-1] == told.answer.id
    assert told.found.items[0].conversation.id == talk
    assert told.webhook.secret.startswith("whsec_")
