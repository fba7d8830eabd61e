"""Fixtures of the corpus tests, and the table at the end of the run.

Any test in this folder records its figures with the session-wide `scores` fixture:
``scores.record(kind, metric, value, threshold)``; they are printed after the last test, passed or failed.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CORPORA = Path(__file__).parents[2].parent / "shared" / "corpora"
ATTACK = CORPORA.parent / "attack"


def _score_module() -> ModuleType:
    """The sibling module by path: with --import-mode=importlib a test folder is no package."""
    name = "corpora_score"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("score.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


score = _score_module()
_SCORES = pytest.StashKey[Any]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash.setdefault(_SCORES, score.Scores())


@pytest.fixture(scope="session")
def scores(request: pytest.FixtureRequest) -> Any:
    """The session's score table."""
    return request.config.stash.setdefault(_SCORES, score.Scores())


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of borrowed mail; the tests on it skip where it is not."""
    if not CORPORA.is_dir():
        pytest.skip("../shared/corpora is not here; the tests on our own samples stand without it")
    return CORPORA


@pytest.fixture(scope="session")
def attacks() -> Path:
    """The folder of hostile inputs."""
    if not ATTACK.is_dir():
        pytest.skip("../shared/attack is not here")
    return ATTACK


@pytest.fixture(scope="session")
def cases(corpora: Path) -> list[dict[str, Any]]:
    """Every case of every folder, with `folder` (name) and `path` (file) added."""
    found: list[dict[str, Any]] = []
    for listing in sorted(corpora.glob("*/cases.json")):
        listed = json.loads(listing.read_text(encoding="utf-8"))
        found += [{**case, "folder": listing.parent.name, "path": listing.parent / case["file"]} for case in listed]
    return found


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    table = config.stash.get(_SCORES, None)
    if table is None or not table.rows:
        return
    terminalreporter.section("corpora")
    width = max(len(row.kind) for row in table.rows)
    span = max(len(row.metric) for row in table.rows)
    for row in table.rows:
        verdict = {None: "", True: "ok", False: "BELOW"}[row.passed]
        terminalreporter.write_line(
            f"{row.kind:<{width}}  {row.metric:<{span}}  {row.value:>9}  {row.threshold:<8} {verdict}".rstrip()
        )
