"""What LiteLLM and promptfoo really send, in its order, to the real gateway: each call gets what its client reads.

`make compat` runs the packages themselves, and `scripts/compat.py --record` records these requests. Ids in them stand
for the n-th video that was made before; they are replaced by those that this gateway gives.
"""

import http.client
import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from anyio.from_thread import start_blocking_portal

from rushes.testing.fake_openai import FakeOpenAI
from tests.gateway.running import running

RECORDED = Path(__file__).parent / "recorded" / "compat"
SERIES = sorted({path.name.rpartition("-")[0].rpartition("-")[0] for path in RECORDED.glob("*.http")})
PLACE = re.compile(rb"(video|char)_0{24}(\d{8})")
BROUGHT = b"char_" + b"0" * 32
TIMEOUT_S = 60.0

SETTINGS = """
[aliases]
"sora-2" = "mybox:video:sora-2"

[providers.mybox]
kind = "openai"
base_url = "{base_url}"
api_key_required = false
usd_per_second = "0"
"""


@dataclass(frozen=True)
class Answer:
    status: int
    mime: str
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        assert self.status == 200, self.body
        assert self.mime == "application/json"
        return json.loads(self.body)


@dataclass
class Replay:
    """A client of one gateway; the ids that it was given, in their order."""

    url: str
    ids: dict[str, list[str]] = field(default_factory=lambda: {"video": [], "char": []})

    def send(self, recorded: bytes) -> Answer:
        """A recorded request with this gateway's ids and name. Ids are as long as those that stand for them."""
        where = urlsplit(self.url)
        request = PLACE.sub(self._known, recorded).replace(b"gateway.example", where.netloc.encode(), 1)
        with socket.create_connection((where.hostname, where.port), timeout=TIMEOUT_S) as connection:
            connection.sendall(request)
            reply = http.client.HTTPResponse(connection, method=request.partition(b" ")[0].decode())
            reply.begin()
            answer = Answer(reply.status, reply.getheader("content-type", ""), reply.read())
        if request.startswith(b"POST"):
            made = str(answer.said["id"])
            self.ids[made.partition("_")[0]].append(made)
        return answer

    def _known(self, place: re.Match[bytes]) -> bytes:
        number = int(place[2])
        return self.ids[place[1].decode()][number - 1].encode()

    def until(self, recorded: bytes, over: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
        """Ask again, as the client does, until it is over."""
        deadline = time.monotonic() + TIMEOUT_S
        while not over(said := self.send(recorded).said):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        return said


@pytest.fixture
def replay(series: str, tmp_path: Path) -> Iterator[Replay]:
    """A gateway with draft behind; for promptfoo, which asks for no less than 720p, with a far side that is quick."""
    with ExitStack() as stack:
        settings = ""
        if series.startswith("promptfoo"):
            far_side = stack.enter_context(FakeOpenAI(job_s=0.05, strict=False, api_key=None))
            settings = SETTINGS.format(base_url=far_side.base_url)
        portal = stack.enter_context(start_blocking_portal())
        serving = running(tmp_path / "home", settings)
        yield Replay(stack.enter_context(portal.wrap_async_context_manager(serving)).url)


def is_video(video: Mapping[str, Any]) -> None:
    """The Video object, with the types that LiteLLM validates and promptfoo counts on."""
    assert video["object"] == "video"
    assert isinstance(video["id"], str)
    assert isinstance(video["created_at"], int)
    assert isinstance(video["progress"], int)
    assert isinstance(video["seconds"], str)
    assert re.fullmatch(r"\d+x\d+", video["size"])
    assert video["status"] in ("queued", "in_progress", "completed")
    assert video["error"] is None


def is_job(job: Mapping[str, Any]) -> None:
    assert job["object"] == "video.generation.job"
    assert isinstance(job["id"], str)
    assert job["status"] in ("preprocessing", "queued", "running", "processing", "succeeded")


def is_character(character: Mapping[str, Any]) -> None:
    assert character["id"].startswith("char_")
    assert character["name"] == "Mira"
    assert isinstance(character["created_at"], int)


def is_page(page: Mapping[str, Any]) -> None:
    assert page["object"] == "list"
    assert [page["first_id"], page["last_id"]] == [page["data"][0]["id"], page["data"][-1]["id"]]
    assert isinstance(page["has_more"], bool)
    for video in page["data"]:
        is_video(video)


def is_file(answer: Answer, mime: str, mark: bytes) -> None:
    assert (answer.status, answer.mime) == (200, mime)
    assert mark in answer.body[:12]


def checked(call: str, recorded: bytes, replay: Replay) -> None:
    """Send a request, and see that the answer has what the client reads from it."""
    match call:
        case "get_videos_id":
            is_video(replay.until(recorded, lambda video: video["status"] not in ("queued", "in_progress")))
        case "get_video_generations_jobs_id":
            job = replay.until(recorded, lambda job: job["status"] in ("succeeded", "failed", "cancelled"))
            is_job(job)
            assert job["generations"][0]["id"]
        case "get_videos_id_content" | "get_video_generations_id_content_video":
            is_file(replay.send(recorded), "video/mp4", b"ftyp")
        case "get_videos_id_content_thumbnail":
            is_file(replay.send(recorded), "image/webp", b"WEBP")
        case "get_videos_id_content_spritesheet":
            is_file(replay.send(recorded), "image/jpeg", b"\xff\xd8\xff")
        case "get_videos":
            is_page(replay.send(recorded).said)
        case "post_videos_characters" | "get_videos_characters_id":
            is_character(replay.send(recorded).said)
        case "post_video_generations_jobs":
            is_job(replay.send(recorded).said)
        case _:
            assert call in CREATES
            is_video(replay.send(recorded).said)


CREATES = {
    "post_videos_form",
    "post_videos_file",
    "post_videos_json",
    "post_videos_id_remix",
    "post_videos_edits",
    "post_videos_extensions",
}
LOOKS = {"get_videos_id", "get_videos_id_content", "get_videos_id_content_thumbnail"}
FORMS = CREATES - {"post_videos_json"}
CALLS = {
    "litellm-openai": FORMS | LOOKS | {"get_videos", "post_videos_characters", "get_videos_characters_id"},
    "litellm-azure": FORMS | LOOKS | {"get_videos", "post_videos_characters", "get_videos_characters_id"},
    "promptfoo-openai": LOOKS
    | {"post_videos_form", "post_videos_json", "post_videos_id_remix", "get_videos_id_content_spritesheet"},
    "promptfoo-azure": {
        "post_video_generations_jobs",
        "get_video_generations_jobs_id",
        "get_video_generations_id_content_video",
    },
}


def requests_of(series: str) -> list[tuple[str, bytes]]:
    """Each request of a client, with the name of the call, in the order in which they were made."""
    paths = sorted(RECORDED.glob(f"{series}-*.http"))
    return [(path.stem.rpartition("-")[2], path.read_bytes()) for path in paths]


@pytest.mark.parametrize("series", SERIES)
def test_a_client_gets_what_it_reads_from_each_call(series: str, replay: Replay) -> None:
    requests = requests_of(series)
    if any(BROUGHT in request for _, request in requests):  # promptfoo makes no characters, it only names them
        [other] = [each for each in SERIES if re.fullmatch(r"litellm-.*-openai", each)]
        [maker] = [request for call, request in requests_of(other) if call == "post_videos_characters"]
        brought = replay.send(maker).said["id"].encode()
        requests = [(call, request.replace(BROUGHT, brought)) for call, request in requests]

    for call, request in requests:
        checked(call, request, replay)


def test_every_call_of_every_client_was_recorded() -> None:
    recorded = {re.sub(r"-[\d.]+-", "-", series): {call for call, _ in requests_of(series)} for series in SERIES}

    assert recorded == CALLS


def test_the_recordings_hold_no_key_and_no_address() -> None:
    for series in SERIES:
        for call, request in requests_of(series):
            head = request.partition(b"\r\n\r\n")[0].lower()
            assert b"host: gateway.example" in head, call
            assert b"sk-recorded" in head, call
            assert b"127.0.0.1" not in request, call
