"""A thousand moments of each kind in which two agents do something to one conversation at once (`tests/contests.py`).

    python benchmarks/races.py [--rounds 1000] [--seed 1] [--database sqlite|postgresql] [--only NAME ...]

Two applications with engines of their own are over one database, and which of two requests is a few milliseconds
ahead is drawn from the seed. Prints how often each kind ended in which way. Whatever ends otherwise than it may, and
whatever is lost, written or sent twice, ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpdesk import migrate
from helpdesk.config import Settings
from helpdesk.wiring import open_services
from tests.conftest import SECRET
from tests.contests import KINDS
from tests.peers.postgres import Postgres
from tests.racing import open_track, sent_once


async def race(options: argparse.Namespace, database: str) -> bool:
    """Whether all of it ended as it may."""
    names = options.only or list(KINDS)
    with tempfile.TemporaryDirectory() as folder:
        key = SecretStr(SECRET)
        settings = Settings(
            _env_file=None, data=Path(folder), database_url=database, secret_key=key, allow_hosts="127.0.0.0/8"
        )
        one, other = open_services(settings), open_services(settings)
        await migrate.upgrade(one.database)
        wrong = 0
        async with open_track(one, other, seed=options.seed) as track:
            for name in names:
                begun = time.monotonic()
                for turn in range(options.rounds):
                    try:
                        await KINDS[name].run(track, name)
                    except AssertionError as error:
                        wrong += 1
                        print(f"  {name}, round {turn}: {error}", flush=True)
                ends = ", ".join(f"{end}: {count}" for end, count in track.ends.get(name, {}).items())
                print(f"{name:28} {time.monotonic() - begun:6.1f} s  {ends}", flush=True)
                await sent_once(track)
            print(f"sent, each once: {await sent_once(track)}", flush=True)
        for services in (one, other):
            await services.database.close()
    return not wrong


def main(options: argparse.Namespace) -> int:
    good = True
    for kind in [options.database] if options.database else ["sqlite", "postgresql"]:
        begun = time.monotonic()
        print(f"{kind}: {options.rounds} rounds of each, seed {options.seed}", flush=True)
        if kind == "sqlite":
            good &= asyncio.run(race(options, ""))
        else:
            with Postgres(durable=True) as server:
                good &= asyncio.run(race(options, server.create("races")))
        print(f"{kind}: {time.monotonic() - begun:.0f} s\n", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=["sqlite", "postgresql"])
    parser.add_argument("--only", nargs="*", choices=list(KINDS))
    sys.exit(main(parser.parse_args()))
