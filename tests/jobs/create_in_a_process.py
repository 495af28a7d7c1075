"""A process that opens a database when a file appears, and writes one row. Arguments: database, signal file."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import anyio

from rushes.jobs import store
from rushes.jobs.database import Database


async def main(database: str, signal: Path) -> None:
    while not signal.exists():
        time.sleep(0.001)  # noqa: ASYNC251 - nothing else runs here, and the start should be sharp
    db = await Database.open(database)
    await db.write(lambda connection: store.insert_event(connection, "video_1", "opened", datetime.now(UTC)))
    db.close()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], Path(sys.argv[2]))
