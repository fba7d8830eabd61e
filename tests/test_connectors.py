"""What every folder in `connectors/` promises, and that nobody else knows a vendor by name."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

import connectors
from helpdesk.channels import Channel, Inbound, RawInbound, Unreadable, load

ROOT = Path(__file__).parents[1]
VENDORS = re.compile(r"\b(twitter|tweepy|facebook|messenger|instagram|telegram|aiogram|meta graph)\b", re.IGNORECASE)
KNOWN_BY_NAME = {
    "helpdesk/domain/chat_tools.py": "rooms that alerts go to (decision 0008)",
    "helpdesk/domain/chat_answers.py": "rooms that alerts go to (decision 0008)",
    "helpdesk/api/schemas/alert_routes.py": "rooms that alerts go to (decision 0008)",
    "helpdesk/domain/triage_rules.py": "words of customers",
    "helpdesk/domain/similarity.py": "words of forgers",
    "helpdesk/commands/demo.py": "words of customers",
    "alembic/versions/0004_promises.py": "the policy for social networks of a new house",
}
ODD = [b"", b"{", b"[]", b'{"a":1}', b'{"id":9007199254740993}', b"[" * 1_000_000]
EVERY = pytest.mark.parametrize("channel", connectors.discover().values(), ids=lambda channel: channel.name)


def test_looking_for_channels_loads_no_vendors_library() -> None:
    looked = "import sys, connectors; connectors.discover(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", looked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"tweepy", "aiogram", "aiohttp", "PIL"} & set(done.stdout.split()) == set()


@EVERY
def test_settings_are_strict_and_explained(channel: Channel) -> None:
    config: type[BaseModel] = channel.load_config()
    assert config.model_config.get("extra") == "forbid"
    assert config.model_json_schema()["properties"]
    readme = Path(load(f"{config.__module__}:__file__")).with_name("README.md")
    pages = "".join(page.read_text("utf-8") for page in [readme, *(ROOT / "docs").rglob("*.md")])
    told = {name for name, field in config.model_fields.items() if name in pages or field.description}
    assert config.model_fields.keys() - told == set()
    secret = re.compile(r"(password|token|secret)$")
    plain = [name for name, field in config.model_fields.items() if secret.search(name)]
    assert [name for name in plain if config.model_fields[name].annotation is not SecretStr] == []


@EVERY
@pytest.mark.parametrize("body", ODD, ids=lambda body: body[:20].decode())
def test_odd_bytes_are_read_or_refused(channel: Channel, body: bytes) -> None:
    if channel.parse:
        try:
            found = load(channel.parse)(RawInbound("x;1", body, datetime(2026, 11, 2, tzinfo=UTC)), {})
        except Unreadable:
            return
        assert isinstance(found, Inbound)


@EVERY
def test_a_text_weighs_more_the_longer_it_is(channel: Channel) -> None:
    if channel.measure:
        weighed = [channel.load_measure()("a" * count, "public", {}).used for count in (0, 1, 2, 300)]
        assert weighed[0] == 0
        assert weighed == sorted(weighed)


def test_nobody_but_its_connector_knows_a_vendor() -> None:
    paths = [path for folder in ("helpdesk", "workers", "alembic") for path in (ROOT / folder).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in paths if VENDORS.search(path.read_text("utf-8"))}
    assert found - KNOWN_BY_NAME.keys() == set()
