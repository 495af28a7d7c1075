"""The command line as a person uses it: a process of its own, a home of its own, nothing inherited."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from rushes.jobs.presence import lock_path

TIMEOUT_S = 300.0  # a bound, for machines that are busy


@dataclass(frozen=True)
class CommandLine:
    """`rushes …` in a folder, with just the variables given."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def database(self) -> Path:
        return self.home / "rushes.db"

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "COVERAGE_PROCESS_START") if name in os.environ}
        return {**kept, "RUSHES_HOME": str(self.home), **self.env}

    def run(self, *args: str, module: str = "rushes") -> "subprocess.CompletedProcess[str]":
        """Run to the end and return what it said."""
        return subprocess.run(
            [sys.executable, "-m", *module.split(), *args],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )

    def start(self, *args: str) -> "subprocess.Popen[str]":
        """Start it in a session of its own, as a terminal would."""
        return subprocess.Popen(
            [sys.executable, "-m", "rushes", *args],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def crash_at(self, point: str, *args: str) -> "subprocess.CompletedProcess[str]":
        """Run until the named point kills it."""
        return self.run(point, *args, module="rushes.testing.crash")

    def somebody_works(self) -> bool:
        return somebody_works(self.database)


def somebody_works(database: Path) -> bool:
    """Whether a process holds the lock of an SQLite file. Takes it for a moment if nobody does."""
    lock = FileLock(lock_path(database), thread_local=False)
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True
