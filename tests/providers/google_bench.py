"""What the tests of Google share: the provider at its fake, and requests for it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rushes.config import ProviderSettings
from rushes.providers.catalog import read_table
from rushes.providers.google.provider import Google
from rushes.providers.prepare import Prepared
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.clips import clip
from rushes.testing.fakes.google import FakeGoogle, GoogleBench
from rushes.video import MediaRef, Size, SourceKind, SourceVideo, VideoRequest

MODELS = {model.id.model: model for model in read_table("google")}
OMNI, OMNI_2, VEO = "gemini-omni-1.1-flash", "gemini-omni-1.2-flash", "veo-3.1-lite-generate-001"


@asynccontextmanager
async def at(
    fake: FakeGoogle, folder: Path, changes: dict[str, str] | None = None, **options: Any
) -> AsyncGenerator[Google]:
    environment = {**GoogleBench().environment(fake), **(changes or {})}
    section = ProviderSettings.model_validate(options.pop("section", {}))
    async with opened(Google, folder=folder, environment=environment, section=section, **options) as provider:
        assert isinstance(provider, Google)
        yield provider


def asked(model: str = OMNI, prompt: str = "A cat", **changes: Any) -> Prepared:
    return prepared(VideoRequest(prompt=prompt, model=MODELS[model].id, **changes), MODELS[model])


def file(mime: str = "image/png", seconds: float | None = None, size_bytes: int = 1000, **changes: Any) -> MediaRef:
    return MediaRef(
        sha256=changes.get("sha256", "0" * 64),
        mime=mime,
        size_bytes=size_bytes,
        width=1280,
        height=720,
        seconds=seconds,
    )


OURS = SourceVideo(kind=SourceKind.EDIT, video_id="ours", size=Size(1280, 720), seconds=8, remote_id="v1_1")


def source(kind: SourceKind, **changes: Any) -> SourceVideo:
    return replace(OURS, kind=kind, **changes)


def film(inputs: Inputs, seconds: float) -> MediaRef:
    return replace(inputs.add(clip(320, 180, seconds, fps=5), "video/mp4", 320, 180), seconds=seconds)
