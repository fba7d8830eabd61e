"""Does the API keep to its reference? Schemathesis for longer than the tests have time for.

    python benchmarks/contract.py [--examples 100] [--seed N] [--only PATTERN] [--role admin|agent]

The application runs in this process on SQLite, with a seeded desk. Phases: the document's examples, what covers each
constraint and violates each, random requests, and sequences that follow what was answered. It prints each finding with
a request that shows it and the operations that were never answered with success; the exit code says whether there was
a finding. The stream is left out, since it has no end; connections to elsewhere are refused by the guard.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpdesk import migrate
from helpdesk.app import create_app
from helpdesk.config import Settings
from helpdesk.services.house import Services
from helpdesk.wiring import open_services
from tests import contract
from tests.conftest import SECRET

PHASES = ("examples", "coverage", "fuzzing", "stateful")


def house(folder: Path) -> Services:
    settings = Settings(
        _env_file=None,
        data=folder,
        secret_key=SecretStr(SECRET),
        base_url="http://testserver",
        allow_hosts="127.0.0.0/8",
        max_upload_mb=1,
    )
    return open_services(settings)


async def prepared(folder: Path) -> contract.Ground:
    services = house(folder)
    await migrate.upgrade(services.database)
    ground = await contract.seed(services)
    await services.database.close()
    return ground


def application(services: Services) -> FastAPI:
    """It opens its database in the loop that it is run in, and closes it there."""

    @asynccontextmanager
    async def beside(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await services.database.close()

    return create_app(services, beside=beside)


def main() -> int:
    read = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    read.add_argument("--examples", type=int, default=100)
    read.add_argument("--seed", type=int, default=20260131)
    read.add_argument("--only", default="", help="a pattern of paths")
    read.add_argument("--role", choices=["admin", "agent"], default="admin")
    read.add_argument("--phases", nargs="+", choices=PHASES, default=PHASES)
    options = read.parse_args()
    begun, cpu = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        ground = asyncio.run(prepared(Path(folder)))
        app = application(house(Path(folder)))
        found = contract.tried(
            app,
            getattr(ground, options.role),
            ground,
            phases={name: {} for name in options.phases},
            examples=options.examples,
            only=options.only,
            seed=options.seed,
        )
        labels = [f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods]
    for text in contract.told(found.findings):
        print(text)
    statuses: Counter[int] = Counter()
    for (_, status), count in found.answers.items():
        statuses[status] += count
    print(f"requests {found.requests}, by status {dict(sorted(statuses.items()))}")
    print(f"never answered with success: {', '.join(contract.never([found], labels)) or 'none'}")
    print(f"{time.monotonic() - begun:.0f} s, CPU {time.process_time() - cpu:.0f} s; findings: {len(found.findings)}")
    return min(1, len(found.findings))


if __name__ == "__main__":
    sys.exit(main())
