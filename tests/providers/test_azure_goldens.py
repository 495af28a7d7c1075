"""Every kind of create, as it goes to Azure: each compared with a file in `goldens/azure/`, to the letter.

The files hold the request line, the headers that matter, and the body with its boundary written as `B`. Written by
hand beside Microsoft's `OpenAI.v1/azure-v1-preview-generated.yaml` and what promptfoo 0.121 and LiteLLM 1.109 send.
There is no switch to write them anew: a change on the wire is made by hand in both places.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rushes.config import ProviderSettings
from rushes.providers.azure.provider import Azure
from rushes.providers.catalog import Catalog, read_table
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.server import Answer, Exchange, FakeServer, Received
from rushes.video import Crop, MediaRef, ModelId, Reference, Size, SourceKind, SourceVideo, VideoRequest

GOLDENS = Path(__file__).parent / "goldens" / "azure"
HEADERS = ("api-key", "authorization", "content-type", "idempotency-key")

PICTURE = MediaRef(sha256="p", mime="image/png", size_bytes=7, width=1280, height=720)
PHOTO = MediaRef(sha256="f", mime="image/jpeg", size_bytes=5, width=800, height=800)
CLIP = MediaRef(sha256="c", mime="video/mp4", size_bytes=4, width=1280, height=720, seconds=3.0)
BYTES = {"p": b"PICTURE", "f": b"PHOTO", "c": b"CLIP"}
REMIX = SourceVideo(kind=SourceKind.REMIX, video_id="ours", size=Size(1280, 720), seconds=8, remote_id="video_1")


class Recorder(FakeServer):
    """Keeps what comes and says yes; the sign-in too."""

    def serve(self, received: Received, exchange: Exchange) -> None:
        self.requests.append(received)
        token = {"access_token": "TOKEN", "expires_in": 3599, "token_type": "Bearer"}
        job = {"id": "task_1", "status": "queued"}
        exchange.send(Answer.json(token if received.path.endswith("/token") else job))


class Held(Inputs):
    async def read(self, ref: MediaRef) -> bytes:
        return BYTES[ref.sha256]


@dataclass(frozen=True)
class Case:
    name: str
    model: str = "sora"
    request: dict[str, Any] = field(default_factory=dict[str, Any])
    section: dict[str, Any] = field(default_factory=dict[str, Any])
    variables: dict[str, str] = field(default_factory=lambda: {"AZURE_OPENAI_API_KEY": "K"})
    nth: int = 0  # of the requests that were sent


SECRET = {"AZURE_TENANT_ID": "contoso.example", "AZURE_CLIENT_ID": "app-1", "AZURE_CLIENT_SECRET": "s/3"}
FILM = {"film-eu": {"model": "sora", "api": "jobs"}, "film-2": {"model": "sora-2", "api": "videos"}}
OLD = {"film-eu": {"model": "sora", "wire_model": "sora"}}
CROPPED = Reference(media=PHOTO, frame_index=30, crop=Crop(left=0.25, bottom=0.5))

CASES = [
    Case("jobs-text"),
    Case("jobs-bearer", variables=SECRET, nth=1),
    Case("sign-in", variables=SECRET),
    Case(
        "jobs-variants",
        request={
            "prompt": "Zwei Katzen „spielen“ 🐈",
            "size": Size(480, 854),
            "seconds": 20,
            "extra": {"n_variants": 4},
        },
    ),
    Case("jobs-own-name", "film-eu", section={"deployments": FILM, "api_version": "v1"}),
    Case("jobs-older-clients", "film-eu", section={"deployments": OLD}),
    Case("jobs-first-frame", request={"first_frame": PICTURE}),
    Case("jobs-both-ends", request={"first_frame": PICTURE, "last_frame": PICTURE}),
    Case("jobs-crop", request={"references": (CROPPED,), "seconds": 10, "extra": {"n_variants": 2}}),
    Case("jobs-clip", request={"references": (Reference(media=CLIP, frame_index=0),)}),
    Case("videos-create", "sora-2"),
    Case("videos-own-name", "film-2", {"seconds": 4}, section={"deployments": FILM, "api_version": "v1"}),
    Case("videos-first-frame", "sora-2", {"seconds": 4, "first_frame": PICTURE}),
    Case("videos-remix", "sora-2", {"source": REMIX}),
]


@pytest.mark.anyio
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_create_goes_over_the_wire_to_the_letter(case: Case, tmp_path: Path) -> None:
    with Recorder() as server:
        section = ProviderSettings.model_validate({"base_url": server.url, **case.section})
        variables = {"AZURE_AUTHORITY_HOST": server.url, **case.variables}
        inputs = Held(tmp_path)
        async with opened(Azure, folder=tmp_path, environment=variables, section=section, inputs=inputs) as provider:
            model_id = ModelId("azure", case.model)
            model = provider.model_of(model_id, Catalog().merged(read_table("azure")))
            assert model is not None
            wish: dict[str, Any] = {"prompt": "A cat", **case.request}
            await provider.submit(prepared(VideoRequest(model=model_id, **wish), model), "key-1")

    assert told(server.requests[case.nth]) == (GOLDENS / f"{case.name}.txt").read_text(encoding="utf-8")


def test_no_golden_is_left_over() -> None:
    assert {path.stem for path in GOLDENS.glob("*.txt")} == {case.name for case in CASES}


def told(request: Received) -> str:
    boundary = request.headers["content-type"].partition("boundary=")[2]
    headers = [f"{name}: {request.headers[name]}" for name in HEADERS if name in request.headers]
    text = "\n".join([f"{request.method} {request.raw_path}", *headers, "", request.body.decode()])
    text = text.replace(boundary, "B") if boundary else text
    return text.replace("\r\n", "\n").rstrip("\n") + "\n"
