"""The processes of a row: workers that are started, killed and stopped, and the short ones beside them.

Each worker has a settings file of its own, which lets it name itself in a header of every request; so the far side
can tell who is speaking to it. What they say goes to a log each, which is searched for tracebacks in the end.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rushes.testing.matrix.kinds import Kind

WORKER_HEADER = "x-worker"
START_S = 240.0
END_S = 240.0


@dataclass(slots=True)
class Hand:
    """One place in the crew, and the process that fills it at the moment."""

    number: int
    config: Path
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    stopped: bool = False
    started_at: float = 0.0  # by time.monotonic

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Crew:
    """All processes over one database. Close it when done: nothing it started outlives it."""

    def __init__(
        self,
        folder: Path,
        kind: Kind,
        variables: Mapping[str, str],
        *,
        size: int,
        database_url: str | None,
        signed: bool,
        create_timeout_s: float,
    ) -> None:
        self.folder = folder
        self.kills = 0
        self.unasked_ends: list[str] = []
        self._environment = self._variables(variables, kind)
        shared = _settings(kind, database_url, signed, create_timeout_s)
        (folder / "rushes.toml").write_text(shared)
        self.hands = [self._hand(number, kind, shared) for number in range(size)]
        self._deciding: dict[str, subprocess.Popen[bytes]] = {}

    def _variables(self, variables: Mapping[str, str], kind: Kind) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "COVERAGE_PROCESS_START") if name in os.environ}
        paths = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
        if kind.plugin:
            paths.insert(0, str(installed(self.folder / "plugin", kind.plugin)))
        found = {"PYTHONPATH": os.pathsep.join(paths)} if paths else {}
        return {**kept, **variables, **found, "RUSHES_HOME": str(self.folder / "home")}

    def _hand(self, number: int, kind: Kind, shared: str) -> Hand:
        config = self.folder / f"worker-{number}.toml"
        config.write_text(f'{shared}\n[providers.{kind.name}.headers]\n{WORKER_HEADER} = "{number}"\n')
        return Hand(number, config, self.folder / f"worker-{number}.log")

    # -- workers -------------------------------------------------------------------------------------------------------

    def start(self, hand: Hand, *, dying_at: str | None = None) -> None:
        """Fill a place with a new process; `dying_at` as `rushes.testing.crash` takes it."""
        module = ["rushes"] if dying_at is None else ["rushes.testing.crash", dying_at]
        with hand.log.open("ab") as log:
            hand.process = subprocess.Popen(
                [sys.executable, "-m", *module, "worker"],
                cwd=self.folder,
                env={**self._environment, "RUSHES_CONFIG": str(hand.config), "PGAPPNAME": self.application(hand)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        hand.stopped, hand.started_at = False, time.monotonic()

    def application(self, hand: Hand) -> str:
        """The name under which PostgreSQL lists its connections."""
        return f"matrix-worker-{hand.number}"

    def start_all(self, *, dying_at: str | None = None) -> None:
        for hand in self.hands:
            self.start(hand, dying_at=dying_at)

    def keep_up(self) -> None:
        """Start whoever is gone again, and note those that ended although nobody killed them."""
        for hand in self.hands:
            if hand.process is not None and not hand.alive:
                code = hand.process.returncode
                if code == -signal.SIGKILL:
                    self.kills += 1
                elif code != 0:
                    self.unasked_ends.append(f"worker {hand.number} ended with {code}")
                self.start(hand)

    def kill(self, hand: Hand) -> None:
        """SIGKILL: no handler runs, nothing is flushed. The next `keep_up` counts it."""
        if hand.alive:
            assert hand.process is not None
            hand.process.kill()
            hand.process.wait()

    def stop(self, hand: Hand) -> None:
        """SIGSTOP: it holds what it holds, its connections and locks among it, and does nothing."""
        assert hand.process is not None
        hand.process.send_signal(signal.SIGSTOP)
        hand.stopped = True

    def go_on(self, hand: Hand) -> None:
        assert hand.process is not None
        hand.process.send_signal(signal.SIGCONT)
        hand.stopped = False

    def end_in_order(self, hand: Hand) -> int:
        """SIGTERM, waited for: what it has in the air must have landed. Returns the return code."""
        assert hand.process is not None
        hand.process.terminate()
        return hand.process.wait(END_S)

    # -- the short ones ------------------------------------------------------------------------------------------------

    def admit(self, kind: Kind, prompts: Sequence[str]) -> list[str]:
        """Admit a job for each prompt; returns their ids. Raises RuntimeError with what the process said."""
        asked = {
            "model": kind.model,
            "size": kind.size,
            "seconds": kind.seconds,
            "extra": dict(kind.extra),
            "prompts": list(prompts),
        }
        done = self._run(["-m", "rushes.testing.matrix.admit"], stdin=json.dumps(asked))
        if done.returncode != 0:
            raise RuntimeError(f"no jobs could be admitted: {done.stderr}")
        return done.stdout.split()

    def crash(self, point: str, *command: str) -> int:
        """A command that is killed at a named point."""
        return self._run(["-m", "rushes.testing.crash", point, *command]).returncode

    def decide(self, job_id: str, *decision: str) -> None:
        """`rushes jobs resolve`, which goes on beside us until the job is done."""
        if job_id in self._deciding and self._deciding[job_id].poll() is None:
            return
        with (self.folder / "decisions.log").open("ab") as log:
            self._deciding[job_id] = subprocess.Popen(
                [sys.executable, "-m", "rushes", "jobs", "resolve", job_id, *decision],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def decided(self) -> frozenset[str]:
        """The jobs about which a decision was made, or is just being made."""
        return frozenset(self._deciding)

    def _run(self, command: Sequence[str], stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )

    # -- the end -------------------------------------------------------------------------------------------------------

    def tracebacks(self) -> list[str]:
        """The last line of every traceback that any of them showed: each is a bug of ours."""
        found: list[str] = []
        for log in self.folder.glob("*.log"):
            lines = log.read_text(errors="replace").splitlines()
            starts = [n for n, line in enumerate(lines) if line.startswith("Traceback")]
            for start in starts:
                last = next((line for line in lines[start + 1 :] if line and not line.startswith((" ", "\t"))), "")
                found.append(f"{log.name}: {last[:160]}")
        return found

    def close(self) -> None:
        processes = [hand.process for hand in self.hands if hand.process] + list(self._deciding.values())
        deadline = time.monotonic() + END_S
        for process in self._deciding.values():
            try:
                process.wait(max(0.1, min(20.0, deadline - time.monotonic())))
            except subprocess.TimeoutExpired:
                process.kill()
        for process in processes:
            process.kill()
            process.wait()


def _settings(kind: Kind, database_url: str | None, signed: bool, create_timeout_s: float) -> str:
    """What a row needs to be quick: frequent looks, and timeouts no longer than it can bear."""
    database = [f'database_url = "{database_url}"'] if database_url else []
    provider = [
        f"[providers.{kind.name}]",
        f"create_timeout_s = {create_timeout_s}",
        "poll_interval_ms = 200",
        f'on_unknown = "{kind.on_unknown}"',
    ]
    return "\n".join([*database, *provider, "[provenance]", f"enabled = {str(signed).lower()}", ""])


def installed(folder: Path, entry_points: Mapping[str, str]) -> Path:
    """A folder that, on the path, offers these providers as an installed package would."""
    package = folder / "matrix_plugin-1.dist-info"
    package.mkdir(parents=True, exist_ok=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: matrix-plugin\nVersion: 1\n")
    points = "\n".join(f"{name} = {target}" for name, target in entry_points.items())
    (package / "entry_points.txt").write_text(f"[rushes.providers]\n{points}\n")
    return folder
