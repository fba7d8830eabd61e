"""What is imported, and when the garbage collector is on: what starting costs is paid by every command and restart."""

from __future__ import annotations

import subprocess
import sys


def test_a_worker_starts_without_what_only_http_needs() -> None:
    look = "import sys, helpdesk.commands.serve; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert "workers" in done.stdout.split()
    assert "fastapi" not in done.stdout.split()


_COMMAND = """
import gc
gc.disable()  # as `main` leaves it to the commands
from helpdesk import cli

async def command():
    return gc.isenabled()

print(cli._done(command()))
"""


def test_a_short_command_looks_for_garbage_once_it_works() -> None:
    # In a process of its own, since a command also says how all of its process logs.
    done = subprocess.run([sys.executable, "-c", _COMMAND], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True"]
