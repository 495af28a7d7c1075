"""Every kind of request, as it goes over the wire: each compared with a file in `goldens/openai/`, to the letter.

The files hold the request line, the headers that matter, and the body with its boundary written as `B`. Read beside
OpenAI's OpenAPI document of 2026-08-21 and what its packages send (Python 3.52, Node 6.49). There is no switch to
write them anew: a change on the wire is made by hand in both places.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rushes.config import ProviderSettings
from rushes.providers.catalog import open_model, read_table
from rushes.providers.openai.provider import OpenAI
from rushes.providers.prepare import Prepared
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.server import Answer, Exchange, FakeServer, Received
from rushes.video import MediaRef, ModelId, Size, SourceKind, SourceVideo, VideoRequest

GOLDENS = Path(__file__).parent / "goldens" / "openai"
HEADERS = ("content-type", "idempotency-key")
SIZE = Size(1280, 720)
SORA = ModelId("openai", "sora-2")
WAN = ModelId("openai", "wan-2.2/t2v:fp8")
ODD_ID = "video_bGl0/ZWxs+bQ=="
EXTRA: dict[str, Any] = {"fps": 16, "lora": {"name": "ink"}, "sound": True, "left_out": None}

PICTURE = MediaRef(sha256="p", mime="image/png", size_bytes=7, width=1280, height=720)
CLIP = MediaRef(sha256="c", mime="video/mp4", size_bytes=4, width=1280, height=720, seconds=3.0)
BYTES = {"p": b"PICTURE", "c": b"CLIP"}


class Recorder(FakeServer):
    """Keeps what comes and says yes."""

    def serve(self, received: Received, exchange: Exchange) -> None:
        self.requests.append(received)
        exchange.send(Answer.json({"id": "video_1", "object": "video", "status": "queued"}))


class Held(Inputs):
    async def read(self, ref: MediaRef) -> bytes:
        return BYTES[ref.sha256]


def asked(model_id: ModelId = SORA, prompt: str = "A cat", **changes: Any) -> Prepared:
    known = {model.id: model for model in read_table("openai")}
    model = known.get(model_id) or open_model(model_id, None)
    return prepared(VideoRequest(prompt=prompt, model=model_id, **changes), model)


def made_from(kind: SourceKind, remote_id: str | None = "video_1", media: MediaRef | None = None) -> SourceVideo:
    return SourceVideo(kind=kind, video_id="ours", size=SIZE, seconds=8, remote_id=remote_id, media=media)


@dataclass(frozen=True)
class Case:
    name: str
    asked: Prepared
    section: dict[str, Any] = field(default_factory=dict[str, Any])


MULTIPART = {"encoding": "multipart"}
JSON = {"encoding": "json"}
REMIX, EDIT, EXTEND = SourceKind.REMIX, SourceKind.EDIT, SourceKind.EXTEND

CASES = [
    Case("create", asked(prompt='Zwei Katzen „spielen"\nam Fluß 🐈', seconds=4)),
    Case("create-first-frame", asked(seconds=4, first_frame=PICTURE)),
    Case("create-characters", asked(seconds=4, characters=("char_1", "char_2"))),
    Case("create-characters-first-frame", asked(seconds=4, characters=("char_1",), first_frame=PICTURE)),
    Case("create-characters-multipart", asked(seconds=4, characters=("char_1", "char_2")), MULTIPART),
    Case("create-json", asked(prompt='Zwei Katzen „spielen"\nam Fluß 🐈', seconds=4), JSON),
    Case("create-first-frame-json", asked(seconds=4, first_frame=PICTURE), JSON),
    Case("create-own-model", asked(WAN, size=Size(832, 480), seconds=3, seed=7, negative_prompt="blur", extra=EXTRA)),
    Case(
        "create-own-model-json",
        asked(WAN, size=Size(832, 480), seconds=3, seed=7, negative_prompt="blur", extra=EXTRA),
        JSON,
    ),
    Case("remix", asked(source=made_from(REMIX))),
    Case("remix-odd-id", asked(source=made_from(REMIX, ODD_ID)), MULTIPART),
    Case("remix-own-model", asked(WAN, seed=7, extra=EXTRA, source=made_from(REMIX))),
    Case("edit", asked(source=made_from(EDIT, ODD_ID))),
    Case("edit-multipart", asked(source=made_from(EDIT, ODD_ID)), MULTIPART),
    Case("edit-file", asked(source=made_from(EDIT, None, CLIP))),
    Case("edit-file-json", asked(source=made_from(EDIT, None, CLIP)), JSON),
    Case("extend", asked(seconds=4, source=made_from(EXTEND))),
    Case("extend-multipart", asked(seconds=4, source=made_from(EXTEND)), MULTIPART),
    Case("extend-file", asked(seconds=4, source=made_from(EXTEND, None, CLIP))),
    Case("extend-own-model", asked(WAN, seconds=5, seed=7, source=made_from(EXTEND))),
]


def as_text(received: Received) -> str:
    boundary = received.headers["content-type"].partition("boundary=")[2]
    head = [f"{received.method} {received.raw_path}"]
    head += [f"{name}: {received.headers[name]}" for name in HEADERS if name in received.headers]
    text = "\n".join([*head, "", received.body.decode().replace("\r\n", "\n")])
    return (text.replace(boundary, "B") if boundary else text).rstrip("\n") + "\n"


@pytest.mark.anyio
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_what_is_bought_is_sent_just_so(case: Case, tmp_path: Path) -> None:
    with Recorder() as server:
        environment = {"OPENAI_API_KEY": "sk", "OPENAI_BASE_URL": server.url}
        section = ProviderSettings.model_validate(case.section)
        async with opened(
            OpenAI, folder=tmp_path, environment=environment, section=section, inputs=Held(tmp_path)
        ) as provider:
            await provider.submit(case.asked, "key-1")

    (received,) = server.requests
    assert received.headers["authorization"] == "Bearer sk"
    assert as_text(received) == (GOLDENS / f"{case.name}.txt").read_text(encoding="utf-8")


@pytest.mark.anyio
async def test_a_character_is_sent_just_so(tmp_path: Path) -> None:
    with Recorder() as server:
        environment = {"OPENAI_API_KEY": "sk", "OPENAI_BASE_URL": server.url}
        async with opened(OpenAI, folder=tmp_path, environment=environment, inputs=Held(tmp_path)) as provider:
            assert await provider.create_character("Mossy", CLIP) == "video_1"

    (received,) = server.requests
    assert as_text(received) == (GOLDENS / "character.txt").read_text(encoding="utf-8")


def test_every_golden_belongs_to_a_case() -> None:
    assert {path.stem for path in GOLDENS.glob("*.txt")} == {*(case.name for case in CASES), "character"}
