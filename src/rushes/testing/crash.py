"""A process that kills itself, without warning, at a chosen point: what a power cut looks like.

    python -m rushes.testing.crash attempt.sending generate "a prompt" -m openai:video:sora-2

The points are those that `rushes.jobs.services.Services.reached` is called with, and two that every write to a
database passes: `commit.begun`, with nothing durable yet, and `commit.done`, with nobody told yet. `POINT:3` is the
third time that it is reached.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

POINTS = (
    "job.admitted",
    "attempt.intended",
    "attempt.sending",
    "attempt.answered",
    "attempt.recorded",
    "poll.answered",
    "job.rendered",
    "download.complete",
    "download.published",
    "download.marked",
    "download.recorded",
    "job.completed",
)
"""In the order in which an untroubled job passes them."""
COMMITS = ("commit.begun", "commit.done")
WRITES = ("INSERT", "UPDATE", "DELETE")


def kill_at(point: str) -> Callable[[str], None]:
    """A hook that ends this process with SIGKILL when the point is reached."""
    name, _, count = point.partition(":")
    left = int(count or 1)

    def reached(here: str) -> None:
        nonlocal left
        if here == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reached


def report_commits(reached: Callable[[str], None]) -> None:
    """Pass the two points of `COMMITS` for every transaction that writes, the workflow library's among them."""
    from sqlalchemy import Connection, Engine, event
    from sqlalchemy.pool import Pool

    def note_write(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip()[:6].upper() in WRITES:
            connection.info["wrote"] = True

    def begun(connection: Connection) -> None:
        if connection.info.pop("wrote", False):
            connection.info["committing"] = True
            reached("commit.begun")

    def given_back(connection: Any, record: Any) -> None:
        # There is no event behind a commit; a connection is given back right after it, before anybody is told.
        if record.info.pop("committing", False):
            reached("commit.done")

    event.listen(Engine, "before_cursor_execute", note_write)
    event.listen(Engine, "commit", begun)
    event.listen(Pool, "checkin", given_back)


def main() -> None:
    from rushes.cli import cli
    from rushes.cli.run import Hooks

    reached = kill_at(sys.argv[1])
    if sys.argv[1].partition(":")[0] in COMMITS:
        report_commits(reached)
    cli.main(sys.argv[2:], prog_name="rushes", obj=Hooks(reached=reached))


if __name__ == "__main__":
    main()
