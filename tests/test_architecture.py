"""The rules that no single test can see: who imports whom, what is declared, lint, format, types."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS: list[dict[str, Any]] = PROJECT["tool"]["importlinter"]["contracts"]

# Needed without an import of ours: drivers and parsers that a library loads by name.
LOADED_BY_NAME = {
    "aiosqlite": "SQLAlchemy, by the URL of the database",
    "asyncpg": "SQLAlchemy, by the URL of the database",
    "httptools": "uvicorn, when it is installed",
    "python-multipart": "FastAPI, at the first form",
    "tnefparse": "connectors.email.tnef, at the first winmail.dat",
}


def _check(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HELPDESK_")}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


def _imports(folders: Iterable[str]) -> Iterator[str]:
    """The first part of every imported name, but for what only a type checker sees."""
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if "tests" in path.relative_to(ROOT).parts:
                continue
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    yield from (name.name.partition(".")[0] for name in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.partition(".")[0]


def _floors(layers: Iterable[str]) -> set[str]:
    return {module.strip("() ") for layer in layers for module in re.split(r"[:|]", layer)}


def _modules() -> set[str]:
    """Every module right below `helpdesk`, and the other packages of the wheel."""
    inside = {f"helpdesk.{p.stem}" for p in (ROOT / "helpdesk").glob("*.py") if p.stem != "__init__"}
    inside |= {f"helpdesk.{p.parent.name}" for p in (ROOT / "helpdesk").glob("*/__init__.py")}
    return inside | {"connectors", "workers"}


def test_nobody_imports_against_the_rules_of_the_house() -> None:
    _check("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache")


def test_every_module_has_its_floor_in_the_house() -> None:
    assert _modules() == _floors(CONTRACTS[0]["layers"])


def test_whoever_is_not_the_edge_is_forbidden_to_know_fastapi() -> None:
    ruled = next(set(c["source_modules"]) for c in CONTRACTS if "fastapi" in c["name"].lower())
    assert _modules() - ruled == {"helpdesk.__main__", "helpdesk.api", "helpdesk.app", "connectors"}


def test_every_import_is_declared_and_every_declaration_is_used() -> None:
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["project"]["dependencies"]}
    providers = packages_distributions()
    own = {"helpdesk", "connectors", "workers"}
    used = {
        canonicalize_name(providers.get(name, [name])[0])
        for name in _imports(("helpdesk", "connectors", "workers", "alembic"))
        if name not in sys.stdlib_module_names and name not in own
    }
    # A package may come with the part of it that we import: pydantic-core is pydantic's, and pins itself to it.
    come_along = {canonicalize_name(Requirement(line).name) for line in requires("pydantic") or []}
    assert used - declared - (come_along & {"pydantic-core"}) == set()
    assert declared - used - LOADED_BY_NAME.keys() == set()


def test_every_dependency_is_pinned_with_a_version_that_is_allowed() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE))
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    project = PROJECT["project"]
    for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)]), line


def test_every_dependency_stands_below_its_reason() -> None:
    lines = [line.strip() for line in (ROOT / "pyproject.toml").read_text("utf-8").splitlines()]
    project = PROJECT["project"]
    for wanted in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        assert lines[lines.index(f'"{wanted}",') - 1].startswith("# "), wanted


def test_ruff_finds_nothing_to_mend() -> None:
    _check("-m", "ruff", "check", "--no-cache", ".")


def test_ruff_would_format_nothing_otherwise() -> None:
    _check("-m", "ruff", "format", "--check", "--no-cache", ".")


def test_mypy_agrees_with_every_type() -> None:
    _check("-m", "mypy")
