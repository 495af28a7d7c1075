"""Standard input as an MCP server reads it: it can be told to end.

A thread that waits in a read cannot be cancelled, so a signal would have to wait for the client's next word. Here the
thread waits for either: what the client sends, or our own `stop`. Whoever reads sees an ordinary end of file.
"""

import io
import os
import select
from types import TracebackType
from typing import Self

from typing_extensions import Buffer

STDIN = 0
READ_BYTES = 1 << 16


class Wire:
    """What the client sends, as text in lines. While it is open, nobody else reads from standard input."""

    def __enter__(self) -> Self:
        self._client = os.dup(STDIN)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, STDIN)  # our children must not take words from the client
        os.close(nothing)
        self._stopped, self._stop = os.pipe()
        raw = _Stoppable(self._client, self._stopped)
        self.lines = io.TextIOWrapper(io.BufferedReader(raw, READ_BYTES), encoding="utf-8", errors="replace")
        return self

    def stop(self) -> None:
        """Let the reader see the end. Calling it again does nothing more."""
        os.write(self._stop, b".")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.dup2(self._client, STDIN)
        for fd in (self._client, self._stopped, self._stop):
            os.close(fd)


class _Stoppable(io.RawIOBase):
    """One descriptor's bytes, until another one has something to read."""

    def __init__(self, source: int, stopped: int) -> None:
        self._source = source
        self._stopped = stopped

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        ready, _, _ = select.select([self._source, self._stopped], [], [])
        if self._stopped in ready:
            return 0
        view = memoryview(buffer)
        data = os.read(self._source, len(view))
        view[: len(data)] = data
        return len(data)
