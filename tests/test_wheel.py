"""What is shipped: a wheel that needs no checkout."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content as an installer would lay it down, without the environment's other packages."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def _run(site: Path, cwd: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HELPDESK_")}
    path = os.pathsep.join(filter(None, (str(site), environment.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-m", "helpdesk", *arguments]
    done = subprocess.run(
        command, cwd=cwd, env={**environment, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_packages_the_revisions_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [Path(name) for name in archive.namelist()]
    tops = {name.parts[0].partition("-")[0] for name in names}
    assert tops == {"helpdesk", "connectors", "workers"}
    assert not [name for name in names if "tests" in name.parts]
    shipped = {name.name for name in names if name.parent == Path("helpdesk/migrations/versions")}
    assert shipped == {path.name for path in (ROOT / "alembic" / "versions").glob("*.py")}
    assert Path("helpdesk/migrations/env.py") in names
    shown = {path.relative_to(ROOT) for path in (ROOT / "helpdesk" / "console").rglob("*.*") if path.is_file()}
    assert shown <= set(names)
    assert {Path(f"connectors/chat/assets/{name}") for name in ("widget.js", "feedback.js", "demo.html")} <= set(names)


def test_an_installed_wheel_makes_its_database_in_an_empty_folder(site: Path, tmp_path: Path) -> None:
    told = _run(site, tmp_path, "migrate")
    assert "revision" in told
    with sqlite3.connect(tmp_path / "helpdesk-data" / "helpdesk.db") as database:
        (revision,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    database.close()
    assert revision in told


def test_an_installed_wheel_finds_its_channels(site: Path, tmp_path: Path) -> None:
    assert '"address"' in _run(site, tmp_path, "inbox", "schema", "email")
