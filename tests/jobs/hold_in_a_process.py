"""A process that has something others wait for, and does no more. Arguments: database, what it has.

`place ID`: a worker's place. `turn`: the turn to write, with a row written and not committed. It says `here` once it
has it, and ends when its input does.
"""

import sys
from datetime import UTC, datetime
from functools import partial

import anyio
import sqlalchemy as sa

from rushes.errors import DatabaseAway
from rushes.jobs import store
from rushes.jobs.database import Database
from rushes.jobs.presence import presence_for


async def main(url: str, what: str, name: str = "") -> None:
    db = await Database.open(url)
    if what == "place":
        assert await presence_for(db).take(name)
        wait_for_the_end()
    else:
        try:
            await db.write(hold_up)
            print("kept")
        except DatabaseAway:
            print("lost")


def hold_up(connection: sa.Connection) -> None:
    store.insert_event(connection, "video_1", "held up", datetime.now(UTC))
    wait_for_the_end()


def wait_for_the_end() -> None:
    print("here", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    anyio.run(partial(main, *sys.argv[1:]))
