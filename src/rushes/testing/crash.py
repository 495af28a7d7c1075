"""A process that kills itself, without warning, at a named point of a job: what a power cut looks like.

    python -m rushes.testing.crash attempt.sending generate "a prompt" -m openai:video:sora-2

The points are those that `rushes.jobs.services.Services.reached` is called with. `POINT:3` is the third time.
"""

import os
import signal
import sys
from collections.abc import Callable

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


def main() -> None:
    from rushes.cli import cli
    from rushes.cli.run import Hooks

    cli.main(sys.argv[2:], prog_name="rushes", obj=Hooks(reached=kill_at(sys.argv[1])))


if __name__ == "__main__":
    main()
