"""What the tests of Z.ai share: the provider at its fake, and requests for it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rushes.config import ProviderSettings
from rushes.providers.catalog import read_table
from rushes.providers.prepare import Prepared
from rushes.providers.zai.provider import Zai
from rushes.testing.bench import opened, prepared
from rushes.testing.fake_zai import API_KEY, FakeZai
from rushes.testing.server import FakeServer
from rushes.video import MediaRef, VideoRequest
from tests.providers.scripted import Scripted as Scripted

MODELS = {model.id.model: model for model in read_table("zai")}


def section(**written: Any) -> ProviderSettings:
    return ProviderSettings.model_validate(written)


@asynccontextmanager
async def zai(folder: Path, **options: Any) -> AsyncGenerator[Zai]:
    variables: dict[str, str] = options.pop("variables", {"ZAI_API_KEY": API_KEY})
    async with opened(Zai, folder=folder, environment=variables, **options) as provider:
        assert isinstance(provider, Zai)
        yield provider


@asynccontextmanager
async def at(server: FakeServer, folder: Path, **options: Any) -> AsyncGenerator[Zai]:
    base_url = server.base_url if isinstance(server, FakeZai) else server.url
    async with zai(folder, variables={"ZAI_API_KEY": API_KEY, "ZAI_BASE_URL": base_url}, **options) as provider:
        yield provider


def frame(width: int = 320, height: int = 180, mime: str = "image/png", size_bytes: int = 1000) -> MediaRef:
    return MediaRef(sha256="0" * 64, mime=mime, size_bytes=size_bytes, width=width, height=height)


def asked(model: str = "cogvideox-3", prompt: str = "A cat", **changes: Any) -> Prepared:
    known = MODELS[model]
    return prepared(VideoRequest(prompt=prompt, model=known.id, **changes), known)
