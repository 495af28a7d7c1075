"""`rushes serve`: it says where it serves, why it cannot, and ends in order; several processes share one address."""

import json
import os
import signal
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CommandLine
from tests.running import Running

PATIENCE_S = 60.0
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is refused


def asked(url: str, body: dict[str, Any] | None = None) -> Any:
    """The JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return json.load(answer)


def address(process: Running) -> str:
    process.until_it_says("Serving on")
    return process.stderr.partition("Serving on ")[2].split()[0]


def children_of(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_it_makes_a_video_for_who_asks_and_ends_when_it_is_told_to(rushes: CommandLine) -> None:
    with Running(rushes.start("serve", "--port", "0")) as server:
        url = address(server)
        video = asked(f"{url}/v1/videos", {"prompt": "A fox", "size": "320x180", "seconds": "1"})
        deadline = time.monotonic() + PATIENCE_S
        while (now := asked(f"{url}/v1/videos/{video['id']}"))["status"] != "completed":
            assert time.monotonic() < deadline, now
            time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)

        assert server.ended() == 0
        assert "Traceback" not in server.stderr
    listed = json.loads(rushes.run("videos", "list", "--json").stdout)
    assert [each["id"] for each in listed] == [video["id"]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", EVERYWHERE], ["0.0.0.0 can be reached from other machines", "rushes keys create NAME"]),
        (["--trust-proxy"], ["A proxy brings others here", "rushes keys create NAME"]),
        (["--workers", "2"], ["--workers needs PostgreSQL"]),
        (["--ssl-certfile", "/etc/hostname"], ["/etc/hostname cannot be used for TLS"]),
        (["--ssl-keyfile", "/etc/hostname"], ["--ssl-keyfile needs --ssl-certfile"]),
        (["--host", "nowhere.invalid"], ["nowhere.invalid"]),
    ],
)
def test_what_it_cannot_do_is_said_in_a_line(rushes: CommandLine, options: list[str], words: list[str]) -> None:
    said = rushes.run("serve", "--port", "0", *options)

    assert said.returncode == 1
    assert said.stderr.count("\n") == 1, said.stderr
    assert all(word in said.stderr for word in words), said.stderr


def test_an_address_that_is_taken_is_named(rushes: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = rushes.run("serve", "--port", str(port))

    assert said.returncode == 1
    assert f"Something listens on 127.0.0.1 port {port} already" in said.stderr


def test_several_processes_share_an_address_and_one_that_dies_is_replaced(
    rushes: CommandLine, empty_postgres_url: str
) -> None:
    rushes.env["RUSHES_DATABASE_URL"] = empty_postgres_url
    assert rushes.run("db", "upgrade").returncode == 0
    with Running(rushes.start("serve", "--port", "0", "--workers", "2", "--no-worker")) as server:
        url = address(server)
        before = children_of(server.process.pid)
        ids = [asked(f"{url}/v1/videos", {"prompt": f"Fox {n}"})["id"] for n in range(6)]
        os.kill(before[0], signal.SIGKILL)
        server.until_it_says("gateway.process_lost")
        deadline = time.monotonic() + PATIENCE_S
        while len(children_of(server.process.pid)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)

        assert len(before) == 2
        assert {asked(f"{url}/v1/videos/{video_id}")["status"] for video_id in ids} == {"queued"}
        server.process.send_signal(signal.SIGTERM)
        assert server.ended() == 0
