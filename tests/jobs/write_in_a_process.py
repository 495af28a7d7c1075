"""A process that writes rows, each in a transaction of its own. Arguments: database, its name, how many."""

import sys
from datetime import UTC, datetime

import anyio

from rushes.jobs import store
from rushes.jobs.database import Database


async def main(url: str, name: str, count: int) -> None:
    db = await Database.open(url)
    for number in range(count):
        kind = str(number)
        await db.write(lambda connection, kind=kind: store.insert_event(connection, name, kind, datetime.now(UTC)))
    db.close()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
