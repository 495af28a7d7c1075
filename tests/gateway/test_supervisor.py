"""Several processes on one address: they share it, one that dies is replaced, and they end with who keeps them."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import httpx2
import pytest

from rushes.errors import ConfigError
from rushes.gateway.listen import Listen
from rushes.gateway.supervisor import inherited, supervise

pytestmark = pytest.mark.anyio

WORKER = """
import os, sys, anyio
from rushes.gateway.listen import Listen, serve
from rushes.gateway.supervisor import inherited

async def app(scope, receive, send):
    body = str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})

async def main():
    await serve(app, Listen(inherited=inherited(sys.argv[-1])), ready=print)

anyio.run(main)
"""
PARENT = f"""
import sys, anyio
from rushes.gateway.listen import Listen
from rushes.gateway.supervisor import supervise

WORKER = {WORKER!r}

def command(text):
    return [sys.executable, "-c", WORKER, text]

async def main():
    await supervise(command, Listen(port=0, workers=2), ready=lambda url: print(url, flush=True))

anyio.run(main)
"""


@asynccontextmanager
async def supervised(listen: Listen, watch: list[Path] | None = None) -> AsyncGenerator[str]:
    urls, up = list[str](), anyio.Event()

    def ready(url: str) -> None:
        urls.append(url)
        up.set()

    def command(text: str) -> list[str]:
        return [sys.executable, "-c", WORKER, text]

    async def work() -> None:
        await supervise(command, listen, ready=ready, watch=watch or [])

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await up.wait()
            yield urls[0]
            tasks.cancel_scope.cancel()


async def pids_until(url: str, enough: Callable[[set[int]], bool]) -> set[int]:
    """Ask who answers until the answers are as wanted."""
    found: set[int] = set()
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        while not enough(found):
            found.add(int((await client.get(url)).text))
    return found


async def test_several_processes_share_a_socket_and_one_that_is_killed_is_replaced() -> None:
    async with supervised(Listen(port=0, workers=2)) as url:
        first = await pids_until(url, lambda pids: len(pids) == 2)
        os.kill(min(first), signal.SIGKILL)
        after = await pids_until(url, lambda pids: bool(pids - first))

    with pytest.raises(httpx2.ConnectError):
        httpx2.get(url, trust_env=False)
    for pid in first | after:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_file_that_changes_brings_new_processes(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("a = 1\n")
    async with supervised(Listen(port=0, reload=True), [tmp_path]) as url:
        first = await pids_until(url, lambda pids: len(pids) == 1)
        source.write_text("a = 2\n")
        os.utime(source, ns=(1, 1))

        assert await pids_until(url, lambda pids: bool(pids - first))


async def test_processes_that_cannot_start_end_it_all() -> None:
    def command(text: str) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit(3)", text]

    with anyio.fail_after(30), pytest.raises(ConfigError, match="ended with code 3 before it was up"):
        await supervise(command, Listen(port=0, workers=2), ready=lambda url: None)


async def test_what_no_supervisor_wrote_is_refused() -> None:
    with pytest.raises(ConfigError, match="Leave that option out"):
        inherited("none of these")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_the_processes_end_when_their_parent_does(end: signal.Signals) -> None:
    parent = started_parent()
    with parent, anyio.fail_after(60):
        assert parent.stdout
        url = (await anyio.to_thread.run_sync(parent.stdout.readline)).strip()
        pids = await pids_until(url, lambda pids: len(pids) == 2)
        parent.send_signal(end)
        code = await anyio.to_thread.run_sync(parent.wait)
        while any(alive(pid) for pid in pids):
            await anyio.sleep(0.02)

    assert code == (0 if end is signal.SIGTERM else -signal.SIGKILL)


def started_parent() -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)


def alive(pid: int) -> bool:
    """Whether it runs: whoever is dead and not yet fetched by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
