"""What the tests of Alibaba share: the provider at its fake or at one answer, and requests for it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rushes.config import ProviderSettings
from rushes.providers.catalog import Catalog, read_table
from rushes.providers.dashscope.provider import DashScope
from rushes.providers.dashscope.wire import Row
from rushes.providers.prepare import Prepared
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.clips import picture
from rushes.testing.vendor import API_KEY
from rushes.video import MediaRef, Size, SourceKind, SourceVideo, VideoRequest

MODELS = {model.id.model: model for model in read_table("dashscope")}
CATALOG = Catalog({model.id: model for model in MODELS.values()})
WAN = "wan3.0-video"


@asynccontextmanager
async def at(url: str | None, folder: Path, inputs: Inputs | None = None, **own: Any) -> AsyncGenerator[DashScope]:
    environment = {"DASHSCOPE_API_KEY": API_KEY} | ({"DASHSCOPE_BASE_URL": url} if url else {})
    section = ProviderSettings.model_validate(own)
    async with opened(DashScope, folder=folder, environment=environment, inputs=inputs, section=section) as provider:
        assert isinstance(provider, DashScope)
        yield provider


def asked(model: str = WAN, **wish: Any) -> Prepared:
    return prepared(VideoRequest(prompt="A boat", model=MODELS[model].id, **wish), MODELS[model])


def row(model: str = WAN) -> Row:
    return Row.model_validate(dict(MODELS[model].wire))


def frame_in(inputs: Inputs) -> MediaRef:
    return inputs.add(picture(1280, 720), "image/png", 1280, 720)


def film(seconds: float, name: str = "f") -> MediaRef:
    return MediaRef(sha256=name * 64, mime="video/mp4", size_bytes=9, width=1280, height=720, seconds=seconds)


def earlier(seconds: int, kind: SourceKind = SourceKind.EDIT) -> SourceVideo:
    return SourceVideo(kind=kind, video_id="v", size=Size(1280, 720), seconds=seconds, remote_id="r")
