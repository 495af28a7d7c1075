"""What it costs to answer: small answers, a file of 200 MB, many streams, and small answers while files go out.

    python benchmarks/serving.py [--only NAME…]

`rushes serve` as it is installed, in front of a far side whose video has 200 MB; the gateway's server and its file
answers with nothing around them; bare uvicorn and granian with Starlette; nginx on the same file, alone and in front
of ours by X-Accel-Redirect. One after the other in one run. CPU and memory are those of the whole tree of processes
(nginx's included where it is in front), memory as PSS. Clients are processes or threads of their own, but share the
cores.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from parts import measuring, serving_load

FILE_BYTES = 200_000_000
DOWNLOADS = 5
ROUNDS = 25
DIRECT = "direct"
SMALL = 2000
STREAMS = 50
LATENCY_S = 6.0
GIVE_UP_S = 60.0
LOAD = measuring.PARTS / "serving_load.py"
HEADS = ("start s", "idle MB", "idle ms/s", "small ms", "s/GB", "MB/s", "first ms", "MB/stream", "p99 ms")


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that runs. `pids` are the roots of its trees."""

    pids: tuple[int, ...]
    status_url: str | None  # None: it has only the file
    content_url: str

    def cpu_s(self) -> float:
        return sum(measuring.cpu_with_children_s(pid, list(measuring.pids_of_tree(pid))) for pid in self.pids)

    def memory_mb(self) -> float:
        every = [each for pid in self.pids for each in measuring.pids_of_tree(pid)]
        return sum(measuring.pss_mb(pid) or measuring.rss_mb(pid) for pid in every)


@dataclass(frozen=True, slots=True)
class Row:
    start_cpu_s: float
    idle_mb: float
    idle_cpu_ms: float  # each second
    small_cpu_ms: float | None
    content_s_per_gb: float
    content_mb_s: float
    first_byte_ms: float
    stream_mb: float
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Fresh:
    """A server that has started and was asked for nothing yet."""

    start_cpu_s: float
    idle_mb: float
    idle_cpu_ms: float


def fresh(one: Contender) -> Fresh:
    time.sleep(0.5)
    start_cpu_s = one.cpu_s()
    time.sleep(2)  # its worker, if it has one, is up by now
    before = one.cpu_s()
    time.sleep(3)
    return Fresh(start_cpu_s, one.memory_mb(), (one.cpu_s() - before) / 3 * 1000)


def measured(one: Contender, begun: Fresh) -> Row:
    small = None
    if one.status_url:
        serving_load.answer_times_s(one.status_url, 200)
        before = one.cpu_s()
        serving_load.answer_times_s(one.status_url, SMALL)
        small = (one.cpu_s() - before) / SMALL * 1000
    serving_load.downloaded(one.content_url)  # the system's cache has it from now on
    before, began = one.cpu_s(), time.monotonic()
    got = [serving_load.downloaded(one.content_url) for _ in range(DOWNLOADS)]
    took_s, used_s = time.monotonic() - began, one.cpu_s() - before
    total = sum(each.body_bytes for each in got)
    if total != DOWNLOADS * FILE_BYTES:
        raise SystemExit(f"{total} bytes came of {DOWNLOADS * FILE_BYTES}")
    first = statistics.median(each.first_byte_s for each in got) * 1000
    streams = per_stream_mb(one)
    return Row(
        begun.start_cpu_s,
        begun.idle_mb,
        begun.idle_cpu_ms,
        small,
        used_s / (total / 1e9),
        total / 1e6 / took_s,
        first,
        streams,
        p99_ms(one),
    )


def per_stream_mb(one: Contender) -> float:
    """Growth of memory with many downloads open whose readers take a little and then nothing."""
    before = one.memory_mb()
    with ExitStack() as stack:
        for _ in range(STREAMS):
            reader = stack.enter_context(serving_load.opened(one.content_url, receive_bytes=8192))
            reader.recv(1000)
        time.sleep(2)
        return (one.memory_mb() - before) / STREAMS


def p99_ms(one: Contender) -> float | None:
    """Of small answers while four clients download as fast as they can."""
    if not one.status_url:
        return None
    command = [sys.executable, str(LOAD), one.content_url, str(LATENCY_S)]
    loads = [subprocess.Popen(command) for _ in range(4)]
    try:
        time.sleep(0.5)
        times, until = list[float](), time.monotonic() + LATENCY_S - 1
        while time.monotonic() < until:
            times += serving_load.answer_times_s(one.status_url, 50, pause_s=0.005)
    finally:
        for each in loads:
            each.wait()
    return statistics.quantiles(times, n=100)[98] * 1000


# -- who is measured -------------------------------------------------------------------------------------------------


@contextmanager
def running(command: list[str], said_by: str, **options: object) -> Generator[tuple[int, str]]:
    """A process that prints its address, at the end of a line; its id and that."""
    process = subprocess.Popen(command, text=True, **{said_by: subprocess.PIPE}, **options)  # pyright: ignore
    try:
        output = process.stdout or process.stderr
        assert output is not None
        yield process.pid, output.readline().strip().rpartition(" ")[2]
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def small_server(kind: str, file: Path) -> Generator[Contender]:
    command = [sys.executable, str(measuring.PARTS / "serving_app.py"), kind, str(file)]
    with running(command, "stdout") as (pid, url):
        answers(f"{url}/status")
        yield Contender((pid,), f"{url}/status", f"{url}/content")


@contextmanager
def nginx(folder: Path, locations: str) -> Generator[tuple[int, str]]:
    """nginx in a folder of its own, as this user. Raises FileNotFoundError where it is not installed."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise FileNotFoundError
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers could not read our folder
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{ worker_connections 1024; }}\n"
        f"http {{ access_log off; sendfile on; keepalive_requests 1000000;\n"
        f"  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;\n"
        f"  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;\n"
        f"  server {{ listen 127.0.0.1:{port}; {locations} }} }}\n"
    )
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        yield process.pid, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def nginx_alone(file: Path) -> Generator[Contender]:
    with (
        tempfile.TemporaryDirectory() as folder,
        nginx(Path(folder), f"location / {{ root {file.parent}; }}") as (pid, url),
    ):
        answers(f"{url}/{file.name}", method="HEAD")
        yield Contender((pid,), None, f"{url}/{file.name}")


@contextmanager
def nginx_before_ours(file: Path) -> Generator[Contender]:
    with tempfile.TemporaryDirectory() as folder, small_server("accel", file) as behind:
        upstream = behind.content_url.removesuffix("/content")
        proxied = f"location / {{ proxy_pass {upstream}; proxy_http_version 1.1; }}"
        files = (
            f"location /files/ {{ internal; alias {file.parent}/; }} location /{DIRECT}/ {{ alias {file.parent}/; }}"
        )
        with nginx(Path(folder), f"{proxied} {files}") as (pid, url):
            answers(f"{url}/status")
            yield Contender((pid, *behind.pids), f"{url}/status", f"{url}/content")


@contextmanager
def rushes_serve(file: Path) -> Generator[Contender]:
    """The whole gateway, worker included: a video is bought from the far side, fetched, and served."""
    arguments = ["--job-seconds", "0", "--video-bytes", str(file.stat().st_size)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, measuring.far_side(*arguments) as far:
        home = Path(folder)
        (home / "rushes.toml").write_text("[gateway]\nrequests_per_second = 1000000\nrequests_burst = 1000000\n")
        environment = measuring.rushes_environment(home, far.url)
        command = [sys.executable, "-m", "rushes", "serve", "--port", "0"]
        with running(command, "stderr", env=environment, cwd=home) as (pid, url):
            if not url.startswith("http"):
                raise FileNotFoundError
            answers(f"{url}/health")
            yield Contender((pid,), f"{url}/v1/videos", f"{url}/v1/videos")


def with_a_video(one: Contender) -> Contender:
    """The gateway with the addresses of a video that it has made meanwhile."""
    body = json.dumps({"prompt": "a benchmark", "model": "sora-2", "seconds": "4", "size": "1280x720"}).encode()
    request = urllib.request.Request(one.content_url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        url = f"{one.content_url}/{json.load(reply)['id']}"

    def ended() -> bool:
        with urllib.request.urlopen(url, timeout=30) as reply:
            video = json.load(reply)
        if video["status"] == "failed":
            raise SystemExit(f"the video failed: {video.get('error')}")
        return video["status"] == "completed"

    until(ended, "no video came")
    return Contender(one.pids, url, f"{url}/content")


def share_of_nginx(file: Path) -> float:
    """The rate of a file through ours and nginx, as a part of the rate at which that nginx serves it by itself.

    One after the other, again and again: the rates of a loopback differ by more from one moment, and from one process,
    to the next.
    """
    with nginx_before_ours(file) as one:
        took: dict[str, list[float]] = {one.content_url: [], one.content_url.replace("/content", f"/{DIRECT}"): []}
        for url in (*took, *list(took) * ROUNDS):
            took[url].append(serving_load.downloaded(f"{url}/{file.name}" if url.endswith(DIRECT) else url).took_s)
        in_front_s, alone_s = (statistics.median(each[1:]) for each in took.values())
    return alone_s / in_front_s


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str, method: str = "GET") -> None:
    def once() -> bool:
        try:
            request = urllib.request.Request(url, method=method)
            with urllib.request.urlopen(request, timeout=5):
                return True
        except (OSError, urllib.error.URLError):
            return False

    until(once, f"{url} does not answer")


def until(done: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + GIVE_UP_S
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(otherwise)
        time.sleep(0.02)


# -- the table -------------------------------------------------------------------------------------------------------

OURS, IN_FRONT = "rushes serve", "nginx before ours"
WITHIN = "our server and files"
CONTENDERS: dict[str, Callable[[Path], object]] = {
    OURS: rushes_serve,
    WITHIN: lambda file: small_server("ours", file),
    "uvicorn, Starlette": lambda file: small_server("uvicorn", file),
    "granian, pathsend": lambda file: small_server("granian", file),
    IN_FRONT: nginx_before_ours,
    "nginx": nginx_alone,
}


def rows(file: Path, names: list[str]) -> Iterator[tuple[str, Row | None]]:
    for name in names:
        try:
            with CONTENDERS[name](file) as one:  # pyright: ignore
                begun = fresh(one)
                yield name, measured(with_a_video(one) if name == OURS else one, begun)
        except FileNotFoundError:
            yield name, None


def shown(number: float | None) -> str:
    return f"{'-':>10}" if number is None else f"{number:>10.2f}"


def told(name: str, row: Row) -> None:
    numbers = (
        row.start_cpu_s,
        row.idle_mb,
        row.idle_cpu_ms,
        row.small_cpu_ms,
        row.content_s_per_gb,
        row.content_mb_s,
        row.first_byte_ms,
        row.stream_mb,
        row.p99_ms,
    )
    print(f"{name:<21}", *map(shown, numbers), flush=True)


def judged(found: dict[str, Row]) -> None:
    ours = found.get(OURS) or found.get(WITHIN)
    if ours is None:
        return
    whole = OURS in found
    print(f"\nBars, for {OURS if whole else WITHIN}:")
    bars = [
        ("CPU s to start", ours.start_cpu_s, 2.0),
        ("MB idle", ours.idle_mb, 180.0),
        ("CPU ms for a status", ours.small_cpu_ms or 0.0, 0.5),
        ("CPU s for each GB of content", ours.content_s_per_gb, 1.2),
        ("ms to the first byte", ours.first_byte_ms, 20.0),
        ("MB for each open stream", ours.stream_mb, 2.0),
        ("ms for 99 of 100 statuses during four downloads", ours.p99_ms or 0.0, 50.0),
    ]
    for what, got, bar in bars:
        print(f"bar: at most {bar:g} {what}: {measuring.verdict(got <= bar)} with {got:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} cores; a file of {FILE_BYTES / 1e6:.0f} MB")
    print(f"{'':<21}", *(f"{head:>10}" for head in HEADS), flush=True)
    found: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "video.mp4"
        with file.open("wb") as out:
            for _ in range(FILE_BYTES // 1_000_000):
                out.write(os.urandom(1_000_000))
        for name, row in rows(file, chosen.only):
            if row is None:
                print(f"{name:<21} is not installed here, or does not start: left out", flush=True)
                continue
            found[name] = row
            told(name, row)
        judged(found)
        if IN_FRONT in found and "nginx" in found:
            share = share_of_nginx(file)
            print(
                f"bar: through nginx at least 0.8 of its rate alone: {measuring.verdict(share >= 0.8)} with {share:.2f}"
            )


if __name__ == "__main__":
    main()
