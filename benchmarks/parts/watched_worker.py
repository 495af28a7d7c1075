"""A worker, by the public App alone, that notes how late its event loop is. Ends on SIGTERM, and writes the notes.

python benchmarks/parts/watched_worker.py LAG_FILE [--profile cpu|memory]
"""

import argparse
import json
import signal
import sys
from pathlib import Path

import anyio

# Run as a script, so that its own folder is where the imports begin.
from measuring import Lag

from rushes import App


async def work(lag: Lag) -> None:
    async with App(leave_worker=False) as app, anyio.create_task_group() as tasks:
        tasks.start_soon(lag.watch)
        app.work()
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                break
        tasks.cancel_scope.cancel()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lag_file", type=Path)
    parser.add_argument("--profile", choices=("cpu", "memory"))
    chosen = parser.parse_args()
    lag = Lag()
    try:
        profiled(chosen.profile, chosen.lag_file.parent, lag)
    finally:
        chosen.lag_file.write_text(json.dumps(lag.late_s))


def profiled(kind: str | None, folder: Path, lag: Lag) -> None:
    if kind == "cpu":
        import cProfile

        profile = cProfile.Profile()
        try:
            profile.runcall(anyio.run, work, lag)
        finally:
            profile.dump_stats(folder / "worker.prof")
    elif kind == "memory":
        import tracemalloc

        tracemalloc.start(12)
        anyio.run(work_and_weigh, lag, folder)
    else:
        anyio.run(work, lag)


async def work_and_weigh(lag: Lag, folder: Path) -> None:
    """Work, and at SIGUSR1 write down where the memory is."""
    import tracemalloc

    async def weigh() -> None:
        with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
            async for _ in signals:
                tracemalloc.take_snapshot().dump(str(folder / "worker.mem"))
                print("weighed", file=sys.stderr, flush=True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(weigh)
        await work(lag)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    main()
