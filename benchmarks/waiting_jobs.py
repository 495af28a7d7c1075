"""Thousands of jobs that wait at once in one worker: memory, CPU, how late its event loop is, and how they drain.

    python benchmarks/waiting_jobs.py [--jobs 1000] [--quiet-seconds 30]
    python benchmarks/waiting_jobs.py --jobs 10000 --quiet-seconds 120      the full size, about half an hour

The far side and the submitter are processes of their own; the numbers are those of the worker and its media children.
No job ends before all of them are in flight and have waited for the quiet time, so "at once" is exact. The bars: at
most 350 MB while they wait, and a lag under 1 s from the moment the engine has started.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio

from parts import measuring
from rushes import App, Wish, config

BAR_MB = 350.0
BAR_LAG_S = 1.0
WORKER = measuring.PARTS / "watched_worker.py"
GIVE_UP_S = 3600.0


async def admitted(environment: dict[str, str], jobs: int) -> float:
    """Submit them all by the way that every user takes. Returns how long that took."""
    home = Path(environment["RUSHES_HOME"])
    started = time.monotonic()
    async with App(config.load(environment=environment, folder=home), leave_worker=False) as app:
        for n in range(jobs):
            wish = Wish(prompt=f"wave {n}", model="openai:video:sora-2", seconds=4, thumbnail=False, spritesheet=False)
            await app.submit(await app.plan(wish))
    return time.monotonic() - started


def waited_for(done: Callable[[], bool], what: str, worker: "subprocess.Popen[bytes]") -> float:
    """Seconds until `done`. Ends the benchmark when the worker dies or nothing comes of it."""
    started = time.monotonic()
    while not done():
        if worker.poll() is not None:
            raise SystemExit(f"the worker ended with {worker.returncode} before {what}")
        if time.monotonic() - started > GIVE_UP_S:
            raise SystemExit(f"not {what} after {GIVE_UP_S:.0f} s")
        time.sleep(0.2)
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--job-seconds", type=float, default=120.0, help="what the far side's percentage pretends")
    parser.add_argument("--quiet-seconds", type=float, default=30.0, help="how long all of them wait at once")
    parser.add_argument("--no-progress", action="store_true", help="the far side tells no percentage")
    parser.add_argument("--no-drain", action="store_true", help="stop while they wait")
    parser.add_argument("--keep", type=Path, help="folder for the worker's log and profile")
    parser.add_argument("--profile", choices=("cpu", "memory"), help="profile the worker; numbers are then worse")
    chosen = parser.parse_args()
    far_arguments = ["--hold", "--job-seconds", str(chosen.job_seconds)]
    far_arguments += ["--no-progress"] if chosen.no_progress else []
    with tempfile.TemporaryDirectory() as folder, measuring.far_side(*far_arguments) as far:
        environment = measuring.rushes_environment(Path(folder) / "home", far.url)
        (Path(folder) / "home").mkdir()
        measure(chosen, environment, far, chosen.keep or Path(folder))


def measure(chosen: argparse.Namespace, environment: dict[str, str], far: measuring.RunningFarSide, keep: Path) -> None:
    jobs: int = chosen.jobs
    keep.mkdir(parents=True, exist_ok=True)
    admit_s = anyio.run(admitted, environment, jobs)
    print(f"{os.cpu_count()} cores; {jobs} jobs, admitted in {admit_s:.1f} s ({1000 * admit_s / jobs:.1f} ms each)")
    lag_file = keep / "lag.json"
    command = [sys.executable, str(WORKER), str(lag_file), *(["--profile", chosen.profile] if chosen.profile else [])]
    with (keep / "worker.log").open("wb") as log:
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    started = time.monotonic()
    watch = measuring.TreeWatch(worker.pid, every_s=0.25).start()
    try:
        waited_for(lambda: far.book()["charged"] >= jobs, "all in flight", worker)
        in_flight_at, filling = time.monotonic(), watch.usage.cpu_s
        before = far.book()
        time.sleep(chosen.quiet_seconds)
        after = far.book()
        quiet_at, quiet = time.monotonic(), watch.usage.cpu_s
        if chosen.profile == "memory":
            worker.send_signal(signal.SIGUSR1)
            waited_for((keep / "worker.mem").exists, "weighed", worker)
            time.sleep(10)
        waiting_mb, waiting_rss_mb = watch.usage.peak_mb, watch.usage.peak_rss_mb
        if not chosen.no_drain:
            far.release()
            waited_for(lambda: far.book()["downloads"] >= jobs, "all fetched", worker)
            worker.terminate()  # a worker that has work asks for no more, and drains what it is at
        else:
            worker.terminate()
        worker.wait(120)
    finally:
        usage = watch.stop()
        if worker.poll() is None:
            worker.kill()
            worker.wait()
    book = far.book()
    lag = [(at, late) for at, late in json.loads(lag_file.read_text())]
    report = measuring.Lag(late_s=lag)
    fill_s, drain_s = in_flight_at - started, time.monotonic() - quiet_at
    print(f"{'while':<12} {'s':>7} {'CPU s':>7} {'jobs/s':>7} {'lag p99 s':>10} {'lag max s':>10}")
    rows = [("filling", started, in_flight_at, filling), ("waiting", in_flight_at, quiet_at, quiet - filling)]
    rows += [] if chosen.no_drain else [("draining", quiet_at, time.monotonic(), usage.cpu_s - quiet)]
    for name, since, until, cpu in rows:
        rate = {"filling": jobs / fill_s, "draining": jobs / drain_s}.get(name)
        p99, worst = report.quantile_s(0.99, since, until), report.worst_s(since, until)
        took = until - since
        print(f"{name:<12} {took:>7.1f} {cpu:>7.1f} {f'{rate:.1f}' if rate else '-':>7} {p99:>10.3f} {worst:>10.3f}")
    looks = (after["polls"] - before["polls"]) / chosen.quiet_seconds
    print(f"while waiting: {looks:.0f} looks a second, {looks / jobs * 60:.1f} a minute for each job")
    print(f"charged {book['charged']}, paid twice {book['paid_twice']}, fetched {book['downloads']}")
    print(
        f"memory by {usage.kind}: {waiting_mb:.0f} MB while waiting ({waiting_rss_mb:.0f} MB RSS), "
        f"{usage.peak_mb:.0f} MB at most ({usage.peak_rss_mb:.0f} MB RSS), {usage.peak_processes} processes"
    )
    worst = report.worst_s(started + 5.0)
    print(f"bar: at most {BAR_MB:g} MB: {measuring.verdict(usage.peak_mb <= BAR_MB)} with {usage.peak_mb:.0f}")
    print(f"bar: lag under {BAR_LAG_S:g} s once started: {measuring.verdict(worst < BAR_LAG_S)} with {worst:.2f}")


if __name__ == "__main__":
    main()
