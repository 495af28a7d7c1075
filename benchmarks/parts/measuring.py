"""How processes are measured: memory and CPU of a whole tree, sampled, and how late an event loop is.

Memory is the proportional set size where the system tells it (`/proc/PID/smaps_rollup`): pages that several processes
share, such as an interpreter's own, count once. Else it is the sum of what is resident, which counts them often.
CPU counts the children that have ended as well, as far as they were waited for.
"""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PARTS = Path(__file__).parent
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Usage:
    """What a tree of processes has used so far."""

    peak_mb: float = 0.0
    peak_rss_mb: float = 0.0  # the sum of what is resident: pages in common count once for each process
    peak_processes: int = 0
    cpu_s: float = 0.0
    kind: str = "PSS"
    root_cpu_s: float = 0.0  # of the first process alone


class TreeWatch:
    """Samples a process and all below it, in a thread of its own, until it is stopped."""

    def __init__(self, pid: int, every_s: float = 0.1) -> None:
        self.usage = Usage(kind="PSS" if pss_mb(pid) is not None else "RSS")
        self._pid = pid
        self._every_s = every_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> "TreeWatch":
        self._thread.start()
        return self

    def stop(self) -> Usage:
        self._done.set()
        self._thread.join()
        return self.usage

    def _run(self) -> None:
        while True:
            self.sample()
            if self._done.wait(self._every_s):
                return

    def sample(self) -> None:
        tree = list(pids_of_tree(self._pid))
        usage = self.usage
        rss = sum(rss_mb(pid) for pid in tree)
        total = sum(pss_mb(pid) or 0.0 for pid in tree) if usage.kind == "PSS" else rss
        usage.peak_mb = max(usage.peak_mb, total)
        usage.peak_rss_mb = max(usage.peak_rss_mb, rss)
        usage.peak_processes = max(usage.peak_processes, len(tree))
        usage.root_cpu_s = max(usage.root_cpu_s, cpu_s(self._pid))
        usage.cpu_s = max(usage.cpu_s, cpu_with_children_s(self._pid, tree))


def pids_of_tree(root: int) -> Iterable[int]:
    """The process and all that descend from it, as they are now."""
    todo = [root]
    while todo:
        pid = todo.pop()
        yield pid
        for task in _listed(Path(f"/proc/{pid}/task")):
            todo += map(int, _text(task / "children").split())


def pss_mb(pid: int) -> float | None:
    for line in _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    return None


def rss_mb(pid: int) -> float:
    fields = _text(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * PAGE / 1e6 if fields else 0.0


def cpu_s(pid: int) -> float:
    """User and system time of one process that lives."""
    return sum(_times(pid)[:2]) * TICK_S


def cpu_with_children_s(root: int, tree: list[int]) -> float:
    """Of all that live, with those of their children that have ended."""
    return sum(sum(_times(pid)) for pid in tree) * TICK_S


def _times(pid: int) -> list[int]:
    """utime, stime, cutime, cstime in ticks; zeros for a process that is gone."""
    stat = _text(Path(f"/proc/{pid}/stat"))
    return [int(part) for part in stat.rpartition(")")[2].split()[11:15]] if stat else [0, 0, 0, 0]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has just ended
        return ""


def _listed(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []


# -- the far side ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunningFarSide:
    url: str
    pid: int

    def book(self) -> dict[str, int]:
        return self._ask("book")

    def release(self) -> dict[str, int]:
        return self._ask("release", b"")

    def _ask(self, what: str, body: bytes | None = None) -> dict[str, Any]:
        # Only ever a loopback address that our own child has printed.
        with urllib.request.urlopen(f"{self.url.removesuffix('/v1')}/_fake/{what}", body, timeout=60) as reply:
            return json.load(reply)


@contextmanager
def far_side(*arguments: str) -> Generator[RunningFarSide]:
    """The lean far side as a process of its own."""
    command = [sys.executable, str(PARTS / "far_side.py"), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield RunningFarSide(process.stdout.readline().strip(), process.pid)
    finally:
        process.terminate()
        process.wait()


def rushes_environment(home: Path, url: str) -> dict[str, str]:
    """For a rushes of its own that knows only this far side."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
    return {**kept, "RUSHES_HOME": str(home), "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-bench"}


# -- the event loop --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Lag:
    """How much later than asked an event loop wakes a sleeper. `worst_since` forgets what was before it."""

    every_s: float = 0.02
    late_s: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])  # (when, how late)

    async def watch(self) -> None:
        import anyio

        while True:
            before = time.monotonic()
            await anyio.sleep(self.every_s)
            now = time.monotonic()
            self.late_s.append((now, now - before - self.every_s))

    def worst_s(self, since: float = 0.0, until: float = float("inf")) -> float:
        return max((late for at, late in self.late_s if since <= at <= until), default=0.0)

    def quantile_s(self, q: float, since: float = 0.0, until: float = float("inf")) -> float:
        late = sorted(late for at, late in self.late_s if since <= at <= until)
        return late[int(q * (len(late) - 1))] if late else 0.0


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"
