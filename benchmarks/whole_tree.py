"""What a batch of videos costs in all: memory, CPU and disk of the whole tree of processes, media children included.

    python benchmarks/whole_tree.py

Ten videos of 20 MB at once, and a hundred of 0.5 MB from jobs of 2 s, all in flight: each through rushes with default
settings (checked, signed, with the provider's thumbnail and spritesheet), through rushes without those pictures, and by
a plain script that only creates, polls and saves, to know the floor. The far side is a process of its own and is not
counted. "own" is the CPU of the worker process without its media children.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from parts import measuring

PLAIN = measuring.PARTS / "plain.py"
OURS = measuring.PARTS / "through_rushes.py"


HEADS = ("wall s", "CPU s", "own", "PSS MB", "RSS MB", "procs", "disk x")


@dataclass(frozen=True, slots=True)
class Load:
    name: str
    jobs: int
    video_bytes: int
    job_s: float
    bar_mb: float
    bar_cpu_s: float
    bar_disk: float | None = None  # times the bytes of the videos


LOADS = (
    Load("10 x 20 MB", 10, 20_000_000, 2.0, bar_mb=220.0, bar_cpu_s=6.0, bar_disk=1.05),
    Load("100 x 0.5 MB, jobs of 2 s", 100, 500_000, 2.0, bar_mb=260.0, bar_cpu_s=7.0),
)


@dataclass(frozen=True, slots=True)
class Row:
    usage: measuring.Usage
    wall_s: float
    disk_bytes: int  # the largest there was at any time, spool included
    book: dict[str, int]


def measured(load: Load, command: list[str], *, by_rushes: bool) -> Row:
    arguments = ["--job-seconds", str(load.job_s), "--video-bytes", str(load.video_bytes)]
    with tempfile.TemporaryDirectory() as folder, measuring.far_side(*arguments) as far:
        home = Path(folder)
        environment = measuring.rushes_environment(home, far.url)
        line = command if by_rushes else [*command, far.url, str(load.jobs), str(home)]
        started, before = time.monotonic(), children_cpu_s()
        process = subprocess.Popen([sys.executable, *line], env=environment)
        watch = measuring.TreeWatch(process.pid, every_s=0.05).start()
        disk = 0
        while process.poll() is None:
            disk = max(disk, on_disk(home))
            time.sleep(0.1)
        wall_s = time.monotonic() - started
        usage = watch.stop()
        # Now that it has ended, the system tells us, its parent, all that it and those whom it waited for have used.
        usage.cpu_s = max(usage.cpu_s, children_cpu_s() - before)
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(line)} ended with {process.returncode}")
        return Row(usage, wall_s, max(disk, on_disk(home)), far.book())


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def on_disk(folder: Path) -> int:
    """Bytes in whole files; the database and its log are in it, and are small."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(where) / name).stat().st_blocks * 512
            except OSError:  # it has just gone
                continue
    return total


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", type=int, choices=range(len(LOADS)), help="just one of the loads")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} cores")
    for load in LOADS if chosen.only is None else (LOADS[chosen.only],):
        print(f"\n{load.name}, {load.jobs} at once")
        print(
            f"{'what':<26} {'wall s':>7} {'CPU s':>7} {'own':>6} {'PSS MB':>7} {'RSS MB':>7} {'procs':>6} {'disk x':>7}"
        )
        plain = measured(load, [str(PLAIN)], by_rushes=False)
        ours = measured(load, [str(OURS), str(load.jobs)], by_rushes=True)
        bare = measured(load, [str(OURS), str(load.jobs), "--bare"], by_rushes=True)
        for name, row in (("plain script", plain), ("rushes", ours), ("rushes without pictures", bare)):
            told(name, row, load)
        judge(load, ours)


def told(name: str, row: Row, load: Load) -> None:
    usage = row.usage
    numbers = (row.wall_s, usage.cpu_s, usage.root_cpu_s, usage.peak_mb, usage.peak_rss_mb, usage.peak_processes)
    disk = row.disk_bytes / (load.jobs * load.video_bytes)
    print(f"{name:<26}", *(f"{number:>7.1f}" for number in numbers), f"{disk:>7.2f}")
    if row.book["charged"] != load.jobs or row.book["paid_twice"]:
        raise SystemExit(f"the far side charged {row.book['charged']} jobs, not {load.jobs}")


def judge(load: Load, ours: Row) -> None:
    usage = ours.usage
    bars = [(f"MB {usage.kind}", usage.peak_mb, load.bar_mb), ("CPU s", usage.cpu_s, load.bar_cpu_s)]
    if load.bar_disk is not None:
        bars.append(("x disk", ours.disk_bytes / (load.jobs * load.video_bytes), load.bar_disk))
    for what, got, bar in bars:
        print(f"bar: at most {bar:g} {what}: {measuring.verdict(got <= bar)} with {got:.2f}")


if __name__ == "__main__":
    main()
