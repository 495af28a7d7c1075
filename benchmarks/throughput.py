"""Jobs a second through real `rushes worker` processes, on SQLite and on PostgreSQL, from a far side that is instant.

    python benchmarks/throughput.py [--jobs 150] [--workers 1 2 3 4]

Counted from the first create that the far side charged to the last video that it served, with the workers up before
the jobs are submitted, so that no start is in it. Each video is checked and signed by the workers' media children, as
always. All of it, far side and database server included, shares the cores of one machine: with more workers than
cores the number says whether they get in each other's way, not how far they would go on machines of their own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import anyio

from parts import measuring
from rushes import App, Wish, config
from rushes.testing.postgres import PostgresServer

GIVE_UP_S = 600.0
SETTLED_S = 1.0


def workers_up(stack: ExitStack, count: int, environment: dict[str, str], log: Path) -> list[int]:
    """Start the workers and wait until all have come to rest. Returns their pids; the stack ends them."""
    pids: list[int] = []
    output = stack.enter_context(log.open("ab"))
    for _ in range(count):
        command = [sys.executable, "-m", "rushes", "worker"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        stack.callback(ended, process)
        pids.append(process.pid)
    quiet_since, before = time.monotonic(), 0.0
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() - quiet_since < SETTLED_S:
        if time.monotonic() > deadline:
            raise SystemExit("the workers do not come to rest")
        time.sleep(0.1)
        used = sum(measuring.cpu_s(pid) for pid in pids)
        # An idle worker looks around now and then: a tenth of a core for each is rest.
        if used - before > 0.02 * count:
            quiet_since = time.monotonic()
        before = used
    return pids


def ended(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def submitted(environment: dict[str, str], jobs: int) -> None:
    home = Path(environment["RUSHES_HOME"])
    async with App(config.load(environment=environment, folder=home), leave_worker=False) as app:
        for n in range(jobs):
            pictures = {"thumbnail": False, "spritesheet": False}
            wish = Wish(prompt=f"throughput {n}", model="openai:video:sora-2", seconds=4, **pictures)
            await app.submit(await app.plan(wish))


def measured(jobs: int, workers: int, database_url: str | None) -> str:
    """One row of the table."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        far = stack.enter_context(measuring.far_side("--job-seconds", "0"))
        environment = measuring.rushes_environment(home, far.url)
        if database_url is not None:
            environment["RUSHES_DATABASE_URL"] = database_url
        anyio.run(submitted, environment, 0)  # makes the tables, so that no two workers do
        pids = workers_up(stack, workers, environment, home / "workers.log")
        before = sum(measuring.cpu_s(pid) for pid in pids)
        submitter = subprocess.Popen([sys.executable, __file__, "--submit", str(jobs)], env=environment)
        stack.callback(ended, submitter)
        until(lambda: far.book()["charged"] > 0, home, "no job was begun")
        started = time.monotonic()
        until(lambda: far.book()["downloads"] >= jobs, home, "not all jobs were fetched")
        took_s = time.monotonic() - started
        cpu_s = sum(measuring.cpu_s(pid) for pid in pids) - before
        book = far.book()
    if book["charged"] != jobs or book["paid_twice"]:
        raise SystemExit(f"the far side charged {book['charged']} for {jobs} jobs, {book['paid_twice']} of them twice")
    kind = "SQLite" if database_url is None else "PostgreSQL"
    return f"{kind:<11} {workers:>8} {jobs / took_s:>8.1f} {1000 * cpu_s / jobs:>17.1f} {took_s:>7.1f}"


def until(done: Callable[[], bool], home: Path, otherwise: str) -> None:
    deadline = time.monotonic() + GIVE_UP_S
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"{otherwise}; the workers said:\n{(home / 'workers.log').read_text()[-2000:]}")
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=150)
    parser.add_argument(
        "--workers", type=int, nargs="*", default=[1, 2, 3, 4], help="on PostgreSQL; none: leave it out"
    )
    parser.add_argument("--submit", type=int, metavar="N", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.submit is not None:
        anyio.run(submitted, dict(os.environ), chosen.submit)
        return
    print(f"{os.cpu_count()} cores; {chosen.jobs} jobs")
    print(f"{'database':<11} {'workers':>8} {'jobs/s':>8} {'worker CPU ms/job':>17} {'s':>7}", flush=True)
    print(measured(chosen.jobs, 1, None), flush=True)
    if chosen.workers:
        with PostgresServer() as server:
            for count in chosen.workers:
                print(measured(chosen.jobs, count, server.create()), flush=True)


if __name__ == "__main__":
    main()
