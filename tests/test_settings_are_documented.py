"""`.env.example` is the list of settings: it names all of them, with the defaults that they have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helpdesk.config import Settings

ROOT = Path(__file__).parents[1]


def _shown() -> dict[str, str]:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    pairs = re.findall(r"^#?HELPDESK_([A-Z_]+)=(.*)$", text, re.MULTILINE)
    assert len(pairs) == len(dict(pairs)), "a setting is listed twice"
    return {name.lower(): value for name, value in pairs}


def test_the_example_lists_every_setting_and_no_other() -> None:
    assert _shown().keys() == Settings.model_fields.keys()


def test_the_example_shows_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"HELPDESK_{name.upper()}", raising=False)
    assert Settings(_env_file=None, **_shown()) == Settings(_env_file=None)


def test_each_setting_in_the_example_has_a_word() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    told = False
    for line in lines:
        if re.match(r"#?HELPDESK_", line):
            assert told, f"{line} stands without a word"
        else:
            told = line.startswith("# ")
