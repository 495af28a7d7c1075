"""Several processes that serve on one address: kept, replaced when they die or when files change, and ended together.

They share sockets that this process has opened, so no connection is refused while one of them is started anew. Each is
a command of ours with a process of its own, and each ends when this one ends, however that comes about.
"""

import logging
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from rushes.errors import ConfigError
from rushes.gateway.listen import LAST_S, SIGNALS, Listen, opened, tls_of, url_of

log = logging.getLogger(__name__)

RESTART_AFTER_S = 1.0
LOOK_EVERY_S = 0.5


async def supervise(
    command: Callable[[str], Sequence[str]],
    listen: Listen,
    *,
    ready: Callable[[str], None],
    watch: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> None:
    """Keep `workers` processes of `command` on one socket until SIGINT, SIGTERM or cancellation.

    `command` gets a text for its last option, which the new process gives to `inherited` and puts into its `Listen`.
    One that ends is started anew; one that ends before any was up ends all, with a ConfigError: its own words say
    why. With `reload`, they are all replaced when a file of `watch` (folders too) changes; connections wait meanwhile.
    They end when this process ends, however that comes about.
    """
    if sys.platform == "win32":
        raise ConfigError("--workers and --reload need a system that hands sockets on to other processes: not Windows.")
    tls_of(listen)  # a wrong certificate is said once, here
    with opened(listen) as sockets, anyio.open_signal_receiver(*SIGNALS) as signals:
        processes = _Processes(command, [each.fileno() for each in sockets], environment, listen.grace_s + LAST_S)
        try:
            processes.begin(listen.workers)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_keep, processes, listen, watch, partial(ready, url_of(listen, sockets)))
                async for _ in signals:
                    break
                tasks.cancel_scope.cancel()
        except ExceptionGroup as errors:
            raise (errors.exceptions[0] if len(errors.exceptions) == 1 else errors) from None
        finally:
            with anyio.CancelScope(shield=True):
                await processes.end()


async def _keep(processes: "_Processes", listen: Listen, watch: Sequence[Path], ready: Callable[[], None]) -> None:
    seen, told = _versions(watch), False
    while True:
        await processes.look_after()
        if not told and processes.all_up():
            told = True
            ready()
        if listen.reload and (now := await anyio.to_thread.run_sync(_versions, watch)) != seen:
            seen = now
            log.info("gateway.reload")
            await processes.end()
            processes.begin(listen.workers)
        await anyio.sleep(LOOK_EVERY_S if told else LOOK_EVERY_S / 10)


def inherited(text: str) -> tuple[int, ...]:
    """What `supervise` put into a command, for `Listen`. Raises ConfigError."""
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{text!r} is not what a supervisor hands on. Leave that option out.") from error


@dataclass(slots=True)
class _Process:
    """A process of ours on the shared sockets, with the line on which it says that it is up."""

    child: "subprocess.Popen[bytes]"
    line: socket.socket
    up: bool = False


class _Processes:
    def __init__(
        self,
        command: Callable[[str], Sequence[str]],
        sockets: Sequence[int],
        environment: Mapping[str, str] | None,
        end_within_s: float,
    ) -> None:
        self._command, self._sockets, self._environment = command, sockets, environment
        self._end_within_s = end_within_s
        self._all: list[_Process] = []
        self._one_was_up = False

    def begin(self, count: int) -> None:
        self._all += [self._begun() for _ in range(count)]

    def _begun(self) -> _Process:
        ours, theirs = socket.socketpair()
        handed = [theirs.fileno(), *self._sockets]
        with theirs:
            line = list(self._command(",".join(map(str, handed))))
            child = subprocess.Popen(line, pass_fds=handed, env=self._environment)
        ours.setblocking(False)
        return _Process(child, ours)

    def all_up(self) -> bool:
        return all(each.up for each in self._all)

    async def look_after(self) -> None:
        """Hear which are up, and replace those that have ended."""
        for n, each in enumerate(self._all):
            with suppress(BlockingIOError, ConnectionError):
                each.up = each.up or bool(each.line.recv(1))
            self._one_was_up = self._one_was_up or each.up
            if (code := each.child.poll()) is None:
                continue
            # After a reload a file may be half-written, so then the start is only tried again.
            if not self._one_was_up:
                raise ConfigError(f"A gateway process ended with code {code} before it was up. Its own words say why.")
            log.warning("gateway.process_lost", extra={"exit_code": code})
            await anyio.sleep(RESTART_AFTER_S)
            each.line.close()
            self._all[n] = self._begun()

    async def end(self) -> None:
        """End them in order, and those that do not by force."""
        for each in self._all:
            each.child.terminate()  # does nothing to one that has ended
        with anyio.move_on_after(self._end_within_s):
            for each in self._all:
                await anyio.to_thread.run_sync(each.child.wait, abandon_on_cancel=True)
        for each in self._all:
            each.child.kill()
            each.child.wait()
            each.line.close()
        self._all.clear()


def _versions(places: Sequence[Path]) -> dict[Path, int]:
    """When each file below was last written; of folders, only Python and the settings."""
    found: dict[Path, int] = {}
    for place in places:
        inside = [each for kind in ("*.py", "*.toml") for each in place.rglob(kind)] if place.is_dir() else [place]
        for each in inside:
            with suppress(OSError):
                found[each] = each.stat().st_mtime_ns
    return found
