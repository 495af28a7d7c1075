"""What the official SDKs really send, byte for byte through a real server: each way of saying a thing means the same.

`scripts/record_clients.py` recorded the requests, from four releases of the two SDKs.
"""

import json
import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rushes.gateway.brackets import digest_of
from rushes.gateway.forms import FormLimits, kind_of, read_form
from rushes.gateway.problems import Problem
from tests.gateway.bodies import left_in
from tests.running import until

RECORDED = Path(__file__).parent / "recorded"
REQUESTS = sorted(RECORDED.glob("*.http"))
LIMITS = FormLimits(body_bytes=50_000_000, file_bytes=20_000_000, timeout_s=1)

CREATE = {"prompt": "A lighthouse at dusk", "model": "sora-2", "seconds": "8", "size": "1280x720"}
PROMPT = {"prompt": "A lighthouse at dusk"}
SOURCE = {"video": {"id": "video_" + "5" * 32}}
URL = {"input_reference": {"image_url": "data:image/png;base64,iVBORw0KGgo="}}
EXTRA = {"characters": [{"id": "char_1"}, {"id": "char_2"}], "seed": "7", "generate_audio": "true", "guidance": "7.5"}
FIRST = ("input_reference", "first.png", "image/png", "image/png")
CLIP = ("video", "clip.mp4", "video/mp4", "video/mp4")

EXPECTED: dict[str, tuple[dict[str, Any], list[tuple[str, str, str, str]]]] = {
    "create_text": (CREATE, []),
    "create_number": (CREATE, []),
    "create_file": (CREATE, [FIRST]),
    "create_handle": (CREATE, [FIRST]),
    "create_bytes": (CREATE, [("input_reference", "upload", "application/octet-stream", "image/png")]),
    "create_stream": (CREATE, [("input_reference", "first.png", "application/octet-stream", "image/png")]),
    "create_object": (CREATE | URL, []),
    "create_json": (CREATE | URL, []),
    "create_file_id": (CREATE | {"input_reference": {"file_id": "file-1"}}, []),
    "create_extra": (CREATE | EXTRA, []),
    "remix": (PROMPT, []),
    "edit_file": (PROMPT | {"model": "sora-2"}, [CLIP]),
    "edit_id": (PROMPT | SOURCE, []),
    "edit_post": (PROMPT | SOURCE, []),
    "extend_file": (PROMPT | {"seconds": "4"}, [CLIP]),
    "extend_id": (PROMPT | SOURCE | {"seconds": "4"}, []),
    "create_character": ({"name": "Mira"}, [CLIP]),
    "delete": ({}, []),
}
"""Fields, and for each file: its field, its name, the type that the client says, and what it is."""


@dataclass
class Door:
    """A server that reads each body and tells what it understood."""

    spool: Path
    port: int = 0
    problems: list[Problem] = field(default_factory=list[Problem])

    async def answer(self, request: Request) -> Response:
        try:
            async with read_form(request, LIMITS, self.spool) as form:
                files = [(each.field, each.name, each.mime, kind_of(each).mime) for each in form.uploads]
                sums = [(each.field, each.sha256) for each in form.uploads]
                return JSONResponse({"digest": form.digest, "files": files, "sums": sums})
        except Problem as problem:
            self.problems.append(problem)
            return JSONResponse({"error": problem.message}, problem.status)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def tell(self, request: bytes) -> tuple[int, dict[str, Any]]:
        with self.connect() as connection:
            connection.sendall(request)
            return read_answer(connection)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    with connection.makefile("rb") as lines:
        status = int(lines.readline().split()[1])
        length = 0
        while line := lines.readline().strip().lower():
            length = int(line.partition(b":")[2]) if line.startswith(b"content-length") else length
        return status, json.loads(lines.read(length))


@contextmanager
def serving(door: Door) -> Generator[None]:
    app = Starlette(routes=[Route("/{path:path}", door.answer, methods=["POST", "DELETE"])])
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none", loop="asyncio"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        door.port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    door = Door(tmp_path_factory.mktemp("spool"))
    with serving(door):
        yield door


def scenario_of(path: Path) -> str:
    return path.stem.rpartition("-")[2]


@pytest.mark.parametrize("path", REQUESTS, ids=[path.stem for path in REQUESTS])
def test_each_request_of_a_real_sdk_means_what_was_called(path: Path, door: Door) -> None:
    fields, files = EXPECTED[scenario_of(path)]

    status, said = door.tell(path.read_bytes())

    assert status == 200, said
    assert [tuple(each) for each in said["files"]] == files
    assert said["digest"] == digest_of(fields, [(each[0], each[1]) for each in said["sums"]])
    assert left_in(door.spool) == []


def test_every_scenario_was_recorded_from_both_languages() -> None:
    recorded = {(path.stem.partition("-")[0], scenario_of(path)) for path in REQUESTS}

    assert {scenario for _, scenario in recorded} == set(EXPECTED)
    assert {("python", "create_bytes"), ("node", "create_stream"), ("node", "create_object")} <= recorded


def test_one_request_means_the_same_from_every_release_of_every_sdk(door: Door) -> None:
    for scenario in ("create_text", "create_file", "create_extra", "edit_file"):
        told = [door.tell(path.read_bytes())[1]["digest"] for path in REQUESTS if scenario_of(path) == scenario]

        assert len(told) >= 3
        assert len(set(told)) == 1


def test_a_client_that_hangs_up_in_the_middle_of_a_file_leaves_nothing_on_disk(door: Door) -> None:
    head, _, body = (RECORDED / "python-3-create_file.http").read_bytes().partition(b"\r\n\r\n")
    chunked = b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length"))
    start = body[: body.index(b"\x89PNG") + 8] + b"x" * 1_000_000
    told = len(door.problems)

    with door.connect() as connection:
        connection.sendall(chunked + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n" % (len(start), start))
        until(lambda: len(left_in(door.spool)) == 2)
    until(lambda: len(door.problems) > told)

    assert door.problems[-1].error_code == "disconnected"
    assert left_in(door.spool) == []


def test_a_client_that_only_trickles_is_sent_away(door: Door) -> None:
    request = (RECORDED / "python-3-create_text.http").read_bytes()
    began = time.monotonic()

    with door.connect() as connection:
        connection.sendall(request[:-100])
        status, _ = read_answer(connection)

    assert status == 408
    assert time.monotonic() - began < 10


def test_a_body_that_announces_too_much_is_refused_before_it_is_sent(door: Door) -> None:
    status, _ = door.tell(b"POST /v1/videos HTTP/1.1\r\nhost: a\r\ncontent-length: 50000001\r\n\r\n")

    assert status == 413
