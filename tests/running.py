"""A command that goes on while a test does other things, and what it has said so far."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

PATIENCE_S = 60.0


class Running:
    """A process of ours: killed when the block ends, if it has not ended by then.

    with Running(rushes.start("worker")) as worker:
        worker.until_it_says("Working on")
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._said: dict[str, list[str]] = {"out": [], "err": []}
        assert process.stdout is not None and process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((process.stdout, self._said["out"]), (process.stderr, self._said["err"]))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.ended()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    @property
    def stdout(self) -> str:
        return "".join(self._said["out"])

    @property
    def stderr(self) -> str:
        return "".join(self._said["err"])

    def until_it_says(self, words: str) -> None:
        """Wait for these words on stderr. Fails with what it said instead."""
        until(lambda: words in self.stderr or self.process.poll() is not None, lambda: self.stderr)
        for reader in self._readers if self.process.poll() is not None else []:
            reader.join()
        assert words in self.stderr, f"it never said {words!r}, but:\n{self.stderr}"

    def ended(self) -> int:
        """Its exit code, once it has ended and all that it said is read."""
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join()
        return code

    def interrupt(self) -> int:
        """Ctrl-C, and the exit code."""
        return self.end_by(signal.SIGINT)

    def end_by(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.ended()

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        while line := stream.readline():
            lines.append(line)  # one by one: the test reads them meanwhile


def until(condition: Callable[[], bool], told: Callable[[], object] = lambda: "") -> None:
    """Wait for a condition. Fails after a minute with what `told` says then."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"it did not come to that in {PATIENCE_S:g} s: {told()}"
        time.sleep(0.05)
