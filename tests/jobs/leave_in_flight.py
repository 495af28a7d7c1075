"""Leave a database behind as a release left it: one job at each point at which a process may have ended.

    python tests/jobs/leave_in_flight.py tests/jobs/databases

Run once for each version of the tables, by the release that has it, and keep what it writes: `VERSION.sql`, the rows,
and `VERSION.json`, what the far side has accepted. `test_upgrade.py` shows that this release finishes those jobs.
"""

import json
import sqlite3
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import anyio
from workshop import Crash, crashing_at, opened

from rushes import config
from rushes.jobs.tables import HEAD
from rushes.media.children import Children
from rushes.testing.crash import POINTS
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble

PLACE = "127.0.0.1:0"
"""Stands for the far side's address, which is part of every account."""
PARKED = "in need of a person"


async def leave(folder: Path) -> tuple[Path, FakeOpenAI]:
    """Make the jobs; returns the database and what the far side knows."""
    home = config.load(environment={}, folder=folder, home=str(folder / "home"))
    async with Children() as children:
        with FakeOpenAI(job_s=0.0) as fake:
            for point in POINTS:
                async with opened(home, fake, children, reached=crashing_at(point)) as shop:
                    with suppress(Crash):
                        await shop.carry_out((await shop.submit(f"Left at {point}")).job_id)
            fake.faults.list = [Fault.of(Trouble.NO_PROMPTS).always()]
            fake.faults.create = [Fault.status(500, accepted=True)]
            async with opened(home, fake, children) as shop:
                await shop.made(f"Left {PARKED}")
                await shop.submit("Left waiting")
    return folder / "home" / "rushes.db", fake


def written(database: Path, fake: FakeOpenAI) -> Mapping[str, str]:
    """The two files, by the ends of their names."""
    with sqlite3.connect(database) as connection:
        lines = [line for line in connection.iterdump() if "sqlite_sequence" not in line]
    connection.close()
    sql = "\n".join(lines).replace(f"127.0.0.1:{fake.port}", PLACE)
    jobs: list[dict[str, Any]] = [
        {name: getattr(job, name) for name in ("id", "model", "prompt", "seconds", "size", "created")}
        for job in fake.jobs.values()
    ]
    return {"sql": sql + "\n", "json": json.dumps(jobs, indent=1) + "\n"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database, fake = anyio.run(leave, Path(folder))
        for end, text in written(database, fake).items():
            (Path(sys.argv[1]) / f"{HEAD}.{end}").write_text(text)


if __name__ == "__main__":
    main()
