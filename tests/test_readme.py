"""What is written must be so: links lead somewhere, commands exist, and what is said twice is said alike."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from connectors.email.config import EmailConfig
from helpdesk.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("connectors/*/README.md"),
    *ROOT.glob("benchmarks/*.md"),
]


def _blocks(page: Path) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _commands() -> Iterator[tuple[str, list[str]]]:
    """Every `helpdesk ...` of every page, as its page's name and its words."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in _blocks(page) for line in block.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"`(helpdesk [a-z][^`\n]*)`", text)
        for line in lines:
            found = re.match(r"(?:\S*/)?helpdesk (.*)", line.strip().removeprefix("exec "))
            if found:
                yield page.name, shlex.split(found[1].partition(" | ")[0], comments=True)


def test_the_pipeline_runs_the_test_command_of_the_readme() -> None:
    (wanted,) = re.findall(r"^python3 -m venv .*pytest .*$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == re.sub(r"\.venv/bin/(\w+)", r'"$venv/bin/\1"', wanted).replace("venv .venv", 'venv "$venv"')


def test_both_readmes_give_the_same_commands() -> None:
    english, chinese = (_blocks(ROOT / name) for name in ("README.md", "README.zh-CN.md"))
    without_comments = [re.sub(r" *# .*", "", block) for block in english]
    assert without_comments == [re.sub(r" *# .*", "", block) for block in chinese]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    for target in targets:
        if not re.match(r"https?:", target):
            assert (page.parent / target).exists(), target


def test_every_command_that_is_written_down_exists() -> None:
    root = typer.main.get_command(app)
    seen = 0
    for page, words in _commands():
        command: click.Command = root
        while words and hasattr(command, "commands") and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands"), f"{page}: helpdesk has no {words}"
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, f"{page}: {command.name} {word}"
        seen += 1
    assert seen > 10


def test_every_inbox_that_is_written_down_would_be_accepted() -> None:
    seen = 0
    for page, words in _commands():
        if words[:3] != ["inbox", "add", "email"]:
            continue
        pairs = [words[n + 1].partition("=") for n, word in enumerate(words) if word == "--set"]
        secrets = [words[n + 1] for n, word in enumerate(words) if word == "--set-stdin"]
        settings = {key: value for key, _, value in pairs} | dict.fromkeys(secrets, "secret")
        try:
            EmailConfig.model_validate(settings)
        except ValueError as error:
            pytest.fail(f"{page}: {error}")
        seen += 1
    assert seen > 4
