"""The drivers speak for the real SDKs: each scenario says what its package does, tried on the protocol fake."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rushes.testing import clips
from rushes.testing.fake_openai import FakeOpenAI
from tests.gateway.sdk.clients import ALL, Line, Sdk, run_node, run_python

WANTED = {"model": "sora-2", "size": "1280x720", "seconds": "4"}
RECENT = [sdk for sdk in ALL if sdk.version != "2.20.0"]  # with edits, extensions and characters


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.05, poll_after_ms=20) as fake:
        yield fake


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("files") / "first.png"
    path.write_bytes(clips.picture(1280, 720, "PNG"))
    return str(path)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("files") / "clip.mp4"
    path.write_bytes(clips.clip(1280, 720, 4.0, fps=10))
    return str(path)


def each(sdks: "list[Sdk] | tuple[Sdk, ...]") -> Any:
    return pytest.mark.parametrize("sdk", sdks, ids=[sdk.name for sdk in sdks])


def finished_job(sdk: Sdk, fake: FakeOpenAI) -> str:
    _, made = sdk.run("create_text", fake.base_url, fake.api_key or "", **WANTED)
    fake.finish()
    return made["video"]["id"]


def run(sdk: Sdk, fake: FakeOpenAI, *steps: tuple[str, dict[str, Any]]) -> list[Line]:
    first, *lines = sdk.run_all(steps, fake.base_url, fake.api_key or "")

    assert first["version"].startswith(sdk.version)
    return lines


@each(ALL)
def test_a_job_from_its_creation_to_its_removal(sdk: Sdk, fake: FakeOpenAI) -> None:
    video_id = finished_job(sdk, fake)
    of_it = {"video_id": video_id}
    steps = (
        "retrieve",
        "retrieve_raw",
        "download",
        "download_streaming",
        "thumbnail",
        "spritesheet",
        "remix",
        "delete",
    )

    found = run(sdk, fake, *((step, of_it) for step in steps), ("missing", of_it))

    retrieved, raw, video, streamed, thumbnail, spritesheet, remixed, deleted, missing = found
    assert retrieved["video"]["status"] == raw["body"]["status"] == "completed"
    assert retrieved["request_id"].startswith("req_")
    assert raw["headers"]["openai-poll-after-ms"] == "20"
    assert (video["mime"], video["sha256"]) == (streamed["mime"], streamed["sha256"])
    assert bytes.fromhex(video["start"])[4:8] == b"ftyp"
    assert [thumbnail["mime"], spritesheet["mime"]] == ["image/webp", "image/jpeg"]
    assert remixed["video"]["remixed_from_video_id"] == video_id
    assert deleted["deleted"]["deleted"] is True
    assert (missing["error"]["class"], missing["error"]["status_code"]) == ("NotFoundError", 404)


@each(ALL)
def test_lists_are_paged_by_the_package_itself(sdk: Sdk, fake: FakeOpenAI) -> None:
    run(sdk, fake, *[("create_text", WANTED)] * 3)
    everything = list(reversed(fake.jobs))

    *pages, iterated = run(sdk, fake, ("list_all", {"limit": 2}), ("list_iterate", {"limit": 2}))

    assert [video_id for page in pages for video_id in page["ids"]] == everything
    assert len(pages) == -(-len(everything) // 2)
    assert iterated["ids"] == everything


@each(ALL)
def test_creates_in_the_forms_that_each_package_has(sdk: Sdk, fake: FakeOpenAI, picture: str) -> None:
    with_picture = {**WANTED, "file": picture}
    url = "data:image/png;base64," + base64.b64encode(Path(picture).read_bytes()).decode()

    made = run(sdk, fake, ("create_file", with_picture), ("create_object", {**WANTED, "image_url": url}))

    assert made[0]["video"]["status"] == "queued"
    if sdk.language == "node":
        assert made[1]["video"]["status"] == "queued"
        refused = run(sdk, fake, ("create_stream", with_picture))  # the fake refuses octet streams, as the vendor did
    else:
        assert made[1]["error"]["class"] == "RuntimeError"  # nothing was sent
        handle, forced, *refused = run(
            *(sdk, fake, ("create_handle", with_picture), ("create_json", {**WANTED, "image_url": url})),
            ("create_bytes", with_picture),
        )
        assert handle["video"]["status"] == forced["video"]["status"] == "queued"
    assert "octet-stream" in refused[0]["error"]["message"]


@each([sdk for sdk in ALL if sdk.language == "python"])
def test_the_python_package_polls_to_the_end(sdk: Sdk, fake: FakeOpenAI) -> None:
    (made,) = run(sdk, fake, ("create_and_poll", {**WANTED, "poll_interval_ms": 10}))
    (polled,) = run(sdk, fake, ("poll", {"video_id": made["video"]["id"]}))

    assert made["video"]["status"] == polled["video"]["status"] == "completed"
    assert fake.requests[-1].headers["x-stainless-poll-helper"] == "true"


@each(RECENT)
def test_edits_extensions_and_characters(sdk: Sdk, fake: FakeOpenAI, clip: str) -> None:
    from_file = {"file": clip, "extra_body": {"model": "sora-2"}}
    of_it = {"video_id": finished_job(sdk, fake)}
    by_id = ("edit_post", of_it) if sdk.language == "python" else ("edit_id", of_it)

    *made, extended, character = run(
        *(sdk, fake, ("edit_file", from_file), ("extend_file", from_file), by_id),
        *(("extend_id", of_it), ("create_character", {"file": clip, "name": "Mira"})),
    )

    assert [line["video"]["object"] for line in made] == ["video"] * 3
    assert ("error" in extended) == (sdk.language == "python")  # it cannot send a name for a video
    (found,) = run(sdk, fake, ("get_character", {"character_id": character["character"]["id"]}))
    assert found["character"]["name"] == "Mira"


@each(ALL)
def test_refusals_are_told_with_class_and_field(sdk: Sdk, fake: FakeOpenAI) -> None:
    key, seconds = run(sdk, fake, ("wrong_key", {}), ("bad_seconds", WANTED))

    assert (key["error"]["class"], key["error"]["code"]) == ("AuthenticationError", "invalid_api_key")
    assert (seconds["error"]["class"], seconds["error"]["param"]) == ("BadRequestError", "seconds")


@each(ALL)
def test_the_azure_class_asks_in_its_own_way(sdk: Sdk, fake: FakeOpenAI) -> None:
    sdk.run("retrieve", fake.url, "secret", azure=True, video_id="video_1", api_version="v9")
    received = fake.requests[-1]

    assert received.raw_path == "/openai/videos/video_1?api-version=v9"
    assert received.headers["api-key"] == "secret"
    # 2.20 sends the key both ways; the others do not.
    assert received.headers.get("authorization") == ("Bearer secret" if sdk.version == "2.20.0" else None)


@each(ALL)
def test_webhooks_are_verified_by_the_package(sdk: Sdk, fake: FakeOpenAI) -> None:
    payload = json.dumps({"id": "evt_1", "object": "event", "type": "video.completed", "data": {"id": "video_1"}})
    now, key = str(int(time.time())), b"0123456789abcdef"
    signature = base64.b64encode(hmac.new(key, f"wh_1.{now}.{payload}".encode(), hashlib.sha256).digest()).decode()
    headers = {"webhook-id": "wh_1", "webhook-timestamp": now, "webhook-signature": f"v1,{signature}"}
    secret = f"whsec_{base64.b64encode(key).decode()}"
    signed = {"payload": payload, "headers": headers, "secret": secret}

    good, forged = run(sdk, fake, ("unwrap", signed), ("unwrap", {**signed, "payload": payload + " "}))

    assert (good["type"], good["data_id"]) == ("video.completed", "video_1")
    assert forged["error"]["class"] == "InvalidWebhookSignatureError"


def test_one_scenario_can_be_run_by_name(fake: FakeOpenAI) -> None:
    key = fake.api_key or ""

    assert [line["call"] for line in run_python("2.54.0", "missing", fake.base_url, key)] == ["version", "missing"]
    assert [line["call"] for line in run_node("missing", fake.base_url, key)] == ["version", "missing"]
